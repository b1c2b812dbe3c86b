"""Sends events with Segment's SDK for Python; runs in the environment of `python.txt`."""

import os
import sys

import segment.analytics as analytics

analytics.host = os.environ["HOST"]
analytics.write_key = os.environ["WRITE_KEY"]
analytics.gzip = os.environ.get("GZIP") == "1"
analytics.upload_size = 10
analytics.on_error = lambda error, items: sys.stdout.write(f"lost {len(items)}: {error}")

analytics.identify("u-1", {"plan": "gold"})
analytics.page("u-1", "Shop", "Home")
for number in range(int(os.environ.get("EVENTS", "3"))):
    analytics.track("u-1", "Order Completed", {"n": number, "text": "知音"})
analytics.shutdown()

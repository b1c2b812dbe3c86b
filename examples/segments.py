"""Segments of the UCI Online Retail orders, or of any file with its columns, in words.

python examples/segments.py online_retail.parquet 2011-06-27
"""

from __future__ import annotations

import sys
from datetime import date, timedelta

import pandas as pd

from zhiyin.understand.segment import (
    measure_movement,
    measure_orders,
    name_scores,
    propose_thresholds,
    score_thresholds,
    segment,
)

COLUMNS = {"customer": "CustomerID", "ordered_at": "at", "amount": "paid", "order": "InvoiceNo"}
SIDES = ["recency_days", "frequency", "monetary"]


def main(path: str, day: str) -> None:
    """Print segments by every method as of the day, and the movement of the 92 days before."""
    lines = pd.read_parquet(path)
    lines["at"] = pd.to_datetime(lines["InvoiceDate"], format="%m/%d/%y %H:%M")
    lines["paid"] = lines["Quantity"] * lines["UnitPrice"]
    end = date.fromisoformat(day)
    start = end - timedelta(days=92)
    now = measure_orders(lines, as_of=end, **COLUMNS)
    bounds = propose_thresholds(now)
    for method in ("rfm", "auto", "ward", "dbscan"):
        thresholds = bounds if method == "rfm" else None
        found = segment(now, method, columns=SIDES, thresholds=thresholds)
        print(found.words, found.words_zh, sep="\n\n", end="\n\n")
        if found.choice is not None:
            print(found.choice.table().round(2).to_string(), end="\n\n")
    before = measure_orders(lines, as_of=start, **COLUMNS)
    named = [name_scores(score_thresholds(one, bounds)) for one in (before, now)]
    moved = measure_movement(named[0], named[1], start=start, end=end)
    print(moved.words, moved.words_zh, moved.counts.to_string(), sep="\n\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])

"""What the tests of tracked events share: requests as SDKs send them, and a unit of frames."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

from zhiyin.collect.compact import compact
from zhiyin.collect.received import Received, pack

RECEIVED = datetime(2026, 2, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Frame:
    number: int
    payload: bytes


def at(minutes=0):
    """A moment as SDKs write it, some minutes after the first."""
    return (RECEIVED + timedelta(minutes=minutes)).isoformat()


def request(body, *, call="batch", minutes=0, source="web", kind="browser", **more):
    """An acknowledged request; `body` is an object, or bytes as they came."""
    moment = RECEIVED + timedelta(minutes=minutes)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Received(source, kind, "user_id", call, round(moment.timestamp() * 1e6), content, **more)


def batch(*items, minutes=0, **more):
    """A batch that was sent when it was received."""
    return request({"batch": list(items), "sentAt": at(minutes)}, minutes=minutes, **more)


_NUMBERS = count(1)


def track(name, properties=None, *, user="ann", minutes=0, **more):
    """A track event."""
    item = {
        "type": "track", "event": name, "properties": properties or {}, "userId": user,
        "messageId": f"m-{next(_NUMBERS)}", "timestamp": at(minutes),
    }  # fmt: skip
    return {**item, **more}


def frames(*requests):
    return [Frame(number, pack(one)) for number, one in enumerate(requests)]


def run(store, vault, settings, clock, *requests, unit="u1", **more):
    return compact(store, vault, settings, clock, unit=unit, frames=frames(*requests), **more)

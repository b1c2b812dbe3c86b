"""The tracking spec: one acknowledged request becomes its events, each read by itself.

An event that cannot be kept is refused with a reason and its content; its neighbours are not
touched. What is odd but can be read is kept, with a finding. Source: Segment, *Spec: Common
Fields* and *HTTP Tracking API*; what the SDKs send in truth stands in `docs/events.md`.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from zhiyin.collect.received import Received

KINDS = frozenset({"track", "page", "screen", "identify", "group", "alias"})
MAX_BYTES = 32 * 1024
MAX_DEPTH = 32
PLACES = 1_000_000
"""`line_no` of a refused event = number of its frame x PLACES + its place in the batch, from 0."""
AHEAD_US = 24 * 3600 * 1_000_000
_FIRST_US = 24 * 3600 * 1_000_000  # 1970-01-02: a clock that was never set says 1970-01-01
_MAX_ID = 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_LAST_US = 253_370_764_800_000_000  # 9999
PLACEHOLDERS = frozenset(
    {"null", "undefined", "none", "nil", "nan", "anonymous", "unknown", "guest", "[object object]",
     "(null)", "00000000-0000-0000-0000-000000000000"}
)  # fmt: skip
_KNOWN = frozenset(
    {"type", "event", "name", "userId", "anonymousId", "messageId", "timestamp",
     "originalTimestamp", "sentAt", "receivedAt", "properties", "traits", "context",
     "integrations", "writeKey", "_metadata", "version", "channel"}
)  # fmt: skip
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
_BATCH = re.compile(rb'"batch"\s*:\s*\[')


class Event(msgspec.Struct):
    """One event as it was sent, ids as text, times in microseconds since 1970 (UTC)."""

    line_no: int
    kind: str
    name: str | None
    user_id: str | None
    anonymous_id: str | None
    message_id: str | None
    key: str  # the message id, or the content of a message without one
    occurred_us: int
    request: Received
    properties: dict[str, Any]
    traits: dict[str, Any]
    context: dict[str, Any]
    other: dict[str, Any]
    findings: list[str]


class Refused(NamedTuple):
    """One event that cannot be kept: why, what it was, and the ids in it that can be read."""

    line_no: int
    request: Received
    reason: str
    content: bytes
    user_id: str | None = None
    anonymous_id: str | None = None
    detail: str = ""  # codes of what does not fit, names of properties at most


class _Bad(Exception):
    """The event is refused for the reason it is made with."""


def read_request(received: Received, number: int) -> Iterator[Event | Refused]:
    """The events of one request, in their order; nothing raises on what a client sent.

    Parameters
    ----------
    number
        Of the frame, unique in the unit; it names refused events.
    """
    first = number * PLACES
    body = received.body.removeprefix(codecs.BOM_UTF8)
    if received.call not in ("batch", "import"):
        yield _one(body, received, {}, None, first, too_large=0 in received.refused)
        return
    batch, items = _open_batch(body)
    if items is None:
        yield Refused(first, received, "bad_json", body)
        return
    context = batch.get("context")
    shared = context if isinstance(context, dict) else {}
    sent_at = batch.get("sentAt")
    for place, item in enumerate(items):
        yield _one(
            item, received, shared, sent_at, first + place, too_large=place in received.refused
        )


def _open_batch(body: bytes) -> tuple[dict[str, Any], list[Any] | None]:
    """What stands around the events, and the events: decoded, or as bytes."""
    try:
        if len(body) <= MAX_BYTES:
            whole = msgspec.json.decode(body)
            if isinstance(whole, dict) and isinstance(whole.get("batch"), list):
                return whole, whole["batch"]
        whole = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        items = msgspec.json.decode(whole["batch"], type=list[msgspec.Raw])
        around = {k: msgspec.json.decode(v) for k, v in whole.items() if k in ("context", "sentAt")}
        return around, [bytes(one) for one in items]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        return _salvage(body)


def _salvage(body: bytes) -> tuple[dict[str, Any], list[bytes] | None]:
    """Cut the elements out of a batch that is no valid JSON as a whole."""
    start = _BATCH.search(body)
    if start is None:
        return {}, None
    items: list[bytes] = []
    depth, begin = 0, start.end()
    for token in _TOKEN.finditer(body, begin):
        mark = token.group()
        if mark in (b"[", b"{"):
            depth += 1
        elif mark in (b"]", b"}"):
            depth -= 1
        if depth < 0 or (depth == 0 and mark == b","):
            if body[begin : token.start()].strip():
                items.append(body[begin : token.start()].strip())
            begin = token.end()
        if depth < 0:
            break
    around = body[: start.start()].rstrip().rstrip(b",") + b"}"
    rest = b"{" + body[begin:].lstrip().lstrip(b",")
    made: dict[str, Any] = {}
    for part in (around, rest):
        value = _lenient(part)[0]
        made |= value if isinstance(value, dict) else {}
    return made, items


def _one(
    item: Any,
    received: Received,
    shared: dict[str, Any],
    sent_at: object,
    line_no: int,
    *,
    too_large: bool,
) -> Event | Refused:
    findings: list[str] = []
    try:
        if too_large or (isinstance(item, bytes) and len(item) > MAX_BYTES):
            raise _Bad("too_large")
        value = item
        if isinstance(item, bytes):
            value, findings = decode_item(item)
        if not isinstance(value, dict):
            raise _Bad("not_an_object")
        return _read(value, received, shared, sent_at, line_no, findings)
    except _Bad as bad:
        content = item if isinstance(item, bytes) else msgspec.json.encode(item)
        return Refused(line_no, received, str(bad), content, *_readable_ids(item))


def decode_item(content: bytes) -> tuple[Any, list[str]]:
    """The value of one event and what had to be mended in it.

    The last of two equal keys counts. NaN and infinite numbers become null (`not_a_number`),
    halves of surrogate pairs and bytes that are not UTF-8 the replacement character
    (`broken_text`).

    Raises
    ------
    _Bad
        If it is no JSON, or nested deeper than `MAX_DEPTH`.
    """
    try:
        return msgspec.json.decode(content), []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if _depth(content) > MAX_DEPTH:
            raise _Bad("too_deep") from None
    value, findings = _lenient(content)
    if value is None:
        raise _Bad("bad_json")
    return value, findings


def _depth(content: bytes) -> int:
    depth = deepest = 0
    for token in _TOKEN.finditer(content):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token.group(), 0)
        deepest = max(deepest, depth)
    return deepest


def _lenient(content: bytes) -> tuple[Any, list[str]]:
    """What Python's own reader makes of it, mended; None where it is no JSON either."""
    text = content.decode("utf-8", errors="replace")
    findings: set[str] = {"broken_text"} if "\ufffd" in text else set()
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None, []
    return _mend(value, findings), sorted(findings)


def _mend(value: Any, findings: set[str]) -> Any:
    if isinstance(value, dict):
        return {_mend(k, findings): _mend(v, findings) for k, v in value.items()}
    if isinstance(value, list):
        return [_mend(one, findings) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        findings.add("not_a_number")
        return None
    if isinstance(value, str) and not value.isascii():
        clean = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if clean != value:
            findings.add("broken_text")
        return clean
    return value


def _read(
    item: dict[str, Any],
    received: Received,
    shared: dict[str, Any],
    sent_at: object,
    line_no: int,
    findings: list[str],
) -> Event:
    get = item.get
    kind = get("type")
    if kind not in KINDS:
        kind = received.call if received.call in KINDS else None
    if kind is None:
        raise _Bad("unknown_type")
    user_id = _id(get("userId"), findings, "userId")
    anonymous_id = _id(get("anonymousId"), findings, "anonymousId")
    if user_id is None and anonymous_id is None:
        raise _Bad("missing_identity")
    name = _name(get("event") if kind == "track" else get("name"))
    if name is None and kind == "track":
        findings.append("missing_event_name")
    occurred = _occurred(item, received, sent_at, findings)
    properties = _object(get("properties"), findings, "properties")
    traits = _object(get("traits"), findings, "traits")
    context = _object(get("context"), findings, "context")
    message_id = get("messageId")
    if isinstance(message_id, int):
        message_id = str(message_id)
    if not isinstance(message_id, str) or not message_id:
        message_id = None
    key = message_id
    if key is None:
        findings.append("missing_message_id")
        stamp = get("originalTimestamp") or get("timestamp")
        content = (kind, name, user_id, anonymous_id, stamp, properties, traits)
        key = "content " + msgspec.json.encode(content, order="sorted").decode()
    return Event(
        line_no, kind, name, user_id, anonymous_id, message_id, key, occurred,
        received, properties, traits, {**shared, **context} if shared else context,
        {k: item[k] for k in item.keys() - _KNOWN}, findings,
    )  # fmt: skip


def _name(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return (value or "").strip()[:_MAX_ID] or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Bad("wrong_type")
    return str(value)


def _object(value: Any, findings: list[str], name: str) -> dict[str, Any]:
    """An object; null and the empty list of PHP are empty ones."""
    if isinstance(value, dict):
        return value
    if value is None or value == [] or value == "":
        return {}
    findings.append(f"wrong_type:{name}")
    return {}


def _id(value: Any, findings: list[str], name: str) -> str | None:
    """An id as text; None where there is none.

    Numbers become text (the Python SDK lets them pass); `true`, lists and objects are refused:
    they would join strangers.
    """
    if isinstance(value, str):
        text = value.strip() if value.isascii() else unicodedata.normalize("NFKC", value).strip()
        if not text:
            return None
        if len(text) > _MAX_ID:
            raise _Bad("too_long")
        if text.lower() in PLACEHOLDERS:
            findings.append(f"placeholder_id:{name}")
            return None
        return text
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Bad("wrong_type")
    if not abs(value) < 1e60:
        raise _Bad("too_long")
    findings.append(f"number_id:{name}")
    return str(int(value)) if value == int(value) else repr(value)


def _occurred(
    item: dict[str, Any], received: Received, batch_sent_at: object, findings: list[str]
) -> int:
    """When it happened on the server's clock: receivedAt - (sentAt - originalTimestamp)."""
    original = item.get("originalTimestamp") or item.get("timestamp")
    sent = item.get("sentAt") or batch_sent_at
    if not original:
        return received.received_us
    moment = read_time(original)
    if moment is None:
        findings.append("bad_timestamp")
        return received.received_us
    if sent is not None and received.call != "import":
        sent_us = read_time(sent)
        if sent_us is None:
            findings.append("bad_sent_at")
        else:
            moment += received.received_us - sent_us
    if moment > received.received_us + AHEAD_US:
        raise _Bad("date_ahead")
    if moment < _FIRST_US:
        findings.append("bad_timestamp")
        return received.received_us
    return moment


def read_time(value: object) -> int | None:
    """Microseconds since 1970 of ISO 8601 text (no offset: UTC) or of a number of seconds,
    milliseconds or microseconds; None where it is neither."""
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text) or len(text) == 8:  # 20260131 is a day
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                return None
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            return (moment - _EPOCH) // _MICRO
        value = float(text) if len(text) < 30 else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    size = abs(value)
    for limit, factor in ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1)):
        if size < limit:
            made = round(value * factor)
            return made if made < _LAST_US else None
    return None


def _readable_ids(item: Any) -> tuple[str | None, str | None]:
    """The ids of a refused event, so that an erasure finds it."""
    if isinstance(item, bytes):
        try:
            item = msgspec.json.decode(item)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None, None
    if not isinstance(item, dict):
        return None, None
    found = []
    for name in ("userId", "anonymousId"):
        value = item.get(name)
        found.append(value.strip() or None if isinstance(value, str) else None)
    return found[0], found[1]

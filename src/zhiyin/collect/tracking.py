"""The tracking spec: one acknowledged request becomes its events, each read by itself.

An event that cannot be kept is refused with a reason and its content; its neighbours are not
touched. What is odd but can be read is kept, with a finding. Source: Segment, *Spec: Common
Fields* and *HTTP Tracking API*; what the SDKs send in truth stands in `docs/events.md`.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from zhiyin.collect.event_json import MAX_BYTES, Bad, decode_item, open_batch, readable_ids
from zhiyin.collect.received import Received
from zhiyin.collect.recent import Recent

KINDS = frozenset({"track", "page", "screen", "identify", "group", "alias"})
PLACES = 1_000_000
"""`line_no` of a refused event = number of its frame x PLACES + its place in the batch, from 0."""
AHEAD_US = 24 * 3600 * 1_000_000
_FIRST_US = 24 * 3600 * 1_000_000  # 1970-01-02: a clock that was never set says 1970-01-01
_MAX_ID = 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_US = 253_370_764_800_000_000  # 9999
PLACEHOLDERS = frozenset(
    {"null", "undefined", "none", "nil", "nan", "anonymous", "unknown", "guest", "[object object]",
     "(null)", "00000000-0000-0000-0000-000000000000"}
)  # fmt: skip
_NULL = msgspec.Raw(b"null")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


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
    properties_text: bytes = b""  # what the properties were decoded from, where that is at hand
    context_text: bytes = b""

    def content(self) -> bytes:
        """The event as quarantine keeps it."""
        fields = msgspec.structs.asdict(self) | {"request": None}
        del fields["properties_text"], fields["context_text"]
        return msgspec.json.encode(fields)


class Refused(NamedTuple):
    """One event that cannot be kept: why, what it was, and the ids in it that can be read."""

    line_no: int
    request: Received
    reason: str
    content: bytes
    user_id: str | None = None
    anonymous_id: str | None = None
    detail: str = ""  # codes of what does not fit, names of properties at most


class _Sent(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """An event as clients send it, its objects not decoded yet."""

    type: Any = None
    event: Any = None
    name: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    message_id: Any = None
    timestamp: Any = None
    original_timestamp: Any = None
    sent_at: Any = None
    properties: msgspec.Raw = _NULL
    traits: msgspec.Raw = _NULL
    context: msgspec.Raw = _NULL
    received_at: Any = None
    integrations: Any = None
    write_key: Any = None
    version: Any = None
    channel: Any = None
    metadata: Any = msgspec.field(name="_metadata", default=None)


class _Batch(msgspec.Struct, rename="camel"):
    """A batch of the SDKs; `batch` holds what it is decoded as."""

    batch: list[_Sent]
    context: Any = None
    sent_at: Any = None


class _LargeBatch(msgspec.Struct, rename="camel"):
    """A batch whose events are measured before they are decoded."""

    batch: list[msgspec.Raw]
    context: Any = None
    sent_at: Any = None


class _Around(NamedTuple):
    """What stands around the events of a request."""

    received: Received
    shared: dict[str, Any]  # the context of a batch
    sent_at: object
    sent_us: int | None  # None where `sent_at` is no time


class _Fields(msgspec.Struct):
    """The objects of an event, decoded, and the texts of two of them where these are at hand."""

    properties: Any
    traits: Any
    context: Any
    other: dict[str, Any]
    properties_text: bytes = b""
    context_text: bytes = b""


_KNOWN = frozenset(one.encode_name for one in msgspec.structs.fields(_Sent))
_PLAIN = [
    (one.name, one.encode_name)
    for one in msgspec.structs.fields(_Sent)
    if one.encode_name not in ("properties", "traits", "context")
]
"""Fields of `_Sent` that are decoded, and their names in JSON."""
_batches = msgspec.json.Decoder(_Batch)
_large_batches = msgspec.json.Decoder(_LargeBatch)
_sent = msgspec.json.Decoder(_Sent)
_decode = msgspec.json.Decoder().decode


class Reader:
    """Reads requests as `read_request` does, faster where every event of one can be kept.

    Events are decoded into `_Sent`. Properties and contexts that came before are not decoded
    again: events share them, so nobody may change them.
    """

    def __init__(self) -> None:
        self._objects: Recent[bytes, Any] = Recent()

    def read(self, received: Received, number: int) -> Sequence[Event | Refused]:
        """What `read_request` gives."""
        try:
            return self._read_plain(received, number * PLACES)
        except (Bad, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return list(read_request(received, number))

    def _read_plain(self, received: Received, first: int) -> list[Event]:
        """The events of a request of which none is odd; raises where one is."""
        if received.refused:
            raise Bad("too_large")
        body = received.body.removeprefix(codecs.BOM_UTF8)
        if received.call not in ("batch", "import"):
            around, sent = _around(received, None, None), _measured([body])
        elif len(body) <= MAX_BYTES:
            batch = _batches.decode(body)
            around, sent = _around(received, batch.context, batch.sent_at), batch.batch
        else:
            large = _large_batches.decode(body)
            around, sent = _around(received, large.context, large.sent_at), _measured(large.batch)
        return [
            _read(one, self._fields(one), around, line_no, [])
            for line_no, one in enumerate(sent, start=first)
        ]

    def _fields(self, sent: _Sent) -> _Fields:
        properties, context, known = bytes(sent.properties), bytes(sent.context), self._objects.get
        return _Fields(
            known(properties) or self._objects.keep(properties, _decode(properties)),
            None if sent.traits is _NULL else _decode(sent.traits),
            known(context) or self._objects.keep(context, _decode(context)),
            {}, properties, context,
        )  # fmt: skip


def _measured(texts: Iterable[bytes | msgspec.Raw]) -> list[_Sent]:
    made: list[_Sent] = []
    for text in texts:
        if len(memoryview(text)) > MAX_BYTES:
            raise Bad("too_large")
        made.append(_sent.decode(text))
    return made


def _around(received: Received, context: object, sent_at: object) -> _Around:
    shared = context if isinstance(context, dict) else {}
    return _Around(received, shared, sent_at, None if sent_at is None else read_time(sent_at))


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
        around = _around(received, None, None)
        yield _one(body, around, first, too_large=0 in received.refused)
        return
    batch, items = open_batch(body)
    if items is None:
        yield Refused(first, received, "bad_json", body)
        return
    around = _around(received, batch.get("context"), batch.get("sentAt"))
    for place, item in enumerate(items):
        yield _one(item, around, first + place, too_large=place in received.refused)


def _one(item: Any, around: _Around, line_no: int, *, too_large: bool) -> Event | Refused:
    findings: list[str] = []
    try:
        if too_large or (isinstance(item, bytes) and len(item) > MAX_BYTES):
            raise Bad("too_large")
        value = item
        if isinstance(item, bytes):
            value, findings = decode_item(item)
        if not isinstance(value, dict):
            raise Bad("not_an_object")
        get = value.get
        plain: dict[str, Any] = {field: get(name) for field, name in _PLAIN}
        sent = _Sent(**plain)
        other = {k: value[k] for k in value.keys() - _KNOWN}
        fields = _Fields(get("properties"), get("traits"), get("context"), other)
        return _read(sent, fields, around, line_no, findings)
    except Bad as bad:
        content = item if isinstance(item, bytes) else msgspec.json.encode(item)
        return Refused(line_no, around.received, str(bad), content, *readable_ids(item))


def _read(
    sent: _Sent, fields: _Fields, around: _Around, line_no: int, findings: list[str]
) -> Event:
    received = around.received
    kind = sent.type
    if not isinstance(kind, str) or kind not in KINDS:
        kind = received.call if received.call in KINDS else None
    if kind is None:
        raise Bad("unknown_type")
    user_id = _id(sent.user_id, findings, "userId")
    anonymous_id = _id(sent.anonymous_id, findings, "anonymousId")
    if user_id is None and anonymous_id is None:
        raise Bad("missing_identity")
    name = _name(sent.event if kind == "track" else sent.name)
    if name is None and kind == "track":
        findings.append("missing_event_name")
    occurred = _occurred(sent, around, findings)
    properties = _object(fields.properties, findings, "properties")
    traits = _object(fields.traits, findings, "traits")
    context = _object(fields.context, findings, "context")
    message_id = sent.message_id
    if isinstance(message_id, int):
        message_id = str(message_id)
    if not isinstance(message_id, str) or not message_id:
        message_id = None
    key = message_id
    if key is None:
        findings.append("missing_message_id")
        stamp = sent.original_timestamp or sent.timestamp
        content = (kind, name, user_id, anonymous_id, stamp, properties, traits)
        key = "content " + msgspec.json.encode(content, order="sorted").decode()
    return Event(
        line_no, kind, name, user_id, anonymous_id, message_id, key, occurred, received,
        properties, traits, {**around.shared, **context} if around.shared else context,
        fields.other, findings, fields.properties_text,
        b"" if around.shared else fields.context_text,
    )  # fmt: skip


def _name(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return (value or "").strip()[:_MAX_ID] or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Bad("wrong_type")
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
            raise Bad("too_long")
        if text.lower() in PLACEHOLDERS:
            findings.append(f"placeholder_id:{name}")
            return None
        return text
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Bad("wrong_type")
    if not abs(value) < 1e60:
        raise Bad("too_long")
    findings.append(f"number_id:{name}")
    return str(int(value)) if value == int(value) else repr(value)


def _occurred(sent: _Sent, around: _Around, findings: list[str]) -> int:
    """When it happened on the server's clock: receivedAt - (sentAt - originalTimestamp)."""
    received = around.received
    original = sent.original_timestamp or sent.timestamp
    if not original:
        return received.received_us
    moment = read_time(original)
    if moment is None:
        findings.append("bad_timestamp")
        return received.received_us
    sent_at, sent_us = around.sent_at, around.sent_us
    if sent.sent_at:
        sent_at, sent_us = sent.sent_at, read_time(sent.sent_at)
    if sent_at is not None and received.call != "import":
        if sent_us is None:
            findings.append("bad_sent_at")
        else:
            moment += received.received_us - sent_us
    if moment > received.received_us + AHEAD_US:
        raise Bad("date_ahead")
    if moment < _FIRST_US:
        findings.append("bad_timestamp")
        return received.received_us
    return moment


def read_time(value: object) -> int | None:
    """Microseconds since 1970 of ISO 8601 text (no offset: UTC) or of a number of seconds,
    milliseconds or microseconds; None where it is neither."""
    if isinstance(value, str):
        text = value.strip()
        # 20260131 is a day; what has a dash behind four characters is no number
        if text[4:5] == "-" or not _NUMBER.fullmatch(text) or len(text) == 8:
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                return None
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            since = moment - _EPOCH
            return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        value = float(text) if len(text) < 30 else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    size = abs(value)
    for limit, factor in ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1)):
        if size < limit:
            made = round(value * factor)
            return made if made < _LAST_US else None
    return None

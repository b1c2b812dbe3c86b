"""Reading a tracking request: whose it is and what the journal should keep of it.

The body is taken by its bytes, never by its content type: SDKs send JSON as text/plain, as a form
and gzipped with or without saying so. A request is refused only if it can never succeed; an item
of a batch that is wrong is the compactor's to put in quarantine, so its neighbours are kept.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import dataclass
from urllib.parse import parse_qs

import msgspec

from zhiyin.core.errors import InvalidParameter, TooLarge

MAX_EVENT = 32 * 1024
MAX_BATCH = 500 * 1024
MAX_PACKED = MAX_BATCH  # gzip never makes a body that may pass larger than this
BATCH = "batch"
CALLS = ("track", "identify", "page", "screen", "group", "alias")
_SHORT = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias",
          "b": BATCH}  # fmt: skip
PATHS = {
    **{f"/v1/{call}": call for call in (*CALLS, BATCH, "import")},
    **{f"/v1/{short}": call for short, call in _SHORT.items()},
    "/beacon/v1/batch": BATCH,
}
"""Paths that take a POST, and the call that each is."""
PIXELS = {
    **{f"/pixel/v1/{call}": call for call in ("track", "page")},
    **{f"/v1/pixel/{call}": call for call in CALLS},
}
"""Paths that take a GET and answer with an image."""
_GZIP = b"\x1f\x8b"


class _Batch(msgspec.Struct):
    batch: list[msgspec.Raw] | None = None
    write_key: msgspec.Raw = msgspec.field(name="writeKey", default=msgspec.Raw(b""))


class _Single(msgspec.Struct):
    write_key: msgspec.Raw = msgspec.field(name="writeKey", default=msgspec.Raw(b""))


_batch_decoder = msgspec.json.Decoder(_Batch)
_single_decoder = msgspec.json.Decoder(_Single)
_text_decoder = msgspec.json.Decoder(str)


@dataclass(frozen=True, slots=True)
class Call:
    """What a body says before anybody looks at its events."""

    body: bytes
    events: int
    write_key: str  # in the body; empty: none
    refused: tuple[int, ...]  # places of events that are too large


def read_body(body: bytes, call: str) -> Call:
    """The call in `body`, unpacked.

    Raises
    ------
    TooLarge
        If it is larger than 500 KB, or every event of it than 32 KB.
    InvalidParameter
        If it is no JSON object of the call's form.
    """
    body = unpack_body(body)
    try:
        if not body.isascii():
            body.decode()
        return _read_json(body, call)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return _read_json(_mend(body), call)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidParameter(
            "the body is not the JSON that this call takes", hint="see docs/collect.md"
        ) from error


def _read_json(body: bytes, call: str) -> Call:
    if call in (BATCH, "import"):
        read = _batch_decoder.decode(body)
        if read.batch is None:
            raise InvalidParameter("the body has no list `batch`", hint="see docs/collect.md")
        sizes = [len(memoryview(item)) for item in read.batch]
        refused = tuple(place for place, size in enumerate(sizes) if size > MAX_EVENT)
        if refused and len(refused) == len(sizes):
            raise TooLarge(f"an event may have {MAX_EVENT} bytes")
        return Call(body, len(sizes), _text(read.write_key), refused)
    single = _single_decoder.decode(body)
    if len(body) > MAX_EVENT:
        raise TooLarge(f"an event may have {MAX_EVENT} bytes, this one has {len(body)}")
    return Call(body, 1, _text(single.write_key), ())


def _mend(body: bytes) -> bytes:
    """JSON of what is nearly JSON: Python's SDK sends NaN, others cut a character in two.

    One odd value in an event must not cost the other events of its batch.

    Raises
    ------
    ValueError
        If it is too far from JSON.
    """
    value = json.loads(body.decode("utf-8", "replace"), parse_constant=lambda _: None)
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def unpack_body(body: bytes) -> bytes:
    """The body without its gzip; by its first bytes, whatever a header says.

    Raises
    ------
    TooLarge
        If it is or becomes larger than 500 KB.
    InvalidParameter
        If it is broken gzip.
    """
    if body[:2] == _GZIP:
        unpacker = zlib.decompressobj(31)
        try:
            body = unpacker.decompress(body, MAX_BATCH + 1)
            whole = unpacker.eof
        except zlib.error as error:
            raise InvalidParameter("the body is broken gzip") from error
        if not whole and len(body) <= MAX_BATCH:
            raise InvalidParameter("the body is gzip that was cut off")
    if len(body) > MAX_BATCH:
        raise TooLarge(f"a request may have {MAX_BATCH} bytes")
    return body


def key_of_header(value: bytes) -> str:
    """The write key in `Authorization`: Basic with or without a colon, or Bearer; empty: none."""
    kind, _, rest = value.strip().partition(b" ")
    if kind.lower() == b"basic":
        try:
            text = base64.b64decode(rest.strip(), validate=True)
        except (binascii.Error, ValueError):
            return ""
        return text.partition(b":")[0].decode("utf-8", "replace")
    if kind.lower() == b"bearer":
        return rest.strip().decode("utf-8", "replace")
    return ""


def key_of_query(query: bytes) -> str:
    """The write key in the address; empty: none."""
    if b"riteKey" not in query and b"rite_key" not in query:
        return ""
    found = parse_qs(query.decode("latin-1"), max_num_fields=100)
    return (found.get("writeKey") or found.get("write_key") or [""])[0]


def read_pixel(query: bytes, call: str) -> Call:
    """The event that a pixel's address holds: `data` (base64 of JSON), or a field a parameter.

    Raises
    ------
    InvalidParameter
        If it holds none.
    TooLarge
        If it is larger than 32 KB.
    """
    try:
        found = parse_qs(query.decode("latin-1").encode().decode(), max_num_fields=100)
    except (UnicodeDecodeError, ValueError) as error:
        raise InvalidParameter("the address is no query that can be read") from error
    if "data" in found:
        data = found["data"][0].replace("-", "+").replace("_", "/").replace(" ", "+")
        try:
            body = base64.b64decode(data + "=" * (-len(data) % 4), validate=True)
        except ValueError as error:  # binascii.Error is one; text that is not ASCII another
            raise InvalidParameter("`data` of the address is no base64") from error
        return read_body(body, call)
    event = {name: _field(values[0]) for name, values in found.items()}
    return read_body(msgspec.json.encode(event), call)


def _field(value: str) -> object:
    if value[:1] in "{[":
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


def _text(raw: msgspec.Raw) -> str:
    try:
        return _text_decoder.decode(raw) if bytes(raw) else ""
    except msgspec.DecodeError:
        return ""

"""What clients send as JSON, and what they send that is nearly JSON, mended.

What is odd but can be read is read, with a finding; the neighbours of a broken event are whole.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

MAX_BYTES = 32 * 1024
MAX_DEPTH = 32
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
_BATCH = re.compile(rb'"batch"\s*:\s*\[')


class Bad(Exception):
    """The event is refused for the reason it is made with."""


def open_batch(body: bytes) -> tuple[dict[str, Any], list[Any] | None]:
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


def decode_item(content: bytes) -> tuple[Any, list[str]]:
    """The value of one event and what had to be mended in it.

    The last of two equal keys counts. NaN and infinite numbers become null (`not_a_number`),
    halves of surrogate pairs and bytes that are not UTF-8 the replacement character
    (`broken_text`).

    Raises
    ------
    Bad
        If it is no JSON, or nested deeper than `MAX_DEPTH`.
    """
    try:
        return msgspec.json.decode(content), []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if _depth(content) > MAX_DEPTH:
            raise Bad("too_deep") from None
    value, findings = _lenient(content)
    if value is None:
        raise Bad("bad_json")
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


def readable_ids(item: Any) -> tuple[str | None, str | None]:
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

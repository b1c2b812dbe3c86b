# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# (Ibis knows the type of a column when it runs)
"""What came of a source and what is odd about it: the last events, in words, without anybody's
personal data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import msgspec

from zhiyin.collect.event_fields import OF_PRODUCTS
from zhiyin.collect.event_words import say
from zhiyin.collect.personal import mask
from zhiyin.collect.plan import Plan, event_key
from zhiyin.collect.plan_draft import draft_schema
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.protocols import Store

MAX_EVENTS = 200
_MAX_DRAFT = 50_000  # events that a draft of one source looks at
_CODES = r"plan:[^\s,]+"
WINDOWS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
"""Of the counts, back from now."""
_STEPS = (timedelta(days=1), timedelta(days=31), None)
_SHOWN = (
    c.EVENT_ID, c.PARTY_ID, c.RECEIVED_AT, c.OCCURRED_AT, c.KIND, c.NAME, c.CHANNEL, c.PAGE,
    c.PRODUCT_ID, c.ORDER_ID, c.FINDINGS, c.PROPERTIES, c.SOURCE,
)  # fmt: skip
_IDS = frozenset({c.EVENT_ID, c.PARTY_ID, c.SOURCE, c.PRODUCT_ID, c.ORDER_ID})
_REFUSED = (
    c.SOURCE, c.LOAD_ID, c.LINE_NO, c.REASON, c.MESSAGE, c.PARTY_IDS, c.QUARANTINED_AT, c.KEY_ID,
)  # fmt: skip
Unseal = Callable[[str, bytes], bytes | None]
"""Gives the content of a refused row, None where its key is gone."""


def last_events(
    store: Store,
    *,
    now: datetime,
    source: str | None = None,
    name: str | None = None,
    limit: int = 50,
    problems: bool = False,
    language: str = "en",
    unseal: Unseal | None = None,
) -> list[dict[str, Any]]:
    """The last events, newest received first, refused ones among them.

    Parameters
    ----------
    now
        Naive UTC.
    source
        None: of every source.
    name
        Of a track event or a page; refused events have none, so they are left out with it.
    limit
        How many, 1..200.
    problems
        Only those with a finding, and refused ones.
    language
        Of the words, `en` or `zh`.
    unseal
        Shows the masked content of refused events; without it nothing of them is shown.

    Returns
    -------
    Dicts with `state` (`kept` or `refused`), `received_at`, `party_id`, what is known of the
    event, `properties` (masked) and `findings` (`code` and `words`).
    """
    if not 1 <= limit <= MAX_EVENTS:
        raise InvalidParameter(f"limit must be 1..{MAX_EVENTS}, not {limit}")
    kept = _last_kept(store, now, source, name, limit, problems=problems)
    made = [_show_kept(row, language) for row in kept]
    if name is None:
        made += [
            _show_refused(row, language, unseal)
            for row in _last_refused(store, source, limit, content=unseal is not None)
        ]
    made.sort(key=lambda one: (one[c.RECEIVED_AT], one.get(c.EVENT_ID) or ""), reverse=True)
    return made[:limit]


def _last_kept(
    store: Store,
    now: datetime,
    source: str | None,
    name: str | None,
    limit: int,
    *,
    problems: bool,
) -> list[dict[str, Any]]:
    rows = store.read("events")
    if source is not None:
        rows = rows.filter(rows[c.SOURCE] == source)
    if name is not None:
        rows = rows.filter(rows[c.NAME] == mask(name))
    if problems:
        rows = rows.filter(rows[c.FINDINGS].notnull())
    found: list[dict[str, Any]] = []
    for step in _STEPS:  # most often the last day holds enough: the rest need not be sorted
        part = rows if step is None else rows.filter(rows[c.RECEIVED_AT] >= now - step)
        ordered = part.select(*_SHOWN).order_by(
            [ibis.desc(c.RECEIVED_AT), ibis.desc(c.OCCURRED_AT), c.EVENT_ID]
        )
        found = ordered.limit(limit).to_pyarrow().to_pylist()
        if len(found) == limit:
            break
    return found


def _show_kept(row: Mapping[str, Any], language: str) -> dict[str, Any]:
    codes = json.loads(row[c.FINDINGS]) if row[c.FINDINGS] else []
    fields = json.loads(row[c.PROPERTIES]) if row[c.PROPERTIES] else {}
    made: dict[str, Any] = {"state": "kept"}
    for key in _SHOWN:
        value = row[key]
        if isinstance(value, datetime):
            made[key] = value.isoformat(timespec="milliseconds") + "Z"
        elif isinstance(value, str) and key not in _IDS:
            made[key] = mask(value)
        else:
            made[key] = value
    for key in (c.PRODUCT_ID, c.ORDER_ID):
        made[key] = _masked_id(row[key])
    return made | {c.PROPERTIES: masked(fields), c.FINDINGS: in_words(codes, language)}


def _masked_id(value: str | None) -> str | None:
    """An id `source:id`: a long number is an order's, an address is somebody's."""
    return mask(value) if value and "@" in value else value


def in_words(codes: Sequence[str], language: str) -> list[dict[str, str]]:
    """Findings as codes and words."""
    return [{"code": mask(code), "words": mask(say(code, language))} for code in codes]


def masked(value: Any, key: str = "") -> Any:
    """JSON with every text masked, keys too, and numbers that look like a telephone."""
    if isinstance(value, dict):
        return {mask(name): masked(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [masked(one, key) for one in value]
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, bool) or value is None or key in OF_PRODUCTS:
        return value
    text = str(value)
    return value if mask(text) == text else mask(text)


def _last_refused(
    store: Store, source: str | None, limit: int, *, content: bool
) -> list[dict[str, Any]]:
    rows = _refused(store, source)
    names = (*_REFUSED, c.CONTENT) if content else _REFUSED
    ordered = rows.select(*names).order_by(
        [ibis.desc(c.QUARANTINED_AT), c.LOAD_ID, ibis.desc(c.LINE_NO)]
    )
    return ordered.limit(limit).to_pyarrow().to_pylist()


def _refused(store: Store, source: str | None) -> ir.Table:
    """Refused events; files are refused row by row under other tables' names."""
    rows = store.read("quarantine")
    rows = rows.filter(rows[c.TABLE] == "events")
    return rows if source is None else rows.filter(rows[c.SOURCE] == source)


def _show_refused(row: Mapping[str, Any], language: str, unseal: Unseal | None) -> dict[str, Any]:
    parties = json.loads(row[c.PARTY_IDS])
    codes = [one.strip() for one in row[c.MESSAGE].partition(": ")[2].split(", ")]
    codes = [one for one in codes if one.startswith("plan:")]
    made = {
        "state": "refused",
        c.RECEIVED_AT: row[c.QUARANTINED_AT].isoformat(timespec="milliseconds") + "Z",
        c.PARTY_ID: parties[0] if parties else None,
        c.SOURCE: row[c.SOURCE],
        c.LINE_NO: row[c.LINE_NO],
        c.REASON: row[c.REASON],
        "words": say(row[c.REASON], language),
        "findings": in_words(codes, language),
    }
    if unseal is not None:
        raw = unseal(row[c.KEY_ID], row[c.CONTENT])
        made["content"] = None if raw is None else _readable(raw)
    return made


def _readable(raw: bytes) -> Any:
    """The content of a refused event, masked; as text where it is no JSON."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return mask(raw[:2000].decode("utf-8", "replace"))
    return masked(value)


def count_events(
    store: Store,
    *,
    now: datetime,
    duplicates: Mapping[str, Mapping[str, int]],
    source: str | None = None,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Source → `hour` or `day` → `received`, `events`, `duplicates`, `refused`, `findings`.

    `duplicates`: window → source → count, of `duplicates_since`. `received` is the sum of events,
    duplicates and refused ones. Events count by when they were received, refused
    ones and duplicates by when they were moved to the lake.
    """
    made: dict[str, dict[str, dict[str, Any]]] = {}

    def of(name: str, window: str) -> dict[str, Any]:
        windows = made.setdefault(name, {key: _nothing() for key in WINDOWS})
        return windows[window]

    for window, span in WINDOWS.items():
        for name, count in _by(_since(_events(store, source), c.RECEIVED_AT, now - span)):
            of(name, window)["events"] = count
        rows = _since(_events(store, source), c.RECEIVED_AT, now - span)
        for name, codes, count in _by(rows.filter(rows[c.FINDINGS].notnull()), c.FINDINGS):
            into = of(name, window)["findings"]
            into.update(Counter({mask(code): count for code in json.loads(codes)}))
        rows = _since(_refused(store, source), c.QUARANTINED_AT, now - span)
        for name, reason, count in _by(rows, c.REASON):
            of(name, window)["refused"][reason] = count
        for name, count in duplicates[window].items():
            if source in (None, name):
                of(name, window)["duplicates"] = count
    for windows in made.values():
        for one in windows.values():
            refused = sum(one["refused"].values())
            one["received"] = one["events"] + one["duplicates"] + refused
            one["findings"] = dict(sorted(one["findings"].items()))
    return dict(sorted(made.items()))


def _nothing() -> dict[str, Any]:
    return {"received": 0, "events": 0, "duplicates": 0, "refused": {}, "findings": Counter()}


def _events(store: Store, source: str | None) -> ir.Table:
    rows = store.read("events")
    return rows if source is None else rows.filter(rows[c.SOURCE] == source)


def _since(rows: ir.Table, column: str, moment: datetime) -> ir.Table:
    return rows.filter(rows[column] >= moment)


def _by(rows: ir.Table, *columns: str) -> Iterator[tuple]:
    """(source, values of the columns, count)."""
    keys = [c.SOURCE, *columns]
    counted = rows.group_by(keys).aggregate(rows=rows.count()).order_by(keys)
    for row in counted.to_pyarrow().to_pylist():
        yield tuple(row.values())


def unknown_events(store: Store, plans: Sequence[Plan], source: str) -> list[dict[str, Any]]:
    """Events of `source` that its plan does not name: `event`, count, first and last received.

    The most frequent first. A call other than track is `$page`, `$identify` ….
    """
    planned = {one.event for one in plans if one.source == source}
    rows = _events(store, source)
    rows = rows.mutate(label=ibis.ifelse(rows[c.KIND] == "track", rows[c.NAME], None))
    counted = rows.group_by([c.KIND, "label"]).aggregate(
        events=rows.count(), first=rows[c.RECEIVED_AT].min(), last=rows[c.RECEIVED_AT].max()
    )
    made = [
        {
            "event": event_key(row[c.KIND], row["label"]),
            "events": row["events"],
            "first_received_at": row["first"].isoformat(timespec="seconds") + "Z",
            "last_received_at": row["last"].isoformat(timespec="seconds") + "Z",
        }
        for row in counted.to_pyarrow().to_pylist()
    ]
    found = [one for one in made if one["event"] not in planned]
    return sorted(found, key=lambda one: (-one["events"], one["event"]))


def draft_plans(
    store: Store, source: str, *, since: datetime | None = None
) -> dict[str, dict[str, Any]]:
    """Event → a draft of its schema, from the newest 50,000 events of `source`.

    Parameters
    ----------
    since
        Naive UTC; events received before are left out.
    """
    rows = _events(store, source)
    if since is not None:
        rows = _since(rows, c.RECEIVED_AT, naive_utc(since) if since.tzinfo else since)
    newest = rows.select(c.KIND, c.NAME, c.PROPERTIES, c.RECEIVED_AT, c.EVENT_ID).order_by(
        [ibis.desc(c.RECEIVED_AT), c.EVENT_ID]
    )
    seen: dict[str, list[Mapping[str, Any]]] = {}
    for row in newest.limit(_MAX_DRAFT).to_pyarrow().to_pylist():
        fields = json.loads(row[c.PROPERTIES]) if row[c.PROPERTIES] else {}
        of = "traits" if row[c.KIND] in ("identify", "group") else "properties"
        seen.setdefault(event_key(row[c.KIND], row[c.NAME]), []).append(fields.get(of) or {})
    return {event: draft_schema(seen[event]) for event in sorted(seen) if event}

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""New ids for the facts of a person who is erased, where the old ones say whose they are.

An id of an event, a touch, a text, a decision or a message is, or may be, a hash of her own; an
order's id is the shop's, and changes only where it holds one of her identifiers. The new id is a
hash with a nonce that the caller keeps until the erasure is done and then forgets: a run that was
killed gives the same new ids again, and afterwards nobody can tell which was which.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from zhiyin.core import columns as c
from zhiyin.core.ledger import messages, steps
from zhiyin.store.ledger import transaction
from zhiyin.store.workspace import WorkspaceStore

ERASED = "[erased]"
_OWN = {"touches": c.TOUCH_ID, "texts": c.TEXT_ID, "decisions": c.DECISION_ID,
        "events": c.EVENT_ID}  # fmt: skip
_ORDERED = ("order_lines", "orders", "events", "item_events")
_FREE = {
    "orders": (c.PROPERTIES,), "order_lines": (c.PROPERTIES,), "touches": (c.PROPERTIES,),
    "contracts": (c.PROPERTIES,),
    "texts": (c.PROPERTIES, c.BODY),
    "events": (c.PROPERTIES, c.FINDINGS, c.NAME, c.QUERY, c.PAGE, c.REFERRER, c.CART_ID,
               c.UTM_SOURCE, c.UTM_MEDIUM, c.UTM_CAMPAIGN, c.UTM_CONTENT, c.UTM_TERM),
    "item_events": (c.CART_ID, c.LIST_ID),
}  # fmt: skip
_NEW = re.compile(r"(?:^|:)x_[0-9a-f]{32}(?:$|:)")


@dataclass(frozen=True)
class Needles:
    """What must not be left: identifiers and texts of one person. No repr shows them."""

    texts: tuple[str, ...] = field(repr=False)

    def found_in(self, text: str | None) -> bool:
        """Whether the text holds one of them; digits count only as a whole number."""
        return bool(text) and self._pattern.search(text or "") is not None

    def blank(self, text: str) -> str:
        """The text with each of them replaced."""
        return self._pattern.sub(ERASED, text)

    @property
    def _pattern(self) -> re.Pattern[str]:
        parts = [_part(one) for one in sorted(self.texts, key=len, reverse=True) if one]
        return re.compile("|".join(parts) or r"(?!)", re.IGNORECASE)


def _part(needle: str) -> str:
    escaped = re.escape(needle)
    if needle.isdigit():
        return rf"(?<!\d){escaped}(?!\d)"
    return escaped if len(needle) >= 4 else rf"(?<!\w){escaped}(?!\w)"


def rekey_person(
    store: WorkspaceStore, party_ids: Sequence[str], *, needles: Needles, nonce: bytes
) -> dict[str, int]:
    """Give the facts and messages of the person new ids; how many of each kind.

    Call it before `erase_parties`, while her rows can be told by her parties. Texts and further
    fields of her facts lose what names her. No row comes or goes and no amount changes.
    """
    wanted = sorted(set(party_ids))
    counts = {c.OUTCOME_ID: _rekey_outcomes(store, wanted, nonce)}
    for table, column in _OWN.items():
        own = {one: _fresh(nonce, one) for one in _old_ids(store, table, column, wanted)}
        _put(store, table, column, own)
        counts[column] = len(own)
    counts[c.ITEM_EVENT_ID] = _rekey_items(store, wanted, nonce)
    counts |= _rekey_orders(store, wanted, needles, nonce)
    counts[c.MESSAGE_ID] = _rekey_messages(store, wanted, nonce)
    for table, columns in _FREE.items():
        for column in columns:
            cleaned = _clean(store, table, column, wanted, needles)
            counts[column] = counts.get(column, 0) + cleaned
    return {name: count for name, count in counts.items() if count}


def scrub_steps(store: WorkspaceStore, ids: Sequence[str]) -> int:
    """Blank ids of a person, her messages and decisions in the stored reports of jobs, before
    they change; how many reports named one."""
    changed, longest = 0, sorted(ids, key=len, reverse=True)  # an id may hold another
    with transaction(store.ledger) as connection:
        for row in connection.execute(
            sa.select(steps.c.turn_id, steps.c.job, steps.c.report)
        ).all():
            text = json.dumps(row.report, ensure_ascii=False)
            clean = text
            for one in longest:
                clean = clean.replace(one, ERASED)
            if clean != text:
                mine = (steps.c.turn_id == row.turn_id) & (steps.c.job == row.job)
                connection.execute(steps.update().where(mine).values(report=json.loads(clean)))
                changed += 1
    return changed


def delete_quarantined(store: WorkspaceStore, keys: Sequence[Mapping[str, Any]]) -> int:
    """Delete refused rows by load, line and reason; how many keys were given."""
    if keys:
        source = pa.Table.from_pylist([dict(one) for one in keys])
        on = " AND ".join(f't."{one}" = s."{one}"' for one in source.column_names)
        store.lake.merge("quarantine", source, on=on, set_to=None)
    return len(keys)


def _fresh(nonce: bytes, old: str) -> str:
    source, colon, _ = old.partition(":")
    digest = hashlib.blake2b(old.encode(), key=nonce, digest_size=16).hexdigest()
    return f"{source}:x_{digest}" if colon else f"x_{digest}"


def _old_ids(store: WorkspaceStore, table: str, column: str, wanted: Sequence[str]) -> list[str]:
    """The person's ids of one kind that have not been replaced yet."""
    return [one for one in _ids_of(store, table, column, wanted) if not _NEW.search(one)]


def _ids_of(store: WorkspaceStore, table: str, column: str, wanted: Sequence[str]) -> list[str]:
    """The distinct values of a column in the person's rows of a table."""
    if store.lake.open(table) is None:
        return []
    rows = store.read_stored(table)
    mine = rows[c.PARTY_ID].isin(list(wanted))
    if c.CUSTOMER_ID in rows.columns:
        mine = mine | rows[c.CUSTOMER_ID].isin(list(wanted))
    found = rows.filter(mine & rows[column].notnull()).select(column).distinct()
    return sorted(found.to_pyarrow().column(column).to_pylist())


def _put(store: WorkspaceStore, table: str, column: str, fresh: Mapping[str, str]) -> None:
    if fresh and store.lake.open(table) is not None:
        source = pa.table({c.KEY: list(fresh), c.VALUE: list(fresh.values())})
        store.lake.merge(
            table,
            source,
            on=f't."{column}" = s."{c.KEY}"',
            set_to={column: f's."{c.VALUE}"'},
        )


def _rekey_orders(
    store: WorkspaceStore, wanted: Sequence[str], needles: Needles, nonce: bytes
) -> dict[str, int]:
    """Orders and lines whose ids hold an identifier: the same new id in all tables."""
    held = {one for table in _ORDERED for one in _old_ids(store, table, c.ORDER_ID, wanted)}
    orders = {one: _fresh(nonce, one) for one in sorted(held) if needles.found_in(_own_part(one))}
    lines: dict[str, str] = {}
    for one in _old_ids(store, "order_lines", c.LINE_ID, wanted):
        order = next((old for old in _starts(one) if old in orders), None)
        if order is not None:
            rest = one.removeprefix(order)
            lines[one] = orders[order] + (_fresh(nonce, rest) if needles.found_in(rest) else rest)
        elif needles.found_in(_own_part(one)):
            lines[one] = _fresh(nonce, one)
    _put(store, "order_lines", c.LINE_ID, lines)
    _put(store, "order_lines", c.RETURNS_LINE_ID, lines)
    for table in _ORDERED:
        _put(store, table, c.ORDER_ID, orders)
    return {c.ORDER_ID: len(orders), c.LINE_ID: len(lines)}


def _rekey_items(store: WorkspaceStore, wanted: Sequence[str], nonce: bytes) -> int:
    """The products of the person's events follow the new ids of the events."""
    events = {one: _fresh(nonce, one) for one in _old_ids(store, "item_events", c.EVENT_ID, wanted)}
    items: dict[str, str] = {}
    for one in _old_ids(store, "item_events", c.ITEM_EVENT_ID, wanted):
        event, _, place = one.rpartition(":")
        items[one] = f"{_fresh(nonce, event)}:{place}"
    _put(store, "item_events", c.ITEM_EVENT_ID, items)
    _put(store, "item_events", c.EVENT_ID, events)
    return len(items)


def _own_part(id_: str) -> str:
    """`source:id` without the source, which names no person."""
    return id_.partition(":")[2] or id_


def _starts(line_id: str) -> Iterable[str]:
    """What stands before each colon of a line's id, longest first: one of them is its order."""
    parts = line_id.split(":")
    return (":".join(parts[:end]) for end in range(len(parts) - 1, 0, -1))


def _rekey_outcomes(store: WorkspaceStore, wanted: Sequence[str], nonce: bytes) -> int:
    """New ids for what came of her decisions, also where it was reported under the decision alone
    and nobody knew yet whose that was; the decisions' follow.
    """
    if store.lake.open("outcomes") is None:
        return 0
    held = [one for table in ("outcomes", "decisions")
            for one in _old_ids(store, table, c.DECISION_ID, wanted)]  # fmt: skip
    decisions = {one: _fresh(nonce, one) for one in sorted(set(held))}
    rows = store.read_stored("outcomes")
    named = store.to_ibis(pa.table({c.DECISION_ID: pa.array([*decisions], pa.string())}))
    hers = rows.filter(rows[c.PARTY_ID].isin(list(wanted))).select(c.OUTCOME_ID)
    found = hers.union(rows.semi_join(named, c.DECISION_ID).select(c.OUTCOME_ID)).to_pyarrow()
    own = {
        one: _fresh(nonce, one)
        for one in sorted(set(found[c.OUTCOME_ID].to_pylist()))
        if not _NEW.search(one)
    }
    _put(store, "outcomes", c.OUTCOME_ID, own)
    _put(store, "outcomes", c.DECISION_ID, decisions)
    return len(own)


def _rekey_messages(store: WorkspaceStore, wanted: Sequence[str], nonce: bytes) -> int:
    """New ids for the person's messages, in the ledger and where touches name them."""
    touched = _old_ids(store, "touches", c.MESSAGE_ID, wanted)
    _put(store, "touches", c.MESSAGE_ID, {one: _fresh(nonce, one) for one in touched})
    mine = messages.c.party_id.in_(wanted) | messages.c.customer_id.in_(wanted)
    with transaction(store.ledger) as connection:
        rows = connection.execute(
            sa.select(messages.c.message_id, messages.c.decision_id).where(mine)
        ).all()
        changes = [
            {
                "old": row.message_id,
                "fresh": _fresh(nonce, row.message_id),
                "decision": row.decision_id and _fresh(nonce, row.decision_id),
            }
            for row in rows
            if not _NEW.search(row.message_id)
        ]
        if changes:
            connection.execute(
                messages.update()
                .where(messages.c.message_id == sa.bindparam("old"))
                .values(message_id=sa.bindparam("fresh"), decision_id=sa.bindparam("decision")),
                changes,
            )
    return len(changes)


def _clean(
    store: WorkspaceStore, table: str, column: str, wanted: Sequence[str], needles: Needles
) -> int:
    """Blank what names the person in a text column of her rows; how many rows changed.

    Texts are found by their content: two rows with the same text are cleaned together.
    """
    texts = _ids_of(store, table, column, wanted)
    json_ = column == c.PROPERTIES
    fresh = {one: _without(one, needles, json_=json_) for one in texts if needles.found_in(one)}
    fresh = {old: new for old, new in fresh.items() if new != old}
    _put(store, table, column, fresh)
    return len(fresh)


def _without(text: str, needles: Needles, *, json_: bool) -> str:
    if not json_:
        return needles.blank(text)
    try:
        values = json.loads(text)
    except ValueError:
        return needles.blank(text)
    if not isinstance(values, dict):
        return json.dumps(ERASED)
    return json.dumps(_pruned(values, needles), ensure_ascii=False, sort_keys=True)


def _pruned(value: Any, needles: Needles) -> Any:
    """JSON without the innermost fields that hold one of the needles, in key or value."""
    if isinstance(value, dict):
        return {
            key: _pruned(one, needles)
            for key, one in value.items()
            if not needles.found_in(key) and not _is_found(one, needles)
        }
    if isinstance(value, list):
        return [_pruned(one, needles) for one in value if not _is_found(one, needles)]
    return value


def _is_found(value: Any, needles: Needles) -> bool:
    """Whether a value without parts holds one of the needles."""
    if isinstance(value, dict | list):
        return False
    return needles.found_in(value if isinstance(value, str) else json.dumps(value))

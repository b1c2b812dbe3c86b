# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""One file, checked and shaped: which rows go to the lake, which to quarantine, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.collect import lines, money, times
from zhiyin.collect.files import Raw
from zhiyin.collect.mapping import CONSENTS, Mapping
from zhiyin.collect.people import People, find_people, personal_fields, seal_rows
from zhiyin.collect.row_ids import hide_people
from zhiyin.collect.shape import (
    EPOCH,
    Headers,
    lake_rows,
    month_of,
    properties_of,
    sort_headers,
)
from zhiyin.collect.validate import check_rows
from zhiyin.collect.values import DELETED, Checked, Terms
from zhiyin.core import columns as c
from zhiyin.core.config import Settings
from zhiyin.core.protocols import Vault
from zhiyin.core.tables import TABLES
from zhiyin.govern.identifiers import calling_code_of

_NEED_PARTY = frozenset({"customers", "contracts", "touches", CONSENTS})


@dataclass(frozen=True)
class Prepared:
    """A checked file.

    `accept` (n,) bool: rows for the lake; `repeated` (n,) bool: exact duplicates of an accepted
    row. All other rows are refused, with their reason in `checked.problems`.
    """

    checked: Checked
    people: People
    headers: Headers
    accept: np.ndarray
    repeated: np.ndarray
    terms: Terms

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader of the report should know."""
        made = []
        if self.headers.personal:
            made.append(f"kept encrypted: {', '.join(self.headers.personal)}")
        if self.headers.doubtful:
            names = ", ".join(self.headers.doubtful)
            made.append(f"looks personal, and is kept readable by the mapping: {names}")
        if self.headers.dropped:
            made.append(f"not kept (no place in the table): {', '.join(self.headers.dropped)}")
        return tuple(made)


def prepare(raw: Raw, table: str, *, terms: Terms, settings: Settings, vault: Vault) -> Prepared:
    """Check every row of `raw` for `table`; nothing is written."""
    mapping = terms.mapping
    checked = check_rows(raw, table, terms=terms)
    people = find_people(checked, mapping=mapping, vault=vault)
    hide_people(checked, mapping=mapping, vault=vault)
    if table in _NEED_PARTY:
        checked.problems.flag(~people.present, "missing_key", "the row names no customer")
    if table == "order_lines":
        kinds = lines.classify_lines(checked, mapping=mapping, party_known=people.present)
        lines.settle_amounts(checked, mapping=mapping, revenue=settings.revenue, kinds=kinds)
        lines.number_lines(checked, mapping=mapping)
        names = pa.array(lines.KIND_NAMES)
        checked.columns[c.KIND] = names.take(pa.array(kinds))
    elif table == "orders":
        lines.settle_amounts(checked, mapping=mapping, revenue=settings.revenue, kinds=None)
    elif table == "contracts":
        checked.columns[c.OCCURRED_AT] = _midnights(checked.columns[c.START_ON], terms.zone)
    accept, repeated = _settle_keys(checked, people, mapping)
    return Prepared(checked, people, sort_headers(checked, mapping), accept, repeated, terms)


def _settle_keys(
    checked: Checked, people: People, mapping: Mapping
) -> tuple[np.ndarray, np.ndarray]:
    """Drop exact duplicates of a key; refuse rows of one key that differ (or keep one)."""
    good = checked.problems.ok
    repeated = np.zeros(checked.count, bool)
    if checked.table == CONSENTS or (
        checked.table == "order_lines" and c.LINE_ID not in mapping.columns
    ):
        return good, repeated
    names = [n for n in TABLES[checked.table].key if n in checked.columns or n == c.PARTY_ID]
    parts = [
        lines.codes_of(people.party if n == c.PARTY_ID else _text(checked.columns[n]))
        for n in names
    ]
    keys = np.where(good, lines.combine_codes(parts), -1 - np.arange(checked.count))
    places = np.flatnonzero(pd.Series(keys).duplicated(keep=False).to_numpy())
    if not len(places):
        return good, repeated
    kept = [n for n in checked.raw.rows.column_names if n not in mapping.ignore]
    if mapping.conflicts != "quarantine":
        keep = "first" if mapping.conflicts == "first" else "last"
        if mapping.conflicts == "newest" and (moments := _moments(checked)) is not None:
            places = places[np.argsort(moments[places], kind="stable")]
        repeated[places] = pd.Series(keys[places]).duplicated(keep=keep).to_numpy()
        return good & ~repeated, repeated
    rows = checked.raw.rows.select(kept).take(pa.array(places)).to_pandas().astype("string")
    rows["_key"] = keys[places]
    same = rows.duplicated(keep="first").to_numpy()
    kinds = rows.drop_duplicates().groupby("_key").size()
    conflict = rows["_key"].map(kinds).to_numpy() > 1
    flagged = np.zeros(checked.count, bool)
    flagged[places[conflict]] = True
    checked.problems.flag(
        flagged, "conflicting_duplicate", "another row of the file has this key and differs"
    )
    repeated[places[same & ~conflict]] = True
    return checked.problems.ok & ~repeated, repeated


def _moments(checked: Checked) -> np.ndarray | None:
    """From when each row holds, where the file says so."""
    for name in (c.VALID_AT, TABLES[checked.table].time):
        if name in checked.columns:
            return checked.array(name).astype("datetime64[us]")
    return None


def _text(column: pa.Array) -> pa.Array:
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def shape_rows(
    prepared: Prepared, rows: np.ndarray, *, vault: Vault, load_id: str
) -> tuple[pa.Table, int]:
    """The lake rows of the places `rows`, as first revisions; and how many rows had personal
    fields but no party (those fields are not kept)."""
    checked, terms = prepared.checked, prepared.terms
    schema, take = TABLES[checked.table], pa.array(rows)
    whole = len(rows) > 0 and rows[-1] - rows[0] + 1 == len(rows)  # no gap: a slice is no copy

    def part(column: pa.Array) -> pa.Array:
        return column.slice(rows[0], len(rows)) if whole else column.take(take)

    columns = {n: part(column) for n, column in checked.columns.items() if n in schema.names}
    party = part(prepared.people.party)
    lost = 0
    if c.PARTY_ID in schema.names:
        columns[c.PARTY_ID] = party
    if c.PROPERTIES in schema.names:
        raw = checked.raw.rows.select(list(prepared.headers.properties)).take(take)
        columns[c.PROPERTIES] = (
            properties_of(raw, prepared.headers.properties, terms.mapping.multiple)
            if prepared.headers.properties
            else pa.nulls(len(rows), pa.string())
        )
    if c.PERSONAL in schema.names:
        fields = personal_fields(
            checked, rows, headers=prepared.headers.personal, mapping=terms.mapping
        )
        columns[c.PERSONAL], lost = seal_rows(vault, party, fields)
    if schema.name == "orders":
        columns[c.STATUS] = _status(columns, terms.mapping)
    if schema.name == "spend":
        columns[c.OCCURRED_AT] = _midnights(columns[c.SPENT_ON], terms.zone)
    columns[c.VALID_AT] = _valid_at(prepared, columns, len(rows))
    if DELETED in checked.columns:
        flags = part(checked.columns[DELETED])
        columns[c.OP] = pc.if_else(flags, "delete", "upsert")
        now = pa.scalar(terms.now, pa.timestamp("us"))
        columns[c.VALID_AT] = pc.if_else(flags, now, columns[c.VALID_AT])
    made = lake_rows(
        columns, schema, len(rows), revision=1, op="upsert", recorded_at=terms.now,
        undated=c.VALID_AT not in checked.columns, suspect=False, source=terms.mapping.source,
        load_id=load_id, loaded_at=terms.now,
    )  # fmt: skip
    return month_of(made, schema), lost


def _status(columns: dict[str, pa.Array], mapping: Mapping) -> pa.Array:
    amount = columns[c.AMOUNT_MINOR].to_numpy(zero_copy_only=False)
    made: pa.Array = pa.array(np.where(amount < 0, "returned", "completed"), pa.string())
    if mapping.cancellation_prefix:
        start = f"{mapping.source}:{mapping.cancellation_prefix}"
        made = pc.if_else(pc.starts_with(columns[c.ORDER_ID], start), "cancelled", made)
    return pc.coalesce(columns[c.STATUS], made) if c.STATUS in columns else made


def _midnights(days: pa.Array, zone: str) -> pa.Array:
    moments, _ = times.parse_times(pa.chunked_array([days]), zone=zone)
    return pa.array(moments, pa.timestamp("us"))


def _valid_at(prepared: Prepared, columns: dict[str, pa.Array], count: int) -> pa.Array:
    """From when the rows hold: as the file says; else business time; else always or now."""
    table, terms = TABLES[prepared.checked.table], prepared.terms
    fallback = EPOCH if terms.mapping.static else terms.now
    if c.VALID_AT in columns:
        return pc.fill_null(columns[c.VALID_AT], pa.scalar(fallback, pa.timestamp("us")))
    if table.time is not None and table.revisions:
        return columns[table.time]
    return pa.repeat(pa.scalar(fallback, pa.timestamp("us")), count)


def make_terms(
    settings: Settings,
    mapping: Mapping,
    *,
    now: datetime,
    rates: money.Rates,
    orders_of: Callable[[pa.Array], pa.Table] | None = None,
) -> Terms:
    """What the values of a file are measured by."""
    return Terms(
        mapping=mapping,
        zone=mapping.zone or settings.zone,
        currency=mapping.currency or settings.currency,
        base=settings.currency,
        now=now,
        rates=rates,
        orders_of=orders_of,
    )


def seen_identifiers(prepared: Prepared) -> pd.DataFrame:
    """Identifiers of accepted rows with the time they are known from.

    Returns
    -------
    `namespace`, `value`, `party_id`, `valid_at` (the earliest time of a row of the party).
    """
    known, checked = prepared.people.known, prepared.checked
    mine = prepared.people.party.filter(pa.array(prepared.accept))
    known = known.loc[known[c.PARTY_ID].isin(pc.unique(mine).to_pylist())]
    if checked.table == "customers" and c.VALID_AT not in checked.columns:
        moment = EPOCH if prepared.terms.mapping.static else prepared.terms.now
        return known.assign(**{c.VALID_AT: pd.Timestamp(moment)})
    first = first_seen(prepared)
    place = first.index.get_indexer(pd.Index(known[c.PARTY_ID]))
    return known.assign(**{c.VALID_AT: first.to_numpy()[place]})


def first_seen(prepared: Prepared) -> pd.Series:
    """The earliest business time of the accepted rows of each party; index `party_id`."""
    checked = prepared.checked
    schema = TABLES.get(checked.table)
    name = schema.time if schema is not None and schema.time else c.VALID_AT
    if checked.table == CONSENTS:
        name = c.AT
    moments = (
        checked.array(name).astype("datetime64[us]")
        if name in checked.columns
        else np.full(checked.count, np.datetime64(prepared.terms.now, "us"))
    )
    rows = prepared.accept & prepared.people.present
    codes = lines.codes_of(prepared.people.party)[rows]
    earliest = pd.Series(moments[rows]).groupby(codes).min()
    place = pd.Series(np.flatnonzero(rows)).groupby(codes).first()
    names = prepared.people.party.take(pa.array(place.to_numpy())).to_pylist()
    return pd.Series(earliest.to_numpy(), index=pd.Index(names, dtype=object))


def with_static(mapping: Mapping, settings: Settings, table: str) -> Mapping:
    """The mapping with what the workspace says where it says nothing: customers' attributes are
    static, and phone numbers are of a country.
    """
    changes: dict[str, object] = {}
    if table == "customers" and settings.demographics_static and not mapping.static:
        changes["static"] = True
    if settings.identity.country and not mapping.calling_code:
        changes["calling_code"] = calling_code_of(settings.identity.country)
    return mapping.model_copy(update=changes) if changes else mapping

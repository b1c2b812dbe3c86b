# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Identifiers of a party, and dated merges: this party is the same person as that one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.collect.merge_guards import Limits
from zhiyin.collect.resolve import resolve
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.protocols import Store, Vault
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import TABLES
from zhiyin.govern.identifiers import strength
from zhiyin.govern.suppression import identify

Named = tuple[str, str]
"""Namespace and normalised value of an identifier; the value is personal."""

_EVIDENCE = pa.schema(
    [
        arrow_schema(TABLES["identities"]).field(name)
        for name in (c.IDENTITY_ID, c.NAMESPACE, c.PARTY_ID, c.VALID_AT, c.SOURCE)
    ]
)


def merge(
    store: Store,
    party_id: str,
    *,
    into: str,
    at: datetime,
    rule: str,
    evidence: Mapping[str, object] | None = None,
) -> int:
    """Note that `party_id` is the same person as `into` from `at` on; rows written (0 if known).

    Raises
    ------
    InvalidParameter
        If a party would be merged into itself.
    """
    if party_id == into:
        raise InvalidParameter("a party cannot be merged into itself")
    moment = naive_utc(at)
    row = {
        c.PARTY_ID: party_id, c.INTO: into, c.AT: moment, c.RULE: rule,
        c.EVIDENCE: json.dumps(dict(evidence or {}), sort_keys=True), c.UNDONE_AT: None,
    }  # fmt: skip
    rows = pa.Table.from_pylist([row], schema=arrow_schema(TABLES["merges"]))
    return store.append("merges", rows, app=_app("merge", party_id, into, moment))


def undo(store: Store, party_id: str, *, into: str, undone_at: datetime) -> int:
    """Let the merges of `party_id` into `into` no longer hold from `undone_at` on; how many.

    Each is appended once more with `undone_at`; days before that still see them merged.

    Raises
    ------
    NotFound
        If there is no such merge, or it was undone already.
    """
    held = store.read("merges")
    mine = held.filter(
        (held[c.PARTY_ID] == party_id) & (held[c.INTO] == into) & held[c.UNDONE_AT].isnull()
    )
    rows = mine.select(*TABLES["merges"].names).to_pyarrow().cast(arrow_schema(TABLES["merges"]))
    if rows.num_rows == 0:
        raise NotFound("these two parties are not merged")
    moment = naive_utc(undone_at)
    undone = [{**row, c.UNDONE_AT: moment} for row in rows.to_pylist()]
    made = pa.Table.from_pylist(undone, schema=rows.schema)
    return store.append("merges", made, app=_app("undo", party_id, into, moment))


def _app(what: str, party_id: str, into: str, moment: datetime) -> str:
    """Names the append in the lake's log, without the parties."""
    text = f"{what}|{party_id}|{into}|{moment.isoformat()}"
    return f"{what}:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def record_identities(
    store: Store, vault: Vault, known: pd.DataFrame, *, source: str, load_id: str, now: datetime
) -> tuple[int, pa.Array]:
    """Append the identifiers that the lake does not hold yet; how many, and which.

    The `identity_id`s are those that the load brought, also when it is resumed. `known` has
    `namespace`, `value` (normalised), `party_id` and `valid_at`; the value itself is never stored,
    only its keyed hash.
    """
    if known.empty:
        return 0, pa.array([], pa.string())
    rows = known.sort_values([c.VALID_AT, c.NAMESPACE, c.PARTY_ID]).copy()
    rows[c.IDENTITY_ID] = [
        vault.token("identity", f"{namespace}|{value}")
        for namespace, value in zip(rows[c.NAMESPACE], rows["value"], strict=True)
    ]
    keys = [c.IDENTITY_ID, c.PARTY_ID]
    rows = rows.drop_duplicates(keys)
    held = store.read("identities").select(*keys, c.LOAD_ID).to_pyarrow().to_pandas()
    held = held[held[c.LOAD_ID] != load_id]
    fresh = rows.merge(held[keys], on=keys, how="left", indicator=True)
    fresh = fresh[fresh["_merge"] == "left_only"].assign(
        **{c.SOURCE: source, c.LOAD_ID: load_id, c.LOADED_AT: now}
    )
    schema = arrow_schema(TABLES["identities"])
    if fresh.empty:
        return 0, pa.array([], pa.string())
    table = pa.Table.from_pandas(fresh[list(schema.names)], schema=schema, preserve_index=False)
    ids = pa.array(sorted(set(fresh[c.IDENTITY_ID])), pa.string())
    return store.append("identities", table, app=f"{load_id}:identities"), ids


def see_together(
    vault: Vault, pairs: Iterable[tuple[Named, Named, datetime]], *, source: str
) -> pa.Table:
    """Evidence for `resolve` from identifiers that were seen together, as an event tells of them.

    Parameters
    ----------
    pairs
        Two identifiers, (namespace, normalised value) each, and when they were seen together,
        aware. The stronger one's party is the record.

    Returns
    -------
    `identity_id`, `namespace`, `party_id`, `valid_at`, `source`: two rows a pair.
    """
    rows: list[dict[str, object]] = []
    for one, other, at in pairs:
        owner = min(one, other, key=lambda named: (strength(named[0]), named))
        (party,) = vault.party_ids(owner[0], [owner[1]])
        rows += [
            {
                c.IDENTITY_ID: identify(vault, *named), c.NAMESPACE: named[0], c.PARTY_ID: party,
                c.VALID_AT: naive_utc(at), c.SOURCE: source,
            }
            for named in (one, other)
        ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=_EVIDENCE)


def join_records(
    store: Store, *, app: str, limits: Limits | None = None, fresh: pa.Array | None = None
) -> tuple[int, int]:
    """Append the merges and conflicts that the identifiers of the lake call for; how many.

    Parameters
    ----------
    app
        Names the append: a load's id, for example. The same one writes once.
    fresh
        `identity_id`s that are new since the last time; only records around them are read. None:
        all identifiers.
    """
    evidence = _read_evidence(store, fresh)
    pairs, undone = _read_pairs(store, evidence)
    found = resolve(evidence, limits=limits, held=pairs, apart=undone, fresh=fresh)
    known = store.read("identity_conflicts").select(c.CONFLICT_ID).to_pyarrow()
    new = pc.is_in(
        found.conflicts.column(c.CONFLICT_ID),
        value_set=known.column(c.CONFLICT_ID).combine_chunks(),
    )
    conflicts = found.conflicts.filter(pc.invert(new))
    made = 0
    if found.merges.num_rows:
        made = store.append("merges", found.merges, app=f"{app}:merges")
    if conflicts.num_rows:
        store.append("identity_conflicts", conflicts, app=f"{app}:identity_conflicts")
    return made, conflicts.num_rows


def _read_evidence(store: Store, fresh: pa.Array | None) -> pa.Table:
    """Identities of all records that have a fresh identifier, and of all who are one with them."""
    identities = store.read("identities")
    if fresh is not None:
        ids = store.to_ibis(pa.table({c.IDENTITY_ID: fresh}))
        people = identities.semi_join(ids, c.IDENTITY_ID).select(c.CUSTOMER_ID).distinct()
        near = store.to_ibis(people.to_pyarrow())
        identities = identities.semi_join(near, c.CUSTOMER_ID)
    return identities.select(*_EVIDENCE.names).to_pyarrow().cast(_EVIDENCE)


def _read_pairs(
    store: Store, evidence: pa.Table
) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """(party, into) of merges in force around the evidence, and of those that were undone."""
    parties = pc.unique(evidence.column(c.PARTY_ID))
    both = {}
    for name in (c.PARTY_ID, c.INTO):  # a record may be known by its merges alone
        rows = store.read("merges").select(c.PARTY_ID, c.INTO, c.UNDONE_AT)
        near = store.to_ibis(pa.table({name: parties}))
        found = rows.semi_join(near, name).to_pyarrow()
        undone = found.column(c.UNDONE_AT).is_valid().to_pylist()
        ends = zip(found.column(c.PARTY_ID).to_pylist(), found.column(c.INTO).to_pylist(),
                   strict=True)  # fmt: skip
        both |= dict.fromkeys(zip(ends, undone, strict=True))
    held = {pair for pair, was in both if not was}
    return held, {pair for pair, was in both if was} - held

"""Identifiers of a party, and dated merges: this party is the same person as that one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

import pandas as pd
import pyarrow as pa

from zhiyin.collect.mapping import EMAIL, PHONE
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.protocols import Store, Vault
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import TABLES

SAME_ROW = "same_row"


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
) -> int:
    """Append the identifiers that the lake does not hold yet; how many.

    `known` has `namespace`, `value` (normalised), `party_id` and `valid_at`; the value itself is
    never stored, only its keyed hash.
    """
    if known.empty:
        return 0
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
        return 0
    table = pa.Table.from_pandas(fresh[list(schema.names)], schema=schema, preserve_index=False)
    return store.append("identities", table, app=f"{load_id}:identities")


def propose_merges(identities: pd.DataFrame) -> pd.DataFrame:
    """Parties known by an e-mail or phone alone that one customer's row names as hers.

    Parameters
    ----------
    identities
        Rows of the table: `identity_id`, `namespace`, `party_id`, `valid_at`.

    Returns
    -------
    `party_id`, `into`, `at`, `namespace`; nothing where two customers share the identifier.
    """
    loose = identities[c.NAMESPACE].isin([EMAIL, PHONE])
    users = set(identities.loc[~loose, c.PARTY_ID])
    parties = identities.groupby(c.IDENTITY_ID)[c.PARTY_ID].transform("nunique")
    loose &= parties > 1
    made = []
    for _, group in identities[loose].groupby(c.IDENTITY_ID, sort=True):
        into = sorted(set(group[c.PARTY_ID]) & users)
        own = sorted(set(group[c.PARTY_ID]) - users)
        if len(into) == 1:
            at, namespace = group[c.VALID_AT].max(), min(group[c.NAMESPACE])
            made += [(party, into[0], at, namespace) for party in own]
    return pd.DataFrame(made, columns=[c.PARTY_ID, c.INTO, c.AT, c.NAMESPACE])


def merge_same_rows(store: Store) -> int:
    """Append the merges that the identities of the lake call for; how many are new."""
    wanted = [c.IDENTITY_ID, c.NAMESPACE, c.PARTY_ID, c.VALID_AT]
    proposed = propose_merges(store.read("identities").select(*wanted).to_pyarrow().to_pandas())
    if proposed.empty:
        return 0
    held = store.read("merges").select(c.PARTY_ID, c.INTO).to_pyarrow().to_pandas()
    pairs = set(zip(held[c.PARTY_ID], held[c.INTO], strict=True))
    count = 0
    for row in proposed.itertuples(index=False):
        party, into, at, namespace = row
        if (party, into) not in pairs:
            count += merge(
                store, party, into=into, at=at.to_pydatetime(), rule=SAME_ROW,
                evidence={"namespace": namespace},
            )  # fmt: skip
    return count

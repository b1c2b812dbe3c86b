# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Which parties are one person: merges that shared identifiers call for, and what forbids them.

Deterministic: the rows' order does not matter. Joins are made in the order of their evidence, the
earliest first, as long as the person that would come out breaks no guard; what is refused becomes
a conflict. Pure: tables in, tables out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pandas.util import hash_array
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from zhiyin.collect.merge_guards import AMBIGUOUS, SAME_ROW, SHARED, Guards, Limits, UnionFind
from zhiyin.core import columns as c
from zhiyin.core.parties import representatives
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import IDENTITY_CONFLICTS, MERGES
from zhiyin.govern.identifiers import strength

Pair = tuple[str, str]


@dataclass(frozen=True)
class Resolution:
    """Rows of the tables `merges` and `identity_conflicts`, sorted by time and id."""

    merges: pa.Table
    conflicts: pa.Table


@dataclass(frozen=True)
class _Graph:
    """Evidence as numbers: one row per identifier and party, by identifier, time and party.

    Codes follow from the ids alone, so they do not depend on the order of rows.
    """

    party: np.ndarray  # (n,) code
    identity: np.ndarray  # (n,) code
    namespace: np.ndarray  # (n,) code into `namespaces`
    at: np.ndarray  # (n,) int64, microseconds
    source: np.ndarray  # (n,) code into `sources`
    parties: pa.Array  # names by code
    identities: pa.Array
    namespaces: list[str]
    sources: list[str]


def resolve(
    evidence: pa.Table,
    *,
    limits: Limits | None = None,
    held: Iterable[Pair] = (),
    apart: Iterable[Pair] = (),
    fresh: pa.Array | None = None,
) -> Resolution:
    """The merges that identifiers seen with several parties call for.

    Parameters
    ----------
    evidence
        One row per identifier (`identity_id`, `namespace`) and record (`party_id`) it was seen
        with, since `valid_at`, by `source`: rows of table `identities`. Two identifiers that were
        seen together are two rows of one party.
    limits
        How many identifiers of a kind one person may have.
    held
        (party, into) of merges in force: their parties are one person already.
    apart
        Pairs that a person has said to be two people (undone merges): they stay so, and so do
        all who would join them.
    fresh
        `identity_id`s that are new; the rest of `evidence` only says whom it is about. None: all.

    Returns
    -------
    At most one merge per party: into the stronger of two records (a user id before a card, a phone
    number, an e-mail …, then the one known first), `at` = when both had been seen.
    """
    limits = limits or Limits()
    held, apart = sorted(set(held)), sorted(set(apart))
    graph, place = _number(evidence, [*held, *apart])
    counts = np.bincount(graph.identity, minlength=len(graph.identities))
    most = np.array([limits.most(one) for one in graph.namespaces], np.int64)
    new = np.ones(len(counts), bool) if fresh is None else _among(graph.identities, fresh)
    shared = counts > limits.parties_per_identifier
    chiefs = {place[party]: place[chief] for party, chief in representatives(held).items()}
    ambiguous = _ambiguous(graph, most, counts, usable=~shared, chiefs=chiefs)
    eligible = (counts > 1) & ~shared & ~ambiguous & new
    pairs = np.array([[place[a], place[b]] for a, b in held], np.int64).reshape(-1, 2)
    component = _components(graph, eligible[graph.identity], pairs)
    apart_codes = [(place[a], place[b]) for a, b in apart]
    guarded = _guarded(graph, component, most, counted=~shared[graph.identity])
    guarded[[component[a] for a, b in apart_codes if component[a] == component[b]]] = True
    edges = _edges(graph, eligible, guarded[component])
    union = UnionFind(chiefs, _order(graph))
    guards = Guards(
        union, most.tolist(), _bags(graph, guarded[component], ~shared[graph.identity]),
        apart_codes,
    )  # fmt: skip
    merged, refused = _join(edges, union, guards, guarded[component])
    refused += _listed(graph, shared & new, SHARED) + _listed(graph, ambiguous & new, AMBIGUOUS)
    return Resolution(_merge_rows(graph, merged), _conflict_rows(graph, refused))


def _number(evidence: pa.Table, pairs: Sequence[Pair]) -> tuple[_Graph, dict[str, int]]:
    extra = sorted({one for pair in pairs for one in pair})
    party, parties = _codes(evidence.column(c.PARTY_ID), extra)
    identity, identities = _codes(evidence.column(c.IDENTITY_ID))
    namespace, namespaces = _codes(evidence.column(c.NAMESPACE))
    source, sources = _codes(evidence.column(c.SOURCE))
    moments = evidence.column(c.VALID_AT).cast(pa.timestamp("us")).cast(pa.int64())
    at = np.asarray(moments.to_numpy(), np.int64)
    count = evidence.num_rows
    order = np.lexsort((source, at, party[:count], identity))
    key = identity[order] * (len(parties) + 1) + party[:count][order]
    first = np.ones(count, bool)
    first[1:] = key[1:] != key[:-1]
    kept = order[first]
    kept = kept[np.lexsort((party[kept], at[kept], identity[kept]))]
    graph = _Graph(
        party[kept], identity[kept], namespace[kept], at[kept], source[kept], parties, identities,
        namespaces.to_pylist(), sources.to_pylist(),
    )  # fmt: skip
    codes = pc.index_in(pa.array(extra, pa.string()), value_set=parties).to_pylist()
    return graph, dict(zip(extra, codes, strict=True))


def _codes(column: pa.ChunkedArray, extra: Sequence[str] = ()) -> tuple[np.ndarray, pa.Array]:
    """Codes, those of `extra` after the column's, and the values by code.

    Codes follow a fixed hash of the values, which is quicker to sort by than the values.
    """
    every = pa.chunked_array([*column.cast(pa.string()).chunks, pa.array(extra, pa.string())])
    encoded = every.combine_chunks().dictionary_encode()
    names: pa.Array = encoded.dictionary
    hashes = hash_array(names.to_numpy(zero_copy_only=False), categorize=False)
    order = np.argsort(hashes, kind="stable")
    if (hashes[order[1:]] == hashes[order[:-1]]).any():  # two values of one hash: rare
        order = np.asarray(pc.sort_indices(names))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank[encoded.indices.to_numpy(zero_copy_only=False)], names.take(pa.array(order))


def _among(values: pa.Array, wanted: pa.Array) -> np.ndarray:
    return pc.is_in(values, value_set=wanted).to_numpy(zero_copy_only=False)


def _ambiguous(
    graph: _Graph,
    most: np.ndarray,
    counts: np.ndarray,
    *,
    usable: np.ndarray,
    chiefs: dict[int, int],
) -> np.ndarray:
    """Identifiers of records that cannot be one person: two user ids of a source (or unionids).

    Ids of records that are one person already count as one.
    """
    person = np.arange(len(graph.parties))
    person[[*chiefs]] = [*chiefs.values()]
    same_id = np.full(len(counts), len(graph.parties), np.int64)
    np.minimum.at(same_id, graph.identity, person[graph.party])
    found = np.zeros(len(counts), bool)
    rows = np.flatnonzero((counts[graph.identity] > 1) & usable[graph.identity])
    strong = np.flatnonzero(most[graph.namespace] == 1)
    strong = strong[np.argsort(graph.party[strong], kind="stable")]
    owners = graph.party[strong]
    low = np.searchsorted(owners, graph.party[rows], "left")
    many = np.searchsorted(owners, graph.party[rows], "right") - low
    if not many.sum():
        return found
    begin = np.repeat(low - (np.cumsum(many) - many), many)
    match = strong[begin + np.arange(many.sum())]
    triples = np.unique(
        np.stack(
            [
                np.repeat(graph.identity[rows], many),
                graph.namespace[match],
                same_id[graph.identity[match]],
            ]
        ),
        axis=1,
    )
    same = (triples[0, 1:] == triples[0, :-1]) & (triples[1, 1:] == triples[1, :-1])
    found[triples[0, 1:][same]] = True
    return found


def _components(graph: _Graph, rows: np.ndarray, held: np.ndarray) -> np.ndarray:
    """The component of each party if nothing were forbidden."""
    people = len(graph.parties)
    size = people + len(graph.identities)
    one = np.concatenate([graph.party[rows], held[:, 0]])
    other = np.concatenate([people + graph.identity[rows], held[:, 1]])
    links = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(size, size))
    return connected_components(links, directed=False)[1][:people].astype(np.int64)


def _guarded(
    graph: _Graph, component: np.ndarray, most: np.ndarray, *, counted: np.ndarray
) -> np.ndarray:
    """Whether each component as a whole has too many identifiers of a kind: joins there must be
    looked at one by one. Where the whole breaks no limit, no part of it does.
    """
    flags = np.zeros(int(component.max(initial=-1)) + 1, bool)
    group = component[graph.party[counted]]
    key = np.sort(group * (len(graph.identities) + 1) + graph.identity[counted])
    key = key[np.append(True, key[1:] != key[:-1])] if len(key) else key
    group, identity = np.divmod(key, len(graph.identities) + 1)
    kind = np.zeros(len(graph.identities), np.int64)
    kind[graph.identity] = graph.namespace
    pair = np.sort(group * len(graph.namespaces) + kind[identity])
    if len(pair):
        begin = np.flatnonzero(np.append(True, pair[1:] != pair[:-1]))
        number = np.diff(np.append(begin, len(pair)))
        group, namespace = np.divmod(pair[begin], len(graph.namespaces))
        flags[group[number > most[namespace]]] = True
    return flags


def _edges(
    graph: _Graph, eligible: np.ndarray, guarded: np.ndarray
) -> list[tuple[int, int, int, int]]:
    """(at, row of the later record, party, party), earliest first. The records of one identifier
    are joined to its first; in guarded components every two of them are.
    """
    rows = np.flatnonzero(eligible[graph.identity])
    if not len(rows):
        return []
    starts = np.ones(len(rows), bool)
    starts[1:] = graph.identity[rows[1:]] != graph.identity[rows[:-1]]
    first = rows[np.maximum.accumulate(np.where(starts, np.arange(len(rows)), 0))]
    star = rows != first
    made = [np.stack([rows[star], first[star]])]
    for back in range(1, int(np.bincount(graph.identity[rows]).max())):
        later, earlier = rows[back:], rows[:-back]
        more = (graph.identity[later] == graph.identity[earlier]) & guarded[graph.party[later]]
        made.append(np.stack([later[more], earlier[more]]))
    later, earlier = np.concatenate(made, axis=1)
    order = np.lexsort(
        (graph.party[later], graph.party[earlier], graph.identity[later], graph.at[later])
    )
    later, earlier = later[order], earlier[order]
    return list(
        zip(
            graph.at[later].tolist(), later.tolist(), graph.party[earlier].tolist(),
            graph.party[later].tolist(), strict=True,
        )
    )  # fmt: skip


def _order(graph: _Graph) -> list[int]:
    """Place of each party among all: the smaller of two stands for both."""
    people = len(graph.parties)
    kinds = np.array([strength(one) for one in graph.namespaces], np.int64)
    best = np.full(people, len(kinds) + 100, np.int64)
    seen = np.full(people, np.iinfo(np.int64).max, np.int64)
    np.minimum.at(best, graph.party, kinds[graph.namespace] if len(kinds) else graph.namespace)
    np.minimum.at(seen, graph.party, graph.at)
    place = np.empty(people, np.int64)
    place[np.lexsort((np.arange(people), seen, best))] = np.arange(people)
    return place.tolist()


def _bags(
    graph: _Graph, guarded: np.ndarray, counted: np.ndarray
) -> dict[int, dict[int, set[int]]]:
    """Party → namespace → identifiers, of the parties in guarded components."""
    bags: dict[int, dict[int, set[int]]] = {}
    rows = np.flatnonzero(guarded[graph.party] & counted)
    for party, namespace, identity in zip(
        graph.party[rows].tolist(), graph.namespace[rows].tolist(), graph.identity[rows].tolist(),
        strict=True,
    ):  # fmt: skip
        bags.setdefault(party, {}).setdefault(namespace, set()).add(identity)
    return bags


Refused = tuple[int, int, int, int, str, int]
"""at, row, party, party, reason, number of records or -1"""


def _join(
    edges: Iterable[tuple[int, int, int, int]],
    union: UnionFind,
    guards: Guards,
    guarded: np.ndarray,
) -> tuple[list[tuple[int, int, int, int]], list[Refused]]:
    merged: list[tuple[int, int, int, int]] = []
    refused: list[Refused] = []
    careful = guarded.tolist()
    for at, row, one, other in edges:
        a, b = union.find(one), union.find(other)
        if a == b:
            continue
        if careful[one]:
            reason = guards.why_not(a, b)
            if reason:
                refused.append((at, row, min(one, other), max(one, other), reason, -1))
                continue
            guards.unite(a, b)
        loser, winner = union.unite(a, b)
        merged.append((at, row, loser, winner))
    return merged, refused


def _listed(graph: _Graph, chosen: np.ndarray, reason: str) -> list[Refused]:
    """One conflict for each chosen identifier: its first two records stand for all."""
    rows = np.flatnonzero(chosen[graph.identity])
    numbers = np.bincount(graph.identity[rows], minlength=len(chosen)).tolist()
    made: list[Refused] = []
    before = -1
    for row in rows.tolist():
        identity = int(graph.identity[row])
        if row and graph.identity[row - 1] == identity and before != identity:
            one, other = sorted((int(graph.party[row - 1]), int(graph.party[row])))
            made.append((int(graph.at[row]), row, one, other, reason, numbers[identity]))
            before = identity
    return made


def _merge_rows(graph: _Graph, merged: Sequence[tuple[int, int, int, int]]) -> pa.Table:
    at, row, loser, winner = _columns(merged, 4)
    said = {
        (namespace, source): json.dumps(
            {"namespace": graph.namespaces[namespace], "source": graph.sources[source]},
            sort_keys=True, ensure_ascii=False,
        )
        for namespace, source in set(
            zip(graph.namespace[row].tolist(), graph.source[row].tolist(), strict=True)
        )
    }  # fmt: skip
    pairs = zip(graph.namespace[row].tolist(), graph.source[row].tolist(), strict=True)
    return pa.table(
        {
            c.PARTY_ID: graph.parties.take(pa.array(loser)),
            c.INTO: graph.parties.take(pa.array(winner)),
            c.AT: pa.array(at).cast(pa.timestamp("us")),
            c.RULE: pa.repeat(pa.scalar(SAME_ROW), len(at)),
            c.EVIDENCE: pa.array([said[pair] for pair in pairs], pa.string()),
            c.UNDONE_AT: pa.nulls(len(at), pa.timestamp("us")),
        },
        schema=arrow_schema(MERGES),
    )


def _conflict_rows(graph: _Graph, refused: Sequence[Refused]) -> pa.Table:
    ordered = sorted(set(refused))
    rows = [one[1] for one in ordered]
    names = graph.parties.take(pa.array([one[2] for one in ordered], pa.int64())).to_pylist()
    others = graph.parties.take(pa.array([one[3] for one in ordered], pa.int64())).to_pylist()
    codes = graph.identity[rows].tolist() if rows else []
    identities = graph.identities.take(pa.array(codes, pa.int64())).to_pylist()
    made = []
    for (at, row, _, _, reason, number), party, other, identity in zip(
        ordered, names, others, identities, strict=True
    ):
        party, other = sorted((party, other))
        pair = [party, other] if reason not in (SHARED, AMBIGUOUS) else []
        key = "|".join([reason, identity, *pair])
        made.append(
            {
                c.CONFLICT_ID: hashlib.sha256(key.encode()).hexdigest()[:32],
                c.PARTY_ID: party,
                c.INTO: other,
                c.IDENTITY_ID: identity,
                c.NAMESPACE: graph.namespaces[graph.namespace[row]],
                c.AT: at,
                c.REASON: reason,
                c.N: None if number < 0 else number,
                c.SOURCE: graph.sources[graph.source[row]],
            }
        )
    schema = arrow_schema(IDENTITY_CONFLICTS)
    columns = {name: [row[name] for row in made] for name in schema.names}
    columns[c.AT] = pa.array(columns[c.AT], pa.int64()).cast(pa.timestamp("us"))
    return pa.table(columns, schema=schema)


def _columns(rows: Sequence[tuple[int, ...]], width: int) -> list[np.ndarray]:
    return list(np.array(rows, np.int64).reshape(-1, width).T)

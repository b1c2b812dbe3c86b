# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.
"""What a persona needs of the tables, summed by the engine: means, counts above cuts, shares."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.profile.persona import SMALLEST, Number, Share

SAMPLE = 20_000
"""Customers of whom the cut points of ranks are taken: the first by id, which is a keyed hash."""
BINS = 12
ATTRIBUTES = (c.LANGUAGE, c.COUNTRY, c.REGION, c.CITY)
INSIDE = "inside"
_KIND, _NAME, _VALUE = "kind", "name", "value"


def sides(features: ibis.Table, group: ibis.Table, base: ibis.Table | None = None) -> ibis.Table:
    """The features of the group and of the base, with `inside`: whether she is of the group.

    Parameters
    ----------
    features
        Rows of table `features` of one day.
    group, base
        `customer_id` of both, each once; no base: everyone. Who is in both is of the group.
    """
    mine = group.select(c.CUSTOMER_ID).distinct().mutate(**{INSIDE: ibis.literal(True)})
    joined = features.left_join(mine, c.CUSTOMER_ID).drop(f"{c.CUSTOMER_ID}_right")
    joined = joined.mutate(**{INSIDE: joined[INSIDE].fill_null(False)})
    if base is None:
        return joined
    others = base.select(c.CUSTOMER_ID).distinct().mutate(wanted=ibis.literal(True))
    both = joined.left_join(others, c.CUSTOMER_ID).drop(f"{c.CUSTOMER_ID}_right")
    return both.filter(both[INSIDE] | both["wanted"].fill_null(False)).drop("wanted")


def sizes(people: ibis.Table) -> tuple[int, int]:
    """Customers of the group and of the base, of what `sides` gives."""
    row = people.aggregate(n=people.count(where=people[INSIDE]), all=people.count())
    found = row.to_pyarrow().to_pylist()[0]
    return found["n"], found["all"] - found["n"]


def cut_points(people: ibis.Table, names: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Rising cut points of each feature, at quantiles of a sample; none for what is the same."""
    rows = people.select(c.CUSTOMER_ID, *names).order_by(c.CUSTOMER_ID).limit(SAMPLE).to_pyarrow()
    made: dict[str, tuple[float, ...]] = {}
    for name in names:
        values = np.asarray(rows[name].cast(pa.float64()).drop_null(), dtype=np.float64)
        values = values[np.isfinite(values)]
        if len(values) == 0 or values.min() == values.max():
            continue
        edges = np.quantile(values, np.arange(1, BINS) / BINS, method="inverted_cdf")
        cuts = [edge for edge in np.unique(edges) if edge < values.max()]
        # where nearly everybody has the highest value: a cut right below it
        made[name] = tuple(map(float, cuts)) or (float(values[values < values.max()].max()),)
    return made


def sum_numbers(people: ibis.Table, cuts: Mapping[str, Sequence[float]]) -> list[Number]:
    """Sums of the features over the two sides of what `sides` gives, both in one query."""
    rows = people.group_by(INSIDE).aggregate(**_sums(people, cuts)).to_pyarrow().to_pylist()
    found = {row[INSIDE]: row for row in rows}
    if not cuts or len(found) < 2:  # nothing to sum, or nobody to compare with
        return []
    here, there = found[True], found[False]
    made = []
    for name, edges in cuts.items():
        mine, others = (_of(row, name, len(edges)) for row in (here, there))
        if min(mine["n"], others["n"]) >= SMALLEST:
            made.append(
                Number(
                    name, mine["n"], mine["mean"], mine["variance"], mine["above"],
                    others["n"], others["mean"], others["variance"], others["above"],
                    min(mine["lowest"], others["lowest"]),
                )
            )  # fmt: skip
    return made


def labels(
    tags: ibis.Table,
    memberships: ibis.Table,
    customers: ibis.Table,
    *,
    valued: Collection[str] = (),
    without: Collection[tuple[str, str]] = (),
) -> ibis.Table:
    """What people are called: `customer_id`, `kind` (tag, segment, attribute), `name`, `value`.

    Parameters
    ----------
    tags, memberships
        Rows of the day.
    customers
        Records that the day sees.
    valued
        Tags whose values say something; the others count as such.
    without
        Pairs of kind and name that are left out: what the group itself is made of.
    """
    value = ibis.ifelse(tags[c.TAG].isin(list(valued)), tags[c.VALUE], ibis.literal(""))
    parts = [
        _labelled(tags, "tag", tags[c.TAG], value),
        _labelled(memberships, "segment", memberships[c.SCHEME], memberships[c.SEGMENT]),
        *(
            _labelled(customers, "attribute", ibis.literal(name), customers[name])
            for name in ATTRIBUTES
        ),
    ]
    made = ibis.union(*parts)
    made = made.filter(made[_VALUE].notnull() & made[c.CUSTOMER_ID].notnull()).distinct()
    for kind, name in sorted(without):
        made = made.filter(~((made[_KIND] == kind) & (made[_NAME] == name)))
    return made


def sum_shares(people: ibis.Table, named: ibis.Table, *, n: int, n_base: int) -> list[Share]:
    """How many of both sides have each label; those of fewer than `SMALLEST` are left out."""
    known = people.select(c.CUSTOMER_ID, INSIDE)
    mine = named.inner_join(known, c.CUSTOMER_ID)
    counted = mine.group_by([_KIND, _NAME, _VALUE]).agg(
        k=mine.count(where=mine[INSIDE]), k_base=mine.count(where=~mine[INSIDE])
    )
    rows = counted.filter(counted["k"] >= SMALLEST).order_by([_KIND, _NAME, _VALUE]).to_pyarrow()
    return [
        Share(row[_KIND], row[_NAME], row[_VALUE], row["k"], n, row["k_base"], n_base)
        for row in rows.to_pylist()
    ]


def places(features: ibis.Table, row: Mapping[str, Any]) -> dict[str, float]:
    """Where one customer stands among all of a day, ties half: feature → share in [0, 1].

    Features that she, or nearly nobody, has a value of are left out.
    """
    names = [name for name, value in row.items() if isinstance(value, int | float)]
    sums: dict[str, Any] = {}
    for name in names:
        at = features[name]
        value = ibis.literal(row[name])
        sums |= {
            f"{name}:below": (at < value).sum(), f"{name}:same": (at == value).sum(),
            f"{name}:n": at.count(),
        }  # fmt: skip
    found = features.aggregate(**sums).to_pyarrow().to_pylist()[0] if sums else {}
    return {
        name: (found[f"{name}:below"] + found[f"{name}:same"] / 2) / found[f"{name}:n"]
        for name in names
        if found[f"{name}:n"] >= SMALLEST
    }


def _labelled(rows: ibis.Table, kind: str, name: ibis.Value, value: ibis.Value) -> ibis.Table:
    return rows.select(
        c.CUSTOMER_ID,
        **{_KIND: ibis.literal(kind), _NAME: name.cast("string"), _VALUE: value.cast("string")},
    )


def _sums(people: ibis.Table, cuts: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    sums: dict[str, Any] = {}
    for name, edges in cuts.items():
        value = people[name].cast("float64")
        sums |= {
            f"{name}:n": value.count(), f"{name}:mean": value.mean(),
            f"{name}:variance": value.var(how="sample"), f"{name}:lowest": value.min(),
        }  # fmt: skip
        sums |= {f"{name}:{k}": (value > edge).sum() for k, edge in enumerate(edges)}
    return sums


def _of(row: Mapping[str, Any], name: str, cuts: int) -> dict[str, Any]:
    found = {key: row[f"{name}:{key}"] for key in ("n", "mean", "variance", "lowest")}
    return found | {"above": tuple(int(row[f"{name}:{k}"] or 0) for k in range(cuts))}

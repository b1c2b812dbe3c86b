# pyright: standard, reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""The numbers that are known of every customer on a day, for those who choose by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from zhiyin.core import columns as c
from zhiyin.core.protocols import Store
from zhiyin.decide.points.definition import Definition
from zhiyin.decide.points.numbers import kept_names, score_of
from zhiyin.decide.points.point_policy import (
    PointPolicy,
    make_policy,
    needs_scaling,
    usual_scaling,
)


@dataclass(frozen=True)
class Numbers:
    """`values` (customers, names), NaN: not known; customers sorted by id."""

    customers: list[str]
    names: tuple[str, ...]
    values: NDArray[np.float32]

    def columns(self) -> dict[str, tuple[float, float]]:
        """Middle and standard deviation of each name that has two different values."""
        made: dict[str, tuple[float, float]] = {}
        for place, name in enumerate(self.names):
            known = self.values[:, place]
            known = known[np.isfinite(known)].astype(np.float64)
            width = float(known.std()) if known.size else 0.0
            if width > 0:
                made[name] = (float(known.mean()), width)
        return made


def newest_day(store: Store) -> date | None:
    """The newest day that features were computed for; None: none was."""
    return store.read("features")[c.AS_OF_ON].max().to_pyarrow().as_py()


def read_numbers(store: Store, names: Sequence[str], *, on: date) -> Numbers:
    """Columns of `features` and `scores` of a day (`points.numbers`), a row a customer."""
    features = store.read("features")
    features = features.filter(features[c.AS_OF_ON] == ibis.literal(on))
    plain = [one for one in names if score_of(one) is None]
    rows = features.select(c.CUSTOMER_ID, *plain).order_by(c.CUSTOMER_ID).to_pyarrow()
    customers = rows[c.CUSTOMER_ID]
    values = np.full((len(customers), len(names)), np.nan, np.float32)
    for name in plain:
        held = rows[name].cast(pa.float64()).fill_null(np.nan).to_numpy()
        values[:, names.index(name)] = held
    ids = customers.to_pylist()
    asked = {held: name for name in names if (held := score_of(name)) is not None}
    if asked:
        _put_scores(store, on, asked, ids, names, values)
    return Numbers(ids, tuple(names), values)


def first_policy(store: Store, point: Definition, *, on: date | None) -> PointPolicy | None:
    """The policy of a point that knows nothing yet; None: its numbers of customers were computed
    for no such day, so that what is usual of them is not known.
    """
    names = kept_names(point.features)
    if not names or not needs_scaling(point):
        return make_policy(point, usual_scaling(point, {}))
    columns = read_numbers(store, names, on=on).columns() if on is not None else {}
    return make_policy(point, usual_scaling(point, columns)) if columns else None


def _put_scores(
    store: Store,
    on: date,
    asked: dict[tuple[str, str], str],
    ids: list[str],
    names: Sequence[str],
    values: NDArray[np.float32],
) -> None:
    scores = store.read("scores")
    scores = scores.filter(
        scores[c.AS_OF_ON] == ibis.literal(on), scores[c.TASK].isin([one for one, _ in asked])
    )
    rows = scores.select(c.TASK, c.SUBJECT, c.CUSTOMER_ID, c.SCORE).to_pyarrow()
    columns = [rows[one].to_pylist() for one in rows.column_names]
    places = {one: place for place, one in enumerate(ids)}
    for task, subject, who, score in zip(*columns, strict=True):
        if (task, subject) in asked and who in places:
            values[places[who], names.index(asked[task, subject])] = score

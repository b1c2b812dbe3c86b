# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""How good recommendation lists were: nDCG, recall and hit rate against what was bought later."""

from __future__ import annotations

from collections.abc import Callable

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from zhiyin.core import columns as c
from zhiyin.core import ranking
from zhiyin.measure.results import Measured, Result

RECOMMEND = "recommend"
EVERYTHING, NEW = "check.all", "check.new"
FIGURES = {
    "ndcg_at_10_new": f"{NEW}.blend",
    "popularity_ndcg_at_10_new": f"{NEW}.popularity",
    "ndcg_at_10_all": f"{EVERYTHING}.blend",
    "frequency_ndcg_at_10_all": f"{EVERYTHING}.frequency",
}
K = 10
_HIT, _RELEVANT = "hit", "relevant"


def _as_it_is(table: ir.Table) -> ir.Table:
    return table


def true_items(
    before: ir.Table,
    later: ir.Table,
    *,
    min_buyers: int,
    keep: Callable[[ir.Table], ir.Table] = _as_it_is,
) -> tuple[ir.Table, ir.Table]:
    """What known customers bought later, and what of it was new to them.

    Parameters
    ----------
    before, later
        Purchases (`customer_id`, `product_id`; lines of kind `item`) before and after the day.
    min_buyers
        Only products with so many buyers before the day count.
    keep
        Computes a table that is used several times and gives it back (`Table.cache`).

    Returns
    -------
    Two tables of distinct `customer_id`, `product_id`; a customer is known if she bought an
    eligible product before the day.
    """
    pair = [c.CUSTOMER_ID, c.PRODUCT_ID]
    had = keep(before.filter(before[c.CUSTOMER_ID].notnull()).select(pair).distinct())
    buyers = had.group_by(c.PRODUCT_ID).agg(buyers=had.count())
    eligible = buyers.filter(buyers.buyers >= min_buyers).select(c.PRODUCT_ID)
    known = had.semi_join(eligible, c.PRODUCT_ID).select(c.CUSTOMER_ID).distinct()
    truth = later.select(pair).distinct().semi_join(eligible, c.PRODUCT_ID)
    truth = keep(truth.semi_join(known, c.CUSTOMER_ID))
    return truth, keep(truth.anti_join(had, pair))


def mark_hits(lists: ir.Table, truth: ir.Table) -> ir.Table:
    """Lists (`customer_id`, `rank`, `product_id`, `model`) with `hit` 0 or 1."""
    marked = truth.mutate(**{_HIT: ibis.literal(1, "int64")})
    joined = lists.left_join(marked, [c.CUSTOMER_ID, c.PRODUCT_ID])
    return joined.select(c.MODEL, c.CUSTOMER_ID, c.RANK, **{_HIT: joined[_HIT].fill_null(0)})


def count_relevant(truth: ir.Table) -> ir.Table:
    """`customer_id` and `relevant`, her number of true items."""
    return truth.group_by(c.CUSTOMER_ID).agg(**{_RELEVANT: truth.count()})


def measure_lists(hits: pd.DataFrame, relevant: pd.DataFrame) -> tuple[Result, ...]:
    """Metrics of every model over the customers with at least one true item.

    Parameters
    ----------
    hits
        What `mark_hits` gives. A customer without a list counts with no hit.
    relevant
        What `count_relevant` gives for the same truth.
    """
    people = relevant.sort_values(c.CUSTOMER_ID, ignore_index=True)
    place = pd.Series(np.arange(len(people)), index=people[c.CUSTOMER_ID])
    wanted = people[_RELEVANT].to_numpy(np.int64)
    results = []
    for model, listed in hits.groupby(c.MODEL, sort=True):
        mine = listed[(listed[_HIT] == 1) & (listed[c.RANK] <= K)]
        mine = mine[mine[c.CUSTOMER_ID].isin(place.index)]
        found = np.zeros((len(people), K), dtype=bool)
        found[place[mine[c.CUSTOMER_ID]].to_numpy(), mine[c.RANK].to_numpy() - 1] = True
        measured = {
            "ndcg": ranking.ndcg(found, wanted),
            "recall": ranking.recall(found, wanted),
            "hit_rate": ranking.hit_rate(found, wanted),
        }
        results += [
            Result(RECOMMEND, str(model), f"{name}_at_{K}", ranking.mean_with_interval(values))
            for name, values in measured.items()
        ]
    return tuple(results)


def name_figures(results: tuple[Result, ...]) -> Measured:
    """The results with the figures of `summary.recommend`."""
    ndcg = {one.subject: one.estimate.value for one in results if one.metric == f"ndcg_at_{K}"}
    figures = {name: ndcg.get(subject) for name, subject in FIGURES.items()}
    return Measured(
        results, {**figures, "customers": max((r.estimate.n for r in results), default=0)}
    )

"""What each model would have recommended on a past day, to be measured afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import numpy as np
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import RECOMMENDATIONS
from zhiyin.understand.recommend.baselines import Frequency, Popularity
from zhiyin.understand.recommend.blend import RIDGE, Blend
from zhiyin.understand.recommend.history import History, read_history
from zhiyin.understand.recommend.interactions import Interactions
from zhiyin.understand.recommend.scorer import Ranking, Scorer

EVERYTHING, NEW = "check.all", "check.new"


def rank_all(
    interactions: Interactions,
    *,
    as_of: date,
    until: datetime,
    min_buyers: int = 20,
    categories: Mapping[str, str] | None = None,
    ridges: Sequence[float] = (RIDGE,),
    k: int = 10,
) -> pa.Table:
    """Lists of the blend, of personal frequency and of popularity for every customer.

    Parameters are those of `batch.recommend_batch`.

    Returns
    -------
    Rows of table `recommendations` with `model` = `check.all.<name>` (all products) and
    `check.new.<name>` (products not bought before), ranks 1..`k`.
    """
    schema = arrow_schema(RECOMMENDATIONS)
    parts = [schema.empty_table()]
    history = read_history(interactions, until=until, min_buyers=min_buyers)
    if history.shape[0] and history.shape[1]:
        blend = Blend(min_buyers=min_buyers, categories=categories or {}, ridges=ridges)
        for model in (Popularity(), Frequency(), blend):
            parts += _lists_of(model, history, as_of=as_of, k=k)
    return pa.concat_tables(part.cast(schema) for part in parts)


def _lists_of(model: Scorer, history: History, *, as_of: date, k: int) -> list[pa.Table]:
    codes = np.arange(history.shape[0])
    everything, new = model.fit(history).recommend_both(codes, k=k)
    return [
        _rows(ranking, history, name=f"{kind}.{model.name}", as_of=as_of)
        for kind, ranking in ((EVERYTHING, everything), (NEW, new))
    ]


def _rows(ranking: Ranking, history: History, *, name: str, as_of: date) -> pa.Table:
    filled = ranking.products >= 0
    rows, places = np.nonzero(filled)
    n = len(rows)
    return pa.table(
        {
            c.AS_OF_ON: pa.array([as_of] * n, pa.date32()),
            c.CUSTOMER_ID: pa.array(history.customers[rows], pa.string()),
            c.RANK: pa.array(places + 1, pa.int64()),
            c.PRODUCT_ID: pa.array(history.products[ranking.products[filled]], pa.string()),
            c.SCORE: pa.array(ranking.scores[filled].astype(np.float64), pa.float64()),
            c.MODEL: pa.array([name] * n, pa.string()),
            c.REASON: pa.array(["{}"] * n, pa.string()),
        }
    )

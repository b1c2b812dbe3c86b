"""How good recommendations would have been on a day, against what was bought afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from zhiyin.understand.recommend.baselines import Frequency, Popularity
from zhiyin.understand.recommend.blend import RIDGES, Blend
from zhiyin.understand.recommend.history import (
    History,
    Interactions,
    read_history,
    truth_matrix,
)
from zhiyin.understand.recommend.metrics import Metrics, drop_seen, measure_lists
from zhiyin.understand.recommend.recommender import Recommender


@dataclass(frozen=True)
class Check:
    """Models measured on one day.

    Attributes
    ----------
    customers, products
        Those with an eligible purchase before the day, and the eligible products.
    new, everything
        Metrics by model, on products not bought before (seen ones masked) and on all products.
    card
        What the blend learned.
    """

    customers: int
    products: int
    new: Mapping[str, Metrics]
    everything: Mapping[str, Metrics]
    card: Mapping[str, Any]

    def figures(self) -> dict[str, float]:
        """The four figures of `summary.json`."""
        return {
            "ndcg_at_10_new": self.new["blend"].ndcg.value,
            "popularity_ndcg_at_10_new": self.new["popularity"].ndcg.value,
            "ndcg_at_10_all": self.everything["blend"].ndcg.value,
            "frequency_ndcg_at_10_all": self.everything["frequency"].ndcg.value,
        }


def evaluate_recommend(
    interactions: Interactions,
    later: Interactions,
    *,
    until: datetime,
    before: datetime | None = None,
    min_buyers: int = 20,
    categories: Mapping[str, str] | None = None,
    ridges: Sequence[float] = RIDGES,
    k: int = 10,
) -> Check:
    """Fit the blend and the baselines on what was before `until`, measure on what came after.

    Parameters
    ----------
    interactions
        Purchases to learn from (later ones are ignored), as in `history.read_history`.
    later
        Purchases to measure on (earlier ones are ignored); may be the same table.
    until, before
        Start and end (exclusive; None: open) of the measured window, UTC.
    min_buyers
        Products with at least so many buyers before `until` are eligible.
    categories, ridges
        As in `batch.recommend_batch`; a penalty that an earlier day's card chose is no look ahead.
    k
        Length of the lists.

    Notes
    -----
    Truth: distinct eligible products that a customer known before `until` bought in the window.
    *New* masks what she had bought; people without a true item are left out of the means. Nothing
    of the window is used in fitting: the blend's weights are learned on the month before `until`.
    """
    history = read_history(interactions, until=until, min_buyers=min_buyers)
    blend = Blend(min_buyers=min_buyers, categories=categories or {}, ridges=ridges)
    return compare(history, later, [Popularity(), Frequency(), blend], before=before, k=k)


def compare(
    history: History,
    later: Interactions,
    models: list[Recommender],
    *,
    before: datetime | None = None,
    k: int = 10,
) -> Check:
    """Metrics of each model by its name, fitted on `history`, against `later`."""
    truth = truth_matrix(later, history, before=before)[:-1]
    fresh = drop_seen(truth, history.seen[:-1])
    codes = np.arange(history.shape[0])
    new, everything, card = {}, {}, {}
    for model in models:
        model.fit(history)
        of_all, of_new = model.recommend_both(codes, k=k)
        everything[model.name] = measure_lists(of_all.products, truth, history)
        new[model.name] = measure_lists(of_new.products, fresh, history)
        if isinstance(model, Blend):
            card = model.describe()
    customers = int((np.diff(history.seen.indptr) > 0).sum())
    return Check(customers, history.shape[1], new, everything, card)

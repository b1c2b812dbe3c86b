"""The blend: what a customer will buy again and what she will try, on one probability scale.

Two logistic regressions, one for products she has bought and one for those she has not, weigh the
signals of `signals.py`. They learn on the past alone: signals as of a month ago, labels from the
month since. Only then are the signals of the whole history weighed. EASE's penalty is chosen in
the same step, on the same month.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from zhiyin.core import ranking
from zhiyin.core.arguments import check_number, show
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend.ease import Ease
from zhiyin.understand.recommend.history import History, split_history
from zhiyin.understand.recommend.logit import Logit, fit_logit, prior_logit
from zhiyin.understand.recommend.metrics import drop_seen, find_hits
from zhiyin.understand.recommend.scorer import Scorer, blocks, top_k
from zhiyin.understand.recommend.signals import NEW, REPEAT, Signals, measure_signals

RIDGE = 4.0
"""Penalty of EASE, as a multiple of a customer's mean squared norm. On the one month where
they were compared (the demonstration's, before 2017-10-30) nDCG on new products was .0531 with 1.5,
.0546 with 4 and .0540 with 10; searching again for each day is left out to save time."""

RIDGES = (1.5, RIDGE, 10.0)
"""Penalties worth trying where time does not matter."""

_MIN_POSITIVES = 50  # fewer bought products in the month teach no weights
_TUNING_CUSTOMERS = 800


@dataclass
class Blend(Scorer):
    """Repeat purchases and new products weighed on what customers did last month.

    Parameters
    ----------
    min_buyers
        Buyers a product needs to be eligible in the month that teaches; as in `read_history`.
    horizon_days
        Length of that month.
    ridges
        Penalties of EASE to choose from on that month; one: no choice.
    candidates
        How many new products of a customer are weighed: the best by EASE times trend.
    max_customers
        At most so many customers teach the weights, evenly drawn.
    categories
        Category of a product by its id; empty: not used.

    Notes
    -----
    Scores are probabilities of a purchase within the next `horizon_days`. Where the month has
    fewer than 50 bought products of a kind, `status_` is `too_little_history` and prior weights
    rank: EASE for new products, decayed frequency for repeats.
    """

    min_buyers: int = 20
    horizon_days: float = 30.0
    ridges: Sequence[float] = (RIDGE,)
    candidates: int = 200
    max_customers: int = 3000
    categories: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str = "blend"
    ease_: Ease = field(init=False, repr=False)
    signals_: Signals = field(init=False, repr=False)
    new_: Logit = field(init=False, repr=False)
    repeat_: Logit = field(init=False, repr=False)
    status_: str = field(init=False, default="ok")
    ndcg_by_ridge_: dict[float, float] = field(init=False)

    def _learn(self, history: History) -> None:
        if isinstance(self.ridges, str) or not isinstance(self.ridges, Sequence) or not self.ridges:
            raise InvalidParameter(
                f"ridges is {show(self.ridges)}, not a list of numbers", hint="ridges=(4.0,)"
            )
        for ridge in self.ridges:
            check_number("ridges", ridge, least=0)
        past, later = split_history(history, days=self.horizon_days, min_buyers=self.min_buyers)
        self._choose_ease(past, later)
        self._weigh(past, later)
        self.ease_ = Ease(self.ease_.ridge).fit(history)

    def _read(self, history: History) -> None:
        self.signals_ = measure_signals(
            history, of_products=self.learned_, categories=self._categories(history)
        )
        if history is not self.learned_:
            self.ease_ = self.ease_.look_at(history)

    def score(self, codes: np.ndarray) -> np.ndarray:
        """(n, I) probability of buying within the horizon; 0 for what is no candidate."""
        ease = self.ease_.score(codes)
        scores = np.zeros_like(ease)
        rows, products = _bought(self.history_, codes)
        repeat = self.signals_.repeat(codes, products, ease[rows, products])
        scores[rows, products] = self.repeat_.probability(repeat)
        rows, products = self._untried(self.history_, codes, ease)
        new = self.signals_.new(codes[rows], products, ease[rows, products])
        scores[rows, products] = self.new_.probability(new)
        return scores

    def contributions(self, code: int, product: int) -> np.ndarray:
        return self.ease_.contributions(code, product)

    def describe(self) -> dict[str, Any]:
        """What was learned, as JSON values: penalty, weights on scaled signals, status."""
        return {
            "model": self.name,
            "status": self.status_,
            "horizon_days": self.horizon_days,
            "ease_ridge": self.ease_.ridge,
            "ndcg_at_10_new_by_ridge": {
                f"{ridge:g}": round(value, 5) for ridge, value in self.ndcg_by_ridge_.items()
            },
            "weights_new": _named(NEW, self.new_),
            "weights_repeat": _named(REPEAT, self.repeat_),
        }

    def _categories(self, history: History) -> np.ndarray | None:
        if not self.categories:
            return None
        known = self.categories
        return np.array([known.get(str(p)) or "" for p in history.products], dtype=object)

    def _choose_ease(self, past: History, later: sparse.csr_array) -> None:
        """The penalty whose lists of new products were best in the month after `past`."""
        codes = _even(_active(past, later), _TUNING_CUSTOMERS)
        self.ndcg_by_ridge_ = {}
        if len(self.ridges) == 1 or not len(codes):
            self.ease_ = Ease(self.ridges[len(self.ridges) // 2]).fit(past)
            return
        truth = drop_seen(later[codes], past.seen[codes])
        best = -np.inf
        for model in Ease().fit_path(past, self.ridges):
            lists = model.recommend_codes(codes, k=10, exclude_seen=True)
            value = ranking.mean_with_interval(
                ranking.ndcg(*find_hits(lists.products, truth))
            ).value
            self.ndcg_by_ridge_[model.ridge] = value
            if value > best:
                best, self.ease_ = value, model
        if not np.isfinite(best):
            self.ease_ = Ease(self.ridges[len(self.ridges) // 2]).fit(past)

    def _weigh(self, past: History, later: sparse.csr_array) -> None:
        """Fit both weighings on the month after `past`."""
        signals = measure_signals(past, categories=self._categories(past))
        codes = _even(_active(past, later), self.max_customers)
        new, repeat = _Examples(len(NEW)), _Examples(len(REPEAT))
        for part in blocks(len(codes), past.shape[1]):
            block = codes[part]
            ease, bought = self.ease_.score(block), later[block].toarray()
            rows, products = _bought(past, block)
            found = signals.repeat(block, products, ease[rows, products])
            repeat.add(found, bought[rows, products])
            rows, products = self._untried(past, block, ease, trend=signals.trend)
            new.add(
                signals.new(block[rows], products, ease[rows, products]), bought[rows, products]
            )
        self.status_ = "ok"
        self.new_ = self._fit(new, prior_logit(NEW, "ease", intercept=-5.0))
        self.repeat_ = self._fit(repeat, prior_logit(REPEAT, "decayed_180d", intercept=-1.0))

    def _fit(self, examples: _Examples, prior: Logit) -> Logit:
        signals, labels = examples.stacked()
        if min(labels.sum(), len(labels) - labels.sum()) < _MIN_POSITIVES:
            self.status_ = "too_little_history"
            return prior
        return fit_logit(signals, labels)

    def _untried(
        self,
        history: History,
        codes: np.ndarray,
        ease: np.ndarray,
        *,
        trend: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Row and product of each candidate not bought before; none for empty histories."""
        seen = history.seen[codes]
        depth = min(self.candidates, ease.shape[1])
        if not depth:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        guess = np.maximum(ease, np.float32(1e-6)) * (
            self.signals_.trend if trend is None else trend
        )
        rows, products = _bought(history, codes)
        guess[rows, products] = -np.inf
        best, value = top_k(guess, depth)
        usable = ~np.isneginf(value) & (np.diff(seen.indptr) > 0)[:, None]
        return np.nonzero(usable)[0], best[usable]


class _Examples:
    """Signals and labels gathered block by block."""

    def __init__(self, width: int) -> None:
        self._signals = [np.zeros((0, width), dtype=np.float32)]
        self._labels = [np.zeros(0)]

    def add(self, signals: np.ndarray, labels: np.ndarray) -> None:
        self._signals.append(signals.astype(np.float32))
        self._labels.append(labels.astype(np.float64))

    def stacked(self) -> tuple[np.ndarray, np.ndarray]:
        return np.concatenate(self._signals), np.concatenate(self._labels)


def _active(past: History, later: sparse.csr_array) -> np.ndarray:
    """Codes of customers with a history who bought in the month after it."""
    filled = np.diff(past.seen.indptr)[:-1] > 0
    return np.flatnonzero(filled & (np.diff(later.indptr)[:-1] > 0))


def _even(codes: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the codes, evenly spaced (ids are hashes: as good as drawn)."""
    if len(codes) <= most:
        return codes
    return codes[np.linspace(0, len(codes) - 1, most).astype(np.int64)]


def _bought(history: History, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row within `codes` and product of everything these customers have bought."""
    seen = history.seen[codes]
    return np.repeat(np.arange(len(codes)), np.diff(seen.indptr)), seen.indices


def _named(names: Sequence[str], model: Logit) -> dict[str, float]:
    weights = dict(zip(names, (round(float(w), 4) for w in model.weights), strict=True))
    return {"intercept": round(model.intercept, 4)} | weights

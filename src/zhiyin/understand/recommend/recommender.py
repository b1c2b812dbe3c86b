"""`fit`: from a table of interactions to a recommender."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from zhiyin.core import columns as c
from zhiyin.core.arguments import check_whole, show
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend.als import Als
from zhiyin.understand.recommend.baselines import Frequency, Popularity
from zhiyin.understand.recommend.blend import Blend
from zhiyin.understand.recommend.content import Content, read_attributes
from zhiyin.understand.recommend.ease import Ease
from zhiyin.understand.recommend.events import ITEM_ID, USER_ID, read_events
from zhiyin.understand.recommend.explain import Reason, give_reason
from zhiyin.understand.recommend.graph import Spectral, Walks
from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.interactions import Interactions, as_ids
from zhiyin.understand.recommend.mixture import Mixture
from zhiyin.understand.recommend.neighbours import ItemItem, UserUser
from zhiyin.understand.recommend.scorer import Scorer, top_k
from zhiyin.understand.recommend.transitions import Transitions

MODELS: dict[str, Callable[[int], Scorer]] = {
    "auto": lambda seed: Mixture(seed=seed),
    "popularity": lambda seed: Popularity(),
    "frequency": lambda seed: Frequency(),
    "item_knn": lambda seed: ItemItem(),
    "user_knn": lambda seed: UserUser(),
    "als": lambda seed: Als(seed=seed),
    "ease": lambda seed: Ease(fade=0.0, max_side=12_500),
    "walks": lambda seed: Walks(target=0.35),
    "spectral": lambda seed: Spectral(seed=seed),
    "transitions": lambda seed: Transitions(),
    "content": lambda seed: Content(),
    "blend": lambda seed: Blend(),
}
"""Models by name; `seed` is of those that draw."""

_REPEATS = 0.2  # share of purchases that are repeats, from which repeat purchases get a model
_DAYS = 90.0


@dataclass(frozen=True, eq=False)
class Recommender:
    """A fitted model that speaks in the ids of its table.

    Attributes
    ----------
    scorer
        The model on coded arrays.
    card
        What `auto` or `blend` chose, as JSON values; empty for others.
    """

    scorer: Scorer
    user_type: pa.DataType
    item_type: pa.DataType
    card: dict[str, Any] = field(default_factory=dict)

    def recommend(
        self,
        user_ids: Sequence[object],
        k: int = 10,
        exclude_seen: bool = True,
    ) -> pa.Table:
        """The `k` best items for each user: `user_id`, `rank` (from 1), `item_id`, `score`.

        Unknown users, and known ones without an item of the catalogue, get the most taken items.
        Lists are shorter where the catalogue has no more. Scores order the list of one user; a
        score of 1e-12 or less says that the place was filled by what is most taken.

        Raises
        ------
        InvalidParameter
            If `k` is no whole number above 0, the users are one text and not a list, or one of
            them cannot be an id of the type that the table had.
        """
        if isinstance(user_ids, str | bytes) or not isinstance(user_ids, Iterable):
            raise InvalidParameter(
                f"user_ids is {show(user_ids)}, not a list", hint='recommend(["u1"], 10)'
            )
        history = self.scorer.history
        k = min(check_whole("k", k, least=1), max(history.shape[1], 1))
        asked = [str(user) for user in user_ids]
        who = as_ids(asked, self.user_type, what="user_ids")
        codes = history.codes(np.asarray(asked, dtype=object))
        found = self.scorer.recommend_codes(codes, k=k, exclude_seen=exclude_seen)
        rows, places = np.nonzero(found.products >= 0)
        items = history.products[found.products[rows, places]]
        return pa.table(
            {
                USER_ID: who.take(pa.array(rows)),
                c.RANK: pa.array(places + 1, pa.int64()),
                ITEM_ID: pa.array(items, pa.string()).cast(self.item_type),
                c.SCORE: pa.array(found.scores[rows, places].astype(np.float64)),
            }
        )

    def similar(self, item_id: object, k: int = 10) -> pa.Table:
        """The `k` items with the most buyers in common: `rank`, `item_id`, `score`.

        The score is the cosine of buyers, drawn to 0 by 10 where they are few. Where attributes
        were given, an item that nobody has is compared by them. Empty for an unknown item.
        """
        history = self.scorer.learned_
        k = check_whole("k", k, least=1)
        code = int(history.product_codes([str(item_id)])[0])
        scores = np.zeros((1, history.shape[1]))
        if code >= 0:
            scores[0] = _likeness(self.scorer, history, code)
        best, value = top_k(scores, min(k, scores.shape[1]))
        kept = best[0][value[0] > 0]
        return pa.table(
            {
                c.RANK: pa.array(np.arange(1, len(kept) + 1)),
                ITEM_ID: pa.array(history.products[kept], pa.string()).cast(self.item_type),
                c.SCORE: pa.array(value[0][value[0] > 0]),
            }
        )

    def explain(self, user_id: object, item_id: object) -> Reason:
        """Why the item would be recommended to the user, in words and numbers."""
        history = self.scorer.history
        code = int(history.codes([str(user_id)])[0])
        return give_reason(self.scorer, code, str(item_id))

    def look_at(self, history: Interactions) -> Recommender:
        """The same fitted model, for what people did up to now (columns as in `fit`)."""
        learned = self.scorer.learned_
        clock = "none" if learned.clock == "none" else "steps"
        events = read_events(history, items=learned.products, clock=clock)
        return replace(self, scorer=self.scorer.look_at(events.history), user_type=events.user_type)


def fit(
    interactions: Interactions,
    model: str | Scorer = "auto",
    seed: int = 0,
    *,
    attributes: Interactions | None = None,
) -> Recommender:
    """Learn what to recommend.

    Parameters
    ----------
    interactions
        `user_id`, `item_id` and optionally `at`, `weight`, `rating`; see `events.read_events`.
    model
        A name of `MODELS`, or a model with parameters of your own (`Ease(ridge=20.0)`).
    seed
        Seed of all chance.
    attributes
        `item_id` and any columns that describe items; makes `content` possible, adds it to what
        `auto` tries, and brings items into the catalogue that nobody has taken yet.

    Notes
    -----
    `auto` is `blend` where at least a fifth of the purchases are repeats over 90 days and more,
    and the last month is enough to learn from; otherwise `mixture.Mixture`. Both choose on a part
    of the interactions that they hold out themselves.

    Raises
    ------
    InvalidParameter
        If a column is missing, or the model's name is unknown.
    """
    described = None
    if attributes is not None:
        with threadpool_limits(1):
            described = read_attributes(attributes)
    events = read_events(interactions)
    if described is not None:
        items = np.union1d(events.history.products.astype(str), described.ids.astype(str))
        events = read_events(interactions, items=items.astype(object))
    chosen = _choose(model, check_whole("seed", seed, least=0))
    if described is not None and isinstance(chosen, Mixture | Content):
        chosen = replace(chosen, described=described)
    with threadpool_limits(1):  # the same digits however many cores there are
        scorer = _fit_repeats(events.history) if model == "auto" else None
        scorer = scorer or chosen.fit(events.history)
    card = scorer.describe() if isinstance(scorer, Blend | Mixture) else {}
    return Recommender(scorer, events.user_type, events.item_type, card)


def _fit_repeats(history: History) -> Blend | None:
    """The blend, where there are repeats to learn from."""
    if not _repeats(history):
        return None
    blend = Blend().fit(history)
    return blend if blend.status_ == "ok" else None


def _choose(model: str | Scorer, seed: int) -> Scorer:
    if isinstance(model, Scorer):
        return model
    if not isinstance(model, str) or model not in MODELS:
        raise InvalidParameter(
            f"there is no model {model!r}; models are {', '.join(MODELS)}",
            hint="a model with parameters of your own goes there too: Ease(ridge=20.0)",
        )
    return MODELS[model](seed)


def _repeats(history: History) -> bool:
    """Whether people take the same again often enough, over time, to learn when."""
    if history.clock != "days" or not len(history.customer):
        return False
    again = 1 - len(history.pairs.customer) / len(history.customer)
    return again >= _REPEATS and float(np.ptp(history.age_days)) >= _DAYS


def _likeness(scorer: Scorer, history: History, code: int) -> np.ndarray:
    """(I,) how alike each product is to one; 0 for itself."""
    buyers = history.buyers
    if not buyers[code]:
        described = getattr(scorer, "described", None)
        found = np.zeros(history.shape[1])
        if described is not None:
            found = Content(described).fit(history).evidence(np.array([code]))[:, 0]
        return found.astype(np.float64)
    column = history.seen.T.tocsr()[[code]]
    common = (column @ history.seen).toarray()[0].astype(np.float64)
    found = common / (np.sqrt(buyers[code] * np.maximum(buyers, 1.0)) + 10.0)
    found[code] = 0
    return found

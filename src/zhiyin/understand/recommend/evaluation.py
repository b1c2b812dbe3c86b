# pyright: standard, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false
# (scipy types the shape of a sparse array as maybe None)
"""How good a recommender's lists are, against what people took afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy import sparse

from zhiyin.core.arguments import check_whole, show
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend.events import read_events
from zhiyin.understand.recommend.history import History, indicator, lookup
from zhiyin.understand.recommend.interactions import Interactions, as_ids
from zhiyin.understand.recommend.metrics import Metrics, drop_seen, measure_lists
from zhiyin.understand.recommend.recommender import Recommender


def evaluate(
    recommender: Recommender,
    test: Interactions,
    history: Interactions | None = None,
    k: Sequence[int] = (10, 20),
    *,
    exclude_seen: bool = True,
    segments: Mapping[object, str] | None = None,
) -> Metrics:
    """Rank the whole catalogue for everyone in `test`, and measure the lists.

    Parameters
    ----------
    recommender
        What `fit` gave.
    test
        `user_id`, `item_id`: what people took; repeated rows count once.
    history
        What they did up to then, with the columns of `fit`, where it is more than the recommender
        was fitted on: it is what is scored from, and what is left out as seen.
    k
        Lengths of the lists.
    exclude_seen
        Rank only what a person did not have; true items that she had are then left out.
    segments
        Segment of a person by her `user_id`. None: `new` (nothing known of her), `light` and
        `heavy` (up to the median of products, or more).

    Notes
    -----
    True items outside of the catalogue count as missed. People of whom nothing is known get the
    most taken items, and count.

    Raises
    ------
    InvalidParameter
        If a column is missing, or a length is no whole number above 0.
    """
    if isinstance(k, str) or not isinstance(k, Iterable) or not (k := tuple(k)):
        raise InvalidParameter(f"k is {show(k)}, not a list of lengths", hint="k=(10, 20)")
    k = tuple(check_whole("k", one, least=1) for one in k)
    if not isinstance(recommender, Recommender):
        raise InvalidParameter(
            f"recommender is {show(recommender)}", hint="hand in what fit(…) gave"
        )
    if segments is not None and not isinstance(segments, Mapping):
        raise InvalidParameter(
            f"segments is {show(segments)}, not a dict", hint='segments={"u1": "loyal"}'
        )
    viewer = recommender if history is None else recommender.look_at(history)
    known = viewer.scorer.history
    rows = read_events(test)
    codes = known.codes(rows.history.customers)
    truth, outside = _true_items(rows.history, viewer.scorer.learned_)
    had = sparse.csr_array(known.seen[codes])
    if exclude_seen:
        truth = drop_seen(truth, had)
    lists = viewer.scorer.recommend_codes(codes, k=max(k), exclude_seen=exclude_seen)
    owned = np.diff(had.indptr)
    return measure_lists(
        lists.products, truth, viewer.scorer.learned_, k=tuple(k),
        relevant=np.diff(truth.indptr) + outside, had=had,
        user_ids=as_ids(rows.history.customers, rows.user_type, what="test"),
        segments=_segments(rows.history.customers, owned, segments),
    )  # fmt: skip


def _true_items(test: History, catalogue: History) -> tuple[sparse.csr_array, np.ndarray]:
    """(n, I) 0/1 true items of the catalogue, and how many others each person has."""
    place = lookup(catalogue.products, test.products, -1)
    pairs = test.pairs
    column = place[pairs.product] if len(pairs.product) else pairs.product
    inside = column >= 0
    shape = (test.shape[0], catalogue.shape[1])
    truth = indicator(pairs.customer[inside], column[inside], shape)
    return truth, np.bincount(pairs.customer[~inside], minlength=shape[0])


def _segments(
    user_ids: np.ndarray, owned: np.ndarray, named: Mapping[object, str] | None
) -> np.ndarray:
    if named is not None:
        by_text = {str(user): segment for user, segment in named.items()}
        return np.array([by_text.get(str(user), "") for user in user_ids], dtype=object)
    middle = float(np.median(owned[owned > 0])) if owned.any() else 0.0
    state = np.where(owned > middle, "heavy", "light")
    return np.where(owned == 0, "new", state)

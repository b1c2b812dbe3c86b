"""What a newcomer hands in by mistake is named, with what to do; never an error of a library."""

import numpy as np
import pandas as pd
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend import (
    Als,
    Blend,
    Candidates,
    Ease,
    ItemItem,
    Rules,
    Shelf,
    arrange,
    bought_together,
    embed_texts,
    evaluate,
    fit,
    read_attributes,
)

TAKEN = pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": ["a", "b", "a", "c", "b"]})
FOUND = fit(TAKEN, "popularity")
NONE = np.zeros((1, 2), bool)
HERS = Candidates(np.array([[0, 1]]), np.array([[0.5, 0.4]]), NONE, NONE)
SHELF = Shelf(np.ones(2, bool), np.ones(2, bool), np.zeros(2, int), np.ones(2, int))


def put(rules):
    return arrange(HERS, SHELF, Rules(**rules), k=2)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: FOUND.recommend([1], "3"), "k is '3', a text, it must be a whole number .*k=3"),
        (lambda: FOUND.recommend([1], None), "k is None"),
        (lambda: FOUND.recommend([1], 2.5), "k is 2.5"),
        (lambda: FOUND.recommend(1, 3), "user_ids is 1, not a list"),
        (lambda: FOUND.recommend(["stranger"], 3), "learned are of type int64.*same type"),
        (lambda: FOUND.similar("a", "3"), "k is '3', a text"),
        (lambda: FOUND.similar("a", 0), "k is 0, it must be at least 1"),
        (lambda: evaluate(FOUND, TAKEN, k="10"), r"k is '10', a text, not a list .*\(10, 20\)"),
        (lambda: evaluate(FOUND, TAKEN, k=10), "k is 10, not a list"),
        (lambda: evaluate(FOUND, TAKEN, k=("10",)), "k is '10', a text"),
        (lambda: evaluate("popularity", TAKEN), "what fit"),
        (lambda: evaluate(FOUND, TAKEN, segments="new"), "segments is 'new', a text, not a dict"),
        (lambda: fit(TAKEN, 5), "no model 5"),
        (lambda: fit(TAKEN, "als", seed="1"), "seed is '1', a text"),
        (lambda: fit(TAKEN, Als(factors="8")), "factors is '8', a text"),
        (lambda: fit(TAKEN, Als(alpha=None)), "alpha is None"),
        (lambda: fit(TAKEN, ItemItem(neighbours=0)), "neighbours is 0, it must be at least 1"),
        (lambda: fit(TAKEN, Ease(scale_days=0.0)), "scale_days is 0.0, it must be above 0"),
        (lambda: fit(TAKEN, Blend(ridges=())), r"ridges=\(4.0,\)"),
        (lambda: fit(TAKEN.assign(weight="much")), "'weight' is of type .*to_numeric"),
        (lambda: fit(TAKEN.assign(rating="good")), "'rating' is of type .*to_numeric"),
        (lambda: fit(TAKEN.assign(item_id=[["a"]] * 5)), "'item_id' is of type list.*explode"),
        (lambda: fit(TAKEN.assign(item_id=[1, "a"] * 2 + [3])), "several types.*astype"),
        (lambda: fit(pd.concat([TAKEN, TAKEN[["user_id"]]], axis=1)), "two columns 'user_id'"),
        (lambda: bought_together(TAKEN, k="3"), "no column 'order_id'|k is '3'"),
        (lambda: bought_together(TAKEN, min_orders=None), "min_orders is None"),
        (lambda: bought_together(TAKEN, max_q="x"), "max_q is 'x', a text"),
        (lambda: embed_texts("tea"), "texts is 'tea', a text, not a list"),
        (lambda: embed_texts(["tea", None]), "texts holds None"),
        (lambda: embed_texts(["tea"], size="64"), "size is '64', a text"),
        (lambda: read_attributes(TAKEN.assign(item_id=[{"a": 1}] * 5)), "of type struct"),
        (lambda: arrange(HERS, SHELF, {"min_new": 1}, k=2), r"make it by Rules"),
        (lambda: put({"category_cap": "2"}), "category_cap is '2', a text"),
        (lambda: put({"diversity": None}), "diversity is None"),
        (lambda: put({"pins": [3]}), "pins is of type list, not a dict"),
        (lambda: put({"pins": {1: 9}}), "item of a pin is 9, it must be at most 1"),
    ],
)  # fmt: skip
def test_it_is_named_with_what_to_do(call, match):
    with pytest.raises(InvalidParameter, match=match):
        call()


def test_rows_whose_weight_is_no_finite_number_are_left_out():
    weights = [1.0, np.inf, np.nan, 2.0, 1.0]
    kept = fit(TAKEN.assign(weight=weights), "popularity").scorer.history
    assert len(kept.customer) == 3

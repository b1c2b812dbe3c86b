"""A product that hardly anybody has bought finds people who like such products, in few places."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.understand.recommend.conftest import UNTIL, purchases
from zhiyin.core import columns as c
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import PRODUCTS
from zhiyin.understand.recommend.batch import Recommended, recommend_batch
from zhiyin.understand.recommend.embedding import embed_texts
from zhiyin.understand.recommend.explore import COLUMNS, fit_explorer, know, read_catalogue
from zhiyin.understand.recommend.history import read_history
from zhiyin.understand.recommend.tries import Tries

TASTES = ("tea", "wine")
NEW = {"tea": "tea_new", "wine": "wine_new"}


def _catalogue(*more: str) -> pa.Table:
    ids = sorted(
        [f"{taste}_{n:02d}" for taste in TASTES for n in range(30)] + [*NEW.values(), *more]
    )
    rows = [
        {"product_id": one, "name": f"{one.split('_')[0]} number {one[-2:]}",
         "department": "drinks", "category": one.split("_")[0],
         "subcategory": one.split("_")[0], "brand": f"brand {len(one) % 3}"}
        for one in ids
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, _schema())


def _schema() -> pa.Schema:
    return pa.schema([field for field in arrow_schema(PRODUCTS) if field.name in COLUMNS])


@pytest.fixture(scope="module")
def bought() -> pa.Table:
    """A hundred people, each of one taste, who take a few of its thirty products a week."""
    rng = np.random.default_rng(4)
    rows = [
        (f"c{who:03d}", f"{TASTES[who % 2]}_{int(30 * rng.random() ** 2):02d}",
         UNTIL - timedelta(days=int(day), hours=5))
        for who in range(100) for day in rng.integers(1, 90, 20)
    ]  # fmt: skip
    return purchases(rows)


def _lists(bought: pa.Table, tries: Tries | None, top: int = 10) -> Recommended:
    return recommend_batch(
        bought, as_of=date(2026, 6, 1), until=UNTIL, top=top, min_new=2, min_buyers=20, tries=tries
    )


@pytest.fixture(scope="module")
def made(bought) -> Recommended:
    return _lists(bought, Tries(_catalogue(), 0.2))


def test_few_places_at_most_in_the_first_of_every_list(made):
    tried = [row for row in made.rows.to_pylist() if row[c.MODEL] == "explore"]
    assert len({row[c.CUSTOMER_ID] for row in tried}) > 90
    assert {row[c.RANK] for row in tried} <= {5, 10}
    by_list: dict[str, list[int]] = {}
    for row in made.rows.to_pylist():
        by_list.setdefault(row[c.CUSTOMER_ID], []).append(row[c.RANK])
    assert all(ranks == list(range(1, len(ranks) + 1)) for ranks in by_list.values())
    assert max(map(len, by_list.values())) == 10


def test_what_is_tried_suits_her_taste_and_says_what_of_hers_is_like_it(made):
    first = [row for row in made.rows.to_pylist() if (row[c.MODEL], row[c.RANK]) == ("explore", 5)]
    hers = [TASTES[int(row[c.CUSTOMER_ID][1:]) % 2] for row in first]
    fits = [row[c.PRODUCT_ID].startswith(taste) for row, taste in zip(first, hers, strict=True)]
    assert np.mean(fits) > 0.95
    for row, taste in zip(first[:20], hers, strict=False):
        if row[c.PRODUCT_ID].startswith(taste):
            reason = json.loads(row[c.REASON])
            assert reason["kind"] == "because"
            assert reason["products"][0]["product_id"].startswith(taste)


def test_the_rest_of_the_list_is_as_it_was(bought, made):
    plain = _lists(bought, None).rows.to_pylist()
    woven = [row for row in made.rows.to_pylist() if row[c.MODEL] != "explore"]
    places = {row[c.CUSTOMER_ID]: [] for row in plain}
    for row in plain:
        places[row[c.CUSTOMER_ID]].append(row[c.PRODUCT_ID])
    for row in woven:
        assert row[c.PRODUCT_ID] == places[row[c.CUSTOMER_ID]].pop(0)


def test_nothing_is_tried_that_is_closed_or_that_she_has_had(bought, made):
    tried = {(row[c.CUSTOMER_ID], row[c.PRODUCT_ID]) for row in made.rows.to_pylist()
             if row[c.MODEL] == "explore"}  # fmt: skip
    had = set(zip(bought[c.CUSTOMER_ID].to_pylist(), bought[c.PRODUCT_ID].to_pylist(), strict=True))
    assert tried
    assert not tried & had
    closed = frozenset(product for _, product in tried)
    again = _lists(bought, Tries(_catalogue(), 0.2, closed)).rows
    assert not closed & {
        row[c.PRODUCT_ID] for row in again.to_pylist() if row[c.MODEL] == "explore"
    }


def test_a_list_too_short_for_a_share_tries_nothing(bought):
    assert (
        "explore" not in _lists(bought, Tries(_catalogue(), 0.1), top=5).rows[c.MODEL].to_pylist()
    )


@pytest.mark.parametrize("wrong", ["empty", "no groups"])
def test_a_catalogue_that_says_nothing_changes_little(bought, wrong):
    rows = _catalogue().slice(0, 0)
    if wrong == "no groups":
        ids = _catalogue()[c.PRODUCT_ID]
        rows = pa.table({name: pa.nulls(len(ids), pa.string()) for name in COLUMNS})
        rows = rows.set_column(rows.column_names.index(c.PRODUCT_ID), c.PRODUCT_ID, ids)
    found = _lists(bought, Tries(rows, 0.2)).rows
    assert found.num_rows >= _lists(bought, None).rows.num_rows - 200
    assert (wrong == "empty") == ("explore" not in found[c.MODEL].to_pylist())


def test_somebody_without_a_purchase_is_offered_nothing_by_it(bought):
    history = read_history(bought, until=UNTIL, min_buyers=1)
    found = fit_explorer(know(history, read_catalogue(_catalogue())), min_buyers=20)
    assert found.status == "ok"
    assert np.isneginf(found.score(np.array([100]))).all()
    assert set(NEW.values()) <= set(found.ids)


def test_texts_are_alike_where_they_share_words_or_parts_of_them():
    texts = [
        "Green Tea",
        "green teas",
        "Red Wine",
        "red wines",
        "绿茶茶叶",
        "红茶茶叶",
        "羊毛围巾",
        "围巾",
    ]
    made = embed_texts(texts, size=6)
    like = made @ made.T
    assert like[0, 1] > 0.8 > 0.3 > like[0, 2]
    assert like[2, 3] > 0.8
    assert like[4, 5] > 0.5 > like[4, 6]
    assert like[6, 7] > 0.5
    assert not embed_texts(["", "", "x"]).any()
    assert embed_texts([]).shape == (0, 1)

"""`fit`, `recommend`, `similar`, `explain` and `evaluate` on tables of interactions."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend import MODELS, Ease, evaluate, fit
from zhiyin.understand.recommend.events import read_events

NAMES = tuple(name for name in MODELS if name != "content")  # which needs attributes
START = datetime(2026, 1, 1)


def table(rows: list[tuple], *names: str) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[] for _ in ("user_id", "item_id", *names)]
    return pa.table(dict(zip(("user_id", "item_id", *names), map(list, columns), strict=True)))


@pytest.fixture(scope="module")
def tastes() -> pa.Table:
    """Even users take from items 0..19, odd ones from 20..39, in an order that is chance."""
    rng = np.random.default_rng(4)
    return table(
        [(u, (u % 2) * 20 + int(i)) for u in range(90) for i in rng.choice(20, 7, replace=False)]
    )


@pytest.fixture(scope="module")
def chains() -> tuple[list[list[int]], pa.Table]:
    """Everybody walks up a ring of 60 items from somewhere; the last steps are kept apart."""
    rng = np.random.default_rng(5)
    walks = []
    for _ in range(300):
        steps = rng.choice([1, 1, 1, 2, 5], size=9)
        walks.append([int(i) for i in (rng.integers(60) + np.cumsum(steps)) % 60])
    return walks, table([(f"u{u}", f"i{i}") for u, w in enumerate(walks) for i in w[:-1]])


@pytest.mark.parametrize("name", NAMES)
def test_every_model_finds_the_taste_and_keeps_the_ids(name, tastes):
    lists = fit(tastes, name).recommend([3, 4], 4)
    assert lists.schema.field("user_id").type == pa.int64()
    assert lists["user_id"].to_pylist() == [3] * 4 + [4] * 4
    assert lists["rank"].to_pylist() == [1, 2, 3, 4] * 2
    had = set(map(tuple, tastes.to_pandas().to_numpy()))
    assert not had & set(
        zip(lists["user_id"].to_pylist(), lists["item_id"].to_pylist(), strict=True)
    )
    if name not in ("popularity", "frequency"):
        odd = [i >= 20 for i in lists["item_id"].to_pylist()]
        assert odd == [True] * 4 + [False] * 4


@pytest.mark.parametrize("name", NAMES)
def test_strangers_get_what_is_most_taken_and_one_item_is_enough(name, tastes):
    counts = pd.Series(tastes["item_id"].to_pylist()).value_counts()
    top = min((-n, str(i)) for i, n in counts.items())[1]
    assert fit(tastes, name).recommend(["nobody" if False else 10_000], 1)["item_id"][
        0
    ].as_py() == int(top)
    single = fit(table([("a", "x"), ("b", "x"), ("b", "x")]), name)
    assert single.recommend(["a", "c"], 3)["item_id"].to_pylist() == ["x"]  # a has it already
    assert single.recommend(["a"], 3, exclude_seen=False)["item_id"].to_pylist() == ["x"]
    assert single.similar("x").num_rows == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_table_gives_empty_lists(name):
    empty = pa.table({"user_id": pa.array([], pa.string()), "item_id": pa.array([], pa.string())})
    found = fit(empty, name)
    assert found.recommend(["a"]).num_rows == 0
    assert found.explain("a", "x").kind == "unknown"
    metrics = evaluate(found, table([("a", "x")]))
    assert (metrics.ndcg_at_10, metrics.hr_at_20, metrics.coverage_at_10) == (0, 0, 0)


@pytest.mark.parametrize("name", ["auto", "ease", "item_knn"])
def test_repeated_rows_and_the_order_of_users_change_nothing(name, tastes):
    frame = tastes.to_pandas().assign(at=START)
    twice = pd.concat([frame, frame]).sample(frac=1, random_state=1)
    one, two = (fit(t, name).recommend(range(10), 5) for t in (frame, twice))
    assert one["item_id"].to_pylist() == two["item_id"].to_pylist()


def test_auto_is_repeatable_and_says_what_it_chose(tastes):
    one, two = fit(tastes, seed=3), fit(tastes, seed=3)
    assert one.recommend(range(90), 5).equals(two.recommend(range(90), 5))
    assert one.card["check"] == "random"  # the order was chance
    assert one.card["models"]["walks"]["parameters"]["people"] >= 0


def test_auto_finds_that_order_matters_and_uses_later_history(chains):
    walks, train = chains
    found = fit(train)
    assert found.card["check"] == "last"
    test = table([(f"u{u}", f"i{w[-1]}") for u, w in enumerate(walks)])
    metrics = evaluate(found, test, k=(5,))
    assert metrics.hr_at_5 > evaluate(fit(train, "walks"), test, k=(5,)).hr_at_5
    later = table([("new", "i7"), ("new", "i8")])
    after = found.look_at(later).recommend(["new"], 3)["item_id"].to_pylist()
    assert set(after) <= {"i9", "i10", "i11", "i12", "i13", "i14"}


def test_ids_in_their_order_are_no_order_in_time():
    rows = [(u, i) for u in range(50) for i in range(u % 7, 30, 3)]
    assert read_events(table(rows)).history.clock == "none"
    assert read_events(table(rows[::-1])).history.clock == "none"
    mixed = [(u, (i * 7) % 31) for u, i in rows]
    assert read_events(table(mixed)).history.clock == "steps"


def test_without_times_the_last_rows_are_the_latest():
    history = read_events(
        table([("a", "z"), ("b", "q"), ("a", "y"), ("a", "x"), ("a", "z")])
    ).history
    assert history.products.tolist() == ["q", "x", "y", "z"]
    steps = dict(zip(history.pairs.product.tolist(), history.steps.tolist(), strict=True))
    assert steps == {1: 1, 2: 2, 3: 0, 0: 0}
    np.testing.assert_array_equal(history.amounts, [1, 1, 2, 1])


def test_times_weights_and_missing_ids_are_read():
    rows = [
        ("a", "x", START, 2.0), ("a", "x", START, 2.0), ("a", "x", START + timedelta(days=2), 1.0),
        (None, "x", START, 1.0), ("a", None, START, 1.0), ("b", "x", START, 0.0),
    ]  # fmt: skip
    history = read_events(table(rows, "at", "weight")).history
    assert history.customers.tolist() == ["a"]
    np.testing.assert_allclose(history.age_days, [0, 2], atol=1e-6)
    np.testing.assert_allclose(history.amounts, [3])
    assert read_events(table(rows, "at", "weight").to_pandas()).history.amounts.tolist() == [3]


@pytest.mark.parametrize("unit", [1, 86_400, 86_400_000, 86_400 * 10**6, 86_400 * 10**9])
def test_moments_as_numbers_are_days_or_parts_of_seconds_since_1970(unit):
    days = [20_000, 20_003, 20_010]
    rows = [("a", f"i{place}", day * unit) for place, day in enumerate(days)]
    history = read_events(table(rows, "at")).history
    np.testing.assert_allclose(history.age_days, [10, 7, 0], atol=1e-3)


def test_wrong_calls_are_named(tastes):
    with pytest.raises(InvalidParameter, match="item_id"):
        fit(pa.table({"user_id": ["a"]}))
    with pytest.raises(InvalidParameter, match="no model 'als2'"):
        fit(tastes, "als2")
    with pytest.raises(InvalidParameter, match="attributes"):
        fit(tastes, "content")
    with pytest.raises(InvalidParameter, match="at least 1"):
        evaluate(fit(tastes, "popularity"), tastes, k=(0,))
    with pytest.raises(InvalidParameter, match="'at'"):
        read_events(table([("a", "b", "yesterday")], "at"))


def test_reasons_are_said_in_both_languages(tastes):
    found = fit(tastes)
    item = found.recommend([3], 1)["item_id"][0].as_py()
    reason = found.explain(3, item)
    assert reason.kind == "because"
    had = tastes.to_pandas().query("user_id == 3")["item_id"].tolist()
    for one in reason.numbers["products"]:
        assert int(one["product_id"]) in had
        assert one["product_id"] in reason.words
    assert reason.words_zh.startswith("因为您选过")
    assert found.explain(3, had[0]).words == "taken 1 times before"
    assert found.explain("nobody", item).words.endswith("people")
    assert found.explain(3, "nothing").words_zh == "目录中没有该商品"
    rows = [("a", "x", START + timedelta(days=d)) for d in (0, 10, 20)] + [("b", "y", START)]
    rhythm = fit(table(rows, "at"), "popularity").explain("a", "x")
    assert rhythm.words == "taken 3 times before, about every 10 days, last 0 days ago"


def test_attributes_bring_in_what_nobody_has_taken(tastes):
    kinds = pa.table(
        {
            "item_id": [*range(40), 100],
            "category": ["drinks / tea"] * 20 + ["drinks / coffee"] * 20 + ["drinks / coffee"],
        }
    )
    found = fit(tastes, "content", attributes=kinds)
    assert 100 in found.recommend([3], 20)["item_id"].to_pylist()
    assert 100 not in found.recommend([4], 13)["item_id"].to_pylist()
    assert set(found.similar(100, 20)["item_id"].to_pylist()) == set(range(20, 40))
    assert "content" in fit(tastes, attributes=kinds).card["models"]


def test_a_new_item_is_known_by_a_name_that_only_resembles_others(tastes):
    kinds = [f"walnut bowl no {n}" for n in range(20)] + [f"linen towel no {n}" for n in range(20)]
    names = {100: "walnut bowls", 101: "linen towels"}  # as whole values they are like nothing
    called = pa.table({"item_id": [*range(40), *names], "name": [*kinds, *names.values()]})
    found = fit(tastes, "content", attributes=called)
    for item, alike in ((100, range(20)), (101, range(20, 40))):
        near = found.similar(item, 20)
        assert set(near["item_id"].to_pylist()) == set(alike)
        assert max(near["score"].to_pylist()) <= 1
    first = found.recommend([3], 20)["item_id"].to_pylist()
    assert 101 in first, "she likes what is linen"
    alone = fit(tastes, "content", attributes=called.set_column(1, "name", pa.array(["x y"] * 42)))
    assert alone.scorer.texts_.shape[1] == 0, "a kind of all is no name"


def test_repeat_purchases_over_months_get_the_model_of_repeats():
    rng = np.random.default_rng(1)
    rows = [
        (f"u{u}", f"i{u % 7}" if rng.random() < 0.6 else f"i{rng.integers(12)}",
         START + timedelta(days=day + u % 7))
        for u in range(90)
        for day in range(0, 210, 7)
    ]  # fmt: skip
    found = fit(table(rows, "at"))
    assert found.card["model"] == "blend"
    first = found.recommend([f"u{u}" for u in range(90)], 1, exclude_seen=False)
    staple = [f"i{u % 7}" for u in range(90)]
    assert np.mean(np.array(first["item_id"].to_pylist()) == staple) > 0.8


def test_evaluate_counts_what_the_catalogue_lacks_and_splits_by_segment():
    train = table([("a", "x"), ("b", "x"), ("b", "y"), ("c", "x"), ("c", "y"), ("c", "z")])
    found = fit(train, "popularity")
    test = table([("a", "y"), ("a", "y"), ("a", "outside"), ("b", "x"), ("b", "z"), ("s", "x")])
    metrics = evaluate(found, test, k=(1, 2))
    people = {row["user_id"]: row for row in metrics.people.to_pylist()}
    assert {u: row["relevant"] for u, row in people.items()} == {"a": 2, "b": 1, "s": 1}
    assert {u: row["segment"] for u, row in people.items()} == {
        "a": "light",
        "b": "heavy",
        "s": "new",
    }
    assert metrics.hr_at_1 == 1  # y for a, z for b (she has x and y), x for the stranger
    np.testing.assert_allclose(metrics.recall_at_1, (0.5 + 1 + 1) / 3)
    assert metrics.figures["recall_at_1"].low < metrics.recall_at_1
    assert metrics.by_segment()["light"]["recall_at_2"].value == 0.5
    named = evaluate(found, test, segments={"a": "gold", "b": "gold", "s": "none"})
    assert set(named.by_segment()) == {"gold", "none"}
    assert evaluate(found, test, exclude_seen=False, k=(1,)).hr_at_1 < 1
    assert metrics.table().num_rows == len(metrics.figures)


def test_a_model_of_ones_own_is_taken(tastes):
    weak, strong = (fit(tastes, Ease(ridge=r, fade=0.0)).scorer for r in (1.0, 1000.0))
    codes = np.arange(5)
    assert np.abs(strong.score(codes)).max() < np.abs(weak.score(codes)).max()


def test_what_is_no_table_and_one_user_for_many_are_refused_in_words(tastes):
    with pytest.raises(InvalidParameter, match="interactions are no table but of type list"):
        fit([{"user_id": "a", "item_id": "x"}])
    with pytest.raises(InvalidParameter, match="'u1', a text, not a list"):
        fit(tastes, "popularity").recommend("u1", 3)
    with pytest.raises(InvalidParameter, match="ridge is -1"):
        fit(tastes, Ease(ridge=-1))

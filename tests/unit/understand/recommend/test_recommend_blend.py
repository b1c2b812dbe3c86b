"""The blend, its reasons, the batch of a day and its evaluation."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.understand.recommend.conftest import UNTIL, purchases, two_tastes
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.rows import arrow_schema, conform
from zhiyin.core.tables import RECOMMENDATIONS
from zhiyin.understand.recommend.baselines import Frequency, Popularity
from zhiyin.understand.recommend.batch import recommend_batch
from zhiyin.understand.recommend.blend import Blend
from zhiyin.understand.recommend.history import read_history, truth_matrix
from zhiyin.understand.recommend.logit import fit_logit
from zhiyin.understand.recommend.metrics import drop_seen, measure_lists

DAY = timedelta(days=1)
AS_OF = date(2026, 6, 1)


@pytest.fixture(scope="module")
def batch(shop):
    return recommend_batch(shop, as_of=AS_OF, until=UNTIL, top=8, min_new=3, min_buyers=5)


def test_the_batch_is_rows_of_the_table(batch, shop):
    rows = conform(RECOMMENDATIONS, batch.rows)
    assert rows.schema == arrow_schema(RECOMMENDATIONS)
    assert batch.status == "ok"
    customers = set(shop["customer_id"].to_pylist())
    assert set(rows["customer_id"].to_pylist()) == customers
    frame = rows.to_pandas()
    assert frame.groupby("customer_id")["rank"].apply(list).map(lambda r: r == sorted(r)).all()
    assert frame.groupby("customer_id")["score"].apply(lambda s: s.is_monotonic_decreasing).all()
    assert frame["score"].between(0, 1).all()
    json.dumps(batch.card, allow_nan=False)


def test_each_list_keeps_places_for_new_products(batch, shop):
    seen = set(zip(*(shop[n].to_pylist() for n in ("customer_id", "product_id")), strict=True))
    new: dict[str, int] = {}
    for row in batch.rows.select(["customer_id", "product_id"]).to_pylist():
        fresh = (row["customer_id"], row["product_id"]) not in seen
        new[row["customer_id"]] = new.get(row["customer_id"], 0) + fresh
    assert min(new.values()) >= 3


def test_reasons_name_her_rhythm_or_products_of_hers(batch, shop):
    seen = set(zip(*(shop[n].to_pylist() for n in ("customer_id", "product_id")), strict=True))
    kinds = set()
    for row in batch.rows.to_pylist():
        reason = json.loads(row["reason"])
        kinds.add(reason["kind"])
        if reason["kind"] == "repeat":
            assert (row["customer_id"], row["product_id"]) in seen
            assert row["model"] == "blend.repeat"
            assert reason["times"] >= 1
        elif reason["kind"] == "because":
            shares = [p["share"] for p in reason["products"]]
            assert shares == sorted(shares, reverse=True)
            assert sum(shares) <= 1.001
            for product in reason["products"]:
                assert (row["customer_id"], product["product_id"]) in seen
    assert {"repeat", "because"} <= kinds


def test_the_weekly_staple_comes_first(batch):
    first = batch.rows.filter(pa.compute.equal(batch.rows["rank"], 1)).to_pylist()
    hits = sum(
        row["product_id"] == f"{('tea', 'coffee')[int(row['customer_id'][1:]) % 2]}_"
        f"{int(row['customer_id'][1:]) % 5}"
        for row in first
    )
    assert hits > 0.9 * len(first)


def test_a_short_history_ranks_with_prior_weights():
    rows = [(f"c{i}", f"p{i % 3}", UNTIL - 5 * DAY) for i in range(9)]
    found = recommend_batch(
        purchases(rows), as_of=AS_OF, until=UNTIL, top=2, min_new=1, min_buyers=1
    )
    assert found.status == "too_little_history"
    assert found.rows.num_rows == 18


def test_no_eligible_product_gives_no_rows():
    found = recommend_batch(purchases([("a", "p", UNTIL - DAY)]), as_of=AS_OF, until=UNTIL)
    assert found.status == "no_products"
    assert found.rows.num_rows == 0
    assert recommend_batch(purchases([]), as_of=AS_OF, until=UNTIL).status == "no_products"


def test_lengths_out_of_range_are_refused(shop):
    with pytest.raises(InvalidParameter, match="top is 0"):
        recommend_batch(shop, as_of=AS_OF, until=UNTIL, top=0)
    with pytest.raises(InvalidParameter, match="min_new is 9"):
        recommend_batch(shop, as_of=AS_OF, until=UNTIL, top=8, min_new=9)


def test_categories_sharpen_what_is_new(shop):
    taste = {p: str(p).split("_")[0] for p in set(shop["product_id"].to_pylist())}
    history = read_history(shop, until=UNTIL, min_buyers=5)
    model = Blend(min_buyers=5, categories=taste).fit(history)
    assert model.describe()["weights_new"]["category"] != 0
    assert Blend(min_buyers=5).fit(history).describe()["weights_new"]["category"] == 0


def test_the_blend_beats_both_baselines_on_a_later_month():
    shop = two_tastes(customers=160, days=300, seed=5)
    until = UNTIL - timedelta(days=30)
    history = read_history(shop, until=until, min_buyers=5)
    truth = truth_matrix(shop, history, before=UNTIL)[:-1]
    fresh = drop_seen(truth, history.seen[:-1])
    everything, new = {}, {}
    for model in (Popularity(), Frequency(), Blend(min_buyers=5)):
        lists = model.fit(history).recommend_both(np.arange(history.shape[0]), k=10)
        for found, ranked, true in zip((everything, new), lists, (truth, fresh), strict=True):
            found[model.name] = measure_lists(ranked.products, true, history, k=(10,)).ndcg_at_10
    assert new["blend"] > 1.3 * new["popularity"]
    assert everything["blend"] > everything["frequency"]


def test_logit_finds_the_planted_weights():
    rng = np.random.default_rng(2)
    signals = rng.normal(size=(20_000, 2)) * [1.0, 5.0] + [3.0, 0.0]
    odds = -1.0 + 0.8 * (signals[:, 0] - 3) - 0.2 * signals[:, 1]
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-odds))).astype(float)
    model = fit_logit(signals, labels)
    np.testing.assert_allclose(model.weights / model.spread, [0.8, -0.2], atol=0.05)
    assert abs(model.probability(signals).mean() - labels.mean()) < 1e-6


def test_logit_survives_separable_labels():
    signals = np.array([[0.0], [1.0], [2.0], [3.0]])
    model = fit_logit(signals, np.array([0.0, 0.0, 1.0, 1.0]))
    assert np.isfinite(model.weights).all()
    assert model.probability(signals)[-1] > 0.5


def test_logit_begun_on_a_sample_ends_at_the_optimum_of_all_rows():
    rng = np.random.default_rng(5)
    signals = rng.normal(size=(100_000, 3))
    odds = -3.0 + signals @ [0.8, -0.4, 0.1]
    labels = (rng.random(100_000) < 1 / (1 + np.exp(-odds))).astype(float)
    labels[::3] *= signals[::3, 0] > 0  # the sample alone (every third row) would say otherwise
    model = fit_logit(signals, labels, ridge=1.0)
    scaled = (signals - model.center) / model.spread
    slope = scaled.T @ (labels - model.probability(signals)) - model.weights
    np.testing.assert_allclose(slope, 0, atol=1e-2)
    assert abs(model.probability(signals).mean() - labels.mean()) < 1e-8

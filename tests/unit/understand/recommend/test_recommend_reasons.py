"""Reasons made a column at a time say what `give_reason` says of one product at a time."""

import json

import numpy as np
import pytest

from tests.unit.understand.recommend.conftest import UNTIL
from zhiyin.understand.recommend import reasons
from zhiyin.understand.recommend.ease import Ease
from zhiyin.understand.recommend.explain import give_reason
from zhiyin.understand.recommend.history import read_history
from zhiyin.understand.recommend.scorer import FILL


@pytest.fixture(scope="module")
def model(shop):
    return Ease().fit(read_history(shop, until=UNTIL, min_buyers=1))


def explained(model, k=6):
    codes = np.arange(len(model.history.customers))
    both = model.recommend_both(codes, k=k)
    return codes, both


@pytest.mark.parametrize("block", [50, 2_000_000])
@pytest.mark.parametrize("which", [0, 1])
def test_they_are_those_of_one_product_at_a_time(model, monkeypatch, block, which):
    monkeypatch.setattr(reasons, "_BLOCK", block)
    codes, rankings = explained(model)
    ranking = rankings[which]
    found = reasons.explain_ranking(model, codes, ranking)
    rows, ranks = np.nonzero(ranking.products >= 0)
    assert len(found.texts) == len(rows)
    for row, rank, repeat, text in zip(
        rows, ranks, found.repeat, found.texts.to_pylist(), strict=True
    ):
        said = json.loads(text)
        assert text == json.dumps(said, sort_keys=True), "as it was always written"
        assert repeat == (said["kind"] == "repeat")
        item = str(model.history.products[ranking.products[row, rank]])
        one = give_reason(model, int(codes[row]), item)
        if ranking.scores[row, rank] <= FILL:
            continue
        assert said["kind"] == one.kind
        if one.kind == "because":
            near = dict.fromkeys(("rel", "abs"), 2e-3)
            shares = [p["share"] for p in one.numbers["products"]]
            assert [p["share"] for p in said["products"]] == pytest.approx(shares, **near)
        else:
            assert {k: v for k, v in said.items() if k != "kind"} == one.numbers


def test_what_nothing_of_hers_speaks_for_is_popular(model):
    codes, (ranking, _) = explained(model)
    ranking = type(ranking)(ranking.products, np.zeros_like(ranking.scores))
    found = reasons.explain_ranking(model, codes, ranking)
    kinds = {json.loads(text)["kind"] for text in found.texts.to_pylist()}
    assert kinds == {"repeat", "popular"}


def test_slices_cover_everybody_and_stay_small():
    sizes = np.sort(np.random.default_rng(3).integers(0, 40, 1000))
    parts = reasons._parts(sizes)
    assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
    assert (parts[0].start, parts[-1].stop) == (0, 1000)
    assert reasons._parts(sizes[:0]) == []

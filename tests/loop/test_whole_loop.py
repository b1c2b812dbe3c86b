"""The whole circle on simulated shops: the planted effect is found again, and nothing leaves."""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import pytest

from tests.loop.shops import load_tables, make_workspace
from zhiyin.core import columns as c
from zhiyin.simulate.config import ShopConfig
from zhiyin.simulate.retailer import Shop
from zhiyin.understand.value.scoring import TASKS

CONFIG = ShopConfig(customers=900, products=60)
TURNS = 2
DECIDE = {
    "max_share": 1.0, "explore_share": 0.1, "holdout_share": 0.5, "contact_cost_minor": 0,
}  # fmt: skip
UNDERSTAND = {"response_candidates": ["logistic", "tree"], "tasks": []}
_connected: list[str] = []
_watching: list[bool] = []


def _hook(event: str, arguments: tuple) -> None:
    if _watching and event == "socket.connect":
        _connected.append(event)


sys.addaudithook(_hook)


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """A shop that was turned for several campaigns; who was contacted went back into it."""
    folder = tmp_path_factory.mktemp("loop")
    shop = Shop(CONFIG, seed=3)
    coming = [one for one in shop.campaigns if one.start >= 240][: TURNS + 1]
    days = [CONFIG.opened_on + timedelta(one.start) for one in coming]
    workspace = make_workspace(folder / "shop", CONFIG, decide=DECIDE, understand=UNDERSTAND)
    load_tables(workspace, shop.history(days[0]), folder / "raw0", now=days[0])
    _watching.append(True)
    for turn, (day, following) in enumerate(pairwise(days)):
        workspace.run(as_of=day)
        contacted = contacted_ids(workspace, shop, day)
        tables = shop.step(day, following, {coming[turn].campaign_id: contacted})
        load_tables(workspace, tables, folder / f"raw{turn + 1}", now=following)
    workspace.run(as_of=days[-1])
    _watching.clear()
    yield workspace, shop, coming[:TURNS], days
    workspace.close()


def own_ids(workspace) -> dict[str, str]:
    """Our customer id → the shop's own."""
    shop_ids = [f"c{number + 1:06d}" for number in range(CONFIG.customers)]
    return dict(zip(workspace.vault.party_ids("user_id", shop_ids), shop_ids, strict=True))


def decisions_of(workspace, day: date):
    rows = workspace.table("decisions")
    return rows.filter(rows[c.AS_OF_ON] == day).to_pyarrow().to_pylist()


def contacted_ids(workspace, shop, day: date) -> list[str]:
    names = own_ids(workspace)
    rows = decisions_of(workspace, day)
    return sorted(names[row[c.CUSTOMER_ID]] for row in rows if row[c.ACTION] == "contact")


def test_every_later_turn_says_who_moved_between_segments(turned):
    workspace, _, _, days = turned
    rows = workspace.table("insights")
    said = {
        row[c.AS_OF_ON]: json.loads(row[c.BODY])
        for row in rows.filter(rows[c.KIND] == "movement", rows[c.KEY] == "rfm")
        .to_pyarrow()
        .to_pylist()
    }
    assert sorted(said) == days[1:]
    members = workspace.table("memberships")
    for start, end in pairwise(days):
        day = members.filter((members[c.SCHEME] == "rfm") & (members[c.AS_OF_ON] == end))
        sizes = Counter(day.to_pyarrow()[c.SEGMENT].to_pylist())
        body = said[end]
        assert (body[c.START_ON], body[c.END_ON]) == (start.isoformat(), end.isoformat())
        after = Counter()
        for row in body["counts"].values():
            after.update({target: n for target, n in row.items() if target != "(lost)"})
        assert after == sizes
        assert 0 < body["stayed"] < 1
        assert body["words"]["zh"].startswith(f"{start} 至 {end}：")


def test_every_turn_decides_with_a_holdout(turned):
    workspace, _, _, days = turned
    for day in days[:TURNS]:
        arms = [row[c.ARM] for row in decisions_of(workspace, day)]
        assert arms.count("treat") > 50
        assert arms.count("holdout") > 50


def test_the_planted_effect_is_inside_the_interval_and_pooled_it_is_found(turned):
    workspace, shop, campaigns, days = turned
    results = workspace.table("results").to_pyarrow().to_pylist()
    inside, found, truth = 0, [], []
    for campaign, day in zip(campaigns, days, strict=False):
        (row,) = [
            one for one in results
            if one[c.AS_OF_ON] == day and one[c.METRIC] == "orders_per_customer"
        ]  # fmt: skip
        names = own_ids(workspace)
        chosen = [
            names[one[c.CUSTOMER_ID]]
            for one in decisions_of(workspace, day)
            if one[c.ARM] in ("treat", "holdout")
        ]
        effect = shop.truth.effect(campaign.campaign_id, chosen, worlds=20).orders
        inside += row[c.LOW] <= effect <= row[c.HIGH]
        found.append(row)
        truth.append(effect)
    assert inside >= TURNS - 1  # each interval misses one time in twenty
    weights = [(3.92 / (row[c.HIGH] - row[c.LOW])) ** 2 for row in found]
    pooled = sum(w * row[c.VALUE] for w, row in zip(weights, found, strict=True)) / sum(weights)
    error = sum(weights) ** -0.5
    expected = sum(w * one for w, one in zip(weights, truth, strict=True)) / sum(weights)
    assert abs(pooled - expected) < 3 * error
    assert expected > 0.02  # there is an effect to be found


def test_every_turn_says_who_is_still_a_customer_and_what_she_is_worth(turned):
    workspace, _, _, days = turned
    scores = workspace.table("scores")
    for day in days:
        rows = scores.filter(scores[c.AS_OF_ON] == day).to_pyarrow().to_pandas()
        found = rows[rows[c.TASK].isin(TASKS)]
        assert sorted(found[c.TASK].unique()) == sorted(TASKS)
        assert found.groupby(c.TASK).size().nunique() == 1
        assert found[found[c.TASK] == "p_alive"][c.SCORE].between(0, 1).all()
        assert (found[c.SCORE] >= 0).all()


def test_running_opens_no_connection_and_sends_nothing(turned):
    workspace, *_ = turned
    assert _connected == []
    assert list((workspace.folder / "outbox").iterdir()) == []
    plan = workspace.send_plan(f"shop:{turned[2][-1].campaign_id}")
    assert plan.counts["sent"] == 0
    assert plan.counts["planned"] > 50


def test_sending_without_a_channel_is_refused_with_a_hint(turned):
    from zhiyin.core.errors import ConfigError

    with pytest.raises(ConfigError) as caught:
        turned[0].send(f"shop:{turned[2][-1].campaign_id}")
    assert "zhiyin.toml" in caught.value.hint

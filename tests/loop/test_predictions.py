"""A simulated shop whose leavers are known: predicted, kept, asked by an audience, explained."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from tests.loop.shops import load_tables, make_workspace
from zhiyin.audience import parse
from zhiyin.audiences import Audiences
from zhiyin.cli import app
from zhiyin.core import columns as c
from zhiyin.core import ledger
from zhiyin.models import Models
from zhiyin.person.explain import explain_customer
from zhiyin.simulate.config import ShopConfig
from zhiyin.simulate.retailer import Shop
from zhiyin.understand.predict.quality import auc_delong

CONFIG = ShopConfig(
    customers=900, products=40, campaigns=0, life_days=150.0, orders_per_day=0.12, rate_shape=4.0
)
HORIZON = 28
FIRST, SECOND = (CONFIG.opened_on + timedelta(days=n) for n in (200, 230))
UNDERSTAND = {
    "purchase_horizon_days": HORIZON, "churn_horizon_days": HORIZON, "affinity_categories": 1,
    "min_positives": 30, "candidates": ["logistic", "tree"],
}  # fmt: skip
LEAVING = {"type": "score", "task": "churn", "op": "ge", "value": 0.5}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The shop after a turn; what it did in the next four weeks is known and not loaded yet."""
    folder = tmp_path_factory.mktemp("predictions")
    simulated = Shop(CONFIG, seed=5)
    workspace = make_workspace(folder / "shop", CONFIG, understand=UNDERSTAND)
    load_tables(workspace, simulated.history(FIRST), folder / "raw0", now=FIRST)
    workspace.run(as_of=FIRST)
    later = simulated.step(FIRST, SECOND, {})
    yield workspace, later, folder
    workspace.close()


@pytest.fixture(scope="module")
def second(shop):
    """The same shop after a second turn, which sees what the first could not."""
    workspace, later, folder = shop
    load_tables(workspace, later, folder / "raw1", now=SECOND)
    for job in ("collect.facts", "profile.features", "understand.models", "measure"):
        workspace.run(as_of=SECOND, only=job)
    return workspace


def read(workspace, table, day, **where):
    rows = workspace.table(table)
    rows = rows.filter(rows[c.AS_OF_ON] == day)
    for name, value in where.items():
        rows = rows.filter(rows[name] == value)
    return rows.to_pyarrow().to_pandas()


def later_buyers(workspace, later) -> set[str]:
    lines = later["order_lines"]
    days = lines["sold_at"].dt.tz_localize(None)
    soon = days < np.datetime64(FIRST + timedelta(days=HORIZON))
    return set(workspace.vault.party_ids("user_id", sorted(set(lines[soon]["customer_id"]))))


def test_those_who_stay_away_are_found(shop):
    workspace, later, _ = shop
    scores = read(workspace, "scores", FIRST, task="churn")
    stayed_away = ~scores[c.CUSTOMER_ID].isin(later_buyers(workspace, later))
    found = auc_delong(stayed_away.to_numpy(int), scores[c.SCORE].to_numpy())
    assert stayed_away.sum() > 50
    assert found.low > 0.6


def test_every_task_has_scores_and_reasons(shop):
    scores = read(shop[0], "scores", FIRST)
    assert {"churn", "next_purchase", "category_affinity"} <= set(scores[c.TASK])
    assert (scores[scores[c.TASK] == "churn"][c.REASONS] != "[]").all()


def test_an_audience_asks_who_is_about_to_leave_and_explain_says_why(shop):
    workspace = shop[0]
    asked = Audiences(workspace.store, workspace.vault, workspace.clock, FIRST)
    found = asked.preview(parse(LEAVING), n=1)
    scores = read(workspace, "scores", FIRST, task="churn")
    assert found.size == (scores[c.SCORE] >= 0.5).sum() > 0
    for language, word in (("en", "stays away"), ("zh", "流失")):
        answer = explain_customer(
            workspace.store, workspace.vault, found.sample[0], language=language
        )
        assert word in answer.text


def test_the_champion_stays_until_a_day_it_did_not_learn_from_and_can_be_put_aside(second):
    workspace = second
    held = Models(workspace.store, workspace.clock, "auto")
    first, second = sorted(held.listed("churn"), key=lambda one: one["as_of"])
    assert first["comparison"]["status"] == "no_champion"
    assert second["comparison"]["status"] in ("ok", "champion_saw_the_day")
    speaking = next(one for one in (first, second) if one["stage"] == "champion")
    versions = set(read(workspace, "scores", SECOND, task="churn")[c.MODEL_VERSION])
    assert versions == {speaking["version"]}
    other = second if speaking is first else first
    held.promote("churn", version=other["version"], by="ann")
    workspace.run(as_of=SECOND, only="understand.models")
    versions = set(read(workspace, "scores", SECOND, task="churn")[c.MODEL_VERSION])
    assert versions == {other["version"]}
    assert held.rollback("churn", by="ben") == speaking["version"]
    with workspace.store.begin() as connection:
        rows = connection.execute(sa.select(ledger.audit).order_by(ledger.audit.c.entry_id)).all()
    told = [row for row in rows if row.action.startswith("model.") and row.actor in ("ann", "ben")]
    assert [row.action for row in told] == ["model.promoted", "model.rolled_back"]
    assert {"data_hash", "card", "version"} <= set(told[0].detail)


def test_yesterdays_churn_scores_are_measured_once_the_horizon_is_over(second):
    workspace = second
    rows = workspace.table("results").filter(lambda t: t[c.KIND] == "churn").to_pyarrow()
    found = {(row[c.AS_OF_ON], row[c.METRIC]): row for row in rows.to_pylist()}
    assert found[FIRST, "auc"][c.STATUS] == "ok"
    assert found[FIRST, "auc"][c.LOW] > 0.6
    assert found[FIRST, "auc"][c.MEASURED_UNTIL_ON] == FIRST + timedelta(days=HORIZON)
    assert found[SECOND, "auc"][c.STATUS] == "not_yet"
    held = Models(workspace.store, workspace.clock, "auto")
    first = min(held.listed("churn"), key=lambda one: one["as_of"])
    shown = held.shown("churn", version=first["version"])
    assert [one["as_of"] for one in shown["measured"]] == [FIRST.isoformat()]
    assert shown["decay"] == "ok"


def test_the_model_of_value_that_spoke_is_looked_back_on(second):
    workspace = second
    held = Models(workspace.store, workspace.clock, "auto")
    first = min(held.listed("value"), key=lambda one: one["as_of"])
    shown = held.shown("value", version=first["version"])
    assert [one["until"] for one in shown["measured"]] == [SECOND.isoformat()]
    told = shown["measured"][0]
    assert told["since"] == FIRST.isoformat()
    assert shown["decay"] == told["status"]
    assert told["words"]["zh"]


def test_the_command_line_lists_and_shows(shop):
    workspace = shop[0]
    listed = CliRunner().invoke(app, ["models", "list", "-w", str(workspace.folder)])
    assert listed.exit_code == 0, listed.output
    assert "churn" in listed.output
    assert "champion" in listed.output
    shown = CliRunner().invoke(app, ["models", "show", "churn", "-w", str(workspace.folder)])
    assert '"predicts_zh": "复购客户在' in shown.output

"""What all campaigns of a quarter caused: the planted total is found, customers counted once."""

from __future__ import annotations

import json
from datetime import date, datetime

import numpy as np
import pytest

from tests.unit.measure.test_measure_job import line, touch, utc
from zhiyin.core import columns as c
from zhiyin.measure.experiment import Adjusted, Moments
from zhiyin.measure.job import run
from zhiyin.measure.programme import Cell, estimate_contacts, find_quarter
from zhiyin.measure.results import to_rows

HELD = 0.2
TURNS = (date(2024, 1, 8), date(2024, 2, 5), date(2024, 3, 4))
LAST = date(2024, 4, 2)


@pytest.fixture(autouse=True)
def no_indicators(monkeypatch):
    """They have tests of their own."""
    monkeypatch.setattr(
        "zhiyin.measure.job.make_rows", lambda ctx: to_rows([], as_of=ctx.as_of, until={})
    )


def _cells(assigned, treated, spent, before) -> list[Cell]:
    made = []
    for n, t in sorted(set(zip(assigned.tolist(), treated.tolist(), strict=True))):
        mine = (assigned == n) & (treated == t)
        y, x = spent[mine], before[mine]
        products = ((y @ y, x @ y), (x @ y, x @ x))
        made.append(Cell(n, t, Adjusted(Moments(int(mine.sum()), (y.sum(), x.sum()), products))))
    return made


def test_the_interval_holds_what_overlapping_contacts_caused():
    """Better customers are chosen more often, and one contact makes the next more likely."""
    rng = np.random.default_rng(5)
    found, n, runs = 0, 1500, 300
    for _ in range(runs):
        worth = rng.gamma(2, 1000, n)
        assigned, treated = np.zeros(n, int), np.zeros(n, int)
        for _campaign in range(4):
            chosen = rng.random(n) < 0.15 + worth / 8000 + 0.15 * (treated > 0)
            assigned += chosen
            treated += chosen & (rng.random(n) >= HELD)
        spent = worth + rng.normal(0, 900, n) + 250 * treated
        seen = assigned > 0
        before = worth + rng.normal(0, 500, n)
        total = estimate_contacts(
            _cells(assigned[seen], treated[seen], spent[seen], before[seen]), holdout_share=HELD
        ).total
        found += total.low <= 250 * treated.sum() <= total.high
    assert 0.92 <= found / runs <= 0.98


def test_too_few_withheld_contacts_say_nothing():
    assigned = np.ones(40, int)
    treated = (np.arange(40) > 4).astype(int)
    spent = np.arange(40.0)
    found = estimate_contacts(_cells(assigned, treated, spent, spent), holdout_share=HELD)
    assert (found.total.status, found.contacts, found.withheld) == ("too_few_units", 35, 5)


@pytest.mark.parametrize(
    ("day", "name", "start", "end"),
    [
        (date(2024, 3, 31), "2024Q1", date(2024, 1, 1), date(2024, 4, 1)),
        (date(2017, 10, 1), "2017Q4", date(2017, 10, 1), date(2018, 1, 1)),
    ],
)
def test_a_quarter_knows_its_days(day, name, start, end):
    quarter = find_quarter(day)
    assert (quarter.name, quarter.start, quarter.end) == (name, start, end)
    assert quarter.previous.end == start


def _decision(turn: date, person: str, arm: str, reason: str) -> dict:
    return {
        c.DECISION_ID: f"{turn}-{person}", c.AS_OF_ON: turn, c.CAMPAIGN_ID: f"s:{turn:%m}",
        c.PARTY_ID: person, c.CUSTOMER_ID: person, c.ARM: arm, c.REASON: reason,
        c.DECIDED_AT: datetime(turn.year, turn.month, turn.day, 14),
    }  # fmt: skip


def _quarter(lake, *, everything: float) -> float:
    """600 customers in three overlapping campaigns; 8.00 more per contact. The planted total."""
    rng = np.random.default_rng(11)
    people = [f"p_{n:03d}" for n in range(600)]
    apart = rng.random(600) < everything
    worth = rng.gamma(2, 10, 600)
    decisions, lines, planted = [], [], 0
    for person, out, value in zip(people, apart, worth, strict=True):
        lines.append(line(person, int(100 * value), utc("2023-12-10T17:00")))
        for turn in TURNS:
            why, arm = "best_expected_profit", "treat"
            if out:
                why, arm = "global_holdout", "none"
            elif rng.random() < 0.3:
                why, arm = "below_cut", "none"
            elif rng.random() < HELD:
                why, arm = "held_out", "holdout"
            decisions.append(_decision(turn, person, arm, why))
            planted += 800 * (arm == "treat")
            spent = int(100 * value + rng.normal(0, 300)) + 800 * (arm == "treat") + 5000
            lines.append(line(person, spent, datetime(turn.year, turn.month, 20, 17)))
        lines.append(line(person, 90_000, utc("2024-01-02T17:00")))  # before any decision
        lines.append(line(person, 90_000, utc("2024-04-01T17:00"), "s:b"))  # after the quarter
    lake.add("decisions", decisions)
    lake.add("order_lines", lines)
    return planted


def _told(lake, context, **sections) -> dict:
    ctx = context(lake, LAST, **sections)
    run(ctx, ctx.settings.measure)
    rows = lake.rows["results"].to_pylist()
    mine = [row for row in rows if row[c.KIND] == "programme" and row[c.SUBJECT] == "2024Q1"]
    return {row[c.METRIC]: row | {c.BODY: json.loads(row[c.BODY])} for row in mine}


def test_the_global_holdout_tells_what_all_campaigns_caused(lake, context):
    planted = _quarter(lake, everything=0.25)
    act, decide = {"global_holdout_share": 0.25}, {"holdout_share": HELD}
    money = _told(lake, context, act=act, decide=decide)["money_caused_minor"]
    assert money[c.LOW] <= planted <= money[c.HIGH]
    assert money[c.LOW] > 0
    body = money[c.BODY]
    assert (body["method"], body["evidence"], body["verdict"]) == (
        "global_holdout", "randomised", "brought_more",
    )  # fmt: skip
    assert body["customers"] + body["held_out"] == money[c.N] == 600  # once each, of 1,800
    assert money[c.STATUS] == "ok"
    assert money[c.MEASURED_UNTIL_ON] == date(2024, 4, 1)


def test_without_one_the_holdouts_of_all_campaigns_are_pooled(lake, context):
    planted = _quarter(lake, everything=0.0)
    rows = _told(lake, context, decide={"holdout_share": HELD})
    money, each = rows["money_caused_minor"], rows["revenue_per_contact_minor"]
    assert money[c.LOW] <= planted <= money[c.HIGH]
    assert each[c.LOW] <= 800 <= each[c.HIGH]
    assert money[c.BODY]["method"] == "assignments"
    assert money[c.BODY]["verdict"] == "brought_more"


def test_nothing_held_out_is_not_measured_and_a_broken_holdout_neither(lake, context):
    _quarter(lake, everything=0.25)
    everybody = lake.rows["decisions"].to_pylist()
    redeemed = [
        touch(n, "redemption", utc("2024-03-10T17:00"), f"s:{turn:%m}")
        for turn in TURNS for n in range(600)
    ]  # fmt: skip
    lake.add("touches", redeemed)
    act, decide = {"global_holdout_share": 0.25}, {"holdout_share": HELD}
    money = _told(lake, context, act=act, decide=decide)["money_caused_minor"]
    assert (money[c.VALUE], money[c.STATUS]) == (None, "holdout_not_kept")
    del lake.rows["decisions"], lake.rows["touches"]
    lake.add("decisions", [row for row in everybody if row[c.ARM] == "treat"])
    money = _told(lake, context, decide=decide)["money_caused_minor"]
    assert (money[c.STATUS], money[c.BODY]["evidence"]) == ("not_measured", "none")


def test_it_never_causes_more_than_was_spent(lake, context):
    """30 who were held out lost a fortune by returns: the difference is more than all revenue."""
    people = [f"p_{n:03d}" for n in range(90)]
    lake.add("decisions", [
        _decision(TURNS[0], one, "none" if n % 3 == 0 else "treat",
                  "global_holdout" if n % 3 == 0 else "best_expected_profit")
        for n, one in enumerate(people)
    ])  # fmt: skip
    lake.add("order_lines", [
        line(one, (-90_000 if n % 3 == 0 else 1000) + n, utc("2024-02-20T17:00"))
        for n, one in enumerate(people)
    ])  # fmt: skip
    lake.add("order_lines", [line("p_stranger", 100, utc("2024-04-01T17:00"))])
    money = _told(lake, context, act={"global_holdout_share": 0.33})["money_caused_minor"]
    assert money[c.VALUE] == money[c.HIGH] == money[c.BODY]["spent_minor"] < 70_000

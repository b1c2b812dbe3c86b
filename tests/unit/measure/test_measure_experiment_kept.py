"""Experiments that a workspace keeps: their states, who gets which arm, what is read of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.errors import InvalidParameter, NotFound, WorkspaceError
from zhiyin.core.ledger import audit, experiments
from zhiyin.decided import decided_rows
from zhiyin.measure.experiment import ledger
from zhiyin.measure.experiment.definition import parse
from zhiyin.measure.experiment.live import Ask, Door
from zhiyin.measure.experiment.measures import check_measured
from zhiyin.measure.experiment.read_job import describe, read
from zhiyin.measure.experiment.readout import decide

ZONE = "America/New_York"
START = datetime(2026, 3, 2, 14, tzinfo=UTC)
NOW, TODAY = naive_utc(START), START.date()
OVER = date(2026, 4, 6)
TEXT = """
id = "banner"
question = "Does the banner bring orders?"
control = "plain"
starts_on = 2026-03-02
ends_on = 2026-03-22
planned = 600
window_days = 14
arms = { plain = 1.0, offer = 1.0 }
[[metrics]]
name = "conversion"
of = "orders"
kind = "share"
[[metrics]]
name = "revenue"
role = "other"
adjusted = true
[[metrics]]
name = "ctr"
kind = "ratio"
role = "other"
of = "event:Banner Clicked"
per = "event:Banner Viewed"
[[metrics]]
name = "complained"
of = "event:Complained"
kind = "share"
role = "guard"
better = "lower"
relative = false
margin = 0.1
"""
PLAN = parse(TEXT)


def changed(**more):
    return msgspec.structs.replace(PLAN, **more)


@pytest.fixture
def connection(engine):
    """A ledger whose changes are taken back."""
    with engine.ledger.connect() as made:
        yield made
        made.rollback()


def started(connection, plan=PLAN):
    ledger.put(connection, plan, by="Ana", now=NOW)
    return ledger.start(connection, plan.id, by="Ana", now=NOW, today=TODAY)


def test_a_plan_is_frozen_when_it_starts_and_each_step_is_in_the_audit(connection):
    first = ledger.put(connection, PLAN, by="Ana", now=NOW)
    assert ledger.put(connection, PLAN, by="Bo", now=NOW) == first  # says the same
    second = ledger.put(connection, changed(planned=800), by="Bo", now=NOW)
    assert (second.version, second.state) == (2, "draft")
    running = ledger.start(connection, "banner", by="Ana", now=NOW, today=TODAY)
    assert (running.state, running.plan.hash, running.started_at) == (
        "running", second.plan.hash, NOW,
    )  # fmt: skip
    with pytest.raises(InvalidParameter, match="frozen"):
        ledger.put(connection, PLAN, by="Ana", now=NOW)
    with pytest.raises(InvalidParameter, match="not draft"):
        ledger.start(connection, "banner", by="Ana", now=NOW, today=TODAY)
    stopped = ledger.stop(connection, "banner", by="Ana", now=NOW, why="it broke")
    assert (stopped.state, stopped.stopped_at) == ("stopped", NOW)
    assert [one.key for one in ledger.listed(connection)] == ["banner"]
    lines = connection.execute(sa.select(audit.c.action, audit.c.detail)).all()
    assert [one.action for one in lines] == [
        "experiment.put", "experiment.put", "experiment.start", "experiment.stop",
    ]  # fmt: skip
    assert (lines[-1].detail["why"], lines[-1].detail["hash"]) == ("it broke", second.plan.hash)
    with pytest.raises(NotFound):
        ledger.find(connection, "none-such")


def test_a_plan_that_was_changed_behind_its_hash_is_refused(connection):
    started(connection)
    other = msgspec.to_builtins(changed(planned=601))
    connection.execute(experiments.update().values(definition=other))
    with pytest.raises(WorkspaceError, match="behind its hash"):
        ledger.find(connection, "banner")


def test_experiments_of_a_layer_must_not_overlap_and_one_that_is_over_does_not_start(connection):
    started(connection, changed(layer="page", slot=(0.0, 0.5)))
    ledger.put(connection, changed(id="b", layer="page", slot=(0.4, 1.0)), by="A", now=NOW)
    with pytest.raises(InvalidParameter, match="overlap in layer page"):
        ledger.start(connection, "b", by="A", now=NOW, today=TODAY)
    ledger.put(connection, changed(id="b", layer="page", slot=(0.5, 1.0)), by="A", now=NOW)
    with pytest.raises(InvalidParameter, match="which is over"):
        ledger.start(connection, "b", by="A", now=NOW, today=date(2026, 3, 23))
    assert ledger.start(connection, "b", by="A", now=NOW, today=TODAY).state == "running"


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ('name = "sales"', "'sales' is nothing that is counted"),
        ('name = "x"\nof = "event:"', "nothing that is counted"),
        ('name = "orders"\nkind = "ratio"', "a ratio says"),
        ('name = "orders"\nper = "revenue"', "a ratio says"),
        ('name = "orders"\nkind = "quantile"\nquantile = 0.5', "plain tables"),
        ('name = "units"\nof = "orders"', "name of a column"),
    ],
)
def test_what_a_workspace_cannot_measure_is_refused(metric, message):
    with pytest.raises(InvalidParameter, match=message):
        check_measured(parse(TEXT.split("[[metrics]]")[0] + "[[metrics]]\n" + metric))


def test_a_slot_without_a_layer_would_not_be_kept_to():
    with pytest.raises(InvalidParameter, match="a slot belongs to a layer"):
        parse(TEXT.replace("planned =", "slot = [0.0, 0.5]\nplanned ="))


def door(*held, share=0.0):
    made = Door(salt=b"salt", zone=ZONE, holdout_share=share)
    made.renew(held)
    return made


def test_an_arm_is_the_same_whenever_it_is_asked_and_what_it_exposes_is_a_decision(connection):
    held = started(connection)
    who = [f"p_{n}" for n in range(400)]
    first = [door(held).handle(Ask("banner", (one,)), now=START, exposure_id="d") for one in who]
    later = door(held, share=0.0)
    again = [later.handle(Ask("banner", (one,)), now=START + timedelta(days=9)) for one in who]
    assert [one.arm for one in first] == [one.arm for one in again]
    assert 150 < sum(one.arm == "offer" for one in first) < 250
    (row,) = decided_rows(first[0].exposure, turn_id="u", zone=ZONE)
    assert (row[c.CAMPAIGN_ID], row[c.DECIDED_BY], row[c.REASON]) == (
        "experiment:banner", "experiment", "by_lot",
    )  # fmt: skip
    assert (row[c.ACTION], row[c.PROPENSITY], row[c.ELIGIBLE]) == (
        first[0].arm, 0.5, '["offer", "plain"]',
    )  # fmt: skip
    assert (row[c.VERSION], row[c.POLICY_VERSION]) == (1, held.plan.hash[:16])


def test_who_takes_no_part_gets_the_control_and_is_no_exposure(connection):
    held = started(connection, changed(coverage=0.5))

    def ask(made, *, now=START, customer=("p_1",), visitor=""):
        got = made.handle(Ask("banner", customer, visitor), now=now)
        assert got.exposure is None
        return got.arm, got.reason

    assert ask(door(held), customer=()) == ("plain", "no_unit")
    assert ask(door(held), customer=(), visitor="p_v") == ("plain", "no_unit")
    assert ask(door(held), now=START - timedelta(days=1)) == ("plain", "not_begun")
    assert ask(door(replace(held, state="stopped"))) == ("plain", "stopped")
    assert ask(door(held, share=1.0)) == ("plain", "global_holdout")
    many = [door(held).handle(Ask("banner", (f"p_{n}",)), now=START) for n in range(200)]
    assert 60 < sum(one.reason == "not_in_it" for one in many) < 140
    offered = next(f"p_{n}" for n, one in enumerate(many) if one.arm == "offer")
    late = datetime(2026, 3, 23, 14, tzinfo=UTC)
    assert ask(door(held), now=late, customer=(offered,)) == ("offer", "no_more_units")
    taken = {"decided": "take_treatment", "arm": "offer"}
    assert ask(door(replace(held, state="decided", decision=taken))) == ("offer", "decided")
    kept = {"decided": "keep_control", "arm": "offer"}
    assert ask(door(replace(held, state="decided", decision=kept))) == ("plain", "decided")
    with pytest.raises(NotFound):
        door(held).handle(Ask("none-such", ("p_1",)), now=START)
    visitors = replace(held, plan=replace(held.plan, experiment=changed(unit="visitor")))
    seen = door(visitors).handle(Ask("banner", ("p_1",), "p_v"), now=START)
    assert seen.exposure is not None
    assert seen.exposure.party_id == "p_v"


@pytest.fixture
def planted(lake, connection):
    """600 customers, of whom the offer lets 45 in 100 order in place of 25."""
    held, rng = started(connection), np.random.default_rng(11)
    made, exposures, lines, events = door(held), [], [], []
    for n in range(600):
        party, at = f"p_{n}", START + timedelta(hours=n / 2)  # 12 days
        got = made.handle(Ask("banner", (party,)), now=at, exposure_id=f"d_{n}")
        exposures += decided_rows(got.exposure, turn_id="u", zone=ZONE)
        offered, base = got.arm == "offer", naive_utc(at)
        line = {c.PARTY_ID: party, c.KIND: "item", c.QUANTITY: 1.0, c.AMOUNT_BASE_MINOR: 1000}
        if rng.random() < (0.45 if offered else 0.25):
            sold = base + timedelta(days=rng.uniform(0, 13.9))
            lines += [line | {c.ORDER_ID: f"o{n}", c.SOLD_AT: sold}] * 2  # two lines, one order
        lines.append(line | {c.ORDER_ID: f"z{n}", c.SOLD_AT: base + timedelta(days=14)})  # late
        lines.append(line | {c.ORDER_ID: f"b{n}", c.SOLD_AT: base - timedelta(days=1)})  # before
        clicks = int(rng.binomial(3, 0.2))
        names = ["Banner Viewed"] * 3 + ["Banner Clicked"] * clicks
        names += ["Complained"] * (n % 20 == 0)  # alike in both arms
        events += [{c.PARTY_ID: party, c.KIND: "track", c.NAME: name, c.OCCURRED_AT: base}
                   for name in names]  # fmt: skip
    lake.add("decisions", exposures)
    lake.add("order_lines", lines)
    lake.add("events", events)
    return held


def say(lake, held, as_of):
    return read(lake, held, as_of=as_of, zone=ZONE, include_shipping=False)


def test_the_planted_effect_is_found_again_once_it_is_over(lake, planted):
    found = say(lake, planted, OVER)
    assert sum(found.assigned.values()) == 600
    assert found.assigned == found.counted
    reading = found.readout.find("offer")
    assert reading.verdict == "brought_more"
    control = reading.result.base
    assert control == pytest.approx(0.25, abs=0.06)
    assert reading.result.low <= 0.45 / 0.25 - 1 <= reading.result.high
    said = describe(found)
    assert said["en"][0].startswith("offer brought more conversion: +")
    assert said["zh"][0].startswith("offer 带来了更多 conversion")
    assert said["en"][1] == "complained is not worse by more than 0.1."
    revenue = found.readout.find("offer", "revenue").result
    assert revenue.base == pytest.approx(control * 2000)  # the orders of the window alone
    ctr = found.readout.find("offer", "ctr").result
    assert ctr.base == pytest.approx(0.2, abs=0.04)
    assert said["readings"][0]["chance_to_win"] is None


def test_before_it_is_over_windows_are_open_and_nothing_is_said(lake, planted):
    found = say(lake, planted, date(2026, 3, 20))
    assert sum(found.assigned.values()) == 600
    assert 100 < sum(found.counted.values()) < 300  # those of the first four days
    assert found.readout.find("offer").verdict == "cannot_tell_yet"
    assert describe(found)["en"] == [
        "Cannot tell yet: the plan looks once, on 2026-04-06, and an earlier look would find "
        "effects where there are none."
    ]


def test_customers_who_were_in_both_arms_are_left_out_and_stop_the_verdict(lake, planted):
    merges = [{c.PARTY_ID: f"p_{n}", c.INTO: f"p_{n + 1}", c.AT: NOW} for n in range(0, 40, 2)]
    lake.add("merges", merges)
    found = say(lake, planted, OVER)
    assert found.readout.mixed > 3
    assert sum(found.assigned.values()) == 600 - 20 - found.readout.mixed
    assert "were seen in two arms" in describe(found)["en"][0]


def test_a_lost_arm_is_a_mismatch_and_an_empty_one_no_crash(lake, connection):
    held = started(connection)
    got = door(held).handle(Ask("banner", ("p_1",)), now=START, exposure_id="d")
    assert describe(say(lake, held, OVER))["sample_ratio"]["p_value"] is None  # nobody yet
    row = decided_rows(got.exposure, turn_id="u", zone=ZONE)[0]
    lake.add("decisions", [row | {c.CUSTOMER_ID: f"p_{n}", c.PARTY_ID: f"p_{n}"}
                           for n in range(100)])  # fmt: skip
    found = say(lake, held, OVER)
    assert found.readout.sample_ratio.status == "sample_ratio_mismatch"
    assert describe(found)["en"][0].startswith("Cannot tell: the arms do not have the sizes")


def test_a_decision_is_kept_with_its_evidence_and_one_against_it_needs_a_reason(
    lake, planted, connection
):
    early = say(lake, planted, date(2026, 3, 20)).readout
    with pytest.raises(InvalidParameter, match="not what was found"):
        decide(early, "take_treatment", arm="offer", by="Ana", at=START)
    found = say(lake, planted, OVER)
    made = decide(found.readout, "take_treatment", arm="offer", by="Ana", at=START)
    kept = ledger.decide(connection, made, describe(found), now=NOW)
    assert (kept.state, kept.stopped_at) == ("decided", NOW)
    assert kept.decision is not None
    assert (kept.decision["by"], kept.decision["verdict"]) == ("Ana", "brought_more")
    assert kept.decision["read_out"]["hash"] == planted.plan.hash
    with pytest.raises(InvalidParameter, match="is decided"):
        ledger.decide(connection, made, {}, now=NOW)

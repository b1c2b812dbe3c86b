"""A plan and its answer: one verdict in words, held back where nothing can be said."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from zhiyin.core.errors import InputError, InvalidParameter
from zhiyin.measure.experiment import Share
from zhiyin.measure.experiment.definition import freeze, parse
from zhiyin.measure.experiment.readout import decide, read_out, tell

TOML = """
id = "letter"
question = "Does a letter bring orders?"
arms = { control = 1, letter = 1 }
control = "control"
starts_on = 2026-01-01
ends_on = 2026-01-31
planned = 20_000

[[metrics]]
name = "order_rate"
kind = "share"

[[metrics]]
name = "unsubscribes"
kind = "share"
role = "guard"
better = "lower"
margin = 0.5
"""
OVER = date(2026, 2, 15)
EVEN = {"control": 10_000, "letter": 10_000}


def plan(method: str = "t"):
    return freeze(parse(f'method = "{method}"\n' + TOML))


def sums(orders: int, unsubscribes: int = 100):
    return {
        "order_rate": {"control": Share(10_000, 1000), "letter": Share(10_000, orders)},
        "unsubscribes": {"control": Share(10_000, 100), "letter": Share(10_000, unsubscribes)},
    }


@pytest.mark.parametrize("method", ["t", "sequential", "bayes"])
@pytest.mark.parametrize(
    ("orders", "verdict", "good"),
    [(1200, "brought_more", True), (800, "brought_less", False), (1010, "cannot_tell_yet", None)],
)
def test_each_effect_has_one_verdict(method, orders, verdict, good):
    reading = read_out(plan(method), sums(orders), EVEN, as_of=OVER).find("letter")
    assert (reading.verdict, reading.good) == (verdict, good)


def test_cannot_tell_yet_says_what_could_have_been_seen():
    found = read_out(plan(), sums(1010), EVEN, as_of=OVER)
    assert tell(found)[0] == (
        "Cannot tell yet what letter brought of order_rate: between -7.4 % and +9.4 %. An effect "
        "of +12.0 % would have been seen 80 times in 100."
    )
    assert tell(found, "zh")[0].startswith("尚无法判断 letter 对 order_rate 的影响")


def test_arms_of_the_wrong_size_hold_every_verdict_back():
    found = read_out(plan(), sums(1200), {"control": 10_500, "letter": 10_000}, as_of=OVER)
    assert found.find("letter").verdict == "cannot_tell_yet"
    (said,) = tell(found)
    assert said.startswith("Cannot tell: the arms do not have the sizes")


def test_people_seen_in_two_arms_hold_every_verdict_back():
    found = read_out(plan(), sums(1200), EVEN, as_of=OVER, mixed=50)
    assert found.find("letter").reason == "mixed_arms"
    assert read_out(plan(), sums(1200), EVEN, as_of=OVER, mixed=5).find("letter").good


def test_a_test_made_for_one_look_gives_no_verdict_before_its_day():
    early = date(2026, 2, 14)
    found = read_out(plan(), sums(1200), EVEN, as_of=early)
    assert found.find("letter").reason == "not_over"
    assert "2026-02-15" in tell(found)[0]
    assert read_out(plan("sequential"), sums(1200), EVEN, as_of=early).find("letter").good


def test_a_broken_guard_is_said_beside_the_verdict():
    found = read_out(plan(), sums(1200, unsubscribes=250), EVEN, as_of=OVER)
    assert found.find("letter").good
    assert [one.metric.name for one in found.broken] == ["unsubscribes"]
    assert tell(found)[1] == "unsubscribes is worse by more than 50.0 %: the guard is broken."


def test_many_goals_share_the_level():
    """p = .03 is enough for one goal, not for one of five."""
    more = "".join(f'[[metrics]]\nname = "m{i}"\nkind = "share"\n' for i in range(4))
    five = freeze(parse(TOML + more))
    arms = {"control": Share(10_000, 1000), "letter": Share(10_000, 1000)}
    given = sums(1095) | {f"m{i}": arms for i in range(4)}
    assert read_out(plan(), sums(1095), EVEN, as_of=OVER).find("letter").good
    assert read_out(five, given, EVEN, as_of=OVER).find("letter").good is None


def test_a_missing_arm_or_metric_is_refused():
    with pytest.raises(InvalidParameter, match="unsubscribes"):
        read_out(plan(), {"order_rate": sums(1)["order_rate"]}, EVEN, as_of=OVER)
    with pytest.raises(InvalidParameter, match="counts"):
        read_out(plan(), sums(1000), {"control": 10_000}, as_of=OVER)
    with pytest.raises(InvalidParameter, match="no reading"):
        read_out(plan(), sums(1000), EVEN, as_of=OVER).find("postcard")


def test_a_decision_against_the_evidence_needs_a_reason():
    at = datetime(2026, 2, 16, tzinfo=UTC)
    unsure = read_out(plan(), sums(1010), EVEN, as_of=OVER)
    with pytest.raises(InvalidParameter, match="not what was found"):
        decide(unsure, "take_treatment", arm="letter", by="u1", at=at)
    made = decide(unsure, "take_treatment", arm="letter", by="u1", at=at, reason="it is cheaper")
    assert (made.plan_hash, made.verdict) == (plan().hash, "cannot_tell_yet")
    sure = read_out(plan(), sums(1200), EVEN, as_of=OVER)
    assert decide(sure, "take_treatment", arm="letter", by="u1", at=at).reason == ""
    with pytest.raises(InvalidParameter):
        decide(sure, "keep_control", arm="letter", by="u1", at=at)
    broken = read_out(plan(), sums(1200, unsubscribes=250), EVEN, as_of=OVER)
    with pytest.raises(InvalidParameter):
        decide(broken, "take_treatment", arm="letter", by="u1", at=at)


def test_the_hash_changes_with_the_plan_and_not_with_how_it_is_written():
    assert freeze(parse(TOML)).hash == freeze(parse(TOML.replace("20_000", "20000"))).hash
    assert freeze(parse(TOML)).hash != freeze(parse(TOML.replace("0.5", "0.4"))).hash


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('control = "control"', 'control = "none"', "none of the arms"),
        ("letter = 1 }", "letter = 0 }", "weight above 0"),
        ("2026-01-31", "2025-01-31", "before it starts"),
        ('role = "guard"', "", "margin belongs to a guard"),
        ('name = "unsubscribes"', 'name = "order_rate"', "one name"),
        ('kind = "share"\n\n', 'kind = "quantile"\n\n', "quantile"),
        ('id = "letter"', 'id = "A letter"', "no key"),
        ('id = "letter"', 'id = "letter"\nslot = [0.5, 0.2]', "slot"),
        ('id = "letter"', 'id = "letter"\nbelief = { mean = 0 }', "belief"),
        ('id = "letter"', 'id = "letter"\nmetric = 3', "unknown field"),
        ("planned = 20_000", "", "planned"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(old, new, said):
    with pytest.raises(InvalidParameter, match=said):
        parse(TOML.replace(old, new, 1))


def test_what_is_no_toml_is_refused():
    with pytest.raises(InputError):
        parse("id =")

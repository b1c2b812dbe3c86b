"""The gate: each rule forbids on its own, in a fixed order, and says why."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from zhiyin.govern.gate import (
    REASONS,
    RULES,
    Cap,
    Consent,
    Contact,
    Facts,
    Limits,
    Suppression,
    check,
    consent_state,
    is_quiet,
    personalisation_state,
)

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LIMITS = Limits(
    cap_messages=2, cap_days=30, quiet_from_hour=21, quiet_to_hour=8,
    caps=(Cap("email", 1, 2), Cap("campaign", 1, 20)), fatigue_messages=3, minimum_age=18,
)  # fmt: skip


def sent(*days, channel="email", campaign="old"):
    return tuple(Contact(NOON - timedelta(days=one), channel, campaign) for one in days)


YES = Consent("p_a", "marketing", "email", True, NOON - timedelta(days=9))
GENERIC = Consent("p_a", "personalisation", "*", False, NOON - timedelta(days=1))
OPEN = Facts("email", "marketing", NOON, 12, True, (YES,))


def test_a_person_who_agreed_is_reached_at_noon():
    assert check(OPEN, LIMITS).allowed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"has_address": False}, "no_address"),
        ({"suppressions": (Suppression(("p_a",), "bounce", NOON),)}, "suppressed"),
        ({"consents": ()}, "consent_missing"),
        ({"consents": (replace(YES, granted=False),)}, "consent_refused"),
        ({"held_out": True}, "held_out"),
        ({"contacts": sent(1, 2)}, "frequency_cap"),
        ({"contacts": sent(1)}, "channel_cap"),
        ({"contacts": sent(5, campaign="k"), "campaign_id": "k"}, "campaign_cap"),
        ({"contacts": sent(31, 32, 33)}, "fatigue"),
        ({"age": 17}, "minor"),
        ({"sensitive": True}, "sensitive"),
        ({"personal": True, "consents": (YES, GENERIC)}, "personalisation_refused"),
        ({"held_out_of_all": True}, "global_holdout"),
        ({"address_taken": True}, "duplicate_address"),
        ({"budget_left": 0}, "campaign_budget"),
        ({"local_hour": 23}, "quiet_hours"),
        ({"local_hour": 7}, "quiet_hours"),
    ],
)
def test_each_rule_forbids_with_its_reason(change, reason):
    verdict = check(replace(OPEN, **change), LIMITS)
    assert (verdict.allowed, verdict.reason) == (False, reason)
    assert reason in REASONS


def test_a_message_older_than_the_window_does_not_count():
    old = sent(30, 31)
    assert check(replace(OPEN, contacts=old), LIMITS).allowed


def test_a_refusal_by_one_record_holds_for_the_person():
    other = Consent("p_b", "marketing", "*", False, NOON - timedelta(days=100))
    assert check(replace(OPEN, consents=(YES, other)), LIMITS).reason == "consent_refused"


def test_a_newer_consent_of_the_same_record_lifts_its_refusal():
    refusal = replace(YES, granted=False, at=YES.at - timedelta(days=1))
    assert check(replace(OPEN, consents=(YES, refusal)), LIMITS).allowed
    assert check(replace(OPEN, consents=(refusal, YES)), LIMITS).allowed


def test_a_refusal_wins_at_the_same_moment():
    both = (YES, replace(YES, granted=False))
    assert consent_state(both, purpose="marketing", channel="email", at=NOON) == "refused"


def test_consent_for_another_channel_or_purpose_or_from_the_future_does_not_count():
    for line in (
        replace(YES, channel="sms"),
        replace(YES, purpose="analytics"),
        replace(YES, at=NOON + timedelta(seconds=1)),
    ):
        assert consent_state([line], purpose="marketing", channel="email", at=NOON) == "missing"


def test_quiet_hours_may_lie_within_a_day_or_be_off():
    noon_rest = dataclasses.replace(LIMITS, quiet_from_hour=12, quiet_to_hour=14)
    assert [is_quiet(hour, noon_rest) for hour in (11, 12, 13, 14)] == [False, True, True, False]
    off = dataclasses.replace(LIMITS, quiet_from_hour=8, quiet_to_hour=8)
    assert not any(is_quiet(hour, off) for hour in range(24))


def test_a_transactional_message_passes_caps_and_night_but_not_a_refusal():
    grant = replace(YES, purpose="service")
    night = replace(OPEN, purpose="service", local_hour=23, consents=(grant,))
    assert check(night, LIMITS).allowed
    assert not check(replace(night, consents=(replace(grant, granted=False),)), LIMITS).allowed


def test_there_is_a_rule_for_every_reason_in_its_order():
    assert list(RULES) == list(REASONS)


def test_caps_of_another_channel_or_campaign_do_not_count():
    assert check(replace(OPEN, contacts=sent(1, channel="sms")), LIMITS).allowed
    assert check(replace(OPEN, contacts=sent(5, campaign="k"), campaign_id="j"), LIMITS).allowed


def test_a_pause_ends_by_an_answer_or_in_time():
    tired = replace(OPEN, contacts=sent(31, 40, 50))
    assert check(tired, LIMITS).reason == "fatigue"
    assert check(replace(tired, answered_at=NOON - timedelta(days=45)), LIMITS).allowed
    assert check(replace(OPEN, contacts=sent(61, 70, 80)), LIMITS).allowed


def test_of_whom_no_age_is_known_is_not_taken_for_a_minor():
    assert check(replace(OPEN, age=18), LIMITS).allowed
    assert check(replace(OPEN, age=None), LIMITS).allowed


def test_a_confirmation_needs_no_consent_but_stops_at_a_refusal_a_complaint_and_a_child():
    asked = replace(OPEN, purpose="confirmation", consents=())
    assert check(asked, LIMITS).allowed
    left = Suppression(("p_a",), "unsubscribed", NOON - timedelta(days=1))
    assert check(replace(asked, suppressions=(left,)), LIMITS).allowed
    complained = dataclasses.replace(left, reason="complaint")
    assert check(replace(asked, suppressions=(complained,)), LIMITS).reason == "suppressed"
    assert check(replace(asked, age=12), LIMITS).reason == "minor"


def test_personalisation_refused_on_one_channel_is_refused():
    web = Consent("p_a", "personalisation", "web", False, NOON - timedelta(days=2))
    back = Consent("p_a", "personalisation", "*", True, NOON - timedelta(days=1))
    assert personalisation_state([web, replace(YES, purpose="personalisation")], at=NOON) == (
        "refused"
    )
    assert personalisation_state([web, back], at=NOON) == "granted"
    assert personalisation_state([YES], at=NOON) == "missing"


def test_an_ad_list_needs_its_own_yes_and_a_no_on_any_channel_is_a_no():
    listed = replace(OPEN, purpose="ads")
    assert check(listed, LIMITS).reason == "consent_missing"
    web = Consent("p_a", "ads", "web", True, NOON - timedelta(days=3))
    assert check(replace(listed, consents=(web,)), LIMITS).allowed
    other = replace(web, channel="shop", granted=False, at=NOON - timedelta(days=9))
    assert check(replace(listed, consents=(web, other)), LIMITS).reason == "consent_refused"
    back = replace(web, channel="*", at=NOON - timedelta(days=1))
    assert check(replace(listed, consents=(web, other, back)), LIMITS).allowed


def test_an_ad_list_keeps_out_whom_marketing_keeps_out_but_is_no_message():
    yes = Consent("p_a", "ads", "web", True, NOON - timedelta(days=3))
    listed = replace(OPEN, purpose="ads", consents=(yes,))
    assert check(replace(listed, age=12), LIMITS).reason == "minor"
    assert check(replace(listed, sensitive=True), LIMITS).reason == "sensitive"
    assert check(replace(listed, held_out_of_all=True), LIMITS).reason == "global_holdout"
    assert check(replace(listed, contacts=sent(*range(1, 30)), local_hour=23), LIMITS).allowed
    left = Suppression(("p_a",), "unsubscribed", NOON - timedelta(days=4))
    assert check(replace(listed, suppressions=(left,)), LIMITS).allowed  # she agreed since
    gone = dataclasses.replace(left, at=NOON - timedelta(days=1))
    assert check(replace(listed, suppressions=(gone,)), LIMITS).reason == "suppressed"

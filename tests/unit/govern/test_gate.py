"""The gate: each rule forbids on its own, in a fixed order, and says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from zhiyin.govern.gate import (
    REASONS,
    Consent,
    Facts,
    Limits,
    Suppression,
    check,
    consent_state,
    is_quiet,
)

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LIMITS = Limits(cap_messages=2, cap_days=30, quiet_from_hour=21, quiet_to_hour=8)
YES = Consent("p_a", "marketing", "email", True, NOON - timedelta(days=9))
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
        ({"contacted_at": (NOON - timedelta(days=1), NOON - timedelta(days=2))}, "frequency_cap"),
        ({"local_hour": 23}, "quiet_hours"),
        ({"local_hour": 7}, "quiet_hours"),
    ],
)
def test_each_rule_forbids_with_its_reason(change, reason):
    verdict = check(replace(OPEN, **change), LIMITS)
    assert (verdict.allowed, verdict.reason) == (False, reason)
    assert reason in REASONS


def test_a_message_older_than_the_window_does_not_count():
    old = (NOON - timedelta(days=30), NOON - timedelta(days=31))
    assert check(replace(OPEN, contacted_at=old), LIMITS).allowed


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
    noon_rest = replace(LIMITS, quiet_from_hour=12, quiet_to_hour=14)
    assert [is_quiet(hour, noon_rest) for hour in (11, 12, 13, 14)] == [False, True, True, False]
    off = replace(LIMITS, quiet_from_hour=8, quiet_to_hour=8)
    assert not any(is_quiet(hour, off) for hour in range(24))


def test_a_transactional_message_passes_caps_and_night_but_not_a_refusal():
    grant = replace(YES, purpose="service")
    night = replace(OPEN, purpose="service", local_hour=23, consents=(grant,))
    assert check(night, LIMITS).allowed
    assert not check(replace(night, consents=(replace(grant, granted=False),)), LIMITS).allowed

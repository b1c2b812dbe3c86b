"""Law 4 in the small: whatever the history, the gate never passes a person who refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from zhiyin.govern.gate import (
    RULES,
    Cap,
    Consent,
    Contact,
    Facts,
    Limits,
    Suppression,
    check,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LIMITS = Limits(4, 30, 21, 8)

consents = st.builds(
    Consent,
    party_id=st.sampled_from(["p_a", "p_b", "p_c"]),
    purpose=st.sampled_from(["marketing", "analytics"]),
    channel=st.sampled_from(["email", "sms", "*"]),
    granted=st.booleans(),
    at=st.integers(-5, 5).map(lambda days: NOW + timedelta(days=days)),
)


@given(st.lists(consents, max_size=12), st.randoms(use_true_random=False))
def test_an_allowed_person_has_no_record_that_ends_in_a_refusal(lines, random):
    facts = Facts("email", "marketing", NOW, 12, True, lines)
    verdict = check(facts, LIMITS)
    relevant = [
        line
        for line in lines
        if line.purpose == "marketing" and line.channel in ("email", "*") and line.at <= NOW
    ]
    for party in {line.party_id for line in relevant}:
        of_party = [line for line in relevant if line.party_id == party]
        last = max(line.at for line in of_party)
        if any(not line.granted for line in of_party if line.at == last):
            assert not verdict.allowed
    if not relevant:
        assert not verdict.allowed
    shuffled = list(lines)
    random.shuffle(shuffled)
    assert check(Facts("email", "marketing", NOW, 12, True, shuffled), LIMITS) == verdict


flags = st.fixed_dictionaries(
    {
        "has_address": st.booleans(),
        "personal": st.booleans(),
        "generic": st.booleans(),
        "held_out": st.booleans(),
        "held_out_of_all": st.booleans(),
        "sensitive": st.booleans(),
        "address_taken": st.booleans(),
        "age": st.none() | st.integers(0, 90),
        "budget_left": st.none() | st.integers(-2, 3),
        "local_hour": st.integers(0, 23),
        "answered_at": st.none() | st.integers(0, 90).map(lambda days: NOW - timedelta(days=days)),
        "purpose": st.sampled_from(["marketing", "confirmation", "analytics"]),
    }
)
contacts = st.lists(
    st.builds(
        Contact,
        st.integers(0, 90).map(lambda days: NOW - timedelta(days=days)),
        st.sampled_from(["email", "sms"]),
        st.sampled_from(["k", "j"]),
    ),
    max_size=8,
)
suppressed = st.lists(
    st.builds(
        Suppression,
        parties=st.just(("p_a",)),
        reason=st.sampled_from(["unsubscribed", "complaint"]),
        at=st.integers(0, 5).map(lambda days: NOW - timedelta(days=days)),
    ),
    max_size=2,
)
limits = st.builds(
    Limits,
    cap_messages=st.integers(1, 5),
    cap_days=st.integers(1, 60),
    quiet_from_hour=st.integers(0, 23),
    quiet_to_hour=st.integers(0, 23),
    caps=st.lists(
        st.builds(
            Cap, st.sampled_from(["all", "email", "campaign"]), st.integers(1, 4),
            st.integers(1, 60),
        ),
        max_size=3,
    ).map(tuple),
    fatigue_messages=st.integers(0, 4),
    minimum_age=st.sampled_from([0, 14, 18]),
)  # fmt: skip
facts = st.builds(
    lambda lines, held, listed, more: replace(
        Facts("email", "marketing", NOW, 12, True, lines, listed),
        contacts=held, campaign_id="k", **more,
    ),
    st.lists(consents, max_size=6), contacts, suppressed, flags,
)  # fmt: skip


@settings(deadline=None)
@given(facts, limits)
def test_what_is_allowed_is_forbidden_by_no_rule_and_each_reason_is_a_rule(one, held):
    forbidding = [reason for reason, forbids in RULES.items() if forbids(one, held)]
    verdict = check(one, held)
    assert verdict.allowed == (not forbidding)
    assert verdict.reason == (forbidding[0] if forbidding else "allowed")


STRICTER = {
    "held_out": True, "held_out_of_all": True, "sensitive": True, "address_taken": True,
    "age": 3, "budget_left": 0, "generic": True, "has_address": False,
}  # fmt: skip


@settings(deadline=None)
@given(facts, limits, st.sampled_from(sorted(STRICTER)), contacts, consents, suppressed)
def test_more_refusals_never_allow_more(one, held, name, sent, line, listed):
    if check(one, held).allowed:
        return
    refusal = replace(line, granted=False)
    for more in (
        {name: STRICTER[name]},
        {"contacts": [*one.contacts, *sent]},
        {"consents": [*one.consents, refusal]},
        {"suppressions": [*one.suppressions, *listed]},
    ):
        assert not check(replace(one, **more), held).allowed
    stricter = replace(held, caps=(*held.caps, Cap("email", 1, 30)), cap_messages=1)
    assert not check(one, stricter).allowed

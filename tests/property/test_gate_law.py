"""Law 4 in the small: whatever the history, the gate never passes a person who refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from zhiyin.govern.gate import Consent, Facts, Limits, check

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

"""Consent under merges: whatever was joined, undone, granted and withdrawn, the gate never sends
where one record of the person refused, and undoing gives each record its own back.

The model below knows nothing of the code: it walks the history and asks of every single refusal
whether something lifted it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from zhiyin.act.gate import check_people
from zhiyin.collect import identity
from zhiyin.core.clock import naive_utc
from zhiyin.core.ledger import consents
from zhiyin.govern.facts import Terms
from zhiyin.govern.gate import UNSUBSCRIBED, Limits
from zhiyin.govern.ledger import add_suppressions
from zhiyin.govern.live import read_directory
from zhiyin.govern.suppression import identify, suppression_tokens
from zhiyin.testing.contract_store import LOADED, put
from zhiyin.testing.store import MemoryStore

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = START + timedelta(days=60)
PARTIES = ("p_a", "p_b", "p_c", "p_d")
TERMS = Terms(Limits(4, 30, 0, 0), "UTC")


class Vault:
    """Only tokens: nothing here is opened."""

    def token(self, purpose, value):
        return hashlib.sha256(f"{purpose}|{value}".encode()).hexdigest()


@dataclass(frozen=True)
class Step:
    """What happened on a day: `what` is grant, import, refuse, unsubscribe, complain, merge or
    undo; `other` is the second party of a merge, `channel` that of a consent."""

    day: int
    what: str
    party: str
    other: str
    channel: str

    @property
    def at(self):
        return START + timedelta(days=self.day)


WHATS = ("grant", "grant", "import", "refuse", "unsubscribe", "complain", "merge", "merge", "undo")
steps = st.builds(
    Step,
    day=st.integers(0, 12),
    what=st.sampled_from(WHATS),
    party=st.sampled_from(PARTIES),
    other=st.sampled_from(PARTIES),
    channel=st.sampled_from(["email", "*", "email", "sms"]),
)
histories = st.lists(steps, max_size=14).map(lambda made: sorted(made, key=lambda one: one.day))


def merges_in_force(history):
    """(party, other, day) of merges that nobody undid."""
    held = {}
    for one in history:
        if one.party == one.other:
            continue
        if one.what == "merge":
            held.setdefault((one.party, one.other, one.day), True)
        elif one.what == "undo":
            for key in [key for key in held if key[:2] == (one.party, one.other)]:
                del held[key]
    return list(held)


def reachable(party, merges, before=None):
    """The parties joined to `party` by merges made before the day (None: any)."""
    found, todo = {party}, [party]
    while todo:
        one = todo.pop()
        for a, b, day in merges:
            if before is None or day < before:
                for here, there in ((a, b), (b, a)):
                    if here == one and there not in found:
                        found.add(there)
                        todo.append(there)
    return found


def may_write(party, history):
    """What the law says, refusal by refusal."""
    merges = merges_in_force(history)
    person = reachable(party, merges)

    def lifted(refusal, *, imports):
        for one in history:
            if one.what not in ("grant", *(["import"] if imports else [])):
                continue
            if one.channel not in ("email", "*") or one.day <= refusal.day:
                continue
            if one.party in reachable(refusal.party, merges, before=one.day):
                return True
        return False

    agreed = False
    for one in history:
        if one.party not in person:
            continue
        if one.what == "complain":
            return False
        if one.what == "unsubscribe":
            if not lifted(one, imports=True) or not lifted(one, imports=False):
                return False
        elif one.what == "refuse" and one.channel in ("email", "*"):
            if not lifted(one, imports=True):
                return False
        elif one.what in ("grant", "import") and one.channel in ("email", "*"):
            agreed = True
    return agreed


def build(history):
    """The same history in a store, by the doors that write it."""
    store, vault = MemoryStore(), Vault()
    names = {party: identify(vault, "email", party) for party in PARTIES}
    put(store, "identities", *(
        {"identity_id": names[party], "namespace": "email", "party_id": party,
         "valid_at": naive_utc(START), "source": "s", "load_id": "l", "loaded_at": LOADED}
        for party in PARTIES
    ))  # fmt: skip
    undone = set()
    for number, one in enumerate(history):
        if one.what in ("merge", "undo") and one.party != one.other:
            key = (one.party, one.other)
            if one.what == "merge":
                identity.merge(store, one.party, into=one.other, at=one.at, rule="person")
            elif any(
                two.what == "merge" and (two.party, two.other) == key
                for two in history[:number]
            ) and key not in undone:  # fmt: skip
                identity.undo(store, one.party, into=one.other, undone_at=one.at)
            undone.add(key) if one.what == "undo" else undone.discard(key)
            continue
        with store.begin() as connection:
            channel = one.channel
            if one.what in ("unsubscribe", "complain"):
                reason, channel = UNSUBSCRIBED if one.what == "unsubscribe" else one.what, "email"
                tokens = suppression_tokens(vault, [names[one.party]])
                listed = [(token, channel) for token in tokens]
                add_suppressions(connection, listed, reason=reason, at=one.at)
            if one.what in ("grant", "import", "refuse", "unsubscribe"):
                connection.execute(consents.insert().values(
                    consent_id=str(number), party_id=one.party, purpose="marketing",
                    channel=channel, granted=one.what in ("grant", "import"),
                    at=naive_utc(one.at), source="import" if one.what == "import" else "site",
                ))  # fmt: skip
    return store, vault


def verdicts(history):
    store, vault = build(history)
    directory = read_directory(store, PARTIES, as_of=None, channel="email")
    people = directory.people(PARTIES)
    with store.begin() as connection:
        found = check_people(connection, people, terms=TERMS, vault=vault, at=NOW)
    store.close()
    return {party: one.allowed for party, one in zip(PARTIES, found, strict=True)}


def expected(history):
    return {party: may_write(party, history) for party in PARTIES}


@settings(max_examples=examples(15), deadline=None)
@given(histories)
def test_the_gate_agrees_with_a_walk_through_the_history(history):
    assert verdicts(history) == expected(history)


def step(day, what, party, other="p_a", channel="email"):
    return Step(day, what, party, other, channel)


AGREED = [step(0, "grant", "p_a"), step(0, "grant", "p_b")]
JOINED = step(3, "merge", "p_a", "p_b")


@pytest.mark.parametrize(
    ("more", "allowed"),
    [
        ([], (True, True)),
        ([step(1, "refuse", "p_a")], (False, True)),
        ([step(1, "refuse", "p_a"), JOINED], (False, False)),
        ([step(1, "refuse", "p_a"), step(2, "grant", "p_b"), JOINED], (False, False)),
        ([step(1, "refuse", "p_a"), JOINED, step(3, "grant", "p_b")], (False, False)),
        ([step(1, "refuse", "p_a"), JOINED, step(4, "grant", "p_b")], (True, True)),
        ([step(1, "refuse", "p_a"), step(2, "grant", "p_a"), JOINED], (True, True)),
        ([JOINED, step(4, "refuse", "p_b")], (False, False)),
        ([JOINED, step(4, "refuse", "p_b"), step(5, "undo", "p_a", "p_b")], (True, False)),
        ([step(1, "refuse", "p_a"), JOINED, step(4, "grant", "p_b"),
          step(5, "undo", "p_a", "p_b")], (False, True)),
        ([JOINED, step(4, "unsubscribe", "p_b"), step(5, "undo", "p_a", "p_b")], (True, False)),
        ([step(1, "unsubscribe", "p_a"), step(2, "grant", "p_a")], (True, True)),
        ([step(1, "unsubscribe", "p_a"), step(2, "import", "p_a")], (False, True)),
        ([step(1, "unsubscribe", "p_a"), step(2, "grant", "p_a", channel="sms")], (False, True)),
        ([step(1, "unsubscribe", "p_a"), JOINED, step(4, "grant", "p_b")], (True, True)),
        ([step(1, "complain", "p_a"), step(2, "grant", "p_a")], (False, True)),
        ([step(1, "unsubscribe", "p_a"), step(1, "complain", "p_a"), step(2, "grant", "p_a")],
         (False, True)),
        ([step(1, "complain", "p_a"), step(2, "unsubscribe", "p_a"), step(3, "grant", "p_a")],
         (False, True)),
    ],
)  # fmt: skip
def test_a_refusal_of_one_record_holds_until_it_is_lifted(more, allowed):
    history = AGREED + more
    found = verdicts(history)
    assert (found["p_a"], found["p_b"]) == allowed
    assert found == expected(history)

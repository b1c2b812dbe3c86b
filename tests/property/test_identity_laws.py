"""Identity in the large: no order of rows matters, no guard is ever broken, nothing is joined
without evidence, and what two loads join is what one load may join.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from zhiyin.collect.merge_guards import Limits
from zhiyin.collect.resolve import resolve
from zhiyin.core.parties import representatives

LIMITS = Limits(emails=2, phones=2, devices=3, parties_per_identifier=4)
SPACES = ("user_id", "till", "email", "phone", "device_id", "unionid")

rows = st.lists(
    st.builds(
        lambda number, space, party, day: {
            "identity_id": f"{space}-{number}", "namespace": space, "party_id": f"p_{party}",
            "valid_at": datetime(2026, 1, 1) + timedelta(days=day), "source": "s",
        },
        st.integers(0, 3), st.sampled_from(SPACES), st.integers(0, 7), st.integers(0, 9),
    ),
    max_size=30,
)  # fmt: skip
pairs = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] != pair[1]),
    max_size=3,
).map(lambda made: [(f"p_{a}", f"p_{b}") for a, b in made])
SCHEMA = pa.schema(
    [("identity_id", pa.string()), ("namespace", pa.string()), ("party_id", pa.string()),
     ("valid_at", pa.timestamp("us")), ("source", pa.string())]
)  # fmt: skip


def table(made):
    return pa.Table.from_pylist(made, schema=SCHEMA)


def groups(found):
    """The people that come out, as sets of parties."""
    chiefs = representatives([(row["party_id"], row["into"]) for row in found.merges.to_pylist()])
    people = defaultdict(set)
    for party, chief in chiefs.items():
        people[chief] |= {party, chief}
    return list(people.values())


@given(rows, pairs, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(made, apart, random):
    found = resolve(table(made), limits=LIMITS, apart=apart)
    shuffled = [*made, *made[:5]]
    random.shuffle(shuffled)
    again = resolve(table(shuffled), limits=LIMITS, apart=apart[::-1])
    assert again.merges.equals(found.merges)
    assert again.conflicts.equals(found.conflicts)


@given(rows, pairs)
def test_no_guard_is_broken_by_a_join(made, apart):
    found = resolve(table(made), limits=LIMITS, apart=apart)
    owners = defaultdict(set)
    for row in made:
        owners[row["identity_id"]].add(row["party_id"])
    tills = {one for one, parties in owners.items() if len(parties) > 4}
    for person in groups(found):
        held = defaultdict(set)
        for row in made:
            if row["party_id"] in person and row["identity_id"] not in tills:
                held[row["namespace"]].add((row["identity_id"], row["party_id"]))
        for space, both in held.items():
            most = LIMITS.most(space)
            alone = max(len({i for i, p in both if p == party}) for party in person)
            assert len({identity for identity, _ in both}) <= max(most, alone)
        assert not any({a, b} <= person for a, b in apart)


@given(rows)
def test_every_join_has_a_shared_identifier_and_a_date_when_both_were_seen(made):
    found = resolve(table(made), limits=LIMITS)
    seen = {row["party_id"] for row in made}
    for person in groups(found):
        assert person <= seen
        rest, reached = set(person), [min(person)]
        while reached:
            one = reached.pop()
            rest.discard(one)
            mine = {row["identity_id"] for row in made if row["party_id"] == one}
            near = {row["party_id"] for row in made if row["identity_id"] in mine}
            reached += sorted(near & rest)
        assert not rest
    days = {row["valid_at"] for row in made}
    merges = found.merges.to_pylist()
    assert {row["at"] for row in merges} <= days
    assert len({row["party_id"] for row in merges}) == len(merges)


@given(rows, st.integers(0, 30))
def test_a_second_time_changes_nothing_and_more_evidence_undoes_nothing(made, cut):
    first = resolve(table(made[:cut]), limits=LIMITS)
    held = [(row["party_id"], row["into"]) for row in first.merges.to_pylist()]
    assert resolve(table(made[:cut]), limits=LIMITS, held=held).merges.num_rows == 0
    second = resolve(table(made), limits=LIMITS, held=held)
    joined = {row["party_id"] for row in second.merges.to_pylist()}
    assert not joined & {party for party, _ in held}

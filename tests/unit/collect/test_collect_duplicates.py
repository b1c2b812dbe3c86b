"""Duplicate customers are suggested, never merged, and what is compared stays in memory."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.collect.conftest import NOW
from zhiyin.collect.duplicates import Person, find_duplicates, person_of
from zhiyin.collect.duplicates_job import run
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.config import Settings
from zhiyin.core.context import Context
from zhiyin.core.rng import Streams


def test_alike_names_need_something_else_that_agrees():
    ann = person_of("p_1", {"first_name": "Ann", "last_name": "Lee", "birthday": "1990-01-02"})
    anne = person_of("p_2", {"name": "Lee, Anne", "dob": "1990-01-02"})
    other = person_of("p_3", {"name": "Ann Lee", "birthday": "1990-02-01"})
    nobody = person_of("p_4", {"name": "Ann Lee"})
    found = find_duplicates([ann, anne, other, nobody])
    assert [(one.party_id, one.into, one.rule) for one in found] == [
        ("p_1", "p_2", "name+birthday")
    ]
    assert found[0].score == pytest.approx(0.5 * 14 / 15 + 0.5 * 0.8, abs=1e-3)


def test_the_order_of_people_changes_nothing():
    rng = np.random.default_rng(3)
    people = _crowd(rng, 400)
    again = [people[i] for i in rng.permutation(len(people))]
    assert find_duplicates(people) == find_duplicates(again)


def test_planted_pairs_are_found_among_many_in_seconds():
    rng = np.random.default_rng(5)
    people = _crowd(rng, 20_000)
    planted = [
        Person(f"p_x{i}", one.name[:-1], one.birthday, one.postcode, one.city)
        for i, one in enumerate(people[:300])
    ]
    begun = time.process_time()
    found = find_duplicates([*people, *planted])
    spent = time.process_time() - begun
    pairs = {(one.party_id, one.into) for one in found}
    hit = sum((people[i].party_id, f"p_x{i}") in pairs for i in range(300))
    assert hit >= 285
    assert len(pairs) <= 600  # few that nobody planted
    assert spent < 10


def _crowd(rng, count):
    letters = np.asarray(list("abcdefghijklmnopqrstuvwxyz"))
    names = ["".join(rng.choice(letters, 12)) for _ in range(count)]
    return [
        Person(
            f"p_{i:06d}", name, f"19{rng.integers(50, 99)}{rng.integers(1, 13):02d}15",
            f"{rng.integers(10_000, 10_400)}", f"city{rng.integers(50)}",
        )
        for i, name in enumerate(names)
    ]  # fmt: skip


def test_the_lake_keeps_parties_score_and_rule_only(store, vault, clock):
    people = {
        "p_1": {"name": "王小明", "email": "wang@example.com"},
        "p_2": {"姓名": "王小明", "email": "wang@example.org"},
        "p_3": {"name": "李娜"},
    }
    moment = naive_utc(NOW)
    rows = pa.Table.from_pylist([
        {c.PARTY_ID: party, c.REVISION: 1, c.VALID_AT: moment.replace(year=2025),
         c.RECORDED_AT: moment, c.OP: "upsert", c.CITY: "杭州", c.UNDATED: False,
         c.PERSONAL: vault.seal([party], [fields])[0], c.SOURCE: "s", c.LOAD_ID: "l",
         c.LOADED_AT: moment}
        for party, fields in people.items()
    ])  # fmt: skip
    store.append("customers", rows, app="test")
    settings = Settings(name="shop")
    ctx = Context(settings, store, vault, clock, Streams(7), NOW.date(), "t")
    report = run(ctx)
    assert report.figures == {"people": 3, "suggestions": 1}
    kept = store.read("duplicates").to_pyarrow().to_pylist()
    assert [(row[c.PARTY_ID], row[c.INTO], row[c.RULE]) for row in kept] == [
        ("p_1", "p_2", "name+email_name+city")
    ]
    assert "王" not in str(kept)

"""From the journal to `decisions` and `outcomes`: once, also where a unit is done again."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from zhiyin.app import Workspace
from zhiyin.core import columns as c
from zhiyin.core.config import validate_settings
from zhiyin.core.decisions import Decided, Outcome, Place, Shown, is_shown
from zhiyin.decided import write_decided, write_outcomes

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AT = int(NOW.timestamp() * 1e6)
pack = msgspec.msgpack.encode


def choice(name, action="gift", *, at=AT, **more):
    place = Place(action, ("none", "gift"), 0.5, explored=False)
    return pack(Decided(name, at, "home", (place,), "by_policy", "p", "v", 1, "p_a", "p_a", **more))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    settings = validate_settings({"name": "s", "currency": "EUR"}, where="test")
    with Workspace.create(tmp_path_factory.mktemp("decided") / "shop", settings) as made:
        yield made


def rows(shop, table):
    found = shop.table(table).to_pyarrow().to_pylist()
    return {row[c.DECISION_ID]: row for row in found}


def test_the_first_of_an_id_is_kept_in_a_unit_across_units_and_when_one_is_done_again(shop):
    first = [choice("d_1"), choice("d_2"), choice("d_1", "none", at=AT + 1)]
    assert write_decided(shop.store, "u_1", first) == (2, {("home", 1, "gift"): 2})
    assert write_decided(shop.store, "u_1", first) == (2, {("home", 1, "gift"): 2})
    again = [choice("d_2", "none", at=AT + 2), choice("d_3", at=AT + 3)]
    assert write_decided(shop.store, "u_2", again) == (1, {("home", 1, "gift"): 1})
    assert {one: row[c.ACTION] for one, row in rows(shop, "decisions").items()} == dict.fromkeys(
        ("d_1", "d_2", "d_3"), "gift"
    )
    told = [pack(Outcome(f"o_{n}", AT, AT, "click", f"d_{n}")) for n in (1, 2, 1, 9)]
    for unit, expected in (("u_3", 3), ("u_3", 3), ("u_4", 0)):
        assert write_outcomes(shop.store, unit, told, currency="EUR", now=NOW) == expected
    found = rows(shop, "outcomes")
    assert len(found) == 3
    assert (found["d_1"][c.PARTY_ID], found["d_9"][c.PARTY_ID]) == ("p_a", None)
    assert write_decided(shop.store, "u_5", []) == (0, {})


def test_the_two_kinds_of_choices_in_the_journal_are_told_apart():
    shown = Shown("d", AT, "p", "p", "home", ("x",), "x", ("s:1",), 1, True)
    assert is_shown(pack(shown))
    everything = {"names": ("a",), "numbers": (1.0,), "personalised": True}
    assert not is_shown(choice("d", **everything))
    assert not is_shown(pack(Decided("d", AT, "home", (), "unknown_point")))

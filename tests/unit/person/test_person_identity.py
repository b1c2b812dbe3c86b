"""Records of one person: seen, tried, merged and taken apart, with facts left as they are."""

from __future__ import annotations

import json
from datetime import date, timedelta

import people
import pytest
import sqlalchemy as sa

from zhiyin.core.clock import FrozenClock, naive_utc
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.ledger import audit, consents
from zhiyin.person.find import find_person
from zhiyin.person.identity import (
    Door,
    list_conflicts,
    merge_customers,
    preview_merge,
    show_identity,
    undo_merge,
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with people.make_shop(tmp_path_factory.mktemp("identity")) as made:
        yield made


def door_of(shop, days=0):
    return Door(shop.store, shop.vault, FrozenClock(people.NOW + timedelta(days=days)), "a tester")


def person(shop, name):
    return find_person(shop.store, shop.vault, name)


def revenue_of(shop):
    orders = shop.store.read("orders")
    return orders.amount_base_minor.sum().to_pyarrow().as_py(), orders.count().to_pyarrow().as_py()


def test_a_customers_records_are_shown_without_personal_data(shop):
    found = show_identity(door_of(shop), people.ANA)
    (record,) = found["records"]
    assert sorted(one["namespace"] for one in record["identifiers"]) == [
        "email", "phone", "user_id",
    ]  # fmt: skip
    assert [one for one in people.OF_ANA if one in json.dumps(found, ensure_ascii=False)] == []


def test_a_preview_says_what_would_be_joined_and_changes_nothing(shop):
    with shop.store.begin() as connection:
        connection.execute(consents.insert().values(
            consent_id="no", party_id=people.party_of(shop, people.BEA), purpose="marketing",
            channel="email", granted=False, at=naive_utc(people.NOW - timedelta(hours=1)),
            source="site",
        ))  # fmt: skip
    found = preview_merge(door_of(shop), people.ANA, people.BEA)
    total, orders = revenue_of(shop)
    assert (found["parties"], found["orders"], found["revenue_minor"]) == (2, orders, total)
    assert found["user_ids"] == ["user_id"]
    states = found["consents"]["email"]
    assert (states["customer"], states["into"]) == ("granted", "refused")
    assert states["together"] == "refused"
    assert person(shop, people.ANA).customer_id != person(shop, people.BEA).customer_id


def test_a_merge_is_dated_undone_and_noted_and_facts_stay(shop):
    before = revenue_of(shop)
    stored = shop.store.read_stored("order_lines").count().to_pyarrow().as_py()
    bea = person(shop, people.BEA).customer_id
    made = merge_customers(door_of(shop), people.ANA, people.BEA)
    assert person(shop, people.ANA).customer_id == bea
    with pytest.raises(InvalidParameter):
        preview_merge(door_of(shop), people.ANA, people.BEA)
    (merge,) = show_identity(door_of(shop), people.ANA)["merges"]
    assert (merge["rule"], merge["into"], merge["undone_at"]) == ("person", bea, None)
    done = undo_merge(door_of(shop, days=10), made["customer_id"], made["into"])
    assert (done["undone"], done["still_one"]) == (1, False)
    days = {date(2024, 6, 1): 2, date(2024, 6, 5): 1, date(2024, 6, 20): 2}
    for day, expected in days.items():
        rows = shop.store.read("orders", as_of=day)
        assert rows.customer_id.nunique().to_pyarrow().as_py() == expected, day
    assert revenue_of(shop) == before
    assert shop.store.read_stored("order_lines").count().to_pyarrow().as_py() == stored
    with shop.store.begin() as connection:
        noted = connection.execute(sa.select(audit).order_by(audit.c.entry_id)).all()
    assert [(row.action, row.actor) for row in noted] == [
        ("identity.merge", "a tester"), ("identity.undo", "a tester"),
    ]  # fmt: skip
    assert "p_" not in str([row.detail for row in noted])
    with pytest.raises(NotFound):
        undo_merge(door_of(shop, days=11), made["customer_id"], made["into"])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_conflicts_are_listed_with_words(shop, tmp_path, language):
    file = tmp_path / "more.csv"
    file.write_text(f"user_id,email\nnew-{language},{people.OF_ANA[1]}\n", encoding="utf-8")
    shop.load("customers", file)
    found = list_conflicts(door_of(shop), language=language)
    assert found["total"] == found["counts"]["ambiguous"] == len(found["conflicts"]) == 1
    (row,) = found["conflicts"]
    assert row["reason"] == "ambiguous"
    assert row["why"].isascii() == (language == "en")

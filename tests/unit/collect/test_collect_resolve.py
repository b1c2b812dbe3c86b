"""Which records are joined, which are not, and why: each rule on its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from tests.unit.collect.fakes import rows_of
from zhiyin.collect import identity
from zhiyin.collect.merge_guards import CONFLICTS, Limits
from zhiyin.collect.resolve import resolve
from zhiyin.core.clock import naive_utc

START = datetime(2026, 1, 1)


def evidence(*rows):
    """Rows (identifier, namespace, party, day)."""
    names = ("identity_id", "namespace", "party_id", "valid_at", "source")
    made = [
        (one, space, party, START + timedelta(days=day), "s") for one, space, party, day in rows
    ]
    columns = list(zip(*made, strict=True)) if made else [[]] * 5
    kinds = [pa.string(), pa.string(), pa.string(), pa.timestamp("us"), pa.string()]
    return pa.table({
        name: pa.array(list(column), kind)
        for name, column, kind in zip(names, columns, kinds, strict=True)
    })  # fmt: skip


def joined(*rows, **options):
    found = resolve(evidence(*rows), **options)
    return [
        (row["party_id"], row["into"], (row["at"] - START).days)
        for row in found.merges.to_pylist()
    ]  # fmt: skip


def conflicts(*rows, **options):
    found = resolve(evidence(*rows), **options).conflicts.to_pylist()
    return [(row["reason"], row["party_id"], row["into"], row["n"]) for row in found]


def user(name, day=1):
    return (f"id-{name}", "user_id", f"p_{name}", day)


def test_a_record_known_by_an_address_alone_joins_its_customer_when_both_were_seen():
    rows = [user("ann"), ("e1", "email", "p_ann", 1), ("e1", "email", "p_mail", 3)]
    assert joined(*rows) == [("p_mail", "p_ann", 3)]
    (row,) = resolve(evidence(*rows)).merges.to_pylist()
    assert (row["rule"], row["evidence"]) == ("same_row", '{"namespace": "email", "source": "s"}')


def test_nothing_is_joined_without_a_shared_identifier():
    rows = [user("ann"), ("e1", "email", "p_ann", 1), user("bob"), ("e2", "email", "p_bob", 1)]
    assert joined(*rows) == conflicts(*rows) == joined() == []


def test_two_customers_of_one_source_are_never_joined():
    rows = [
        user("ann"), user("bob"), ("e", "email", "p_ann", 1), ("e", "email", "p_bob", 2),
        ("e", "email", "p_mail", 3),
    ]  # fmt: skip
    assert joined(*rows) == []
    assert conflicts(*rows) == [("ambiguous", "p_ann", "p_bob", 3)]


def test_customers_of_two_sources_are_joined():
    rows = [
        user("ann"), ("id-a", "till", "p_a", 2), ("e", "email", "p_ann", 1),
        ("e", "email", "p_a", 2),
    ]  # fmt: skip
    assert joined(*rows) == [("p_a", "p_ann", 2)]


def test_two_customers_are_not_joined_through_a_third_record_and_the_earliest_wins():
    rows = [
        user("ann"), user("bob"), ("e", "email", "p_ann", 1), ("e", "email", "p_mail", 5),
        ("t", "phone", "p_mail", 2), ("t", "phone", "p_bob", 2),
    ]  # fmt: skip
    assert joined(*rows) == [("p_mail", "p_bob", 2)]
    assert conflicts(*rows) == [("two_ids", "p_ann", "p_mail", None)]


def test_an_identifier_of_too_many_records_joins_nobody():
    rows = [("till", "phone", f"p_{n}", n) for n in range(6)]
    assert joined(*rows) == []
    assert conflicts(*rows) == [("shared", "p_0", "p_1", 6)]
    assert len(joined(*rows, limits=Limits(parties_per_identifier=6))) == 5


def test_one_person_has_a_limited_number_of_addresses():
    rows = [("t", "phone", f"p_{n}", n) for n in range(4)]
    rows += [(f"e{n}", "email", f"p_{n}", n) for n in range(4)]
    limits = Limits(emails=2)
    assert joined(*rows, limits=limits) == [("p_1", "p_0", 1), ("p_3", "p_2", 3)]
    assert {reason for reason, *_ in conflicts(*rows, limits=limits)} == {"too_many"}


@pytest.mark.parametrize(
    ("namespace", "merges"),
    [("unionid", 1), ("openid:app-a", 1), ("ouid:shop", 1), ("device_id", 1), ("card", 1)],
)
def test_each_kind_of_identifier_joins(namespace, merges):
    rows = [user("ann"), ("x", namespace, "p_ann", 1), ("x", namespace, "p_other", 2)]
    assert len(joined(*rows)) == merges


def test_only_a_unionid_joins_two_wechat_apps():
    apps = [("o1", "openid:app-a", "p_1", 1), ("o2", "openid:app-b", "p_2", 1)]
    assert joined(*apps) == []
    union = [("u", "unionid", "p_1", 1), ("u", "unionid", "p_2", 2)]
    assert joined(*apps, *union) == [("p_2", "p_1", 2)]


def test_two_openids_of_one_app_are_two_people():
    rows = [
        ("o1", "openid:app", "p_1", 1), ("o2", "openid:app", "p_2", 1), ("t", "phone", "p_1", 1),
        ("t", "phone", "p_2", 1),
    ]  # fmt: skip
    assert joined(*rows) == []


def test_merges_in_force_stay_and_count_for_the_guards():
    rows = [
        user("ann"), user("bob"), ("e", "email", "p_mail", 1), ("t", "phone", "p_mail", 1),
        ("t", "phone", "p_bob", 2),
    ]  # fmt: skip
    assert joined(*rows, held=[("p_mail", "p_ann")]) == []
    assert conflicts(*rows, held=[("p_mail", "p_ann")]) == [("two_ids", "p_bob", "p_mail", None)]
    again = [user("ann"), ("e", "email", "p_ann", 1), ("e", "email", "p_mail", 1)]
    assert joined(*again, held=[("p_mail", "p_ann")]) == []


def test_customers_whom_a_person_joined_share_an_address_without_conflict():
    rows = [
        user("ann"), user("ann2"), ("e", "email", "p_ann", 1), ("e", "email", "p_ann2", 1),
        ("e", "email", "p_mail", 2),
    ]  # fmt: skip
    assert joined(*rows, held=[("p_ann2", "p_ann")]) == [("p_mail", "p_ann", 2)]


def test_people_declared_two_are_not_joined_again_nor_through_others():
    rows = [user("ann"), ("e", "email", "p_ann", 1), ("e", "email", "p_mail", 2)]
    assert joined(*rows, apart=[("p_mail", "p_ann")]) == []
    assert conflicts(*rows, apart=[("p_mail", "p_ann")]) == [("apart", "p_ann", "p_mail", None)]
    through = [*rows, ("t", "phone", "p_mail", 3), ("t", "phone", "p_tel", 3),
               ("d", "card", "p_tel", 4), ("d", "card", "p_ann", 4)]  # fmt: skip
    assert joined(*through, apart=[("p_mail", "p_ann")]) == [("p_mail", "p_tel", 3)]


def test_only_fresh_identifiers_are_looked_at():
    rows = [
        ("e", "email", "p_1", 1), ("e", "email", "p_2", 1), ("t", "phone", "p_2", 2),
        ("t", "phone", "p_3", 2),
    ]  # fmt: skip
    assert joined(*rows, fresh=pa.array(["t"])) == [("p_3", "p_2", 2)]


def test_every_reason_has_words():
    assert all(en and zh for en, zh in CONFLICTS.values())


def test_identifiers_seen_together_are_evidence(vault):
    at = datetime(2026, 2, 1, tzinfo=UTC)
    pair = (("anonymous_id", "a-1"), ("user_id", "ann"), at)
    found = identity.see_together(vault, [pair], source="web").to_pylist()
    assert {row["party_id"] for row in found} == set(vault.party_ids("user_id", ["ann"]))
    assert [row["namespace"] for row in found] == ["anonymous_id", "user_id"]
    assert {row["valid_at"] for row in found} == {naive_utc(at)}


TOUCHES = "email,phone,occurred_at,kind\n"
BY_MAIL = TOUCHES + "us@shop.example,,2026-01-05,open\n"


def test_loads_join_records_once_and_list_conflicts_once(load, store):
    load("touches", BY_MAIL)
    load("customers", "user_id,email\nann,us@shop.example\nbob,us@shop.example\n")
    load("customers", "user_id,email\ncy,us@shop.example\n")
    assert rows_of(store, "merges") == []
    (row,) = rows_of(store, "identity_conflicts")
    assert (row["reason"], row["namespace"], row["n"]) == ("ambiguous", "email", 3)


def test_an_undone_merge_is_not_made_again_by_the_next_load(load, store):
    load("touches", BY_MAIL)
    load("customers", "user_id,email\nann,us@shop.example\n")
    (merge,) = rows_of(store, "merges")
    identity.undo(
        store, merge["party_id"], into=merge["into"], undone_at=datetime(2026, 4, 1, tzinfo=UTC)
    )
    load("touches", TOUCHES + "us@shop.example,+8613800138000,2026-02-05,open\n")
    load("customers", "user_id,email,phone\nann,us@shop.example,+8613800138000\n")
    assert [row["undone_at"] is None for row in rows_of(store, "merges")] == [False]
    assert {row["reason"] for row in rows_of(store, "identity_conflicts")} == {"apart"}


def test_joining_all_records_at_once_gives_what_the_loads_gave(load, store):
    load("touches", BY_MAIL)
    load("touches", TOUCHES + "us@shop.example,138 0013 8000,2026-01-06,open\n")
    load("customers", "user_id,phone\nann,138 0013 8000\n")
    before = rows_of(store, "merges")
    assert len(before) == 1
    assert identity.join_records(store, app="all") == (0, 0)

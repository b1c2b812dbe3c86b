"""`zhiyin audience`, from a file of orders to who entered and left."""

from __future__ import annotations

import json
from datetime import date

import pytest
from typer.testing import CliRunner

from zhiyin.app import Workspace
from zhiyin.cli import app
from zhiyin.core import columns as c
from zhiyin.core.config import validate_settings
from zhiyin.person.find import find_person

MAPPING = """
source = "shop"
[columns]
order_id = "order"
user_id = "customer"
product_id = "product"
sold_at = "at"
quantity = "units"
price = "price"
"""
PEOPLE = """
source = "shop"
[columns]
user_id = "customer"
city = "city"
valid_at = "since"
"""
RECENT = {
    "type": "behaviour", "table": "order_lines", "op": "ge", "value": 2, "days": 30,
    "measure": "distinct", "column": "order_id",
}  # fmt: skip
REST = {"type": "not", "rule": {"type": "audience", "name": "recent"}}
BIRTHDAY = {"type": "yearly", "field": "birthday", "from_days": 0, "to_days": 7}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A shop with ann (two orders in May), ben (one in May, one in January) and cat (none)."""
    here = tmp_path_factory.mktemp("audiences")
    values = {"name": "shop", "currency": "EUR", "zone": "Europe/Berlin", "as_of": "2024-06-01"}
    with Workspace.create(here / "shop", validate_settings(values, where="test")) as shop:
        (here / "orders.csv").write_text(
            "order,customer,product,at,units,price\n"
            "1,ann,tea,2024-05-03 10:00,1,4.50\n2,ann,tea,2024-05-20 10:00,2,4.50\n"
            "3,ben,cup,2024-05-20 10:00,1,9.00\n4,ben,tea,2024-01-20 10:00,1,4.50\n"
        )
        (here / "people.csv").write_text(
            "customer,city,birthday,since\nann,Berlin,1990-06-03,2024-01-02\n"
            "ben,Bonn,1990-07-03,2024-01-02\ncat,Bonn,,2024-01-02\n"
        )
        (here / "mapping.toml").write_text(MAPPING)
        (here / "people.toml").write_text(PEOPLE)
        shop.load("order_lines", here / "orders.csv", mapping=here / "mapping.toml")
        shop.load("customers", here / "people.csv", mapping=here / "people.toml")
        for name, rule in (("recent", RECENT), ("rest", REST), ("birthday", BIRTHDAY)):
            (here / f"{name}.json").write_text(json.dumps(rule))
    return here / "shop"


def run(folder, *arguments):
    done = CliRunner().invoke(app, ["audience", *map(str, arguments), "-w", str(folder)])
    return done.exit_code, done.stdout, done


def turn(folder, day):
    with Workspace.open(folder, write=True) as shop:
        return shop.run(as_of=day, only="audience").reports[-1].figures


def test_audiences_are_kept_asked_and_explained(folder):
    assert run(folder, "list")[1] == ""
    for name in ("recent", "rest", "birthday"):
        code, said, _ = run(folder, "add", folder.parent / f"{name}.json")
        assert (code, said) == (0, f"{name}: version 1, scheduled\n")
    assert run(folder, "size", "recent", "--sample", 0)[1] == "1 customers\n"
    assert run(folder, "size", folder.parent / "rest.json", "--sample", 0)[1] == "2 customers\n"
    assert run(folder, "size", "birthday", "--sample", 0)[1] == "1 customers\n"
    code, said, _ = run(folder, "size", "recent", "--sql")
    assert "GROUP BY" in said

    code, said, done = run(folder, "explain", "recent", "ben")
    assert code == 0, done.output
    assert said == (
        "out because not: order lines in the last 30 days: different order_id 1, "
        "asked: at least 2\ntime changes nothing\n"
    )
    code, said, _ = run(folder, "explain", "recent", "ann")
    assert said.endswith(
        "different order_id 2, asked: at least 2\nchanges on 2024-06-03 if nothing happens\n"
    )
    assert run(folder, "explain", "rest", "cat", "--lang", "zh")[1].startswith("在受众内，因为")
    assert run(folder, "compare", "recent", "rest")[1] == (
        "recent / rest: 0 in both, 1 and 2 in one only, Jaccard 0.000\n"
    )

    figures = turn(folder, date(2024, 6, 1))
    assert (figures["entered"], figures["left"]) == (4, 0)
    again = turn(folder, date(2024, 6, 1))
    assert (again["entered"], again["left"]) == (0, 0)
    later = turn(folder, date(2024, 6, 3))  # one order of ann's has left the window
    assert (later["entered"], later["left"]) == (1, 1)
    assert later["size of rest"] == 3
    past = turn(folder, date(2024, 5, 25))  # history is written, nobody is told
    assert (past["entered"], past["left"], past["size of recent"]) == (0, 0, 1)

    listed = run(folder, "list")[1].splitlines()
    assert listed[1].split() == ["recent", "scheduled", "version", "1", "0", "on", "2024-06-03"]
    told = [line.split()[3:] for line in run(folder, "changes")[1].splitlines()]
    assert told == [
        ["entered", "birthday"], ["entered", "recent"], ["entered", "rest"], ["entered", "rest"],
        ["left", "recent"], ["entered", "rest"],
    ]  # fmt: skip
    with Workspace.open(folder) as shop:
        rows = shop.table("audience_members").to_pyarrow().to_pylist()
    assert {row[c.AS_OF_ON] for row in rows} == {
        date(2024, 6, 1), date(2024, 6, 3), date(2024, 5, 25),
    }  # fmt: skip


def test_what_others_are_made_of_cannot_be_removed_and_versions_count(folder):
    code, _, done = run(folder, "remove", "recent")
    assert code == 1
    assert "part of rest" in str(done.exception)
    (folder.parent / "static.json").write_text(json.dumps(RECENT))
    assert run(folder, "add", folder.parent / "static.json", "--kind", "static")[0] == 0
    assert turn(folder, date(2024, 6, 3))["size of static"] == 0
    assert "size of static" not in turn(folder, date(2024, 6, 4))
    assert run(folder, "remove", "static")[1] == "removed\n"
    assert run(folder, "show", "static")[0] == 1
    (folder.parent / "recent.json").write_text(json.dumps(RECENT | {"days": 90}))
    assert run(folder, "add", folder.parent / "recent.json")[1].startswith("recent: version 2")
    assert json.loads(run(folder, "show", "recent")[1])["rule"]["days"] == 90


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"type": "tag", "tag": "dormnt"}, "did you mean 'dormant'?"),
        ({"type": "audience", "name": "nobody"}, "there is no audience 'nobody'"),
        ({"type": "audience", "name": "wrong"}, "wrong → wrong"),
        (RECENT | {"days": -3}, "a window of -3 days"),
        ({"type": "or", "rules": []}, "joins no rules"),
    ],
)
def test_a_wrong_rule_is_refused_with_what_to_do(folder, rule, said):
    (folder.parent / "wrong.json").write_text(json.dumps(rule))
    code, _, done = run(folder, "add", folder.parent / "wrong.json")
    assert code == 1
    assert said in str(done.exception)


def test_an_erased_customer_is_in_no_list_and_no_change(folder):
    with Workspace.open(folder) as shop:
        rows = shop.table("customers").to_pyarrow().to_pylist()
        her = next(row[c.CUSTOMER_ID] for row in rows if row[c.CITY] == "Bonn")
        source = next(one for one in ("ben", "cat") if _id_of(shop, one) == her)
    listed = {"type": "upload", "customers": [her]}
    (folder.parent / "listed.json").write_text(json.dumps(listed))
    assert run(folder, "add", folder.parent / "listed.json")[0] == 0
    assert turn(folder, date(2024, 6, 5))["size of listed"] == 1
    with Workspace.open(folder, write=True) as shop:
        proof = shop.erase(source)
    assert proof["traces"] == []
    assert her not in run(folder, "show", "listed")[1]
    assert her not in run(folder, "changes", "--limit", 1000)[1]
    assert turn(folder, date(2024, 6, 6))["size of listed"] == 0


def _id_of(shop, customer):
    return find_person(shop.store, shop.vault, customer).customer_id

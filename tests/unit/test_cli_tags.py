"""`zhiyin tags`, from a file of orders to who has which tag, since when and why."""

from __future__ import annotations

import json
from datetime import date

import pytest
from typer.testing import CliRunner

from zhiyin.app import Workspace
from zhiyin.cli import app
from zhiyin.core import columns as c
from zhiyin.core.config import validate_settings
from zhiyin.core.ledger import audit, manual_tags
from zhiyin.person.find import find_person

LINES = """
source = "shop"
[columns]
order_id = "order"
user_id = "customer"
product_id = "product"
sold_at = "at"
quantity = "units"
price = "price"
store_id = "via"
"""
PEOPLE = """
source = "shop"
[columns]
user_id = "customer"
city = "city"
valid_at = "since"
"""
PRODUCTS = """
source = "shop"
[columns]
product_id = "sku"
category = "group"
valid_at = "since"
"""
HEAD = {"label": "x", "label_zh": "某", "owner": "crm", "path": "own/test"}


def tag(kind, **body):
    return HEAD | {"body": {"kind": kind, **body}}


CITY = tag("fact", source="attribute", field="city")
TIER = tag("fact", source="attribute", field="properties.points", levels=[
    {"value": "gold", "at_least": 100}, {"value": "plain"}])  # fmt: skip
FAVOURITE = tag("fact", source="favourite", field="category", days=200)
LAST = tag("fact", source="last", field="product_id")
BUYER = tag("rule", shows="orders_count", rule={
    "type": "behaviour", "table": "order_lines", "op": "ge", "value": 1, "days": 30})  # fmt: skip
LOCAL = tag(
    "rule",
    rule={
        "type": "and",
        "rules": [
            {"type": "tag", "tag": "city", "values": ["Berlin"]},
            {"type": "tag", "tag": "buyer"},
        ],
    },
)
VIP = tag("manual", values=["a", "b"])
TOP = tag("fact", source="feature", field="orders_count", levels=[
    {"value": "top", "top_share": 0.5}, {"value": "others"}])  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A shop with ann (two orders in May), ben (one in January, one in May) and cat (none)."""
    here = tmp_path_factory.mktemp("tags")
    values = {"name": "shop", "currency": "EUR", "zone": "Europe/Berlin", "as_of": "2024-06-01"}
    with Workspace.create(here / "shop", validate_settings(values, where="test")) as shop:
        files = {
            "order_lines": (LINES, "order,customer,product,at,units,price,via\n"
                "1,ann,t1,2024-05-03 10:00,1,4.50,web\n2,ann,t2,2024-05-20 10:00,2,4.50,web\n"
                "3,ben,c1,2024-01-20 10:00,1,9.00,web\n4,ben,t1,2024-05-28 10:00,1,4.50,app\n"),
            "customers": (PEOPLE, "customer,city,points,since\nann,Berlin,120,2024-01-02\n"
                "ben,Bonn,5,2024-01-02\ncat,,,2024-01-02\n"),
            "products": (PRODUCTS, "sku,group,since\nt1,tea,2024-01-02\nt2,tea,2024-01-02\n"
                "c1,cup,2024-01-02\n"),
        }  # fmt: skip
        for table, (mapping, rows) in files.items():
            (here / f"{table}.csv").write_text(rows)
            (here / f"{table}.toml").write_text(mapping)
            shop.load(table, here / f"{table}.csv", mapping=here / f"{table}.toml")
    return here / "shop"


def run(folder, *arguments):
    done = CliRunner().invoke(app, ["tags", *map(str, arguments), "-w", str(folder)])
    return done.exit_code, done.stdout, done


def keep(folder, name, definition, *options):
    path = folder.parent / f"{name}.json"
    path.write_text(json.dumps(definition, ensure_ascii=False), encoding="utf-8")
    return run(folder, *options or ["create"], path)


def refused(folder, name, definition, *options):
    code, _, done = keep(folder, name, definition, *options)
    assert code == 1, done.output
    return str(done.exception)


def turn(folder, day, *, jobs=("profile.tags",)):
    """Tags of a day by the source's id of the customer."""
    with Workspace.open(folder, write=True) as shop:
        for job in jobs:
            shop.run(as_of=day, only=job)
        rows = shop.store.read("tags").to_pyarrow().to_pylist()
        names = {find_person(shop.store, shop.vault, one).customer_id: one
                 for one in ("ann", "ben", "cat")}  # fmt: skip
    found: dict = {"ann": {}, "ben": {}, "cat": {}}
    for row in rows:
        if row[c.AS_OF_ON] == day:
            found[names[row[c.CUSTOMER_ID]]][row[c.TAG]] = row[c.VALUE]
    return found


def test_tags_of_every_kind_are_computed_for_the_day(folder):
    made = {"city": CITY, "tier": TIER, "favourite": FAVOURITE, "latest": LAST, "buyer": BUYER,
            "local_buyer": LOCAL, "vip": VIP, "top": TOP}  # fmt: skip
    for name, one in made.items():
        code, said, done = keep(folder, name, one)
        assert code == 0, done.exception
        assert said == f"{name}: version 1, {one['body']['kind']}, active\n"
    assert run(folder, "give", "vip", "ann", "--value", "a", "--from", "2024-05-30",
               "--until", "2024-06-02")[1] == "vip: given to 1 customers\n"  # fmt: skip
    found = turn(folder, date(2024, 6, 1), jobs=("profile.features", "profile.tags"))
    own = {name: {key: value for key, value in held.items() if key not in ("new", "prospect",
           "one_time", "dormant")} for name, held in found.items()}  # fmt: skip
    assert own == {
        "ann": {"city": "Berlin", "tier": "gold", "favourite": "tea", "latest": "shop:t2",
                "buyer": "2", "local_buyer": None, "vip": "a", "top": "top"},
        "ben": {"city": "Bonn", "tier": "plain", "favourite": "cup", "latest": "shop:t1",
                "buyer": "2", "top": "top"},
        "cat": {"top": "others"},
    }  # fmt: skip
    later = turn(folder, date(2024, 6, 3))
    assert "vip" not in later["ann"], "her last day was the second of June"
    early = turn(folder, date(2024, 5, 10))
    assert "vip" not in early["ann"], "it was given from the thirtieth of May on"
    assert early["ann"]["latest"] == "shop:t1"
    assert "buyer" not in early["ben"]


def test_a_tag_that_is_given_is_explained_in_both_languages(folder):
    for lang, words in (
        ("en", "x: Berlin · from column customers.city"),
        ("zh", "某: Berlin · 来自"),
    ):
        done = CliRunner().invoke(app, ["explain", "ann", "-w", str(folder), "--lang", lang])
        assert words in done.output


def test_history_and_coverage_come_from_the_days(folder):
    spells = json.loads(run(folder, "history", "ann", "--json")[1])["spells"]
    vip = next(one for one in spells if one["tag"] == "vip")
    assert (vip["first_on"], vip["last_on"], vip["lost_on"]) == (
        "2024-06-01", "2024-06-01", "2024-06-03",
    )  # fmt: skip
    tier = next(one for one in spells if one["tag"] == "tier")
    assert (tier["first_on"], tier["lost_on"]) == ("2024-05-10", None)
    rows = json.loads(run(folder, "coverage", "vip", "--json")[1])
    told = [(one["as_of"], one["customers"], one["gained"], one["lost"]) for one in rows]
    assert told[:2] == [("2024-06-01", 1, 1, 0), ("2024-06-03", 0, 0, 1)]
    assert rows[0]["base"] == 3
    assert run(folder, "coverage", "city")[1].splitlines()[-1].endswith("city = Bonn: 1  33.3%")


def test_lineage_is_shown_and_what_is_used_cannot_go(folder):
    shown = json.loads(run(folder, "show", "local_buyer")[1])
    assert shown["made_from"] == [{"kind": "tag", "name": "buyer"}, {"kind": "tag", "name": "city"}]
    assert shown["owner"] == "crm"
    buyer = json.loads(run(folder, "show", "buyer")[1])
    assert buyer["used_by"] == [{"kind": "tag", "name": "local_buyer"}]
    assert {"kind": "feature", "name": "orders_count"} in buyer["made_from"]
    shipped = json.loads(run(folder, "show", "weekly")[1])
    assert [one["name"] for one in shipped["made_from"]] == ["orders_7d", "orders_90d"]
    assert shipped["owner"] == "zhiyin"
    why = run(folder, "explain", "local_buyer", "ann")[1]
    assert why == "in because tag city = Berlin; tag buyer\n"
    assert run(folder, "explain", "buyer", "cat", "--lang", "zh")[1].startswith("不在受众内，因为")
    assert "has no rule" in str(run(folder, "explain", "city", "ann")[2].exception)
    code, _, done = run(folder, "retire", "buyer")
    assert code == 1
    assert "used by tag local_buyer" in str(done.exception)
    said = refused(folder, "buyer", tag("rule", rule={"type": "tag", "tag": "local_buyer"}),
                   "change", "buyer")  # fmt: skip
    assert "buyer → local_buyer → buyer" in said
    assert run(folder, "retire", "local_buyer")[1] == "local_buyer: version 2, retired\n"
    assert "local_buyer" not in turn(folder, date(2024, 6, 4))["ann"]
    assert run(folder, "retire", "buyer")[0] == 0
    assert keep(folder, "buyer", BUYER, "change", "buyer")[1] == "buyer: version 3, rule, active\n"
    assert len(json.loads(run(folder, "show", "buyer")[1])["versions"]) == 3
    assert "comes with Zhiyin" in str(run(folder, "retire", "weekly")[2].exception)


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        (tag("fact", source="attribute", field="citty"), "did you mean 'city'?"),
        (tag("fact", source="feature", field="order_count"), "did you mean 'orders_count'?"),
        (tag("fact", source="attribute", field="city", levels=[{"value": "a", "at_least": 1}]),
         "'city' is text: levels are for numbers"),
        (tag("fact", source="last", field="product_id", days=-3), "a window of -3 days"),
        (tag("fact", source="first", field="city"), "one of: attribute, feature"),
        (tag("fact", source="feature", field="orders_count", levels=[
            {"value": "a", "at_least": 1}, {"value": "b", "at_least": 2}]), "highest down"),
        (tag("fact", source="feature", field="orders_count", levels=[
            {"value": "a"}, {"value": "b", "at_least": 2}]), "only the last may have neither"),
        (tag("rule", rule={"type": "trait", "field": "city", "op": "gt", "value": 3}),
         "cannot be compared"),
        (tag("rule", rule={"type": "tag", "tag": "citty"}), "did you mean 'city'?"),
        (tag("rule", rule={"type": "tag", "tag": "vip", "values": ["z"]}), "values: a, b"),
        (tag("rule", rule={"type": "tag", "tag": "wrong"}), "there is no tag 'wrong'"),
        (tag("rule", rule={"type": "tagg", "tag": "vip"}), "did you mean 'tag'?"),
        (tag("model", task="churn", levels=[{"value": "a"}]), "there is no score 'churn'"),
        (tag("model", scheme="rfm"), "there is no scheme 'rfm'"),
        (tag("model"), "either a task or a scheme"),
        (tag("manuel"), "kind"),
        (tag("manual", values=["a", "a"]), "twice"),
        (HEAD | {"body": {"kind": "manual"}, "onwer": "x"}, "did you mean 'owner'?"),
        ({**tag("manual"), "owner": ""}, "has no owner"),
        ({**tag("manual"), "path": "a//b"}, "no place in the tree"),
        ({**tag("manual"), "start_on": "2024-06-02", "end_on": "2024-06-01"}, "before the first"),
    ],
)  # fmt: skip
def test_a_wrong_tag_is_refused_with_what_to_do(folder, definition, said):
    assert said in refused(folder, "wrong", definition)


def test_names_that_are_taken_or_odd_are_refused(folder):
    assert "comes with Zhiyin" in refused(folder, "weekly", CITY)
    assert "there is a tag 'city' already" in refused(folder, "city", CITY)
    assert "is no name of a tag" in refused(folder, "Stadt", CITY)


def test_a_manual_tag_is_given_to_known_customers_with_its_values(folder):
    def said(*arguments):
        code, _, done = run(folder, *arguments)
        assert code == 1, done.output
        return str(done.exception)

    unknown = said("give", "vip", "ann", "nobody@example.com", "--value", "a")
    assert "numbers 2" in unknown
    assert "example.com" not in unknown
    assert "has no value 'z'" in said("give", "vip", "ann", "--value", "z")
    assert "is given with a value" in said("give", "vip", "ann")
    assert "nobody gives it" in said("give", "city", "ann", "--value", "Berlin")
    assert "before the first" in said(
        "give", "vip", "ann", "--value", "a", "--from", "2024-06-02", "--until", "2024-06-01"
    )
    (folder.parent / "list.csv").write_text("ben\n\ncat\n")
    given = run(folder, "give", "vip", "--file", folder.parent / "list.csv", "--value", "b",
                "--from", "2024-06-05")  # fmt: skip
    assert given[1] == "vip: given to 2 customers\n"
    assert run(folder, "take", "vip", "cat", "--from", "2024-06-06")[0] == 0
    assert turn(folder, date(2024, 6, 5))["cat"]["vip"] == "b"
    assert "vip" not in turn(folder, date(2024, 6, 6))["cat"]
    assert turn(folder, date(2024, 6, 6))["ben"]["vip"] == "b"


def test_a_value_that_an_audience_asks_for_must_stay(folder):
    rule = folder.parent / "golden.json"
    rule.write_text(json.dumps({"type": "tag", "tag": "tier", "values": ["gold"]}))
    done = CliRunner().invoke(app, ["audience", "add", str(rule), "-w", str(folder)])
    assert done.exit_code == 0, done.exception
    changed = tag("fact", source="attribute", field="properties.points", levels=[
        {"value": "silver", "at_least": 50}])  # fmt: skip
    said = refused(folder, "tier", changed, "change", "tier")
    assert "the value 'gold' of 'tier' is asked for by 'golden'" in said
    assert "used by audience golden" in str(run(folder, "retire", "tier")[2].exception)
    with Workspace.open(folder, write=True) as shop:
        assert shop.run(as_of=date(2024, 6, 6), only="audience").reports[-1].figures[
            "size of golden"] == 1  # fmt: skip


def test_a_rule_that_is_nested_too_deep_is_refused(folder):
    rule = {"type": "tag", "tag": "city"}
    for _ in range(50):
        rule = {"type": "not", "rule": rule}
    assert "nested deeper than" in refused(folder, "wrong", tag("rule", rule=rule))


def test_an_audience_that_a_tag_is_made_from_cannot_be_removed(folder):
    assert keep(folder, "rich", tag("rule", rule={"type": "audience", "name": "golden"}))[0] == 0
    command = ["audience", "remove", "golden", "-w", str(folder)]
    done = CliRunner().invoke(app, command)
    assert "is part of the tag rich" in str(done.exception)
    assert run(folder, "retire", "rich")[0] == 0
    assert CliRunner().invoke(app, command).exit_code == 0


def test_an_erased_customer_leaves_no_tag_behind(folder):
    with Workspace.open(folder, write=True) as shop:
        proof = shop.erase("ben")
        assert proof["traces"] == []
        with shop.store.begin() as connection:
            left = connection.execute(manual_tags.select()).all()
            noted = connection.execute(audit.select()).all()
    assert {row.given for row in left} == {True, False}
    assert len(left) == 3
    assert "tag.give" in {row.action for row in noted}
    assert not any("p_" in json.dumps(row.detail) for row in noted)

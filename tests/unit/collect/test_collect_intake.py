"""How a file is read is found out: named, kept, recognised, or its own headers."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhiyin.collect.intake import Wish, keep_mapping, plan_load
from zhiyin.core.errors import InputError

FIXTURES = Path(__file__).parent / "fixtures"
MAPPING = 'source = "pos"\ntable = "stores"\n# by hand\n[columns]\nstore_id = "Filiale"\n'


@pytest.fixture
def stores(tmp_path):
    path = tmp_path / "stores.csv"
    path.write_text("Filiale,Ort\n1,Rome\n")
    return path


@pytest.fixture
def mapping(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MAPPING)
    return path


def test_a_named_mapping_is_kept_for_the_next_file(tmp_path, stores, mapping):
    wish = Wish(mapping=mapping)
    plan = plan_load(tmp_path, stores, wish)
    assert (plan.by, plan.steps[0].table) == ("named", "stores")
    kept = keep_mapping(tmp_path, plan, wish)
    assert kept == tmp_path / "mappings" / "pos.stores.toml"
    assert kept.read_text() == MAPPING
    again = plan_load(tmp_path, stores, Wish())
    assert (again.by, again.steps[0].mapping.source) == ("kept", "pos")
    assert "pos" in again.words("zh")[0]


def test_a_dry_run_keeps_no_mapping(tmp_path, stores, mapping):
    wish = Wish(mapping=mapping, dry_run=True)
    assert keep_mapping(tmp_path, plan_load(tmp_path, stores, wish), wish) is None
    assert not (tmp_path / "mappings").exists()


def test_of_several_kept_mappings_one_has_to_be_chosen(tmp_path, stores, mapping):
    for source in ("pos", "erp"):
        mapping.write_text(MAPPING.replace("pos", source))
        wish = Wish(mapping=mapping)
        keep_mapping(tmp_path, plan_load(tmp_path, stores, wish), wish)
    with pytest.raises(InputError, match=r"erp \(stores\), pos \(stores\)") as error:
        plan_load(tmp_path, stores, Wish())
    assert "--source" in error.value.hint
    chosen = plan_load(tmp_path, stores, Wish(source="erp"))
    assert chosen.steps[0].mapping.source == "erp"


def test_a_named_table_reads_our_own_headers(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("store_id,city\n1,Rome\n")
    plan = plan_load(tmp_path, path, Wish(table="stores", source="pos", policy="skip"))
    assert (plan.by, plan.steps[0].mapping.source) == ("headers", "pos")
    assert plan.steps[0].mapping.policy == "skip"


def test_one_table_of_a_preset_may_be_loaded_alone(tmp_path):
    plan = plan_load(
        tmp_path, FIXTURES / "shopify_orders.csv", Wish(table="products", preset="shopify_orders")
    )
    assert [step.table for step in plan.steps] == ["products"]


def test_an_unknown_policy_is_an_error(tmp_path, stores, mapping):
    with pytest.raises(InputError, match="policy 'merge'"):
        plan_load(tmp_path, stores, Wish(mapping=mapping, policy="merge"))


def test_a_mapping_without_a_table_needs_one_named(tmp_path, stores, mapping):
    mapping.write_text(MAPPING.replace('table = "stores"\n', ""))
    with pytest.raises(InputError, match="names a table"):
        plan_load(tmp_path, stores, Wish(mapping=mapping))
    assert plan_load(tmp_path, stores, Wish(table="stores", mapping=mapping)).steps

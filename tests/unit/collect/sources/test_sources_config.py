"""Files of sources: what they may say, and that secrets stay out of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from zhiyin.collect.sources import read_sources
from zhiyin.collect.sources.config import find_source, parse_source
from zhiyin.core.config import load_settings, source_secrets, source_variable
from zhiyin.core.errors import ConfigError, NotFound

DOCS = Path(__file__).parents[4] / "docs" / "sources.md"
SQL = """
kind = "sql"
url = "{url}"
[[tables]]
origin = "public.orders"
table = "{table}"
cursor = "changed"
mapping = "orders.map.toml"
"""
MAP = '[columns]\norder_id = "id"\nordered_at = "at"\namount = "total"\n'


@pytest.fixture
def write(tmp_path):
    (tmp_path / "sources").mkdir()

    def put(name, text):
        (tmp_path / "sources" / name).write_text(text)
        return tmp_path

    put("orders.map.toml", MAP)
    return put


def test_a_source_is_named_by_its_file_and_so_is_its_mapping(write):
    folder = write("my-shop.toml", SQL.format(url="postgresql://me@db/shop", table="orders"))
    source = read_sources(folder)["my-shop"]
    assert source.tables[0].mapping.source == "my-shop"
    assert find_source(folder, "my-shop") == source


def test_a_password_may_not_stand_in_the_file_and_is_not_repeated(write):
    folder = write("shop.toml", SQL.format(url="postgresql://me:hunter2@db/shop", table="orders"))
    with pytest.raises(ConfigError, match="ZHIYIN_SOURCE_SHOP") as raised:
        read_sources(folder)
    assert "hunter2" not in str(raised.value)


def test_lines_need_a_key_of_their_own(write):
    folder = write("shop.toml", SQL.format(url="sqlite:///x", table="order_lines"))
    with pytest.raises(ConfigError, match="line_id"):
        read_sources(folder)


@pytest.mark.parametrize("name", ["../shop", "a/b", "", "Shop", "-x", "x" * 49])
def test_a_name_is_a_name(write, name):
    with pytest.raises(NotFound):
        find_source(write("shop.toml", ""), name)


def test_a_mapping_lies_beside_its_source(write):
    text = SQL.format(url="sqlite:///x", table="orders").replace("orders.map", "../../orders.map")
    with pytest.raises(ConfigError, match="beside"):
        read_sources(write("shop.toml", text))


def test_secrets_come_from_the_environment_and_are_no_settings(tmp_path):
    (tmp_path / "zhiyin.toml").write_text('name = "x"\n')
    held = {"ZHIYIN_SOURCE_MY_SHOP": "new", "ZHIYIN_SOURCE_MY_SHOP_OLD": "old"}
    assert source_variable("my-shop") == "ZHIYIN_SOURCE_MY_SHOP"
    assert source_secrets("my-shop", held) == ("new", "old")
    assert source_secrets("other", held) == ()
    assert load_settings(tmp_path, held).name == "x"


def test_the_examples_of_the_documentation_are_sources():
    blocks = re.findall(r"(?:^(?:    .*)?\n)+", DOCS.read_text(), re.MULTILINE)
    examples = [one for one in blocks if "kind = " in one]
    made = [
        parse_source(
            tomllib.loads(re.sub("^    ", "", one, flags=re.MULTILINE)), name="example",
            where="docs", read=lambda _: tomllib.loads(MAP),
        )
        for one in examples
    ]  # fmt: skip
    assert [one.kind for one in made] == ["sql", "folder", "webhook"]

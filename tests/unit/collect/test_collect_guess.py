"""Guessed mappings: what they find, what they say, and that none is loaded unread."""

from __future__ import annotations

import tomllib

import pytest
from typer.testing import CliRunner

from tests.unit.collect.fakes import naive, rows_of
from zhiyin.cli import app
from zhiyin.collect.files import read_raw
from zhiyin.collect.guess import guess_mapping
from zhiyin.collect.mapping import parse_mapping
from zhiyin.core.errors import InputError

CHINESE = (
    "小票号,会员手机,款号,销售时间,件数,实付金额,导购\n"
    "X1,13800138000,A7,2025年1月3日 10:05,2,¥1,200.00,小王\n".replace("¥1,200.00", '"¥1,200.00"')
    + "X2,13900139000,B8,2025年1月4日 11:00,1,¥99.50,小李\n"
)
GERMAN = (
    "Bestellnummer;Kunden-Mail;Artikelnummer;Datum;Menge;Einzelpreis;Filiale\n"
    "1;eva@shop.example;TEE;31.01.2025;2;1.234,50 €;7\n"
    "2;max@shop.example;POT;01.02.2025;1;8,00 €;7\n"
)


def guess(tmp_path, text, **more):
    path = tmp_path / "f.csv"
    path.write_text(text, encoding="utf-8")
    return guess_mapping(read_raw(path), **more)


def headers(made):
    return {target: found.header for target, found in made.columns.items()}


def confirmed(made):
    values = tomllib.loads(made.toml("f.csv"))
    assert values.pop("draft") is True
    return values


def test_chinese_headers_are_understood_and_load_once_confirmed(tmp_path, load, store):
    made = guess(tmp_path, CHINESE)
    assert (made.table, made.missing) == ("order_lines", ())
    assert headers(made) == {
        "order_id": "小票号", "phone": "会员手机", "product_id": "款号", "sold_at": "销售时间",
        "quantity": "件数", "amount": "实付金额",
    }  # fmt: skip
    assert made.others == ("导购",)
    with pytest.raises(InputError, match="draft"):
        load("order_lines", CHINESE, mapping=tomllib.loads(made.toml("f.csv")))
    assert load("order_lines", CHINESE, mapping=confirmed(made)).quarantined == 0
    assert [row["amount_minor"] for row in rows_of(store, "order_lines")] == [120_000, 99_50]


def test_decimal_commas_and_day_first_dates_are_found(tmp_path, load, store):
    made = guess(tmp_path, GERMAN)
    assert (made.table, made.decimal, made.date_formats) == ("order_lines", "comma", ("%d.%m.%Y",))
    assert headers(made)["email"] == "Kunden-Mail"  # by what is in it
    assert load("order_lines", GERMAN, mapping=confirmed(made)).quarantined == 0
    rows = rows_of(store, "order_lines")
    assert [row["amount_minor"] for row in rows] == [2_469_00, 8_00]
    assert rows[0]["sold_at"] == naive(2025, 1, 31, 5)


def test_dates_that_could_be_read_in_two_ways_are_said_to_be(tmp_path):
    made = guess(tmp_path, "order,date,total\n1,03/04/2025,5\n2,05/06/2025,6\n")
    assert made.table == "orders"
    assert "%m/%d/%Y" in made.notes[0]
    assert "no day is above 12" in made.toml("f.csv")


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("date,platform,campaign,spend,clicks\n2025-01-01,ads,x,5.00,7\n", "spend"),
        ("邮箱,城市\na@shop.example,北京\n", "customers"),
        ("sku,name,category\nA,Tea,Drinks\n", "products"),
        ("email,newsletter,date\na@shop.example,yes,2025-01-01\n", "consents"),
        ("user,date,review,stars\nu1,2025-01-01,good tea,5\n", "texts"),
        ("订单号,下单时间,金额\n1,2025-01-01,5.00\n", "orders"),
    ],
)
def test_the_table_is_guessed_too(tmp_path, text, table):
    made = guess(tmp_path, text)
    assert (made.table, made.missing) == (table, ())


def test_what_a_table_needs_and_the_file_lacks_is_said(tmp_path):
    made = guess(tmp_path, "order,qty\n1,2\n", table="order_lines")
    assert "sold_at" in made.missing
    assert "# missing, needed" in made.toml("f.csv")


def test_headers_cannot_break_out_of_the_draft(tmp_path):
    text = 'sku,"na""me\n[columns]\nuser_id",name\nA,x,Tea\n'
    made = guess(tmp_path, text)
    values = confirmed(made)
    assert set(values) == {"source", "table", "columns"}
    assert parse_mapping(values, where="test").columns.keys() == {"product_id", "name"}


def test_a_file_like_nothing_is_an_error(tmp_path):
    with pytest.raises(InputError, match="like one of ours") as error:
        guess(tmp_path, "aaa,bbb\nx,y\n")
    assert error.value.hint


def test_the_command_writes_a_draft_that_loads_when_confirmed(tmp_path):
    def zhiyin(*words, code=0):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == code, done.output
        return done.output

    path, draft, shop = tmp_path / "f.csv", tmp_path / "m.toml", tmp_path / "w"
    path.write_text(CHINESE)
    assert "order_id = " in zhiyin("map", path, "--to", draft)
    assert zhiyin("map", path, "--to", draft, code=1) is not None  # it is not overwritten
    zhiyin("init", shop, "--currency", "CNY")
    zhiyin("load", path, "--map", draft, "-w", shop, code=1)
    draft.write_text(draft.read_text().replace("draft = true\n", ""))
    assert "mapping kept" in zhiyin("load", path, "--map", draft, "-w", shop)
    path.write_text(CHINESE + "X3,13800138000,A7,2025年1月5日 10:05,1,¥5.00,小王\n")
    assert "kept mapping shop" in zhiyin("load", path, "-w", shop)

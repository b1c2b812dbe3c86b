"""One spelling for each identifier, and nobody behind a placeholder or a mask."""

from __future__ import annotations

import pytest

from zhiyin.govern.calling_codes import COUNTRIES, NATIONAL_LENGTHS
from zhiyin.govern.identifiers import (
    calling_code_of,
    kind_of,
    namespace_of,
    normalise,
    normalise_email,
    normalise_phone,
    normalise_user_id,
    strength,
)


@pytest.mark.parametrize(
    "value",
    ["", "  ", "null", "NULL", "undefined", "None", "0", "0000", "test", "anonymous", "N/A", "-",
     "00000000-0000-0000-0000-000000000000", "{00000000-0000-0000-0000-000000000000}", "无", "未知",
     "游客", "[object Object]", "１３８****１２３４", "x" * 300, "＊＊＊"],
)  # fmt: skip
def test_placeholders_identify_nobody(value):
    assert normalise_user_id(value) is None


@pytest.mark.parametrize(
    ("value", "found"),
    [(" 42 ", "42"), ("１７", "17"), ("Ann", "Ann"), ("100", "100"), ("王芳", "王芳")],
)
def test_user_ids_keep_their_case_and_lose_space_around(value, found):
    assert normalise_user_id(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (" Ann.Li+Sale@Shop.Example ", "ann.li+sale@shop.example"),
        ("ａｎｎ＠shop.example", "ann@shop.example"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ANN@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("安娜@例子.example", "安娜@xn--fsqu00a.example"),
        ("a.n.n@gmail.com", "a.n.n@gmail.com"),
        ("a***@x.com", None), ("a＊＊@x.com", None), ("null@shop.example", None),
        ("noreply@shop.example", None), ("ann", None), ("ann@shop", None), ("", None),
    ],
)  # fmt: skip
def test_an_address_has_one_spelling(value, found):
    assert normalise_email(value) == found


@pytest.mark.parametrize(
    ("value", "country", "found"),
    [
        ("138 0013 8000", "CN", "+8613800138000"), ("8613800138000", "CN", "+8613800138000"),
        ("010-6552 9988", "CN", "+861065529988"), ("+86 138-0013-8000", "US", "+8613800138000"),
        ("(212) 555-0147", "US", "+12125550147"), ("1 212 555 0147", "US", "+12125550147"),
        ("020 7946 0958", "GB", "+442079460958"), ("06 698 1234", "IT", "+39066981234"),
        ("9123 4567", "HK", "+85291234567"), ("138****1234", "CN", None),
        ("138＊＊＊＊1234", "CN", None), ("138xxxx1234", "CN", None), ("00000000000", "CN", None),
        ("11111111111", "CN", None), ("+0123456789", "", None), ("+1234567890123456", "", None),
        ("13800138000", "", "13800138000"),
    ],
)  # fmt: skip
def test_a_number_is_e164_of_its_country(value, country, found):
    assert normalise_phone(value, calling_code=calling_code_of(country)) == found


def test_the_advertising_id_and_an_openid_without_its_app_identify_nobody():
    assert normalise("oaid", "1fe9a970-efbb-29e0-0bdd-f5dbbf751ab5") is None
    assert normalise("openid", "oABC123") is None
    assert normalise(namespace_of("openid", "wx12"), "oABC123") == "oABC123"
    assert normalise("email", " A@shop.example") == "a@shop.example"
    assert normalise("phone", "9123 4567", calling_code="852") == "+85291234567"


def test_any_other_namespace_is_a_source_of_user_ids_and_the_strongest():
    spaces = ["anonymous_id", "openid:wx1", "email", "phone", "unionid", "shop_users"]
    assert sorted(spaces, key=strength)[0] == "shop_users"
    assert sorted(spaces, key=strength)[-1] == "anonymous_id"
    assert [kind_of(one) for one in ("openid:wx1", "shop_users")] == ["openid", "user_id"]


def test_every_country_has_one_calling_code():
    assert all(len(country) == 2 and code.isdigit() for country, code in COUNTRIES.items())
    assert set(NATIONAL_LENGTHS) <= set(COUNTRIES.values())
    assert len(COUNTRIES) > 200

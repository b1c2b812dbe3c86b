from __future__ import annotations

import pytest

from zhiyin.collect.personal import looks_personal, mask, normalise_email, normalise_phone


def test_emails_are_compared_in_lower_case():
    assert normalise_email("  Ann.Li@Shop.Example ") == "ann.li@shop.example"
    assert normalise_email("ann at shop") is None


@pytest.mark.parametrize(
    ("value", "code", "phone"),
    [
        ("138 0013 8000", "86", "+8613800138000"),
        ("+86-138-0013-8000", "", "+8613800138000"),
        ("0086 13800138000", "1", "+8613800138000"),
        ("020 7946 0958", "44", "+442079460958"),
        ("138 0013 8000", "", "13800138000"),
        ("１３８００１３８０００", "86", "+8613800138000"),
        ("12", "86", None),
        ("call me", "86", None),
    ],
)
def test_phones_become_e164(value, code, phone):
    assert normalise_phone(value, calling_code=code) == phone


@pytest.mark.parametrize(
    "header", ["E-Mail", "customer_name", "收货地址", "手机号", "zip code", "ip"]
)
def test_personal_headers_are_seen(header):
    assert looks_personal(header, [], of_people=False)


def test_personal_values_are_seen_under_any_header():
    assert looks_personal("x", ["see ann@shop.example"], of_people=False)
    assert looks_personal("x", ["13800138000"], of_people=False)
    assert not looks_personal("colour", ["red", "12345678"], of_people=True)


def test_names_are_personal_only_where_rows_are_people():
    assert looks_personal("name", [], of_people=True)
    assert not looks_personal("brand name", [], of_people=False)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("写信到 ann.li@shop.example 谢谢", "写信到 [email] 谢谢"),
        ("电话13800138000。", "电话[phone]。"),
        ("call +44 20 7946 0958 now", "call [phone] now"),
        ("call (212) 555-0147", "call [phone]"),
        ("身份证11010519491231002X", "身份证[id]"),
        ("card 4111 1111 1111 1111", "card [number]"),
        ("bought 2 on 2017-10-30 for 19.99", "bought 2 on 2017-10-30 for 19.99"),
    ],
)
def test_texts_are_masked(text, masked):
    assert mask(text) == masked

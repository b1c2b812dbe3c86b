"""Personal data is found by names and content; how well is measured on labelled columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zhiyin.collect.classify import KINDS, classify, has_luhn, is_id_card

LABELLED = json.loads((Path(__file__).parent / "labelled" / "columns.json").read_text())


def test_precision_and_recall_on_the_labelled_columns():
    found = [(one, classify(one["name"], one["samples"])) for one in LABELLED]
    hits = [one for one, got in found if got and one["kind"]]
    false = [one["name"] for one, got in found if got and not one["kind"]]
    missed = [one["name"] for one, got in found if not got and one["kind"]]
    kinds = [one["name"] for one, got in found if got and one["kind"] not in (None, got.kind)]
    assert len(LABELLED) == 137
    assert len(hits) / (len(hits) + len(false)) >= 0.97, false
    assert len(hits) / (len(hits) + len(missed)) >= 0.97, missed
    assert kinds == []


def test_every_kind_is_among_the_labelled_columns():
    assert {one["kind"] for one in LABELLED} - {None} == set(KINDS)


@pytest.mark.parametrize(
    ("number", "right"),
    [
        ("11010519491231002X", True),  # the example of GB 11643-1999
        ("11010519491231002x", True),
        ("110105194912310021", False),
        ("110105194913310020", False),  # no such month
        ("1101051949123100", False),
    ],
)
def test_an_identity_number_has_a_check_digit(number, right):
    assert is_id_card(number) is right


def test_the_check_digit_of_luhn():
    assert has_luhn("4242 4242 4242 4242")
    assert not has_luhn("4242 4242 4242 4241")


def test_content_tells_what_the_name_hides_and_refutes_what_it_claims():
    hidden = classify("col_7", ["13800138000", "15912345678", "18688886666"])
    assert (hidden.kind, hidden.by, hidden.share) == ("phone", "content", 1.0)
    assert classify("email_opt_in", ["yes", "no"]) is None
    assert classify("email", []).by == "name"
    assert classify("remark", ["please write to ann@example.com"]).kind == "email"


def test_ids_and_barcodes_are_no_people():
    assert classify("order_no", ["202403011234567890", "202403011234567891"] * 3) is None
    assert classify("ean", ["6901234567892", "4006381333931", "6921168509256"]) is None

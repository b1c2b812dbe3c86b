"""A customer is found by whatever the shop knows her by, and nobody else is."""

from datetime import UTC, datetime

import people
import pytest

from zhiyin.collect.identity import merge
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.person import find_person

WAYS = [
    people.ANA,
    f" {people.ANA} ",
    "ANA.zq81734@Example.com",
    "139-1234-5678",
    "+86 139 1234 5678",
    "008613912345678",
    f"user_id:{people.ANA}",
    "email:ana.zq81734@example.com",
    "phone:13912345678",
]


@pytest.mark.parametrize("text", WAYS)
def test_every_identifier_of_hers_finds_her(shop, text):
    assert find_person(shop.store, shop.vault, text).customer_id == people.party_of(
        shop, people.ANA
    )


def test_our_own_id_finds_her(shop):
    ours = people.party_of(shop, people.ANA)
    assert find_person(shop.store, shop.vault, ours).parties == (ours,)


@pytest.mark.parametrize(
    "text", ["", "kunde-zq8173", "x@example.com", "+8613912345670", "p_" + "a" * 26, "' OR 1=1"]
)
def test_nobody_is_found_by_what_nobody_has_and_it_is_not_quoted(shop, text):
    with pytest.raises(NotFound) as caught:
        find_person(shop.store, shop.vault, text)
    assert not text or text not in str(caught.value)
    assert caught.value.hint


def test_an_identifier_of_two_customers_names_neither(tmp_path):
    from zhiyin.app import Workspace
    from zhiyin.core.config import validate_settings

    settings = validate_settings({"name": "two"}, where="test")
    file = tmp_path / "customers.csv"
    file.write_text("user_id,email\nu-1,one@example.com\nu-2,one@example.com\n")
    with Workspace.create(tmp_path / "shop", settings) as shop:
        shop.load("customers", file)
        with pytest.raises(InvalidParameter, match="2 customers"):
            find_person(shop.store, shop.vault, "one@example.com")
        first = find_person(shop.store, shop.vault, "u-1")
        second = find_person(shop.store, shop.vault, "u-2")
        at = datetime(2024, 1, 1, tzinfo=UTC)
        merge(shop.store, second.customer_id, into=first.customer_id, at=at, rule="test")
        joined = find_person(shop.store, shop.vault, "one@example.com")
        assert joined.customer_id == first.customer_id
        assert set(joined.parties) == {first.customer_id, second.customer_id}

"""Who is behind a customer: parties, addresses, and the hour where she is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from zhiyin.core import columns as c
from zhiyin.core.parties import Join
from zhiyin.govern.people import Directory, Kinship, local_hour

AT = datetime(2026, 5, 4, 13, tzinfo=UTC)


def identity(party):
    return {c.PARTY_ID: party, c.IDENTITY_ID: f"email-{party}"}


def row(party, language=None, zone=None, personal=None):
    return {c.PARTY_ID: party, c.LANGUAGE: language, c.TIME_ZONE: zone, c.PERSONAL: personal}


def find(wanted, *, joined=(), identities=(), customers=()):
    kinship = Kinship(Join(party, into, AT) for party, into in joined)
    (person,) = Directory(kinship, customers=customers, identities=identities).people([wanted])
    return person


class Vault:
    def unseal(self, party_ids, blobs):
        return blobs


def test_all_parties_and_addresses_of_a_customer_are_hers():
    joined = [("p_b", "p_a"), ("p_c", "p_b"), ("p_d", "p_a"), ("p_x", "p_y")]
    identities = [identity("p_c"), identity("p_b"), identity("p_x")]
    person = find("p_c", joined=joined, identities=identities)
    assert (person.customer_id, person.parties) == ("p_a", ("p_a", "p_b", "p_c", "p_d"))
    assert person.identities == (("p_b", "email-p_b"), ("p_c", "email-p_c"))
    assert person.party_id == "p_b"
    assert [(one.party_id, one.into) for one in person.joins] == joined[:3]


def test_her_own_party_is_addressed_where_it_can_be():
    joined = [("p_a", "p_m")]
    both = find("p_m", joined=joined, identities=[identity("p_a"), identity("p_m")])
    assert both.party_id == "p_m"
    assert find("p_m", joined=joined).party_id == "p_m"
    assert not find("p_m", joined=joined).reachable


def test_the_addressed_partys_language_counts_then_the_first_that_has_one():
    customers = [row("p_a", None, "Asia/Tokyo"), row("p_b", "zh", "Asia/Shanghai")]
    joined, identities = [("p_b", "p_a")], [identity("p_a")]
    person = find("p_a", joined=joined, identities=identities, customers=customers)
    assert (person.language, person.zone) == ("zh", "Asia/Tokyo")
    other = find("p_a", joined=joined, identities=[identity("p_b")], customers=customers)
    assert other.zone == "Asia/Shanghai"


def test_an_address_that_only_an_identity_tells_of_cannot_be_written_to():
    customers = [row("p_a", personal={"name": "Ann"}), row("p_b", personal=None)]
    kinship = Kinship([Join("p_b", "p_a", AT)])
    directory = Directory(kinship, customers=customers, identities=[identity("p_b")])
    (sealed,), (opened,) = directory.people(["p_a"]), directory.opened(["p_a"], vault=Vault())
    assert (sealed.reachable, opened.reachable, opened.name) == (True, False, "Ann")


def test_a_persons_repr_shows_neither_name_nor_address():
    customers = [row("p_a", personal={"name": "Ann", "email": "ann@shop.example"})]
    directory = Directory(Kinship([]), customers=customers, identities=[])
    (person,) = directory.opened(["p_a"], vault=Vault())
    assert person.address == "ann@shop.example"
    assert "Ann" not in repr(person)
    assert "shop.example" not in repr(person)


@pytest.mark.parametrize(
    ("zone", "hour"),
    [("Asia/Shanghai", 21), ("Nowhere/At all", 9), ("../etc/passwd", 9), ("", 9)],
)
def test_the_hour_is_where_she_is_or_else_where_the_shop_is(zone, hour):
    assert local_hour(AT, zone, default="America/New_York") == hour

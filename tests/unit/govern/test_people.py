"""Who is behind a customer: parties, addresses, and the hour where she is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from zhiyin.core import columns as c
from zhiyin.govern.people import find_people, local_hour

AT = datetime(2026, 5, 4, 13, tzinfo=UTC)


def identity(party, customer, namespace="email", name=None):
    return {c.PARTY_ID: party, c.CUSTOMER_ID: customer, c.NAMESPACE: namespace,
            c.IDENTITY_ID: name or f"{namespace}-{party}"}  # fmt: skip


def row(party, customer, language=None, zone=None):
    return {c.PARTY_ID: party, c.CUSTOMER_ID: customer, c.LANGUAGE: language, c.TIME_ZONE: zone}


def find(*wanted, identities=(), customers=(), channel="email"):
    return find_people(wanted, identities=identities, customers=customers, channel=channel)


def test_all_parties_and_addresses_of_a_customer_are_hers():
    (person,) = find(
        "p_a",
        identities=[identity("p_c", "p_a"), identity("p_b", "p_a"), identity("p_x", "p_y"),
                    identity("p_a", "p_a", "user_id")],
        customers=[row("p_d", "p_a")],
    ).values()  # fmt: skip
    assert person.parties == ("p_a", "p_b", "p_c", "p_d")
    assert person.addresses == ("email-p_b", "email-p_c")
    assert person.party_id == "p_b"


def test_her_own_party_is_addressed_where_it_can_be():
    identities = [identity("p_a", "p_m"), identity("p_m", "p_m")]
    assert find("p_m", identities=identities)["p_m"].party_id == "p_m"
    assert find("p_m")["p_m"].party_id == "p_m"


def test_each_channel_has_its_own_addresses():
    identities = [identity("p_a", "p_a", "phone")]
    assert find("p_a", identities=identities)["p_a"].addresses == ()
    assert find("p_a", identities=identities, channel="sms")["p_a"].addresses == ("phone-p_a",)


def test_the_addressed_partys_language_counts_then_the_first_that_has_one():
    customers = [row("p_a", "p_a", None, "Asia/Tokyo"), row("p_b", "p_a", "zh", "Asia/Shanghai")]
    person = find("p_a", identities=[identity("p_a", "p_a")], customers=customers)["p_a"]
    assert (person.language, person.zone) == ("zh", "Asia/Tokyo")


@pytest.mark.parametrize(
    ("zone", "hour"),
    [("Asia/Shanghai", 21), (None, 9), ("Nowhere/At all", 9), ("../etc/passwd", 9), ("", 9)],
)
def test_the_hour_is_where_she_is_or_else_where_the_shop_is(zone, hour):
    assert local_hour(AT, zone, default="America/New_York") == hour

"""The link in an e-mail: a scanner that follows it changes nothing, one click acts at once."""

from datetime import timedelta

import people
import pytest
import sqlalchemy as sa

from zhiyin.act.links import sign_unsubscribe
from zhiyin.core.clock import naive_utc
from zhiyin.core.ledger import consents, suppressions
from zhiyin.govern.gate import consent_state
from zhiyin.govern.ledger import read_consents, read_suppressed
from zhiyin.govern.suppression import address_token
from zhiyin.store.ledger import reading


@pytest.fixture
def link(served):
    shop, _ = served
    yield f"/u/{sign_unsubscribe(shop.vault, 'm_zq81734')}"
    with shop.store.begin() as connection:
        connection.execute(consents.delete().where(consents.c.source == "unsubscribe"))
        connection.execute(suppressions.delete())


def state_of(shop):
    party = people.party_of(shop, people.ANA)
    with reading(shop.store.ledger) as connection:
        lines = read_consents(connection, [party], purpose="marketing").get(party, [])
    later = shop.clock.now() + timedelta(days=9000)
    return consent_state(lines, purpose="marketing", channel="email", at=later)


def suppressed(shop):
    token = address_token(shop.vault, "email", people.OF_ANA[1])
    with reading(shop.store.ledger) as connection:
        return set(read_suppressed(connection, [token], channel="email")) == {token}


def test_get_asks_and_changes_nothing(client, served, link):
    answer = client.get(link)
    assert answer.status_code == 200
    assert '<form method="post">' in answer.text
    assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
    assert client.head(link).status_code in (200, 405)
    assert state_of(served[0]) == "granted"


def test_post_acts_at_once_and_only_once(client, served, link):
    one_click = {"data": {"List-Unsubscribe": "One-Click"}, "follow_redirects": False}
    answers = [client.post(link, **one_click), client.post(link)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert state_of(served[0]) == "refused"
    assert suppressed(served[0])
    with reading(served[0].store.ledger) as connection:
        query = sa.select(sa.func.count()).where(consents.c.source == "unsubscribe")
        assert connection.execute(query).scalar_one() == 1


def test_the_pages_name_nobody(client, link):
    text = client.get(link).text + client.post(link).text
    assert [one for one in people.OF_ANA if one in text] == []
    assert "p_" not in text


@pytest.mark.parametrize("token", ["m_zq81734", "m_zq81734.", "m_zq81734." + "0" * 32, ".x", "é.x"])
def test_a_link_that_was_made_up_is_refused(client, served, token):
    assert client.get(f"/u/{token}").status_code == 404
    assert client.post(f"/u/{token}").status_code == 404
    assert state_of(served[0]) == "granted"


def test_the_link_of_somebody_who_was_erased_is_answered(client, served):
    token = sign_unsubscribe(served[0].vault, "m_gone")
    assert client.post(f"/u/{token}").status_code == 200


def test_a_later_consent_can_be_refused_again(client, served, link):
    shop, _ = served
    client.post(link)
    again = {
        "consent_id": "later", "party_id": people.party_of(shop, people.ANA),
        "purpose": "marketing", "channel": "email", "granted": True, "source": "unsubscribe",
        "at": naive_utc(shop.clock.now()) + timedelta(days=8000),
    }  # fmt: skip
    with shop.store.begin() as connection:
        connection.execute(consents.insert().values(**again))
    assert state_of(shop) == "granted"

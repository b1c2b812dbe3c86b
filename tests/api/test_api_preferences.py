"""The preference centre: looking changes nothing, saving holds at once, nobody else gets in."""

import people
import pytest
import sqlalchemy as sa

from zhiyin.act.links import PREFERENCES, sign, sign_unsubscribe
from zhiyin.consents import Consents
from zhiyin.core.clock import FrozenClock
from zhiyin.core.ledger import consents, languages, suppressions
from zhiyin.preferences import Preferences

TABLES = (consents, suppressions, languages)


def link_of(served, subject="m_zq81734"):
    return f"/p/{sign(served[0].vault, PREFERENCES, subject)}"


@pytest.fixture(autouse=True)
def as_before(served, client):
    shop, _ = served
    with shop.store.begin() as connection:
        kept = [(one, [dict(row) for row in connection.execute(sa.select(one)).mappings()])
                for one in TABLES]  # fmt: skip
    yield
    client.app.app.state.rates._left.clear()
    with shop.store.begin() as connection:
        for table, rows in kept:
            connection.execute(table.delete())
            if rows:
                connection.execute(table.insert(), rows)


def choices(client):
    shop = client.app.app.state.workspace
    record = Consents(shop.store, shop.vault, shop.clock, shop.settings)
    return Preferences(record).choices(people.party_of(shop, people.ANA), spoken="en")


def lines(served):
    with served[0].store.begin() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(consents)).scalar_one()


def test_looking_changes_nothing_and_names_nobody(client, served):
    before, page = lines(served), client.get(link_of(served))
    assert page.status_code == 200
    assert 'name="email" checked' in page.text
    assert 'name="generic">' in page.text
    assert "<script" not in page.text
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    assert [one for one in (*people.OF_ANA, "p_") if one in page.text] == []
    assert lines(served) == before


def test_a_post_that_is_not_from_the_page_changes_nothing(client, served):
    before = lines(served)
    for body in ({}, {"List-Unsubscribe": "One-Click"}, {"action": "x"}):
        client.post(link_of(served), data=body)
    assert lines(served) == before


def test_each_switch_is_kept_and_can_be_turned_back(client, served):
    link = link_of(served)
    save = {"action": "save", "email": "on", "language": "zh"}
    page = client.post(link, data=save | {"generic": "on"})
    assert "已保存" in page.text
    assert (choices(client).generic, choices(client).language) == (True, "zh")
    assert choices(client).channels == {"email": True}
    client.post(link, data={"action": "save", "language": "en"})
    assert choices(client).channels == {"email": False}
    before = lines(served)
    client.post(link, data={"action": "save", "language": "en"})
    assert lines(served) == before


def test_everything_can_be_refused_at_once(client, served):
    client.post(link_of(served), data={"action": "nothing"})
    held = choices(client)
    assert (held.channels, held.generic) == ({"email": False}, True)


def test_who_agreed_to_lists_for_ads_can_take_it_back(client, served):
    shop, link = served[0], link_of(served)
    assert 'name="ads"' not in client.get(link).text  # nobody asked her
    record = Consents(shop.store, shop.vault, shop.clock, shop.settings)
    record.put(people.party_of(shop, people.ANA), granted=True, purpose="ads", channel="web",
               source="banner")  # fmt: skip
    assert 'name="ads" checked' in client.get(link).text
    client.post(link, data={"action": "save", "email": "on", "language": "en"})
    assert choices(client).ads is False
    client.post(link, data={"action": "save", "email": "on", "language": "en", "ads": "on"})
    assert choices(client).ads is True


def test_both_languages_are_there(client, served):
    assert "偏好设置" in client.get(link_of(served) + "?lang=zh").text
    assert "Your choices" in client.get(link_of(served) + "?lang=en").text


def test_another_link_does_not_open_it(client, served):
    for token in (sign_unsubscribe(served[0].vault, "m_zq81734"), "m_zq81734." + "0" * 32):
        assert client.get(f"/p/{token}").status_code == 404
        assert client.post(f"/p/{token}", data={"action": "nothing"}).status_code == 404
    assert choices(client).channels == {"email": True}


def test_the_link_of_somebody_who_was_erased_is_answered(client, served):
    link = link_of(served, "m_gone")
    for answer in (client.get(link), client.post(link, data={"action": "nothing"})):
        assert (answer.status_code, "We keep nothing" in answer.text) == (200, True)


def test_one_link_cannot_be_used_again_and_again(client, served, monkeypatch):
    monkeypatch.setattr(client.app.app.state.rates, "_clock", FrozenClock(people.NOW))
    link = link_of(served)
    codes = [client.post(link, data={"action": "x"}).status_code for _ in range(15)]
    assert codes[0] == 200
    assert codes[-1] == 429
    assert client.get(link).status_code == 200

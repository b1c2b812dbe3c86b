"""From the question in a message to the indicator: an answer counts once, machines do not."""

from datetime import timedelta

import people
import pytest
import sqlalchemy as sa

from zhiyin.act.letters import shared_values
from zhiyin.act.links import SURVEY, sign
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, naive_utc
from zhiyin.core.ledger import messages, reactions
from zhiyin.core.survey import ANSWERED
from zhiyin.indicators import compute_since
from zhiyin.reactions import copy_ledger
from zhiyin.store.ledger import reading

MESSAGE = "m_zq81734"
PERSON = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0"}


@pytest.fixture(autouse=True)
def nothing_before_or_after(served):
    shop = served[0]
    with shop.store.begin() as connection:
        connection.execute(
            messages.update()
            .where(messages.c.message_id == MESSAGE)
            .values(sent_at=naive_utc(people.NOW))
        )
    yield
    with shop.store.begin() as connection:
        connection.execute(reactions.delete())


def path_of(shop, survey):
    values = shared_values(settings=shop.settings, vault=shop.vault, message_id=MESSAGE, name="Ana")
    return values[f"{survey}_url"].removeprefix(shop.settings.act.public_url.rstrip("/"))


def kept(shop):
    with reading(shop.store.ledger) as connection:
        rows = connection.execute(sa.select(reactions).order_by(reactions.c.reaction_id)).all()
    return [(row.kind, row.detail, row.machine) for row in rows]


def test_the_page_asks_and_changes_nothing(client, served):
    shop = served[0]
    page = client.get(path_of(shop, "nps") + "?score=9", headers=PERSON)
    assert page.status_code == 200
    assert page.text.count('type="radio"') == 11
    assert 'value="9" required checked' in page.text
    assert "<script" not in page.text
    assert [one for one in people.OF_ANA if one in page.text] == []
    assert client.get(path_of(shop, "csat"), headers=PERSON).text.count('type="radio"') == 5
    assert kept(shop) == []


def test_an_answer_counts_once_and_reaches_the_indicators(client, served):
    shop = served[0]
    for survey, score in (("nps", 9), ("nps", 2), ("csat", 3)):
        answer = client.post(path_of(shop, survey), data={"score": score}, headers=PERSON)
        assert answer.status_code == 200
    assert kept(shop) == [("survey", "nps:9", None), ("survey", "csat:3", None)]
    with reading(shop.store.ledger) as connection:
        at = connection.execute(sa.select(sa.func.max(reactions.c.at))).scalar_one()
    clock = FrozenClock(at.replace(tzinfo=people.NOW.tzinfo) + timedelta(seconds=90))
    copy_ledger(shop.store, clock)
    events = shop.table("events").filter(lambda row: row[c.NAME] == ANSWERED)
    rows = events.to_pyarrow().to_pylist()
    assert {row[c.PARTY_ID] for row in rows} == {people.party_of(shop, people.ANA)}
    assert len(rows) == 2
    with shop.store.begin() as connection:  # a copier that died writes nothing again
        connection.execute(reactions.update().values(copied=False))
    copy_ledger(shop.store, clock)
    assert events.count().to_pyarrow().as_py() == 2
    since, until = (at.date() + timedelta(days=days) for days in (-2, 2))
    found = compute_since(shop, "campaign", since, until)
    with reading(shop.store.ledger) as connection:
        query = sa.select(messages.c.campaign_id).where(messages.c.message_id == MESSAGE)
        campaign = connection.execute(query).scalar_one()
    mine = found["groups"][campaign]
    assert (mine["nps"]["value"], mine["nps"]["n"]) == (1, 1)
    assert (mine["csat"]["value"], mine["csat"]["status"]) == (0, "too_few_units")


def test_a_machine_answers_nothing_and_leaves_the_question_open(client, served):
    shop = served[0]
    path = path_of(shop, "csat")
    client.post(path, data={"score": 1}, headers={"User-Agent": "curl/8"})
    client.post(path, data={"score": 5}, headers=PERSON)
    assert kept(shop) == [("survey", "csat:1", "scanner"), ("survey", "csat:5", None)]


@pytest.mark.parametrize("score", ["0", "6", "five", "", "4.5", "１"])
def test_what_is_not_on_the_scale_is_refused(client, served, score):
    answer = client.post(path_of(served[0], "csat"), data={"score": score}, headers=PERSON)
    assert answer.status_code == 422
    assert kept(served[0]) == []


@pytest.mark.parametrize("subject", [f"{MESSAGE}.likes", MESSAGE, ".nps"])
def test_a_link_that_was_made_up_is_refused(client, served, subject):
    shop = served[0]
    for token in (f"{subject}.{'0' * 32}", sign(shop.vault, SURVEY, subject)):
        assert client.get(f"/q/{token}").status_code == 404
        assert client.post(f"/q/{token}", data={"score": 5}).status_code == 404


def test_who_was_erased_is_thanked_and_nothing_is_kept(client, served):
    token = sign(served[0].vault, SURVEY, "m_gone.nps")
    assert client.post(f"/q/{token}", data={"score": 5}, headers=PERSON).status_code == 200
    assert kept(served[0]) == []


def test_indicators_are_read_by_who_may_read_reports(as_role):
    answer = as_role("viewer", "GET", "/v1/admin/indicators?by=campaign")
    assert (answer.status_code, answer.json()["by"]) == (200, "campaign")
    told = as_role("viewer", "GET", "/v1/admin/indicators/definitions").json()["indicators"]
    assert {one["key"] for one in told} >= {"ctr", "nps", "roas"}
    assert as_role("viewer", "GET", "/v1/admin/indicators?by=moon").status_code == 422
    assert as_role("collector", "GET", "/v1/admin/indicators").status_code == 403

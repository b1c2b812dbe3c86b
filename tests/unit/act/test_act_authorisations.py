"""One authorisation is one message: spent when it is taken to be sent, else given back."""

from datetime import UTC, timedelta

import pytest
import sqlalchemy as sa

from tests.unit.act.shop import CAMPAIGN, LOADING, LONG_AGO, REVISION
from zhiyin.act import job
from zhiyin.core import columns as c
from zhiyin.core.errors import ChannelUnavailable, DeliveryError
from zhiyin.core.ledger import authorisations, consents
from zhiyin.govern.authorisations import Grant, add_grant, read_stock
from zhiyin.govern.suppression import address_token, identify
from zhiyin.testing.channel import RecordingChannel
from zhiyin.testing.contract_store import put

SPACE, TEMPLATE = "openid:wx1", "TPL"
KEYS = ("ana", "bea", "cem")


class Crash(BaseException):
    """The machine stops."""


def add(shop, key, *, app="wx1"):
    party, openid = shop.party(key), f"o{key}"
    (blob,) = shop.vault.seal([party], [{"openid": openid}])
    put(shop.store, "customers", {
        c.PARTY_ID: party, c.LANGUAGE: "zh", c.UNDATED: False, c.PERSONAL: blob, **REVISION,
    }, app=f"customer {key}")  # fmt: skip
    space = f"openid:{app}"
    put(shop.store, "identities", {
        c.IDENTITY_ID: identify(shop.vault, space, openid), c.NAMESPACE: space,
        c.PARTY_ID: party, c.VALID_AT: LONG_AGO, **LOADING,
    }, app=f"identity {key}")  # fmt: skip
    with shop.store.begin() as connection:
        connection.execute(consents.insert().values(
            consent_id=f"chat {key}", party_id=party, purpose="marketing",
            channel="wechat_subscribe", granted=True, at=LONG_AGO, source="s",
        ))  # fmt: skip


def token(shop, key):
    return address_token(shop.vault, "wechat_subscribe", f"o{key}", space=SPACE)


def grant(shop, key, times=1, template=TEMPLATE):
    made = Grant(
        shop.party(key), token(shop, key), template, "order page", LONG_AGO.replace(tzinfo=UTC),
        times,
    )  # fmt: skip
    with shop.store.begin() as connection:
        assert add_grant(connection, made)


def left(shop, key, template=TEMPLATE):
    with shop.store.begin() as connection:
        one = token(shop, key)
        return read_stock(connection, [one], template=template).get(one, 0)


@pytest.fixture
def chatting(shop):
    for key in KEYS:
        add(shop, key)
    grant(shop, "ana", times=2)
    grant(shop, "bea")
    grant(shop, "cem", template="ANOTHER")
    shop.decide(*KEYS)
    made = shop.with_settings(
        channel="wechat_subscribe", wechat_app_id="wx1", wechat_template=TEMPLATE
    )
    job.run(made.context(), made.settings.act)
    return made


def deliver(shop, channel, later=timedelta(0)):
    ctx = shop.context(channel)
    ctx.clock.at += later
    return job.deliver(ctx, CAMPAIGN, progress=lambda *_: None)


def test_a_message_spends_one_and_without_one_nothing_goes(chatting):
    channel = RecordingChannel(supports=())
    assert deliver(chatting, channel)["sent"] == 2
    assert sorted(one.recipient for sent in channel.delivered.values() for one in sent) == [
        "oana", "obea",
    ]  # fmt: skip
    assert (left(chatting, "ana"), left(chatting, "bea")) == (1, 0)
    assert chatting.state("cem") == ("skipped", "no_authorisation")
    assert left(chatting, "cem", "ANOTHER") == 1


def test_an_openid_of_another_app_is_no_address(shop):
    add(shop, "dai", app="wx2")
    shop.decide("dai")
    made = shop.with_settings(
        channel="wechat_subscribe", wechat_app_id="wx1", wechat_template=TEMPLATE
    )
    job.run(made.context(), made.settings.act)
    assert made.state("dai") == ("skipped", "no_address")


def test_what_was_spent_in_the_meantime_is_not_spent_twice(chatting):
    with chatting.store.begin() as connection:  # a message of another campaign was quicker
        mine = authorisations.c.address_token == token(chatting, "bea")
        connection.execute(authorisations.update().where(mine).values(message_id="m_other"))
    deliver(chatting, RecordingChannel(supports=()))
    assert chatting.state("bea") == ("skipped", "no_authorisation")


@pytest.mark.parametrize(("error", "state", "stock"), [
    (DeliveryError("busy", retryable=True), ("planned", None), 2),
    (ChannelUnavailable("no token"), ("planned", None), 2),
    (DeliveryError("a value is too long"), ("failed", "refused"), 2),
    (DeliveryError("no answer", in_doubt=True), ("unknown", "no_answer"), 1),
    (DeliveryError("she refused", no_authorisation=True), ("failed", "no_authorisation"), 0),
])  # fmt: skip
def test_what_the_platform_did_not_take_is_given_back_and_a_refusal_empties_the_stock(
    chatting, error, state, stock
):
    with chatting.store.begin() as connection:  # ana's alone
        connection.execute(
            authorisations.delete().where(authorisations.c.address_token == token(chatting, "bea"))
        )
    deliver(chatting, RecordingChannel(supports=(), errors={0: error}))
    assert chatting.state("ana") == state
    assert left(chatting, "ana") == stock


def test_after_a_refusal_the_stock_is_void_with_its_reason(chatting):
    refused = DeliveryError("she refused", no_authorisation=True)
    deliver(chatting, RecordingChannel(supports=(), errors={0: refused, 1: refused}))
    with chatting.store.begin() as connection:
        query = sa.select(authorisations.c.void, sa.func.count()).group_by(authorisations.c.void)
        assert {tuple(row) for row in connection.execute(query)} == {("refused", 3), (None, 1)}


def test_a_crash_while_sending_leaves_it_spent_for_she_may_have_got_it(chatting):
    channel = RecordingChannel(supports=(), errors={0: Crash()})
    with pytest.raises(Crash):
        deliver(chatting, channel)
    in_doubt = [key for key in ("ana", "bea") if chatting.state(key)[0] == "sending"]
    assert len(in_doubt) == 1
    stock = {"ana": 2, "bea": 1}
    (other,) = {"ana", "bea"} - set(in_doubt)
    assert left(chatting, in_doubt[0]) == stock[in_doubt[0]] - 1
    assert left(chatting, other) == stock[other]  # it was not begun


def test_a_grant_that_is_told_twice_counts_once(shop):
    made = Grant("p_a", "t", TEMPLATE, "page", LONG_AGO.replace(tzinfo=UTC), 3, "tap 1")
    with shop.store.begin() as connection:
        assert [add_grant(connection, made), add_grant(connection, made)] == [True, False]
        assert read_stock(connection, ["t"], template=TEMPLATE) == {"t": 3}
        assert read_stock(connection, ["t"], template="ANOTHER") == {}

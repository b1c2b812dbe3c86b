"""Looking at a campaign: what is shown is what is sent; when it is due; the global holdout."""

import json
from datetime import datetime, timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from tests.unit.act.shop import ZONE, Shop, opened
from tests.unit.act.test_act_authorisations import add as add_user
from tests.unit.act.test_act_authorisations import grant, left
from tests.unit.test_campaign_media import EVERYBODY, by_text, in_programme, texts
from tests.unit.test_campaigns import KEY, A, B, Desk, campaign
from tests.unit.test_journeys import shop as workspace
from zhiyin.act.campaigns.ledger import find_campaign
from zhiyin.act.campaigns.preview_job import preview_customer
from zhiyin.act.campaigns.trial_job import send_trials
from zhiyin.cli import app
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.ledger import audit
from zhiyin.govern.gate import RULES
from zhiyin.store.vault import Keys, LocalVault
from zhiyin.testing.channel import RecordingChannel
from zhiyin.testing.store import MemoryStore

__all__ = ["workspace"]


@pytest.fixture
def shop():
    store = MemoryStore(zone=ZONE)
    yield Shop(store, LocalVault(Keys.make(), store.ledger))
    store.close()


def of(desk, party, **said):
    """What a customer gets of the campaign that is kept."""
    ctx = desk.campaigns.ctx
    with ctx.store.begin() as connection:
        held = find_campaign(connection, KEY)
    return preview_customer(ctx, held.definition, party, version=held.version, **said)


def test_a_customers_preview_is_the_mail_that_she_gets(shop):
    shop.add("ana", first_name="Ana")
    desk = Desk(shop)
    linked = {**A, "en": A["en"] | {"link": "https://shop.example/spring"}}
    desk.started(variants=[linked, B])
    ana = shop.party("ana")
    shown = of(desk, ana)
    (row,) = desk.rows()
    assert (shown.variant, shown.language, shown.state) == (row.variant, "en", "planned")
    desk.deliver()
    mail = opened(desk.channel.delivered[row.message_id][0].content)
    plain = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert mail["Subject"] == shown.subject
    assert plain.split("Unsubscribe")[0] == shown.text.split("Unsubscribe")[0]
    assert ("utm_campaign=zhiyin" in shown.text) == (row.variant == "a")  # tagged as it leaves
    assert of(desk, ana).state == "sent"


def test_a_draft_shows_each_variant_in_each_language_and_why_a_customer_gets_none(shop):
    shop.add("ana", consent=False)
    desk = Desk(shop)
    both = {"name": "a", "en": A["en"], "zh": {"subject": "你好", "text": "春天"}}
    desk.create(variants=[both, {**both, "name": "b"}])
    found = desk.campaigns.preview(KEY)
    assert [(one.variant, one.language) for one in found] == [
        ("a", "en"), ("a", "zh"), ("b", "en"), ("b", "zh"),
    ]  # fmt: skip
    assert "Dear ," in found[0].text
    hers = of(desk, shop.party("ana"), language="zh")
    assert (hers.reason, hers.state, hers.language) == ("consent_refused", "", "zh")
    assert desk.rows() == []  # looking plans nothing
    with pytest.raises(InvalidParameter, match="not written in 'fr'"):
        desk.campaigns.preview(KEY, language="fr")
    with pytest.raises(NotFound):
        desk.campaigns.preview("nothing")
    listed = campaign(channel="file", variants=[{"name": "all"}], rule=EVERYBODY)
    with pytest.raises(InvalidParameter, match="no texts"):
        desk.campaigns.preview(listed)


def test_a_text_message_is_previewed_with_its_segments(shop):
    desk = by_text(shop, "ana")
    shown = preview_customer(desk.campaigns.ctx, campaign(**texts(desk)), shop.party("ana"))
    assert (shown.medium, shown.segments, shown.html) == ("sms", 1, "")
    assert shown.text == "Tea: Spring is here, Ana Reply STOP to opt out"


def test_what_waits_says_when_it_is_due(shop):
    shop.add("ny")
    shop.add("tokyo", zone="Asia/Tokyo")
    shop.add("paris", zone="Europe/Paris")
    desk = Desk(shop)
    desk.started(schedule={"local_hour": 10})
    assert desk.campaigns.shown(KEY)["waiting"] == {
        "messages": 3, "first": "2024-03-12T14:00+00:00", "last": "2024-03-13T09:00+00:00",
    }  # fmt: skip
    assert of(desk, shop.party("paris")).due_at == "2024-03-13T09:00+00:00"
    desk.clock.at = datetime.fromisoformat("2024-03-13T09:00+00:00")
    desk.deliver()
    assert desk.campaigns.shown(KEY)["waiting"] == {  # it is night in New York: in the morning
        "messages": 1, "first": "2024-03-13T12:00+00:00", "last": "2024-03-13T12:00+00:00",
    }  # fmt: skip


def test_the_global_holdout_is_an_arm_beside_the_campaigns_own(shop):
    people = [f"c{n}" for n in range(60)]
    shop.add(*people)
    shop.add("mute", consent=False)
    desk = Desk(shop, global_holdout_share=0.3)
    desk.started(holdout_share=0.2)
    why = {row.party_id: row.reason for row in desk.rows()}
    held = [one for one, reason in why.items() if reason == "global_holdout"]
    assert 5 < len(held) < 35
    _buy(shop, desk, held[0], next(one for one, reason in why.items() if reason is None))
    rows = {row["variant"]: row for row in desk.campaigns.shown(KEY)["effect"]}
    assert (rows["all"]["against"], rows["all"]["held_out"]) == (
        "holdout", list(why.values()).count("held_out"),
    )  # fmt: skip
    of_all = rows["marketing"]
    assert (of_all["against"], of_all["held_out"], of_all["people"]) == (
        "global_holdout", len(held), len(people) - len(held),
    )  # fmt: skip
    assert (of_all["held_out_buyers"], of_all["buyers"]) == (1, 1)
    assert list(RULES).index("sensitive") < list(RULES).index("global_holdout")


def _buy(shop, desk, *parties):
    at = naive_utc(desk.clock.now())
    desk.clock.at = desk.clock.at.replace(hour=22)
    row = {c.KIND: "item", c.QUANTITY: 1.0, c.SOLD_AT: at, c.MONTH: f"{at:%Y-%m}", c.REVISION: 1,
           c.VALID_AT: at, c.RECORDED_AT: at, c.OP: "upsert", c.SUSPECT: False, c.CURRENCY: "USD",
           c.SOURCE: "s", c.LOAD_ID: "l", c.LOADED_AT: at, c.AMOUNT_MINOR: 1,
           c.AMOUNT_BASE_MINOR: 1, c.PRODUCT_ID: "s:1"}  # fmt: skip
    shop.store.append("order_lines", pa.Table.from_pylist([
        row | {c.LINE_ID: f"s:{one}:1", c.ORDER_ID: f"s:{one}", c.PARTY_ID: one}
        for one in parties
    ]), app="orders")  # fmt: skip


def test_the_command_shows_a_file_that_is_not_kept(workspace, tmp_path):
    path = tmp_path / "spring.json"
    values = {"key": "spring", "rule": EVERYBODY, "variants": [
        {"name": "a", "zh": {"subject": "春天", "text": "春天来了。"}}]}  # fmt: skip
    path.write_text(json.dumps(values))
    page = tmp_path / "spring.html"
    where = ["-w", str(workspace.folder)]
    said = CliRunner().invoke(
        app, ["campaign", "preview", str(path), *where, "--html", str(page), "--as-of", "x"]
    )
    assert said.exit_code == 2  # there is no such option: a preview is of now
    said = CliRunner().invoke(app, ["campaign", "preview", str(path), *where, "--html", str(page)])
    assert said.exit_code == 0, said.output
    assert "── a · zh · email" in said.output
    assert "春天来了。" in said.output
    assert "春天来了。" in page.read_text(encoding="utf-8")


def test_a_test_goes_to_staff_alone_and_counts_for_nothing(shop):
    shop.add("ana")
    desk = Desk(shop, testers=("Boss@shop.example",))
    desk.shop.settings = desk.shop.settings.model_copy(update={"demo": False})
    act = {
        "sender_address": "hi@s.example",
        "postal_address": "x",
        "public_url": "https://s.example",
    }
    desk.shop = desk.shop.with_settings(**act)
    desk.create(variants=[A, B])
    ctx = desk.shop.context(desk.channel, clock=desk.clock)
    with ctx.store.begin() as connection:
        held = find_campaign(connection, KEY)
    with pytest.raises(InvalidParameter, match="addresses of staff"):
        send_trials(ctx, held, "ana@shop.example", by="Ana")
    found = send_trials(ctx, held, "boss@shop.example", by="Ana")
    assert [(one.variant, one.language, one.state) for one in found] == [
        ("a", "en", "sent"), ("b", "en", "sent"),
    ]  # fmt: skip
    mails = [opened(one.content) for sent in desk.channel.delivered.values() for one in sent]
    assert sorted(one["Subject"] for one in mails) == ["[Test] Hello", "[Test] Spring"]
    assert {one["To"] for one in mails} == {"boss@shop.example"}
    assert desk.rows() == []
    assert [one.variant for one in send_trials(ctx, held, "boss@shop.example", by="Ana",
                                               variant="b")] == ["b"]  # fmt: skip
    shop.suppress("boss@shop.example")
    with pytest.raises(InvalidParameter, match="suppression list"):
        send_trials(ctx, held, "boss@shop.example", by="Ana")
    with ctx.store.begin() as connection:
        rows = connection.execute(sa.select(audit).where(audit.c.action == "campaign.tested")).all()
    assert [row.detail["messages"] for row in rows] == [2, 1]
    assert "boss" not in str([row.detail for row in rows])


def test_a_test_of_a_mini_programme_spends_the_testers_authorisation(shop):
    add_user(shop, "boss")
    grant(shop, "boss")
    desk = Desk(shop, channels=("wechat_subscribe",), wechat_app_id="wx1", wechat_template="TPL",
                testers=("oboss",))  # fmt: skip
    desk.create(**in_programme())
    refusing = RecordingChannel(refused=["oboss"], supports=())
    for channel, states, rest in (
        (refusing, ["failed"], 1), (RecordingChannel(supports=()), ["sent"], 0),
        (RecordingChannel(supports=()), ["failed"], 0),
    ):  # fmt: skip
        ctx = desk.shop.context(channel, clock=desk.clock)
        with ctx.store.begin() as connection:
            held = find_campaign(connection, KEY)
        found = send_trials(ctx, held, "oboss", by="Ana")
        assert [one.state for one in found] == states
        assert left(shop, "boss") == rest
        desk.clock.at += timedelta(minutes=1)

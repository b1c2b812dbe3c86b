"""Looking at messages before they are sent; links that only we can make."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.act.shop import CAMPAIGN, DAY, opened
from zhiyin.act import job, ledger
from zhiyin.act.create.content import clean
from zhiyin.act.letters import require_sender
from zhiyin.act.links import PREFERENCES, read_unsubscribe, sign, sign_unsubscribe
from zhiyin.act.preview import example_emails, planned_page
from zhiyin.store.vault import Keys, LocalVault
from zhiyin.testing.channel import RecordingChannel


def quiet(what, share):
    """A progress that shows nothing."""


def planned(shop, **languages):
    for key, language in languages.items():
        shop.add(key, language=language, name="Ana Secret")
    shop.decide(*languages)
    job.run(shop.context(), shop.settings.act)


def test_the_preview_is_what_is_sent_without_name_address_and_signature(shop):
    planned(shop, ana="en")
    [example] = example_emails(shop.context(), 4)
    channel = RecordingChannel()
    job.deliver(shop.context(channel), CAMPAIGN, progress=quiet, as_of=DAY)
    [[sent]] = channel.delivered.values()
    message = opened(sent.content)
    text = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
    signed = sign_unsubscribe(shop.vault, example["message_id"])
    assert signed in text
    choices = sign(shop.vault, PREFERENCES, example["message_id"])
    assert choices in text
    unsigned = text.replace("Hello Ana Secret,", "Hello,")
    for one in (signed, choices):
        unsigned = unsigned.replace(one, example["message_id"])
    assert unsigned == example["text"]
    assert message["Subject"] == example["subject"]
    assert "Secret" not in example["html"] + example["text"]
    assert "@" not in example["text"].replace("Bcc: all@shop.example", "")


def test_examples_take_the_languages_in_turn(shop):
    planned(shop, a="en", b="en", d="en", e="zh")
    assert [one["language"] for one in example_emails(shop.context(), 3)] == ["en", "zh", "en"]
    assert {one["customer_id"] for one in example_emails(shop.context(), 9)} == {
        shop.party(key) for key in "abde"
    }


def test_the_page_lists_every_message_and_no_address(shop):
    shop.add("no", consent=False)
    shop.add("ana")
    shop.decide("ana", "no")
    ctx = shop.context()
    job.run(ctx, shop.settings.act)
    page = planned_page(ctx)
    assert shop.party("ana") in page
    assert "refused to be contacted so" in page
    assert "ana@shop.example" not in page
    assert "<script" not in page
    assert "Shop &amp; Söhne" in page
    chinese = shop.settings.model_copy(update={"languages": ("zh", "en")})
    shop.settings = chinese
    assert "计划发送的消息" in planned_page(shop.context())


def test_a_page_without_messages_says_so(shop):
    assert "No messages are planned." in planned_page(shop.context())


def test_only_our_own_links_are_read(shop):
    token = sign_unsubscribe(shop.vault, "m_1")
    assert read_unsubscribe(shop.vault, token) == "m_1"
    for forged in ("", "m_1", "m_1.", ".", token[:-1], token + "0", token.replace("m_1", "m_2"),
                   "m_1.签名"):  # fmt: skip
        assert read_unsubscribe(shop.vault, forged) is None
    assert read_unsubscribe(LocalVault(Keys.make(), shop.store.ledger), token) is None


def test_a_demonstration_needs_no_sender(shop):
    require_sender(shop.settings)


def test_ids_are_inserted_once(shop):
    planned(shop, ana="en")
    ctx = shop.context()
    [row] = ledger.load_examples(ctx, [one.message_id for one in ledger.load_states(ctx, CAMPAIGN)])
    again = dict(row._mapping) | {"state": "sent", "language": "zh"}
    with shop.store.begin() as connection:
        assert ledger.insert_messages(connection, [again, again]) == 0
        assert ledger.read_states(connection, CAMPAIGN)[0].state == "planned"


def test_a_claim_takes_each_planned_message_once(shop):
    planned(shop, a="en", b="en")
    ids = [one.message_id for one in ledger.load_states(shop.context(), CAMPAIGN)]
    with shop.store.begin() as connection:
        assert ledger.claim_messages(connection, ids[:1]) == {ids[0]}
        assert ledger.claim_messages(connection, [*ids, "m_unknown"]) == {ids[1]}
        assert ledger.claim_messages(connection, ids) == frozenset()


@settings(deadline=None)
@given(st.text(max_size=400))
def test_clean_is_idempotent_and_one_line(text):
    once = clean(text)
    assert clean(once) == once
    assert len(once.splitlines()) <= 1
    assert len(once) <= 160

"""What an e-mail says and looks like, and what nothing in its values can change."""

from datetime import UTC, date, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.act.shop import opened
from zhiyin.act.create.content import (
    clean,
    describe_offer,
    describe_products,
    make_content,
    words_of,
)
from zhiyin.act.create.email import LANGUAGES, Rendered, compile_template, fill, render
from zhiyin.act.create.message import Envelope, ascii_address, compose
from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter, NotFound

EVIL = '{{ shop }}{% assign x = 1 %}"><script>alert(1)</script>\r\nBcc: all@shop.example'
VALUES = {
    "shop": "Shop", "name": "", "offer": "A coupon", "last_day": "April 1, 2024",
    "postal_address": "1 Street", "unsubscribe_url": "https://shop.example/u/m.s",
    "preferences_url": "https://shop.example/p/m.t", "personal": True,
    "products": [{"name": "Tea", "detail": "Brand · Drinks", "url": "https://shop.example/t?a=1&b"}],
}  # fmt: skip
MJML = "<mjml><mj-head><mj-title>{0}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>{0}</mj-text></mj-column></mj-section></mj-body></mjml>"  # noqa: E501


class Tags(HTMLParser):
    """What a mail program sees: tags with their attributes, and text; white space folded."""

    def __init__(self, html):
        super().__init__()
        self.seen = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, [(name, " ".join((value or "").split())) for name, value in attrs]))

    def handle_data(self, data):
        if data.strip():
            self.seen.append(" ".join(data.split()))


def envelope(**changes):
    values = {
        "message_id": "m_1", "sender_name": "Shop", "sender_address": "hello@shop.example",
        "recipient": "ana@shop.example", "at": datetime(2024, 3, 12, 13, tzinfo=UTC),
        "unsubscribe_url": "https://shop.example/u/m_1.abc",
    }  # fmt: skip
    return Envelope(**values | changes)


def part(message, kind):
    return message.get_body((kind,)).get_content()


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_offer_shows_all_it_should(language):
    rendered = render("offer", VALUES | {"name": "Ana"}, language)
    for text in (rendered.html, rendered.text):
        for shown in ("Shop", "A coupon", "April 1, 2024", "Tea", "Brand · Drinks", "1 Street",
                      "Ana", "https://shop.example/u/m.s"):  # fmt: skip
            assert shown in text
    assert "A coupon" in rendered.subject
    assert "<img" not in rendered.html  # nothing is fetched when it is opened
    assert "url(" not in rendered.html
    assert f'lang="{language}"' in rendered.html


def test_chinese_and_english_differ():
    zh, en = (render("offer", VALUES, language) for language in ("zh", "en"))
    assert "退订" in zh.html
    assert "退订" in zh.text
    assert "有效期至" in zh.subject
    assert "Unsubscribe" in en.html
    assert "Unsubscribe" not in zh.html


def test_parts_without_value_leave_no_trace():
    bare = VALUES | {"products": [], "last_day": "", "postal_address": ""}
    rendered = render("offer", bare, "en")
    assert "Products for you" not in rendered.html + rendered.text
    assert "until" not in rendered.html + rendered.text + rendered.subject


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("place", ["shop", "name", "offer", "postal_address", "product"])
def test_a_hostile_value_is_shown_and_nothing_more(place, language):
    evil = clean(EVIL)
    product = {"name": evil, "detail": evil, "url": ""}
    change = {"products": [product]} if place == "product" else {place: evil}
    rendered = render("offer", VALUES | change, language)
    assert "<script" not in rendered.html
    assert "\n" not in rendered.subject
    assert "\nBcc" not in rendered.text
    assert "{{ shop }}" in rendered.text
    message = opened(compose(envelope(), rendered, language=language))
    assert message["Bcc"] is None
    assert message.defects == []


def test_a_template_that_asks_for_too_much_is_refused():
    endless = "{% for i in (1..100000) %}{% for j in (1..100000) %}x{% endfor %}{% endfor %}"
    for text in (endless, "{{ nothing_of_the_kind }}", "{% include 'secret' %}"):
        with pytest.raises(InvalidParameter):
            fill(compile_template(MJML.format("Hi"), text), VALUES)


@pytest.mark.parametrize("text", ["{% for x in y %}", "{{ x | safe }}", "{% nothing %}"])
def test_a_malformed_template_is_refused(text):
    with pytest.raises(InvalidParameter):
        fill(compile_template(MJML.format(text), text), {"x": "<b>"})


def test_malformed_mjml_is_refused():
    for mjml in ("<mjml><mj-body>", "no markup", MJML.format("")):
        with pytest.raises(InvalidParameter):
            compile_template(mjml, "x")


def test_an_unknown_template_is_not_found():
    with pytest.raises(NotFound):
        render("offer", VALUES, "fr")


def test_headers_are_those_that_mailbox_providers_ask_for():
    rendered = Rendered("您的专属优惠券，有效期至2024年4月15日，请尽快使用", "<p>x</p>", "x\n")
    content = compose(envelope(sender_name='知音 "Tea"'), rendered, language="zh")
    message = opened(content)
    assert message["From"].addresses[0].display_name == '知音 "Tea"'
    assert message["From"].addresses[0].addr_spec == "hello@shop.example"
    assert message["Subject"] == rendered.subject
    assert message["Message-ID"] == "<m_1@shop.example>"
    assert message["Date"].datetime == datetime(2024, 3, 12, 13, tzinfo=UTC)
    assert message["X-Zhiyin-Message-Id"] == "m_1"
    assert message["List-Unsubscribe"] == (
        "<https://shop.example/u/m_1.abc>, "
        "<mailto:hello@shop.example?subject=unsubscribe%20m_1.abc>"
    )
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message.get_content_type() == "multipart/alternative"
    assert [one.get_content_type() for one in message.iter_parts()] == ["text/plain", "text/html"]
    assert b"List-Unsubscribe: <https://shop.example/u/m_1.abc>" in content  # not encoded words


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_parts_arrive_as_they_were_rendered(language):
    rendered = render("offer", VALUES | {"offer": "知音 " * 20, "name": "José"}, language)
    content = compose(envelope(), rendered, language=language)
    message = opened(content)
    assert part(message, "plain").replace("\r\n", "\n") == rendered.text
    assert Tags(part(message, "html")).seen == Tags(rendered.html).seen
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert b"\n" not in content.replace(b"\r\n", b"")


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=3000), st.text(max_size=120))
def test_any_text_survives_the_way_and_adds_no_header(body, subject):
    shown = clean(subject)
    rendered = Rendered(shown, f"<p>{clean(body)}</p>", body)
    message = opened(compose(envelope(sender_name=subject), rendered, language="en"))
    assert sorted(set(message.keys())) == sorted(
        ["From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe",
         "List-Unsubscribe-Post", "X-Zhiyin-Message-Id", "Content-Language", "MIME-Version",
         "Content-Type"]
    )  # fmt: skip
    lines = body.replace("\r\n", "\n").replace("\r", "\n")
    got = message.get_body(("plain",)).get_payload(decode=True).decode()
    assert got.replace("\r\n", "\n").rstrip("\n") == lines.rstrip("\n")


@pytest.mark.parametrize(
    "address",
    ["", "ana", "ana@", "@shop.example", "ana@shop", "a b@shop.example", "ana@shop.example\r\nX: y",
     "ana@shop.example,bob@shop.example", "<ana@shop.example>", "ana@shop..example",
     ".ana@shop.example", "安@shop.example", "a" * 65 + "@shop.example"],
)  # fmt: skip
def test_a_malformed_address_is_refused_unquoted(address):
    with pytest.raises(InvalidParameter) as caught:
        compose(envelope(recipient=address), Rendered("x", "x", "x"), language="en")
    assert not address or address not in str(caught.value)


def test_a_domain_in_other_letters_is_written_in_ascii():
    assert ascii_address("ana@bücher.example") == "ana@xn--bcher-kva.example"


@pytest.mark.parametrize("change", [{"message_id": "m\r\nX: y"}, {"unsubscribe_url": "x>\r\nX: y"}])
def test_a_forged_id_or_link_is_refused(change):
    with pytest.raises(InvalidParameter):
        compose(envelope(**change), Rendered("x", "x", "x"), language="en")


def test_clean_keeps_one_readable_line():
    assert clean("a\r\n b\x00\u202ec\tď ") == "a bc ď"
    assert clean(None) == ""
    assert clean("x" * 200) == "x" * 159 + "…"
    assert clean("👨‍👩‍👧") == "👨‍👩‍👧"


def test_products_that_read_the_same_are_shown_once_and_four_at_most():
    def row(name, category=None, url=None):
        return {c.NAME: name, c.BRAND: "Own", c.CATEGORY: category, c.URL: url}

    known = {str(n): row(f"Tea {n}") for n in range(6)} | {
        "same": row("Tea 1"), "nameless": row(None), "link": row("MILK", "DAIRY", "javascript:x"),
    }  # fmt: skip
    shown = describe_products(["link", "gone", "nameless", "1", "same", "2", "3", "4"], known)
    assert [one["name"] for one in shown] == ["Milk", "Tea 1", "Tea 2", "Tea 3"]
    assert shown[0] == {"name": "Milk", "detail": "Own · Dairy", "url": ""}


@pytest.mark.parametrize(
    ("offer", "en", "zh"),
    [
        ({"kind": "coupon"}, "Your personal coupon", "您的专属优惠券"),
        ({"kind": "strange"}, "An offer for you", "为您准备的优惠"),
        ({"name": "Tea week", "kind": "coupon"}, "Tea week", "Tea week"),
        ({"kind": "coupon", "value": 250, "currency": "USD"}, "$2.50 off", "立减 US$2.50"),
        ({"kind": "coupon", "value": 500, "currency": "JPY"}, "¥500 off", "立减 JP¥500"),
        ({}, "An offer for you", "为您准备的优惠"),
    ],
)
def test_an_offer_in_words(offer, en, zh):
    content = make_content(offer=offer, products=[], last_on=date(2024, 4, 15))
    assert words_of(content, "en")["offer"] == en
    assert words_of(content, "zh")["offer"] == zh
    assert words_of(content, "en")["last_day"] == "April 15, 2024"
    assert words_of(content, "zh")["last_day"] == "2024年4月15日"


def test_an_offer_is_described_from_its_row():
    row = {c.NAME: None, c.KIND: "Coupon", c.VALUE_MINOR: 100, c.CURRENCY: "EUR"}
    expected = {"name": "", "kind": "coupon", "value": 100, "currency": "EUR"}
    assert describe_offer(row) == expected
    assert describe_offer(None) == {}

"""Tracked links lead where the letter's links led and nowhere else; machines are told apart."""

from email import message_from_bytes, policy
from html import unescape

import pytest

from tests.unit.act.shop import CAMPAIGN, REVISION
from zhiyin.act import job
from zhiyin.act.channels.outgoing import is_public
from zhiyin.act.create.email import Rendered
from zhiyin.act.link_check import check_links, planned_links
from zhiyin.act.machines import is_burst, judge_click, judge_open
from zhiyin.act.tracked import add_tags, is_whole, read_click, read_open, track
from zhiyin.core import columns as c
from zhiyin.core.config import ActSettings
from zhiyin.testing.channel import RecordingChannel
from zhiyin.testing.contract_store import put

SHOP = "https://news.shop.example"
SETTINGS = ActSettings(public_url=SHOP, track_opens=True)
TAGS = "utm_source=zhiyin&utm_medium=email&utm_campaign=s%3Aspring"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def letter(*urls, text=""):
    links = "".join(f'<a class="x" href="{url}">go</a>' for url in urls)
    return Rendered("News", f"<html><body>{links}</body></html>", text)


def tracked(shop, rendered, **settings):
    return track(
        rendered, settings=SETTINGS.model_copy(update=settings), vault=shop.vault,
        message_id="m_1", campaign_id=CAMPAIGN,
    )  # fmt: skip


def addresses(html):
    return [unescape(part.partition('"')[0]) for part in html.split('href="')[1:]]


def test_a_link_becomes_a_signed_redirect_to_where_it_led_with_tags(shop):
    made = tracked(
        shop, letter("https://shop.example/p/1?a=1&amp;b=2#top", "https://shop.example/豆腐")
    )
    first, second = (
        read_click(shop.vault, url.removeprefix(f"{SHOP}/r/")) for url in addresses(made.html)
    )
    assert first is not None
    assert second is not None
    assert first.url == f"https://shop.example/p/1?a=1&b=2&{TAGS}#top"
    assert second.url == f"https://shop.example/豆腐?{TAGS}"
    assert (first.message_id, first.links, first.place) == ("m_1", 2, "https://shop.example/p/1")


def test_our_own_links_are_never_tracked_or_tagged(shop):
    own = [f"{SHOP}/u/m_1.sig", f"{SHOP}/p/m_1.sig"]
    made = tracked(shop, letter(*own, text=f"Unsubscribe: {own[0]}\n"))
    assert addresses(made.html) == own
    assert made.text == f"Unsubscribe: {own[0]}\n"


def test_plain_text_shows_where_its_links_lead(shop):
    made = tracked(shop, letter(text="- Tea\n  https://shop.example/p/1\n"))
    assert made.text == f"- Tea\n  https://shop.example/p/1?{TAGS}\n"


def test_nothing_is_tracked_where_it_is_switched_off_or_nobody_would_answer(shop):
    page = letter("https://shop.example/p/1")
    off = {"utm_source": "", "utm_medium": "", "utm_campaign": ""}
    assert tracked(shop, page, track_links=False, track_opens=False, **off) == page
    assert tracked(shop, page, public_url="https://example.invalid", **off) == page
    assert "<img" not in tracked(shop, page, track_opens=False).html


def test_the_picture_is_the_last_thing_of_the_page_and_names_its_message(shop):
    html = tracked(shop, letter()).html
    name = html.partition(f'src="{SHOP}/o/')[2].partition('"')[0]
    assert html.endswith('alt=""></body></html>')
    assert read_open(shop.vault, name) == "m_1"
    assert read_open(shop.vault, name.removesuffix(".gif")) is None
    assert read_open(shop.vault, "m_2" + name.removeprefix("m_1")) is None


@pytest.mark.parametrize("change", [
    lambda token: token.replace("m_1.", "m_2.", 1), lambda token: token[:-1] + "x",
    lambda token: token.rpartition(".")[0], lambda token: f"x{token}", lambda _: "a.b",
])  # fmt: skip
def test_a_link_that_was_changed_leads_nowhere(shop, change):
    token = addresses(tracked(shop, letter("https://shop.example/1")).html)[0].rpartition("/")[2]
    assert read_click(shop.vault, token) is not None
    assert read_click(shop.vault, change(token)) is None


@pytest.mark.parametrize(("url", "expected"), [
    ("https://s.example", "https://s.example?utm_source=a&utm_medium=b"),
    ("https://s.example/?", "https://s.example/?utm_source=a&utm_medium=b"),
    ("https://s.example/?utm_source=tv", "https://s.example/?utm_source=tv&utm_medium=b"),
    ("https://s.example/?utm_source=&utm_medium=x#f", "https://s.example/?utm_source=&utm_medium=x#f"),
    ("https://s.example/?q=a%20b#f?g", "https://s.example/?q=a%20b&utm_source=a&utm_medium=b#f?g"),
])  # fmt: skip
def test_tags_are_added_only_where_absent_and_change_nothing_else(url, expected):
    assert add_tags(url, (("utm_source", "a"), ("utm_medium", "b"))) == expected


def test_a_delivered_letter_is_tracked_and_a_preview_is_not(shop):
    put(shop.store, "products", {
        c.PRODUCT_ID: "s:9", c.NAME: "Tea", c.URL: "https://shop.example/tea", c.REVISION: 2,
        **{name: value for name, value in REVISION.items() if name != c.REVISION},
    }, app="tea")  # fmt: skip
    shop.add("ana")
    shop.decide("ana", products=["s:9"])
    channel = RecordingChannel()
    mine = shop.with_settings(public_url=SHOP, track_opens=True)
    job.run(mine.context(), mine.settings.act)
    assert planned_links(mine.context(), CAMPAIGN) == {"https://shop.example/tea": 1}
    job.deliver(mine.context(channel), CAMPAIGN, progress=lambda *_: None)
    (sent,) = (one for known in channel.delivered.values() for one in known)
    parsed = message_from_bytes(sent.content, policy=policy.default)
    html = parsed.get_body(("html",)).get_content()
    token = html.partition(f'href="{SHOP}/r/')[2].partition('"')[0]
    clicked = read_click(shop.vault, unescape(token))
    assert clicked is not None
    assert clicked.url == f"https://shop.example/tea?{TAGS}"
    assert f"{SHOP}/o/" in html
    assert f"{SHOP}/u/" in html


@pytest.mark.parametrize(("facts", "reason"), [
    ({}, None), ({"method": "HEAD"}, "head"), ({"user_agent": ""}, "scanner"),
    ({"user_agent": "Mozilla/5.0 (compatible; Proofpoint URL Defense)"}, "scanner"),
    ({"user_agent": "python-requests/2.32"}, "scanner"), ({"since_sent_s": 2.0}, "too_soon"),
    ({"since_sent_s": None}, None),
])  # fmt: skip
def test_clicks_of_machines_are_recognised(facts, reason):
    usual = {"method": "GET", "user_agent": FIREFOX, "since_sent_s": 600.0}
    assert judge_click(**usual | facts) == reason


@pytest.mark.parametrize(("agent", "reason"), [
    (FIREFOX, None), ("Mozilla/5.0", "apple_privacy"),
    ("Mozilla/5.0 (Windows NT 5.1) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
     "gmail_proxy"),
])  # fmt: skip
def test_pictures_that_a_mailbox_fetches_are_no_persons_opens(agent, reason):
    assert judge_open(method="GET", user_agent=agent, since_sent_s=600.0) == reason


def test_all_links_at_once_are_a_machines_but_one_link_never_is():
    assert [is_burst(links, of=of) for links, of in ((1, 1), (2, 2), (2, 5), (3, 5))] == [
        False, True, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("url", [
    "https://shop.example/{{ product.id }}", "https://", "https://shop", "http://s.example:x/",
    "https://s.example/a b", "https://s.example:0/",
])  # fmt: skip
def test_malformed_links_are_reported_without_being_asked_for(url):
    assert not is_whole(url)
    (fault,) = check_links({url: 3})
    assert (fault.problem, fault.messages, fault.status) == ("malformed", 3, None)


def test_a_link_into_the_inner_network_is_not_followed(monkeypatch):
    asked = []
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: asked.append(1))
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("10.0.0.7", 80))])
    (fault,) = check_links({"http://intranet.example/admin": 1})
    assert (fault.problem, asked, is_public("10.0.0.7")) == ("unreachable", [], False)

"""The page: complete, self-contained, safe, and sensible where something is absent."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest
import report_samples as samples

from zhiyin.measure.report.data import (
    Both,
    Count,
    EmailExample,
    Metric,
    Pair,
    Recommended,
    Segment,
)
from zhiyin.measure.report.previews import make_offline
from zhiyin.measure.report.render import SECTIONS, render

REPORTS = {
    "full": samples.full_report,
    "empty": samples.empty_report,
    "orders": samples.orders_report,
    "unmeasured": samples.unmeasured_report,
}
VOID = {"meta", "input", "br", "img", "link", "hr"}
UPPER_BOUND = "profit if every redemption were caused (upper bound)"
HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """Checks that tags are balanced; gathers ids, references, text and text by language."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.text: list[str] = []
        self.tags: list[str] = []
        self.faults: list[str] = []
        self.feed(html)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag, _ in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        if "id" in values:
            self.ids.append(values["id"] or "")
        self.references += [v or "" for k, v in attrs if k in ("href", "src", "action", "data")]
        if tag not in VOID:
            self.open.append((tag, values))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1][0] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]} at {self.getpos()}")
            return
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not any(tag in ("style", "script") for tag, _ in self.open):
            self.text.append(data)


@pytest.fixture(scope="module", params=REPORTS)
def page(request):
    return render(REPORTS[request.param]())


def test_tags_are_balanced(page):
    assert Page(page).faults == []


def test_ids_are_unique_and_every_link_leads_to_one(page):
    found = Page(page)
    assert len(set(found.ids)) == len(found.ids)
    assert {link.removeprefix("#") for link in found.references} <= set(found.ids)
    assert set(SECTIONS) <= set(found.ids)


def test_nothing_points_outside_the_file(page):
    for text in (page, unescape(page)):
        assert not re.search(r"(src|href|action|srcset)\s*=\s*[\"']?\s*(https?:)?//", text, re.I)
        assert not re.search(r"url\(|@import|@font-face", text, re.I)


def test_a_browser_is_forbidden_to_load_anything(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert "default-src 'none'" in policy[1]
    assert "http" not in policy[1]


def test_file_is_small(page):
    assert len(page.encode()) < 1_500_000


def test_no_chart_is_empty(page):
    charts = re.findall(r"<svg class=\"chart.*?</svg>", page, re.S)
    assert all(re.search(r"<(rect|path|circle) ", chart) for chart in charts)
    assert "nan" not in "".join(charts).lower()


def test_every_chart_has_a_title_and_both_sizes():
    page = render(samples.full_report())
    charts = re.findall(
        r"<svg class=\"chart (\w+)\" role=\"img\"[^>]*><title>([^<]+)</title>", page
    )
    assert len(charts) >= 40
    assert sum(size == "wide" for size, _ in charts) == sum(size == "narrow" for size, _ in charts)


def test_empty_shop_has_no_chart_and_says_why():
    page = render(samples.empty_report())
    assert 'class="chart' not in page
    assert "There are no orders before October 30, 2017 yet" in page
    assert "2017年10月30日之前还没有订单" in page


def test_new_shop_with_only_orders_sees_its_sales():
    page = render(samples.orders_report())
    assert "One month of sales so far: CN¥12,500." in page
    assert "32% of net revenue" in page
    assert "No campaign starts on October 30, 2017" in page


def test_decided_but_unmeasured_says_so():
    page = render(samples.unmeasured_report())
    assert "Nothing has been measured after October 30, 2017 yet" in page
    assert "Profit is measured when the campaign is over." in page
    assert "305 are contacted" in page


@pytest.mark.parametrize(("first", "opens"), [("en", "lang-en"), ("zh", "lang-zh")])
def test_page_opens_in_the_shops_first_language(first, opens):
    page = render(samples.full_report(first))
    checked = re.findall(r'id="(lang-\w+)"[^>]* checked', page)
    assert checked == [opens]
    assert page.startswith(f'<!doctype html>\n<html lang="{"zh-CN" if first == "zh" else "en"}"')


def test_both_languages_stand_in_the_file():
    page = render(samples.full_report())
    assert "Writing to the best 30% reaches 78% of those who redeem." in page
    assert "只联系排名前 30% 的客户，就能触达 78% 的核销客户。" in page
    assert page.count('class="view" lang="en"') == page.count('class="view" lang="zh"')


def test_language_switch_needs_no_script():
    page = render(samples.full_report())
    without = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert '#lang-en:checked ~ .shell .view[lang="zh"]' in without
    assert 'label for="lang-zh"' in without


def test_script_remembers_nothing():
    page = render(samples.full_report())
    assert not re.search(r"localStorage|sessionStorage|cookie|indexedDB", page)


def test_upper_bound_stands_at_each_profit_in_the_labels_size():
    page = render(samples.full_report())
    cards = re.findall(r'<p class="label">([^<]*)</p>\n<p class="big">[^<]*</p>\n'
                       r'<p class="label">([^<]*)</p>', page)  # fmt: skip
    english = [label for label, under in cards if under == UPPER_BOUND]
    assert len(english) == 3
    sizes = re.findall(r"\.kpi \.label \{[^}]*font-size: ([\d.]+rem)", page)
    assert sizes[0] == "1rem"  # the size of body text
    assert ".profits .kpi .label { font-size: 1rem; }" in page  # on a phone, too


def test_demo_notices_are_shown_only_for_the_demo():
    full, own = render(samples.full_report()), render(samples.orders_report())
    for words in ("reserved domain", "consents were seeded", "by 84.51°", "simulated on real"):
        assert words in full
        assert words not in own


def test_a_report_of_simulated_data_says_so_on_every_page_and_another_never():
    own = samples.full_report()
    shop = replace(own.shop, simulated=True)
    page, real = render(replace(own, shop=shop)), render(own)
    note = "no customer, order or effect on this page is real"
    assert page.count(note) == 1
    assert "本页中的客户、订单与效果均非真实" in page
    assert re.search(r"\.simulated \{ position: fixed", page)  # printed: repeated on every page
    for language, words in (("en", "Simulated data"), ("zh", "模拟数据")):
        heads = re.findall(rf'<h2><span class="no".*?<span class="tag">{words}</span></h2>', page)
        assert len(heads) == len(SECTIONS), language
    assert re.search(r"<title>.* · Simulated data</title>", page)
    for words in (note, "Simulated data", "模拟数据"):
        assert words not in real
    assert "simulated: whom the turn chose" not in real.lower()


def test_an_effect_in_simulated_data_is_not_called_chance():
    own = samples.full_report()
    effect = Metric("increment", "k", "orders_per_customer", 0.02, 0.01, 0.03, 100)
    told = replace(own, metrics=(effect,), shop=replace(own.shop, simulated=True))
    assert "stands in files/truth.json" in render(told)
    assert "sent the campaign to its whole list" not in render(told)


def test_hostile_names_are_escaped():
    data = samples.full_report()
    choice = replace(data.choices[0], name=HOSTILE, offers=(Count("o", 1, Both(HOSTILE)),))
    bad = replace(
        data,
        shop=replace(data.shop, name=HOSTILE),
        choices=(choice,),
        recommend=replace(
            data.recommend,
            examples=(Recommended("p_x", ((HOSTILE, HOSTILE),)),),
            pairs=(Pair(HOSTILE, HOSTILE, 9, 0.5, 2.0, 1.5, 0.01),),
        ),
        segments=replace(
            data.segments,
            rfm=(*data.segments.rfm, Segment(HOSTILE, Both(HOSTILE), 900, 9, 5.0, 2.0)),
            clusters=(Segment("1", Both(HOSTILE), 5, 5, words=Both(HOSTILE)),),
        ),
        warnings=(Both(HOSTILE),),
        messages=replace(data.messages, emails=(EmailExample("en", HOSTILE, HOSTILE),)),
    )
    page = render(bad)
    assert Page(page).faults == []
    assert Page(page).tags.count("script") == 1
    assert "<img" not in page
    assert HOSTILE in "".join(Page(page).text)


def test_emails_are_framed_without_rights_or_links():
    page = render(samples.full_report())
    frames = re.findall(r"<iframe [^>]*>", page)
    assert len(frames) == 2
    assert all('sandbox=""' in frame for frame in frames)
    assert "fonts.googleapis" not in page
    assert "example.invalid" not in page


def test_at_most_two_emails_a_language_are_shown():
    data = samples.full_report()
    many = tuple(EmailExample(code, f"s{i}", "<p>x</p>") for i in range(4) for code in ("en", "zh"))
    page = render(replace(data, messages=replace(data.messages, emails=many)))
    assert page.count("<iframe ") == 4


@pytest.mark.parametrize(
    "html",
    [
        "<a href='https://a.example/x'>x</a>",
        "<img src=//a.example/x.png>",
        '<table background="http://a.example/x">',
        "<div style=\"background:url('https://a.example/x')\">x</div>",
        "<script src=https://a.example/x></script>",
        '<meta http-equiv="refresh" content="0;url=https://a.example">',
        "<base href=https://a.example><link rel=stylesheet href=https://a.example/x>",
        "<!--[if mso]><v:image src='https://a.example/x'/><![endif]-->x",
        '<a HREF = "https://a.example">x</a>',
    ],
)
def test_preview_leads_nowhere(html):
    assert "a.example" not in make_offline(html)


def test_preview_keeps_pictures_inside_the_mail():
    assert make_offline('<img src="data:image/png;base64,AA">') == (
        '<img src="data:image/png;base64,AA">'
    )


def test_measured_effect_is_shown_with_its_interval():
    data = samples.full_report()
    effect = Metric("increment", samples.CAMPAIGN, "revenue_per_customer_minor", 312, -40, 660, 339)
    page = render(replace(data, metrics=(*data.metrics, effect)))
    assert "Caused by the contact (contacted less held out): Campaign 18" in page
    assert "$0 – $7" in page
    assert "sent the campaign to its whole list" in page


def test_movement_between_segments_is_said_in_both_languages_or_not_at_all():
    page = unescape(render(samples.full_report()))
    assert "Movement between segments, 12 went from Loyal to At risk." in page
    assert "分群流转，12 位由「忠诚客户」转入「流失风险客户」。" in page
    assert "Movement between segments" not in render(samples.orders_report())

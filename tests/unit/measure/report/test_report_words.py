"""Both languages say everything, and money, dates and numbers follow the reader's."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from zhiyin.core.errors import NotFound
from zhiyin.core.features import CAMPAIGN_FEATURES, FEATURES
from zhiyin.core.tables import TABLES
from zhiyin.govern.gate import REASONS
from zhiyin.measure import report
from zhiyin.measure.report.formats import Format
from zhiyin.measure.report.words import Words, load_words

FOLDER = Path(report.__file__).parent
PLACEHOLDER = re.compile(r"\{\w+\}")


def test_every_string_is_in_both_languages_with_equal_placeholders():
    for key, both in load_words().items():
        assert both.en.strip(), key
        assert both.zh.strip(), key
        assert set(PLACEHOLDER.findall(both.en)) == set(PLACEHOLDER.findall(both.zh)), key


def test_every_key_that_is_asked_for_exists():
    code = "".join(
        path.read_text(encoding="utf-8")
        for path in (*FOLDER.glob("*.py"), *FOLDER.glob("templates/*.j2"))
    )
    asked = set(re.findall(r"""\bt\(\s*"([a-z_]+\.[a-z0-9_.]*[a-z0-9])\"(?! ~)""", code))
    assert len(asked) > 120
    assert asked - set(load_words()) == set()


def test_unknown_key_is_an_error_and_unknown_code_is_made_readable():
    with pytest.raises(NotFound, match=r"no\.such"):
        Words("en")("no.such")
    assert Words("en").term("quarantine", "odd_new_reason") == "odd new reason"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_reasons_and_features_speak_the_language(language):
    words = Words(language)
    assert [words.reason(code) for code in REASONS] == [
        pair[language == "zh"] for pair in REASONS.values()
    ]
    for feature in (*FEATURES, *CAMPAIGN_FEATURES):
        meaning = feature.meaning if language == "en" else feature.meaning_zh
        assert words.feature(feature.name) == meaning


def test_every_table_has_a_word():
    missing = [name for name in TABLES if f"table.{name}" not in load_words()]
    assert missing == []


@pytest.mark.parametrize(
    ("language", "currency", "minor", "said"),
    [
        ("en", "USD", 123456, "$1,234.56"),
        ("zh", "CNY", 123456, "¥1,234.56"),
        ("en", "JPY", 123456, "¥123,456"),
        ("en", "USD", -50, "-$0.50"),
        ("en", "KWD", 1234, "KWD"),
    ],
)
def test_money_has_the_currencys_decimals(language, currency, minor, said):
    assert said in Format(language, currency).money(minor)


def test_dinar_has_three_decimals():
    assert Format("en", "KWD").money(1234).endswith("1.234")


def test_short_money_uses_the_languages_own_units():
    assert Format("en", "USD").short_money(460_000_000) == "$4.6M"
    assert Format("zh", "CNY").short_money(460_000_000) == "¥460万"


def test_dates_and_shares_follow_the_language():
    en, zh = Format("en", "USD"), Format("zh", "USD")
    assert (en.day(date(2017, 10, 30)), zh.day(date(2017, 10, 30))) == (
        "October 30, 2017",
        "2017年10月30日",
    )
    assert en.percent(0.7534) == "75%"
    assert en.fine_percent(0.0534) == "5.3%"
    assert en.percent(-0.00001) == "0%"
    assert en.month("?") == "?"

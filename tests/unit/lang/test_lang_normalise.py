"""One spelling: every step, their order, and texts that nobody expects."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhiyin.core.errors import InvalidParameter
from zhiyin.lang import normalise


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("ＡＢＣ１２３，好！", "ABC123,好!"),
        ("這條項鍊很漂亮", "这条项链很漂亮"),
        ("乾隆年間的乾貨", "乾隆年间的干货"),
        ("太太太太太好了！！！！！！", "太太太好了!!!"),
        ("价格10000元", "价格10000元"),
        ("  很 好 \r\n\n 不错\t", "很 好\n不错"),
        ("<p>很好</p><p>不错</p>", "很好\n不错"),
        ("好<script>if (a<b) x()</script>的<style>p{}</style>", "好的"),
        ("一<!-- 注 -->二", "一二"),
        ("Tom &amp; Ann", "Tom & Ann"),
        ("I <3 it, a < b", "I <3 it, a < b"),
        ("看[这里](https://a.cn/b?c=1)，**真的**", "看这里,真的"),
        ("好\u200b的\ufeff\x00", "好的"),
        ("cut short \ud83d", "cut short"),
        ("", ""),
    ],
)
def test_each_step_gives_the_spelling(text, spelled):
    assert normalise(text) == spelled


def test_emoji_are_kept_dropped_or_said():
    text = "好👍🏽❤️👨‍👩‍👧"
    assert normalise(text) == text
    assert normalise(text, emoji="drop") == "好"
    assert normalise(text, emoji="zh") == "好[赞][爱心][man]"
    assert normalise("ok 👍", emoji="en") == "ok [thumbs up sign]"


def test_every_step_can_be_left_out():
    text = " <b>這ＡAAAA</b> "
    left = normalise(
        text, markup=False, width=False, simplify=False, repeats=0, blanks=False, lower=False
    )
    assert left == text
    assert normalise(text, lower=True, repeats=2) == "这aa"


@given(st.text(alphabet="好這Ａa1 \n！!😀&;<>/bp#*_[]()", max_size=40))
def test_a_spelled_text_keeps_its_spelling(text):
    once = normalise(text, markup=False)
    assert normalise(once, markup=False) == once


@pytest.mark.parametrize(
    "piece",
    ["好", "<a", "<!--", "[", "[a](", "a.b!", "哈哈哈哈，", "**", "&", "乾", "<script", "`#"],
)
def test_a_megabyte_of_anything_takes_time_in_proportion(piece):
    def seconds(characters: int) -> float:
        text = piece * (characters // len(piece))
        begin = time.process_time()
        normalise(text)
        return time.process_time() - begin

    seconds(1_000)
    assert seconds(100_000) < 1.5  # a quadratic step would take minutes at a megabyte


@pytest.mark.parametrize(
    "call",
    [
        lambda: normalise(None),
        lambda: normalise(b"x"),
        lambda: normalise("x", emoji="no"),
        lambda: normalise("x", repeats=-1),
    ],
)
def test_wrong_input_is_said(call):
    with pytest.raises(InvalidParameter):
        call()

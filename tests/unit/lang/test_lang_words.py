"""Languages, words, lemmas, sentences and stop words."""

import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.lang import Tokeniser, detect, split_sentences, stop_words, tokenise
from zhiyin.lang.lemma import lemmatise


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("房间很干净", "zh"),
        ("The room was clean", "en"),
        ("我的iPhone很好用", "zh"),
        ("I love 这条项链 very much", "mixed"),
        ("", "none"),
        ("😀 12345 !!!", "none"),
        ("さようなら、ありがとう", "none"),
        ("Очень хорошо", "none"),
    ],
)
def test_the_language_is_told_by_its_words(text, language):
    assert detect(text) == language


def test_mixed_text_becomes_words_of_both_languages():
    found = tokenise("房间很干净，but the rooms weren't big! 😀 3.5cm")
    assert found == ["房间", "很", "干净", "but", "the", "room", "be", "not", "big", "3.5cm"]


def test_names_of_the_catalogue_are_one_word():
    text = "周大福传承系列古法金A款手镯"
    assert "古法金A款" not in tokenise(text)
    own = tokenise(text, words=["传承系列", "古法金A款"])
    assert own == ["周大福", "传承系列", "古法金A款", "手镯"]
    assert Tokeniser(["Love Bracelet"]).words == ("Love Bracelet",)


def test_marks_are_words_only_where_asked_for():
    assert tokenise("好！😀...") == ["好"]
    assert tokenise("好！😀", marks=True) == ["好", "！", "😀"]


def test_english_keeps_sizes_and_hyphens_together():
    found = tokenise("An 18k T-shirt, 3.5mm and 50% off", "en")
    assert found == ["an", "18k", "t-shirt", "3.5mm", "and", "50%", "off"]
    assert tokenise("The Rings", "en", lemmas=False) == ["The", "Rings"]


def test_cut_gives_the_text_back():
    tokeniser = Tokeniser()
    for text in ("", "  好 的\n\x02 a--b ，，😀👍🏽", "一二三" * 100):
        assert "".join(tokeniser.cut(text)) == text
    assert tokenise("好\ud83d的") == ["好", "的"]


def test_a_megabyte_and_nothing_are_texts_too():
    assert tokenise("") == tokenise(" \n😀") == []
    assert len(tokenise("房间很干净，" * 150_000)) == 450_000


@pytest.mark.parametrize(
    ("word", "base"),
    [
        *[("rings", "ring"), ("boxes", "box"), ("cities", "city"), ("glasses", "glass")],
        *[("loved", "love"), ("hoping", "hope"), ("hopped", "hop"), ("stayed", "stay")],
        *[("arrived", "arrive"), ("disappointed", "disappoint"), ("bought", "buy")],
        *[("children", "child"), ("better", "good"), ("thing", "thing"), ("during", "during")],
        *[("travelled", "travel"), ("called", "call"), ("tried", "try"), ("Ann's", "ann")],
        *[("need", "need"), ("delicious", "delicious"), ("used", "use"), ("18k", "18k")],
    ],
)
def test_english_words_come_in_their_base_form(word, base):
    assert lemmatise(word) == base


def test_sentences_end_where_readers_stop():
    text = '很好。不错!!Mr. Smith paid 3.5 yuan. "Good." He said… 再来\n一行'
    assert split_sentences(text) == [
        *["很好。", "不错!!", "Mr. Smith paid 3.5 yuan.", '"Good."', "He said…", "再来", "一行"]
    ]
    assert split_sentences("") == split_sentences(" \n ") == []


def test_what_changes_the_meaning_is_no_stop_word():
    chinese, english = stop_words("zh"), stop_words("en")
    assert {"的", "了"} <= chinese
    assert {"the", "of"} <= english
    assert not {"不", "没", "很", "太", "但"} & chinese
    assert not {"not", "no", "never", "very", "but"} & english


@pytest.mark.parametrize(
    "call",
    [
        lambda: tokenise(None),
        lambda: tokenise("x", "fr"),
        lambda: tokenise("x", words="古法金"),
        lambda: tokenise("x", words=[""]),
        lambda: tokenise("x", words=["好" * 65]),
        lambda: detect(3),
        lambda: split_sentences(["x"]),
        lambda: stop_words("fr"),
    ],
)
def test_wrong_input_is_said(call):
    with pytest.raises(InvalidParameter):
        call()

"""A model of sentiment finds again what was planted, says why, and refuses what is no text."""

import numpy as np
import pytest

from zhiyin.core.artifact import pack, unpack
from zhiyin.core.errors import InputError, InvalidParameter, NotEnoughData
from zhiyin.lang import Tokeniser
from zhiyin.understand.text import SentimentModel, train_sentiment
from zhiyin.understand.text.evidence import weigh_characters
from zhiyin.understand.text.pieces import count_pieces, cut_pieces, spell

GOOD = ["很干净", "服务热情", "性价比高", "非常满意", "lovely staff", "very clean", "位置方便"]
BAD = ["不干净", "服务冷淡", "价格太贵", "非常失望", "rude staff", "not clean", "隔音很差"]
PLAIN = ["房间在三楼", "周末入住", "早餐七点开始", "靠近车站", "two nights", "朋友推荐的", "双人间"]


def write(rng: np.random.Generator, good: float) -> str:
    """A review of five clauses, of which each is good with this chance, or says nothing."""
    said = [
        str(rng.choice(PLAIN if rng.random() < 0.4 else GOOD if rng.random() < good else BAD))
        for _ in range(5)
    ]
    return "，".join(said) + "。"


def draw(many: int, seed: int) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=many)
    return [write(rng, 0.85 if one else 0.2) for one in labels], labels


@pytest.fixture(scope="module")
def model() -> SentimentModel:
    return train_sentiment(*draw(600, 1))


@pytest.fixture(scope="module")
def graded() -> SentimentModel:
    rng = np.random.default_rng(3)
    words = {"bad": 0.05, "good": 0.95, "so-so": 0.5}
    labels = rng.choice(list(words), size=450)
    return train_sentiment([write(rng, words[one]) for one in labels], labels)


def test_planted_sentiment_is_found_in_texts_not_seen(model):
    texts, labels = draw(400, 2)
    assert np.mean(model.predict(texts) == labels) > 0.88  # .92 by who knows the chances
    assert abs(model.quality.accuracy - np.mean(model.predict(texts) == labels)) < 0.05
    assert model.quality.texts == 600


def test_probabilities_mean_what_they_say(model):
    texts, labels = draw(2_000, 4)
    chances = model.predict_proba(texts)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (chances[:, 1] >= low) & (chances[:, 1] < low + 0.2)
        assert abs(chances[inside, 1].mean() - labels[inside].mean()) < 0.12


def test_what_is_not_sure_is_neutral(model):
    texts, labels = draw(400, 5)
    said = model.predict(texts, neutral="neutral", sure=0.8)
    sure = said != "neutral"
    assert 0 < np.mean(~sure) < 0.5
    right = np.mean(said[sure] == labels[sure])
    assert right > np.mean(model.predict(texts) == labels)


def test_three_classes_have_the_middle_one_too(graded):
    assert graded.classes == ("bad", "good", "so-so")
    clear = graded.predict(
        ["很干净，服务热情，very clean，位置方便", "rude staff，隔音很差，不干净，非常失望"]
    )
    assert clear.tolist() == ["good", "bad"]
    assert graded.quality.accuracy > 0.6
    assert graded.quality.calibration_error < 0.08
    assert graded.explain("不干净，隔音很差，服务冷淡").label == "bad"


def test_the_explanation_names_the_words_and_turns_of_a_negation(model):
    told = model.explain("朋友推荐的，服务热情，但是不干净，隔音很差，非常失望。")
    assert told.label == 0
    against = {one.text: one for one in told.spoke_for}
    assert against["不干净"].role == "negated"
    assert against["非常失望"].role == "degree"
    assert "热情" in {one.text for one in told.spoke_against}
    scores = dict(told.clauses)
    assert scores["但是不干净,"] > 0 > scores["服务热情,"]
    assert "不干净" in str(told)
    assert "not clean" in {one.text for one in model.explain("not clean").spoke_for}


def test_weights_of_characters_add_up_to_the_score(model):
    pieces = cut_pieces([spell("很干净，很干净，服务热情，价格太贵")], model._tokeniser)
    line = model.lines_[0][0]
    score = float(line.score(count_pieces(pieces))[0])
    added = weigh_characters(pieces, [line]).sum()
    assert added + line.offset / line.scale == pytest.approx(score, abs=1e-5)


def test_a_word_is_another_piece_than_its_characters():
    pieces = cut_pieces([spell("好不吃，一丐丑")], Tokeniser())
    found = {
        (pieces.text[at : at + size]) for at, size in zip(pieces.place, pieces.length, strict=True)
    }
    assert len(set(pieces.bucket.tolist())) > len(found)  # words that are runs too count twice


def test_a_kept_model_predicts_the_same(model, graded):
    texts, _ = draw(50, 6)
    for one in (model, graded):
        again = SentimentModel.from_artifact(unpack(pack(one.to_artifact())))
        np.testing.assert_array_equal(again.predict_proba(texts), one.predict_proba(texts))
        assert again.predict(texts).tolist() == one.predict(texts).tolist()
        assert again.quality == one.quality
    with pytest.raises(InputError):
        SentimentModel.from_artifact({"kind": "topics"})


def test_a_text_is_scored_the_same_alone_and_among_many(model):
    texts, _ = draw(60, 7)
    texts[3] = "很干净，" * 3_000
    alone = np.vstack([model.predict_proba([one]) for one in texts])
    np.testing.assert_allclose(model.predict_proba(texts), alone, atol=1e-6)


def test_the_order_of_training_texts_changes_nothing(model):
    texts, labels = draw(600, 1)
    turned = train_sentiment(texts[::-1], labels[::-1])
    np.testing.assert_array_equal(turned.predict_proba(texts), model.predict_proba(texts))


def test_texts_that_say_nothing_have_the_shares_of_the_labels(model):
    for text in ("", " \n", "😀", "ω"):
        np.testing.assert_allclose(model.predict_proba([text])[0], model.prior_)
        assert model.predict([text], neutral="neutral").tolist() == ["neutral"]
        assert model.explain(text).spoke_for == ()
    assert model.predict_proba([]).shape == (0, 2)
    assert model.predict([]).shape == (0,)


def test_markup_long_and_mixed_texts_are_read(model):
    plain = model.predict_proba(["服务热情，very clean"])
    np.testing.assert_allclose(model.predict_proba(["<b>服務熱情</b>，VERY clean"]), plain)
    assert model.predict(["服务冷淡，" * 200_000]).tolist() == [0]  # a megabyte


def test_what_the_merchant_wrote_below_is_not_her_word(model):
    review = "隔音很差，非常失望。"
    answer = "商家回复：服务热情，位置方便，很干净，性价比高"
    np.testing.assert_allclose(
        model.predict_proba([review + answer]), model.predict_proba([review + " "]), atol=0.05
    )


def test_copies_of_a_text_do_not_flatter_the_quality():
    rng = np.random.default_rng(8)
    texts = [write(rng, 0.5) for _ in range(60)]
    labels = rng.integers(2, size=60)  # nothing to learn
    copied = train_sentiment(texts * 5, np.tile(labels, 5))
    assert copied.quality.accuracy < 0.75


def test_texts_that_share_nothing_teach_nothing():
    texts = list("天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜")
    model = train_sentiment(texts, ["good", "bad"] * 20)
    assert model.predict(texts, neutral="?").tolist() == ["?"] * 40
    np.testing.assert_allclose(model.predict_proba(texts), 0.5)


@pytest.mark.parametrize(
    ("texts", "labels", "error"),
    [
        ([], [], InvalidParameter),
        ("一段话", [1], InvalidParameter),
        (["好"] * 50, [1] * 50, InvalidParameter),  # one class
        (["好", "坏"], [1], InvalidParameter),
        (["好", None], [1, 0], InvalidParameter),
        (["好", 3.5], [1, 0], InvalidParameter),
        (["好", "坏"], [1, None], InvalidParameter),
        (["好", "坏"], [1, float("nan")], InvalidParameter),
        (["好", "坏"], [1, "bad"], InvalidParameter),
        (["a", "b", "c", "d"], [1, 2, 3, 4], InvalidParameter),
        (["好"] * 50 + ["坏"] * 50, [1] * 50 + [0] * 50, NotEnoughData),  # two wordings
    ],
)
def test_what_cannot_be_learned_from_is_refused(texts, labels, error):
    with pytest.raises(error) as told:
        train_sentiment(texts, labels)
    assert told.value.hint


def test_errors_hold_no_text(model):
    with pytest.raises(InvalidParameter) as told:
        model.predict("张三住在 302 房间")
    assert "302" not in str(told.value)
    with pytest.raises(InvalidParameter):
        model.predict(["好"], neutral="?", sure=0.3)

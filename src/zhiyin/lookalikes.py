"""Look-alikes of an audience, at once: more people like the good customers of a list."""

from __future__ import annotations

import math
from typing import Any, Literal

from zhiyin.audience import Rule
from zhiyin.audience.ledger import find_audience
from zhiyin.audience.rule import LOOK_ALIKE, And, Audience, Not, Score
from zhiyin.audiences import Audiences
from zhiyin.core.config import Settings
from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.core.features import FEATURES
from zhiyin.core.rng import Streams
from zhiyin.person.say import say_value
from zhiyin.person.words import unit_of
from zhiyin.store.ledger import reading
from zhiyin.understand.predict.lookalike import HINTS, Apart
from zhiyin.understand.predict.lookalike_job import Base, Found, look_for

Language = Literal["en", "zh"]
SHARE = 0.05
_MEANINGS = {one.name: (one.meaning, one.meaning_zh) for one in FEATURES}


def rule_of(seed: str, size: int) -> Rule:
    """The `size` people most like the audience `seed` who are not in it."""
    ranked = Score(LOOK_ALIKE, "le", size, subject=seed, column="rank")
    return And((ranked, Not(Audience(seed))))


def look_alike(
    audiences: Audiences,
    settings: Settings,
    seed: str,
    *,
    size: int | None = None,
    share: float | None = None,
    name: str = "",
    by: str = "",
    sample: int = 5,
    language: Language = "en",
) -> dict[str, Any]:
    """Who is most like the people of a stored audience, how well that can be said, and why.

    Parameters
    ----------
    size, share
        How many of the others are wanted, or which share of them in (0, 1]; none: `SHARE`.
    name, by
        Keep an audience of this name that asks for them in every turn; who does.
    sample
        How many ids to give, the most alike first.

    Returns
    -------
    `seed`, `as_of`, `seeds`, `customers`, `others`, `size`, `sample`, `quality`, `apart`,
    `warnings`, `text` (in `language`), and `kept`: name and version of the new audience, or None.

    Raises
    ------
    NotFound
        If there is no such audience.
    NotEnoughData
        If the list is too short, or its people are no different from everyone.
    InvalidParameter
        If size or share is none.
    InvalidRule
        If the audience to keep would ask for look-alikes of itself.
    """
    with reading(audiences.store.ledger) as connection:
        find_audience(connection, seed)
    base = Base(
        audiences.store, audiences.vault, audiences.as_of, audiences.as_of, settings.zone,
        settings.understand, Streams(settings.seed), audiences.rules(),
    )  # fmt: skip
    found = look_for(base, seed, base.features())
    alike, zh = found.alike, language == "zh"
    if alike.missing is not None:
        said = alike.missing.zh if zh else alike.missing.en
        raise NotEnoughData(said, hint=HINTS[alike.missing.code][zh])
    wanted = _wanted(len(alike.ids), size, share)
    kept = None
    if name:
        stored = audiences.add(name, rule_of(seed, wanted), kind="scheduled", by=by)
        kept = {"name": stored.name, "version": stored.version, "kind": stored.kind}
    head = {
        "seed": seed, "as_of": audiences.as_of.isoformat(), "seeds": found.card["seeds"],
        "customers": alike.customers, "others": len(alike.ids), "size": wanted,
        "sample": alike.ids[: min(sample, wanted)].tolist(), "kept": kept,
    }  # fmt: skip
    body = {one: found.card[one] for one in ("quality", "apart", "warnings")}
    return head | body | {"text": _text(head, found, settings.currency, language)}


def _wanted(others: int, size: int | None, share: float | None) -> int:
    if size is not None and share is not None:
        raise InvalidParameter("size and share say the same", hint="give one of them")
    part = SHARE if share is None else share
    if not 0 < part <= 1:
        raise InvalidParameter(f"share must be in (0, 1], not {part:g}", hint="0.05 is 5 %")
    wanted = max(1, math.floor(part * others + 1e-9)) if size is None else size
    if not 1 <= wanted <= others:
        raise InvalidParameter(
            f"size must be from 1 to {others}, not {wanted}",
            hint=f"there are {others} customers who are not on the list",
        )
    return wanted


_SAID: dict[str, tuple[str, str]] = {
    "counts": (
        "{listed} on the list, {seeds} of them known on {day}; {others} other customers",
        "名单 {listed} 人，{day} 当日已知 {seeds} 人；其他客户 {others} 人",
    ),
    "auc": (
        "told apart with AUC {value:.3f} [{low:.3f}, {high:.3f}]; a lower bound, since some of the "
        "others are alike",
        "区分能力：AUC {value:.3f} [{low:.3f}, {high:.3f}]；这是下限，因为其他人中也有相似者",
    ),
    "recall": (
        "of the list, held out, this share would be among the first of the others: {shares}",
        "留出的种子会进入其他客户前列的比例：{shares}",
    ),
    "recall.one": ("first {share:.0%}: {found:.1%}", "前 {share:.0%}：{found:.1%}"),
    "apart": (
        "what sets the list apart (median; chance that one of the list has more):",
        "名单与其他客户的区别（中位数；名单中人更高的概率）：",
    ),
    "apart.one": (
        "  {meaning}: {seeds}, others {others}; {value:.0%} [{low:.0%}, {high:.0%}]",
        "  {meaning}：{seeds}，其他客户 {others}；{value:.0%} [{low:.0%}, {high:.0%}]",
    ),
    "apart.defines": (
        " (the list was made by it: not learned from)",
        "（名单即由此筛选，未用于学习）",
    ),
    "size": ("the {size} most like them, for instance:", "最相似的 {size} 人，例如："),
}


def _say(key: str, language: Language, **values: object) -> str:
    return _SAID[key][language == "zh"].format(**values)


def _text(head: dict[str, Any], found: Found, currency: str | None, language: Language) -> str:
    """The answer in words."""
    quality, warned = found.card["quality"], "message_zh" if language == "zh" else "message"
    shares = [
        _say("recall.one", language, share=float(share), found=value)
        for share, value in quality["recall"].items()
    ]
    lines = [
        _say(
            "counts", language, listed=found.alike.listed, seeds=found.alike.seeds,
            day=head["as_of"], others=head["others"],
        ),
        _say("auc", language, **quality["auc"]),
        _say("recall", language, shares=("，" if language == "zh" else ", ").join(shares)),
        _say("apart", language),
        *(_difference(one, currency, language) for one in found.alike.apart),
        *(one[warned] for one in found.card["warnings"]),
        _say("size", language, size=head["size"]),
    ]  # fmt: skip
    return "\n".join([*lines, *(f"  {one}" for one in head["sample"])])


def _difference(one: Apart, currency: str | None, language: Language) -> str:
    unit = unit_of(one.feature)
    said = _say(
        "apart.one", language, meaning=_MEANINGS[one.feature][language == "zh"],
        seeds=say_value(one.seeds, unit, currency), others=say_value(one.others, unit, currency),
        value=one.chance.value, low=one.chance.low, high=one.chance.high,
    )  # fmt: skip
    return said + (_say("apart.defines", language) if one.defines else "")

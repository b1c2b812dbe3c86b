"""What a read-out says, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from zhiyin.measure import status

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")

NOT_OVER: Final = "not_over"  # the plan looks once, and not yet
NOT_SHOWN: Final = "not_shown"  # an effect may be there, too small for these units
MIXED_ARMS: Final = "mixed_arms"  # units were seen in two arms

VERDICTS: Final[Mapping[str, tuple[str, str]]] = {
    status.BROUGHT_MORE: (
        "{arm} brought more {metric}: {effect} ({low} to {high}).",
        "{arm} 带来了更多 {metric}：{effect}（{low} 至 {high}）。",
    ),
    status.BROUGHT_LESS: (
        "{arm} brought less {metric}: {effect} ({low} to {high}).",
        "{arm} 带来的 {metric} 更少：{effect}（{low} 至 {high}）。",
    ),
}
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    NOT_SHOWN: (
        "Cannot tell yet what {arm} brought of {metric}: between {low} and {high}. An effect of "
        "{detectable} would have been seen {power} times in 100.",
        "尚无法判断 {arm} 对 {metric} 的影响：介于 {low} 与 {high} 之间。"
        "若真实影响达到 {detectable}，100 次中有 {power} 次能看出来。",
    ),
    NOT_OVER: (
        "Cannot tell yet: the plan looks once, on {day}, and an earlier look would find effects "
        "where there are none.",
        "尚无法判断：本方案只在 {day} 看一次结果，提前查看会把偶然当成效果。",
    ),
    status.SAMPLE_RATIO_MISMATCH: (
        "Cannot tell: the arms do not have the sizes they were planned to have (p = {p}). Find out "
        "why before any figure is used.",
        "无法判断：各组人数与计划不符（p = {p}）。请先查明原因，再使用任何数字。",
    ),
    MIXED_ARMS: (
        "Cannot tell: {mixed} customers were seen in two arms. Find out why before any figure is "
        "used.",
        "无法判断：有 {mixed} 位客户同时出现在两个组。请先查明原因，再使用任何数字。",
    ),
    status.NO_UNITS: (
        "Cannot tell yet: nobody is in one of the arms of {metric}.",
        "尚无法判断：{metric} 有一组没有人。",
    ),
    status.TOO_FEW_UNITS: (
        "Cannot tell yet: too few customers, or too few who did it, for {metric}.",
        "尚无法判断：{metric} 的客户数或发生数太少。",
    ),
    status.ZERO_VARIANCE: (
        "Cannot tell: {metric} is the same for everybody.",
        "无法判断：所有人的 {metric} 都相同。",
    ),
    status.ZERO_BASELINE: (
        "Cannot tell as a share: the control has no {metric} at all. Look at the difference.",
        "无法用比例判断：对照组没有任何 {metric}，请看差值。",
    ),
}
GUARDS: Final[Mapping[str, tuple[str, str]]] = {
    "not_worse": (
        "{metric} is not worse by more than {margin}.",
        "{metric} 的恶化不超过 {margin}。",
    ),
    "worse": (
        "{metric} is worse by more than {margin}: the guard is broken.",
        "{metric} 恶化超过 {margin}：护栏被突破。",
    ),
    "cannot_tell_yet": (
        "Cannot tell yet whether {metric} is worse by more than {margin}.",
        "尚无法判断 {metric} 的恶化是否超过 {margin}。",
    ),
}


def say(pair: tuple[str, str], language: Language, **values: str) -> str:
    """One of two sentences, with its values."""
    return pair[LANGUAGES.index(language)].format(**values)


def format_effect(value: float, *, relative: bool) -> str:
    """With its sign: a lift in per cent, a difference to four figures."""
    return f"{100 * value:+.1f} %" if relative else f"{value:+.4g}"

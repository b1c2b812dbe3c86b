"""A cluster in words: what makes it different from everyone, in English and Chinese."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zhiyin.understand.segment.clusters import Clusters

_CLEAR = 0.3  # standardised difference from which a feature is worth a word
_STRONG = 0.8
_MOST = 4

# beginning of a feature's name → (high, low) in English, (high, low) in Chinese
_ADJECTIVES: tuple[tuple[str, tuple[str, str], tuple[str, str]], ...] = (
    ("recency", ("lapsing", "recent"), ("久未到店", "近期活跃")),
    ("overdue", ("overdue", "on time"), ("超期未到", "按时光顾")),
    ("tenure", ("long-standing", "recently won"), ("老客", "新客")),
    ("orders_trend", ("coming more", "coming less"), ("频次上升", "频次下降")),
    ("orders", ("frequent", "occasional"), ("高频", "低频")),
    ("active_days", ("frequent", "occasional"), ("高频", "低频")),
    ("gap_cv", ("irregular", "regular"), ("不规律", "规律")),
    ("gap", ("slow-paced", "fast-paced"), ("间隔长", "间隔短")),
    ("frequency", ("frequent", "occasional"), ("高频", "低频")),
    ("monetary", ("high-spending", "low-spending"), ("高消费", "低消费")),
    ("revenue_trend", ("spending more", "spending less"), ("消费上升", "消费下降")),
    ("revenue", ("high-spending", "low-spending"), ("高消费", "低消费")),
    ("order_value", ("big-basket", "small-basket"), ("大单", "小单")),
    ("lines_per_order", ("big-basket", "small-basket"), ("大单", "小单")),
    ("units_per_order", ("big-basket", "small-basket"), ("大单", "小单")),
    ("return", ("returning goods", "keeping goods"), ("退货多", "退货少")),
    ("discount", ("bargain-minded", "full-price"), ("偏爱折扣", "少用折扣")),
    ("coupon", ("coupon-using", "coupon-averse"), ("爱用券", "少用券")),
    ("redemption", ("coupon-using", "coupon-averse"), ("爱用券", "少用券")),
    ("products", ("wide-ranging", "narrow-ranging"), ("品种广", "品种少")),
    ("categor", ("wide-ranging", "narrow-ranging"), ("品类广", "品类集中")),
    ("department", ("wide-ranging", "narrow-ranging"), ("部门广", "部门集中")),
    ("repeat", ("loyal to products", "variety-seeking"), ("爱回购", "爱尝新")),
    ("top_store", ("one-store", "many-store"), ("固定门店", "多门店")),
    ("stores", ("many-store", "one-store"), ("多门店", "固定门店")),
    ("weekend", ("weekend", "weekday"), ("周末型", "工作日型")),
    ("morning", ("morning", "not in the morning"), ("早间型", "非早间型")),
    ("evening", ("evening", "not in the evening"), ("晚间型", "非晚间型")),
    ("response", ("responsive", "unresponsive"), ("爱响应活动", "少响应活动")),
    ("campaigns", ("responsive", "unresponsive"), ("活动多", "活动少")),
)


@dataclass(frozen=True)
class Difference:
    """How a cluster differs in one feature.

    `effect` is (mean of the cluster - mean of everyone) / standard deviation of everyone, on the
    transformed scale; `value` and `usual` are medians of the raw values (NaN where unknown).
    """

    feature: str
    effect: float
    value: float
    usual: float


@dataclass(frozen=True)
class Portrait:
    """One cluster: its short name and its sentence in both languages, its differences, largest
    first."""

    label: str
    label_zh: str
    words: str
    words_zh: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Meaning:
    """What a feature is, for people: meaning in both languages, and its unit."""

    en: str
    zh: str
    unit: str = ""


def describe_clusters(
    clusters: Clusters,
    values: np.ndarray,
    names: Sequence[str],
    meanings: Mapping[str, Meaning],
    *,
    exponent: int = 2,
) -> tuple[Portrait, ...]:
    """A portrait of each cluster, in order of its number.

    Parameters
    ----------
    clusters
        What `find_clusters` gave for `values` and `names`.
    values, names
        The (n, d) raw values and (d,) feature names.
    meanings
        What each feature is; a feature without one is called by its name.
    exponent
        Digits after the point of the currency, to write `minor units` as money.

    Notes
    -----
    Differences below 0.3 standard deviations, and those whose medians point the other way, are
    not worth a word; a cluster without any is
    called typical. Names are made unique by further differences, then by a number.
    """
    if not clusters.k:
        return ()
    found = [_differences(clusters, values, names, group) for group in range(clusters.k)]
    labels = _name_all(found)
    portraits = []
    for differences, (label, label_zh) in zip(found, labels, strict=True):
        clear = [d for d in differences if _is_clear(d)][:_MOST]
        said = [_say(d, meanings.get(d.feature), exponent) for d in clear]
        portraits.append(
            Portrait(
                label=label,
                label_zh=label_zh,
                words="; ".join(en for en, _ in said) or "close to the average in everything",
                words_zh="；".join(zh for _, zh in said) or "各方面都接近平均水平",
                differences=tuple(differences),
            )
        )
    return tuple(portraits)


def _differences(
    clusters: Clusters, values: np.ndarray, names: Sequence[str], group: int
) -> list[Difference]:
    mine = clusters.labels == group
    base, spread = clusters.scaled.mean(axis=0), clusters.scaled.std(axis=0)
    effects = (clusters.scaled[mine].mean(axis=0) - base) / np.where(spread > 0, spread, 1.0)
    made = []
    for feature, effect in zip(clusters.names, effects, strict=True):
        raw = values[:, list(names).index(feature)]
        made.append(Difference(feature, float(effect), _middle(raw[mine]), _middle(raw)))
    return sorted(made, key=lambda d: (-round(abs(d.effect), 9), d.feature))


def _middle(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else math.nan


def _is_clear(difference: Difference) -> bool:
    """Whether the difference is worth a word: large enough, and not against the medians shown."""
    against = (difference.value - difference.usual) * difference.effect < 0
    return abs(difference.effect) >= _CLEAR and not against


def _name_all(found: Sequence[Sequence[Difference]]) -> list[tuple[str, str]]:
    """A name of each cluster from its strongest words; one more word while two are the same."""
    words = [_adjectives(differences) for differences in found]
    width = [min(2, len(mine)) for mine in words]
    names = [_join(mine[:n]) for mine, n in zip(words, width, strict=True)]
    for _ in range(_MOST):
        for index, mine in enumerate(words):
            if names.count(names[index]) > 1 and width[index] < len(mine):
                width[index] += 1
        names = [_join(mine[:n]) for mine, n in zip(words, width, strict=True)]
    seen: dict[tuple[str, str], int] = {}
    unique = []
    for en, zh in names:
        number = seen[en, zh] = seen.get((en, zh), 0) + 1
        unique.append((en, zh) if number == 1 else (f"{en} {number}", f"{zh}{number}"))
    return unique


def _join(words: Sequence[tuple[str, str]]) -> tuple[str, str]:
    if not words:
        return "Typical", "普通客户"
    en = ", ".join(en for en, _ in words)
    return en[0].upper() + en[1:], "·".join(zh for _, zh in words)


def _adjectives(differences: Sequence[Difference]) -> list[tuple[str, str]]:
    made: list[tuple[str, str]] = []
    for difference in differences:
        if not _is_clear(difference):
            continue
        side = 0 if difference.effect > 0 else 1
        feature = difference.feature
        unknown = (f"{('high', 'low')[side]} {feature}", f"{feature}{('高', '低')[side]}")
        word = next(
            ((en[side], zh[side]) for start, en, zh in _ADJECTIVES if feature.startswith(start)),
            unknown,
        )
        if word not in made:
            made.append(word)
    return made


def _say(difference: Difference, meaning: Meaning | None, exponent: int) -> tuple[str, str]:
    """One difference as a clause: how much more or less, and the medians behind it."""
    meaning = meaning or Meaning(difference.feature, difference.feature)
    strong, more = abs(difference.effect) >= _STRONG, difference.effect > 0
    amount = ("much " if strong else "") + ("higher" if more else "lower")
    amount_zh = ("明显" if strong else "") + ("偏高" if more else "偏低")
    value = _write(difference.value, meaning.unit, exponent)
    usual = _write(difference.usual, meaning.unit, exponent)
    if value == usual:  # medians that look the same would only confuse
        return f"{meaning.en}: {amount}", f"{meaning.zh}{amount_zh}"
    return (
        f"{meaning.en}: {amount} ({value} against {usual})",
        f"{meaning.zh}{amount_zh}({value},全体为 {usual})",
    )


def _write(value: float, unit: str, exponent: int) -> str:
    if math.isnan(value):
        return "–"
    if unit == "minor units":
        return f"{value / 10**exponent:,.{exponent}f}"
    if unit == "[0, 1]":
        return f"{value:.0%}" if abs(value) >= 0.1 or value == 0 else f"{value:.1%}"
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:.2g}"

"""Why a number changed between two spans: the fewest groups that explain it, and in words.

A change is a sum over cells (customers new or returning, category, region, channel), so what each
group gave adds up exactly. Which few groups to name is a choice: those whose share of the change is
most above their share of what there was before; where everything moved alike, none is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.status import NO_UNITS, OK, ZERO_BASELINE

ENOUGH = 0.7
"""Groups are named until they explain this share of the change."""
MOST = 3
LEAST_EXCESS = 0.1  # a group less concentrated than this is not named
_DEEPER = 0.03  # what a narrower group must gain for each further dimension
ALIKE, WITHIN_NOISE, NO_CHANGE = "alike", "within_noise", "no_change"
UNKNOWN = "(unknown)"

DIMENSIONS: Mapping[str, tuple[str, str]] = {
    "category": ("category {}", "品类“{}”"), "region": ("region {}", "地区“{}”"),
    "channel": ("channel {}", "渠道“{}”"), "customer_kind": ("{}", "{}"),
}  # fmt: skip
VALUES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("customer_kind", "new"): ("new customers", "新客"),
    ("customer_kind", "returning"): ("returning customers", "老客"),
    ("customer_kind", "nobody"): ("unknown customers", "未识别客户"),
}


@dataclass(frozen=True)
class Part:
    """A group of cells and what it gave to the change; parts do not overlap.

    `share` of the whole change; negative where it went against it.
    """

    where: tuple[tuple[str, str], ...]
    before: float
    after: float
    share: float

    @property
    def change(self) -> float:
        """After less before."""
        return self.after - self.before


@dataclass(frozen=True)
class Explanation:
    """The change, the parts that explain it, and what is left.

    `status`: `ok`; `alike` (all groups moved in step: none is named); `within_noise` (as large as
    usual: `usual` is the share within which 95 of 100 changes lie); `no_change`; `no_units`;
    `zero_baseline`. Parts and `rest` add up to the change whatever the status.
    """

    before: float
    after: float
    parts: tuple[Part, ...]
    rest: Part
    usual: float
    status: str

    @property
    def share(self) -> float:
        """The change as a share of what there was before."""
        return (self.after - self.before) / abs(self.before) if self.before else float("nan")

    def words(self, *, what: tuple[str, str] = ("Revenue", "销售额")) -> dict[str, str]:
        """One or two sentences, `en` and `zh`; `what` names the number in both."""
        return _say(self, what)


def explain_change(
    cells: Mapping[str, Sequence[object]],
    before: object,
    after: object,
    *,
    past_changes: Sequence[float] = (),
    deepest: int = 3,
) -> Explanation:
    """The fewest groups that explain a change.

    Parameters
    ----------
    cells
        Dimension → (n,) values: which group each of n cells belongs to in it. None is `(unknown)`.
    before, after
        (n,) the number in each cell, in spans of the same length.
    past_changes
        Changes (as shares) between earlier spans of that length: what is usual. Fewer than five say
        nothing.
    deepest
        Dimensions at most that a group is named by.

    Raises
    ------
    InvalidParameter
        If the columns differ in length or hold gaps.

    Examples
    --------
    >>> found = explain_change({"category": ["shoes", "hats"]}, [100, 50], [60, 52])
    >>> found.parts[0].where, round(found.parts[0].share, 2)
    """
    then, now = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    named = {
        name: np.array([UNKNOWN if one is None or one != one else str(one) for one in column])
        for name, column in cells.items()
    }
    if then.shape != now.shape or any(len(one) != len(then) for one in named.values()):
        raise InvalidParameter("cells, before and after differ in length")
    if not np.isfinite(then + now).all():
        raise InvalidParameter("a number is missing or infinite")
    total, was = float((now - then).sum()), float(then.sum())
    usual = _usual(past_changes)
    if len(then) == 0:
        return Explanation(0.0, 0.0, (), Part((), 0.0, 0.0, 0.0), usual, NO_UNITS)
    if abs(total) <= 1e-9 * max(1.0, float(np.abs(then).sum())):
        return _end(then, now, [], np.ones(len(then), bool), usual, NO_CHANGE)
    picked, left = _pick(named, then, now, min(deepest, len(named)))
    status = OK if picked else ALIKE
    if was == 0:
        status = ZERO_BASELINE
    elif abs(total / was) <= usual:
        status = WITHIN_NOISE
    return _end(then, now, picked, left, usual, status)


def _usual(past: Sequence[float]) -> float:
    """Within how large a share of change 95 of 100 lie; 0 where too few are known."""
    seen = np.abs(np.array([one for one in past if np.isfinite(one)], dtype=float))
    if len(seen) < 5:
        return 0.0
    return float(1.96 * np.sqrt((np.minimum(seen, 4 * np.median(seen) + 1e-12) ** 2).mean()))


def _pick(
    named: Mapping[str, np.ndarray], then: np.ndarray, now: np.ndarray, deepest: int
) -> tuple[list[tuple[tuple[tuple[str, str], ...], np.ndarray]], np.ndarray]:
    """Groups (name, which cells) one after the other, and which cells are left."""
    delta, left = now - then, np.ones(len(then), dtype=bool)
    total, was = float(delta.sum()), float(np.abs(then).sum()) or 1.0
    picked: list[tuple[tuple[tuple[str, str], ...], np.ndarray]] = []
    explained = 0.0
    while len(picked) < MOST and explained < ENOUGH:
        best: tuple[float, tuple[tuple[str, str], ...], np.ndarray] | None = None
        for where, mine in _groups(named, left, deepest):
            share = float(delta[mine].sum()) / total
            # what it would have given, had all that is left moved alike
            fair = float(np.abs(then[mine]).sum()) / was * (1 - explained)
            gain = min(share, 1.2) - fair - _DEEPER * (len(where) - 1)
            if best is None or gain > best[0] + 1e-9:
                best = (gain, where, mine)
        if best is None or best[0] < LEAST_EXCESS:
            break
        picked.append((best[1], best[2]))
        explained += float(delta[best[2]].sum()) / total
        left = left & ~best[2]
    return picked, left


def _groups(
    named: Mapping[str, np.ndarray], left: np.ndarray, deepest: int
) -> Iterator[tuple[tuple[tuple[str, str], ...], np.ndarray]]:
    """All groups of cells by one to `deepest` dimensions, the widest first."""
    for depth in range(1, deepest + 1):
        for names in combinations(named, depth):
            values = [sorted(set(named[name][left].tolist())) for name in names]
            for chosen in product(*values):
                mine = left.copy()
                for name, value in zip(names, chosen, strict=True):
                    mine &= named[name] == value
                if mine.any():
                    yield tuple(zip(names, chosen, strict=True)), mine


def _end(
    then: np.ndarray, now: np.ndarray, picked: list, left: np.ndarray, usual: float, status: str
) -> Explanation:
    total = float((now - then).sum())

    def part(where: tuple[tuple[str, str], ...], mine: np.ndarray) -> Part:
        old, new = float(then[mine].sum()), float(now[mine].sum())
        return Part(where, old, new, (new - old) / total if total else 0.0)

    return Explanation(
        float(then.sum()), float(now.sum()), tuple(part(*one) for one in picked),
        part((), left), usual, status,
    )  # fmt: skip


def name_group(where: Sequence[tuple[str, str]], language: int) -> str:
    """A group in words: 0 English, 1 Chinese."""
    order = ("customer_kind", "category", "region", "channel")
    ranked = sorted(where, key=lambda one: order.index(one[0]) if one[0] in order else len(order))
    said = [
        VALUES[one][language]
        if one in VALUES
        else DIMENSIONS.get(one[0], (one[0] + " {}", one[0] + "“{}”"))[language].format(one[1])
        for one in ranked
    ]
    if ranked[0][0] != "customer_kind" or len(said) == 1:
        return (", ", "、")[language].join(said)
    rest = (", ", "、")[language].join(said[1:])
    return f"{said[0]} in {rest}" if language == 0 else f"{rest}的{said[0]}"


def _say(found: Explanation, what: tuple[str, str]) -> dict[str, str]:
    if found.status == NO_UNITS:
        return {"en": f"{what[0]}: nothing to compare.", "zh": f"{what[1]}：没有可比较的数据。"}
    if found.status == ZERO_BASELINE or found.before == 0:
        return {"en": f"{what[0]}: nothing before to compare with.",
                "zh": f"{what[1]}：此前没有可比较的数据。"}  # fmt: skip
    change = f"{found.share * 100:+.1f} %".replace("-", "−")
    if found.status == NO_CHANGE:
        return {"en": f"{what[0]} did not change.", "zh": f"{what[1]}没有变化。"}
    en, zh = f"{what[0]} {change}", f"{what[1]} {change.replace(' %', '%')}"
    if found.parts:
        en += ": " + ", ".join(f"{p.share:.0%} from {name_group(p.where, 0)}" for p in found.parts)
        zh += "：" + "，".join(
            f"{p.share:.0%} 来自{name_group(p.where, 1)}" for p in found.parts
        )  # fmt: skip
    else:
        en += ": all groups moved alike"
        zh += "：各部分同步变动"
    en, zh = en + ".", zh + "。"
    if found.status == WITHIN_NOISE:
        en += f" That is within what is usual (±{found.usual:.0%})."
        zh += f"这在正常波动范围内（±{found.usual:.0%}）。"
    return {"en": en, "zh": zh}


@dataclass(frozen=True)
class Effects:
    """A change of revenue by cause; the four add up to it exactly."""

    volume: float
    price: float
    mix: float
    range_: float

    @property
    def total(self) -> float:
        """The whole change."""
        return self.volume + self.price + self.mix + self.range_


def split_effects(
    units_before: object, revenue_before: object, units_after: object, revenue_after: object
) -> Effects:
    """Volume, price, mix and range of a change of revenue.

    Parameters
    ----------
    units_before, revenue_before, units_after, revenue_after
        (n,) of each product (or category).

    Returns
    -------
    `volume`: more units at the old average price; `mix`: dearer products among them; `price`: the
    same products at other prices; `range_`: products sold (in units above 0) in one span alone.

    Raises
    ------
    InvalidParameter
        If the columns differ in length.
    """
    q0, r0, q1, r1 = (
        np.asarray(one, dtype=float)
        for one in (units_before, revenue_before, units_after, revenue_after)
    )
    if not q0.shape == r0.shape == q1.shape == r1.shape:
        raise InvalidParameter("the columns differ in length")
    both = (q0 > 0) & (q1 > 0)
    outside = float((r1 - r0)[~both].sum())
    if not both.any():
        return Effects(0.0, 0.0, 0.0, outside)
    old, new, was, now = q0[both], q1[both], r0[both], r1[both]
    volume = float((new.sum() - old.sum()) * was.sum() / old.sum())
    price = float((now - new * was / old).sum())
    mix = float((new * was / old).sum() - was.sum()) - volume
    return Effects(volume, price, mix, outside)

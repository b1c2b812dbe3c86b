"""Who moved from which segment to which between two days, who is new and who was lost, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import pandas as pd

from zhiyin.core import columns as c
from zhiyin.core.arguments import show
from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.segment.preparing import need_columns, read_times
from zhiyin.understand.segment.rfm import SEGMENTS

NEW, LOST = "(new)", "(lost)"
_MOST_SAID = 3
_NAMES = {one.name: (one.label, one.label_zh) for one in SEGMENTS}


@dataclass(frozen=True)
class Flow:
    """Customers who went from one segment to another; `share` is of those before in `source`."""

    source: str
    target: str
    customers: int
    share: float


@dataclass(frozen=True)
class Balance:
    """One segment's account: before + entered + new - left - lost = after.

    `stayed` are in it on both days; `entered` and `left` came from and went to other segments;
    `new` were in no segment before, `lost` are in none after.
    """

    segment: str
    before: int
    after: int
    stayed: int
    entered: int
    left: int
    new: int
    lost: int


@dataclass(frozen=True, eq=False)
class Movement:
    """Movement between segments from one day to a later one.

    Attributes
    ----------
    start, end
        The two days.
    counts
        Customers by segment before (rows, `(new)` last) and after (columns, `(lost)` last). Rows
        sum to the sizes before, columns to the sizes after.
    balances
        The account of every segment, by name.
    flows
        Moves between different segments, largest first.
    words, words_zh
        The largest flows in both languages.
    """

    start: date
    end: date
    counts: pd.DataFrame
    balances: tuple[Balance, ...]
    flows: tuple[Flow, ...]
    words: str
    words_zh: str

    @property
    def shares(self) -> pd.DataFrame:
        """`counts` as shares of each row: where customers of a segment went."""
        return self.counts.div(self.counts.sum(axis=1).clip(lower=1), axis=0)

    @property
    def stayed(self) -> float:
        """Share of customers known on both days who did not change their segment."""
        both = sum(one.stayed + one.left for one in self.balances)
        return sum(one.stayed for one in self.balances) / both if both else float("nan")

    def table(self) -> pd.DataFrame:
        """One row per segment: its account."""
        return pd.DataFrame([vars(one) for one in self.balances]).set_index("segment")


def measure_movement(
    before: pd.Series,
    after: pd.Series,
    *,
    start: date,
    end: date,
    names: Mapping[str, tuple[str, str]] | None = None,
) -> Movement:
    """Movement between two days.

    Parameters
    ----------
    before, after
        Segment of each customer, indexed by customer, each once. Missing: in no segment.
    start, end
        The days of the two, `start` before `end`.
    names
        English and Chinese name of each segment, for the words; those of RFM are known.

    Raises
    ------
    InvalidParameter
        If a customer is named twice, or the days are not in order.
    NotEnoughData
        If either day has no customer.

    Examples
    --------
    >>> import pandas as pd
    >>> from datetime import date
    >>> january = pd.Series({"a": "loyal", "b": "loyal", "c": "new"})
    >>> april = pd.Series({"a": "loyal", "b": "at risk", "d": "new"})
    >>> moved = measure_movement(january, april, start=date(2026, 1, 1), end=date(2026, 4, 1))
    >>> moved.counts.loc["loyal"].to_dict()
    {'at risk': 1, 'loyal': 1, 'new': 0, '(lost)': 0}
    """
    for name, day in (("start", start), ("end", end)):
        if not isinstance(day, date):
            raise InvalidParameter(f"{name} is {show(day)}, not a date", hint="date(2026, 1, 31)")
    if names is not None and not isinstance(names, Mapping):
        raise InvalidParameter(f"names is {show(names)}", hint='names={"loyal": ("Loyal", "忠诚")}')
    if start >= end:
        raise InvalidParameter(f"{start} is not before {end}", hint="give the earlier day first")
    before, after = _check(before, start), _check(after, end)
    segments = sorted({*before.unique(), *after.unique()})
    if clash := {NEW, LOST} & set(segments):
        raise InvalidParameter(f"a segment is called {min(clash)}", hint="give it another name")
    pairs = pd.concat([before, after], axis=1, keys=["before", "after"])
    counts = pd.crosstab(pairs["before"].fillna(NEW), pairs["after"].fillna(LOST)).reindex(
        index=[*segments, NEW], columns=[*segments, LOST], fill_value=0
    )
    counts.index.name, counts.columns.name = "before", "after"
    balances = tuple(_balance(counts, segment, segments) for segment in segments)
    flows = _flows(counts, segments)
    words, words_zh = _say(counts, flows, balances, start, end, {**_NAMES, **(names or {})})
    return Movement(start, end, counts, balances, flows, words, words_zh)


def track_movement(
    memberships: pd.DataFrame,
    *,
    customer: str = c.CUSTOMER_ID,
    day: str = c.AS_OF_ON,
    segment: str = c.SEGMENT,
    names: Mapping[str, tuple[str, str]] | None = None,
) -> tuple[Movement, ...]:
    """Movement from each day to the next, of memberships of two or more days.

    Parameters
    ----------
    memberships
        One row per customer and day: the columns `customer`, `day`, `segment`. Rows of one scheme
        only.
    names
        English and Chinese name of each segment, for the words; those of RFM are known.

    Raises
    ------
    InvalidParameter
        If a column is missing, or a customer is named twice on a day.
    NotEnoughData
        If there are fewer than two days.
    """
    need_columns(memberships, (customer, day, segment))
    days = read_times(memberships[day], day).dt.date
    by_day = {
        of: memberships.loc[days == of].set_index(customer)[segment] for of in sorted(days.unique())
    }
    if len(by_day) < 2:
        raise NotEnoughData(
            f"memberships of {len(by_day)} day, movement needs two",
            hint="keep the memberships of an earlier day: `zhiyin run` writes one set a day",
        )
    ordered = list(by_day)
    return tuple(
        measure_movement(by_day[one], by_day[two], start=one, end=two, names=names)
        for one, two in pairwise(ordered)
    )


def _check(segments: pd.Series, day: date) -> pd.Series:
    if not isinstance(segments, pd.Series):
        raise InvalidParameter(
            f"the segments of {day} are {show(segments)}",
            hint="give a pandas Series: the segment by customer, her id as its index",
        )
    if twice := int(segments.index.duplicated().sum()):
        raise InvalidParameter(
            f"{twice} rows of {day} name a customer again",
            hint="give one row per customer, and one scheme only",
        )
    known = segments.dropna()
    if not len(known):
        raise NotEnoughData(f"no customer is in a segment on {day}")
    return known.astype(str)


def _balance(counts: pd.DataFrame, segment: str, segments: list[str]) -> Balance:
    row, column = counts.loc[segment], counts[segment]
    stayed = int(row[segment])
    return Balance(
        segment,
        before=int(row.sum()),
        after=int(column.sum()),
        stayed=stayed,
        entered=int(column[segments].sum()) - stayed,
        left=int(row[segments].sum()) - stayed,
        new=int(column[NEW]),
        lost=int(row[LOST]),
    )


def _flows(counts: pd.DataFrame, segments: list[str]) -> tuple[Flow, ...]:
    found = []
    for source in segments:
        size = int(counts.loc[source].sum())
        for target in segments:
            customers = int(counts.loc[source, target])  # pyright: ignore[reportArgumentType]
            if source != target and customers:
                found.append(Flow(source, target, customers, customers / size))
    return tuple(sorted(found, key=lambda one: (-one.customers, one.source, one.target)))


def _say(
    counts: pd.DataFrame,
    flows: tuple[Flow, ...],
    balances: tuple[Balance, ...],
    start: date,
    end: date,
    names: Mapping[str, tuple[str, str]],
) -> tuple[str, str]:
    stayed, left = sum(one.stayed for one in balances), sum(one.left for one in balances)
    new, lost = int(counts.loc[NEW].sum()), int(counts[LOST].sum())
    en, zh = [], []
    if stayed + left:
        en.append(f"{stayed / (stayed + left):.0%} of {stayed + left:,} customers stayed")
        zh.append(f"{stayed + left:,} 位客户中 {stayed / (stayed + left):.0%} 未换群")
    for flow in flows[:_MOST_SAID]:
        source, target = (names.get(one, (one, one)) for one in (flow.source, flow.target))
        en.append(
            f"{flow.customers:,} went from {source[0]} to {target[0]} ({flow.share:.0%} of them)"
        )
        zh.append(f"{flow.customers:,} 位由「{source[1]}」转入「{target[1]}」(占 {flow.share:.0%})")
    en.append(f"{new:,} are new, {lost:,} were lost")
    zh.append(f"新增 {new:,} 位，流失 {lost:,} 位")
    return f"{start} to {end}: " + "; ".join(en), f"{start} 至 {end}：" + "；".join(zh)

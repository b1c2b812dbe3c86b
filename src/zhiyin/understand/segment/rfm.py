# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false
# pyright: reportArgumentType=false, reportReturnType=false
# (Ibis types a column of a table as one that can do nothing)
"""RFM: recency, frequency and monetary value, scored 1..5, and the named segments of the scores.

| segment | zh | r | f | m |
|---|---|---|---|---|
| champions | 重要价值客户 | 4-5 | 4-5 | 4-5 |
| loyal | 忠诚客户 | 4-5, or 3 | 4-5 | 1-3, or any where r is 3 |
| big_spenders | 重要发展客户 | 3-5 | 1-3 | 4-5 |
| new | 新近客户 | 4-5 | 1 | 1-3 |
| promising | 潜力客户 | 3-5 | 2-3 | 1-3 |
| need_attention | 待关注客户 | 3 | 1 | 1-3 |
| cannot_lose | 重要挽留客户 | 1-2 | 4-5 | 4-5 |
| at_risk | 流失风险客户 | 1-2 | 4-5 / 1-3 / 3 | 1-3 / 4-5 / 1-3 |
| hibernating | 沉睡客户 | 2 | 1-2 | 1-3 |
| lost | 流失客户 | 1 | 1-2 | 1-3 |

Every one of the 125 score triples is in exactly one row (tested).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.errors import InvalidParameter

BINS = 5
_DAY_S = 86_400

Range = tuple[int, int]


@dataclass(frozen=True)
class Segment:
    """A named group of score triples: `boxes` are inclusive (r, f, m) ranges, any of which holds.

    `words` say what the group did; `advice` what to do, both in English and Chinese.
    """

    name: str
    label: str
    label_zh: str
    boxes: tuple[tuple[Range, Range, Range], ...]
    words: str
    words_zh: str
    advice: str
    advice_zh: str

    def holds(self, r: int, f: int, m: int) -> bool:
        """Whether the triple is in one of the boxes."""
        return any(
            all(low <= score <= high for score, (low, high) in zip((r, f, m), box, strict=True))
            for box in self.boxes
        )


_HIGH, _LOW, _ANY = (4, 5), (1, 3), (1, 5)

SEGMENTS: tuple[Segment, ...] = (
    Segment(
        "champions", "Champions", "重要价值客户", ((_HIGH, _HIGH, _HIGH),),
        "bought lately, often, and for much", "最近买过、买得多、花得多",
        "reward them; show what is new first", "优先给予权益与新品，维系关系",
    ),
    Segment(
        "loyal", "Loyal", "忠诚客户", ((_HIGH, _HIGH, _LOW), ((3, 3), _HIGH, _ANY)),
        "buy often, and not long ago", "购买频繁且近期到过",
        "offer bundles and a membership", "推荐组合购买与会员计划",
    ),
    Segment(
        "big_spenders", "Big spenders", "重要发展客户", (((3, 5), _LOW, _HIGH),),
        "spend much in few orders", "次数不多但花费高",
        "give a reason to come more often", "用复购提醒提高到店频次",
    ),
    Segment(
        "new", "New and recent", "新近客户", ((_HIGH, (1, 1), _LOW),),
        "came lately, hardly before", "最近刚来、以往很少购买",
        "welcome them; make the second order easy", "做好欢迎与第二单引导",
    ),
    Segment(
        "promising", "Promising", "潜力客户", (((3, 5), (2, 3), _LOW),),
        "came lately, buy now and then, spend little", "近期到过、偶尔购买、花费不高",
        "widen what they buy", "推荐更多品类以提升客单",
    ),
    Segment(
        "need_attention", "Need attention", "待关注客户", (((3, 3), (1, 1), _LOW),),
        "bought little, some time ago", "购买少且有一段时间没来",
        "remind them once", "适度提醒",
    ),
    Segment(
        "cannot_lose", "Cannot lose", "重要挽留客户", (((1, 2), _HIGH, _HIGH),),
        "bought often and much, stay away longer than others",
        "曾常买且花费高，近来比多数人更久未到",
        "win them back in person", "重点挽回，可一对一沟通",
    ),
    Segment(
        "at_risk", "At risk", "流失风险客户",
        (((1, 2), _HIGH, _LOW), ((1, 2), _LOW, _HIGH), ((1, 2), (3, 3), _LOW)),
        "were regular or spent much, stay away longer than others",
        "曾较活跃或花费较高，近来比多数人更久未到",
        "send a reminder with a reason to return", "用有吸引力的优惠唤回",
    ),
    Segment(
        "hibernating", "Hibernating", "沉睡客户", (((2, 2), (1, 2), _LOW),),
        "bought little, long ago", "很久以前少量购买",
        "contact rarely and cheaply", "低成本、低频触达",
    ),
    Segment(
        "lost", "Lost", "流失客户", (((1, 1), (1, 2), _LOW),),
        "bought little, longest ago", "少量购买且最久未到",
        "do not spend on them", "不再投入预算",
    ),
)  # fmt: skip


def measure_rfm(orders: ir.Table, *, as_of: date, zone: str = "UTC") -> ir.Table:
    """Recency, frequency and monetary value of each customer before a day.

    Parameters
    ----------
    orders
        One row per order: `customer_id`, `order_id`, `ordered_at` (naive UTC),
        `amount_base_minor` (int, minor units, returns negative). Rows without a customer are
        ignored.
    as_of, zone
        Local day and its zone; orders at or after its 00:00 are ignored.

    Returns
    -------
    One row per customer with an order: `customer_id`, `recency_days` (int, 1 = within the 24
    hours before the day), `frequency` (distinct orders), `monetary_minor`.
    """
    until = naive_utc(start_of_day(as_of, zone))
    seen = orders.filter(
        orders[c.ORDERED_AT] < ibis.literal(until), orders[c.CUSTOMER_ID].notnull()
    )
    age_s = ibis.literal(until).epoch_seconds() - seen[c.ORDERED_AT].max().epoch_seconds()
    return seen.group_by(c.CUSTOMER_ID).aggregate(
        **{
            c.RECENCY_DAYS: ((age_s + _DAY_S - 1) // _DAY_S).cast("int64"),
            c.FREQUENCY: seen[c.ORDER_ID].nunique().cast("int64"),
            c.MONETARY_MINOR: seen[c.AMOUNT_BASE_MINOR].sum().cast("int64"),
        }
    )


def score_rfm(orders: ir.Table, *, as_of: date, zone: str = "UTC", bins: int = BINS) -> ir.Table:
    """Score each customer 1..`bins` on recency, frequency and monetary value.

    Parameters
    ----------
    orders, as_of, zone
        As in `measure_rfm`.
    bins
        Number of quantile bins, 2..10.

    Returns
    -------
    One row per customer with an order: `customer_id`, `recency_days`, `frequency`,
    `monetary_minor`, `r_score`, `f_score`, `m_score` (int, 1 = worst).

    Raises
    ------
    InvalidParameter
        If `bins` is outside 2..10.

    Notes
    -----
    Ties share a bin: the score is 1 + floor(bins x mid-rank / n), the mid-rank of a value being
    the number of worse customers plus half of those equal to it. Source: Hughes (1994),
    *Strategic Database Marketing*.

    Examples
    --------
    >>> from datetime import date, datetime
    >>> import ibis
    >>> rows = [("a", "1", datetime(2026, 1, 1), 500), ("b", "2", datetime(2026, 3, 1), 900)]
    >>> names = ("customer_id", "order_id", "ordered_at", "amount_base_minor")
    >>> orders = ibis.memtable([dict(zip(names, row)) for row in rows])
    >>> scored = score_rfm(orders, as_of=date(2026, 3, 31), bins=2).order_by("customer_id")
    >>> scored.select("r_score", "f_score", "m_score").to_pyarrow().to_pylist()[1]
    {'r_score': 2, 'f_score': 2, 'm_score': 2}
    """
    return score_bins(measure_rfm(orders, as_of=as_of, zone=zone), bins=bins)


def score_bins(measured: ir.Table, *, bins: int = BINS) -> ir.Table:
    """Add `r_score`, `f_score` and `m_score` to what `measure_rfm` gives.

    Raises
    ------
    InvalidParameter
        If `bins` is outside 2..10.
    """
    if not 2 <= bins <= 10:
        raise InvalidParameter(f"bins is {bins}, it must be within 2..10")
    scores = {
        score: _bin(measured, value, bins=bins, descending=descending)
        for score, value, descending in (
            (c.R_SCORE, c.RECENCY_DAYS, True),  # the longest ago is the worst
            (c.F_SCORE, c.FREQUENCY, False),
            (c.M_SCORE, c.MONETARY_MINOR, False),
        )
    }
    return measured.mutate(**scores)


def name_segments(scored: ir.Table) -> ir.Table:
    """Add `segment`, the name of the segment whose box the three scores (1..5) are in."""
    branches = [(_in_boxes(scored, segment), ibis.literal(segment.name)) for segment in SEGMENTS]
    return scored.mutate(**{c.SEGMENT: ibis.cases(*branches)})


def segment_of(r: int, f: int, m: int) -> Segment:
    """The segment of one score triple.

    Raises
    ------
    InvalidParameter
        If a score is outside 1..5.
    """
    for segment in SEGMENTS:
        if segment.holds(r, f, m):
            return segment
    raise InvalidParameter(f"no segment has the scores {r}, {f}, {m}; each is within 1..5")


def _bin(measured: ir.Table, value: str, *, bins: int, descending: bool) -> ir.IntegerValue:
    """1 + floor(bins x (2 worse + equal) / (2 n)) in whole numbers: equal on every engine."""
    column = measured[value]
    worse = ibis.rank().over(order_by=column.desc() if descending else column.asc())
    equal = measured.count().over(group_by=column)
    return ((worse * 2 + equal) * bins // (measured.count().over() * 2) + 1).cast("int64")


def _in_boxes(scored: ir.Table, segment: Segment) -> ir.BooleanValue:
    names = (c.R_SCORE, c.F_SCORE, c.M_SCORE)
    found = ibis.literal(False)
    for box in segment.boxes:
        inside = ibis.literal(True)
        for name, (low, high) in zip(names, box, strict=True):
            inside = inside & scored[name].between(low, high)
        found = found | inside
    return found

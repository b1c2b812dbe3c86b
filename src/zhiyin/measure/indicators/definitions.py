"""What each indicator is, once: its two sums, its window, its unit, and which way is good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from zhiyin.core.errors import NotFound

Unit = Literal["count", "money", "share", "ratio", "score"]
Good = Literal["higher", "lower", "neither"]
Window = Literal["period", "message", "order_window", "retention_window"]
By = Literal["all", "campaign", "channel", "segment", "month", "week", "day"]

ORDER_WINDOW_DAYS: Final = 7
"""An order belongs to the last message that its customer got in so many days before it."""
RETENTION_DAYS: Final = 90

INDICATOR, COHORT, FUNNEL, ROUTE = "indicator", "cohort", "funnel", "route"
"""Kinds of rows of `results`."""

# sums over customers; every one is a whole number
SENT, DELIVERED, ADDRESSED = "sent", "delivered", "addressed"
OPENED, CLICKED = "opened", "clicked"
MACHINE_OPENED, MACHINE_CLICKED = "machine_opened", "machine_clicked"
BOUNCED, COMPLAINED, UNSUBSCRIBED = "bounced", "complained", "unsubscribed"
REDEEMED, REDEMPTIONS, CONVERTED = "redeemed", "redemptions_counted", "converted"
COST, AD_CLICKS, AD_IMPRESSIONS, ACTIONS = "cost_minor_sum", "ad_clicks", "ad_shown", "actions"
ORDERS, REVENUE = "orders_counted", "revenue_minor_sum"
CREDITED_ORDERS, CREDITED_REVENUE = "credited_orders", "credited_minor"
BUYERS, REPEATERS, EARLIER, KEPT = "buyers", "repeaters", "earlier_buyers", "kept_buyers"
CSAT_ANSWERS, CSAT_SATISFIED = "csat_answers", "csat_satisfied"
NPS_ANSWERS, NPS_BALANCE = "nps_answers", "nps_balance"

SUMS: Final[dict[str, tuple[str, str]]] = {
    SENT: ("messages that went out", "已发出的消息"),
    DELIVERED: ("messages sent that did not bounce", "已发出且未退回的消息"),
    ADDRESSED: (
        "messages sent; of campaigns whose source tells of plans alone, those planned",
        "已发出的消息；若数据源只有计划，则为计划发送的消息",
    ),
    OPENED: ("messages a person opened or clicked", "被真人打开或点击的消息"),
    CLICKED: ("messages a person clicked", "被真人点击的消息"),
    MACHINE_OPENED: ("messages a machine opened", "被机器打开的消息"),
    MACHINE_CLICKED: ("messages a machine clicked", "被机器点击的消息"),
    BOUNCED: ("messages that bounced", "被退回的消息"),
    COMPLAINED: ("messages complained about", "被投诉的消息"),
    UNSUBSCRIBED: ("messages answered by unsubscribing", "引起退订的消息"),
    REDEEMED: ("messages whose offer was redeemed", "优惠被核销的消息"),
    REDEMPTIONS: ("offers redeemed", "核销次数"),
    CONVERTED: (
        f"messages whose customer ordered within {ORDER_WINDOW_DAYS} days, no later message "
        "between",
        f"客户在 {ORDER_WINDOW_DAYS} 天内下单、且其间没有后续消息的消息",
    ),
    COST: ("cost of messages, and media spend", "消息费用与媒体花费"),
    AD_CLICKS: ("clicks that the spend table tells of", "花费表记录的点击"),
    AD_IMPRESSIONS: ("impressions that the spend table tells of", "花费表记录的曝光"),
    ACTIONS: ("messages a person clicked, and clicks on ads", "被真人点击的消息与广告点击"),
    ORDERS: ("orders of known customers", "已知客户的订单"),
    REVENUE: ("revenue of known customers, net of returns", "已知客户的净收入（扣除退货）"),
    CREDITED_ORDERS: (
        f"orders within {ORDER_WINDOW_DAYS} days of a message, each of the last one",
        f"消息后 {ORDER_WINDOW_DAYS} 天内的订单，归于最后一条消息",
    ),
    CREDITED_REVENUE: ("revenue of those orders", "上述订单的收入"),
    BUYERS: ("customers with an order", "有订单的客户"),
    REPEATERS: ("customers with two orders or more", "有两笔及以上订单的客户"),
    EARLIER: (
        f"customers with an order in the {RETENTION_DAYS} days before the last {RETENTION_DAYS}",
        f"在最近 {RETENTION_DAYS} 天之前的 {RETENTION_DAYS} 天内下过单的客户",
    ),
    KEPT: (
        f"those of them with an order in the last {RETENTION_DAYS} days",
        f"其中在最近 {RETENTION_DAYS} 天内再次下单的客户",
    ),
    CSAT_ANSWERS: ("answers to the question of satisfaction, 1 to 5", "满意度问题（1–5 分）的回答"),
    CSAT_SATISFIED: ("answers of 4 or 5", "4 分或 5 分的回答"),
    NPS_ANSWERS: (
        "answers to the question of recommending, 0 to 10", "推荐意愿问题（0–10 分）的回答",
    ),
    NPS_BALANCE: ("answers of 9 or 10 minus answers of 0 to 6", "9–10 分的回答减去 0–6 分的回答"),
}  # fmt: skip
"""Sum → what is added up, in English and Chinese."""

NOTHING: Final = ""
"""The denominator of an indicator that is a sum itself."""
MONEY_SUMS: Final = frozenset({COST, REVENUE, CREDITED_REVENUE})


@dataclass(frozen=True)
class Indicator:
    """One indicator: `numerator` over `denominator`, both names of `SUMS`.

    With `margin` the numerator is multiplied by the margin rate; with `less_one` 1 is taken off
    what is left (ROI). `window`: `period` counts what happened in it, `message` follows messages
    of the period to its end, the others are `ORDER_WINDOW_DAYS` and `RETENTION_DAYS`. `credited`
    says that it shares out revenue: the caused figure belongs beside it.
    """

    key: str
    en: str
    zh: str
    means_en: str
    means_zh: str
    numerator: str
    denominator: str = NOTHING
    unit: Unit = "count"
    good: Good = "higher"
    window: Window = "message"
    margin: bool = False
    less_one: bool = False
    credited: bool = False
    by: tuple[By, ...] = ("all", "campaign", "channel", "segment", "month", "week", "day")


_SHOP: tuple[By, ...] = ("all", "segment", "month", "week", "day")
_ONCE: tuple[By, ...] = ("all", "segment")
_MEDIA: tuple[By, ...] = ("all", "campaign", "channel", "month", "week", "day")

_ALL = (
    Indicator(
        "sent", "Sent", "发送量", "How many messages went out.", "发出了多少条消息。", SENT,
        good="neither",
    ),
    Indicator(
        "delivered", "Delivered", "送达量", "How many of them did not bounce.",
        "其中未被退回的消息数。", DELIVERED,
    ),
    Indicator(
        "delivery_rate", "Delivery rate", "送达率",
        "Share of messages sent that did not bounce.", "已发消息中未被退回的比例。",
        DELIVERED, SENT, unit="share",
    ),
    Indicator(
        "opens", "Unique opens", "独立打开数",
        "Messages that a person opened; a click is an open whose picture was not shown.",
        "被真人打开的消息数；点击也算打开（图片可能未显示）。", OPENED,
    ),
    Indicator(
        "open_rate", "Open rate", "打开率",
        "Share of delivered messages that a person opened; mailboxes that load pictures "
        "themselves hide some.",
        "送达消息中被真人打开的比例；部分邮箱代为加载图片，会漏计。",
        OPENED, DELIVERED, unit="share",
    ),
    Indicator(
        "machine_opens", "Machine opens", "机器打开数",
        "Messages that a scanner or a mailbox's proxy opened, counted apart from people.",
        "被扫描程序或邮箱代理打开的消息数，与真人分开计。", MACHINE_OPENED, good="neither",
    ),
    Indicator(
        "clicks", "Unique clicks", "独立点击数", "Messages in which a person followed a link.",
        "真人点击过链接的消息数。", CLICKED,
    ),
    Indicator(
        "ctr", "Click rate (CTR)", "点击率（CTR）",
        "Share of delivered messages in which a person followed a link.",
        "送达消息中有真人点击的比例。", CLICKED, DELIVERED, unit="share",
    ),
    Indicator(
        "ctor", "Click-to-open rate (CTOR)", "打开后点击率（CTOR）",
        "Share of opened messages in which a person followed a link.",
        "被打开的消息中有真人点击的比例。", CLICKED, OPENED, unit="share",
    ),
    Indicator(
        "machine_clicks", "Machine clicks", "机器点击数",
        "Messages whose links a scanner followed, counted apart from people.",
        "链接被扫描程序打开的消息数，与真人分开计。", MACHINE_CLICKED, good="neither",
    ),
    Indicator(
        "ad_ctr", "Ad click rate", "广告点击率",
        "Clicks for each impression that the spend table tells of.",
        "花费表中每次曝光的点击。", AD_CLICKS, AD_IMPRESSIONS, unit="share", window="period",
        by=_MEDIA,
    ),
    Indicator(
        "cvr", "Conversion rate (CVR)", "转化率（CVR）",
        f"Share of delivered messages after which the customer ordered within "
        f"{ORDER_WINDOW_DAYS} days.",
        f"送达消息中，客户在 {ORDER_WINDOW_DAYS} 天内下单的比例。",
        CONVERTED, DELIVERED, unit="share", window="order_window", credited=True,
    ),
    Indicator(
        "redemptions", "Redemptions", "核销量", "How many offers were redeemed.",
        "优惠被核销的次数。", REDEMPTIONS,
    ),
    Indicator(
        "redemption_rate", "Redemption rate", "核销率",
        "Share of the messages addressed whose offer was redeemed.",
        "触达消息中优惠被核销的比例。", REDEEMED, ADDRESSED, unit="share",
    ),
    Indicator(
        "bounce_rate", "Bounce rate", "退回率", "Share of messages sent that bounced.",
        "已发消息中被退回的比例。", BOUNCED, SENT, unit="share", good="lower",
    ),
    Indicator(
        "complaint_rate", "Complaint rate", "投诉率",
        "Share of delivered messages that were reported as spam.",
        "送达消息中被举报为垃圾信息的比例。", COMPLAINED, DELIVERED, unit="share", good="lower",
    ),
    Indicator(
        "unsubscribe_rate", "Unsubscribe rate", "退订率",
        "Share of delivered messages after which the customer unsubscribed.",
        "送达消息中引起退订的比例。", UNSUBSCRIBED, DELIVERED, unit="share", good="lower",
    ),
    Indicator(
        "cost", "Cost", "成本", "What messages and media cost.", "消息与媒体的费用。", COST,
        unit="money", good="lower", window="period",
    ),
    Indicator(
        "revenue", "Revenue", "收入",
        "What known customers paid, net of returns; by campaign and channel it is shared out to "
        "the last message, and the rest has no campaign.",
        "已知客户的净收入；按活动与渠道时归于最后一条消息，其余不属于任何活动。", REVENUE,
        unit="money", window="period", credited=True,
    ),
    Indicator(
        "margin", "Margin", "毛利", "Revenue times the margin rate that the shop assumes.",
        "收入乘以店铺设定的毛利率。", REVENUE, unit="money", window="period", margin=True,
        credited=True,
    ),
    Indicator(
        "orders", "Orders", "订单数", "Orders of known customers.", "已知客户的订单数。", ORDERS,
        window="period", credited=True,
    ),
    Indicator(
        "credited_revenue", "Revenue after messages", "消息后收入",
        f"Revenue of orders within {ORDER_WINDOW_DAYS} days of a message: what came after it, not "
        "what it caused.",
        f"消息后 {ORDER_WINDOW_DAYS} 天内订单的收入：只说明先后，不说明因果。", CREDITED_REVENUE,
        unit="money", window="order_window", credited=True,
    ),
    Indicator(
        "roas", "ROAS", "广告支出回报率（ROAS）",
        "Revenue after messages for each unit of money spent; not what the money caused.",
        "每花费一元对应的消息后收入；不说明因果。", CREDITED_REVENUE, COST, unit="ratio",
        window="order_window", credited=True, by=_MEDIA,
    ),
    Indicator(
        "roi", "ROI", "投资回报率（ROI）",
        "Margin after messages less their cost, for each unit of money spent; not what the money "
        "caused.",
        "（消息后毛利减成本）除以成本；不说明因果。", CREDITED_REVENUE, COST, unit="ratio",
        window="order_window", margin=True, less_one=True, credited=True, by=_MEDIA,
    ),
    Indicator(
        "cost_per_click", "Cost per action (click)", "单次行动成本（点击）",
        "Cost for each message that a person clicked and each click on an ad.",
        "每条被真人点击的消息或每次广告点击的成本。", COST, ACTIONS, unit="money", good="lower",
        by=_MEDIA,
    ),
    Indicator(
        "cost_per_order", "Cost per order", "单笔订单成本",
        f"Cost for each order within {ORDER_WINDOW_DAYS} days of a message.",
        f"消息后 {ORDER_WINDOW_DAYS} 天内每笔订单的成本。", COST, CREDITED_ORDERS, unit="money",
        good="lower", window="order_window", credited=True, by=_MEDIA,
    ),
    Indicator(
        "average_order", "Average order", "客单价", "Revenue for each order.",
        "每笔订单的平均收入。", REVENUE, ORDERS, unit="money", window="period",
    ),
    Indicator(
        "customer_value", "Customer value", "客户价值",
        "Revenue of the period for each customer who ordered in it.",
        "期内每位下单客户的收入。", REVENUE, BUYERS, unit="money", window="period", by=_SHOP,
    ),
    Indicator(
        "repeat_rate", "Repeat rate", "复购率",
        "Share of customers with an order in the period who had another in it.",
        "期内下单客户中再次下单的比例。", REPEATERS, BUYERS, unit="share", window="period",
        by=_SHOP,
    ),
    Indicator(
        "retention", "Retention", "留存率",
        f"Share of those who ordered in the {RETENTION_DAYS} days before the last "
        f"{RETENTION_DAYS} who ordered in the last {RETENTION_DAYS}.",
        f"前一个 {RETENTION_DAYS} 天内下单的客户，在最近 {RETENTION_DAYS} 天内再次下单的比例。",
        KEPT, EARLIER, unit="share", window="retention_window", by=_ONCE,
    ),
    Indicator(
        "csat", "Satisfaction (CSAT)", "满意度（CSAT）",
        "Share of answers of 4 or 5 on the scale from 1 to 5.", "1–5 分中 4 分或 5 分的比例。",
        CSAT_SATISFIED, CSAT_ANSWERS, unit="share", window="period",
    ),
    Indicator(
        "nps", "Net promoter score (NPS)", "净推荐值（NPS）",
        "Share of answers of 9 or 10 less share of 0 to 6, from -1 to 1.",
        "9–10 分的比例减去 0–6 分的比例，介于 -1 与 1 之间。", NPS_BALANCE, NPS_ANSWERS,
        unit="score", window="period",
    ),
)  # fmt: skip
INDICATORS: Final[dict[str, Indicator]] = {one.key: one for one in _ALL}
"""Every indicator by its key, in the order they are shown."""


def find_indicator(key: str) -> Indicator:
    """The indicator of a key.

    Raises
    ------
    NotFound
        If there is none.
    """
    if key not in INDICATORS:
        raise NotFound(f"there is no indicator {key!r}", hint=f"one of {', '.join(INDICATORS)}")
    return INDICATORS[key]

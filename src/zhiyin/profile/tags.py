"""Tags (标签): rules over the features of a day, with a label in both languages."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ibis

from zhiyin.core import columns as c

Rule = Callable[[ibis.Table], ibis.expr.types.BooleanValue]


@dataclass(frozen=True)
class Tag:
    """A tag: who gets it, and the feature whose value is kept beside it. Change `rule`: raise
    `version`."""

    name: str
    label: str
    label_zh: str
    shows: str
    rule: Rule
    path: str = "lifecycle"
    version: int = 1


TAGS: tuple[Tag, ...] = (
    Tag("new", "New customer", "新客", "tenure_days", lambda f: f.tenure_days < 30),
    Tag(
        "one_time",
        "Bought once, over 30 days ago",
        "一次性顾客",
        "recency_days",
        lambda f: (f.orders_count == 1) & (f.recency_days >= 30),
    ),
    Tag(
        "regular",
        "Buys at steady intervals",
        "规律购买",
        "gap_mean_days",
        lambda f: (f.orders_count >= 6) & (f.gap_cv < 0.8),
        "rhythm",
    ),
    Tag(
        "weekly",
        "Shops every week",
        "每周光顾",
        "orders_90d",
        lambda f: (f.orders_90d >= 12) & (f.orders_7d >= 1),
        "rhythm",
    ),
    Tag(
        "at_risk",
        "Stays away longer than usual",
        "流失预警",
        "overdue_ratio",
        lambda f: (f.orders_count >= 3) & (f.overdue_ratio > 3) & (f.recency_days >= 14),
    ),
    Tag(
        "dormant",
        "No order for 90 days",
        "沉睡顾客",
        "recency_days",
        lambda f: f.recency_days >= 90,
    ),
    Tag("prospect", "No order yet", "尚未下单", "orders_count", lambda f: f.orders_count == 0),
    Tag(
        "growing",
        "Spends clearly more than the quarter before",
        "消费上升",
        "revenue_trend_90d",
        lambda f: (f.tenure_days >= 180) & (f.orders_90d >= 3) & (f.revenue_trend_90d > 0.25),
        "value",
    ),
    Tag(
        "shrinking",
        "Spends clearly less than the quarter before",
        "消费下降",
        "revenue_trend_90d",
        lambda f: (f.tenure_days >= 180) & (f.revenue_trend_90d < -0.25),
        "value",
    ),
    Tag(
        "coupon_lover",
        "Uses coupons often",
        "优惠券爱好者",
        "coupon_order_share",
        lambda f: (f.coupon_orders_count >= 3) & (f.coupon_order_share >= 0.15),
        "offers",
    ),
    Tag(
        "bargain_hunter",
        "Buys mostly on sale",
        "折扣敏感",
        "discount_share",
        lambda f: (f.orders_count >= 3) & (f.discount_share >= 0.2),
        "offers",
    ),
    Tag(
        "responder",
        "Responds to campaigns",
        "活动响应者",
        "campaigns_responded",
        lambda f: f.campaigns_responded >= 2,
        "offers",
    ),
    Tag(
        "silent",
        "Never responded to five or more campaigns",
        "活动无响应",
        "campaigns_count",
        lambda f: (f.campaigns_count >= 5) & (f.campaigns_responded == 0),
        "offers",
    ),
    Tag(
        "big_basket",
        "Fills the basket",
        "大篮顾客",
        "lines_per_order",
        lambda f: (f.orders_count >= 3) & (f.lines_per_order >= 15),
        "baskets",
    ),
    Tag(
        "explorer",
        "Buys across many categories",
        "广泛品类",
        "categories_count",
        lambda f: f.categories_count >= 100,
        "baskets",
    ),
    Tag(
        "weekender",
        "Shops on weekends",
        "周末购物",
        "weekend_share",
        lambda f: (f.orders_365d >= 5) & (f.weekend_share >= 0.5),
        "rhythm",
    ),
    Tag(
        "early_bird",
        "Shops in the morning",
        "早间购物",
        "morning_share",
        lambda f: (f.orders_365d >= 5) & (f.morning_share >= 0.5),
        "rhythm",
    ),
    Tag(
        "returner",
        "Sends much back",
        "高退货",
        "return_share",
        lambda f: (f.orders_count >= 3) & (f.return_share >= 0.2),
        "baskets",
    ),
)


def apply(features: ibis.Table) -> ibis.Table:
    """Tag the customers of one day.

    Parameters
    ----------
    features
        Rows of table `features`.

    Returns
    -------
    Rows of table `tags`: `as_of_on`, `customer_id`, `tag`, `value` (of the feature the tag shows),
    `kind` = rule, `version`. A customer without the feature a rule needs does not get its tag.
    """
    parts = []
    for tag in TAGS:
        holds = features.filter(tag.rule(features).fill_null(False))
        parts.append(
            holds.select(
                c.AS_OF_ON,
                c.CUSTOMER_ID,
                **{
                    c.TAG: ibis.literal(tag.name),
                    c.VALUE: holds[tag.shows].cast("string"),
                    c.KIND: ibis.literal("rule"),
                    c.VERSION: ibis.literal(tag.version, "int64"),
                },
            )
        )
    return ibis.union(*parts)

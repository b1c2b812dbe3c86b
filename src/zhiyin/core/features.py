"""The catalogue of features: name, meaning, unit and window of each, all as of a day.

`profile/features.py` computes them; a test checks that it computes exactly these. The meanings are
read by marketers: they are the reason codes of a score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WINDOWS = (7, 30, 90, 180, 365)  # days back from the day, most recent first


@dataclass(frozen=True)
class Feature:
    """One feature of a customer, or of a customer and a campaign."""

    name: str
    type: Literal["float64", "int64"]
    meaning: str
    meaning_zh: str
    unit: str = ""
    window_days: int | None = None  # None: the whole history


TRAIT = "trait."
"""Begins the name of a feature that says what an attribute of a customer is."""


def _int(name: str, meaning: str, zh: str, unit: str, window: int | None = None) -> Feature:
    return Feature(name, "int64", meaning, zh, unit, window)


def _share(name: str, meaning: str, zh: str, window: int | None = None) -> Feature:
    return Feature(name, "float64", meaning, zh, "[0, 1]", window)


def _real(name: str, meaning: str, zh: str, unit: str, window: int | None = None) -> Feature:
    return Feature(name, "float64", meaning, zh, unit, window)


def _windowed(name: str, meaning: str, zh: str, unit: str) -> tuple[Feature, ...]:
    """One feature a window; `{}` in `name` takes the days."""
    return tuple(
        _int(name.format(d), f"{meaning}, last {d} days", f"近{d}天{zh}", unit, d) for d in WINDOWS
    )


_TIMING = (
    _int("recency_days", "days since the last order", "距上次下单天数", "days"),
    _int("tenure_days", "days since the first order", "距首次下单天数", "days"),
    _int("orders_count", "orders", "订单数", "orders"),
    *_windowed("orders_{}d", "orders", "订单数", "orders"),
    _int("active_days", "days with an order", "有下单的天数", "days"),
    _real("gap_mean_days", "mean days between orders", "平均下单间隔天数", "days"),
    _real("gap_std_days", "spread of the days between orders", "下单间隔的波动天数", "days"),
    _real("gap_cv", "irregularity of the days between orders", "下单间隔的不规律程度", "ratio"),
    _real(
        "overdue_ratio",
        "time since the last order, in her usual gaps",
        "距上次下单为平常间隔的倍数",
        "ratio",
    ),
)

_MONEY = (
    _int("revenue_minor", "revenue, net", "净消费额", "minor units"),
    *_windowed("revenue_{}d_minor", "revenue, net", "净消费额", "minor units"),
    _real("order_value_mean_minor", "mean order value", "平均客单价", "minor units"),
    _real("order_value_std_minor", "spread of order values", "客单价的波动", "minor units"),
    _int("order_value_max_minor", "largest order", "最大一单金额", "minor units"),
    _real("lines_per_order", "lines per order", "每单商品行数", "lines"),
    _real("units_per_order", "units per order", "每单件数", "units"),
    _int("returns_count", "orders with something returned", "有退货的订单数", "orders"),
    _share("return_share", "share of revenue returned", "退货金额占比"),
)

_SAVING = (
    _share("discount_share", "share of list price saved by shop discounts", "店铺折扣占原价比例"),
    _share(
        "discount_90d_share",
        "share of list price saved by shop discounts, last 90 days",
        "近90天店铺折扣占原价比例",
        90,
    ),
    _int("coupon_minor", "money saved with coupons", "优惠券节省金额", "minor units"),
    _int(
        "coupon_90d_minor",
        "money saved with coupons, last 90 days",
        "近90天优惠券节省金额",
        "minor units",
        90,
    ),
    _share("coupon_share", "share of list price saved by coupons", "优惠券占原价比例"),
    _int("coupon_orders_count", "orders with a coupon", "用券订单数", "orders"),
    _int(
        "coupon_orders_90d",
        "orders with a coupon, last 90 days",
        "近90天用券订单数",
        "orders",
        90,
    ),
    _share("coupon_order_share", "share of orders with a coupon", "用券订单占比"),
    _int("coupon_recency_days", "days since an order with a coupon", "距上次用券下单天数", "days"),
)

_ASSORTMENT = (
    _int("products_count", "different products bought", "购买过的商品种数", "products"),
    _share("repeat_share", "share of lines that repeat a product", "复购同款商品的占比"),
    _int("departments_count", "different departments bought", "购买过的部门数", "departments"),
    _int("categories_count", "different categories bought", "购买过的品类数", "categories"),
    _real("category_entropy", "variety of categories", "品类多样性", "nats"),
    _share("top_department_share", "share of spend in her first department", "第一大部门消费占比"),
    _share(
        "department_1_share",
        "share of spend in the shop's largest department",
        "在全店最大部门的消费占比",
    ),
    _share(
        "department_2_share",
        "share of spend in the shop's second department",
        "在全店第二大部门的消费占比",
    ),
    _share(
        "department_3_share",
        "share of spend in the shop's third department",
        "在全店第三大部门的消费占比",
    ),
    _share("top_brand_share", "share of spend on her first brand", "第一大品牌消费占比"),
)

_HABITS = (
    _int("stores_count", "different stores used", "去过的门店数", "stores"),
    _share("top_store_share", "share of orders in her first store", "最常去门店的订单占比"),
    _share("morning_share", "share of orders from 5 to 11", "早上(5–11点)订单占比", 365),
    _share("afternoon_share", "share of orders from 11 to 17", "下午(11–17点)订单占比", 365),
    _share("evening_share", "share of orders from 17 to 22", "晚上(17–22点)订单占比", 365),
    _share("weekend_share", "share of orders on Saturday or Sunday", "周末订单占比", 365),
)

_TREND = (
    _real(
        "orders_trend_30d",
        "orders of the last 30 days against the 30 before, -1 to 1",
        "近30天订单数相对前30天的变化",
        "[-1, 1]",
        60,
    ),
    _real(
        "revenue_trend_30d",
        "revenue of the last 30 days against the 30 before, -1 to 1",
        "近30天消费额相对前30天的变化",
        "[-1, 1]",
        60,
    ),
    _real(
        "revenue_trend_90d",
        "revenue of the last 90 days against the 90 before, -1 to 1",
        "近90天消费额相对前90天的变化",
        "[-1, 1]",
        180,
    ),
)

_RESPONSE = (
    _int("campaigns_count", "campaigns she was in", "参加过的活动数", "campaigns"),
    _int("campaigns_responded", "campaigns she responded to", "响应过的活动数", "campaigns"),
    _share(
        "response_rate",
        "share of campaigns she responded to, drawn to the mean where she had few",
        "活动响应率(次数少时向均值收缩)",
    ),
    _int("redemptions_count", "coupons redeemed", "核销优惠券数", "redemptions"),
    _int(
        "redemptions_90d",
        "coupons redeemed, last 90 days",
        "近90天核销优惠券数",
        "redemptions",
        90,
    ),
    _int("redemption_days", "days on which she redeemed", "核销过优惠券的天数", "days"),
    _int(
        "redemption_recency_days",
        "days since she last redeemed a coupon",
        "距上次核销优惠券天数",
        "days",
    ),
    _int(
        "contact_recency_days", "days since a campaign began for her", "距上次活动开始天数", "days"
    ),
)

_BROWSING = (
    _int("visits_count", "visits", "访问次数", "visits"),
    *(
        _int(f"visits_{d}d", f"visits, last {d} days", f"近{d}天访问次数", "visits", d)
        for d in (7, 30, 90)
    ),
    _int("visit_days_30d", "days with a visit, last 30 days", "近30天有访问的天数", "days", 30),
    _int("visit_recency_days", "days since the last visit", "距上次访问天数", "days"),
    _real("visit_steps_mean", "pages and actions per visit", "每次访问的页面与操作数", "steps"),
    _real("visit_minutes_mean", "minutes per visit", "每次访问时长(分钟)", "minutes"),
    _share("bounce_share", "share of visits with a single step", "仅一步即离开的访问占比"),
    _share("mobile_visit_share", "share of visits in the app", "在App中的访问占比"),
    _share(
        "paid_visit_share", "share of visits that a tagged link brought", "由推广链接带来的访问占比"
    ),
    _int("searches_30d", "searches, last 30 days", "近30天搜索次数", "searches", 30),
    _int("searches_90d", "searches, last 90 days", "近90天搜索次数", "searches", 90),
    *(
        _int(f"views_{d}d", f"product views, last {d} days", f"近{d}天浏览商品次数", "views", d)
        for d in (7, 30, 90)
    ),
    _int(
        "viewed_products_90d",
        "different products viewed, last 90 days",
        "近90天浏览过的商品种数",
        "products",
        90,
    ),
    _int("view_recency_days", "days since a product was viewed", "距上次浏览商品天数", "days"),
    _int("cart_adds_30d", "products put into the cart, last 30 days", "近30天加购次数", "adds", 30),
    _int("cart_adds_90d", "products put into the cart, last 90 days", "近90天加购次数", "adds", 90),
    _int(
        "cart_recency_days", "days since something was put into the cart", "距上次加购天数", "days"
    ),
    _int(
        "cart_waiting_products",
        "products put into the cart since the last order, last 30 days",
        "近30天加购后尚未下单的商品种数",
        "products",
        30,
    ),
    _int("wished_products", "products on the wish list", "心愿单商品种数", "products"),
    _int("reviews_count", "product reviews written", "写过的商品评价数", "reviews"),
)

FEATURES: tuple[Feature, ...] = (
    *_TIMING,
    *_MONEY,
    *_SAVING,
    *_ASSORTMENT,
    *_HABITS,
    *_TREND,
    *_RESPONSE,
    *_BROWSING,
)

CAMPAIGN_FEATURES: tuple[Feature, ...] = (
    _int("campaign_days", "length of the campaign", "活动天数", "days"),
    _int("campaign_offers", "offers of the campaign", "活动优惠数", "offers"),
    _int("campaign_products", "products of the campaign", "活动商品数", "products"),
    _int("campaign_recipients", "people the campaign goes to", "活动覆盖人数", "people"),
    _share(
        "kind_response_rate",
        "response to earlier campaigns of this type",
        "同类活动以往的总体响应率",
    ),
    _share("offer_spend_share", "share of revenue on the campaign's products", "活动商品消费占比"),
    _int(
        "offer_spend_minor",
        "spend on the campaign's products",
        "活动商品消费额",
        "minor units",
    ),
    _int(
        "offer_spend_90d_minor",
        "spend on the campaign's products, last 90 days",
        "近90天活动商品消费额",
        "minor units",
        90,
    ),
    _real(
        "offer_spend_window_minor",
        "her usual spend on the campaign's products in as many days as the campaign runs",
        "活动同等时长内平常的活动商品消费额",
        "minor units",
    ),
    _int(
        "offer_products_count",
        "different products of the campaign bought before",
        "买过的活动商品种数",
        "products",
    ),
    _int(
        "offer_lines_count",
        "purchases of the campaign's products",
        "活动商品购买次数",
        "lines",
    ),
    _int(
        "offer_recency_days",
        "days since she bought a product of the campaign",
        "距上次购买活动商品天数",
        "days",
    ),
    _int(
        "offers_usable_count",
        "offers good for a product she bought before",
        "适用于她买过的商品的优惠数",
        "offers",
    ),
    _int(
        "offers_usable_90d",
        "offers good for a product she bought in the last 90 days",
        "适用于她近90天买过的商品的优惠数",
        "offers",
        90,
    ),
    _int(
        "offers_repeated_count",
        "offers good for products she bought at least 3 times",
        "适用于她买过3次以上商品的优惠数",
        "offers",
    ),
    _int(
        "offer_best_lines",
        "purchases of the products of the offer that fits her best",
        "最适合她的优惠所含商品的购买次数",
        "lines",
    ),
    _int(
        "offer_coupon_lines",
        "purchases of the campaign's products with a coupon",
        "用券购买活动商品的次数",
        "lines",
    ),
    _int(
        "redeemed_same_products",
        "coupons redeemed before that were good for products of this campaign",
        "曾核销过适用于活动商品的优惠券数",
        "redemptions",
    ),
    _int(
        "same_kind_count",
        "earlier campaigns of this type she was in",
        "参加过的同类活动数",
        "campaigns",
    ),
    _int(
        "same_kind_responded",
        "earlier campaigns of this type she responded to",
        "响应过的同类活动数",
        "campaigns",
    ),
    _share(
        "same_kind_rate",
        "response to campaigns of this type, drawn to the mean where she had few",
        "同类活动响应率(次数少时向均值收缩)",
    ),
    _int(
        "same_kind_redemptions",
        "coupons redeemed in campaigns of this type",
        "在同类活动中核销的优惠券数",
        "redemptions",
    ),
    _int(
        "last_same_kind_redemptions",
        "coupons redeemed in her last campaign of this type",
        "在她上一次同类活动中核销的优惠券数",
        "redemptions",
    ),
    _int(
        "running_campaigns",
        "other campaigns that run for her on the day",
        "当天正在进行的其他活动数",
        "campaigns",
    ),
    _int(
        "running_redemptions",
        "coupons redeemed in campaigns that still run",
        "在仍进行中的活动里核销的优惠券数",
        "redemptions",
    ),
)

CONTRACT_FEATURES: tuple[Feature, ...] = (
    _int("contract_tenure_days", "days since her first contract began", "首份合约至今天数", "days"),
    _int("contract_days", "days since her latest contract began", "当前合约已履行天数", "days"),
    _int("contracts_count", "contracts that began before", "签过的合约数", "contracts"),
    _int("contracts_running", "contracts that run on the day", "在约合约数", "contracts"),
    _int(
        "contracts_cancelled",
        "running contracts that notice was given for",
        "已申请解约的在约合约数",
        "contracts",
    ),
)
"""Of who holds a contract; only churn of contracts learns from them."""


@dataclass(frozen=True)
class Moment:
    """What features that change as days go by are finished from; kept beside the features."""

    name: str
    type: Literal["timestamp", "int64"]
    meaning: str


MOMENTS: tuple[Moment, ...] = (
    Moment("first_order_at", "timestamp", "first order"),
    Moment("last_order_at", "timestamp", "last order"),
    Moment("coupon_order_at", "timestamp", "last order with a coupon"),
    Moment("gap_minutes", "int64", "minutes between her orders, summed"),
    Moment("gaps_count", "int64", "gaps between her orders"),
    Moment("contacted_at", "timestamp", "last campaign that began for her"),
    Moment("redeemed_at", "timestamp", "last coupon redeemed"),
    Moment("visited_at", "timestamp", "last step of a visit"),
    Moment("viewed_at", "timestamp", "last product viewed"),
    Moment("added_at", "timestamp", "last product put into the cart"),
    Moment("orders_60d", "int64", "orders, last 60 days"),
    Moment("revenue_60d", "int64", "revenue, net, last 60 days"),
    Moment("gross_90d", "int64", "list price of what she bought, last 90 days"),
    Moment("discount_90d", "int64", "shop discounts on it, last 90 days"),
    Moment("mornings", "int64", "orders from 5 to 11, last 365 days"),
    Moment("afternoons", "int64", "orders from 11 to 17, last 365 days"),
    Moment("evenings", "int64", "orders from 17 to 22, last 365 days"),
    Moment("weekends", "int64", "orders on Saturday or Sunday, last 365 days"),
    Moment("scattered", "int64", "orders with lines of several local days"),
)

"""Size and habits of a simulated shop."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from zhiyin.core.config import Section


class CustomerType(Section):
    """Hidden kind of customer: how common, how she buys and what a contact does to her."""

    name: str = Field(description="what the field calls it")
    share: float = Field(ge=0, le=1, description="share of customers")
    rate_factor: float = Field(gt=0, description="orders per day relative to the shop's mean")
    extra_order: float = Field(ge=0, le=0.6, description="P(extra order in the window | contact)")
    put_off: float = Field(
        default=0.0, ge=0, le=1, description="P(a contact drives away her orders of the window)"
    )
    deal: float = Field(ge=0, le=1, description="P(uses the coupon on an order she makes anyway)")


TYPES = (
    CustomerType(name="persuadable", share=0.30, rate_factor=1.0, extra_order=0.35, deal=0.8),
    CustomerType(name="sure_thing", share=0.22, rate_factor=1.9, extra_order=0.04, deal=0.6),
    CustomerType(name="lost_cause", share=0.40, rate_factor=0.5, extra_order=0.01, deal=0.1),
    CustomerType(
        name="put_off", share=0.08, rate_factor=1.0, extra_order=0.0, put_off=0.5, deal=0.1
    ),
)


class ShopConfig(Section):
    """A small shop. Money in minor units, probabilities per customer and campaign."""

    customers: int = Field(2000, ge=20, le=1_000_000, description="customers who ever join")
    products: int = Field(120, ge=10, le=100_000, description="products on sale")
    categories: int = Field(8, ge=2, le=100, description="product categories")
    opened_on: date = Field(date(2024, 1, 1), description="first day of the shop")
    zone: str = Field("Asia/Shanghai", description="time zone of the shop, IANA")
    currency: str = Field("CNY", pattern="^[A-Z]{3}$", description="ISO 4217")
    types: tuple[CustomerType, ...] = Field(TYPES, description="hidden kinds of customers")
    orders_per_day: float = Field(0.05, gt=0, le=0.5, description="mean orders a day of one alive")
    rate_shape: float = Field(1.5, gt=0, description="gamma shape of rates: small = very unequal")
    life_days: float = Field(500.0, gt=0, description="mean days until a customer drops out")
    joining_days: int = Field(180, ge=1, description="days over which later customers join")
    price_minor: int = Field(2500, ge=1, description="median price")
    price_sigma: float = Field(0.6, ge=0, description="log standard deviation of prices")
    spend_sigma: float = Field(0.5, ge=0, description="log standard deviation of quantities")
    first_campaign_day: int = Field(60, ge=1, description="day of the first campaign")
    campaign_every_days: int = Field(30, ge=1, description="days from start to start")
    campaign_days: int = Field(14, ge=1, description="days a campaign runs")
    campaigns: int = Field(24, ge=0, le=500, description="campaigns in all")
    planned_share: float = Field(0.7, gt=0, le=1, description="share of consenting on each list")
    offer_products: int = Field(12, ge=1, description="products on offer in a campaign")
    coupon_rate: float = Field(0.2, ge=0, lt=1, description="coupon as a share of the line")
    contact_cost_minor: int = Field(50, ge=0, description="cost of one contact")
    consent_share: float = Field(0.85, ge=0, le=1, description="share who opt in on joining")
    unsubscribe: float = Field(0.01, ge=0, le=1, description="P(opts out | contact)")
    fatigue: float = Field(
        0.35,
        ge=0,
        description="each earlier contact in the window multiplies the effect by e^-this",
    )
    fatigue_days: int = Field(45, ge=0, description="how long a contact tires")

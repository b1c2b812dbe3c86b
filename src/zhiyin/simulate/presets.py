"""Rich shops as numbers: what can be done, when people buy, how they differ, what tires them.

Money is in yuan, rates and chances in [0, 1]; a period is a week of the grocery and a month of the
jeweller. Effects are added to the log odds of an order in the period.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from zhiyin.core.config import Section
from zhiyin.core.errors import NotFound

NOTHING = "none"


class Contact(Section):
    """Something that can be done for a customer, and what it does once she sees it."""

    name: str
    channel: str = Field(default="", description="empty: nothing is done")
    plain: float = Field(default=0.0, description="log odds, for everybody")
    taste: float = Field(default=0.0, description="log odds x her taste for what is shown (mean 1)")
    price: float = Field(default=0.0, description="log odds x her price sensitivity (mean 1)")
    occasion: float = Field(default=0.0, description="log odds x how near an occasion of hers is")
    cost: float = Field(default=0.0, ge=0, description="of a contact, seen or not")
    given_away: float = Field(default=0.0, ge=0, lt=1, description="share of an order, once seen")
    gift: float = Field(default=0.0, ge=0, description="cost with an order, once seen")
    tires: float = Field(default=0.0, ge=0, description="fatigue that is added, once seen")


class Habit(Section):
    """A channel: how often its messages are seen; people differ (beta distributed)."""

    name: str
    seen: float = Field(gt=0, lt=1, description="mean P(seen | contact)")
    spread: float = Field(default=4.0, gt=0, description="small: all or nothing; large: all alike")


class Peak(Section):
    """A season: the period of the year, how many periods it is felt, what it adds, its category."""

    period: int = Field(ge=0)
    width: float = Field(default=1.0, gt=0)
    height: float
    category: int = Field(default=0, ge=0)


class Preset(Section):
    """Size and habits of a rich shop."""

    name: str
    year: int = Field(description="periods in a year")
    contacts: tuple[Contact, ...] = Field(description="the first is doing nothing")
    habits: tuple[Habit, ...]
    categories: tuple[str, ...]
    peaks: tuple[Peak, ...] = ()
    usual: float = Field(default=0.55, ge=0, le=1, description="P(nothing) before the first period")
    warm_up: int = Field(ge=1, description="periods that are lived before the first")
    orders: float = Field(gt=0, lt=1, description="median P(order in a period), loyalty 0, rested")
    orders_spread: float = Field(ge=0, description="standard deviation of its log odds")
    loyal: float = Field(ge=0, description="log odds between loyalty 0 and 1")
    grows: float = Field(ge=0, le=1, description="share of the way to 1 that an order makes")
    keeps: float = Field(ge=0, le=1, description="loyalty kept in a period without an order")
    left: float = Field(gt=0, le=1, description="need that is left after an order")
    refills: float = Field(gt=0, le=1, description="share of the lacking need that comes back")
    basket: float = Field(gt=0, description="median order")
    basket_spread: float = Field(ge=0, description="log standard deviation between people")
    basket_noise: float = Field(ge=0, description="… and between orders of one")
    margin: float = Field(gt=0, lt=1, description="share of an order")
    price_spread: float = Field(ge=0, description="log standard deviation of price sensitivity")
    taste_shape: float = Field(gt=0, description="of the Dirichlet: small = people differ")
    waits: float = Field(ge=0, description="log odds that who is used to coupons waits for one")
    coupon_memory: float = Field(ge=0, lt=1, description="coupon habit kept in a period")
    rest: float = Field(ge=0, lt=1, description="fatigue kept in a period")
    tiring: float = Field(ge=0, description="effects x e^-(this x fatigue)")
    leaves: float = Field(ge=0, lt=1, description="P(gone for good) in a period")
    leaves_tired: float = Field(ge=0, description="more of it, x fatigue, with a contact seen")
    opts_out: float = Field(ge=0, lt=1, description="P(no more contacts | contact seen)")
    opts_out_tired: float = Field(ge=0, description="more of it, x fatigue")
    occasions: int = Field(default=0, ge=0, description="periods of the year that are hers")
    occasion_own: float = Field(default=0.0, description="log odds that an occasion adds by itself")
    score_noise: float = Field(
        default=0.5, ge=0, description="log odds by which the score is wrong"
    )
    discount: float = Field(ge=0, lt=1, description="of a reward a period later")

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of what can be done."""
        return tuple(one.name for one in self.contacts)

    def effects(self, name: str) -> NDArray[np.float64]:
        """One number of each contact, (actions,)."""
        return np.array([getattr(one, name) for one in self.contacts], np.float64)

    def season(self, period: int) -> float:
        """What the time of the year adds to the log odds of an order."""
        return float(sum(one.height * self._felt(one, period) for one in self.peaks))

    def shown(self, period: int) -> int:
        """The category that messages are about: of the nearest season, else in turns."""
        felt = [self._felt(one, period) for one in self.peaks]
        if felt and max(felt) > 0.5:
            return self.peaks[int(np.argmax(felt))].category
        return period % self.year % len(self.categories)

    def _felt(self, peak: Peak, period: int) -> float:
        return float(near(np.array(period - peak.period), self.year, peak.width))


def near(apart: NDArray[np.int64], year: int, width: float) -> NDArray[np.float64]:
    """1 on the day itself, falling as a bell with the periods to it, on either side of a year."""
    away = np.minimum(apart % year, -apart % year)
    return np.exp(-0.5 * (away / width) ** 2)


GROCERY = Preset(
    name="grocery",
    year=52,
    contacts=(
        Contact(name=NOTHING),
        Contact(name="email_news", channel="email", taste=0.6, cost=0.02, tires=0.6),
        Contact(name="push_news", channel="push", taste=0.6, cost=0.01, tires=0.9),
        Contact(name="wechat_coupon", channel="wechat", plain=0.2, price=0.8, cost=0.05,
                given_away=0.08, tires=1.0),
        Contact(name="sms_coupon", channel="sms", plain=0.2, price=0.8, cost=0.06,
                given_away=0.08, tires=1.2),
        Contact(name="sms_reminder", channel="sms", plain=0.6, cost=0.05, tires=1.2),
        Contact(name="wechat_gift", channel="wechat", plain=1.1, cost=0.05, gift=6.0, tires=0.7),
    ),
    habits=(
        Habit(name="email", seen=0.25, spread=1.5), Habit(name="push", seen=0.3, spread=1.5),
        Habit(name="wechat", seen=0.5, spread=2.0), Habit(name="sms", seen=0.6, spread=4.0),
    ),
    categories=("fresh", "drinks", "snacks", "household", "baby", "festive"),
    peaks=(
        Peak(period=4, width=1.5, height=0.7, category=5),  # Spring Festival 春节
        Peak(period=23, width=1.0, height=0.3, category=5),  # Dragon Boat 端午节
        Peak(period=29, width=4.0, height=0.2, category=1),  # summer
        Peak(period=37, width=1.2, height=0.45, category=5),  # Mid-Autumn 中秋节
        Peak(period=44, width=1.0, height=0.5, category=3),  # Double Eleven 双十一
    ),
    warm_up=40, orders=0.10, orders_spread=0.8, loyal=1.6, grows=0.25, keeps=0.94, left=0.7,
    refills=0.5, basket=110.0, basket_spread=0.5, basket_noise=0.5, margin=0.24, price_spread=0.7,
    taste_shape=0.8, waits=0.7, coupon_memory=0.85, rest=0.75, tiring=0.45, leaves=0.002,
    leaves_tired=0.003, opts_out=0.002, opts_out_tired=0.004, discount=0.95,
)  # fmt: skip

JEWELLER = Preset(
    name="jeweller",
    year=12,
    contacts=(
        Contact(name=NOTHING),
        Contact(name="email_news", channel="email", taste=0.4, cost=0.02, tires=0.5),
        Contact(name="wechat_news", channel="wechat", taste=0.45, cost=0.05, tires=0.8),
        Contact(name="wechat_greeting", channel="wechat", plain=0.1, occasion=1.3, cost=0.1,
                tires=0.5),
        Contact(name="sms_craft_fee", channel="sms", plain=0.15, price=0.55, cost=0.06,
                given_away=0.06, tires=1.0),
        Contact(name="wechat_gift", channel="wechat", plain=0.5, occasion=0.7, cost=0.1,
                gift=180.0, tires=0.7),
        Contact(name="call", channel="call", plain=0.6, taste=0.3, cost=15.0, tires=1.6),
    ),
    habits=(
        Habit(name="email", seen=0.15, spread=1.5), Habit(name="wechat", seen=0.5, spread=2.0),
        Habit(name="sms", seen=0.55, spread=4.0), Habit(name="call", seen=0.7, spread=4.0),
    ),
    categories=("gold", "wedding", "diamond", "jade", "pearl", "silver"),
    peaks=(
        Peak(period=0, width=0.7, height=0.6, category=0),  # Spring Festival 春节
        Peak(period=1, width=0.5, height=0.4, category=2),  # Valentine's Day 情人节
        Peak(period=4, width=0.7, height=0.4, category=1),  # 20 May 五二〇
        Peak(period=7, width=0.5, height=0.35, category=2),  # Qixi 七夕
        Peak(period=9, width=0.8, height=0.5, category=1),  # National Day, weddings 国庆婚庆
        Peak(period=10, width=0.5, height=0.35, category=0),  # Double Eleven 双十一
    ),
    warm_up=48, orders=0.012, orders_spread=0.7, loyal=1.2, grows=0.35, keeps=0.985, left=0.35,
    refills=0.12, basket=4200.0, basket_spread=0.6, basket_noise=0.6, margin=0.28,
    price_spread=0.6, taste_shape=0.6, waits=0.5, coupon_memory=0.8, rest=0.6, tiring=0.5,
    leaves=0.002, leaves_tired=0.006, opts_out=0.004, opts_out_tired=0.012, occasions=2,
    occasion_own=0.5, discount=0.97,
)  # fmt: skip

PRESETS = {one.name: one for one in (GROCERY, JEWELLER)}


def find_preset(name: str) -> Preset:
    """The preset of a name.

    Raises
    ------
    NotFound
        If there is none.
    """
    if name not in PRESETS:
        raise NotFound(f"there is no preset {name!r}", hint=f"there are {', '.join(PRESETS)}")
    return PRESETS[name]

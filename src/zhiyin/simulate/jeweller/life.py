"""Months of the jeweller: who ordered what, when and where, and what the campaigns caused.

Customers live as those of `simulate.shop("jeweller")`, a period being a calendar month. Who orders
for the first time becomes a member then; a campaign lasts a month and contacts a random part of
the members who agreed. Every second month or so has one; the others greet members whose birthday
or anniversary is in the month.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.rng import Streams
from zhiyin.simulate.hidden import Flags, Ints, find_occasion
from zhiyin.simulate.presets import JEWELLER
from zhiyin.simulate.rich import RichShop

OPENED = 2021  # 1 January
PLANNED, AGREED = 0.6, 0.85
MINUTES = (11 * 60, 600)  # orders come between 11:00 and 21:00
THEMES = {
    1: ("新春足金工费礼", "New Year: craft fee off", "sms_craft_fee"),
    3: ("女神节心意礼", "Women's Day gift", "wechat_gift"),
    5: ("五二〇告白礼", "20 May: craft fee off", "sms_craft_fee"),
    8: ("七夕心意礼", "Qixi gift", "wechat_gift"),
    10: ("金秋婚庆工费礼", "Autumn weddings: craft fee off", "sms_craft_fee"),
    11: ("双十一会员礼", "Double Eleven gift", "wechat_gift"),
}
GREETING = "wechat_greeting"


@dataclass(frozen=True)
class Campaign:
    """A month's campaign: what it does, and how it is called."""

    month: int  # since opening
    action: str
    name: str
    name_en: str

    @property
    def campaign_id(self) -> str:
        """The shop's own id: `hd202410`."""
        day = first_day(self.month)
        return f"hd{day.year}{day.month:02d}"


@dataclass(frozen=True)
class Caused:
    """What contacting those who were contacted was expected to cause, per contacted customer."""

    customers: int
    orders: float
    margin: float  # yuan, less what the contact cost


@dataclass(eq=False)
class Life:
    """All that happened, as columns: `orders` (customer, day, minute, wanted, category, coupon),
    `contacts` (customer, month, action number, seen); `joined` (n,) day of the first order or -1.
    Days count from the opening."""

    seed: int
    customers: int
    shop: RichShop
    agreed: Flags
    joined: Ints
    orders: dict[str, list[np.ndarray]] = field(default_factory=dict)
    contacts: dict[str, list[np.ndarray]] = field(default_factory=dict)
    planned: dict[str, Ints] = field(default_factory=dict)
    caused: dict[str, Caused] = field(default_factory=dict)
    left: list[np.ndarray] = field(default_factory=list)

    def table(self, name: str) -> dict[str, np.ndarray]:
        """`orders` or `contacts` as arrays of one length."""
        return {key: np.concatenate(parts) for key, parts in getattr(self, name).items()}


def first_day(month: int) -> date:
    """The first day of a month since opening."""
    return date(OPENED + month // 12, month % 12 + 1, 1)


def day_of(on: date) -> int:
    """Days since opening."""
    return (on - date(OPENED, 1, 1)).days


def find_campaign(month: int) -> Campaign | None:
    """The campaign of a month, if it has one; none in the first half year."""
    theme = THEMES.get(month % 12 + 1)
    if theme is None or month < 6:
        return None
    name, english, action = theme
    return Campaign(month, action, f"{name} {first_day(month).year}", english)


def begin(customers: int, seed: int) -> Life:
    """The jeweller on its first day."""
    preset = JEWELLER.model_copy(update={"warm_up": 1, "usual": 1.0})
    shop = RichShop(preset, seed, customers=customers)
    agreed = Streams(seed).generator("jeweller.agreed").random(customers) < AGREED
    return Life(seed, customers, shop, agreed, np.full(customers, -1))


def list_members(life: Life, month: int) -> Flags:
    """Who a campaign of the month may contact: members before it who agreed and did not opt out."""
    reachable = life.shop.observe().eligible.all(axis=1)
    known = (life.joined >= 0) & (life.joined < day_of(first_day(month)))
    return known & life.agreed & reachable


def plan_month(life: Life) -> Campaign | None:
    """Draw the list of the coming month's campaign, before anybody is contacted."""
    month = life.shop.period
    campaign = find_campaign(month)
    if campaign is not None and campaign.campaign_id not in life.planned:
        lots = Streams(life.seed).generator(f"jeweller.plan.{month}").random(life.customers)
        life.planned[campaign.campaign_id] = np.flatnonzero(
            list_members(life, month) & (lots < PLANNED)
        )
    return campaign


def live_month(life: Life, contacted: Ints | None = None) -> None:
    """Live the month. `contacted`: whom its campaign contacts, None: its whole list."""
    month, shop = life.shop.period, life.shop
    campaign, actions = plan_month(life), np.zeros(life.customers, np.int64)
    if campaign is not None:
        listed = life.planned[campaign.campaign_id]
        chosen = listed if contacted is None else contacted
        if not np.isin(chosen, listed).all():
            raise InvalidParameter("a campaign contacts members of its list")
        actions[chosen] = shop.actions.index(campaign.action)
        life.caused[campaign.campaign_id] = _expect(shop, actions, chosen)
    else:
        near = find_occasion(shop.preset, shop.hidden, month) == 1.0
        actions[list_members(life, month) & near] = shop.actions.index(GREETING)
    before = shop.observe().eligible.all(axis=1)
    lived = shop.step(actions)
    told = np.flatnonzero(actions)
    _append(life.contacts, customer=told, month=np.full(len(told), month), action=actions[told],
            seen=lived.seen[told])  # fmt: skip
    life.left.append(np.flatnonzero(before & ~lived.observation.eligible.all(axis=1)))
    who = np.flatnonzero(lived.ordered)
    rng = Streams(life.seed).generator(f"jeweller.days.{month}")
    days, minutes = rng.random((2, life.customers))
    year, number = first_day(month).year, first_day(month).month
    day = day_of(first_day(month)) + (days * calendar.monthrange(year, number)[1]).astype(np.int64)
    minute = MINUTES[0] + (minutes * MINUTES[1]).astype(np.int64)
    coupon = lived.seen & (shop.preset.effects("given_away")[actions] > 0)
    gift = lived.seen & (shop.preset.effects("gift")[actions] > 0)
    _append(life.orders, customer=who, day=day[who], minute=minute[who], wanted=lived.amounts[who],
            category=lived.categories[who], coupon=coupon[who], gift=gift[who])  # fmt: skip
    first = who[life.joined[who] < 0]
    life.joined[first] = day[first]


def _expect(shop: RichShop, actions: Ints, chosen: Ints) -> Caused:
    if not len(chosen):
        return Caused(0, 0.0, 0.0)
    orders, margin = shop.orders_caused(actions)[chosen], shop.effect(actions)[chosen]
    return Caused(len(chosen), float(orders.mean()), float(margin.mean()))


def _append(columns: dict[str, list[np.ndarray]], **parts: np.ndarray) -> None:
    for name, values in parts.items():
        columns.setdefault(name, []).append(values)

"""Living through days: orders and redemptions, given who was contacted.

Every chance is drawn for every customer from a stream named by day or campaign, whether or not
it is needed. So a world with and one without a contact share all their other chances (common
random numbers), their difference is the effect itself, and how days are cut into steps does not
matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.rng import Streams
from zhiyin.simulate.campaigns import Campaign, find_extra_order
from zhiyin.simulate.config import ShopConfig
from zhiyin.simulate.people import Assortment, People

LINES = 5
OPEN_MINUTE, OPEN_FOR = 11 * 60, 600  # orders come between 11:00 and 21:00
WEEK = np.array([0.9, 0.85, 0.9, 0.95, 1.05, 1.25, 1.1])

Contacts = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Lines:
    """Order lines as (l,) arrays. `slot` 1: an order of her own, 2: an extra one, which only a
    contact brings; `campaign` number of the coupon used on the line or -1."""

    day: NDArray[np.int64]
    minute: NDArray[np.int64]
    customer: NDArray[np.int64]
    slot: NDArray[np.int64]
    line: NDArray[np.int64]
    product: NDArray[np.int64]
    quantity: NDArray[np.int64]
    coupon_minor: NDArray[np.int64]
    campaign: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Shopfloor:
    """The fixed parts of a shop."""

    config: ShopConfig
    people: People
    assortment: Assortment
    calendar: tuple[Campaign, ...]
    streams: Streams


def live(floor: Shopfloor, start: int, end: int, contacts: Contacts, *, world: int = 0) -> Lines:
    """What is bought on days [start, end) when `contacts` (campaign id → (n,) bool) are made.

    `world` 0 is what really happens; others are independent repetitions with the same people.
    """
    answers = {
        campaign.number: _answer(floor, campaign, contacts, world)
        for campaign in floor.calendar
        if campaign.start < end
        and campaign.end > start
        and contacts.get(campaign.campaign_id, np.zeros(1)).any()
    }
    parts = []
    for day in range(start, end):
        running = [one for one in floor.calendar if one.number in answers and one.start <= day]
        running = [one for one in running if day < one.end]
        parts.append(_own_orders(floor, day, running, answers, world))
        parts += [_extra_orders(floor, day, one, answers[one.number]) for one in running]
    return _concatenate([part for part in parts if part is not None])


@dataclass(frozen=True, eq=False)
class _Answer:
    """How each customer takes one campaign."""

    contacted: NDArray[np.bool_]
    extra_day: NDArray[np.int64]  # -1: no extra order
    put_off: NDArray[np.bool_]
    uses_coupon: NDArray[np.bool_]
    offer: NDArray[np.int64]
    basket: _Draws


@dataclass(frozen=True, eq=False)
class _Draws:
    """Uniform numbers that settle an order of every customer."""

    minute: NDArray[np.float64]
    lines: NDArray[np.float64]
    category: NDArray[np.float64]
    product: NDArray[np.float64]
    quantity: NDArray[np.float64]


def _draw(rng: np.random.Generator, n: int) -> _Draws:
    return _Draws(
        rng.random(n), rng.random(n), rng.random((n, LINES)), rng.random((n, LINES)),
        rng.random((n, LINES)),
    )  # fmt: skip


def _answer(floor: Shopfloor, campaign: Campaign, contacts: Contacts, world: int) -> _Answer:
    people, types = floor.people, floor.config.types
    rng = floor.streams.generator(f"shop.{world}.answer.{campaign.number}")
    responds, when, leaves, deals, which = rng.random((5, people.n))
    contacted = contacts[campaign.campaign_id]
    chance = find_extra_order(floor.config, people, campaign, contacts, floor.calendar)
    day = campaign.start + (when * (campaign.end - campaign.start)).astype(np.int64)
    extra = contacted & (responds < chance) & (people.joined <= day) & (day < people.gone)
    put_off = np.array([one.put_off for one in types])[people.kind]
    deal = np.array([one.deal for one in types])[people.kind]
    offer = campaign.products[(which * len(campaign.products)).astype(np.int64)]
    return _Answer(
        contacted, np.where(extra, day, -1), contacted & (leaves < put_off),
        contacted & (deals < deal), offer, _draw(rng, people.n),
    )  # fmt: skip


def _own_orders(
    floor: Shopfloor, day: int, running: list[Campaign], answers: Mapping[int, _Answer], world: int
) -> Lines | None:
    people = floor.people
    rng = floor.streams.generator(f"shop.{world}.day.{day}")
    weekday = (floor.config.opened_on.weekday() + day) % 7
    ordering = rng.random(people.n) < -np.expm1(-people.rate * WEEK[weekday])
    draws = _draw(rng, people.n)
    ordering &= people.alive(day)
    for campaign in running:
        ordering &= ~answers[campaign.number].put_off
    lines = _fill_baskets(floor, day, np.flatnonzero(ordering), draws, slot=1)
    if lines is None:
        return None
    for campaign in running:
        lines = _use_coupons(floor, lines, campaign, answers[campaign.number])
    return lines


def _extra_orders(floor: Shopfloor, day: int, campaign: Campaign, answer: _Answer) -> Lines | None:
    who = np.flatnonzero(answer.extra_day == day)
    slot = 2 + campaign.number  # two campaigns may each bring an order on one day
    lines = _fill_baskets(floor, day, who, answer.basket, slot=slot, first=answer.offer)
    if lines is None:
        return None
    return _use_coupons(floor, lines, campaign, answer, always=True)


def _fill_baskets(
    floor: Shopfloor,
    day: int,
    who: NDArray[np.int64],
    draws: _Draws,
    *,
    slot: int,
    first: NDArray[np.int64] | None = None,
) -> Lines | None:
    """The lines of one order of each of `who`; `first` (n,) fixes the product of line 0."""
    if not len(who):
        return None
    people = floor.people
    more = (-np.log1p(-draws.lines[who]) * people.basket[who]).astype(np.int64)
    size = 1 + np.minimum(more, LINES - 1)
    reach = np.cumsum(people.tastes[who], axis=1)[:, None, :-1]
    category = (draws.category[who][:, :, None] > reach).sum(axis=2)
    product = floor.assortment.pick(category, draws.product[who])
    if first is not None:
        product[:, 0] = first[who]
    units = -np.log1p(-draws.quantity[who]) * people.level[who][:, None]
    quantity = 1 + np.minimum(units.astype(np.int64), 8)
    row, line = np.nonzero(np.arange(LINES) < size[:, None])
    minute = OPEN_MINUTE + (draws.minute[who] * OPEN_FOR).astype(np.int64)
    none = np.zeros(len(row), dtype=np.int64)
    return Lines(
        none + day, minute[row], who[row], none + slot, line, product[row, line],
        quantity[row, line], none, none - 1,
    )  # fmt: skip


def _use_coupons(
    floor: Shopfloor, lines: Lines, campaign: Campaign, answer: _Answer, *, always: bool = False
) -> Lines:
    """Coupons on lines with a product on offer, for those who use them."""
    uses = answer.contacted if always else answer.uses_coupon
    hit = np.isin(lines.product, campaign.products) & uses[lines.customer] & (lines.campaign < 0)
    gross = floor.assortment.price_minor[lines.product] * lines.quantity
    off = np.rint(gross * floor.config.coupon_rate).astype(np.int64)
    return Lines(
        lines.day, lines.minute, lines.customer, lines.slot, lines.line, lines.product,
        lines.quantity, np.where(hit, off, lines.coupon_minor),
        np.where(hit, campaign.number, lines.campaign),
    )  # fmt: skip


def _concatenate(parts: list[Lines]) -> Lines:
    names = Lines.__dataclass_fields__
    if not parts:
        return Lines(*(np.zeros(0, dtype=np.int64) for _ in names))
    return Lines(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

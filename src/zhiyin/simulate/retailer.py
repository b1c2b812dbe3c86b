"""A small seeded shop whose truth is known: what a contact really causes can be looked up.

    shop = Shop(ShopConfig(customers=500), seed=7)
    tables = shop.history(date(2024, 9, 1))            # as its systems would export them
    more = shop.step(date(2024, 9, 1), date(2024, 10, 1), {"k009": ["c000001", "c000017"]})
    shop.truth.effect("k009").orders                   # extra orders a contacted customer, true

Customers buy by hidden gamma rates until they drop out, in categories they like. A contact may
bring an extra order (by hidden type, taste and fatigue), may drive a customer away, and lets
some use a coupon on what they would have bought anyway: most redemptions are not caused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.rng import Streams
from zhiyin.simulate import frames
from zhiyin.simulate.campaigns import Campaign, find_extra_order, plan_campaigns
from zhiyin.simulate.config import ShopConfig
from zhiyin.simulate.days import Lines, Shopfloor, live
from zhiyin.simulate.people import NEVER, draw_assortment, draw_people

PLAN, SEND = "plan", "send"


@dataclass(frozen=True)
class Effect:
    """True effect of contacting a set of customers, against contacting none of them.

    Per contacted customer within the campaign's days, paired on common random numbers. With one
    world it is what really came of it; averaged over more it nears the expectation, with standard
    errors `*_error` (NaN for one world). `response_rate` is the share who redeem when contacted,
    `caused_rate` the share whom the contact brings at least one order more.
    """

    customers: int
    orders: float
    revenue_minor: float
    response_rate: float
    caused_rate: float
    orders_error: float
    revenue_error: float


class Shop:
    """One simulated world, the same for the same (config, seed) however its days are cut."""

    def __init__(self, config: ShopConfig, seed: int) -> None:
        streams = Streams(seed)
        people, assortment = draw_people(config, streams), draw_assortment(config, streams)
        calendar = plan_campaigns(config, assortment, streams)
        self._floor = Shopfloor(config, people, assortment, calendar, streams)
        self._restart()

    @property
    def config(self) -> ShopConfig:
        """What the shop was made with."""
        return self._floor.config

    @property
    def campaigns(self) -> tuple[Campaign, ...]:
        """All campaigns, past and to come, by start."""
        return self._floor.calendar

    @property
    def truth(self) -> Truth:
        """What no shop knows of itself."""
        return Truth(self._floor, dict(self._contacts))

    def history(self, until: date) -> frames.Tables:
        """Restart, live from the opening to the day before `until`, and export everything.

        Every campaign that started before `until` was sent to its whole list. The list, offers
        and dates of one that starts on `until` are known already.

        Returns
        -------
        `customers`, `products`, `order_lines`, `campaigns`, `offers`, `touches`, `consents`.
        """
        end = self._day(until)
        if end < 1:
            raise InvalidParameter(f"{until} is not after the opening on {self.config.opened_on}")
        self._restart()
        return {"products": frames.list_products(self._floor), **self._advance(end, None)}

    def step(
        self, from_day: date, to_day: date, contacted: Mapping[str, Iterable[str]]
    ) -> frames.Tables:
        """Live on days [from_day, to_day) and export what is new.

        Parameters
        ----------
        from_day
            The day up to which the shop has lived.
        to_day
            The first day that is not lived.
        contacted
            Campaign that starts on these days → the shop's ids of whom it contacts; a campaign
            that is left out contacts nobody.

        Raises
        ------
        InvalidParameter
            If days do not follow on, a campaign does not start in them, or an id is unknown.
        """
        start, end = self._day(from_day), self._day(to_day)
        if start != self._lived or end <= start:
            raise InvalidParameter(
                f"cannot live from {from_day} to {to_day}",
                hint=f"the shop has lived up to {self.config.opened_on + timedelta(self._lived)}",
            )
        starting = {one.campaign_id for one in self.campaigns if start <= one.start < end}
        if unknown := sorted(set(contacted) - starting):
            raise InvalidParameter(f"campaigns {unknown} do not start in these days")
        chosen = {name: pick(self._floor, ids) for name, ids in contacted.items()}
        return self._advance(end, chosen)

    def _restart(self) -> None:
        self._lived = 0
        self._contacts: dict[str, NDArray[np.bool_]] = {}
        self._withdrawn = np.full(self._floor.people.n, NEVER)

    def _advance(self, end: int, chosen: Mapping[str, NDArray[np.bool_]] | None) -> frames.Tables:
        floor, start = self._floor, self._lived
        planned, sent, left = {}, {}, {}
        for _, kind, campaign in self._events(start, end):
            number = campaign.number
            if kind == PLAN:
                planned[number] = np.flatnonzero(self._plan(campaign))
                continue
            who = self._plan(campaign) if chosen is None else chosen.get(campaign.campaign_id)
            who = np.zeros(floor.people.n, dtype=bool) if who is None else who
            self._contacts[campaign.campaign_id] = who
            sent[number] = np.flatnonzero(who)
            left[number] = np.flatnonzero(self._leave(campaign, who))
        lines = live(floor, start, end, self._contacts)
        known = [floor.calendar[number] for number in sorted(planned)]
        self._lived = end
        return {
            "customers": frames.list_customers(floor, start, end),
            "order_lines": frames.list_order_lines(floor, lines),
            "campaigns": frames.list_campaigns(floor, known),
            "offers": frames.list_offers(floor, known),
            "touches": frames.list_touches(floor, lines, planned=planned, sent=sent, left=left),
            "consents": frames.list_consents(floor, start, end, self._withdrawn),
        }

    def _events(self, start: int, end: int) -> list[tuple[int, str, Campaign]]:
        """(day, PLAN or SEND, campaign) on days [start, end), in the order they happen."""
        plans = [(one.start - 1, PLAN, one) for one in self.campaigns]
        sends = [(one.start, SEND, one) for one in self.campaigns]
        happening = [event for event in plans + sends if start <= event[0] < end]
        return sorted(happening, key=lambda one: (one[0], one[1] == PLAN, one[2].number))

    def _plan(self, campaign: Campaign) -> NDArray[np.bool_]:
        people, day = self._floor.people, campaign.start - 1
        rng = self._floor.streams.generator(f"shop.plan.{campaign.number}")
        listed = rng.random(people.n) < self.config.planned_share
        return listed & people.opted_in & (people.joined <= day) & (self._withdrawn > day)

    def _leave(self, campaign: Campaign, who: NDArray[np.bool_]) -> NDArray[np.bool_]:
        rng = self._floor.streams.generator(f"shop.leave.{campaign.number}")
        leaving = (
            who & (rng.random(len(who)) < self.config.unsubscribe) & (self._withdrawn == NEVER)
        )
        self._withdrawn[leaving] = campaign.start
        return leaving

    def _day(self, on: date) -> int:
        return frames.to_day(self._floor, on)


@dataclass(frozen=True, eq=False)
class Truth:
    """The hidden side of a shop, given the contacts made so far."""

    _floor: Shopfloor
    _contacts: Mapping[str, NDArray[np.bool_]]

    def effect(
        self, campaign_id: str, customers: Iterable[str] | None = None, *, worlds: int = 1
    ) -> Effect:
        """What contacting `customers` (default: those contacted) causes in the campaign's days.

        Contacts of other campaigns stay as they were made. `worlds` repeats all chances of those
        days with the same people; world 0 is the one that was lived.
        """
        campaign = self._campaign(campaign_id)
        chosen = self._chosen(campaign_id, customers)
        if not chosen.any():
            raise InvalidParameter(f"campaign {campaign_id} contacted nobody: name `customers`")
        runs = np.array([self._compare(campaign, chosen, world) for world in range(worlds)])
        mean, n = runs.mean(axis=0), worlds
        error = runs.std(axis=0, ddof=1) / n**0.5 if n > 1 else np.full(4, np.nan)
        orders, revenue, responded, caused = (float(value) for value in mean)
        return Effect(
            int(chosen.sum()), orders, revenue, responded, caused, float(error[0]), float(error[1])
        )

    def extra_order_chance(self, campaign_id: str, customers: Iterable[str]) -> NDArray[np.float64]:
        """True P(extra order | contacted) of each of `customers`, in their order, while alive."""
        campaign = self._campaign(campaign_id)
        floor = self._floor
        chance = find_extra_order(
            floor.config, floor.people, campaign, self._contacts, floor.calendar
        )
        return chance[number_customers(floor, customers)]

    def types(self, customers: Iterable[str]) -> list[str]:
        """The hidden type of each of `customers`, in their order."""
        kinds = self._floor.people.kind[number_customers(self._floor, customers)]
        return [self._floor.config.types[kind].name for kind in kinds]

    def _compare(
        self, campaign: Campaign, chosen: NDArray[np.bool_], world: int
    ) -> tuple[float, float, float, float]:
        others = {name: who for name, who in self._contacts.items() if name != campaign.campaign_id}
        span = (self._floor, campaign.start, campaign.end)
        treated = live(*span, {**others, campaign.campaign_id: chosen}, world=world)
        untreated = live(*span, others, world=world)
        orders = (self._orders(treated) - self._orders(untreated))[chosen]
        revenue = (self._revenue(treated) - self._revenue(untreated))[chosen]
        redeemed = np.zeros(len(chosen), dtype=bool)
        redeemed[treated.customer[treated.campaign == campaign.number]] = True
        return orders.mean(), revenue.mean(), redeemed[chosen].mean(), (orders > 0).mean()

    def _orders(self, lines: Lines) -> NDArray[np.int64]:
        return np.bincount(lines.customer[lines.line == 0], minlength=self._floor.people.n)

    def _revenue(self, lines: Lines) -> NDArray[np.int64]:
        paid = self._floor.assortment.price_minor[lines.product] * lines.quantity
        total = np.zeros(self._floor.people.n, dtype=np.int64)
        np.add.at(total, lines.customer, paid - lines.coupon_minor)
        return total

    def _campaign(self, campaign_id: str) -> Campaign:
        for campaign in self._floor.calendar:
            if campaign.campaign_id == campaign_id:
                return campaign
        raise NotFound(f"the shop has no campaign {campaign_id!r}")

    def _chosen(self, campaign_id: str, customers: Iterable[str] | None) -> NDArray[np.bool_]:
        if customers is not None:
            return pick(self._floor, customers)
        return self._contacts.get(campaign_id, np.zeros(self._floor.people.n, dtype=bool))


def number_customers(floor: Shopfloor, customers: Iterable[str]) -> NDArray[np.int64]:
    """Places of the shop's ids.

    Raises
    ------
    InvalidParameter
        If an id is not one of the shop's.
    """
    numbers = []
    for one in customers:
        digits = one[1:]
        number = int(digits) - 1 if one[:1] == "c" and digits.isdecimal() else -1
        if not 0 <= number < floor.people.n:
            raise InvalidParameter("an id is not one of the shop's customers")
        numbers.append(number)
    return np.array(numbers, dtype=np.int64)


def pick(floor: Shopfloor, customers: Iterable[str]) -> NDArray[np.bool_]:
    """(n,) True for the shop's ids in `customers`."""
    chosen = np.zeros(floor.people.n, dtype=bool)
    chosen[number_customers(floor, customers)] = True
    return chosen

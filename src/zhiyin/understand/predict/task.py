"""What is predicted, of whom, how far ahead and learned at which days: one description a task."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from zhiyin.core.errors import InvalidParameter

RESPONSE = "response"
NEXT_PURCHASE = "next_purchase"
CHURN = "churn"
CATEGORY_AFFINITY = "category_affinity"
CONTRACT = "contract"  # subject of churn that is a contract that ends
MIN_ORDERS = 2  # of a customer who can leave: with one order she has not come back yet

Label = Literal["orders", "stays_away", "contract_ends", "orders_category", "redeems"]
Eligible = Literal["everyone", "active_repeat", "contract_holders", "recipients"]


@dataclass(frozen=True)
class Task:
    """One prediction.

    Attributes
    ----------
    name
        `response`, `next_purchase`, `churn` or `category_affinity`.
    subject
        Campaign or category, `contract` for churn of contracts; empty where there is one
        prediction for all.
    label
        What counts as 1: she orders, she stays away, her contract ends, she orders in the
        category, she redeems.
    eligible
        Who is learned from and scored: everyone known on the day; those with `MIN_ORDERS` whose
        last order is at most a horizon old; who holds a contract on the day; the recipients.
    horizon_days
        Days from the as-of day in which it must happen; None: until the campaign ends.
    days
        As-of days to learn from, oldest first; the horizon of each is over on the day to score.
    predicts, predicts_zh
        The sentence of the model card.
    """

    name: str
    subject: str
    label: Label
    eligible: Eligible
    horizon_days: int | None
    predicts: str
    predicts_zh: str
    days: tuple[date, ...] = ()

    def known_on(self, day: date) -> date:
        """The last day whose events a label of `day` needs.

        Raises
        ------
        InvalidParameter
            If the task ends with a campaign, whose last day says it.
        """
        if self.horizon_days is None:
            raise InvalidParameter(f"the task {self.name!r} has no horizon in days")
        return day + timedelta(days=self.horizon_days - 1)

    def at_days(self, days: Iterable[date]) -> Task:
        """The same task, learned at these days."""
        return replace(self, days=tuple(sorted(days)))


def next_purchase(horizon_days: int) -> Task:
    """P(she orders within the horizon), for everyone: with one order, P(a second one)."""
    n = _checked(horizon_days)
    return Task(
        NEXT_PURCHASE, "", "orders", "everyone", n,
        f"whether a customer orders within {n} days",
        f"客户在 {n} 天内是否下单",
    )  # fmt: skip


def churn(horizon_days: int) -> Task:
    """P(she stays away for a horizon), without a contract.

    Who has one order has not come back yet (`next_purchase` speaks of her); who has stayed away
    for a horizon already has left by the same definition: neither gets a label.
    """
    n = _checked(horizon_days)
    return Task(
        CHURN, "", "stays_away", "active_repeat", n,
        f"whether a customer who came back stays away for {n} days",
        f"复购客户在 {n} 天内是否不再下单",
    )  # fmt: skip


def contract_churn(horizon_days: int) -> Task:
    """P(her contract or subscription ends within the horizon), for those who hold one."""
    n = _checked(horizon_days)
    return Task(
        CHURN, CONTRACT, "contract_ends", "contract_holders", n,
        f"whether the contract of a customer ends within {n} days",
        f"客户的合约在 {n} 天内是否终止",
    )  # fmt: skip


def category_affinity(category: str, horizon_days: int) -> Task:
    """P(she orders something of the category within the horizon), for everyone."""
    n = _checked(horizon_days)
    return Task(
        CATEGORY_AFFINITY, category, "orders_category", "everyone", n,
        f"whether a customer orders in {category} within {n} days",
        f"客户在 {n} 天内是否购买“{category}”",
    )  # fmt: skip


def response(campaign_id: str) -> Task:
    """P(she redeems an offer of the campaign before it ends), for its planned recipients."""
    return Task(
        RESPONSE, campaign_id, "redeems", "recipients", None,
        "whether a recipient redeems an offer of the campaign before it ends",
        "收到活动的客户在活动结束前是否核销优惠",
    )  # fmt: skip


def pick_days(
    available: Iterable[date], *, as_of: date, horizon_days: int, most: int
) -> tuple[date, ...]:
    """Days to learn from: the latest whose labels are known on `as_of`, a horizon apart.

    Labels of a day end before the next day picked, so that what was known on one day is never
    also the outcome of another, and a later day can judge a model of the earlier ones.

    Parameters
    ----------
    available
        Days with a snapshot of every customer.
    as_of
        The day to score.
    horizon_days
        Length of the label window.
    most
        At most so many days, the latest.
    """
    horizon = timedelta(days=_checked(horizon_days))
    picked: list[date] = []
    end = as_of
    for day in sorted(set(available), reverse=True):
        if len(picked) < most and day + horizon <= end:
            picked.append(day)
            end = day
    return tuple(reversed(picked))


def _checked(horizon_days: int) -> int:
    if horizon_days < 1:
        raise InvalidParameter(
            f"a horizon of {horizon_days} days is none", hint="give at least one day"
        )
    return horizon_days

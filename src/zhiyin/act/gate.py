"""The gate: gathers what is known of each person and lets `govern.gate` decide (law 4).

Every message passes here twice, when it is planned and when it is handed over. Who calls records
the verdicts; nothing else in this room decides who is written to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from msgspec.structs import replace

from zhiyin.act.spent import read_spent
from zhiyin.core.protocols import Vault
from zhiyin.govern import gate
from zhiyin.govern.authorisations import read_reserved
from zhiyin.govern.facts import Terms, read_facts
from zhiyin.govern.gate import MARKETING, Contact, Verdict
from zhiyin.govern.people import Person
from zhiyin.govern.suppression import Tokens, address_token

ALREADY_PLANNED = "already_planned"
REASONS = gate.REASONS | {
    ALREADY_PLANNED: ("has a message of this campaign already", "已有本次活动的消息"),
    "superseded": ("not chosen any more by a newer plan", "新的计划中不再选中"),
    "cancelled": ("its campaign was cancelled", "活动已取消"),
    "erased": ("erased in the meantime", "个人数据已被删除"),
    "expired": ("nobody may confirm it any more", "确认期限已过"),
    "late": ("it came due too long ago", "到期已过有效时间"),
    "journey_ended": ("its journey was ended", "旅程已结束"),
    "interrupted": ("it may have gone out when the run was cut short", "中断时可能已发出"),
    "no_answer": ("the provider took it and did not answer", "服务商接收后未应答"),
    "refused": ("the provider refused it", "服务商拒收"),
    "bad_address": ("the address is malformed", "地址格式有误"),
    "template": ("its template could not be rendered", "模板无法渲染"),
}
"""What a message's `reason` can be: code → (en, zh); the gate's own come first, in its order."""


def check_people(
    connection: sa.Connection,
    people: Sequence[Person],
    *,
    terms: Terms,
    vault: Vault,
    at: datetime,
    held_out: Collection[str] = (),
    personal: Collection[int] = (),
    turn_id: str = "",
    prices: Sequence[int] = (),
    planning: bool = False,
    unused: Collection[int] = (),
) -> list[Verdict]:
    """The verdict on one contact with each person at `at`, over all parties of hers.

    They are judged one after the other: each that is allowed uses the campaign's budget, its
    address and an authorisation for those after it, and counts for the caps of the same person.

    Parameters
    ----------
    held_out
        Parties in the holdout of the campaign: a person with one of them is not contacted.
    personal
        Places in `people` of those for whom the contents were chosen.
    turn_id
        The turn that plans: what it planned already counts as sent. None when sending.
    prices
        What each contact costs, in millionths of the currency, where the budget is money.
    planning
        Authorisations that planned messages are going to spend are not there any more.
    unused
        Places in `people` of those who get nothing although they may (a holdout): they use nothing.
    """
    known = Tokens(vault, terms.namespace)
    facts = read_facts(
        connection, people, terms=terms, vault=vault, at=at, held_out=held_out, personal=personal,
        known=known,
    )  # fmt: skip
    tokens = [known.of_address(one.address) if one.address else "" for one in people]
    spent = read_spent(
        connection, terms.campaign_id, tokens, turn_id=turn_id,
        counted=terms.budget_messages is not None or terms.budget_micros is not None,
    )  # fmt: skip
    purse = Purse(terms, spent.messages, spent.micros, prices)
    holders = {token: set(spent.holders[token]) for token in spent.holders}
    taken_of = Counter[str]()
    if planning and terms.template:
        taken_of.update(read_reserved(
            connection, [one for one in tokens if one], template=terms.template,
            campaign_id=terms.campaign_id, turn_id=turn_id,
        ))  # fmt: skip
    persons = Counter(one.parties[0] for one in people)
    again = {one for one, n in persons.items() if n > 1 and terms.purpose == MARKETING}
    contacted: dict[str, list[Contact]] = {}  # of those who come again
    verdicts: list[Verdict] = []
    for place, (fact, person, token) in enumerate(zip(facts, people, tokens, strict=True)):
        left = purse.left(place)
        taken = bool(holders.get(token, set()) - set(person.parties)) if token else False
        if taken or left is not None:
            fact = replace(fact, address_taken=taken, budget_left=left)
        if fact.authorised is not None and taken_of[token]:
            fact = replace(fact, authorised=fact.authorised - taken_of[token])
        chief = person.parties[0]
        if chief in contacted:
            fact = replace(fact, contacts=[*fact.contacts, *contacted[chief]])
        made = gate.check(fact, terms.limits)
        if made.possible and place not in unused:
            purse.pay(place)
            holders.setdefault(token, set()).add(person.party_id)
            taken_of[token] += 1
            if chief in again:
                one = Contact(at, terms.channel, terms.campaign_id)
                contacted.setdefault(chief, []).append(one)
        verdicts.append(made)
    return verdicts


class Purse:
    """What is left of a campaign's budget while contacts are judged one after the other."""

    def __init__(self, terms: Terms, used: int, micros: int, prices: Sequence[int]) -> None:
        self._terms, self._used, self._micros, self._prices = terms, used, micros, prices

    def left(self, place: int) -> int | None:
        """How many contacts like that at a place it can pay for; None: any number."""
        if self._terms.budget_micros is not None and self._prices:
            rest = self._terms.budget_micros - self._micros
            price = self._prices[place]
            return rest // price if price else None
        if self._terms.budget_messages is None:
            return None
        return self._terms.budget_messages - self._used

    def pay(self, place: int) -> None:
        """The contact at a place is made."""
        self._used += 1
        self._micros += self._prices[place] if self._prices else 0


def address_of(person: Person, *, vault: Vault, channel: str) -> str:
    """The keyed hash of the address a message to her would go to; empty without one."""
    if not person.address:
        return ""
    return address_token(vault, channel, person.address, space=person.space)

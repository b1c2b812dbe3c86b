"""What forbids to join two records: how many identifiers of a kind one person may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zhiyin.core.config import IdentitySettings
from zhiyin.govern.identifiers import (
    ANONYMOUS_ID,
    CARD,
    DEVICE_ID,
    EMAIL,
    PHONE,
    kind_of,
)

SAME_ROW = "same_row"
SHARED, AMBIGUOUS, APART, TWO_IDS, TOO_MANY = (
    "shared", "ambiguous", "apart", "two_ids", "too_many",
)  # fmt: skip

CONFLICTS = {
    SHARED: ("too many records have this identifier", "使用该标识的记录过多"),
    AMBIGUOUS: ("records that cannot be one person share it", "不可能是同一人的记录共用该标识"),
    APART: ("a person said that these are two people", "已人工确认不是同一人"),
    TWO_IDS: ("one person would have two such ids", "合并后同一人会有两个此类标识"),
    TOO_MANY: ("one person would have too many such identifiers", "合并后同一人的此类标识过多"),
}
"""Why two records were not joined: code → (en, zh)."""


@dataclass(frozen=True)
class Limits:
    """Most identifiers of a kind of one person; of user ids (per source), unionids, openids (per
    app) and ouids (per shop) she has one. `parties_per_identifier`: what more records have is a
    till, a shared phone or a placeholder, and joins nobody.
    """

    emails: int = 5
    phones: int = 5
    devices: int = 20
    anonymous_ids: int = 100
    cards: int = 5
    parties_per_identifier: int = 5

    def most(self, namespace: str) -> int:
        """The limit of a namespace."""
        known = {
            EMAIL: self.emails, PHONE: self.phones, DEVICE_ID: self.devices,
            ANONYMOUS_ID: self.anonymous_ids, CARD: self.cards,
        }  # fmt: skip
        return known.get(kind_of(namespace), 1)


def limits_of(settings: IdentitySettings) -> Limits:
    """The limits of a workspace."""
    return Limits(
        settings.emails, settings.phones, settings.devices, settings.anonymous_ids,
        settings.cards, settings.parties_per_identifier,
    )  # fmt: skip


class UnionFind:
    """Parties joined so far; the one that stands for a person is the first in `order`.

    Parameters
    ----------
    chiefs
        Party → the one that stands for her already.
    order
        Place of each party.
    """

    def __init__(self, chiefs: Mapping[int, int], order: Sequence[int]) -> None:
        self.above = list(range(len(order)))
        for party, chief in chiefs.items():
            self.above[party] = chief
        self._order = order

    def find(self, party: int) -> int:
        """The party that stands for the person."""
        above = self.above
        while above[party] != party:
            above[party] = above[above[party]]
            party = above[party]
        return party

    def unite(self, one: int, other: int) -> tuple[int, int]:
        """Join two that stand for people: (the one that gives way, the one that stays)."""
        winner, loser = (one, other) if self._order[one] < self._order[other] else (other, one)
        self.above[loser] = winner
        return loser, winner


class Guards:
    """The identifiers of the people that come out, and whether two of them may be one."""

    def __init__(
        self,
        union: UnionFind,
        most: Sequence[int],
        bags: Mapping[int, Mapping[int, set[int]]],
        apart: Sequence[tuple[int, int]],
    ) -> None:
        self._union, self._most, self._apart = union, most, apart
        self._bags: dict[int, dict[int, set[int]]] = {}
        for party, bag in bags.items():
            mine = self._bags.setdefault(union.find(party), {})
            for namespace, held in bag.items():
                mine.setdefault(namespace, set()).update(held)

    def why_not(self, one: int, other: int) -> str:
        """Why two people may not be joined; empty if they may."""
        find = self._union.find
        if any({find(a), find(b)} == {one, other} for a, b in self._apart):
            return APART
        mine, hers = self._bags.get(one, {}), self._bags.get(other, {})
        for namespace in sorted(mine.keys() & hers.keys()):
            most = self._most[namespace]
            if len(mine[namespace] | hers[namespace]) > most:
                return TWO_IDS if most == 1 else TOO_MANY
        return ""

    def unite(self, one: int, other: int) -> None:
        """Note that two people are one; call it before they are joined in the union."""
        bag = self._bags.pop(one, {})
        for namespace, held in self._bags.pop(other, {}).items():
            bag.setdefault(namespace, set()).update(held)
        self._bags[one] = self._bags[other] = bag

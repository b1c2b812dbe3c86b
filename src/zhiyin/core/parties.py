"""Who stands for a person: the representative of each party under the merges in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heappush


@dataclass(frozen=True, order=True)
class Join:
    """One merge in force: from `at` on, `party_id` is the same person as `into`."""

    party_id: str
    into: str
    at: datetime  # aware


def representatives(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The representative of every party that is not its own.

    Parameters
    ----------
    pairs
        (party, into): `party` is the same person as `into`. Their order does not matter.

    Returns
    -------
    party → representative, without the representatives themselves. The representative of joined
    parties is the one that is joined into no other; if there are several (A into B and A into C)
    or none (a cycle), the smallest id among them or among all.
    """
    above: dict[str, str] = {}
    joined: set[str] = set()

    def top(party: str) -> str:
        path: list[str] = []
        while (parent := above.setdefault(party, party)) != party:
            path.append(party)
            party = parent
        for step in path:
            above[step] = party
        return party

    for party, into in pairs:
        if party != into:
            joined.add(party)
        one, other = sorted((top(party), top(into)))
        above[other] = one
    groups: dict[str, list[str]] = {}
    for party in sorted(above):
        groups.setdefault(top(party), []).append(party)
    chosen: dict[str, str] = {}
    for members in groups.values():
        free = [party for party in members if party not in joined]
        chosen.update(dict.fromkeys(members, (free or members)[0]))
    return {party: into for party, into in chosen.items() if party != into}


def joined_parties(party: str, mapping: Mapping[str, str]) -> list[str]:
    """All parties of the person that `party` belongs to, sorted, under `representatives`."""
    chief = mapping.get(party, party)
    return sorted({chief, party, *(one for one, into in mapping.items() if into == chief)})


def joined_since(party: str, joins: Iterable[Join]) -> dict[str, datetime]:
    """From when each other party is one person with `party`, under merges in force.

    Two parties are one person from the last merge on the way between them; of several ways the
    one that was complete first counts.
    """
    near: dict[str, list[tuple[str, datetime]]] = {}
    for one in joins:
        near.setdefault(one.party_id, []).append((one.into, one.at))
        near.setdefault(one.into, []).append((one.party_id, one.at))
    since: dict[str, datetime] = {}
    ways = [(at, other) for other, at in near.get(party, ())]
    heapify(ways)
    while ways:
        at, other = heappop(ways)
        if other == party or other in since:
            continue
        since[other] = at
        for further, then in near[other]:
            heappush(ways, (max(at, then), further))
    return since

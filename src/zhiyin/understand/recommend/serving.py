"""The list of one request: who answers, what the rules of the place leave, and why.

Pure: a shelf, an `Ask` and the rules give places. Nothing is read or written here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace
from itertools import chain, islice
from typing import NamedTuple

from zhiyin.core.placements import PlacementSettings
from zhiyin.understand.recommend.shelf import BOUGHT, CANDIDATES, FADE, KINDS, TOGETHER, Shelf

PIN = "pin"
PERSONAL = frozenset({"customer", "session"})
"""Links that use what is known of her."""
_LOOKED_THROUGH = 400  # of what is popular: a longer look would cost more than it finds
_DAY_S = 86_400
WORDS = {
    "repeat": ("bought {count} times before", "您买过 {count} 次"),
    "rhythm": ("bought {count} times before, about every {every_days} days",
               "您买过 {count} 次，约每 {every_days} 天一次"),
    "because": ("because you bought {name}", "因为您买过{name}"),
    "chosen": ("chosen for you", "为您精选"),
    "session": ("because you looked at {name}", "因为您看过{name}"),
    "basket": ("goes with {name} in your basket", "与购物篮中的{name}常一起购买"),
    "item": ("often bought with {name}", "常与{name}一起购买"),
    "category": ("popular in {name}", "{name}热销"),
    "popular": ("bought by {count} people", "已有 {count} 人购买"),
    PIN: ("a choice of the shop", "店铺精选"),
}  # fmt: skip
"""Why, in English and in Chinese."""


@dataclass(frozen=True)
class Ask:
    """What one request is about, products as codes of the shelf.

    `row`: the person, -1: nobody who is known. `seen`: what was looked at or bought lately, latest
    first. `bought`: what of it was bought, with when (seconds since 1970).
    """

    row: int = -1
    item: int | None = None
    basket: Sequence[int] = ()
    seen: Sequence[int] = ()
    bought: Mapping[int, float] = field(default_factory=dict[int, float])
    k: int = 10
    personal: bool = True
    at: float = 0.0  # seconds since 1970


class Place(NamedTuple):
    """One product of a list and the link that gave it. `said`: what speaks for it, by the link:
    an entry of `candidates`, a product (`bought`: she bought it), a category, a number of buyers.
    """

    code: int
    score: float
    source: str
    said: int = 0
    bought: bool = False


def say_why(shelf: Shelf, one: Place) -> tuple[str, str, str]:
    """Why a product is shown: a key of `WORDS`, and the words in English and in Chinese."""
    kind, said = one.source, dict[str, object]()
    if kind == "customer":
        kind, said = _of_list(shelf, one.said)
    elif kind == "category":
        said["name"] = shelf.categories[one.said].decode()
    elif kind == "popular":
        said["count"] = one.said
    elif kind != PIN:
        kind = "because" if one.bought else kind
        said["name"] = shelf.names[one.said].decode()
    english, chinese = WORDS[kind]
    return kind, english.format(**said), chinese.format(**said)


def _of_list(shelf: Shelf, entry: int) -> tuple[str, dict[str, object]]:
    arrays = shelf.generation.arrays
    kind = KINDS[arrays[f"{CANDIDATES}.kind"][entry]]
    by, count = int(arrays[f"{CANDIDATES}.said"][entry]), int(arrays[f"{CANDIDATES}.count"][entry])
    if kind == "because" and by >= 0:
        return kind, {"name": shelf.names[by].decode()}
    if kind == "repeat":
        days = int(arrays[f"{CANDIDATES}.every_days"][entry])
        return "rhythm" if days > 0 else kind, {"count": count, "every_days": days}
    return (kind, {"count": count}) if kind == "popular" else ("chosen", {})


def fill(shelf: Shelf, ask: Ask, rule: PlacementSettings) -> list[Place]:
    """The list: pins, then link after link of the chain until it is full."""
    allowed, category = shelf.allowed(rule), shelf.category
    closed = {*ask.basket, *_bought(shelf, ask, rule)}
    if ask.item is not None:
        closed.add(ask.item)
    made: list[Place] = []
    counts: Counter[int] = Counter()
    for link in (PIN, *rule.chain):
        if link in PERSONAL and not (ask.personal and rule.personalised):
            continue
        offered = _offers(shelf, ask, rule, link)
        if rule.diversity:
            free = (one for one in offered if allowed[one.code] and one.code not in closed)
            offered = _spread(free, category, counts, rule)
        for one in offered:
            if len(made) >= ask.k:
                return made
            if not allowed[one.code] or one.code in closed:
                continue
            group = category[one.code]
            if rule.category_cap and group >= 0 and counts[group] >= rule.category_cap:
                continue
            counts[group] += 1
            closed.add(one.code)
            made.append(one)
    return made


def _bought(shelf: Shelf, ask: Ask, rule: PlacementSettings) -> Iterator[int]:
    """What she bought so lately that the place leaves it out."""
    if not rule.exclude_bought_days:
        return
    since = ask.at - rule.exclude_bought_days * _DAY_S
    yield from (code for code, at in ask.bought.items() if at >= since)
    if ask.row >= 0:
        mine = shelf.generation.span(BOUGHT, ask.row)
        arrays = shelf.generation.arrays
        lately = arrays[f"{BOUGHT}.at"][mine] >= since
        yield from arrays[f"{BOUGHT}.item"][mine][lately].tolist()


def _offers(shelf: Shelf, ask: Ask, rule: PlacementSettings, link: str) -> Iterator[Place]:
    """What one link has to offer, best first."""
    if link == PIN:
        return (Place(code, 0.0, PIN) for code in shelf.codes_of(rule.pins))
    if link == "customer":
        return _listed(shelf, ask.row)
    if link == "popular":
        return _popular(shelf, islice(shelf.popular(rule), _LOOKED_THROUGH))
    if link == "category":
        return _of_category(shelf, ask)
    if link == "session":
        found = shelf.beside(ask.seen, fade=FADE)
        return (Place(code, score, link, by, by in ask.bought) for code, score, by in found)
    seeds = ask.basket if link == "basket" else [] if ask.item is None else [ask.item]
    found = chain(shelf.beside(seeds, by=TOGETHER), shelf.beside(seeds))
    return (Place(code, score, link, by) for code, score, by in found)


def _listed(shelf: Shelf, row: int) -> Iterator[Place]:
    if row < 0:
        return
    arrays, mine = shelf.generation.arrays, shelf.generation.span(CANDIDATES, row)
    items = arrays[f"{CANDIDATES}.item"][mine].tolist()
    scores = arrays[f"{CANDIDATES}.score"][mine].tolist()
    for entry, (code, score) in enumerate(zip(items, scores, strict=True), start=mine.start):
        yield Place(code, score, "customer", entry)


def _popular(shelf: Shelf, codes: Iterable[int]) -> Iterator[Place]:
    for code in codes:
        count = int(shelf.buyers[code])
        yield Place(code, float(count), "popular", count)


def _of_category(shelf: Shelf, ask: Ask) -> Iterator[Place]:
    """What is popular in the category of the item, of the basket, of what was looked at last."""
    asked = [] if ask.item is None else [ask.item]
    seen = ask.seen if ask.personal else ()
    groups = dict.fromkeys(shelf.category[code] for code in (*asked, *ask.basket, *seen))
    for group in groups:
        if group >= 0:
            for code in shelf.popular_in(group):
                yield Place(code, float(shelf.buyers[code]), "category", group)


def _spread(
    offered: Iterable[Place],
    category: Sequence[int],
    counts: Mapping[int, int],
    rule: PlacementSettings,
) -> Iterator[Place]:
    """Best first, where each product of a category before it takes from a score.

    score(i) (1 - diversity)^n, n products of the category of i before it; ties keep their order.
    """
    before, keep = Counter(counts), 1 - rule.diversity
    heap = [
        (-one.score * keep ** before[category[one.code]], place, before[category[one.code]], one)
        for place, one in enumerate(islice(offered, _LOOKED_THROUGH))
    ]
    heapify(heap)
    while heap:
        _, place, known, one = heap[0]
        group = category[one.code]
        if known < before[group]:  # scores only fall: what is at the top when it is right is best
            lower = -one.score * keep ** before[group]
            heapreplace(heap, (lower, place, before[group], one))
            continue
        heappop(heap)
        before[group] += 1
        yield one

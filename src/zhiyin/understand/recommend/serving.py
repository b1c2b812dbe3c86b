"""The list of one request: who answers, what the rules of the place leave, and why.

Pure: a shelf, an `Ask` and the rules give places. Nothing is read or written here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from zhiyin.core.placements import PlacementSettings
from zhiyin.understand.recommend.shelf import BOUGHT, CANDIDATES, FADE, KINDS, Shelf

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

    `row`: the person, -1: nobody who is known. `seen`: what was looked at, latest first.
    `bought`: what was bought since the generation, with when (seconds since 1970).
    """

    row: int = -1
    item: int | None = None
    basket: Sequence[int] = ()
    seen: Sequence[int] = ()
    bought: Mapping[int, float] = field(default_factory=dict[int, float])
    k: int = 10
    personal: bool = True
    at: float = 0.0  # seconds since 1970


@dataclass(frozen=True)
class Place:
    """One product of a list, which link gave it, and why: a key of `WORDS` and its values."""

    code: int
    score: float
    source: str
    kind: str
    said: Mapping[str, object]

    def words(self) -> tuple[str, str]:
        """The reason in English and in Chinese."""
        english, chinese = WORDS[self.kind]
        return english.format(**self.said), chinese.format(**self.said)


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
        return (Place(code, 0.0, PIN, PIN, {}) for code in shelf.codes_of(rule.pins))
    if link == "customer":
        return _listed(shelf, ask.row)
    if link == "popular":
        return _popular(shelf, islice(shelf.popular(rule), _LOOKED_THROUGH))
    if link == "category":
        return _of_category(shelf, ask)
    seeds = {"session": ask.seen, "basket": ask.basket}.get(link)
    if seeds is None:
        seeds = () if ask.item is None else (ask.item,)
    return (
        Place(code, score, link, link, {"name": shelf.names[by].decode()})
        for code, score, by in shelf.beside(seeds, fade=FADE if link == "session" else 1.0)
    )


def _listed(shelf: Shelf, row: int) -> Iterator[Place]:
    if row < 0:
        return
    mine = shelf.generation.people(CANDIDATES, row)
    columns = [mine[name].tolist() for name in ("item", "score", "kind", "said", "count")]
    every = mine["every_days"].tolist()
    for code, score, kind, said, count, days in zip(*columns, every, strict=True):
        if KINDS[kind] == "because" and said >= 0:
            yield Place(code, score, "customer", "because", {"name": shelf.names[said].decode()})
        elif KINDS[kind] == "repeat":
            why = "rhythm" if days > 0 else "repeat"
            yield Place(code, score, "customer", why, {"count": count, "every_days": days})
        elif KINDS[kind] == "popular":
            yield Place(code, score, "customer", "popular", {"count": count})
        else:
            yield Place(code, score, "customer", "chosen", {})


def _popular(shelf: Shelf, codes: Iterable[int]) -> Iterator[Place]:
    for code in codes:
        count = int(shelf.buyers[code])
        yield Place(code, float(count), "popular", "popular", {"count": count})


def _of_category(shelf: Shelf, ask: Ask) -> Iterator[Place]:
    """What is popular in the category of the item, of the basket, of what was looked at last."""
    asked = [] if ask.item is None else [ask.item]
    seen = ask.seen if ask.personal else ()
    groups = dict.fromkeys(shelf.category[code] for code in (*asked, *ask.basket, *seen))
    for group in groups:
        if group >= 0:
            name = shelf.categories[group].decode()
            for code in shelf.popular_in(group):
                score = float(shelf.buyers[code])
                yield Place(code, score, "category", "category", {"name": name})


def _spread(
    offered: Iterable[Place],
    category: Sequence[int],
    counts: Mapping[int, int],
    rule: PlacementSettings,
) -> Iterator[Place]:
    """Best first, where each product of a category before it takes from a score.

    score(i) (1 - diversity)^n, n products of the category of i before it; ties keep their order.
    """
    left, before = list(islice(offered, _LOOKED_THROUGH)), Counter(counts)
    keep = 1 - rule.diversity
    while left:
        best = max(
            range(len(left)),
            key=lambda at: (left[at].score * keep ** before[category[left[at].code]], -at),
        )
        one = left.pop(best)
        before[category[one.code]] += 1
        yield one

"""The shop's own rules over ranked lists: one pass over arrays, quick enough for a request.

No price discrimination: what is known of an item here (`Shelf`) is the same for everybody, and
what is known of a person (`Candidates`) is what she took, gave back and has not tried. Nothing
here, and nothing that a recommender learns from, is a price, an income or what somebody paid: two
people with the same candidates get the same list, and an item costs each of them what it costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zhiyin.core.arguments import check_number, check_whole, show
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend.scorer import Ranking


@dataclass(frozen=True, eq=False)
class Shelf:
    """What is known of each item of the catalogue, for everybody alike; all (I,).

    Attributes
    ----------
    allowed
        False: never recommended, pinned or not (not in stock, sensitive category).
    pays
        False: its margin is below the least one; a pin is stronger than that.
    category
        Code of its category, -1 where unknown: such items share none.
    buyers
        How many people took it.
    vectors
        (I, f), rows of norm 1 or 0, whose products say how alike items are; None: items are alike
        where they share a category.
    """

    allowed: np.ndarray
    pays: np.ndarray
    category: np.ndarray
    buyers: np.ndarray
    vectors: np.ndarray | None = None

    @classmethod
    def plain(cls, items: int) -> Shelf:
        """One of `items` of which nothing is known."""
        yes = np.ones(items, dtype=bool)
        return cls(yes, yes, np.full(items, -1), np.ones(items, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Candidates:
    """What may be in each person's list; all (n, m), best first.

    Attributes
    ----------
    products
        Codes; -1 where there is none.
    scores
        At or above 0.
    fresh
        True: she has not taken it before.
    barred
        True: not for her now (she has it since a few days, or gave it back).
    """

    products: np.ndarray
    scores: np.ndarray
    fresh: np.ndarray
    barred: np.ndarray


@dataclass(frozen=True)
class Rules:
    """How lists are arranged.

    Attributes
    ----------
    min_new
        So many places, at least, go to fresh items where there are such.
    category_cap
        Most items of one category; None: any number.
    diversity
        0: by score alone; towards 1: what is unlike those before it (maximal marginal relevance).
    novelty
        0: by score alone; 1: by score over its number of buyers.
    pins
        Item code by place (from 1): it stands there for everybody whom it is not barred for, as
        `Candidates` says; those in whose candidates it is missing get it, too.
    """

    min_new: int = 0
    category_cap: int | None = None
    diversity: float = 0.0
    novelty: float = 0.0
    pins: Mapping[int, int] | None = None


def merge_candidates(everything: Ranking, new: Ranking) -> Candidates:
    """The items of both lists, each once, by score; ties to the smaller code."""
    products = np.concatenate([everything.products, new.products], axis=1)
    scores = np.concatenate([everything.scores, new.scores], axis=1)
    fresh = np.zeros(products.shape, dtype=bool)
    order = np.argsort(products, axis=1, kind="stable")
    sorted_ = np.take_along_axis(products, order, axis=1)
    same = np.zeros(products.shape, dtype=bool)
    same[:, 1:] = (sorted_[:, 1:] == sorted_[:, :-1]) & (sorted_[:, 1:] >= 0)
    later = np.zeros(products.shape, dtype=bool)  # stands in `new` a second time
    np.put_along_axis(later, order, same, axis=1)
    fresh[:, everything.products.shape[1] :] = True
    before = np.zeros(products.shape, dtype=bool)
    before[:, :-1] = same[:, 1:]
    twice = np.zeros(products.shape, dtype=bool)
    np.put_along_axis(twice, order, before, axis=1)
    fresh |= twice
    products = np.where(later, -1, products)
    best = np.lexsort((products, -scores, products < 0), axis=1)
    products, scores, fresh = (
        np.take_along_axis(part, best, axis=1) for part in (products, scores, fresh)
    )
    fresh &= products >= 0
    return Candidates(products, scores, fresh, np.zeros(products.shape, dtype=bool))


def arrange(candidates: Candidates, shelf: Shelf, rules: Rules, *, k: int) -> Ranking:
    """The `k` items of each list, chosen place by place.

    Returns
    -------
    Lists with the candidates' own scores, in the order of the rules: scores fall only where
    `diversity`, `novelty` and `pins` are not used and `min_new` pushes nothing down. Shorter
    (-1) where the rules leave too few.

    Raises
    ------
    InvalidParameter
        If a number of `rules` is out of its range.

    Notes
    -----
    At each place the largest of (1 - d) r - d s is taken, ties to the better candidate; r is the
    score over buyers^novelty, as a share of her largest; s the likeness to the most alike of those
    above (Carbonell & Goldstein, 1998). A pin needs `allowed` and not `barred` alone; it counts
    for caps, likeness and fresh places. O(n m k).
    """
    _check(candidates, shelf, rules, k)
    items, scores = candidates.products, candidates.scores
    known = np.maximum(items, 0)
    able = (items >= 0) & shelf.allowed[known] & shelf.pays[known] & ~candidates.barred
    worth = _worth(scores, shelf.buyers[known], able, rules.novelty)
    category = np.where(items >= 0, shelf.category[known], -1)
    alike, taken = np.zeros(worth.shape), np.zeros(worth.shape, dtype=np.int64)
    made = Ranking.empty(len(items), k)
    rows = np.arange(len(items))
    pins = _place_pins(candidates, shelf, rules)
    for product, here in pins.values():  # nobody gets one twice
        able &= ~((items == product) & here[:, None])
    got = np.zeros(len(items), dtype=np.int64)  # fresh places so far
    for place in range(k if items.shape[1] else 0):
        open_ = able if rules.category_cap is None else able & (taken < rules.category_cap)
        short = got <= rules.min_new - (k - place)
        pressed = short[:, None] & open_ & candidates.fresh
        open_ = np.where(pressed.any(axis=1, keepdims=True), pressed, open_)
        value = np.where(open_, (1 - rules.diversity) * worth - rules.diversity * alike, -np.inf)
        at = value.argmax(axis=1)
        found = open_[rows, at]
        chosen = np.where(found, items[rows, at], -1)
        product, here = pins.get(place + 1, (-1, np.zeros(len(items), dtype=bool)))
        own = np.where(here, ((items == product) * scores).max(axis=1), 0.0)
        made.scores[:, place] = np.where(here, own, np.where(found, scores[rows, at], 0.0))
        chosen = np.where(here, product, chosen)
        made.products[:, place] = chosen
        is_fresh = candidates.fresh[rows, at] & found
        if here.any():
            is_fresh = np.where(here, _fresh(candidates, product), is_fresh)
        got += is_fresh
        able[rows[found & ~here], at[found & ~here]] = False
        its = np.where(chosen >= 0, shelf.category[np.maximum(chosen, 0)], -1)
        shared = (category == its[:, None]) & (its >= 0)[:, None]
        taken += shared
        if rules.diversity:
            alike = np.maximum(alike, _likeness(shelf, known, chosen, shared))
    return _close_gaps(made)


def _fresh(candidates: Candidates, product: int) -> np.ndarray:
    """(n,) whether the item is among her candidates as one she has not taken."""
    return ((candidates.products == product) & candidates.fresh).any(axis=1)


def _worth(scores: np.ndarray, buyers: np.ndarray, able: np.ndarray, novelty: float) -> np.ndarray:
    worth = scores.astype(np.float64)
    if novelty:
        worth = worth / np.maximum(buyers, 1.0) ** novelty
    most = np.where(able, worth, 0).max(axis=1, initial=0, keepdims=True)
    return worth / np.where(most > 0, most, 1)


def _place_pins(
    candidates: Candidates, shelf: Shelf, rules: Rules
) -> dict[int, tuple[int, np.ndarray]]:
    """Item of each pinned place, and the (n,) mask of those who may have it."""
    found = {}
    for place, product in (rules.pins or {}).items():
        barred = ((candidates.products == product) & candidates.barred).any(axis=1)
        if shelf.allowed[product]:
            found[place] = (product, ~barred)
    return found


def _likeness(
    shelf: Shelf, known: np.ndarray, chosen: np.ndarray, shared: np.ndarray
) -> np.ndarray:
    """(n, m) how alike each candidate is to the item just chosen."""
    if shelf.vectors is None:
        return shared.astype(np.float64)
    own = shelf.vectors[np.maximum(chosen, 0)] * (chosen >= 0)[:, None]
    return np.einsum("nmf,nf->nm", shelf.vectors[known], own)


def _close_gaps(made: Ranking) -> Ranking:
    """Places without an item last."""
    order = np.argsort(made.products < 0, axis=1, kind="stable")
    return Ranking(
        np.take_along_axis(made.products, order, axis=1),
        np.take_along_axis(made.scores, order, axis=1),
    )


def _check(candidates: Candidates, shelf: Shelf, rules: Rules, k: int) -> None:
    for name, value, kind in (
        ("candidates", candidates, Candidates), ("shelf", shelf, Shelf), ("rules", rules, Rules)
    ):  # fmt: skip
        if not isinstance(value, kind):
            raise InvalidParameter(
                f"{name} is {show(value)}", hint=f"make it by {kind.__name__}(…)"
            )
    check_whole("k", k, least=1)
    if not 0 <= check_whole("min_new", rules.min_new) <= k:
        raise InvalidParameter(f"min_new is {rules.min_new}, it must be within 0..{k}")
    if rules.category_cap is not None:
        check_whole("category_cap", rules.category_cap, least=1)
    _check_pins({} if rules.pins is None else rules.pins, len(shelf.allowed))
    if not 0 <= check_number("diversity", rules.diversity) < 1:
        raise InvalidParameter(f"diversity is {rules.diversity}, it must be within [0, 1)")
    if not 0 <= check_number("novelty", rules.novelty) <= 1:
        raise InvalidParameter(f"novelty is {rules.novelty}, it must be within 0..1")


def _check_pins(pins: Mapping[int, int], items: int) -> None:
    if not isinstance(pins, Mapping):
        raise InvalidParameter(
            f"pins is {show(pins)}, not a dict", hint="pins={1: 7}: item 7 at the first place"
        )
    for place, product in pins.items():
        check_whole("the place of a pin", place, least=1)
        check_whole("the item of a pin", product, least=0, most=items - 1)

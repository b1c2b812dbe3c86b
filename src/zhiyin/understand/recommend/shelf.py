"""A generation as requests use it: what is looked up often is decoded once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from zhiyin.core.generation import Generation, Texts
from zhiyin.core.placements import PlacementSettings
from zhiyin.understand.recommend.catalogue import UNKNOWN_PRICE

CANDIDATES, BOUGHT = "candidates", "bought"
NEAR, TOGETHER = "near", "together"
"""Who stands beside whom: by buyers in common, by orders that hold both."""
KINDS = ("", "repeat", "because", "popular")
"""Why, as the number that `candidates.kind` holds."""
_LATEST = 20
"""So many products of a basket or a session speak; the latest ones."""
FADE = 0.85
"""What a product that was looked at still says for each one that was looked at after it."""


class Shelf:
    """Products of one generation, and who stands beside whom."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.names = Texts(generation, "item.name")
        self.json = Texts(generation, "item.json")
        self.categories = Texts(generation, "category.name")
        self.ids = Texts(generation, "item.id")
        self.codes = {self.ids[code].decode(): code for code in range(len(self.ids))}
        arrays = generation.arrays
        self.category: list[int] = arrays["item.category"].tolist()
        self.buyers = arrays["item.buyers"]
        self._beside = {
            name: tuple(arrays[f"{name}.{part}"] for part in ("starts", "item", "score"))
            for name in (NEAR, TOGETHER)
            if f"{name}.starts" in arrays  # a generation of an earlier version has no `together`
        }
        self._popular, self._shelf = arrays["popular.item"], arrays["shelf.item"]
        self._allowed: dict[PlacementSettings, bytes] = {}
        self._popular_of: dict[PlacementSettings, list[int]] = {}

    def codes_of(self, ids: Sequence[str]) -> list[int]:
        """Codes of the products that are known, in the order of `ids`."""
        return [code for one in ids if (code := self.codes.get(one)) is not None]

    def allowed(self, rule: PlacementSettings) -> bytes:
        """For each product 1 where the rules let it be shown to anybody, otherwise 0."""
        found = self._allowed.get(rule)
        if found is None:
            found = self._allowed[rule] = self._allow(rule)
        return found

    def popular(self, rule: PlacementSettings) -> list[int]:
        """What the rules allow, most bought first."""
        found = self._popular_of.get(rule)
        if found is None:
            allowed = np.frombuffer(self.allowed(rule), np.uint8) > 0
            found = self._popular[allowed[self._popular]].tolist()
            self._popular_of[rule] = found
        return found

    def popular_in(self, category: int) -> list[int]:
        """The products of a category, most bought first."""
        return self._shelf[self.generation.span("shelf", category)].tolist()

    def beside(
        self, seeds: Sequence[int], *, by: str = NEAR, fade: float = 1.0
    ) -> Iterator[tuple[int, float, int]]:
        """Products that stand beside `seeds`, by buyers in common (`NEAR`) or by orders that hold
        both (`TOGETHER`), best first: code, score, and the seed that speaks most for it. Each seed
        counts `fade` times what the one before it does.
        """
        if by not in self._beside:
            return
        starts, items, scores = self._beside[by]
        said = list(dict.fromkeys(seeds))[:_LATEST]
        spans = [slice(int(starts[one]), int(starts[one + 1])) for one in said]
        if len(said) == 1:
            found = zip(items[spans[0]].tolist(), scores[spans[0]].tolist(), strict=True)
            yield from ((code, score, said[0]) for code, score in found)
            return
        if not said:
            return
        codes = np.concatenate([items[span] for span in spans])
        sizes = [span.stop - span.start for span in spans]
        parts = np.concatenate([scores[span] for span in spans])
        parts *= np.repeat(np.array([fade**place for place in range(len(said))], np.float32), sizes)
        found, inverse = np.unique(codes, return_inverse=True)
        sums = np.bincount(inverse, parts, minlength=len(found))
        order = np.argsort(-sums, kind="stable")
        seeds_of = np.repeat(np.array(said), sizes)
        for code, total in zip(found[order].tolist(), sums[order].tolist(), strict=True):
            mine = np.flatnonzero(codes == code)
            yield code, total, int(seeds_of[mine[parts[mine].argmax()]])

    def _allow(self, rule: PlacementSettings) -> bytes:
        arrays = self.generation.arrays
        good = ~arrays["item.hidden"]
        if rule.in_stock:
            good &= arrays["item.buyable"]
        if rule.min_price_minor:
            price = arrays["item.price"]
            good &= (price != UNKNOWN_PRICE) & (price >= rule.min_price_minor)
        if rule.min_margin is not None:
            good &= arrays["item.margin"] >= rule.min_margin  # an unknown one is not
        if rule.categories:
            named = {msgspec.json.encode(one)[1:-1] for one in rule.categories}
            places = range(len(self.categories))
            wanted = [place for place in places if self.categories[place] in named]
            good &= np.isin(arrays["item.category"], wanted)
        good[self.codes_of(rule.exclude)] = False
        return good.tobytes()

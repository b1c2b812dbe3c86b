"""What the shop wishes of its lists, by ids, and as the arrays that `rules.arrange` reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from zhiyin.core.placements import RecommendSettings
from zhiyin.understand.recommend.goods import Goods
from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.rules import Candidates, Rules, Shelf

_DEPTH = 4  # candidates looked at for each place, where rules may take some away


@dataclass(frozen=True)
class Wishes:
    """Rules of the shop, in ids.

    Attributes
    ----------
    hidden, poor
        Products that are never recommended, and those with too little margin.
    returned
        (customer, product) that she gave back.
    rest_days
        Days for which what she bought is left out.
    pins
        Product by place, from 1.
    rules
        The others; their `min_new` and `pins` are not used.
    """

    hidden: frozenset[str] = frozenset()
    poor: frozenset[str] = frozenset()
    returned: frozenset[tuple[str, str]] = frozenset()
    rest_days: float = 0.0
    pins: Mapping[int, str] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)

    def depth(self, top: int, items: int) -> int:
        """How many candidates a list of `top` is chosen from."""
        return top if self == Wishes() else min(_DEPTH * top, max(items, top))

    def shelf(self, history: History, categories: Mapping[str, str]) -> Shelf:
        """What is known of each product of a history."""
        ids = [str(product) for product in history.products]
        names = [categories.get(one) or "" for one in ids]
        _, codes = np.unique(np.array(names, dtype=object).astype(str), return_inverse=True)
        return Shelf(
            allowed=np.array([one not in self.hidden for one in ids], dtype=bool),
            pays=np.array([one not in self.poor for one in ids], dtype=bool),
            category=np.where([bool(name) for name in names], codes, -1),
            buyers=history.buyers,
        )

    def bar(
        self, candidates: Candidates, history: History, codes: np.ndarray, *, pins: Iterable[int]
    ) -> Candidates:
        """The candidates of these customers and the pinned products (codes), with what is not for
        them now barred."""
        candidates = _add(candidates, np.array(sorted(pins), dtype=np.int64), history, codes)
        barred = np.zeros(candidates.products.shape, dtype=bool)
        width = max(history.shape[1], 1)
        keys = codes.astype(np.int64)[:, None] * width + candidates.products
        listed = candidates.products >= 0
        if self.rest_days:
            pairs = history.pairs
            late = pairs.last_days <= self.rest_days
            bought = pairs.customer[late].astype(np.int64) * width + pairs.product[late]
            barred |= np.isin(keys, bought) & listed
        if self.returned:
            who, what = zip(*sorted(self.returned), strict=True)
            customer, product = history.codes(np.array(who)), history.product_codes(np.array(what))
            known = (customer < history.shape[0]) & (product >= 0)
            barred |= np.isin(keys, customer[known] * width + product[known]) & listed
        return replace(candidates, barred=barred)

    def arranged(self, history: History, *, min_new: int, top: int) -> Rules:
        """The rules for lists of `top`, without pins below their end or of no eligible product."""
        pinned = history.product_codes(np.array(list(self.pins.values()), dtype=object))
        pins = {
            place: int(code)
            for place, code in zip(self.pins, pinned, strict=True)
            if code >= 0 and place <= top
        }
        return replace(self.rules, min_new=min_new, pins=pins)


def _add(
    candidates: Candidates, products: np.ndarray, history: History, codes: np.ndarray
) -> Candidates:
    """The candidates and, with score 0, those of `products` that are not among hers."""
    if not len(products):
        return candidates
    listed = (candidates.products[:, :, None] == products).any(axis=1)
    more = np.where(listed, -1, products[None, :])
    fresh = (history.seen[codes][:, products].toarray() == 0) & ~listed
    nothing = np.zeros(more.shape)
    return Candidates(
        np.concatenate([candidates.products, more], axis=1),
        np.concatenate([candidates.scores, nothing.astype(candidates.scores.dtype)], axis=1),
        np.concatenate([candidates.fresh, fresh], axis=1),
        np.concatenate([candidates.barred, nothing.astype(bool)], axis=1),
    )


def read_wishes(
    settings: RecommendSettings, goods: Goods | None, returned: Iterable[tuple[str, str]] = ()
) -> Wishes:
    """The wishes of a workspace.

    Parameters
    ----------
    goods
        Its products; None: nothing is looked up in them. One that holds no number where a rule
        looks for one stays.
    returned
        (customer, product) of lines that came back.
    """
    hidden, poor = frozenset[str](), frozenset[str]()
    if goods is not None:
        hidden = _named(goods.ids, goods.hidden)
        if settings.min_margin:
            poor = _named(goods.ids, goods.margin < settings.min_margin)
    return Wishes(
        hidden=hidden,
        poor=poor,
        returned=frozenset(returned) if settings.skip_returned else frozenset(),
        rest_days=float(settings.rest_days),
        pins=settings.pinned,
        rules=Rules(
            category_cap=settings.category_cap,
            diversity=settings.diversity,
            novelty=settings.novelty,
        ),
    )


def looks_at_products(settings: RecommendSettings) -> bool:
    """Whether a rule goes by what stands in table `products`."""
    return bool(settings.min_stock or settings.min_margin or settings.sensitive)


def _named(ids: pa.Array, mask: np.ndarray) -> frozenset[str]:
    return frozenset(ids.filter(pa.array(mask)).to_pylist())

"""Why a product is recommended: her own rhythm, products of hers that speak for it, or its fame."""

from __future__ import annotations

from typing import Any

import numpy as np

from zhiyin.core import columns as c
from zhiyin.understand.recommend.ease import Ease
from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.recommender import FILL, Ranking

REPEAT, BECAUSE, POPULAR = "repeat", "because", "popular"

_EVIDENCE_CELLS = 24_000_000


def explain_ranking(
    model: Ease, codes: np.ndarray, ranking: Ranking, *, most: int = 3
) -> list[list[dict[str, Any]]]:
    """One reason for each place of each list.

    Parameters
    ----------
    model
        The fitted EASE whose weights tell which of her products speak for another.
    codes
        (n,) customers by code.
    ranking
        Their lists.
    most
        How many of her products a reason names at most.

    Returns
    -------
    For each customer, for each product in her list, one of
    `{"kind": "repeat", "times", "last_days", "every_days"}` (days rounded; `every_days` is None
    after one purchase), `{"kind": "because", "products": [{"product_id", "share"}]}` with the
    share of all that speaks for it, largest first, or `{"kind": "popular", "buyers"}`.
    """
    history = model.history
    pairs = history.pairs
    width = max(history.shape[1], 1)
    keys = pairs.customer.astype(np.int64) * width + pairs.product
    reasons: list[list[dict[str, Any]]] = [[{} for _ in row] for row in ranking.products]
    open_places: list[tuple[int, int]] = []
    for row, (code, products) in enumerate(zip(codes, ranking.products, strict=True)):
        places = np.searchsorted(keys, int(code) * width + products)
        for rank, (product, place) in enumerate(zip(products, places, strict=True)):
            if product < 0:
                continue
            if place < len(keys) and keys[place] == int(code) * width + product:
                reasons[row][rank] = _repeat(history, int(place))
            else:
                reasons[row][rank] = {c.KIND: POPULAR, "buyers": int(history.buyers[product])}
                if ranking.scores[row, rank] > FILL:
                    open_places.append((row, rank))
    _add_evidence(model, codes, ranking, open_places, reasons, most=most)
    return [[reason for reason in row if reason] for row in reasons]


def _repeat(history: History, place: int) -> dict[str, Any]:
    pairs = history.pairs
    times = int(pairs.times[place])
    last, first = float(pairs.last_days[place]), float(pairs.first_days[place])
    every = round((first - last) / (times - 1)) if times > 1 else None
    return {c.KIND: REPEAT, "times": times, "last_days": round(last), "every_days": every}


def _add_evidence(
    model: Ease,
    codes: np.ndarray,
    ranking: Ranking,
    places: list[tuple[int, int]],
    reasons: list[list[dict[str, Any]]],
    *,
    most: int,
) -> None:
    """Turn the reasons of `places` into `because` where products of hers speak for the item."""
    if not places:
        return
    rows, ranks = (np.array(part) for part in zip(*places, strict=True))
    wanted = ranking.products[rows, ranks]
    targets = np.unique(wanted)
    step = max(1, _EVIDENCE_CELLS // max(model.history.shape[1], 1))
    names = model.history.products
    for start in range(0, len(targets), step):
        chunk = targets[start : start + step]
        weights = model.evidence(chunk)
        here = np.flatnonzero((wanted >= chunk[0]) & (wanted <= chunk[-1]))
        columns = np.searchsorted(chunk, wanted[here])
        for index, column in zip(here, columns, strict=True):
            row, rank = int(rows[index]), int(ranks[index])
            bought, amounts = model.own_weights(int(codes[row]))
            said = _strongest(amounts * weights[bought, column], most)
            if said:
                products = [
                    {c.PRODUCT_ID: str(names[bought[place]]), "share": round(share, 3)}
                    for place, share in said
                ]
                reasons[row][rank] = {c.KIND: BECAUSE, "products": products}


def _strongest(parts: np.ndarray, most: int) -> list[tuple[int, float]]:
    """Place and share of the largest positive parts; ties to the smaller place."""
    order = np.argsort(-parts, kind="stable")[:most]
    total = float(parts[parts > 0].sum())
    return [(int(place), float(parts[place]) / total) for place in order if parts[place] > 0]

"""Item-item collaborative filtering: cosine neighbours of what the customer bought."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from scipy import sparse

from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.recommender import Recommender, blocks, top_k


@dataclass
class ItemItem(Recommender):
    """Products bought by the same customers as hers.

    Parameters
    ----------
    neighbours
        How many most similar products are kept for each product.
    shrinkage
        Added to the product of norms: similarities that rest on few buyers are drawn to 0.

    Notes
    -----
    sim(i, j) = |buyers of both| / (sqrt(|buyers i| |buyers j|) + shrinkage), sim(i, i) = 0;
    score(u, j) = sum of sim(i, j) over the products i that u bought. Source: Deshpande and
    Karypis (2004), *Item-based top-N recommendation algorithms*.
    """

    neighbours: int = 200
    shrinkage: float = 10.0
    name: str = "item_item"
    weights_: sparse.csr_array = field(init=False, repr=False)
    history_: History = field(init=False, repr=False)

    def fit(self, history: History) -> Self:
        self.history_ = history
        items = history.shape[1]
        seen = history.seen
        by_item = seen.T.tocsr()
        norms = np.sqrt(np.maximum(history.buyers, 1)).astype(np.float32)
        keep = min(self.neighbours, items)
        rows, columns, values = [], [], []
        for part in blocks(items, items):
            common = (by_item[part] @ seen).toarray()
            similar = common / (norms[part, None] * norms[None, :] + np.float32(self.shrinkage))
            here = np.arange(part.start, part.stop)
            similar[np.arange(len(here)), here] = 0
            best, value = top_k(similar, keep)
            rows.append(np.repeat(here, keep))
            columns.append(best.ravel())
            values.append(value.ravel())
        self.weights_ = _assemble(rows, columns, values, items)
        return self

    @property
    def history(self) -> History:
        return self.history_

    def score(self, codes: np.ndarray) -> np.ndarray:
        return (self.history_.seen[codes] @ self.weights_.T).toarray()

    def similar(self, product: int, *, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Codes and similarities of the `k` products most like `product`, best first."""
        row = self.weights_[[product]].toarray()
        best, value = top_k(row, min(k, row.shape[1]))
        return best[0][value[0] > 0], value[0][value[0] > 0]

    def evidence(self, bought: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """(len(bought), len(targets)) similarity of each bought product to each target."""
        return self.weights_[targets][:, bought].toarray().T


def _assemble(
    rows: list[np.ndarray], columns: list[np.ndarray], values: list[np.ndarray], items: int
) -> sparse.csr_array:
    if not rows:
        return sparse.csr_array((items, items), dtype=np.float32)
    row, column, value = (np.concatenate(part) for part in (rows, columns, values))
    kept = value > 0
    return sparse.csr_array((value[kept], (row[kept], column[kept])), shape=(items, items))

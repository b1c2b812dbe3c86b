# pyright: standard, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false
# (scipy types the shape of a sparse array as maybe None, and leaves LAPACK out)
"""From ranked lists and what was bought afterwards to figures with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from zhiyin.core import ranking
from zhiyin.core.values import Estimate
from zhiyin.understand.recommend.history import History


@dataclass(frozen=True)
class Metrics:
    """How good lists of length `k` are, over the people with at least one true item.

    `coverage` is the share of eligible products in any list; `novelty` the mean of
    -log2(buyers / customers) over all recommended products, in bits.
    """

    k: int
    ndcg: Estimate
    recall: Estimate
    hit_rate: Estimate
    average_precision: Estimate
    coverage: float
    novelty: float


def find_hits(products: np.ndarray, truth: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Where (n, k) product codes (-1: none) are in the rows of an (n, I) 0/1 matrix.

    Returns
    -------
    hits
        (n, k) bool.
    relevant
        (n,) int64, true items of each row.
    """
    relevant = np.diff(truth.indptr).astype(np.int64)
    width = max(truth.shape[1], 1)
    rows = np.arange(len(products), dtype=np.int64)
    true = np.repeat(rows, relevant) * width + truth.indices
    wanted = rows[:, None] * width + products
    hits = np.isin(wanted, true) & (products >= 0)
    return hits, relevant


def measure_lists(products: np.ndarray, truth: sparse.csr_array, history: History) -> Metrics:
    """All metrics of (n, k) lists against the (n, I) truth of the same people.

    Everyone's list counts for coverage and novelty; only people with a true item for the rest.
    """
    hits, relevant = find_hits(products, truth)
    shown = products[products >= 0]
    share = np.maximum(history.buyers, 1) / max(history.shape[0], 1)
    return Metrics(
        k=products.shape[1],
        ndcg=ranking.mean_with_interval(ranking.ndcg(hits, relevant)),
        recall=ranking.mean_with_interval(ranking.recall(hits, relevant)),
        hit_rate=ranking.mean_with_interval(ranking.hit_rate(hits, relevant)),
        average_precision=ranking.mean_with_interval(ranking.average_precision(hits, relevant)),
        coverage=len(np.unique(shown)) / max(history.shape[1], 1),
        novelty=float(-np.log2(share[shown]).mean()) if len(shown) else 0.0,
    )


def drop_seen(truth: sparse.csr_array, seen: sparse.csr_array) -> sparse.csr_array:
    """The entries of the 0/1 matrix `truth` where `seen`, of the same shape, has none."""
    rest = sparse.csr_array(truth - truth.multiply(seen))
    rest.eliminate_zeros()
    rest.sort_indices()
    return rest

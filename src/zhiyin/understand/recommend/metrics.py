# pyright: standard, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false
# (scipy types the shape of a sparse array as maybe None)
"""From ranked lists and what was taken afterwards to figures with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from scipy import sparse

from zhiyin.core import ranking
from zhiyin.core.values import Estimate
from zhiyin.understand.recommend.history import History

_MEASURES = {
    "ndcg": ranking.ndcg,
    "recall": ranking.recall,
    "hr": ranking.hit_rate,
    "map": ranking.average_precision,
}
_PAIR_LISTS = 1000  # lists of which diversity is measured


@dataclass(frozen=True)
class Metrics:
    """How good lists are. `metrics.ndcg_at_10` is the figure of that name, and so for every other.

    Attributes
    ----------
    figures
        By name, `<measure>_at_<k>`: means over the people with a true item of `ndcg`, `recall`,
        `hr` (a hit at all) and `map`, each with a normal 95 % interval; and of the lists
        `coverage` (share of the catalogue in any list), `novelty` (mean of -log2(buyers / people),
        in bits), `diversity` (mean of 1 - cosine of buyers over pairs in a list) and
        `popularity_bias` (mean buyers of what is recommended over those of what these people had).
    people
        One row per person with a true item: `user_id`, `segment`, `relevant` and each measure.
    """

    figures: Mapping[str, Estimate]
    people: pa.Table = field(repr=False)

    def __getattr__(self, name: str) -> float:
        figures = self.__dict__.get("figures", {})
        if name in figures:
            return figures[name].value
        raise AttributeError(f"no figure {name!r}; there are {', '.join(figures)}")

    def by_segment(self) -> dict[str, dict[str, Estimate]]:
        """The means with intervals within each segment."""
        segments = self.people["segment"].to_numpy(zero_copy_only=False)
        return {
            str(segment): {
                name: ranking.mean_with_interval(self.people[name].to_numpy()[segments == segment])
                for name in self.people.column_names
                if "_at_" in name
            }
            for segment in sorted(set(segments))
        }

    def table(self) -> pa.Table:
        """One row per figure: `figure`, `value`, `low`, `high`, `n`."""
        rows = [(name, e.value, e.low, e.high, e.n) for name, e in self.figures.items()]
        names = ("figure", "value", "low", "high", "n")
        return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def measure_lists(
    products: np.ndarray,
    truth: sparse.csr_array,
    catalogue: History,
    *,
    k: Sequence[int],
    relevant: np.ndarray | None = None,
    had: sparse.csr_array | None = None,
    user_ids: pa.Array | None = None,
    segments: np.ndarray | None = None,
) -> Metrics:
    """All figures of (n, max k) lists against the (n, I) truth of the same people.

    Parameters
    ----------
    products
        Codes, best first; -1 where there is none.
    catalogue
        Whose buyers make an item known.
    relevant
        (n,) number of true items, where some are outside of the catalogue.
    had
        (n, I) what these people had before; for `popularity_bias`.
    user_ids, segments
        (n,) for the rows of `people`.
    """
    hits, known = find_hits(products, truth)
    relevant = known if relevant is None else relevant
    asked = relevant > 0
    people: dict[str, pa.Array | np.ndarray] = {
        "user_id": pa.array(np.arange(len(products))) if user_ids is None else user_ids,
        "segment": pa.array(["all"] * len(products) if segments is None else list(segments)),
        "relevant": pa.array(relevant),
    }
    figures: dict[str, Estimate] = {}
    for depth in k:
        for name, measure in _MEASURES.items():
            values = measure(hits[:, :depth], relevant)
            people[f"{name}_at_{depth}"] = pa.array(values)
            figures[f"{name}_at_{depth}"] = ranking.mean_with_interval(values)
        for name, value in _of_lists(products[:, :depth], catalogue, had).items():
            figures[f"{name}_at_{depth}"] = value
    return Metrics(figures, pa.table(people).filter(pa.array(asked)))


def _of_lists(
    products: np.ndarray, catalogue: History, had: sparse.csr_array | None
) -> dict[str, Estimate]:
    shown = products[products >= 0]
    buyers = np.maximum(catalogue.buyers, 1).astype(np.float64)
    share = buyers / max(catalogue.shape[0], 1)
    covered = len(np.unique(shown)) / max(catalogue.shape[1], 1)
    found = {
        "coverage": Estimate(covered, covered, covered, len(products)),
        "novelty": ranking.mean_with_interval(-np.log2(share[shown])),
        "diversity": ranking.mean_with_interval(_diversity(products, catalogue)),
    }
    if had is not None and had.nnz and len(shown):
        bias = float(buyers[shown].mean() / buyers[had.indices].mean())
        found["popularity_bias"] = Estimate(bias, bias, bias, len(products))
    return found


def _diversity(products: np.ndarray, catalogue: History) -> np.ndarray:
    """Mean of 1 - cosine of buyers over the pairs of each of up to 1,000 lists."""
    by_item = sparse.csr_array(catalogue.seen.T)
    chosen = np.linspace(0, len(products) - 1, min(_PAIR_LISTS, len(products))).astype(np.int64)
    values = np.full(len(chosen), np.nan)
    norms = np.sqrt(np.maximum(catalogue.buyers, 1))
    for row, place in enumerate(chosen):
        listed = products[place][products[place] >= 0]
        if len(listed) > 1:
            rows = by_item[listed]
            cosine = (rows @ rows.T).toarray() / np.outer(norms[listed], norms[listed])
            pairs = len(listed) * (len(listed) - 1)
            values[row] = 1 - (cosine.sum() - np.trace(cosine)) / pairs
    return values


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


def drop_seen(truth: sparse.csr_array, seen: sparse.csr_array) -> sparse.csr_array:
    """The entries of the 0/1 matrix `truth` where `seen`, of the same shape, has none."""
    rest = sparse.csr_array(truth - truth.multiply(seen))
    rest.eliminate_zeros()
    rest.sort_indices()
    return rest

"""Many columns in few: principal components with the variance that each explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zhiyin.core.arguments import check_number, check_whole
from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.predict.target import check_table

MIN_ROWS = 10


@dataclass(frozen=True)
class Reduction:
    """Principal components of a table.

    Attributes
    ----------
    columns
        The p columns used; constant ones are left out.
    mean, scale
        (p,) what is taken off a column and what it is divided by; a missing value becomes the mean.
    components
        (k, p) loadings, rows of length 1; the largest loading of each is positive.
    explained
        (k,) share of the variance that each component explains, falling.
    """

    columns: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    components: np.ndarray
    explained: np.ndarray

    def transform(self, table: pd.DataFrame | np.ndarray) -> np.ndarray:
        """(n, k) scores of any rows with the same columns."""
        return self._standard(table) @ self.components.T

    def restore(self, scores: np.ndarray) -> np.ndarray:
        """(n, p) values that the (n, k) scores stand for, in the units of the columns."""
        return scores @ self.components * self.scale + self.mean

    def strongest(self, component: int, n: int = 5) -> tuple[tuple[str, float], ...]:
        """The columns that weigh most in a component, with their loadings."""
        row = self.components[component]
        order = sorted(range(len(row)), key=lambda j: (-abs(row[j]), self.columns[j]))
        return tuple((self.columns[j], float(row[j])) for j in order[:n])

    def _standard(self, table: pd.DataFrame | np.ndarray) -> np.ndarray:
        values = _values(_as_frame(table), self.columns)
        return np.where(np.isnan(values), 0.0, (values - self.mean) / self.scale)


def fit_reduction(
    table: pd.DataFrame | np.ndarray,
    *,
    components: int | None = None,
    variance: float = 0.9,
    scaled: bool = True,
) -> Reduction:
    """Find the directions in which rows differ most, by singular value decomposition.

    Parameters
    ----------
    table
        (n, p) numbers; missing values are put at the mean.
    components
        How many to keep; None: as many as explain `variance`.
    variance
        Share of the variance to explain, (0, 1].
    scaled
        Divide each column by its standard deviation, so that no unit weighs more than another.

    Raises
    ------
    NotEnoughData
        With fewer than 10 rows, or no column that differs.
    InvalidParameter
        If a column holds no numbers, or `components` or `variance` is out of range.

    Notes
    -----
    The decomposition is of the p x p covariance: its cost grows with the rows times p squared, and
    rows need not be held twice. Signs are fixed, so the same rows give the same components.
    """
    frame = _as_frame(table)
    check_number("variance", variance)
    if components is not None:
        check_whole("components", components)
    names = tuple(frame.columns)
    values = _values(frame, names)
    if len(values) < MIN_ROWS:
        raise NotEnoughData(
            f"{len(values)} rows are too few for components", hint=f"give at least {MIN_ROWS} rows"
        )
    if not 0 < variance <= 1:
        raise InvalidParameter(f"variance is {variance}", hint="it is a share, above 0, at most 1")
    empty = np.isnan(values).all(axis=0)
    mean = np.nanmean(np.where(empty, 0.0, values), axis=0)
    spread = np.nanstd(np.where(empty, 0.0, values), axis=0)
    used = spread > 1e-12 * np.maximum(np.abs(mean), 1e-300)
    if not used.any():
        raise NotEnoughData("no column differs between rows", hint="give columns with two values")
    mean, scale = mean[used], spread[used] if scaled else np.ones(int(used.sum()))
    held = values[:, used]
    standard = np.where(np.isnan(held), 0.0, (held - mean) / scale)
    covariance = standard.T @ standard / len(standard)
    sizes, vectors = np.linalg.eigh(covariance)
    sizes, vectors = np.maximum(sizes[::-1], 0.0), vectors[:, ::-1].T
    shares = sizes / sizes.sum()
    largest = int(used.sum())
    if components is None:
        components = int(np.searchsorted(np.cumsum(shares), variance - 1e-12) + 1)
        components = min(components, largest)
    if not 1 <= components <= largest:
        raise InvalidParameter(
            f"{components} components of {largest} columns that differ",
            hint=f"ask for 1 to {largest}",
        )
    kept = vectors[:components]
    kept = kept * np.sign(kept[np.arange(components), np.abs(kept).argmax(axis=1)])[:, None]
    columns = tuple(name for name, one in zip(names, used, strict=True) if one)
    return Reduction(columns, mean, scale, kept, shares[:components])


def _as_frame(table: pd.DataFrame | np.ndarray) -> pd.DataFrame:
    """The table with text as names of its columns; those of an array are numbered."""
    if isinstance(table, np.ndarray):
        if table.ndim != 2:
            raise InvalidParameter(
                f"the array has the shape {table.shape}", hint="give rows and columns of numbers"
            )
        return pd.DataFrame(table, columns=[f"column {j}" for j in range(table.shape[1])])
    check_table(table)
    return table.rename(columns=str)


def _values(frame: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """(n, p) floats of the named columns, NaN where there is no finite number."""
    for name in columns:
        if name not in frame.columns:
            raise InvalidParameter(f"the table has no column {name!r}", hint="give all its columns")
        if not pd.api.types.is_numeric_dtype(frame[name].dtype):
            raise InvalidParameter(
                f"column {name!r} holds no numbers",
                hint="leave it out, or make it numbers first (pandas.get_dummies)",
            )
    values = frame[list(columns)].to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)

"""Which columns of a table are worth learning from, and why the others are not."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from zhiyin.core.arguments import check_number
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.predict.leakage import check_leakage
from zhiyin.understand.predict.single import column_codes
from zhiyin.understand.predict.table import fit_reader
from zhiyin.understand.predict.target import check_table, read_target

MOST_MISSING = 0.95
UNSTABLE = 0.25  # population stability index from which a distribution counts as another
ALPHA = 0.05
_SMALL = 1e-4  # share that an empty bin is given in the stability index

_WORDS = {
    "keep": ("worth learning from", "值得学习"),
    "constant": ("the same for everyone", "对所有人都相同"),
    "missing": ("missing for {missing:.0%}", "{missing:.0%} 缺失"),
    "identifier": ("an identifier: it never repeats", "是标识，从不重复"),
    "leak": ("looks as if it were known only after the outcome", "似乎在结果发生后才知道"),
    "unstable": (
        "its distribution has changed (stability index {stability:.2f})",
        "分布已改变（稳定性指数 {stability:.2f}）",
    ),
    "silent": ("says nothing of the outcome that chance would not", "与结果的关联不超过偶然"),
}


@dataclass(frozen=True)
class Screened:
    """What one column is worth.

    `information` is the mutual information with the target in nats, less what chance gives
    (Miller-Madow); `p_value` that of the likelihood ratio test of independence, adjusted for the
    number of columns (Benjamini-Hochberg). `stability` is the population stability index against
    the earlier table, NaN without one. `verdict` is `keep`, `constant`, `missing`, `identifier`,
    `leak`, `unstable` or `silent`.
    """

    column: Hashable
    kind: str
    missing: float
    distinct: int
    information: float
    p_value: float
    stability: float
    verdict: str
    en: str
    zh: str


def screen_features(
    table: pd.DataFrame,
    target: Hashable,
    *,
    positive: object = None,
    earlier: pd.DataFrame | None = None,
    most_missing: float = MOST_MISSING,
) -> tuple[Screened, ...]:
    """Judge every column of a table alone, before a model learns from it.

    Parameters
    ----------
    table, target, positive
        As for `evaluate`.
    earlier
        The same columns of an earlier time; a column whose distribution has moved since will
        mislead a model that learned from it. None: stability is not judged.
    most_missing
        Columns with a larger share of missing values are not kept, (0, 1].

    Returns
    -------
    One verdict a column but the target: kept ones first, by falling information, then by name.

    Raises
    ------
    NotFound, InvalidParameter, NotEnoughData
        As `evaluate` does; InvalidParameter also if `most_missing` is outside (0, 1] or `earlier`
        lacks a column.

    Notes
    -----
    Numbers are cut at quantiles, a missing value is a bin of its own. A column that is silent alone
    can still matter together with another: a tree finds it, this screening does not. Population
    stability index: sum over bins of (p - q) ln(p / q), .25 and more counts as unstable (Siddiqi,
    Credit Risk Scorecards, 2006).
    """
    check_table(table)
    if not 0 < check_number("most_missing", most_missing) <= 1:
        raise InvalidParameter(
            f"most_missing is {most_missing}", hint="it is a share of the rows, above 0, at most 1"
        )
    label = read_target(table, target, positive=positive)
    rows = table.loc[label.known] if not label.known.all() else table
    columns = [name for name in rows.columns if name != target]
    if earlier is not None:
        check_table(earlier)
        lacking = [name for name in columns if name not in earlier.columns]
        if lacking:
            raise InvalidParameter(
                f"the earlier table has no column {lacking[0]!r}",
                hint="pass the same columns as in the table, without the target",
            )
    leaks = {found.column for found in check_leakage(table, target, positive=positive)}
    readings = {one.name: one for one in fit_reader(rows[columns]).readings}
    information = {
        name: _information(column_codes(rows[name]), label.labels)
        if readings[name].kind != "identifier"
        else (0.0, 1.0)
        for name in columns
    }
    adjusted = stats.false_discovery_control([information[name][1] for name in columns])
    made = []
    for name, p_value in zip(columns, adjusted, strict=True):
        reading = readings[name]
        moved = np.nan if earlier is None else stability(earlier[name], rows[name])
        verdict = _verdict(
            reading.kind,
            missing=reading.missing,
            too_empty=reading.missing > most_missing,
            leak=name in leaks,
            moved=moved,
            p_value=float(p_value),
        )
        en, zh = (text.format(missing=reading.missing, stability=moved) for text in _WORDS[verdict])
        made.append(
            Screened(
                name, reading.kind, reading.missing, reading.distinct, information[name][0],
                float(p_value), moved, verdict, en, zh,
            )
        )  # fmt: skip
    return tuple(sorted(made, key=lambda x: (x.verdict != "keep", -x.information, str(x.column))))


def stability(before: pd.Series, after: pd.Series) -> float:
    """Population stability index of a column between two times; 0: the same distribution."""
    return stability_of_levels(
        column_codes(pd.concat([before, after], ignore_index=True)), len(before)
    )


def stability_of_levels(codes: np.ndarray, before: int) -> float:
    """`stability` of levels from 0, of which the first `before` are those of the earlier time."""
    size = int(codes.max(initial=0)) + 1
    parts = (codes[:before], codes[before:])
    q, p = (
        np.maximum(np.bincount(part, minlength=size) / max(len(part), 1), _SMALL) for part in parts
    )
    used = np.unique(codes)
    return float(np.sum((p - q)[used] * np.log(p / q)[used]))


def _verdict(
    kind: str, *, missing: float, too_empty: bool, leak: bool, moved: float, p_value: float
) -> str:
    if leak:
        return "leak"
    if too_empty and missing < 1:
        return "missing"
    if kind in ("constant", "identifier"):
        return kind
    if moved >= UNSTABLE:
        return "unstable"
    return "keep" if p_value < ALPHA else "silent"


def _information(codes: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Mutual information in nats, corrected, and the p-value of independence."""
    _, codes = np.unique(codes, return_inverse=True)
    counts = np.zeros((int(codes.max(initial=0)) + 1, 2))
    np.add.at(counts, (codes, labels), 1)
    n = counts.sum()
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    full = counts > 0
    plain = float(np.sum(counts[full] / n * np.log(counts[full] / expected[full])))
    freedom = max(len(counts) - 1, 1)
    p_value = float(stats.chi2.sf(2 * n * plain, freedom)) if len(counts) > 1 else 1.0
    return max(plain - freedom / (2 * n), 0.0), p_value

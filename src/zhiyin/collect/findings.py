"""From the sums of a table to findings: value, threshold, status and words, by numpy alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from zhiyin.collect.quality import (
    BINS_PER_OCTAVE,
    EARLIER,
    IN_WEEK,
    LAST,
    MONTH_DAYS,
    ROWS,
    WEEK_DAYS,
    WORD,
    filled_columns,
    number_columns,
    rules_of,
)
from zhiyin.collect.quality_words import Finding
from zhiyin.collect.reconcile import UNKNOWN_MONTH
from zhiyin.core import columns as c
from zhiyin.core.schema import Table

OK, WARN, BAD = "ok", "warn", "bad"
MIN_ROWS = 50
MIN_DRIFT = 200
OUTLIER_Z = 6.0
MIN_SCALE = BINS_PER_OCTAVE / 2
PSI_WARN, PSI_BAD = 0.1, 0.25
Counts = Sequence[Mapping[str, object]]


def grade(value: float, warn: float, bad: float) -> str:
    """`ok`, `warn` or `bad`: where bad < warn small values are bad, otherwise large ones."""
    if bad < warn:
        return BAD if value < bad else WARN if value < warn else OK
    return BAD if value > bad else WARN if value > warn else OK


def judge_counts(table: Table, counts: Counts) -> list[Finding]:
    """Completeness, validity and uniqueness by source, from `quality.count_window`.

    A column is judged by its week against its month, because what a source never fills is no
    fault; columns that are always or never filled make no finding of their own.
    """
    made: list[Finding] = []
    for source, rows in _by(counts, c.SOURCE).items():
        total = _sum(rows, ROWS)
        names = filled_columns(table)
        shares = {name: _sum(rows, f"filled.{name}") / total for name in names}
        used = [share for share in shares.values() if share > 0]
        mean = float(np.mean(used)) if used else 1.0
        made.append(Finding(table.name, source, "", "completeness", mean, None, OK, total))
        made += [
            _completeness(table.name, source, name, rows)
            for name, share in shares.items()
            if 0 < share < 1
        ]
        for name in rules_of(table):
            wrong = _sum(rows, f"wrong.{name}")
            if wrong:
                value = 1 - wrong / total
                made.append(
                    Finding(table.name, source, name, "validity", value, 0.99,
                            grade(value, 0.99, 0.95), total)
                )  # fmt: skip
        if any("repeats" in row for row in rows):
            value = 1 - _sum(rows, "repeats") / total
            warn, bad = (0.98, 0.9) if c.SUSPECT in table.names else (0.9999, 0.99)
            made.append(
                Finding(table.name, source, "", "uniqueness", value, warn,
                        grade(value, warn, bad), total)
            )  # fmt: skip
    return made


def _completeness(table: str, source: str, name: str, rows: Counts) -> Finding:
    days = [row for row in rows if row[EARLIER] is not None]
    week = [row for row in days if _int(row[EARLIER]) < WEEK_DAYS]
    month = [row for row in days if _int(row[EARLIER]) >= WEEK_DAYS]
    now, before = _sum(week, ROWS), _sum(month, ROWS)
    if min(now, before) < MIN_ROWS:
        total = _sum(rows, ROWS)
        share = _sum(rows, f"filled.{name}") / total
        return Finding(table, source, name, "completeness", share, None, OK, total)
    value, usual = _sum(week, f"filled.{name}") / now, _sum(month, f"filled.{name}") / before
    status = grade(value, usual - 0.1, usual - 0.3)
    return Finding(table, source, name, "completeness", value, usual - 0.1, status, now)


def judge_loads(loads: Iterable[Mapping[str, Any]], *, month: str) -> list[Finding]:
    """Validity of a source's files: the share of their rows that were not refused.

    Parameters
    ----------
    loads
        Reconciliations of loads: `table`, `source` and, by month, `read` and `quarantined`.
    month
        YYYY-MM of the day; what has business time in later months is not looked at.
    """
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for one in loads:
        key = (str(one["table"]), str(one["source"]))
        parts = [
            part
            for part in one.get("months") or [one]
            if part.get("month", UNKNOWN_MONTH) == UNKNOWN_MONTH or part["month"] <= month
        ]
        read, refused = sums.get(key, (0, 0))
        read += sum(_int(part["read"]) for part in parts)
        sums[key] = (read, refused + sum(_int(part["quarantined"]) for part in parts))
    return [
        Finding(table, source, "", "validity", 1 - refused / read, 0.98,
                grade(1 - refused / read, 0.98, 0.9), read)
        for (table, source), (read, refused) in sorted(sums.items())
        if read
    ]  # fmt: skip


def judge_freshness(
    table: Table, totals: Counts, days: Counts, *, until: datetime
) -> list[Finding]:
    """How old the newest row of a source is, against the gaps that it usually leaves."""
    made = []
    by_source = _by(days, c.SOURCE)
    for row in totals:
        last = row[LAST]
        if not isinstance(last, datetime):
            continue
        age = max((until - last).total_seconds() / 86_400, 0.0)
        active = sorted({_int(one[EARLIER]) for one in by_source.get(str(row[c.SOURCE]), [])})
        gap = float(np.diff(active).max()) if len(active) > 1 else float(WEEK_DAYS)
        warn = max(2.0, 2 * gap)
        status = grade(age, warn, max(7.0, 4 * gap))
        made.append(
            Finding(table.name, str(row[c.SOURCE]), "", "freshness", age, warn, status,
                    _int(row[ROWS]))
        )  # fmt: skip
    return made


def judge_volume(table: Table, days: Counts) -> list[Finding]:
    """Rows of the week against the median of the four weeks before: a ratio.

    What varies from week to week, as campaigns do, may go twice as far as it went. Many rows are
    no more than a warning: unlike missing ones they may well be right.
    """
    made = []
    for source, rows in _by(days, c.SOURCE).items():
        count = np.zeros(WEEK_DAYS + MONTH_DAYS)
        for row in rows:
            if 0 <= _int(row[EARLIER]) < len(count):
                count[_int(row[EARLIER])] += _int(row[ROWS])
        weeks = count.reshape(-1, WEEK_DAYS).sum(axis=1)
        usual = float(np.median(weeks[1:]))
        if usual < MIN_ROWS:
            continue
        ratio = float(weeks[0] / usual)
        low = 0.5 * float(weeks[1:].min()) / usual
        high = 2 * float(weeks[1:].max()) / usual
        status = WARN if ratio > high else grade(ratio, low, 0.4 * low) if low else OK
        limit = low if ratio < 1 else high
        made.append(
            Finding(table.name, source, "", "volume", ratio, limit, status, int(weeks.sum()))
        )
    return made


def judge_outliers(table: Table, values: Counts) -> list[Finding]:
    """Share of numbers further than six robust deviations from the median, on a log scale.

    The deviation is 1.4826 · MAD of the bins of `quality.count_values`, at least half an octave.
    Zeros are left out: what is zero on most rows, as coupons are, has no other median.
    """
    made = []
    numbers = number_columns(table)
    for (source, name), rows in _by_column(values).items():
        if name not in numbers:
            continue
        place = np.asarray([int(str(row[WORD])) for row in rows], np.float64)
        count = np.asarray([_int(row[ROWS]) for row in rows], np.float64) * (place != 0)
        if count.sum() < MIN_ROWS:
            continue
        distance = np.abs(place - weighted_median(place, count))
        scale = 1.4826 * max(weighted_median(distance, count), MIN_SCALE)
        value = float(count[distance > OUTLIER_Z * scale].sum() / count.sum())
        if value > 0:
            made.append(
                Finding(table.name, source, name, "outliers", value, 0.01,
                        grade(value, 0.01, 0.05), int(count.sum()))
            )  # fmt: skip
    return made


def judge_drift(table: Table, values: Counts) -> list[Finding]:
    """Population stability index of the week against the month, by column.

    PSI = Σ (p - q) ln(p / q) over at most 20 groups. Under no change it is about
    (1/n + 1/m) χ²(groups - 1), so the warning begins at its 99.9 % point where that is above 0.1.
    """
    made = []
    numbers = number_columns(table)
    for (source, name), rows in _by_column(values).items():
        groups: dict[str, list[int]] = {}
        for row in rows:
            if row[IN_WEEK] is not None:
                group = groups.setdefault(str(row[WORD]), [0, 0])
                group[int(bool(row[IN_WEEK]))] += _int(row[ROWS])
        month, week = (
            (np.asarray(one, float) for one in zip(*groups.values(), strict=True))
            if (groups)
            else (np.zeros(0), np.zeros(0))
        )
        if min(month.sum(), week.sum()) < MIN_DRIFT or len(groups) < 2:
            continue
        ordered = name in numbers
        order = np.argsort([int(one) for one in groups] if ordered else -month, kind="stable")
        value, warn, bad = psi(month[order], week[order], ordered=ordered)
        made.append(
            Finding(table.name, source, name, "drift", value, warn, grade(value, warn, bad),
                    int(week.sum()))
        )  # fmt: skip
    return made


def psi(
    before: np.ndarray, now: np.ndarray, *, ordered: bool, groups: int = 20
) -> tuple[float, float, float]:
    """PSI of two rows of counts, and where a warning and an alarm begin.

    Parameters
    ----------
    before, now
        (k,) counts of the same groups, in order: neighbours are joined (`ordered`), or all
        behind the most frequent are.
    """
    if ordered:
        share = np.cumsum(before + now) / (before + now).sum()
        label = np.minimum((share * groups).astype(int), groups - 1)
    else:
        label = np.minimum(np.arange(len(before)), groups - 1)
    _, label = np.unique(label, return_inverse=True)
    q = np.bincount(label, before) + 0.5
    p = np.bincount(label, now) + 0.5
    size = 1 / q.sum() + 1 / p.sum()
    p, q = p / p.sum(), q / q.sum()
    value = float(((p - q) * np.log(p / q)).sum())
    noise = size * chi_square_999(max(len(p) - 1, 1))
    return value, max(PSI_WARN, noise), max(PSI_BAD, 2.5 * noise)


def chi_square_999(degrees: int) -> float:
    """The 99.9 % point of χ² by Wilson and Hilferty (1931), within 3.1 % from 1 degree on."""
    part = 2 / (9 * degrees)
    return float(degrees * (1 - part + 3.0902 * np.sqrt(part)) ** 3)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The smallest value with at least half of the weight at or below it."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _by(rows: Counts, name: str) -> dict[str, list[Mapping[str, object]]]:
    made: dict[str, list[Mapping[str, object]]] = {}
    for row in rows:
        made.setdefault(str(row[name]), []).append(row)
    return dict(sorted(made.items()))


def _by_column(rows: Counts) -> dict[tuple[str, str], list[Mapping[str, object]]]:
    made: dict[tuple[str, str], list[Mapping[str, object]]] = {}
    for row in rows:
        made.setdefault((str(row[c.SOURCE]), str(row[c.COLUMN])), []).append(row)
    return dict(sorted(made.items()))


def _sum(rows: Counts, name: str) -> int:
    return sum(_int(row.get(name)) for row in rows)


def _int(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0

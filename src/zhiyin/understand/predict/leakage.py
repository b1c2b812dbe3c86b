"""Find columns that were written after the outcome, before a model learns from them.

A column known only after the outcome predicts well on old rows and is empty or wrong on the day
when a prediction is needed. No rule can be sure of it from a table alone: a finding says what is
suspicious and asks a person. Strong columns are not suspicious by themselves: one that others
bear out, or that adds what an independent source would add, is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from zhiyin.core.extras import lightgbm_or_none
from zhiyin.core.rng import Streams
from zhiyin.core.values import Estimate
from zhiyin.understand.predict.encoding import SplitColumns, split_parts
from zhiyin.understand.predict.late_words import telling_words
from zhiyin.understand.predict.quality import auc
from zhiyin.understand.predict.single import (
    Signal,
    codes_of_numbers,
    column_codes,
    identifier_codes,
    likeness,
    signal_of_codes,
)
from zhiyin.understand.predict.table import (
    fit_reader,
    is_time,
    read_numbers,
    read_times,
    read_words,
)
from zhiyin.understand.predict.target import check_folds, check_table, read_target
from zhiyin.understand.predict.trees import Boosting, LightGbm

MOST_ROWS = 20_000
PERFECT = 0.985  # AUC of one column alone that people's behaviour does not give
IMPLAUSIBLE = 0.93  # the same, where no other column comes near
UNUSUAL = 0.88  # the same, where it takes away half of the others' error
STRONG = 0.70  # below it, one column alone is no cause for suspicion
ALIKE = 0.8  # correlation of signals from which two columns tell the same
MARGIN = 0.01  # AUC by which all others together may exceed one column
MARGIN_HALVED = 0.03  # the same where the column takes away half of their error
HALVED = 0.5  # share of the others' error that is left once the column is added
REST = 0.6  # AUC that the others must reach for that comparison to mean anything
ORDERED = 0.55  # AUC of an identifier
EXPECTED = 10.0  # rows of the other class that chance would have put where there is none
EXPECTED_COMMON = 25.0  # the same where the class is the more frequent one
PURE = 0.98
FILLED = 0.2  # share of a class that a nearly pure value must cover
LOW_END = 0.1  # share of the rows
NEVER = 0.1  # of the overall response
SKEWED = 1.2  # mean over median
FEW, FEW_SHARE = 3, 0.2  # columns of unusual AUC that are not counted among the others
PARTS = 3
COMPARED = 5  # columns at most that are compared with all others together


@dataclass(frozen=True)
class Finding:
    """A column to look at before a model learns from it.

    `reason` is one of `perfect`, `filled_after`, `dominant`, `identifier_order`, `date_after`;
    `severity` is `critical` (leave it out), `high` (ask when it is known) or `medium`. `evidence`
    holds the numbers behind `en` and `zh`.
    """

    column: Hashable
    reason: str
    severity: str
    evidence: Mapping[str, float]
    en: str
    zh: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.en}"


@dataclass(frozen=True)
class _Case:
    frame: pd.DataFrame
    labels: np.ndarray
    target: Hashable
    positive: str
    negative: str
    streams: Streams
    kinds: Mapping[Hashable, str]
    signals: dict[Hashable, Signal] = field(default_factory=dict)


def check_leakage(
    table: pd.DataFrame, target: Hashable, *, positive: object = None
) -> tuple[Finding, ...]:
    """Columns that look as if they were known only after the outcome.

    Parameters
    ----------
    table
        One row a customer, raw columns as in `evaluate`. Of more than 20,000 rows a fixed sample
        is looked at.
    target
        Name of a column with two values.
    positive
        The value to predict; None: see `target.read_target`.

    Returns
    -------
    Findings, the most severe first, then by falling AUC; at most one a column. Empty where nothing
    is suspicious.

    Raises
    ------
    NotFound, InvalidParameter, NotEnoughData
        As `evaluate` does.

    Notes
    -----
    - `perfect`: alone, an AUC of .985 or more.
    - `filled_after`: filled, missing or different from its usual value (nearly) only where the
      outcome is one value.
    - `dominant`: alone it predicts as well as all columns together that tell something else, and
      its name says that it comes after, or its AUC is .93 or more; or with it the others' error
      (1 - AUC) falls by half or more, and its AUC is .88 or more or the outcome never comes where
      it is near zero, as with the length of a call.
    - `identifier_order`: numbering, first letters or length of an identifier know the outcome.
    - `date_after`: the distance between two dates knows the outcome.

    AUC is by rates of other parts of the rows, with DeLong's interval; its lower end is judged.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> left = np.arange(200) % 4 == 0
    >>> shop = pd.DataFrame({"cancelled_on": np.where(left, "2024-05-01", None), "left": left})
    >>> [(one.column, one.severity) for one in check_leakage(shop, "left")]
    [('cancelled_on', 'critical')]
    """
    check_table(table)
    read = read_target(table, target, positive=positive)
    check_folds(read.labels, 2)
    frame = table[read.known].drop(columns=target).reset_index(drop=True)
    streams = Streams(0)
    rows = np.arange(len(frame))
    if len(rows) > MOST_ROWS:
        rows = np.sort(streams.generator("rows").choice(rows, MOST_ROWS, replace=False))
    frame, labels = frame.iloc[rows].reset_index(drop=True), read.labels[rows]
    kinds = {reading.name: reading.kind for reading in fit_reader(frame).readings}
    case = _Case(frame, labels, target, read.positive, read.negative, streams, kinds)
    for name in frame.columns:
        rng = streams.generator("signal")
        case.signals[name] = signal_of_codes(column_codes(frame[name]), labels, rng=rng)
    found: dict[Hashable, Finding] = {}
    for rule in (_filled_after, _perfect, _identifier_order, _dates_after, _dominant):
        found |= rule(case, found)
    rank = {"critical": 0, "high": 1, "medium": 2}
    return tuple(
        sorted(found.values(), key=lambda f: (rank[f.severity], -f.evidence["auc"], str(f.column)))
    )


Found = Mapping[Hashable, Finding]


def _open(case: _Case, found: Found) -> list[Hashable]:
    """Columns that may tell something and are not found yet."""
    return [
        name
        for name in case.frame.columns
        if name not in found and case.kinds[name] != "identifier"
    ]


def _filled_after(case: _Case, found: Found) -> dict[Hashable, Finding]:
    """Rows where a column has another than its usual value are all of one class."""
    made = {}
    for name in case.frame.columns:
        words = read_words(case.frame[name])
        values, codes = np.unique(words.astype(str), return_inverse=True)
        counts = np.bincount(codes)
        missing = words == ""
        usual = codes == int(np.argmax(counts))
        for empty, what in ((missing, "missing"), (usual, "usual")):
            finding = _one_sided(case, name, empty, what, str(values[int(np.argmax(counts))]))
            if finding is not None:
                made[name] = finding
                break
    return made


def _one_sided(
    case: _Case, name: Hashable, empty: np.ndarray, what: str, usual: str
) -> Finding | None:
    y, n = case.labels, len(case.labels)
    if not 0 < empty.sum() < n:
        return None
    for rows, state in ((~empty, "filled"), (empty, "empty")):
        if what == "usual" and state == "empty":
            continue
        for label, word in ((1, case.positive), (0, case.negative)):
            share = float((y[rows] == label).mean())
            base = float((y == label).mean())
            covered = float(rows[y == label].mean())
            lacking = float(rows.sum()) * (1 - base)  # rows of the other class by chance
            exact = share == 1 and covered == 1
            pure = share == 1 or (share >= PURE and covered >= FILLED)
            rare = base <= 0.5 or (what == "missing" and lacking >= EXPECTED_COMMON)
            if (exact and lacking >= 3) or (pure and rare and lacking >= EXPECTED):
                return _say_filled(case, name, (state, what, usual, word), (share, base, covered))
    return None


def _say_filled(
    case: _Case,
    name: Hashable,
    words: tuple[str, str, str, str],
    figures: tuple[float, float, float],
) -> Finding:
    state, what, usual, word = words
    share, base, covered = figures
    signal = case.signals[name].auc
    severity = "critical" if share >= PURE and covered >= 0.9 else "high"
    english = {
        ("missing", "filled"): "is filled in",
        ("missing", "empty"): "is missing",
        ("usual", "filled"): f"differs from its usual value {usual!r}",
    }[what, state]
    chinese = {
        ("missing", "filled"): "有值",
        ("missing", "empty"): "缺失",
        ("usual", "filled"): f"不等于常见值 {usual!r}",
    }[what, state]
    return Finding(
        name, "filled_after", severity,
        _evidence(signal, share=share, base_rate=base, covered=covered),
        f"where {name!r} {english}, {case.target!r} is {word!r} in {share:.1%} of the rows "
        f"(overall {base:.1%}): it may be written after the outcome",
        f"“{name}”{chinese}的行中，“{case.target}”为 {word!r} 的占 {share:.1%}（整体 {base:.1%}）："
        "该列可能在结果发生之后才写入",
    )  # fmt: skip


def _perfect(case: _Case, found: Found) -> dict[Hashable, Finding]:
    made = {}
    for name in _open(case, found):
        signal = case.signals[name].auc
        if signal.low >= PERFECT or (signal.value >= PERFECT and signal.status == "zero_variance"):
            made[name] = Finding(
                name, "perfect", "critical", _evidence(signal),
                f"{name!r} alone tells {case.target!r} almost without error (AUC "
                f"{signal.value:.3f}): it is the outcome in other words, or made from it",
                f"仅凭“{name}”就几乎能完全判断“{case.target}”（AUC {signal.value:.3f}）："
                "它可能就是结果本身，或由结果推出",
            )  # fmt: skip
    return made


def _identifier_order(case: _Case, found: Found) -> dict[Hashable, Finding]:
    made = {}
    for name, kind in case.kinds.items():
        if kind != "identifier" or name in found:
            continue
        rng = case.streams.generator("signal")
        signals = {
            part: signal_of_codes(codes, case.labels, rng=rng).auc
            for part, codes in identifier_codes(case.frame[name]).items()
        }
        part = max(signals, key=lambda key: signals[key].value)
        signal = signals[part]
        if signal.low < ORDERED:
            continue
        severity = "critical" if signal.low >= 0.9 else "high" if signal.low >= 0.65 else "medium"
        made[name] = Finding(
            name, "identifier_order", severity, _evidence(signal),
            f"the identifier {name!r} knows {case.target!r} by its {part} (AUC "
            f"{signal.value:.3f}): rows were numbered or sorted by the outcome or by time",
            f"标识“{name}”的{_PARTS_ZH[part]}与“{case.target}”相关（AUC {signal.value:.3f}）："
            "编号或排序可能依据了结果或时间",
        )  # fmt: skip
    return made


_PARTS_ZH = {"order": "编号顺序", "prefix": "前缀", "length": "长度", "alphabet": "字母顺序"}


def _dates_after(case: _Case, found: Found) -> dict[Hashable, Finding]:
    """The distance of two dates tells the outcome although neither date does so alone."""
    dates = [n for n in case.frame.columns if n not in found and is_time(case.frame[n])]
    days = {name: read_times(case.frame[name]) for name in dates}
    made: dict[Hashable, Finding] = {}
    for i, first in enumerate(dates):
        for second in dates[i + 1 :]:
            gap = days[second] - days[first]
            rng = case.streams.generator("signal")
            signal = signal_of_codes(codes_of_numbers(gap), case.labels, rng=rng).auc
            if signal.low < IMPLAUSIBLE:
                continue
            late, early = (second, first) if np.nanmedian(gap) >= 0 else (first, second)
            made[late] = Finding(
                late, "date_after", "high", _evidence(signal),
                f"the days between {early!r} and {late!r} tell {case.target!r} (AUC "
                f"{signal.value:.3f}): {late!r} may be the day of the outcome or a later one",
                f"“{early}”与“{late}”相隔的天数可判断“{case.target}”（AUC {signal.value:.3f}）："
                f"“{late}”可能是结果当天或之后的日期",
            )  # fmt: skip
    return made


def _dominant(case: _Case, found: Found) -> dict[Hashable, Finding]:
    made: dict[Hashable, Finding] = {}
    rests: dict[tuple[Hashable, ...], float] = {}
    names = [n for n in _open(case, found) if case.signals[n].auc.low >= STRONG]
    names.sort(key=lambda n: (-case.signals[n].auc.value, str(n)))
    unusual = {n for n in names if case.signals[n].auc.low >= UNUSUAL}
    if len(unusual) > max(FEW, FEW_SHARE * len(case.kinds)):
        unusual = set()  # an easy task, not a few columns that know too much
    for name in names[:COMPARED]:
        signal = case.signals[name]
        others = [
            other
            for other in _open(case, {**found, **made})
            if other not in {name, *unusual} and likeness(signal, case.signals[other]) < ALIKE
        ]
        if tuple(others) not in rests:
            rests[tuple(others)] = _joint_auc(case, others)
        rest = rests[tuple(others)]
        if signal.auc.value < rest - MARGIN_HALVED:
            continue
        joint = _joint_auc(case, [*others, name])
        halves = rest >= REST and 1 - joint <= HALVED * (1 - rest)
        named = telling_words(name, case.target)
        leads = signal.auc.value >= rest - MARGIN
        strange = signal.auc.low >= UNUSUAL or (leads and _never_at_first(case, name))
        if (halves and strange) or (leads and (named or signal.auc.low >= IMPLAUSIBLE)):
            made[name] = _say_dominant(case, name, rest, joint, named)
    return made


def _never_at_first(case: _Case, name: Hashable) -> bool:
    """Whether it is a quantity that begins at zero, and at its low end the outcome never comes.

    So look things that go on while the outcome is made: a call cannot be won in its first seconds.
    """
    if case.kinds[name] != "number":
        return False
    value = read_numbers(case.frame[name])
    known = ~np.isnan(value)
    middle, mean = np.median(value[known]), value[known].mean()
    if value[known].min() < 0 or mean <= SKEWED * middle:
        return False
    low = known & (value <= np.quantile(value[known], LOW_END))
    base = float(case.labels.mean())
    return base * low.sum() >= EXPECTED and float(case.labels[low].mean()) <= NEVER * base


def _say_dominant(
    case: _Case, name: Hashable, rest: float, joint: float, named: Sequence[str]
) -> Finding:
    signal = case.signals[name].auc
    hint = f"; its name says {named[0]!r}" if named else ""
    hint_zh = f"，列名含“{named[0]}”" if named else ""
    return Finding(
        name, "dominant", "critical" if signal.low >= IMPLAUSIBLE else "high",
        _evidence(signal, auc_others=rest, auc_together=joint),
        f"{name!r} alone (AUC {signal.value:.3f}) predicts {case.target!r} as well as the other "
        f"columns together ({rest:.3f}), and lifts them to {joint:.3f}{hint}: ask whether it is "
        "known before the outcome",
        f"仅“{name}”一列（AUC {signal.value:.3f}）对“{case.target}”的预测力不低于其余各列之和"
        f"（{rest:.3f}），加入后升至 {joint:.3f}{hint_zh}：请确认它在结果发生前是否已知",
    )  # fmt: skip


def _evidence(signal: Estimate, **more: float) -> dict[str, float]:
    known = {"auc": signal.value, "auc_low": signal.low, "auc_high": signal.high, "rows": signal.n}
    return {key: round(float(value), 6) for key, value in (known | more).items()}


def _joint_auc(case: _Case, names: Sequence[Hashable]) -> float:
    """AUC of small boosted trees on several columns, on parts left out."""
    if not names:
        return 0.5
    parsed = fit_reader(case.frame[list(names)]).read(case.frame[list(names)])
    rng = case.streams.generator("joint")
    part, y = split_parts(len(case.labels), rng=rng) % PARTS, case.labels
    make: Callable[..., LightGbm | Boosting] = Boosting if lightgbm_or_none() is None else LightGbm
    found = []
    for k in range(PARTS):
        train, test = np.flatnonzero(part != k), np.flatnonzero(part == k)
        if not 0 < y[train].sum() < len(train) or not 0 < y[test].sum() < len(test):
            continue
        columns = SplitColumns().fit(parsed.rows(train), y[train], rng=rng)
        model = make(trees=100, rate=0.1, leaves=8, column_share=0.5)
        model.fit(columns.transform_training(parsed.rows(train)), y[train], rng=rng)
        found.append(auc(y[test], model.predict(columns.transform(parsed.rows(test)))))
    return float(np.mean(found)) if found else 0.5

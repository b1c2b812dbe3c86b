"""How well a column of a plain table can be predicted from the others."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from zhiyin.core.rng import Streams
from zhiyin.core.values import Estimate
from zhiyin.understand.predict import quality
from zhiyin.understand.predict.contest import Blended, compete
from zhiyin.understand.predict.figures import SHARES, judge
from zhiyin.understand.predict.leakage import Finding, check_leakage
from zhiyin.understand.predict.table import Reading, fit_reader
from zhiyin.understand.predict.target import (
    check_columns,
    check_folds,
    check_seed,
    check_table,
    read_target,
)


@dataclass(frozen=True)
class Fold:
    """One outer fold: what its winner was and what it got on rows that it never saw."""

    rows: int
    positives: int
    auc: float
    ap: float
    log_loss: float
    brier: float
    winner: str
    weights: Mapping[str, float]
    threshold: float  # chosen on inner folds


@dataclass(frozen=True)
class Contestant:
    """Inner scores of a contender, the mean of the outer folds; `weight` is its share in blends."""

    auc: float
    log_loss: float
    weight: float


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found; every figure is of rows that the model had not seen.

    `auc` and `ap` are means of the folds, as cross-validation is usually reported. `log_loss`
    (nats), `brier`, `ece` (10 bins of equal counts), `f1` and `lift` (among the best tenth) are of
    all out-of-fold predictions together, and so are `auc_pooled` and `ap_pooled`. `ece_floor` is
    the calibration error that perfect probabilities would show by chance. `intervals` holds 95 %
    intervals by the names of the figures. `gains` is the share of positives found in the best 10,
    20 … 100 % of the rows. `leaks` are the findings of `check_leakage`: look at them first.
    `predictions` are calibrated out-of-fold probabilities in the order of the table, NaN where the
    target is missing; `fold_of_row` is -1 there.
    """

    auc: float
    ap: float
    log_loss: float
    brier: float
    ece: float
    ece_floor: float
    f1: float
    lift: float
    auc_pooled: float
    ap_pooled: float
    gains: tuple[float, ...]
    intervals: Mapping[str, Estimate]
    folds: tuple[Fold, ...]
    candidates: Mapping[str, Contestant]
    columns: tuple[Reading, ...]
    leaks: tuple[Finding, ...]
    rows: int
    positives: int
    positive: str
    negative: str
    predictions: np.ndarray
    fold_of_row: np.ndarray

    def __str__(self) -> str:
        interval = self.intervals["auc"]
        return (
            f"AUC {self.auc:.4f} [{interval.low:.4f}, {interval.high:.4f}], AP {self.ap:.4f}, "
            f"log-loss {self.log_loss:.4f}, Brier {self.brier:.4f}, "
            f"ECE {self.ece:.4f} (noise floor {self.ece_floor:.4f}), F1 {self.f1:.4f}, "
            f"lift at 10 % {self.lift:.2f}; {self.rows} rows, {self.positives} {self.positive!r}, "
            f"{len(self.folds)} folds" + "".join(f"\nleak? {finding}" for finding in self.leaks)
        )


def evaluate(
    table: pd.DataFrame,
    target: Hashable,
    *,
    folds: int = 5,
    seed: int = 42,
    positive: object = None,
) -> Evaluation:
    """Judge how well `target` can be predicted from the other columns, by cross-validation.

    Columns come as they are: text that holds numbers or dates is read as such, missing values,
    categories of any size and constants are handled, identifiers are left out. What a column is,
    levels, ranks, rates, models, blend, calibration and threshold are learned within each training
    part alone. Classes are not reweighted: probabilities stay true to a rare target, and the
    threshold of F1 is chosen on inner folds.

    Parameters
    ----------
    table
        One row a customer, any columns.
    target
        Name of a column with two values; rows where it is missing are left out.
    folds
        Outer folds, 2..50, stratified and shuffled by `seed`.
    seed
        The same seed, table and versions give the same result.
    positive
        The value to predict; None: see `target.read_target`.

    Returns
    -------
    Figures with intervals, by fold and by candidate, and out-of-fold predictions.

    Raises
    ------
    NotFound
        If there is no such column.
    InvalidParameter
        If the target has not two values, a column name occurs twice, or `folds` or `seed` is out
        of range.
    NotEnoughData
        If the table is empty or has no column but the target, has fewer than 20 rows, or a class
        has fewer rows than folds.

    Notes
    -----
    The interval of AUC is DeLong's (1988), the others are percentiles of a bootstrap over rows.
    The blend is a stack with non-negative weights: Wolpert (1992), Breiman (1996).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> x = np.random.default_rng(1).normal(size=(400, 2))
    >>> shop = pd.DataFrame({"visits": x[:, 0], "left": x[:, 0] + x[:, 1] > 1})
    >>> round(evaluate(shop, "left").auc, 1)
    0.9
    """
    check_table(table)
    read = read_target(table, target, positive=positive)
    check_columns(table, target)
    check_folds(read.labels, folds)
    check_seed(seed)
    frame = table[read.known].drop(columns=target).reset_index(drop=True)
    labels = read.labels
    plan = StratifiedKFold(folds, shuffle=True, random_state=seed)
    predicted, chosen = np.empty(len(labels)), np.empty(len(labels), dtype=bool)
    fold_of, kept, blends = np.empty(len(labels), dtype=np.int64), [], []
    with threadpool_limits(1):  # sums in one order, whatever the machine
        for k, (train, test) in enumerate(plan.split(np.zeros((len(labels), 1)), labels)):
            blend, predicted[test] = _fit_and_predict(
                frame, labels, train, test, streams=Streams(seed), name=f"fold/{k}"
            )
            chosen[test] = predicted[test] >= blend.threshold
            fold_of[test] = k
            blends.append(blend)
            kept.append(_judge_fold(blend, labels[test], predicted[test]))
    rng = Streams(seed).generator("intervals")
    figures, intervals = judge(labels, predicted, chosen, fold_of, rng=rng)
    floor = quality.calibration_floor(predicted, rng=rng)
    order = quality.best_first(predicted, np.arange(len(labels)))
    return Evaluation(
        **figures,
        ece_floor=floor,
        gains=tuple(quality.captured(labels, order, share=share) for share in SHARES),
        intervals=intervals,
        folds=tuple(kept),
        candidates=_contestants(blends),
        columns=fit_reader(frame).readings,
        leaks=check_leakage(table, target, positive=positive),
        rows=len(labels),
        positives=int(labels.sum()),
        positive=read.positive,
        negative=read.negative,
        predictions=_spread(predicted, read.known, np.nan),
        fold_of_row=_spread(fold_of, read.known, -1),
    )


def _fit_and_predict(
    frame: pd.DataFrame,
    labels: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    *,
    streams: Streams,
    name: str,
) -> tuple[Blended, np.ndarray]:
    """Fit on `train` alone, then speak about `test`."""
    seen = frame.iloc[train]
    reader = fit_reader(seen)
    own = Streams(int(streams.generator(name).integers(2**31 - 1)))
    blend = compete(reader.read(seen), labels[train], streams=own)
    return blend, blend.predict(reader.read(frame.iloc[test]))


def _judge_fold(blend: Blended, labels: np.ndarray, predicted: np.ndarray) -> Fold:
    return Fold(
        rows=len(labels),
        positives=int(labels.sum()),
        auc=quality.auc(labels, predicted),
        ap=quality.average_precision(labels, predicted),
        log_loss=quality.log_loss(labels, predicted),
        brier=quality.brier(labels, predicted),
        winner=blend.name,
        weights=blend.weights,
        threshold=blend.threshold,
    )


def _contestants(blends: list[Blended]) -> dict[str, Contestant]:
    made = {}
    for name in blends[0].scores:
        totals = [sum(b.weights.values()) or 1.0 for b in blends]  # 0: none knew anything
        shares = [b.weights.get(name, 0.0) / t for b, t in zip(blends, totals, strict=True)]
        made[name] = Contestant(
            auc=float(np.mean([b.scores[name].auc for b in blends])),
            log_loss=float(np.mean([b.scores[name].log_loss for b in blends])),
            weight=float(np.mean(shares)),
        )
    return made


def _spread(values: np.ndarray, known: np.ndarray, gap: float) -> np.ndarray:
    """Values of the known rows in the order of the whole table."""
    made = np.full(len(known), gap, dtype=values.dtype)
    made[known] = values
    return made

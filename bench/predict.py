"""How well do plain tables predict, by `evaluate`, beside peers on the same folds in the same run?

Telco churn and UCI bank-additional-full without `duration`, 5 stratified folds of seed 42; Adult,
3 folds, as a table that chose no setting. Settings were compared on folds of another seed
(docs/results.md). Peers on one-hot columns: logistic regression (Telco), LightGBM (bank).

The rolling window is in the spirit of Moro et al. (2014): the contacts of bank-additional-full are
in the order of time; the model sees the last 20,000 and speaks about the next ones, then the
window moves on. They had more columns, other contacts (to June 2013) and a new model every 10
contacts.
"""

from __future__ import annotations

import io
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from bench.harness import Goal, at_least, at_most, emit
from zhiyin.core.extras import lightgbm_or_none
from zhiyin.core.rng import Streams
from zhiyin.understand.predict import Evaluation, check_leakage, evaluate, quality
from zhiyin.understand.predict.contest import compete
from zhiyin.understand.predict.table import fit_reader

SHARED = Path(os.environ.get("ZHIYIN_SHARED") or Path(__file__).parents[2] / "shared")
WINDOW, STEP = 20_000, 5_297  # 4 windows


def read_telco() -> pd.DataFrame:
    """IBM's Telco churn: 7,043 customers."""
    return pd.read_csv(SHARED / "data" / "telco_churn" / "WA_Fn-UseC_-Telco-Customer-Churn.csv.gz")


def read_bank() -> pd.DataFrame:
    """bank-additional-full: 41,188 contacts in the order of time."""
    path = SHARED / "data" / "bank_marketing" / "bank-additional.zip"
    with zipfile.ZipFile(path) as archive:
        raw = archive.read("bank-additional/bank-additional-full.csv")
    return pd.read_csv(io.BytesIO(raw), sep=";")


def read_adult() -> pd.DataFrame:
    """UCI Adult, training part: 32,561 persons."""
    return pd.read_csv(SHARED / "data" / "adult" / "adult.csv.gz", skipinitialspace=True)


def judge(
    name: str, table: pd.DataFrame, target: str, *, folds: int = 5
) -> tuple[Evaluation, dict[str, object]]:
    """Evaluate with the default seed and name the figures."""
    started = time.process_time()
    found = evaluate(table, target=target, folds=folds)
    figures: dict[str, object] = {
        "auc": round(found.auc, 5), "auc_pooled": round(found.auc_pooled, 5),
        "ap": round(found.ap, 5), "log_loss": round(found.log_loss, 5),
        "brier": round(found.brier, 5), "ece": round(found.ece, 5),
        "ece_floor": round(found.ece_floor, 5), "f1": round(found.f1, 4),
        "lift_at_10": round(found.lift, 3), "top_half": round(found.gains[4], 4),
        "cpu_s": round(time.process_time() - started, 1),
    }  # fmt: skip
    interval = found.intervals["auc"]
    figures["auc_interval"] = f"{interval.low:.4f}..{interval.high:.4f}"
    for other, one in found.candidates.items():
        figures[f"inner_{other}_auc"] = round(one.auc, 5)
    return found, {f"{name}_{key}": value for key, value in figures.items()}


def peer_logistic(table: pd.DataFrame, target: str, found: Evaluation) -> float:
    """Mean AUC of the folds of logistic regression on scaled numbers and one-hot categories."""
    frame = table.drop(columns=[target, "customerID"])
    frame["TotalCharges"] = pd.to_numeric(frame["TotalCharges"], errors="coerce").fillna(0.0)
    numbers = ["tenure", "MonthlyCharges", "TotalCharges"]
    y, folds = (table[target] == found.positive).to_numpy(int), []
    for k in range(len(found.folds)):
        test = found.fold_of_row == k
        model = make_pipeline(
            make_column_transformer(
                (StandardScaler(), numbers), remainder=OneHotEncoder(handle_unknown="ignore")
            ),
            LogisticRegression(max_iter=2000),
        )
        model.fit(frame[~test], y[~test])
        folds.append(quality.auc(y[test], model.decision_function(frame[test])))
    return float(np.mean(folds))


def peer_lightgbm(table: pd.DataFrame, target: str, found: Evaluation) -> float | str:
    """Mean AUC of the folds of LightGBM with 300 slow trees on one-hot columns.

    It is the best of what comes to mind first: its native categories or its default rate get less.
    """
    lightgbm = lightgbm_or_none()
    if lightgbm is None:
        return "LightGBM does not load"
    frame = table.drop(columns=target)
    words = list(frame.select_dtypes(exclude="number").columns)
    columns = pd.get_dummies(frame, columns=words).to_numpy(float)
    y, folds = (table[target] == found.positive).to_numpy(int), []
    for k in range(len(found.folds)):
        test = found.fold_of_row == k
        model = lightgbm.train(
            {"objective": "binary", "learning_rate": 0.03, "verbosity": -1, "num_threads": 1},
            lightgbm.Dataset(columns[~test], label=y[~test]),
            300,
        )
        folds.append(quality.auc(y[test], model.predict(columns[test])))
    return float(np.mean(folds))


def rolling(table: pd.DataFrame, target: str) -> dict[str, float]:
    """AUC and share of buyers in the better half, each window's model on the contacts after it."""
    frame, y = table.drop(columns=target), (table[target] == "yes").to_numpy(int)
    scores = np.full(len(y), np.nan)
    for start in range(WINDOW, len(y), STEP):
        train, test = np.arange(start - WINDOW, start), np.arange(start, min(start + STEP, len(y)))
        reader = fit_reader(frame.iloc[train])
        parsed = reader.read(frame.iloc[train])
        blend = compete(parsed, y[train], streams=Streams(start))
        scores[test] = blend.predict(reader.read(frame.iloc[test]))
    y, scores = y[WINDOW:], scores[WINDOW:]
    order = quality.best_first(scores, np.arange(len(y)))
    parts = np.arange(len(y)) // STEP
    inside = [quality.auc(y[parts == k], scores[parts == k]) for k in np.unique(parts)]
    return {
        "rolling_auc": round(quality.auc(y, scores), 4),
        "rolling_auc_within_steps": round(float(np.mean(inside)), 4),
        "rolling_top_half": round(quality.captured(y, order, share=0.5), 4),
        "rolling_contacts": len(y),
    }


def main() -> None:
    """Evaluate the three tables and their peers, look for leaks, roll the window, print."""
    telco, bank, adult = read_telco(), read_bank(), read_adult()
    plain = bank.drop(columns="duration")
    figures: dict[str, object] = {}
    found, made = judge("telco", telco, "Churn")
    figures |= made | {"telco_peer_logistic_auc": round(peer_logistic(telco, "Churn", found), 5)}
    found, made = judge("bank", plain, "y")
    peer = peer_lightgbm(plain, "y", found)
    figures |= made | {
        "bank_peer_lightgbm_auc": round(peer, 5) if isinstance(peer, float) else peer
    }
    figures |= judge("adult", adult, "income-per-year", folds=3)[1]
    figures |= rolling(plain, "y")
    figures["leaks_bank"] = ", ".join(str(one.column) for one in check_leakage(bank, "y"))
    clean = [(telco, "Churn"), (plain, "y"), (adult, "income-per-year")]
    figures["leaks_elsewhere"] = sum(len(check_leakage(table, name)) for table, name in clean)
    goals: dict[str, Goal] = {
        "telco_auc": at_least(0.848),
        "bank_auc": at_least(0.806),
        "bank_ece": at_most(0.02),
        "adult_ece": at_most(0.02),
        "leaks_elsewhere": at_most(0),
        "telco_cpu_s": at_most(60),
        "bank_cpu_s": at_most(300),
    }
    emit(
        "predict",
        data="IBM Telco churn; UCI bank-additional-full without duration; UCI Adult",
        rows={"telco": len(telco), "bank": len(bank), "adult": len(adult)},
        figures=figures,
        goals=goals,
    )


if __name__ == "__main__":
    with threadpool_limits(1):
        main()

"""Does predicted uplift find whom an e-mail moves? Hillstrom's 64,000 customers, outcome visit.

Each arm against no e-mail; half of the customers to learn, half to judge, `--seeds` splits. Qini as
`zhiyin.measure.uplift.curves` defines it: area over random / perfect, where perfect lets an e-mail
harm. `auto` chooses by cross-fitting within the learning half; the other learners are shown to
compare, nothing is chosen by the judging half. Features: recency, history, mens, womens, zip_code,
newbie, channel; `history_segment` is `history` in bins and left out for all. `range` is the least
and the largest of the splits: halves of one table overlap, so they are not independent draws.

`--only auto` skips the other learners. The peer, causalml 0.18.0, gets the same halves, its
features one-hot, and runs where `ZHIYIN_CAUSALML` names a Python that has it:

    python -m venv cml && cml/bin/pip install causalml==0.18.0
    ZHIYIN_CAUSALML=cml/bin/python python -m bench.measure_uplift
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from bench.harness import Goal, at_least, emit
from zhiyin.measure import uplift

FEATURES = ["recency", "history", "mens", "womens", "zip_code", "newbie", "channel"]
ARMS = {"women": ["Womens E-Mail"], "men": ["Mens E-Mail"], "any": ["Womens E-Mail", "Mens E-Mail"]}
GOALS = {"women": 0.062, "any": 0.034}
PEER = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import logging
logging.disable(logging.WARNING)
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression, LinearRegression
from lightgbm import LGBMClassifier, LGBMRegressor
from causalml.inference.meta import BaseTClassifier, BaseSClassifier, BaseXClassifier
from causalml.inference.meta import BaseRClassifier, BaseDRLearner
from causalml.inference.tree import UpliftRandomForestClassifier
asked = json.load(open(sys.argv[1]))
x = pd.DataFrame(asked["features"])
x = pd.get_dummies(x, drop_first=True).astype(float)
x = ((x - x.mean()) / x.std()).to_numpy()
t, y = np.array(asked["treated"]), np.array(asked["outcome"])
e = float(t.mean())
def lr():
    return LogisticRegression(max_iter=1000)
def trees():
    return LGBMClassifier(n_estimators=100, learning_rate=.05, num_leaves=4, verbosity=-1, n_jobs=1)
def numbers():
    return LGBMRegressor(n_estimators=50, learning_rate=.05, num_leaves=4, verbosity=-1, n_jobs=1)
made = {}
kinds = {
    "t_lr": lambda: BaseTClassifier(lr()),
    "t_lightgbm": lambda: BaseTClassifier(trees()),
    "s_lightgbm": lambda: BaseSClassifier(trees()),
    "x_lr": lambda: BaseXClassifier(lr(), LinearRegression()),
    "r_lr": lambda: BaseRClassifier(lr(), LinearRegression()),
    "dr_lr": lambda: BaseDRLearner(LinearRegression()),
    "forest": lambda: UpliftRandomForestClassifier(
        control_name="0", n_estimators=50, max_depth=5, min_samples_leaf=200, random_state=0,
        n_jobs=1),
}
for name, make in kinds.items():
    cpu = time.process_time()
    found = []
    for train, test in asked["splits"]:
        model = make()
        if name == "forest":
            model.fit(X=x[train], treatment=t[train].astype(str), y=y[train])
            found.append(np.ravel(model.predict(x[test])).tolist())
            continue
        given = {} if name in ("t_lr", "t_lightgbm", "s_lightgbm") else {
            "p": np.full(len(train), e)}
        model.fit(X=x[train], treatment=t[train], y=y[train].astype(float), **given)
        given = {"p": np.full(len(test), e)} if given and name != "r_lr" else {}
        found.append(np.ravel(model.predict(x[test], **given)).tolist())
    made[name] = {"uplift": found, "cpu": time.process_time() - cpu}
json.dump(made, open(sys.argv[2], "w"))
"""
Split = tuple[np.ndarray, np.ndarray]


def read(arm: str) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Features, treated and visited of the customers of an arm and of those without e-mail."""
    path = Path(os.environ["ZHIYIN_SHARED"]) / "data" / "hillstrom" / "hillstrom.csv.gz"
    rows = pd.read_csv(path)
    rows = rows[rows["segment"].isin([*ARMS[arm], "No E-Mail"])].reset_index(drop=True)
    treated = (rows["segment"] != "No E-Mail").to_numpy(dtype=np.int64)
    return rows[FEATURES], treated, rows["visit"].to_numpy(dtype=np.int64)


def halve(n: int, seed: int) -> Split:
    """Rows to learn from and rows to judge by."""
    order = np.random.default_rng(seed).permutation(n)
    return order[: n // 2], order[n // 2 :]


def describe(name: str, values: list[float]) -> dict[str, object]:
    """Mean and range of the splits."""
    return {
        f"{name}_qini": round(float(np.mean(values)), 4),
        f"{name}_qini_range": [round(min(values), 4), round(max(values), 4)],
    }


def judge(arm: str, seeds: int, *, only: str) -> dict[str, object]:
    """Our learners, then the peer's, on the same halves."""
    features, t, y = read(arm)
    splits = [halve(len(y), seed) for seed in range(seeds)]
    figures: dict[str, object] = {f"{arm}_effect": round(y[t == 1].mean() - y[t == 0].mean(), 4)}
    kinds = [("auto", "linear")]
    if only != "auto":
        kinds += [(one, base) for one in uplift.LEARNERS for base in ("linear", "trees")]
    for learner, base in kinds:
        cpu, values, chosen, widths = time.process_time(), [], [], []
        for seed, (train, test) in enumerate(splits):
            model = uplift.fit(
                features.iloc[train], t[train], y[train], learner=learner, base=base, seed=seed
            )
            found = uplift.qini(model.predict(features.iloc[test]), t[test], y[test])
            values.append(found.value)
            widths.append(found.standard_error)
            chosen.append(f"{model.learner}_{model.base}")
        name = f"{arm}_auto" if learner == "auto" else f"{arm}_{learner}_{base}"
        figures |= describe(name, values)
        if learner == "auto":
            figures[f"{arm}_auto_chose"] = {one: chosen.count(one) for one in sorted({*chosen})}
            figures[f"{arm}_auto_standard_error"] = round(float(np.mean(widths)), 4)
            figures[f"{arm}_auto_cpu_s"] = round((time.process_time() - cpu) / seeds, 2)
    return figures | ask_peer(arm, features, t, y, splits)


def ask_peer(
    arm: str, features: pd.DataFrame, t: np.ndarray, y: np.ndarray, splits: list[Split]
) -> dict[str, object]:
    """The same halves predicted by causalml in its own environment; nothing where there is none."""
    python = os.environ.get("ZHIYIN_CAUSALML")
    if not python:
        return {}
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    asked = {
        "features": features.to_dict("list"),
        "treated": t.tolist(),
        "outcome": y.tolist(),
        "splits": [[train.tolist(), test.tolist()] for train, test in splits],
    }
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "asked.json", Path(folder) / "answer.json"
        given.write_text(json.dumps(asked), encoding="utf-8")
        subprocess.run(
            [python, "-c", PEER, str(given), str(answer)],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
        )  # fmt: skip
        made = json.loads(answer.read_text("utf-8"))
    figures: dict[str, object] = {}
    for name, got in made.items():
        values = [
            uplift.qini(np.array(one), t[test], y[test]).value
            for one, (_, test) in zip(got["uplift"], splits, strict=True)
        ]
        figures |= describe(f"{arm}_causalml_{name}", values)
        figures[f"{arm}_causalml_{name}_cpu_s"] = round(got["cpu"] / len(splits), 2)
    return figures


def main() -> None:
    """All arms, then print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default="all")
    parser.add_argument("--arms", default="women,any")
    asked = parser.parse_known_args()[0]
    figures: dict[str, object] = {}
    goals: dict[str, Goal] = {}
    for arm in asked.arms.split(","):
        figures |= judge(arm, asked.seeds, only=asked.only)
        if arm in GOALS:
            goals[f"{arm}_auto_qini"] = at_least(GOALS[arm])
    emit(
        "measure_uplift",
        data="Hillstrom's e-mail experiment (2008), outcome visit",
        rows={"customers": 64_000, "seeds": asked.seeds},
        figures=figures,
        goals=goals,
    )


if __name__ == "__main__":
    with threadpool_limits(1):  # one core
        main()

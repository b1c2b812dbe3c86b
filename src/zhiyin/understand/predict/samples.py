"""Training sets in order of time: who counted on a past day, and what then happened to her."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from zhiyin.core import columns as c
from zhiyin.core.rng import Streams
from zhiyin.understand.predict.labels import HAPPENED
from zhiyin.understand.predict.quality import auc, auc_delong
from zhiyin.understand.predict.selection import Group
from zhiyin.understand.predict.task import MIN_ORDERS, Task

ORDERS, RECENCY = "orders_count", "recency_days"
PERFECT = 0.985
TOO_GOOD = 0.98  # AUC of a whole model that is no model's merit
JUDGED = 20  # rows of either outcome that a group needs to be judged alone


def find_eligible(
    rows: pd.DataFrame, task: Task, *, holders: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The rows of `features` whose customers the task speaks of, in the same order.

    Parameters
    ----------
    rows
        Features of one or several days, with `as_of_on` and `customer_id`.
    task
        Its `eligible` and horizon decide.
    holders
        `as_of_on`, `customer_id` of those who hold a contract on a day; only contract churn asks.
    """
    if task.eligible == "active_repeat":
        came_back = rows[ORDERS].fillna(0) >= MIN_ORDERS
        return rows[came_back & (rows[RECENCY] <= task.horizon_days)]
    if task.eligible == "contract_holders":
        keys = [c.AS_OF_ON, c.CUSTOMER_ID]
        held = pd.MultiIndex.from_frame(_none(keys) if holders is None else holders[keys])
        return rows[pd.MultiIndex.from_frame(rows[keys]).isin(held)]
    return rows


def _none(names: list[str]) -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in names})


def build_groups(
    rows: pd.DataFrame, outcomes: pd.DataFrame, *, task: Task, names: list[str], as_of: date
) -> list[Group]:
    """One group a training day of the task, oldest first.

    Parameters
    ----------
    rows
        Features of the eligible at the training days.
    outcomes
        `as_of_on`, `customer_id`, `happened` = 1: to whom it happened within the horizon of the
        day; to others it did not. For a customer who stays away, `happened` says that she came.
    task, names
        The task, and the features to learn from.
    as_of
        Days whose horizon is not over by then are left out, whatever `task.days` says (law 1).
    """
    keys = [c.AS_OF_ON, c.CUSTOMER_ID]
    happened = pd.MultiIndex.from_frame(outcomes.loc[outcomes[HAPPENED] == 1, keys])
    made = []
    for day in task.days:
        mine = rows.loc[rows[c.AS_OF_ON] == day].sort_values(c.CUSTOMER_ID)
        if mine.empty or task.known_on(day) >= as_of:
            continue
        y = pd.MultiIndex.from_frame(mine[keys]).isin(happened).astype(np.int64)
        y = 1 - y if task.label == "stays_away" else y
        x = mine[names].to_numpy(float)
        who = mine[c.CUSTOMER_ID].to_numpy()
        made.append(Group(day.isoformat(), task.name, day, task.known_on(day), x, y, who))
    return made


def find_leaks(groups: Sequence[Group], names: Sequence[str]) -> dict[str, float]:
    """Features that alone know the outcome, with their AUC: they were written after it.

    Either direction counts, and missing is a value of its own below all others. Alone `PERFECT` is
    beyond what anything known before an outcome reached on the data sets held here; in one group,
    where what was written after it shows although other groups know nothing of it, the lower end of
    the interval must reach it. See `check_leakage` for columns of plain tables.
    """
    labels = np.concatenate([group.labels for group in groups])
    features = np.vstack([group.features for group in groups])
    judged = [group for group in groups if min(_sizes(group.labels)) >= JUDGED]
    found = {}
    for j, name in enumerate(names):
        values = missing_first(features[:, j])
        alone = auc(labels, values)
        if max(alone, 1 - alone) >= PERFECT:
            found[name] = max(alone, 1 - alone)
            continue
        of_one = [_sure_auc(group.labels, missing_first(group.features[:, j])) for group in judged]
        if of_one and max(of_one) >= PERFECT:
            found[name] = max(of_one)
    return found


def _sizes(labels: np.ndarray) -> tuple[int, int]:
    return int(labels.sum()), int(len(labels) - labels.sum())


def _sure_auc(labels: np.ndarray, values: np.ndarray) -> float:
    """Lower end of the interval of the AUC in the better direction; where the AUC itself is below
    `PERFECT`, the AUC.
    """
    alone = auc(labels, values)
    if max(alone, 1 - alone) < PERFECT:
        return max(alone, 1 - alone)
    _, ranks = np.unique(values, return_inverse=True)
    ranks = ranks.astype(float)
    return auc_delong(labels, ranks if alone >= 0.5 else -ranks).low


def warn_of_leaks(leaks: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """Code and words, in English and Chinese, for the card."""
    return [
        (
            "leak", f"{name} alone knows the outcome (AUC {value:.3f}): left out",
            f"{name} 单独即可预知结果（AUC {value:.3f}），已排除",
        )
        if value >= PERFECT
        else (
            "leak", f"{name} looks written after the outcome (AUC {value:.3f}): left out",
            f"{name} 疑似在结果发生之后才写入（AUC {value:.3f}），已排除",
        )
        for name, value in sorted(leaks.items())
    ]  # fmt: skip


def missing_first(values: np.ndarray) -> np.ndarray:
    """A column in whose order what is missing is a value of its own, below all others."""
    return np.where(np.isnan(values), -np.inf, values)


def thin_out(group: Group, *, most: int, streams: Streams) -> Group:
    """At most `most` rows of the group, each class in its share: rates stay what they were."""
    n = len(group.labels)
    if n <= most:
        return group
    rng = streams.generator(f"thin/{group.name}")
    kept = np.sort(
        np.concatenate(
            [
                rng.choice(rows, size=max(1, round(most * len(rows) / n)), replace=False)
                for rows in (np.flatnonzero(group.labels == k) for k in (0, 1))
                if len(rows)
            ]
        )
    )
    who = None if group.customers is None else group.customers[kept]
    return replace(group, features=group.features[kept], labels=group.labels[kept], customers=who)

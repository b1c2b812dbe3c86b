"""Media mix: what each channel brought, by weeks of spend and revenue, and how sure that is.

`fit` gives a `Mix` (contributions, return, response curves), `budget` where the next money should
go, `backtest` whether it foretells. docs/measure-mix.md says when it can be believed.
"""

from __future__ import annotations

from zhiyin.measure.mix.backtest import Backtest, backtest
from zhiyin.measure.mix.budget import Budget, budget
from zhiyin.measure.mix.holidays import CALENDARS, list_holidays, share_of_days
from zhiyin.measure.mix.inputs import Experiment, Table
from zhiyin.measure.mix.model import Mix, fit

__all__ = [
    "CALENDARS", "Backtest", "Budget", "Experiment", "Mix", "Table", "backtest", "budget", "fit",
    "list_holidays", "share_of_days",
]  # fmt: skip

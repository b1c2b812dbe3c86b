"""Uplift: for whom a contact changes what happens, and how well that is known.

`fit` learns from an experiment; `qini`, `split_tenths`, `measure_kinds` and `value_policy` judge
predictions by rows that were not learned from. docs/measure-uplift.md says which learner when.
"""

from __future__ import annotations

from zhiyin.measure.uplift.curves import Curve, Qini, qini
from zhiyin.measure.uplift.groups import (
    Group,
    PolicyValue,
    measure_kinds,
    name_kinds,
    split_tenths,
    value_policy,
)
from zhiyin.measure.uplift.model import LEARNERS, Evidence, UpliftModel, crossfit, fit

__all__ = [
    "LEARNERS", "Curve", "Evidence", "Group", "PolicyValue", "Qini", "UpliftModel", "crossfit",
    "fit", "measure_kinds", "name_kinds", "qini", "split_tenths", "value_policy",
]  # fmt: skip

"""Effects without a lot: recipients against others made alike, and against their own past.

Weaker than a holdout, and each answer says so: `compare_observed` gives the balance it reached,
who has no like, and how strong a hidden reason would undo it; `interrupt` tries itself on a start
that never was. `plan_holdout` says what to hold out next time instead.
"""

from zhiyin.measure.observed.interrupted import Interrupted, interrupt
from zhiyin.measure.observed.next_time import NextHoldout, plan_holdout
from zhiyin.measure.observed.sensitivity import e_value, hidden_reason
from zhiyin.measure.observed.weights import Balance, Observed, Prepared, compare_observed, prepare

__all__ = [
    "Balance", "Interrupted", "NextHoldout", "Observed", "Prepared", "compare_observed", "e_value",
    "hidden_reason", "interrupt", "plan_holdout", "prepare",
]  # fmt: skip

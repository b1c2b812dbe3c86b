"""Attribution: which touches get the credit for conversions, by rules, chains or coalitions.

Credit is a convention, not an effect: `lay_beside` puts what experiments measured next to it.
docs/measure-attribution.md says which method when.
"""

from __future__ import annotations

from zhiyin.measure.attribution.beside import Beside, lay_beside
from zhiyin.measure.attribution.chains import markov
from zhiyin.measure.attribution.coalitions import shapley
from zhiyin.measure.attribution.credit import RULES, Attribution, attribute
from zhiyin.measure.attribution.journeys import sum_delays, sum_paths, sum_time_decay
from zhiyin.measure.attribution.paths import NONE, Paths, make_paths, read_paths

__all__ = [
    "NONE", "RULES", "Attribution", "Beside", "Paths", "attribute", "lay_beside", "make_paths",
    "markov", "read_paths", "shapley", "sum_delays", "sum_paths", "sum_time_decay",
]  # fmt: skip

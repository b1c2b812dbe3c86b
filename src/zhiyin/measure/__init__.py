"""Measure: what really happened, laid beside what was expected, and what was caused.

Import from the modules: `response`, `calibration`, `profit`, `experiment`, `increment` are pure
functions on small frozen statistics, `uplift`, `attribution`, `mix`, `trend` on plain tables; `job`
alone touches the store. This file imports nothing, so that `zhiyin --help` stays light.
"""

__all__ = [
    "attribution", "calibration", "counts", "experiment", "increment", "job", "mix", "observed",
    "profit", "response", "returns", "trend", "uplift",
]  # fmt: skip

# pyright: standard, reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""What earlier turns measured of campaigns' caused share, as far as it was known on the day."""

from __future__ import annotations

import json
import math

import ibis

from zhiyin.core import columns as c
from zhiyin.core.context import Context
from zhiyin.decide.caused import MeasuredShare

INCREMENT, CAUSED_SHARE, OK = "increment", "caused_share", "ok"
_HALF = 1.959963984540054  # standard errors from the middle of a 95 % interval to its end


def read_measured(ctx: Context) -> list[MeasuredShare]:
    """Of each campaign the newest share whose window was over by `ctx.as_of`, by its id."""
    day, results = ibis.literal(ctx.as_of), ctx.store.read("results")
    mine = results.filter(
        results[c.KIND] == INCREMENT, results[c.METRIC] == CAUSED_SHARE, results[c.STATUS] == OK,
        results[c.AS_OF_ON] < day, results[c.MEASURED_UNTIL_ON] <= day,
    )  # fmt: skip
    rows = mine.select(c.AS_OF_ON, c.SUBJECT, c.VALUE, c.LOW, c.HIGH, c.BODY).to_pyarrow()
    newest = {row[c.SUBJECT]: row for row in sorted(rows.to_pylist(), key=_age)}
    made = (_read(row) for _, row in sorted(newest.items()))
    return [one for one in made if math.isfinite(one.caused_minor + one.error_minor)]


def _age(row: dict) -> tuple:
    return row[c.AS_OF_ON], row[c.SUBJECT]


def _read(row: dict) -> MeasuredShare:
    redeemed = float(json.loads(row[c.BODY])["redeemed_minor"])
    value, low, high = (
        math.nan if row[name] is None else float(row[name]) for name in (c.VALUE, c.LOW, c.HIGH)
    )
    error = (high - low) / 2 / _HALF
    return MeasuredShare(row[c.SUBJECT], value * redeemed, error * redeemed, redeemed)

"""Rows of the table `results` from what the measures return."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.data_tables import RESULTS
from zhiyin.core.values import Estimate
from zhiyin.measure.status import NOT_YET, OK, WINDOW_OPEN

_TYPES = {
    "string": pa.string(), "json": pa.string(), "date": pa.date32(),
    "float64": pa.float64(), "int64": pa.int64(),
}  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One measured number, or a curve in `body` with its headline number."""

    kind: str
    subject: str
    metric: str
    estimate: Estimate
    body: Mapping[str, object] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether the number may change as more data come in."""
        return self.estimate.status in {NOT_YET, WINDOW_OPEN}


@dataclass(frozen=True)
class Measured:
    """What one part of a day's measuring gives: rows, named figures, sentences."""

    results: tuple[Result, ...] = ()
    figures: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def to_rows(results: Iterable[Result], *, as_of: date, until: Mapping[str, date]) -> pa.Table:
    """The `results` of the day `as_of`; `until` gives `measured_until_on` by kind or subject."""
    rows = [
        {
            c.AS_OF_ON: as_of,
            c.MEASURED_UNTIL_ON: until.get(result.kind) or until[result.subject],
            c.KIND: result.kind,
            c.SUBJECT: result.subject,
            c.METRIC: result.metric,
            c.VALUE: to_json(result.estimate.value),
            c.LOW: to_json(result.estimate.low),
            c.HIGH: to_json(result.estimate.high),
            c.N: result.estimate.n,
            c.STATUS: result.estimate.status,
            c.BODY: dump(result.body) if result.body else None,
        }
        for result in sorted(results, key=lambda one: (one.kind, one.subject, one.metric))
    ]
    schema = pa.schema([pa.field(column.name, _TYPES[column.type]) for column in RESULTS.columns])
    return pa.Table.from_pylist(rows, schema=schema)


def mark_open(results: Iterable[Result]) -> tuple[Result, ...]:
    """The results with every `ok` replaced by `window_open`: right so far, not final."""
    return tuple(
        Result(
            one.kind, one.subject, one.metric,
            Estimate(one.estimate.value, one.estimate.low, one.estimate.high, one.estimate.n,
                     WINDOW_OPEN if one.estimate.status == OK else one.estimate.status),
            one.body,
        )
        for one in results
    )  # fmt: skip


def to_json(value: object) -> object:
    """`value` with NaN and infinities as None and tuples as lists, so that JSON can hold it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): to_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(part) for part in value]
    return value


def dump(body: Mapping[str, object]) -> str:
    """Compact JSON with sorted keys; equal bodies give equal text."""
    return json.dumps(to_json(body), sort_keys=True, separators=(",", ":"), allow_nan=False)

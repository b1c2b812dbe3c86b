"""One customer, from her own rows: is she in, and when could that change."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

from zhiyin.audience import formula as f
from zhiyin.audience import rule as r
from zhiyin.audience.fields import CUSTOMERS, EVENTS, field_of, time_of, times_of
from zhiyin.audience.moment import Moment
from zhiyin.audience.yearly import celebrated, own_day
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.tables import table as table_of

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """What is known of one customer.

    `rows` are hers by table, as `store.read` gives them: facts, her records in `customers`, and of
    `features`, `tags`, `scores`, `memberships` those of the snapshot to use. `products` are by id.
    """

    customer_id: str
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict[str, Sequence[Row]])
    products: Mapping[str, Row] = field(default_factory=dict[str, Row])

    def seen(self, moment: Moment) -> Facts:
        """The facts without what is not visible at the moment."""
        answers = Answers(self, moment)
        rows = {
            name: held if name in f.SNAPSHOTS else answers.visible(name)
            for name, held in self.rows.items()
        }
        products = {key: row for key, row in self.products.items() if answers.is_visible(row)}
        return replace(self, rows=rows, products=products)


class Answers:
    """The measures of one customer at one moment; each is worked out once."""

    def __init__(self, facts: Facts, moment: Moment) -> None:
        self.facts = facts
        self.moment = moment
        self._known: dict[bytes, Any] = {}
        self._seen: dict[str, list[Row]] = {}
        self._timed: dict[str, list[tuple[datetime, Row]]] = {}

    def __call__(self, measure: f.Measure) -> Any:
        """What the measure is."""
        text = measure.text
        if text not in self._known:
            self._known[text] = self._work_out(measure)
        return self._known[text]

    def is_known(self) -> bool:
        """Whether she is one of the people an open rule asks about."""
        return bool(self.visible(CUSTOMERS) or self.facts.rows.get("features"))

    def visible(self, table: str) -> list[Row]:
        """Her rows of a table before the moment."""
        if table not in self._seen:
            times = times_of(table_of(table))
            before = self.moment.before
            self._seen[table] = [
                row
                for row in self.facts.rows.get(table, ())
                if all(naive_utc(row[time]) < before for time in times if time in row)
            ]
        return self._seen[table]

    def is_visible(self, product: Row) -> bool:
        """Whether the product's row holds already at the moment."""
        valid_at = product.get(c.VALID_AT)
        return valid_at is None or naive_utc(valid_at) < self.moment.before

    def matching(self, table: str, where: Sequence[r.Where]) -> Iterator[tuple[datetime, Row]]:
        """Time and row of what meets the conditions, in order of time."""
        if table not in self._timed:
            time = time_of(table)
            rows = [(naive_utc(row[time]), row) for row in self.visible(table)]
            self._timed[table] = sorted(rows, key=lambda pair: pair[0])
        for at, row in self._timed[table]:
            if all(self._meets(table, row, one) for one in where):
                yield at, row

    def _work_out(self, measure: f.Measure) -> Any:
        facts = self.facts
        if isinstance(measure, f.Total):
            return self._total(measure)
        if isinstance(measure, f.Extreme):
            times = [at for at, _ in self.matching(measure.table, measure.where)]
            pick = max if measure.which == "last" else min
            return pick(times) if times else None
        if isinstance(measure, f.Followed):
            return self._followed(measure)
        if isinstance(measure, f.Attribute):
            records = self.visible(CUSTOMERS)
            return any(self._meets(CUSTOMERS, row, measure.where) for row in records)
        if isinstance(measure, f.Dated):
            return self._dated(measure.rule)
        if isinstance(measure, f.FeatureValue):
            held = facts.rows.get("features", ())
            return held[0].get(measure.name) if held else None
        if isinstance(measure, f.Tagged):
            return any(
                row[c.TAG] == measure.tag and (not measure.values or row[c.VALUE] in measure.values)
                for row in facts.rows.get("tags", ())
            )
        if isinstance(measure, f.Grouped):
            wanted = (measure.scheme, measure.segment)
            held = facts.rows.get("memberships", ())
            return any((row[c.SCHEME], row[c.SEGMENT]) == wanted for row in held)
        if isinstance(measure, f.Scored):
            values = [
                row[measure.column]
                for row in facts.rows.get("scores", ())
                if (row[c.TASK], row[c.SUBJECT]) == (measure.task, measure.subject)
                and row[measure.column] is not None
            ]
            return max(values) if values else None
        return facts.customer_id in measure.customers

    def _total(self, measure: f.Total) -> Any:
        found = [
            row
            for at, row in self.matching(measure.table, measure.where)
            if (measure.start is None or at >= measure.start) and at < measure.end
        ]
        if measure.measure == "count":
            return len(found)
        like = 1 if measure.measure == "sum" else ""
        values = [self.value(measure.table, row, measure.column, like=like) for row in found]
        values = [value for value in values if value is not None]
        return sum(values) if measure.measure == "sum" else len(set(values))

    def _followed(self, measure: f.Followed) -> bool:
        within = timedelta(seconds=measure.within_s)
        thens = [at for at, _ in self.matching(measure.then.table, measure.then.where)]
        for at, _ in self.matching(measure.first.table, measure.first.where):
            if measure.start is not None and at < measure.start:
                continue
            place = bisect_right(thens, at)
            soon = place < len(thens) and thens[place] <= at + within
            if soon if measure.happens else not soon and at + within <= self.moment.before:
                return True
        return False

    def _dated(self, rule: r.Yearly) -> bool:
        for row in self.visible(CUSTOMERS):
            text = self.value(CUSTOMERS, row, rule.field, like="")
            today = own_day(self.moment, row.get(c.TIME_ZONE))
            if celebrated(rule, today).holds(text):
                return True
        return False

    def _meets(self, table: str, row: Row, where: r.Where) -> bool:
        if where.op in ("exists", "missing"):
            kinds = ("", 1.0, True)
            found = [self.value(table, row, where.column, like=kind) for kind in kinds]
            held = any(value is not None for value in found)
            return held if where.op == "exists" else not held
        like = where.value[0] if isinstance(where.value, tuple) else where.value
        got = self.value(table, row, where.column, like=like)
        return got is not None and f.meets(got, where.op, where.value)

    def value(self, table: str, row: Row, name: str, *, like: object) -> Any:
        """The named value of a row; of a property, None where it has not the type of `like`."""
        found = field_of(table, name)
        if found is None or found.place == "own":
            return row.get(name)
        if found.place == "product":
            product = self.facts.products.get(row.get(c.PRODUCT_ID) or "", {})
            return product.get(name) if self.is_visible(product) else None
        whole = cast("dict[str, Any]", json.loads(row.get(c.PROPERTIES) or "{}"))
        held = whole.get(found.name)
        if table == EVENTS and isinstance(own := whole.get(c.PROPERTIES), dict):
            held = cast("dict[str, Any]", own).get(found.name, held)
        return held if _kind(held) is _kind(like) else None


def _kind(value: object) -> type | None:
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, int | float) else str if isinstance(value, str) else None


def is_inside(rule: r.Rule, facts: Facts, moment: Moment) -> bool:
    """Whether the customer meets a rule that names no other audience any more."""
    made = f.formula(rule, moment)
    answers = Answers(facts, moment)
    return f.decide(made, answers) and (not f.is_open(made) or answers.is_known())

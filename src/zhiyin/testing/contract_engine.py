# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""What every engine must do. A new one is done when a subclass of `EngineContract` passes.

The expressions of all rooms are computed twice: by the engine over a lake, and by the DuckDB of a
`MemoryStore`, whose reads are plain Python. The rows must be the same, floats to 1e-9.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest

from zhiyin.audience import compile_many, parse
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.protocols import Store
from zhiyin.measure import outcomes, recommend
from zhiyin.profile import browsing, campaign, features, tags
from zhiyin.profile.facts import gather
from zhiyin.profile.visible import Days
from zhiyin.testing.engine_rows import BOUNDARY, CAMPAIGNS, DAY, EARLIER, ZONE, fill
from zhiyin.testing.store import MemoryStore
from zhiyin.understand.predict import labels
from zhiyin.understand.recommend.history import History, read_history
from zhiyin.understand.segment import rfm
from zhiyin.understand.value import summary

Both = tuple[Store, MemoryStore]
TOLERANCE = 1e-9
_HISTORY = ("customers", "products", "customer", "product", "age_days", "visit_age_days")
_SUMMARY = ("customer_ids", "frequency", "recency", "age", "monetary", "first_spend")
READ = (*features.TABLES, *browsing.TABLES, "offers", "campaigns", "merges")

RULES: dict[str, dict[str, Any]] = {
    "trait": {"type": "trait", "field": "city", "op": "in", "value": ["茶", "O'Neil's", "50% off"]},
    "tier": {"type": "trait", "field": "properties.tier", "op": "eq", "value": "gold"},
    "number": {"type": "trait", "field": "properties.n", "op": "ge", "value": 2.5},
    "unknown": {"type": "trait", "field": "language", "op": "missing"},
    "bought": {"type": "behaviour", "table": "order_lines", "op": "ge", "value": 2, "days": 90,
               "where": [{"column": "kind", "value": "item"}]},
    "spent": {"type": "behaviour", "table": "order_lines", "measure": "sum", "op": "gt",
              "column": "amount_base_minor", "value": 100_000, "days": 365, "before_days": 2},
    "variety": {"type": "behaviour", "table": "order_lines", "measure": "distinct", "op": "ge",
                "column": "product_id", "value": 8,
                "where": [{"column": "category", "op": "not_in", "value": ["tea", ""]}]},
    "gift": {"type": "behaviour", "table": "order_lines", "op": "ge", "value": 1, "days": 200,
             "where": [{"column": "properties.gift", "op": "eq", "value": True}]},
    "away": {"type": "recency", "table": "order_lines", "op": "more_than", "days": 30},
    "lately": {"type": "recency", "table": "events", "op": "at_most", "days": 7},
    "viewed": {"type": "sequence", "within_days": 7, "happens": False, "days": 60,
               "first": {"table": "events", "where": [{"column": "name", "value": "view"}]},
               "then": {"table": "order_lines"}},
    "met": {"type": "sequence", "within_days": 30,
            "first": {"table": "touches", "where": [{"column": "kind", "value": "sent"}]},
            "then": {"table": "order_lines", "where": [{"column": "quantity", "op": "gt",
                                                         "value": 0.5}]}},
    "either": {"type": "or", "rules": [
        {"type": "upload", "customers": ["p_00", "p_07"]},
        {"type": "not", "rule": {"type": "trait", "field": "language", "op": "exists"}},
    ]},
}  # fmt: skip


def boundary(day: date, *, back: int = 0) -> datetime:
    """00:00 of the day, or of one `back` days before, as naive UTC."""
    return naive_utc(start_of_day(day - timedelta(days=back), ZONE))


def assert_equal(made: ibis.Table, wanted: ibis.Table) -> None:
    """The same columns and types, and the same rows in any order, floats to `TOLERANCE`."""
    assert_alike(made.to_pyarrow(), wanted.to_pyarrow())


def assert_alike(made: pa.Table, wanted: pa.Table) -> None:
    """As `assert_equal`, of rows that are computed already."""
    assert made.schema.equals(wanted.schema)
    made, wanted = _sorted(made), _sorted(wanted)
    for field in wanted.schema:
        found, expected = made[field.name], wanted[field.name]
        if pa.types.is_floating(field.type):
            assert found.is_null().equals(expected.is_null()), field.name
            np.testing.assert_allclose(
                *(one.fill_null(0).to_numpy() for one in (found, expected)),
                rtol=TOLERANCE, atol=TOLERANCE, err_msg=field.name,
            )  # fmt: skip
        else:
            assert found.to_pylist() == expected.to_pylist(), field.name


def _sorted(rows: pa.Table) -> pa.Table:
    """In the order of all columns, those that are equal to the last digit first."""
    floats = [field.name for field in rows.schema if pa.types.is_floating(field.type)]
    exact = [name for name in rows.column_names if name not in floats]
    listed = rows.to_pylist()
    order = sorted(
        range(rows.num_rows),
        key=lambda place: (
            [repr(listed[place][name]) for name in exact],
            [(listed[place][name] is None, round(listed[place][name] or 0, 6)) for name in floats],
        ),
    )
    return rows.take(pa.array(order, pa.int64()))


def read_all(store: Store, day: date | None) -> dict[str, ibis.Table]:
    """Every table of the contract as a day sees it."""
    return {name: store.read(name, as_of=day) for name in READ}


def several_days(store: Store) -> tuple[pa.Table, pa.Table]:
    """Features of two days and of two campaigns, as the job computes them: parts are kept."""
    tables = read_all(store, DAY)
    days = Days((EARLIER, DAY), ZONE)
    shots = [(1, CAMPAIGNS[1]), (1, CAMPAIGNS[-1])]
    with ExitStack() as held:

        def keep(table: ibis.Table) -> ibis.Table:
            return held.enter_context(table.cache())

        facts = gather(tables, days, starts=store.to_ibis(days.rows()), keep=keep)
        built = campaign.build_campaigns(facts, tables, shots=shots, keep=keep).to_pyarrow()
        made = features.build_days(facts, people=features.everyone(facts))
        return made.to_pyarrow(), built


def measured(store: Store) -> tuple[ibis.Table, ...]:
    """What the room `measure` asks of the facts of a campaign."""
    names = ("order_lines", "touches", "offers")
    lines, touches, offers = (store.read(name) for name in names)
    then = [store.read(name, as_of=EARLIER) for name in names[:2]]
    aligned = outcomes.align_customers(lines, then, [lines, touches])
    window = outcomes.within(aligned, c.SOLD_AT, start=boundary(EARLIER), end=BOUNDARY)
    items = window.filter(window[c.KIND] == "item", window[c.PRODUCT_ID].notnull())
    before = outcomes.within(lines, c.SOLD_AT, start=boundary(EARLIER, back=200), end=BOUNDARY)
    hits = outcomes.find_redeemers(touches, CAMPAIGNS[1])
    spend = outcomes.sum_offer_spend(window, offers, CAMPAIGNS[1])
    revenue = outcomes.sum_revenue(window, include_shipping=False)
    chosen = outcomes.find_recipients(touches, CAMPAIGNS[1]).order_by(c.CUSTOMER_ID).to_pyarrow()
    places = np.arange(chosen.num_rows)
    scored = chosen.append_column(c.SCORE, pa.array(places % 7 / 7))
    scored = scored.append_column(c.EXPECTED_PROFIT_MINOR, pa.array(places * 1.5 - 9))
    scored = scored.append_column(c.ARM, pa.array(np.where(places % 2, "treat", "holdout")))
    people = store.to_ibis(scored)
    truth, new = recommend.true_items(before, items, min_buyers=2)
    return (
        outcomes.join_outcomes(people, hits, spend, people),
        outcomes.count_by_score(people, hits, digits=3),
        outcomes.sum_by_arm(people, revenue, outcomes.find_buyers(window)),
        recommend.count_relevant(truth),
        new,
    )


class EngineContract:
    """Tests of `core.protocols.Engine`.

    A subclass has a fixture `store` of module scope: an empty store in `engine_rows.ZONE` whose
    reads are run by the engine.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def both(cls, store: Store) -> Iterator[tuple[Store, MemoryStore]]:
        """The store and the reference, with the same rows; first what holds of empty ones."""
        reference = MemoryStore(zone=ZONE)
        for name in READ:
            assert_equal(store.read(name, as_of=DAY), reference.read(name, as_of=DAY))
        fill(store)
        fill(reference)
        yield store, reference
        reference.close()

    def test_rows_come_back_as_they_were(self, store: Store) -> None:
        rows = pa.table(
            {
                "text": ["知音", "café", "", "O'Neil's 50% \\ \"x\"\n", None],
                "whole": pa.array([1, -(2**62) - 1, None, 2**53 + 1, 0], pa.int64()),
                "small": pa.array([1, None, -128, 127, 0], pa.int8()),
                "share": [0.1, None, float("nan"), float("inf"), -0.0],
                "yes": [True, None, False, True, False],
                "on": [date(2024, 3, 10), None, date(1900, 1, 1), date(2099, 12, 31), DAY],
                "at": pa.array(
                    [datetime(2024, 3, 10, 2, 30, 0, 1), None, BOUNDARY, BOUNDARY, BOUNDARY],  # noqa: DTZ001 - the lake keeps naive UTC
                    pa.timestamp("us"),
                ),
                "raw": pa.array([b"\x00\xff", None, b"", b"a", b"b"], pa.binary()),
            }
        )
        table = store.to_ibis(rows)
        assert table.schema() == ibis.Schema.from_pyarrow(rows.schema)
        back = table.to_pyarrow()
        assert back.schema.equals(rows.schema)
        assert repr(back.to_pylist()) == repr(rows.to_pylist())
        empty = store.to_ibis(rows.slice(0, 0)).to_pyarrow()
        assert (empty.num_rows, empty.schema.equals(rows.schema)) == (0, True)

    @pytest.mark.parametrize("day", [None, DAY, EARLIER])
    def test_a_day_sees_the_same_rows(self, both: Both, day: date | None) -> None:
        for name, table in read_all(both[0], day).items():
            assert_equal(table, both[1].read(name, as_of=day))

    def test_features_and_tags_are_equal(self, both: Both) -> None:
        made, wanted = (
            features.build(read_all(one, DAY), as_of=DAY, zone=ZONE).to_pyarrow() for one in both
        )
        assert_alike(made, wanted)
        assert wanted.num_rows > 20
        assert_equal(*(tags.apply(one.to_ibis(wanted)) for one in both))

    def test_features_of_several_days_and_campaigns_at_once_are_equal(self, both: Both) -> None:
        made, wanted = (several_days(one) for one in both)
        for found, expected in zip(made, wanted, strict=True):
            assert_alike(found, expected)
            assert expected.num_rows > 20

    def test_hashes_tell_many_texts_apart(self, store: Store) -> None:
        """32 bits would give 100,000 texts some hash twice; features group by them (`hash_of`)."""
        rows = store.to_ibis(pa.table({"text": [f"p-{i}" for i in range(100_000)]}))
        found = rows.select(n=rows.text.hash()).agg(n=lambda t: t.n.nunique()).to_pyarrow()
        assert found["n"].to_pylist() == [100_000]

    def test_rfm_is_equal(self, both: Both) -> None:
        def named(store: Store) -> ibis.Table:
            lines = store.read("order_lines", as_of=DAY)
            orders = lines.select(
                c.CUSTOMER_ID, c.ORDER_ID, c.AMOUNT_BASE_MINOR, ordered_at=lines[c.SOLD_AT]
            )
            return rfm.name_segments(rfm.score_rfm(orders, as_of=DAY, zone=ZONE))

        assert_equal(*map(named, both))

    def test_labels_are_equal(self, both: Both) -> None:
        def labelled(store: Store) -> tuple[ibis.Table, ibis.Table]:
            tables = read_all(store, DAY)
            known = tables["campaigns"].to_pyarrow()
            windows = labels.campaign_windows(known, as_of=DAY, zone=ZONE)
            past = labels.purchase_windows([EARLIER], horizon_days=60, as_of=DAY, zone=ZONE)
            return (
                labels.response_labels(tables, store.to_ibis(windows)),
                labels.purchase_labels(tables["order_lines"], store.to_ibis(past)),
            )

        for made, wanted in zip(*map(labelled, both), strict=True):
            assert_equal(made, wanted)

    def test_audiences_are_equal(self, both: Both) -> None:
        compiled = compile_many({name: parse(rule) for name, rule in RULES.items()})
        made, wanted = (
            compiled.flags(read_all(one, DAY), as_of=DAY, zone=ZONE).to_pyarrow() for one in both
        )
        assert_alike(made, wanted)
        sizes = {name: sum(wanted[name].to_pylist()) for name in RULES}
        assert all(0 < size < wanted.num_rows for size in sizes.values()), sizes

    def test_what_recommendations_and_value_read_is_equal(self, both: Both) -> None:
        def histories(store: Store) -> History:
            return read_history(store.read("order_lines", as_of=DAY), until=BOUNDARY, min_buyers=2)

        def bought(store: Store) -> summary.Summary:
            lines = store.read("order_lines", as_of=DAY)
            return summary.summarise(lines, DAY, zone=ZONE, ordered=c.SOLD_AT)

        for names, read in ((_HISTORY, histories), (_SUMMARY, bought)):
            made, wanted = (read(one) for one in both)
            for name in names:
                np.testing.assert_array_equal(getattr(made, name), getattr(wanted, name), name)
            assert len(wanted.customers if isinstance(wanted, History) else wanted.age) > 15

    def test_what_is_measured_is_equal(self, both: Both) -> None:
        for made, wanted in zip(*map(measured, both), strict=True):
            assert_equal(made, wanted)

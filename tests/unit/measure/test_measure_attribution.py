"""Chains and coalitions solved by hand or by listing, and paths made from tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure import attribution
from zhiyin.measure.attribution import NONE, attribute, make_paths, markov, shapley
from zhiyin.testing.store import MemoryStore

START = datetime(2024, 3, 1)
END = START + timedelta(days=90)
MIXED = [("a", 1, 9), ("a > b", 1, 3), ("b > c > a", 2, 2), ([], 3, 5)]


class TestMarkov:
    def test_two_channels_by_hand(self):
        """From a: 3 to b, 2 to a, 3 convert; without b a path converts with 3 / (3 + 3)."""
        found = markov([("A > B > A > B > B > A", 1), ("A > B > B > A > A", 1), ("A > A", 1)])
        assert found.removal == pytest.approx([1, 0.5], abs=1e-12)
        assert found.credit == pytest.approx([2, 1], abs=1e-12)
        # pychattr's README has 1.991106 and 1.008894 for these paths, by random walks
        assert found.credit == pytest.approx([1.991106, 1.008894], rel=0.01)

    def test_three_channels_by_hand(self):
        """Start: 14 of 18 to a, 4 to b; a: 4 of 18 to b, 3 convert; b: 4 of 8 to c, 1 converts."""
        found = markov(MIXED)
        from_a = (3 / 18 + 4 / 18 * 1 / 8) / (1 - 4 / 18 * 1 / 2)  # c always goes on to a
        whole = 14 / 18 * from_a + 4 / 18 * (1 / 8 + from_a / 2)
        lost = [1 - 4 / 18 / 8 / whole, 1 - 14 / 18 * 3 / 18 / whole]
        without_c = 14 / 18 * (3 / 18 + 4 / 18 / 8) + 4 / 18 / 8
        removal = [*lost, 1 - without_c / whole]
        assert whole == pytest.approx(4 / 18)
        assert found.removal[:3] == pytest.approx(removal, abs=1e-12)
        assert found.credit[:3] == pytest.approx(np.array(removal) / sum(removal) * 4, abs=1e-12)
        assert found.as_dict()[NONE] == 3

    def test_a_longer_memory_by_hand(self):
        """Order 2: a path is told by its last two touches; b is lost where it was the last."""
        found = markov([("a > b", 1, 0), ("b > a", 0, 1), ("a", 1, 2)], order=2)
        # start: a 4/5, b 1/5; after a alone: 1/4 to (a, b), which converts, 1/4 converts
        assert found.removal == pytest.approx([1, 1 / 2], abs=1e-12)

    def test_orders_agree_with_solving_each_chain_apart(self):
        rng = np.random.default_rng(0)
        rows = [
            ([f"c{k}" for k in rng.integers(6, size=rng.integers(1, 6))], rng.integers(3), 1)
            for _ in range(60)
        ]
        paths = make_paths(rows)
        for order in (1, 2, 3):
            found = markov(paths, order=order)
            whole, without = solve(rows, order)
            assert found.removal == pytest.approx(
                [1 - without[name] / whole for name in paths.channels], abs=1e-9
            )
            assert found.credit.sum() == pytest.approx(paths.total, abs=1e-9)

    def test_a_rare_channel_is_not_lost(self):
        found = markov([("search", 100_000, 900_000), ("leaflet > search", 1, 0), ("fax", 0, 1)])
        assert 0 < found.as_dict()["leaflet"] < 1
        assert found.as_dict()["fax"] == 0

    def test_nobody_converted(self):
        found = markov([("a > b", 0, 4)])
        assert (found.status, found.credit.tolist()) == ("no_positives", [0, 0])
        assert found.share.tolist() == [0, 0]
        assert markov([]).channels == ()

    @pytest.mark.parametrize("order", [0, 7, 1.5])
    def test_an_order_out_of_range_is_refused(self, order):
        with pytest.raises(InvalidParameter):
            markov(MIXED, order=order)


def solve(rows, order):
    """The chain with states as tuples, solved densely with and without each channel."""
    flow, ends = {}, {}
    for channels, won, lost in rows:
        state = ()
        for k in range(len(channels)):
            new = tuple(channels[max(0, k + 1 - order) : k + 1])
            flow[state, new] = flow.get((state, new), 0) + won + lost
            state = new
        was = ends.get(state, (0, 0))
        ends[state] = (was[0] + won, was[1] + lost)
    states = [(), *sorted({new for _, new in flow})]
    place = {state: k for k, state in enumerate(states)}

    def chance(removed):
        matrix, right = np.eye(len(states)), np.zeros(len(states))
        for state in states:
            out = sum(n for (old, _), n in flow.items() if old == state)
            out += sum(ends.get(state, (0, 0)))
            if state and state[-1] == removed:
                continue
            for (old, new), n in flow.items():
                if old == state:
                    matrix[place[state], place[new]] -= n / out
            right[place[state]] = ends.get(state, (0, 0))[0] / out
        return np.linalg.solve(matrix, right)[0]

    names = {name for channels, _, _ in rows for name in channels}
    return chance(None), {name: chance(name) for name in names}


class TestShapley:
    def test_each_conversion_is_split_among_its_channels(self):
        found = shapley(MIXED)
        assert found.credit == pytest.approx([1 + 1 / 2 + 2 / 3, 1 / 2 + 2 / 3, 2 / 3, 3])

    @pytest.mark.parametrize("worth", ["reach", "rate"])
    def test_it_is_the_mean_over_all_orders(self, worth):
        rows = [*MIXED[:3], ("c", 1, 4), ("d > b", 0, 2), ("d > a > d", 2, 1)]

        def value(group):
            inside = [row for row in rows if {*row[0].split(" > ")} <= group]
            won = sum(row[1] for row in inside)
            return won if worth == "reach" else won / max(sum(r[1] + r[2] for r in inside), 1)

        orders = list(permutations("abcd"))
        mean = dict.fromkeys("abcd", 0.0)
        for order in orders:
            for k, name in enumerate(order):
                mean[name] += (value({*order[: k + 1]}) - value({*order[:k]})) / len(orders)
        total, scale = sum(row[1] for row in rows), sum(mean.values())
        found = shapley(rows, worth=worth)
        assert found.credit == pytest.approx([m * total / scale for m in mean.values()], abs=1e-9)

    def test_drawn_orders_come_near_and_share_out_all(self):
        exact = shapley(MIXED, worth="rate")
        drawn = shapley(MIXED, worth="rate", method="sampled", draws=2_000)
        assert drawn.credit.sum() == pytest.approx(exact.total, abs=1e-9)
        assert np.all(np.abs(drawn.credit - exact.credit) <= 4 * drawn.error + 1e-12)

    def test_many_channels_are_drawn(self):
        rng = np.random.default_rng(1)
        rows = [([f"c{k}" for k in rng.integers(40, size=4)], 1, 2) for _ in range(200)]
        found = shapley(rows, worth="rate", draws=50)
        assert found.error is not None
        assert found.credit.sum() == pytest.approx(200, abs=1e-9)
        with pytest.raises(InvalidParameter, match="sampled"):
            shapley(rows, worth="rate", method="exact")

    def test_nobody_converted(self):
        assert shapley([("a", 0, 2)], worth="rate").status == "no_positives"


class TestRules:
    PATH = (("a", "b", "a", "c"), 8)

    @pytest.mark.parametrize(
        ("rule", "credit"),
        [
            ("first", [8, 0, 0]),
            ("last", [0, 0, 8]),
            ("linear", [4, 2, 2]),
            ("position", [4, 0.8, 3.2]),
        ],
    )
    def test_one_path(self, rule, credit):
        assert attribute([self.PATH], rule).credit == pytest.approx(credit)

    def test_short_paths_by_position(self):
        found = attribute([("a", 1), ("b > c", 1)], "position")
        assert found.credit == pytest.approx([1, 0.5, 0.5])

    def test_time_halves(self):
        paths = make_paths([(["a", "b"], 3)], ages=[[7, 0]])
        assert attribute(paths, "time_decay").credit == pytest.approx([1, 2])
        old = make_paths([(["a", "b"], 3)], ages=[[70_007, 70_000]])  # 2 ** -10,000 is nothing
        assert attribute(old, "time_decay").credit == pytest.approx([1, 2])

    @pytest.mark.parametrize(
        ("rule", "more"),
        [
            ("time_decay", {}),
            ("best", {}),
            ("position", {"ends": (0.7, 0.7)}),
        ],
    )
    def test_what_cannot_be_done_is_said(self, rule, more):
        with pytest.raises(InvalidParameter):
            attribute([self.PATH], rule, **more)

    @pytest.mark.parametrize(
        "row", ["a > b", ("a",), ("a", -1), ("a", float("nan")), ([""], 1), ([NONE], 1), (5, 1)]
    )
    def test_a_path_that_is_none_is_refused(self, row):
        with pytest.raises(InvalidParameter):
            make_paths([row])

    def test_ages_that_do_not_fit_are_refused(self):
        for ages in ([[1]], [[1, -1]]):
            with pytest.raises(InvalidParameter):
                make_paths([(["a", "b"], 1)], ages=ages)


class Tables:
    """Touches (customer, day, kind, channel) and orders (customer, id, day) as the engine's."""

    def __init__(self, touches, orders) -> None:
        self.store = store = MemoryStore()  # its tables live as long as it does
        at = pa.timestamp("us")
        self.touches = store.to_ibis(pa.table({
            "customer_id": pa.array([t[0] for t in touches], pa.string()),
            "occurred_at": pa.array([START + timedelta(days=t[1]) for t in touches], at),
            "kind": pa.array([t[2] for t in touches], pa.string()),
            "channel": pa.array([t[3] for t in touches], pa.string()),
        }))  # fmt: skip
        self.orders = store.to_ibis(pa.table({
            "customer_id": pa.array([o[0] for o in orders], pa.string()),
            "order_id": pa.array([o[1] for o in orders], pa.string()),
            "ordered_at": pa.array([START + timedelta(days=o[2]) for o in orders], at),
        }))  # fmt: skip

    def paths(self, **more) -> dict[tuple[str, ...], tuple[int, int, int]]:
        given = {"measured_until": END, **more}
        found = attribution.sum_paths(self.touches, self.orders, **given).to_pyarrow().to_pylist()
        return {
            tuple(row["path"] or ()): (row["conversions"], row["nulls"], row["open"])
            for row in found
        }


class TestTables:
    def test_a_touch_belongs_to_the_next_order(self):
        made = Tables(
            [("p", 1, "click", "mail"), ("p", 3, "click", "search"), ("p", 9, "click", "mail"),
             ("q", 2, "click", "search")],
            [("p", "1", 3), ("p", "2", 10)],
        )  # fmt: skip
        assert made.paths() == {
            ("mail", "search"): (1, 0, 0), ("mail",): (1, 0, 0), ("search",): (0, 1, 0),
        }  # fmt: skip

    def test_a_view_counts_for_a_day_and_a_click_for_a_month(self):
        made = Tables(
            [("p", 0, "impression", "video"), ("p", 0.5, "click", "search"),
             ("p", 1.9, "impression", "banner"), ("p", 2, "open", "mail"),
             ("q", 0, "click", "search")],
            [("p", "1", 2.5), ("q", "2", 31)],
        )  # fmt: skip
        assert made.paths() == {
            ("search", "banner"): (1, 0, 0), ("video",): (0, 1, 0), ("search",): (0, 1, 0),
            (): (1, 0, 0),
        }  # fmt: skip
        assert ("mail",) in Tables([("p", 2, "open", "mail")], []).paths(windows={"open": 7})

    def test_repeats_are_one_touch_and_a_view_that_was_clicked_is_the_click(self):
        minute = 1 / 1440
        clicks = [("p", k * minute, "click", "video") for k in (1, 2, 90)]
        touches = [("p", 0, "impression", "video"), *clicks]
        made = Tables(touches, [("p", "1", 20)])
        assert made.paths() == {("video", "video"): (1, 0, 0)}
        assert made.paths(gap_minutes=0) == {("video",) * 3: (1, 0, 0), ("video",): (0, 1, 0)}

    def test_what_may_still_convert_is_neither_won_nor_lost(self):
        made = Tables(
            [("p", 89, "click", "a"), ("q", 20, "click", "a"), ("r", 95, "click", "a")], []
        )
        assert made.paths() == {("a",): (0, 1, 1)}

    def test_an_order_counts_once_and_later_ones_do_not(self):
        made = Tables([], [("p", "1", 1), ("p", "1", 2), ("p", "2", 95)])
        assert made.paths() == {(): (1, 0, 0)}
        assert made.paths(measured_until=END.replace(tzinfo=UTC)) == {(): (1, 0, 0)}

    def test_they_read_as_paths(self):
        made = Tables(
            [("p", 1, "click", "b"), ("p", 2, "click", "a")], [("p", "1", 3), ("q", "2", 1)]
        )
        expression = attribution.sum_paths(made.touches, made.orders, measured_until=END)
        paths = attribution.read_paths(expression.to_pyarrow())
        assert paths.channels == ("a", "b")
        assert attribute(paths, "first").as_dict() == {"a": 0, "b": 1, NONE: 1}

    def test_nothing_reads_as_no_paths(self):
        made = Tables([], [])
        expression = attribution.sum_paths(made.touches, made.orders, measured_until=END)
        assert markov(attribution.read_paths(expression.to_pyarrow())).status == "no_positives"

    def test_time_decay_by_the_engine_is_that_of_paths(self):
        made = Tables(
            [("p", 1, "click", "a"), ("p", 8, "click", "b"), ("p", 9, "click", "a")],
            [("p", "1", 10), ("q", "2", 1)],
        )
        found = attribution.sum_time_decay(made.touches, made.orders, measured_until=END)
        credit = dict(zip(*found.to_pyarrow().to_pydict().values(), strict=True))
        paths = make_paths([(["a", "b", "a"], 1), ([], 1)], ages=[[9, 2, 1], []])
        assert credit == pytest.approx(attribute(paths, "time_decay").as_dict(), abs=1e-12)

    def test_delays_are_counted_from_the_first_touch(self):
        made = Tables(
            [("p", 1, "click", "a"), ("p", 8, "click", "b"), ("q", 3, "click", "a")],
            [("p", "1", 10), ("q", "2", 3.9), ("r", "3", 1)],
        )
        found = attribution.sum_delays(made.touches, made.orders, measured_until=END)
        assert found.to_pyarrow().to_pylist() == [
            {"days": 0, "conversions": 1}, {"days": 9, "conversions": 1},
        ]  # fmt: skip

    @pytest.mark.parametrize("more", [{"windows": {}}, {"windows": {"a": 0}}, {"gap_minutes": -1}])
    def test_windows_out_of_range_are_refused(self, more):
        with pytest.raises(InvalidParameter):
            Tables([], []).paths(**more)

    @pytest.mark.parametrize(
        "table",
        [
            pa.table({"path": [["a"]], "conversions": [1]}),
            pa.table({"path": [["a", None]], "conversions": [1], "nulls": [0]}),
        ],
    )
    def test_rows_that_are_no_paths_are_refused(self, table):
        with pytest.raises(InvalidParameter):
            attribution.read_paths(table)


class TestBeside:
    def test_attributed_stands_beside_caused(self):
        given = markov([("mail", 60, 40), ("search", 30, 70), ("tv", 10, 90), ([], 5)])
        rows = attribution.lay_beside(given, {
            "mail": Estimate(20, 10, 30, 1_000),
            "search": Estimate(25, 5, 45, 1_000),
            "leaflet": Estimate(8, 2, 14, 1_000),
            "tv": Estimate(9, 8, 10, 100, "sample_ratio_mismatch"),
        })  # fmt: skip
        assert [(row.channel, row.says) for row in rows] == [
            ("mail", "too_much"), ("search", "agrees"), ("tv", "not_measured"),
            ("leaflet", "too_little"), (NONE, "not_measured"),
        ]  # fmt: skip
        assert rows[0].times == pytest.approx(3)
        assert sum(row.attributed for row in rows) == pytest.approx(105)
        assert all(attribution.beside.WORDS[row.says] for row in rows)

    def test_what_reached_nobody_was_not_measured(self):
        with pytest.raises(InvalidParameter):
            attribution.lay_beside(markov(MIXED), {NONE: Estimate(1, 0, 2, 10)})

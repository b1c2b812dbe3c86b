"""Charts: axes span the data, bars have the right size, labels do not collide."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.report.charts import (
    Bar,
    Line,
    Mark,
    Point,
    Row,
    Stack,
    column_chart,
    line_chart,
    point_chart,
    row_chart,
    strip_chart,
)
from zhiyin.measure.report.scales import NARROW, WIDE, Axis, make_ticks, measure_text, shorten
from zhiyin.measure.report.scales import wrap_text as wrap

AXIS = Axis("x", lambda v: f"{v:g}")
FINITE = st.floats(-1e9, 1e9, allow_nan=False)
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own drawing


@given(FINITE, FINITE)
def test_ticks_span_the_values_and_are_few(a, b):
    low, high = min(a, b), max(a, b)
    ticks = make_ticks(low, high)
    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= 12
    assert list(ticks) == sorted(set(ticks))


def test_axis_without_end_is_refused():
    with pytest.raises(InvalidParameter):
        make_ticks(0, math.inf)


@SIZES
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_any_line_stays_inside_the_drawing(size, values):
    svg = line_chart([Line("a", range(len(values)), values)], size, title="t", x=AXIS, y=AXIS)
    path = parse(svg).find(".//path")
    assert path is not None
    points = re.findall(r"[ML]([\d.e+-]+) ([\d.e+-]+)", path.attrib["d"])
    assert len(points) == len(values)
    assert all(0 <= float(x) <= size.width and 0 <= float(y) <= size.height for x, y in points)


@SIZES
def test_columns_are_as_high_as_their_values(size):
    svg = column_chart(["a", "b"], [Stack("s", [10.0, 5.0])], size, title="t", y=AXIS)
    heights = [float(r.attrib["height"]) for r in parse(svg).iter("rect")]
    assert heights[0] == pytest.approx(2 * heights[1], rel=0.02)


def test_negative_layers_hang_below_zero():
    svg = column_chart(["a"], [Stack("up", [10.0]), Stack("down", [-4.0])], WIDE, title="t", y=AXIS)
    up, down = parse(svg).iter("rect")
    bottom = float(up.attrib["y"]) + float(up.attrib["height"])
    assert float(down.attrib["y"]) == pytest.approx(bottom, abs=0.2)


def test_month_labels_are_thinned_where_they_would_touch():
    labels = [f"2017-{i:02}" for i in range(1, 37)]
    svg = column_chart(labels, [Stack("s", [1.0] * 36)], NARROW, title="t", y=AXIS)
    shown = [t for t in parse(svg).iter("text") if (t.text or "").startswith("2017-")]
    places = [float(t.attrib["x"]) for t in shown]
    gaps = [b - a for a, b in pairwise(places)]
    assert min(gaps) >= measure_text("2017-01", NARROW.type)


@SIZES
def test_rows_grow_with_their_number(size):
    def height(n: int) -> float:
        rows = [Row("label", (Bar(1.0, words="1"),))] * n
        return float(parse(row_chart(rows, size, title="t", tell=str)).attrib["height"])

    assert height(8) == pytest.approx(2 * height(4), rel=0.1)


def test_bars_of_nothing_are_drawn_without_dividing_by_it():
    assert (
        parse(row_chart([Row("a", (Bar(0.0, words="0"),))], WIDE, title="t", tell=str)) is not None
    )
    assert parse(strip_chart([("a", 0.0, 1)], WIDE, title="t", tell=str)) is not None


def test_labels_of_points_do_not_cover_each_other():
    points = [Point(i * 0.01, 1.0, radius=20, label=f"segment {i}") for i in range(6)]
    svg = parse(point_chart(points, WIDE, title="t", x=AXIS, y=AXIS))
    boxes = []
    for text in svg.iter("text"):
        if (text.text or "").startswith("segment"):
            width, x = measure_text(text.text or "", WIDE.type), float(text.attrib["x"])
            left = {"start": x, "middle": x - width / 2, "end": x - width}
            boxes.append((left[text.attrib["text-anchor"]], float(text.attrib["y"]), width))
    for i, (x, y, width) in enumerate(boxes):
        for x2, y2, width2 in boxes[i + 1 :]:
            assert x + width <= x2 or x2 + width2 <= x or abs(y - y2) >= WIDE.type * 0.8


def test_text_is_escaped():
    svg = line_chart(
        [Line("<b>", (0, 1), (0, 1))], WIDE, title='<&">', x=AXIS, y=AXIS, marks=[Mark(1, 1, "<i>")]
    )
    assert "<b>" not in svg
    assert "<i>" not in svg
    assert parse(svg) is not None


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60), st.floats(20, 300))
def test_wrapped_labels_fit(text, width):
    for line in wrap(text, width=width, size=13):
        assert measure_text(line, 13) <= width or line == "…"


def test_shortening_keeps_what_fits():
    assert shorten("short", width=100, size=13) == "short"
    assert shorten("a very long label indeed", width=60, size=13).endswith("…")

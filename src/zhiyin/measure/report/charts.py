"""SVG charts as pure functions: lines, columns, rows of bars, and points.

Each gives one `<svg>` as text for a `Size`. Colours are classes (`t1` … `t5`) that the style sheet
fills in for light, dark and print. Everything that is pointed at has a hint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from zhiyin.measure.report.scales import (
    WIDE,
    Axis,
    Plane,
    Size,
    Tell,
    choose_ticks,
    draw_axes,
    draw_dot,
    draw_line,
    draw_rect,
    draw_text,
    fit_plane,
    measure_text,
    shorten,
    wrap_svg,
    wrap_text,
)

DOT = 6
"""Points up to this radius are dots, larger ones are bubbles."""


@dataclass(frozen=True)
class Line:
    """A line through points with rising x."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    tone: int = 1
    dashed: bool = False


@dataclass(frozen=True)
class Mark:
    """A point on a line, with the words beside it."""

    x: float
    y: float
    words: str
    tone: int = 1


@dataclass(frozen=True)
class Stack:
    """One layer of stacked columns: a value per column."""

    name: str
    values: Sequence[float]
    tone: int = 1


@dataclass(frozen=True)
class Bar:
    """A horizontal bar from `start` to `start + value`; `low`, `high` draw its interval."""

    value: float
    tone: int = 1
    words: str = ""
    start: float = 0.0
    low: float | None = None
    high: float | None = None
    hint: str = ""


@dataclass(frozen=True)
class Row:
    """A labelled row of one or more bars."""

    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Point:
    """A point or bubble; `low`, `high` bound y."""

    x: float
    y: float
    tone: int = 1
    radius: float = 5
    label: str = ""
    hint: str = ""
    low: float | None = None
    high: float | None = None


def line_chart(
    lines: Sequence[Line],
    size: Size,
    *,
    title: str,
    x: Axis,
    y: Axis,
    marks: Sequence[Mark] = (),
    kind: str = "",
) -> str:
    """Lines over a common x; `marks` are drawn on top with a rule down to the x axis."""
    xs = [v for line in lines for v in line.x]
    ys = [v for line in lines for v in line.y]
    plane = fit_plane(size, x, y, xs=xs, ys=ys)
    out = draw_axes(plane, x, y, size=size)
    for mark in marks:
        at = plane.px(mark.x)
        out.append(draw_line(at, plane.py(mark.y), at, plane.bottom, "rule"))
    for line in reversed(lines):
        path = " ".join(
            f"{'M' if i == 0 else 'L'}{plane.px(a):g} {plane.py(b):g}"
            for i, (a, b) in enumerate(zip(line.x, line.y, strict=True))
        )
        dashed = " dashed" if line.dashed else ""
        out.append(f'<path d="{path}" class="line t{line.tone}{dashed}"/>')
    for line in lines:
        out += _line_hints(line, plane, x.tell, y.tell)
    for mark in marks:
        out += _draw_mark(mark, plane, size)
    return wrap_svg(out, size=size, title=title, kind=kind)


def _line_hints(line: Line, plane: Plane, tell_x: Tell, tell_y: Tell) -> list[str]:
    """Invisible points to hover over, at most eleven a line."""
    step = max(1, (len(line.x) - 1) // 10)
    return [
        draw_dot(
            plane.px(line.x[i]), plane.py(line.y[i]), 9, "hit",
            f"{line.name}: {tell_x(line.x[i])} → {tell_y(line.y[i])}",
        )
        for i in range(0, len(line.x), step)
    ]  # fmt: skip


def _draw_mark(mark: Mark, plane: Plane, size: Size) -> list[str]:
    at_x, at_y = plane.px(mark.x), plane.py(mark.y)
    width = measure_text(mark.words, size.type)
    left = at_x - 11 - width >= plane.left
    anchor, words_x = ("end", at_x - 11) if left else ("start", at_x + 11)
    words_y = at_y - 8 if left else min(at_y + size.type * 1.35, plane.bottom - 8)
    words_y = max(words_y, plane.top + size.type * 0.4)
    return [
        draw_dot(at_x, at_y, 5, f"dot t{mark.tone}", mark.words),
        draw_text(words_x, words_y, mark.words, anchor=anchor, kind="note halo"),
    ]


def column_chart(
    labels: Sequence[str],
    stacks: Sequence[Stack],
    size: Size,
    *,
    title: str,
    y: Axis,
    x_label: str = "",
    faded: frozenset[int] = frozenset(),
    above: Sequence[str] = (),
    reference: tuple[float, str] | None = None,
    kind: str = "",
) -> str:
    """Stacked columns; `faded` are incomplete ones, `above` stands on each, `reference` is a line.

    Labels that would touch are thinned out. Negative layers hang below zero.
    """
    tops = [sum(max(0.0, s.values[i]) for s in stacks) for i in range(len(labels))]
    dips = [sum(min(0.0, s.values[i]) for s in stacks) for i in range(len(labels))]
    x = Axis(x_label, str, 0, 1)
    seen = [0.0, *tops, *dips, *([reference[0]] if reference else [])]
    plane = fit_plane(size, x, y, xs=(0, 1), ys=seen, pad_right=10)
    out = draw_axes(plane, x, y, size=size, x_labels=False)
    band = (plane.right - plane.left) / max(1, len(labels))
    width = min(band * 0.72, 64)
    widest = max((measure_text(label, size.type) for label in labels), default=0) + 6
    every = max(1, math.ceil(widest / band))
    for i, label in enumerate(labels):
        middle = plane.left + band * (i + 0.5)
        out += _draw_column(label, i, stacks, plane, y.tell, middle, width, faded=i in faded)
        if i % every == 0:
            below = plane.bottom + size.type * 1.5
            out.append(draw_text(middle, below, label, anchor="middle", kind="tk"))
        if above and measure_text(above[i], size.type) <= band + 2:
            at = plane.py(tops[i]) - 6
            out.append(draw_text(middle, at, above[i], anchor="middle", kind="val halo"))
    if reference:
        at = plane.py(reference[0])
        out.append(draw_line(plane.left, at, plane.right, at, "ref"))
        out.append(draw_text(plane.right, at - 6, reference[1], anchor="end", kind="note halo"))
    return wrap_svg(out, size=size, title=title, kind=kind)


def _draw_column(
    label: str,
    index: int,
    stacks: Sequence[Stack],
    plane: Plane,
    tell: Tell,
    middle: float,
    width: float,
    *,
    faded: bool,
) -> list[str]:
    out: list[str] = []
    up = down = 0.0
    for stack in stacks:
        value = stack.values[index]
        start = up if value >= 0 else down
        if value >= 0:
            up += value
        else:
            down += value
        top, bottom = plane.py(max(start, start + value)), plane.py(min(start, start + value))
        hint = f"{label} · {stack.name}: {tell(value)}"
        kind = f"bar t{stack.tone}" + (" faded" if faded else "")
        out.append(draw_rect(middle - width / 2, top, width, bottom - top, kind, hint))
    return out


def row_chart(
    rows: Sequence[Row], size: Size, *, title: str, tell: Tell, kind: str = "", high: float = 0
) -> str:
    """Rows of horizontal bars, labelled at the left (above the bars on a narrow page).

    The value's words stand at the end of each bar. Bars may start off zero (a waterfall) or be
    negative. The height follows from the rows, not from `size`.
    """
    narrow = size.width < 500
    bars = [bar for row in rows for bar in row.bars]
    ends = [0.0, high, *(b.start for b in bars), *(b.start + b.value for b in bars)]
    ends += [v for b in bars for v in (b.low, b.high) if v is not None]
    low, top = min(ends), max(ends)
    if low == top:
        top = low + 1.0
    words = max((measure_text(b.words, size.type) for b in bars), default=0) + 14
    widest = max((measure_text(row.label, size.type) for row in rows), default=0) + 14
    left = 0.0 if narrow else min(widest, size.width * 0.36)
    left_pad = words if low < 0 else 0.0
    scale = Plane((low, top), (0, 1), left + left_pad, size.width - words, 0, 1)
    thick = 19.0 if max((len(row.bars) for row in rows), default=1) == 1 else 13.0
    y = 4.0
    out: list[str] = []
    for row in rows:
        height = len(row.bars) * (thick + 3)
        if narrow:
            text = shorten(row.label, width=size.width, size=size.type)
            out.append(draw_text(0, y + size.type, text, kind="rowlab halo"))
            y += size.type * 1.5
        else:
            out += _draw_label(row.label, left - 12, y + height / 2, size)
        for bar in row.bars:
            out += _draw_bar(bar, y, thick, scale, size, row.label)
            y += thick + 3
        y += 11 if len(row.bars) == 1 else 13
    if low < 0:
        out.insert(0, draw_line(scale.px(0), 0, scale.px(0), y, "zero"))
    tall = Size(size.width, math.ceil(y), size.type)
    return wrap_svg(out, size=tall, title=title, kind=kind)


def _draw_label(label: str, right: float, middle: float, size: Size) -> list[str]:
    """A label in one line or two, flush right at `right`, around the height `middle`."""
    lines = wrap_text(label, width=right, size=size.type)
    first = middle + size.type * 0.34 - (len(lines) - 1) * size.type * 0.58
    return [
        draw_text(right, first + i * size.type * 1.16, line, anchor="end", kind="rowlab halo")
        for i, line in enumerate(lines)
    ]


def _draw_bar(bar: Bar, y: float, thick: float, scale: Plane, size: Size, label: str) -> list[str]:
    left, right = sorted((scale.px(bar.start), scale.px(bar.start + bar.value)))
    hint = bar.hint or f"{label}: {bar.words}"
    out = [draw_rect(left, y, max(1.5, right - left), thick, f"bar t{bar.tone}", hint)]
    edge = right
    if bar.low is not None and bar.high is not None:
        middle = y + thick / 2
        a, b = scale.px(bar.low), scale.px(bar.high)
        out.append(draw_line(a, middle, b, middle, "whisker"))
        out += [draw_line(at, middle - 3, at, middle + 3, "whisker") for at in (a, b)]
        edge = max(right, b)
    at_y = y + thick / 2 + size.type * 0.34
    negative = bar.value < 0 and bar.start == 0
    at_x, anchor = (left - 7, "end") if negative else (edge + 7, "start")
    out.append(draw_text(at_x, at_y, bar.words, anchor=anchor, kind="val"))
    return out


def strip_chart(
    parts: Sequence[tuple[str, float, int]], size: Size, *, title: str, tell: Tell, kind: str = ""
) -> str:
    """One stacked bar of (name, value, tone); parts too thin for their value leave it out."""
    total = sum(value for _, value, _ in parts) or 1.0
    at, out = 0.0, []
    for name, value, tone in parts:
        width = value / total * size.width
        words = tell(value)
        out.append(draw_rect(at, 0, max(1.0, width - 2), 40, f"bar t{tone}", f"{name}: {words}"))
        at += width
    return wrap_svg(out, size=Size(size.width, 40, size.type), title=title, kind=kind)


def point_chart(
    points: Sequence[Point],
    size: Size,
    *,
    title: str,
    x: Axis,
    y: Axis,
    diagonal: str = "",
    kind: str = "",
) -> str:
    """Points with intervals and labels that avoid each other; `diagonal` names the line y = x."""
    ys = [v for p in points for v in (p.y, p.low, p.high) if v is not None]
    xs = [p.x for p in points]
    shrink = min(1.0, size.width / WIDE.width + 0.15)
    points = [replace(p, radius=max(DOT + 0.5, p.radius * shrink)) if p.radius > DOT else p
              for p in points]  # fmt: skip
    bubbles = [p for p in points if p.radius > DOT]
    if bubbles:  # room for their size beyond the outermost
        ys.append(max(ys) * 1.12)
        xs.append(max(xs) * 1.06)
    if diagonal:
        ticks = choose_ticks(Axis("", str, 0), [*xs, *ys])
        x, y = (Axis(a.label, a.tell, 0, ticks[-1]) for a in (x, y))
    plane = fit_plane(size, x, y, xs=xs, ys=ys, pad_right=24)
    out = draw_axes(plane, x, y, size=size)
    if diagonal:
        end = min(plane.x[1], plane.y[1])
        out.append(draw_line(plane.px(0), plane.py(0), plane.px(end), plane.py(end), "ref"))
        at_x, at_y = plane.px(end * 0.97), plane.py(end * 0.97)
        out.append(draw_text(at_x - 12, at_y, diagonal, anchor="end", kind="note halo"))
    for p in sorted(points, key=lambda p: (-p.radius, p.x, p.y)):
        at = plane.px(p.x)
        if p.low is not None and p.high is not None:
            out.append(draw_line(at, plane.py(p.low), at, plane.py(p.high), "whisker"))
        kind_of = f"dot t{p.tone}" if p.radius <= DOT else f"bubble t{p.tone}"
        out.append(draw_dot(at, plane.py(p.y), p.radius, kind_of, p.hint))
    out += _place_labels(points, plane, size)
    return wrap_svg(out, size=size, title=title, kind=kind)


def _place_labels(points: Sequence[Point], plane: Plane, size: Size) -> list[str]:
    """Each label at the first of four places that is free; on a wide page, if need be, over
    another's bubble. A label that would cover another label is left to hover.
    """
    bubbles = [
        (plane.px(p.x) - p.radius, plane.py(p.y) - p.radius,
         plane.px(p.x) + p.radius, plane.py(p.y) + p.radius)
        for p in points
    ]  # fmt: skip
    labels: list[tuple[float, ...]] = []
    out: list[str] = []
    for p in sorted(points, key=lambda p: (-p.radius, p.x, p.y)):
        places = _label_places(p, plane, size) if p.label else []
        tries = ([*bubbles, *labels], labels) if size == WIDE else ([*bubbles, *labels],)
        for avoided in tries:
            free = [x for x in places if not any(_touch(x[0], box) for box in avoided)]
            if free:
                box, at_x, at_y, anchor = free[0]
                labels.append(box)
                out.append(draw_text(at_x, at_y, p.label, anchor=anchor, kind="note halo"))
                break
    return out


def _label_places(
    point: Point, plane: Plane, size: Size
) -> list[tuple[tuple[float, ...], float, float, str]]:
    """(box, x, y, anchor) right of, left of, above and below a point, inside the drawing."""
    width, tall = measure_text(point.label, size.type), size.type * 1.1
    px, py = plane.px(point.x), plane.py(point.y)
    gap = point.radius + 5
    found = []
    for at_x, at_y, anchor, left in (
        (px + gap, py + tall * 0.32, "start", px + gap),
        (px - gap, py + tall * 0.32, "end", px - gap - width),
        (px, py - gap, "middle", px - width / 2),
        (px, py + gap + tall * 0.7, "middle", px - width / 2),
    ):
        box = (left - 2, at_y - tall * 0.8, left + width + 2, at_y + 2)
        inside = box[0] >= plane.left and box[2] <= size.width
        if inside and box[1] >= plane.top - 4 and box[3] <= plane.bottom:
            found.append((box, at_x, at_y, anchor))
    return found


def _touch(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]

"""Axes of a chart: round tick values, and where a value lies on the page."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape

from zhiyin.core.errors import InvalidParameter

Tell = Callable[[float], str]


@dataclass(frozen=True)
class Size:
    """Width and height of a drawing and its type size, in its own units (about pixels)."""

    width: int
    height: int
    type: float = 13


WIDE = Size(760, 320)
NARROW = Size(360, 300, 12.5)
SIZES = (("wide", WIDE), ("narrow", NARROW))
"""Every chart is drawn twice, and style sheets show the one that fits: type stays legible."""


@dataclass(frozen=True)
class Axis:
    """What an axis says: its label, how it tells a value, and bounds (None: from the data)."""

    label: str
    tell: Tell
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Plane:
    """The drawing area: bounds in values and in pixels, with the ticks of both axes."""

    x: tuple[float, float]
    y: tuple[float, float]
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: tuple[float, ...] = ()
    y_ticks: tuple[float, ...] = ()

    def px(self, value: float) -> float:
        """Pixels from the left of the drawing."""
        low, high = self.x
        return round(self.left + (value - low) / (high - low) * (self.right - self.left), 1)

    def py(self, value: float) -> float:
        """Pixels from the top of the drawing."""
        low, high = self.y
        return round(self.bottom - (value - low) / (high - low) * (self.bottom - self.top), 1)


def make_ticks(low: float, high: float, *, about: int = 5) -> tuple[float, ...]:
    """Round values (1, 2, 2.5 or 5 times a power of ten) from at most `low` to at least `high`.

    Raises
    ------
    InvalidParameter
        If a bound is not finite or `low` is above `high`.
    """
    if not (math.isfinite(low) and math.isfinite(high)) or low > high:
        raise InvalidParameter(f"no axis runs from {low} to {high}")
    largest = max(abs(low), abs(high))
    if high - low <= 1e-9 * max(largest, 1e-3):  # one value, as far as a reader can tell
        low, high = (low - largest, high + largest) if largest > 1e-9 else (0.0, 1.0)
    raw = (high - low) / max(1, about - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(i * step, 12) for i in range(first, last + 1))


def choose_ticks(axis: Axis, values: Iterable[float], *, about: int = 5) -> tuple[float, ...]:
    """Ticks that span `values` within the bounds that the axis fixes."""
    seen = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low = min(seen) if axis.low is None else axis.low
    high = max(seen) if axis.high is None else axis.high
    return make_ticks(min(low, high), max(low, high), about=about)


def measure_text(text: str, size: float) -> float:
    """About how wide `text` is at type size `size`: wide characters count one, others 0.56."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return (wide + 0.56 * (len(text) - wide)) * size


def shorten(text: str, *, width: float, size: float) -> str:
    """`text`, cut with … where it is wider than `width`."""
    if measure_text(text, size) <= width:
        return text
    while text and measure_text(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def wrap_text(text: str, *, width: float, size: float) -> list[str]:
    """`text` in one line or two, broken at a space or before a wide character, then shortened."""
    if measure_text(text, size) <= width:
        return [text]
    breaks = [
        i for i in range(1, len(text))
        if text[i - 1] == " " or unicodedata.east_asian_width(text[i]) in "WF"
    ]  # fmt: skip
    fitting = [i for i in breaks if measure_text(text[:i].rstrip(), size) <= width]
    if not fitting:
        return [shorten(text, width=width, size=size)]
    at = fitting[-1]
    return [text[:at].rstrip(), shorten(text[at:].lstrip(), width=width, size=size)]


def draw_text(
    x: float, y: float, text: str, *, anchor: str = "start", kind: str = "", size: float = 0
) -> str:
    """A text element; `kind` is a class of the style sheet."""
    classes = f' class="{kind}"' if kind else ""
    font = f' font-size="{size:g}"' if size else ""
    at = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {at}{classes}{font}>{escape(text)}</text>"


def draw_line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def draw_rect(x: float, y: float, w: float, h: float, kind: str, hint: str = "") -> str:
    """A rectangle with a hint that shows when it is pointed at."""
    title = f"<title>{escape(hint)}</title>" if hint else ""
    at = f'x="{x:.1f}" y="{y:.1f}" width="{max(0.0, w):.1f}" height="{max(0.0, h):.1f}"'
    return f'<rect {at} rx="2" class="{kind}">{title}</rect>'


def draw_dot(x: float, y: float, r: float, kind: str, hint: str = "") -> str:
    """A circle with a hint."""
    title = f"<title>{escape(hint)}</title>" if hint else ""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" class="{kind}">{title}</circle>'


def wrap_svg(parts: Iterable[str], *, size: Size, title: str, kind: str) -> str:
    """The whole drawing with its accessible title."""
    box = f'viewBox="0 0 {size.width} {size.height}" width="{size.width}" height="{size.height}"'
    return (
        f'<svg class="chart {kind}" role="img" {box} font-size="{size.type:g}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def fit_plane(
    size: Size, x: Axis, y: Axis, *, xs: Iterable[float], ys: Iterable[float], pad_right: float = 18
) -> Plane:
    """The drawing area that leaves room for the labels of both axes."""
    narrow = size.width < 500
    x_ticks = choose_ticks(x, xs, about=4 if narrow else 6)
    y_ticks = choose_ticks(y, ys, about=6)
    left = max(measure_text(y.tell(t), size.type) for t in y_ticks) + 14
    return Plane(
        (x_ticks[0], x_ticks[-1]),
        (y_ticks[0], y_ticks[-1]),
        left,
        size.width - pad_right,
        size.type * 2.2 if y.label else size.type,
        size.height - size.type * (3.4 if x.label else 2.2),
        x_ticks,
        y_ticks,
    )


def draw_axes(plane: Plane, x: Axis, y: Axis, *, size: Size, x_labels: bool = True) -> list[str]:
    """Grid, tick labels and axis labels."""
    out: list[str] = []
    for tick in plane.y_ticks:
        at = plane.py(tick)
        kind = "zero" if tick == 0 else "grid"
        out.append(draw_line(plane.left, at, plane.right, at, kind))
        label = y.tell(tick)
        out.append(draw_text(plane.left - 8, at + size.type * 0.34, label, anchor="end", kind="tk"))
    below = plane.bottom + size.type * 1.5
    for tick in plane.x_ticks if x_labels else ():
        anchor = "end" if tick == plane.x_ticks[-1] else "middle"
        at = plane.right + 10 if anchor == "end" else plane.px(tick)
        out.append(draw_text(at, below, x.tell(tick), anchor=anchor, kind="tk"))
    if y.label:
        out.append(draw_text(0, size.type, y.label, kind="ax"))
    if x.label:
        at = plane.bottom + size.type * 3.0
        out.append(draw_text(plane.right + 10, at, x.label, anchor="end", kind="ax"))
    return out

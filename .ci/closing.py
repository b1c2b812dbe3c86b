"""Sum the closing lines of pytest runs to one: `closing.py LOG…` reads LOG.log of each suite."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

KINDS = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "warning", "error")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LINE = re.compile(r"=+ (?P<counts>.+?) in (?P<seconds>\d+(?:\.\d+)?)s(?: \([\d:]+\))? =+")
_COUNT = re.compile(r"(\d+) ([a-z]+?)s?\b")


def read_closing(text: str) -> tuple[dict[str, int], float] | None:
    """Counts by kind and seconds of the last closing line in `text`, None where there is none."""
    found = [_LINE.fullmatch(_COLOUR.sub("", line).strip()) for line in text.splitlines()]
    lines = [one for one in found if one is not None]
    if not lines:
        return None
    counts = {kind: int(count) for count, kind in _COUNT.findall(lines[-1]["counts"])}
    return counts, float(lines[-1]["seconds"])


def sum_closings(texts: Sequence[str]) -> tuple[str, bool]:
    """One closing line over all runs, and whether all of them were good.

    A run without a closing line counts as one error.
    """
    total: dict[str, int] = {}
    seconds = 0.0
    for text in texts:
        counts, spent = read_closing(text) or ({"error": 1}, 0.0)
        seconds += spent
        for kind, count in counts.items():
            total[kind] = total.get(kind, 0) + count
    parts = [
        f"{total[kind]} {kind}{'s' if kind in ('warning', 'error') and total[kind] > 1 else ''}"
        for kind in KINDS
        if total.get(kind)
    ]
    good = bool(total.get("passed")) and not total.get("failed") and not total.get("error")
    return f" {', '.join(parts) or 'no tests ran'} in {seconds:.2f}s ".center(100, "="), good


if __name__ == "__main__":
    logs = [Path(f"{name}.log") for name in sys.argv[1:]]
    line, good = sum_closings(
        [one.read_text(encoding="utf-8", errors="replace") if one.exists() else "" for one in logs]
    )
    print(line)  # noqa: T201 - what this program is for
    sys.exit(not good)

"""The last line of continuous integration tells all suites, and hides none that broke off."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location(
    "ci_closing", Path(__file__).parents[2] / ".ci" / "closing.py"
)
closing = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(closing)

GOOD = "x\n======= 1879 passed, 2 skipped, 1 warning in 60.50s (0:01:00) =======\n"
MORE = "\x1b[32m=== \x1b[32m62 passed\x1b[0m\x1b[32m in 51.95s\x1b[0m\x1b[32m ===\x1b[0m\n"


def test_counts_and_seconds_are_summed():
    line, good = closing.sum_closings([GOOD, MORE])
    assert line.strip("=") == " 1941 passed, 2 skipped, 1 warning in 112.45s "
    assert good


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("make: *** [lint] Error 1\n", "1 error"),
        ("== 1 failed, 3 passed in 1.00s ==\n", "1 failed"),
        ("== 3 passed, 2 errors in 1.00s ==\n", "2 errors"),
        ("== no tests ran in 0.01s ==\n", "1879 passed"),
    ],
)
def test_a_suite_that_failed_or_broke_off_is_told(text, said):
    line, good = closing.sum_closings([GOOD, text])
    assert said in line
    assert good is ("no tests ran" in text)


def test_the_last_closing_line_counts():
    line, _ = closing.sum_closings(["== 1 failed in 1.00s ==\n" + GOOD])
    assert "failed" not in line

"""The page on measuring says of each indicator what the code says."""

from pathlib import Path

import pytest

from zhiyin.measure.indicators.definitions import INDICATORS, SUMS

PAGE = (Path(__file__).parents[2] / "docs" / "measure.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("one", INDICATORS.values(), ids=list(INDICATORS))
def test_the_page_defines_each_indicator_as_the_code_does(one):
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{one.key}` |"))
    cells = [cell.strip() for cell in row.strip("|").split(" | ")]
    top = SUMS[one.numerator][0] + (" x margin rate" if one.margin else "")
    bottom = SUMS[one.denominator][0] if one.denominator else "–"
    bottom += ", less 1" if one.less_one else ""
    assert cells == [
        f"`{one.key}`", f"{one.en} {one.zh}", one.means_en, top, bottom,
        one.window.replace("_", " "), one.unit, one.good,
    ]  # fmt: skip

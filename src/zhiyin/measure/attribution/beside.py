"""What attribution gives a channel, beside what experiments say that it caused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure.attribution.credit import Attribution
from zhiyin.measure.attribution.paths import NONE
from zhiyin.measure.status import OK, TOO_FEW_UNITS

Says = Literal["agrees", "too_much", "too_little", "not_measured"]
WORDS: Final[dict[Says, tuple[str, str]]] = {
    "agrees": ("within what was measured", "与实测相符"),
    "too_much": ("attributed more than it caused", "归因高于实际带来"),
    "too_little": ("attributed less than it caused", "归因低于实际带来"),
    "not_measured": ("not measured", "未测量"),
}
"""English and Chinese."""


@dataclass(frozen=True)
class Beside:
    """One channel: attributed, and caused where an experiment measured it.

    `times` is attributed / caused, NaN where nothing was measured or the cause is not above 0.
    """

    channel: str
    attributed: float
    share: float
    caused: Estimate | None
    times: float
    says: Says


def lay_beside(attribution: Attribution, caused: Mapping[str, Estimate]) -> list[Beside]:
    """A row for each channel that is attributed or measured, the most attributed first.

    Parameters
    ----------
    attribution
        Of any method; its unit is that of `caused`.
    caused
        Conversions (or money) that each channel caused in the same period: `total` of an
        `Increment`, or a measured effect times those it reached. One without an interval, or of
        arms that are not as planned, counts as not measured.

    Raises
    ------
    InvalidParameter
        If `(none)` is said to have caused something.
    """
    if NONE in caused:
        raise InvalidParameter(f"{NONE} reached nobody, so no experiment can have measured it")
    given = attribution.as_dict()
    rows = [
        _row(channel, given.get(channel, 0.0), attribution.total, caused.get(channel))
        for channel in {**given, **dict.fromkeys(caused)}
    ]
    return sorted(rows, key=lambda row: (row.channel == NONE, -row.attributed, row.channel))


def _row(channel: str, attributed: float, total: float, caused: Estimate | None) -> Beside:
    share = attributed / total if total else 0.0
    trusted = caused is not None and caused.status in (OK, TOO_FEW_UNITS)
    if caused is None or not trusted or not np.isfinite([caused.low, caused.high]).all():
        return Beside(channel, attributed, share, None, float("nan"), "not_measured")
    times = attributed / caused.value if caused.value > 0 else float("nan")
    says: Says = "agrees"
    if attributed > caused.high:
        says = "too_much"
    elif attributed < caused.low:
        says = "too_little"
    return Beside(channel, attributed, share, caused, times, says)

"""Whether a model still keeps what its card promised."""

from __future__ import annotations

from zhiyin.core.values import Estimate

OK, DECAYED, NOT_YET = "ok", "decayed", "not_yet"


def find_decay(promised_low: float | None, measured: Estimate | None) -> str:
    """`ok`, `decayed` or `not_yet`.

    It has decayed where even the upper end of the AUC measured on what then happened is below the
    lower end of the card's interval: a difference that neither sample explains alone.
    """
    if promised_low is None or measured is None:
        return NOT_YET
    return DECAYED if measured.high < promised_low else OK

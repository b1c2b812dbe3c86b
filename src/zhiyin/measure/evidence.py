"""How strong the evidence for an effect is: four grades, from a lot that was drawn to nothing."""

from __future__ import annotations

from typing import Final, Literal

Evidence = Literal["randomised", "adjusted", "before_after", "none"]

RANDOMISED: Final = "randomised"
ADJUSTED: Final = "adjusted"
BEFORE_AFTER: Final = "before_after"
NO_EVIDENCE: Final = "none"

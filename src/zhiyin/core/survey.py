"""Questions that messages may ask, and the event that an answer is."""

from __future__ import annotations

from typing import Final

CSAT, NPS = "csat", "nps"
SCALES: Final = {CSAT: (1, 5), NPS: (0, 10)}
"""The lowest and the highest score of each question."""
ANSWERED: Final = "survey_answered"
"""Name of the event."""
PROPERTY: Final = "properties"
"""Where tracked events keep what they were sent with."""

"""Sentences in both languages, and what the report tells of trends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


@dataclass(frozen=True)
class Both:
    """One text in English and Chinese; what is empty falls back to the other."""

    en: str = ""
    zh: str = ""

    def say(self, language: Language) -> str:
        """The text in `language`."""
        return (self.en or self.zh) if language == "en" else (self.zh or self.en)

    def __bool__(self) -> bool:
        return bool(self.en or self.zh)


@dataclass(frozen=True)
class TrendsPart:
    """Sales by week and ahead (minor units), what changed and why; (name, value, low, high)."""

    weeks: tuple[float, ...] = ()
    ahead: tuple[float, ...] = ()
    ahead_from: date | None = None
    said: tuple[Both, ...] = ()
    groups: tuple[tuple[str, float, float, float], ...] = ()  # "": the total
    rising: tuple[tuple[str, float, float, float], ...] = ()

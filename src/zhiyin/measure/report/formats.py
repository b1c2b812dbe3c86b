"""Numbers, money and dates in the reader's language, by Babel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from babel.dates import format_date
from babel.numbers import (
    format_compact_currency,
    format_compact_decimal,
    format_currency,
    format_decimal,
    format_percent,
    get_currency_precision,
)

from zhiyin.measure.report.data import Language

LOCALES = {"en": "en_US", "zh": "zh_Hans_CN"}


@dataclass(frozen=True)
class Format:
    """Formats values for one language and one currency."""

    language: Language
    currency: str

    @property
    def locale(self) -> str:
        """Babel's name of the locale."""
        return LOCALES[self.language]

    def _major(self, minor: float) -> Decimal:
        return Decimal(str(minor)).scaleb(-get_currency_precision(self.currency))

    def money(self, minor: float) -> str:
        """`minor` units as an exact amount, for example $1,234.50."""
        return format_currency(self._major(round(minor)), self.currency, locale=self.locale)

    def whole_money(self, minor: float) -> str:
        """`minor` units rounded to whole units of the currency."""
        return format_currency(
            round(self._major(round(minor))),
            self.currency,
            format="¤#,##0",
            locale=self.locale,
            currency_digits=False,
        )

    def short_money(self, minor: float) -> str:
        """`minor` units in short, for axes and cards: $4.6M."""
        if abs(self._major(minor)) < 1000:
            exact = self._major(minor)
            whole = exact == exact.to_integral_value()
            return self.whole_money(minor) if whole else self.money(minor)
        return format_compact_currency(
            self._major(minor), self.currency, locale=self.locale, fraction_digits=1
        )

    def count(self, number: float) -> str:
        """A whole number with separators."""
        return format_decimal(round(number), locale=self.locale)

    def short(self, number: float) -> str:
        """A whole number in short: 1.5M."""
        if abs(number) < 1000:
            return self.number(number, 1)
        return format_compact_decimal(number, locale=self.locale, fraction_digits=1)

    def number(self, number: float, digits: int = 2) -> str:
        """A number with at most `digits` decimals."""
        pattern = "#,##0." + "#" * digits if digits else "#,##0"
        return format_decimal(_unsigned_zero(number, digits), format=pattern, locale=self.locale)

    def fixed(self, number: float, digits: int = 3) -> str:
        """A number with exactly `digits` decimals."""
        pattern = "#,##0." + "0" * digits
        return format_decimal(_unsigned_zero(number, digits), format=pattern, locale=self.locale)

    def signed(self, number: float, digits: int = 2) -> str:
        """A number with its sign always shown."""
        text = self.fixed(abs(number), digits)
        return ("+" if number >= 0 else "−") + text

    def percent(self, share: float, digits: int = 0) -> str:
        """A fraction as a percentage with at most `digits` decimals."""
        pattern = "#,##0" + ("." + "#" * digits if digits else "") + "%"
        return format_percent(_unsigned_zero(share, digits + 2), format=pattern, locale=self.locale)

    def fine_percent(self, share: float) -> str:
        """A fraction as a percentage that keeps a decimal where it is below 10 %."""
        return self.percent(share, 1 if abs(share) < 0.0995 else 0)

    def day(self, day: date) -> str:
        """A day in full: October 30, 2017."""
        return format_date(day, "long", locale=self.locale)

    def short_day(self, day: date) -> str:
        """A day in short: Oct 30, 2017."""
        return format_date(day, "medium", locale=self.locale)

    def month(self, month: str, *, year: bool = False) -> str:
        """The month YYYY-MM in short, with or without its year; as it is where it is no month."""
        try:
            first = date.fromisoformat(f"{month}-01")
        except ValueError:
            return month
        short = {"en": "MMM yyyy", "zh": "y年M月"} if year else {"en": "MMM", "zh": "M月"}
        return format_date(first, short[self.language], locale=self.locale)

    def seconds(self, seconds: float) -> str:
        """A duration: 12.3 s."""
        unit = "s" if self.language == "en" else "秒"
        return f"{self.fixed(seconds, 1)} {unit}"


def _unsigned_zero(number: float, digits: int) -> float:
    rounded = round(number, digits)
    return 0.0 if rounded == 0 else number

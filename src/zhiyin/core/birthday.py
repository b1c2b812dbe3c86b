"""The date of birth among a customer's personal fields."""

from __future__ import annotations

import re
from collections.abc import Mapping

KEYS = (
    "birthday", "birth_date", "birthdate", "date_of_birth", "dob", "生日",
    "出生日期",
)  # fmt: skip
"""Keys of a customer's personal fields under which her date of birth may stand."""
_WHOLE = re.compile(r"(\d{4})\D?(\d{1,2})\D?(\d{1,2})\D*(?:[T ].*)?")
_SHORT = re.compile(r"(\d{1,2})\D(\d{1,2})\D*")


def birthday_of(personal: Mapping[str, object]) -> str | None:
    """The date of birth among personal fields, as `YYYY-MM-DD` or `MM-DD`; None without one."""
    for key, value in personal.items():
        if key.lower() in KEYS and value:
            text = str(value).strip()
            for pattern in (_WHOLE, _SHORT):
                if found := pattern.fullmatch(text):
                    return "-".join(part.zfill(2) for part in found.groups())
    return None

"""What codes mean, in both languages; an unknown code is made readable, never an error."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from zhiyin.act import reasons as act
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.features import CAMPAIGN_FEATURES, CONTRACT_FEATURES, FEATURES, TRAIT, Feature
from zhiyin.decide import reasons as decide

LANGUAGES = ("en", "zh")
REASONS: dict[str, tuple[str, str]] = {**decide.REASONS, **act.REASONS}
"""Why somebody was chosen, left out or not written to: code → (en, zh)."""

_FEATURES: dict[str, Feature] = {
    one.name: one for one in (*FEATURES, *CAMPAIGN_FEATURES, *CONTRACT_FEATURES)
}


@dataclass(frozen=True)
class Words:
    """Says things in one language, `en` or `zh`."""

    language: str

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise InvalidParameter(
                f"there is no language {self.language!r}", hint=f"one of {', '.join(LANGUAGES)}"
            )

    def __call__(self, key: str, /, **values: object) -> str:
        """The text `key` with its placeholders filled in."""
        return self.pick(_texts()[key]).format(**values)

    def term(self, group: str, code: str) -> str:
        """The word for a code of a group, else the code made readable."""
        for words in (_texts(), _report_texts()):
            found = words.get(f"{group}.{code}")
            if found:
                return self.pick(found)
        return make_readable(code)

    def reason(self, code: str | None) -> str:
        """Why somebody was chosen or left out, or a message was not sent."""
        if not code:
            return ""
        return self.pick(REASONS[code]) if code in REASONS else self.term("reason", code)

    def feature(self, name: str) -> str:
        """What a feature says."""
        feature = _FEATURES.get(name)
        if feature is None:
            return make_readable(name.removeprefix(TRAIT).replace("=", ": "))
        return self.pick((feature.meaning, feature.meaning_zh))

    def pick(self, pair: tuple[str, str]) -> str:
        """The text of a pair (en, zh) in this language."""
        return pair[LANGUAGES.index(self.language)]


def unit_of(name: str) -> str:
    """The unit of a feature; empty where it is unknown."""
    return _FEATURES[name].unit if name in _FEATURES else ""


def make_readable(code: str) -> str:
    """`days_since_last` → `days since last`."""
    return code.replace("_", " ").strip() or "—"


@cache
def _texts() -> Mapping[str, tuple[str, str]]:
    return _read("zhiyin.person")


@cache
def _report_texts() -> Mapping[str, tuple[str, str]]:
    return _read("zhiyin.measure.report")


def _read(package: str) -> dict[str, tuple[str, str]]:
    text = files(package).joinpath("words.toml").read_text(encoding="utf-8")
    return {key: (pair[0], pair[1]) for key, pair in tomllib.loads(text).items()}

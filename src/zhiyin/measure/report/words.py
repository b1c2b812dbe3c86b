"""The report's strings in both languages: all stand in `words.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from zhiyin.core.errors import NotFound
from zhiyin.core.features import CAMPAIGN_FEATURES, CONTRACT_FEATURES, FEATURES, TRAIT
from zhiyin.govern.gate import REASONS
from zhiyin.measure.report.data import Both, Language


@cache
def load_words() -> dict[str, Both]:
    """Key → text in both languages, from the package's `words.toml`."""
    text = files("zhiyin.measure.report").joinpath("words.toml").read_text(encoding="utf-8")
    return {key: Both(*pair) for key, pair in tomllib.loads(text).items()}


@dataclass(frozen=True)
class Words:
    """Says things in one language."""

    language: Language

    def __call__(self, key: str, /, **values: object) -> str:
        """The text `key` with its placeholders filled in.

        Raises
        ------
        NotFound
            If there is no such key.
        """
        words = load_words()
        if key not in words:
            raise NotFound(f"the report has no words for {key!r}", hint="add it to words.toml")
        return words[key].say(self.language).format(**values)

    def term(self, group: str, code: str) -> str:
        """The word for a code, for example a quarantine reason; unknown codes are made readable."""
        found = load_words().get(f"{group}.{code}")
        return found.say(self.language) if found else make_readable(code)

    def reason(self, code: str) -> str:
        """Why somebody was left out or a message was skipped: the gate's words, or ours."""
        if code in REASONS:
            return REASONS[code][self.language == "zh"]
        return self.term("reason", code)

    def warning(self, code: str, message: str) -> str:
        """A warning in the reader's language, else as its writer put it."""
        found = load_words().get(f"warning.{code}")
        return found.say(self.language) if found else message or make_readable(code)

    def feature(self, name: str, given: Both | None = None) -> str:
        """What a feature means; `given` words come first, then those of the catalogue."""
        if given:
            return given.say(self.language)
        for feature in (*FEATURES, *CAMPAIGN_FEATURES, *CONTRACT_FEATURES):
            if feature.name == name:
                return Both(feature.meaning, feature.meaning_zh).say(self.language)
        return make_readable(name.removeprefix(TRAIT).replace("=", ": "))


def make_readable(code: str) -> str:
    """`days_since_last` → `days since last`."""
    return code.replace("_", " ").strip() or "—"

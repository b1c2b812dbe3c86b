"""What messages of campaigns and journeys say: texts, compiled once, filled for each person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zhiyin.act.campaigns.definition import MARKETING, Definition, Text
from zhiyin.act.create.email import (
    LETTER,
    Rendered,
    Template,
    compile_template,
    compile_text,
    fill,
    fill_text,
    render,
)
from zhiyin.act.create.quick import Quick
from zhiyin.core.errors import InvalidParameter, NotFound

CAMPAIGN = "campaign"  # the template of a message's content
FORMAT = 1
_SAMPLE = {
    "shop": "Shop", "postal_address": "1 Example Street", "marketing": True,
    "unsubscribe_url": "https://shop.example/u/x", "preferences_url": "https://shop.example/p/x",
}  # fmt: skip
_NAMES = ("", "Ana <b>")


@dataclass(frozen=True)
class Written:
    """One variant in one language, compiled: a layout of its own, or a text for the letter."""

    subject: Quick
    text: Quick
    layout: Template | None
    link: str
    link_text: str
    marketing: bool

    def render(self, values: Mapping[str, Any], language: str) -> Rendered:
        """The e-mail with `values`: `shop`, `name`, `postal_address`, `unsubscribe_url`,
        `preferences_url`.

        Raises
        ------
        InvalidParameter
            If the text uses another value.
        """
        given = {**values, "marketing": self.marketing}
        if self.layout is not None:
            return fill(self.layout, given)
        subject, text = self.say(values)
        letter = given | {
            "subject": subject, "text": text,
            "paragraphs": [part.strip().split("\n") for part in text.split("\n\n")
                           if part.strip()],
            "link": self.link, "link_text": self.link_text or self.link,
        }  # fmt: skip
        return render(LETTER, letter, language)

    def say(self, values: Mapping[str, Any]) -> tuple[str, str]:
        """Subject, on one line, and text with `values`; raises as `render`."""
        given = {**values, "marketing": self.marketing}
        subject = " ".join(fill_text(self.subject, given).split())
        return subject, fill_text(self.text, given).strip()


class Letters:
    """Texts of a campaign or a journey by version, variant (of a journey: step) and language; each
    is compiled when it is first filled.
    """

    def __init__(self, texts: Mapping[tuple[int, str, str], Text], *, marketing: bool) -> None:
        self._texts, self._marketing = texts, marketing
        self._written: dict[tuple[int, str, str], Written] = {}

    def render(
        self, content: Mapping[str, Any], values: Mapping[str, Any], language: str
    ) -> Rendered:
        """The e-mail of a message whose content is that of `make_content`.

        Raises
        ------
        NotFound
            If this version has no such variant in the language.
        """
        return self._of(content, language).render(values, language)

    def say(
        self, content: Mapping[str, Any], values: Mapping[str, Any], language: str
    ) -> tuple[str, str]:
        """Subject and text alone, without the letter around them; raises as `render`."""
        written = self._of(content, language)
        return written.say(values)

    def link(self, content: Mapping[str, Any], language: str) -> str:
        """Where the text leads; empty: nowhere. Raises as `render`."""
        return self._of(content, language).link

    def _of(self, content: Mapping[str, Any], language: str) -> Written:
        key = (content["version"], content["variant"], language)
        written = self._written.get(key)
        if written is None:
            if key not in self._texts:
                raise NotFound(f"there is no text {content['variant']!r} in {language!r}")
            written = _compile(self._texts[key], marketing=self._marketing)
            self._written[key] = written
        return written


def campaign_letters(definition: Definition, version: int) -> Letters:
    """The texts of one version of a campaign."""
    texts = {
        (version, variant.name, language): text
        for variant in definition.variants
        for language, text in variant.texts.items()
    }
    return Letters(texts, marketing=definition.purpose == MARKETING)


def make_content(key: str, version: int, variant: str) -> dict[str, Any]:
    """The JSON value that is sealed with a message: which text, of which campaign, it shows."""
    return {
        "format": FORMAT, "template": CAMPAIGN, "campaign": key, "version": version,
        "variant": variant,
    }  # fmt: skip


def check_campaign(definition: Definition) -> None:
    """Compile and fill every text of a campaign, as `check_letters` does."""
    texts = {
        (f"variant {variant.name}", language): text
        for variant in definition.variants
        for language, text in variant.texts.items()
    }
    check_letters(texts, marketing=definition.purpose == MARKETING)


def check_letters(texts: Mapping[tuple[str, str], Text], *, marketing: bool) -> None:
    """Compile and fill every text, by where it stands and its language, with a name and without.

    Raises
    ------
    InvalidParameter
        With the place and the language: it cannot be filled, or offers no way to unsubscribe.
    """
    for (place, language), text in texts.items():
        try:
            written = _compile(text, marketing=marketing)
            for name in _NAMES:
                made = written.render(_SAMPLE | {"name": name}, language)
                _check_made(made, marketing=marketing)
        except InvalidParameter as error:
            raise InvalidParameter(
                f"{place} in {language}: {error.message}", hint=error.hint or _HINT
            ) from error


_HINT = "values: name, shop, postal_address, unsubscribe_url, preferences_url"


def _check_made(made: Rendered, *, marketing: bool) -> None:
    if not made.subject:
        raise InvalidParameter("the subject is empty", hint="write one that needs no name")
    link = _SAMPLE["unsubscribe_url"]
    if marketing and not (str(link) in made.html and str(link) in made.text):
        raise InvalidParameter(
            "it does not say how to unsubscribe",
            hint="put {{ unsubscribe_url }} into the text and the layout",
        )


def _compile(text: Text, *, marketing: bool) -> Written:
    subject, body = compile_text(text.subject), compile_text(text.text)
    layout = None
    if text.mjml:
        layout = compile_template(text.mjml, text.text, subject=text.subject)
    return Written(subject, body, layout, text.link, text.link_text, marketing)

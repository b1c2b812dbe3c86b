"""What a campaign's messages say: its texts, compiled once, filled for each person."""

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
    """The texts of one version of a campaign, by variant and language."""

    def __init__(self, definition: Definition, version: int) -> None:
        self._version = version
        marketing = definition.purpose == MARKETING
        self._written = {
            (variant.name, language): _compile(text, marketing=marketing)
            for variant in definition.variants
            for language, text in variant.texts.items()
        }

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
        written = self._written.get((content["variant"], language))
        if written is None or content["version"] != self._version:
            raise NotFound(f"the campaign has no text {content['variant']!r} in {language!r}")
        return written


def make_content(definition: Definition, version: int, variant: str) -> dict[str, Any]:
    """The JSON value that is sealed with a message: which text it shows."""
    return {
        "format": FORMAT, "template": CAMPAIGN, "campaign": definition.key, "version": version,
        "variant": variant,
    }  # fmt: skip


def check_letters(definition: Definition) -> None:
    """Compile and fill every text, with a name and without one.

    Raises
    ------
    InvalidParameter
        With the variant and the language: it cannot be filled, or offers no way to unsubscribe.
    """
    for variant in definition.variants:
        for language, text in variant.texts.items():
            place = f"variant {variant.name} in {language}"
            try:
                written = _compile(text, marketing=definition.purpose == MARKETING)
                for name in _NAMES:
                    made = written.render(_SAMPLE | {"name": name}, language)
                    _check_made(made, marketing=definition.purpose == MARKETING)
            except InvalidParameter as error:
                raise InvalidParameter(
                    f"{place}: {error.message}", hint=error.hint or _HINT
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

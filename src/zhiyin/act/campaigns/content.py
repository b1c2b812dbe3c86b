"""What messages of campaigns and journeys say: texts, compiled once, filled for each person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zhiyin.act.campaigns.definition import MARKETING, Definition
from zhiyin.act.campaigns.text import CHAT, MEMBER, Text
from zhiyin.act.create.chat_message import frame_wecom, longest_of
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
from zhiyin.act.create.text_message import (
    TextMessage,
    count_segments,
    frame_text,
    has_way_out,
)
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.govern.people import EMAIL, SMS

CAMPAIGN = "campaign"  # the template of a message's content
FORMAT = 1
_SAMPLE = {
    "shop": "Shop", "postal_address": "1 Example Street", "marketing": True,
    "unsubscribe_url": "https://shop.example/u/x", "preferences_url": "https://shop.example/p/x",
    "csat_url": "https://shop.example/q/x", "nps_url": "https://shop.example/q/y",
}  # fmt: skip
_NAMES = ("", "Ana <b>")
_HERS = ("name", "unsubscribe_url", "preferences_url", "csat_url", "nps_url")  # not of others


@dataclass(frozen=True)
class Written:
    """One variant in one language, compiled: a layout of its own, a text, a template's values."""

    of: Text
    subject: Quick
    text: Quick
    layout: Template | None
    data: Mapping[str, Quick]
    marketing: bool

    def render(self, values: Mapping[str, Any], language: str) -> Rendered:
        """The e-mail with `values`: `shop`, `name`, `postal_address`, `unsubscribe_url`,
        `preferences_url`, `csat_url`, `nps_url`.

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
            "link": self.of.link, "link_text": self.of.link_text or self.of.link,
        }  # fmt: skip
        return render(LETTER, letter, language)

    def say(self, values: Mapping[str, Any]) -> tuple[str, str]:
        """Subject, on one line, and text with `values`; raises as `render`."""
        given = {**values, "marketing": self.marketing}
        subject = " ".join(fill_text(self.subject, given).split())
        return subject, fill_text(self.text, given).strip()

    def write(self, medium: str, values: Mapping[str, Any], language: str) -> TextMessage:
        """The message of a medium that is no e-mail; raises as `render`.

        What a member of staff sends is the same for all, so nothing of a person is in it.
        """
        shop, of = str(values["shop"]), self.of
        if medium == MEMBER:
            values = {name: value for name, value in values.items() if name not in _HERS}
        _, text = self.say(values)
        data = {key: fill_text(one, values).strip() for key, one in self.data.items()}
        if medium == CHAT:
            text = " · ".join(data.values())
        elif medium == MEMBER:
            text = frame_wecom(text, language=language, marketing=self.marketing)
        else:
            text = frame_text(text, shop=shop, language=language, marketing=self.marketing)
        return TextMessage(text, {"language": language}, data, of.template, of.page)


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
        return self._of(content, language).say(values)

    def write(
        self, medium: str, content: Mapping[str, Any], values: Mapping[str, Any], language: str
    ) -> TextMessage:
        """The message of a medium that is no e-mail; raises as `render`."""
        return self._of(content, language).write(medium, values, language)

    def link(self, content: Mapping[str, Any], language: str) -> str:
        """Where the text leads; empty: nowhere. Raises as `render`."""
        return self._of(content, language).of.link

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


def check_campaign(definition: Definition, *, most_segments: int | None = None) -> None:
    """Compile and fill every text of a campaign, as `check_letters` does."""
    texts = {
        (f"variant {variant.name}", language): text
        for variant in definition.variants
        for language, text in variant.texts.items()
    }
    check_letters(
        texts, marketing=definition.purpose == MARKETING, medium=definition.form,
        most_segments=most_segments,
    )  # fmt: skip


def check_letters(
    texts: Mapping[tuple[str, str], Text], *, marketing: bool, medium: str = EMAIL,
    most_segments: int | None = None,
) -> None:  # fmt: skip
    """Compile and fill every text, by where it stands and its language, with a name and without.

    Raises
    ------
    InvalidParameter
        With the place and the language: it cannot be filled, offers no way to unsubscribe, or is
        longer than its medium, or `most_segments` of a text message, allow.
    """
    for (place, language), text in texts.items():
        try:
            written = _compile(text, marketing=marketing)
            for name in _NAMES:
                values = _SAMPLE | {"name": name}
                if medium in (SMS, MEMBER, CHAT):
                    made = written.write(medium, values, language)
                    _check_short(written, made, medium, named=bool(name), most=most_segments)
                else:
                    _check_made(written.render(values, language), marketing=marketing)
        except InvalidParameter as error:
            raise InvalidParameter(
                f"{place} in {language}: {error.message}", hint=_hint(medium, error.hint)
            ) from error


def _hint(medium: str, said: str) -> str:
    if medium == MEMBER:
        return "values: shop, postal_address; it is the same for all whom a member writes to"
    return said or (
        "values: name, shop, postal_address, unsubscribe_url, preferences_url, csat_url, nps_url"
    )


def _check_made(made: Rendered, *, marketing: bool) -> None:
    if not made.subject:
        raise InvalidParameter("the subject is empty", hint="write one that needs no name")
    link = _SAMPLE["unsubscribe_url"]
    if marketing and not (str(link) in made.html and str(link) in made.text):
        raise InvalidParameter(
            "it does not say how to unsubscribe",
            hint="put {{ unsubscribe_url }} into the text and the layout",
        )


def _check_short(
    written: Written, made: TextMessage, medium: str, *, named: bool, most: int | None
) -> None:
    empty = [key for key, value in made.data.items() if not value]
    if empty or not made.text:
        raise InvalidParameter(
            f"{', '.join(empty) or 'the text'} is empty", hint="write something that needs no name"
        )
    if medium == CHAT and not named:
        for key, value in made.data.items():
            if len(value) > (longest := longest_of(key)):
                raise InvalidParameter(
                    f"{key} takes {longest} characters, and this has {len(value)}",
                    hint="the platform refuses what is longer",
                )
    if medium != SMS:
        return
    if (made.data or made.template) and written.marketing and not has_way_out(written.of.text):
        raise InvalidParameter(
            "the provider sends its template, and the text does not say how to get no more",
            hint="end the template, and text here, as 拒收请回复R",
        )
    if most is not None and not named and (held := count_segments(made.text)) > most:
        raise InvalidParameter(
            f"the text costs {held} messages, and act.sms_segments allows {most}",
            hint="shorten it: 70 characters with Chinese, 160 without, are one message",
        )


def _compile(text: Text, *, marketing: bool) -> Written:
    layout = None
    if text.mjml:
        layout = compile_template(text.mjml, text.text, subject=text.subject)
    data = {key: compile_text(value) for key, value in text.data.items()}
    return Written(
        text, compile_text(text.subject), compile_text(text.text), layout, data, marketing
    )

"""Renders an e-mail: MJML is compiled to HTML once per template, Liquid fills it per message.

Values never pass through the MJML compiler or are read as Liquid, so nothing in a product's or a
person's name can change the layout or run; HTML escapes them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import mrml
from liquid import Environment, StrictUndefined
from liquid.exceptions import LiquidError

from zhiyin.act.create.quick import Quick
from zhiyin.core.errors import InvalidParameter, NotFound

LANGUAGES = ("en", "zh")
_LINE = 200  # characters: with values in it a line is seldom too long for SMTP
LETTER = "letter"  # the packaged template for texts of a shop's own


class SafeEnvironment(Environment):
    """Liquid without files, undefined variables, the filter `safe`, or unbounded work."""

    context_depth_limit = 10
    block_nesting_limit = 10
    loop_iteration_limit = 1_000
    local_namespace_limit = 100_000
    output_stream_limit = 300_000

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(autoescape=autoescape, undefined=StrictUndefined)
        self.filters.pop("safe", None)


@dataclass(frozen=True)
class Rendered:
    """One e-mail in one language; `subject` is one line."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class Template:
    """A compiled template: Liquid in HTML, in plain text, and in the subject line."""

    subject: Quick
    html: Quick
    text: Quick


def render(template: str, values: Mapping[str, Any], language: str) -> Rendered:
    """Render a packaged template.

    Parameters
    ----------
    template
        Its name, for example `offer`.
    values
        What the template asks for: for `offer` `shop`, `name`, `offer`, `last_day`, `products`
        (`name`, `detail`, `url`), `personal`, `postal_address`, `unsubscribe_url`,
        `preferences_url`: empty where there is none.
    language
        One of `LANGUAGES`.

    Raises
    ------
    NotFound
        If there is no such template in the language.
    InvalidParameter
        If a value is missing or a limit is passed.
    """
    return fill(_packaged(template, language), values)


def fill(template: Template, values: Mapping[str, Any]) -> Rendered:
    """Put `values` into a compiled template.

    Raises
    ------
    InvalidParameter
        If a value is missing or a limit is passed. No value is quoted.
    """
    return Rendered(
        " ".join(_put(template.subject, values).split()),
        _put(template.html, values),
        _put(template.text, values).strip() + "\n",
    )


def fill_text(template: Quick, values: Mapping[str, Any]) -> str:
    """Put `values` into compiled Liquid; raises as `fill`."""
    return _put(template, values)


def _put(template: Quick, given: Mapping[str, Any]) -> str:
    try:
        return template.fill(given)
    except LiquidError as error:
        raise InvalidParameter(
            f"a template cannot be rendered: {type(error).__name__}",
            hint="look whether it uses a value that is not there, or loops too long",
        ) from None  # Liquid's own message may quote a value


def compile_template(mjml: str, text: str, *, subject: str = "") -> Template:
    """Compile MJML and plain text that hold Liquid; without `subject` the MJML's `mj-title` is it.

    Raises
    ------
    InvalidParameter
        If the MJML or the Liquid is malformed, or there is no subject.
    """
    options = mrml.RenderOptions(disable_comments=True, fonts={})
    try:
        made = mrml.to_html(mjml, render_options=options)
    except OSError as error:  # what the package raises for markup it cannot read
        raise InvalidParameter(f"the MJML cannot be read: {error}") from error
    title = subject or made.title
    if not title:
        raise InvalidParameter("the MJML has no mj-title, which is the e-mail's subject")
    return Template(
        compile_text(title),
        compile_text(break_lines(made.content, longest=_LINE), escaped=True),
        compile_text(text),
    )


def compile_text(text: str, *, escaped: bool = False) -> Quick:
    """Compile Liquid; `escaped`: what it fills in is escaped for HTML.

    Raises
    ------
    InvalidParameter
        If it is malformed.
    """
    try:
        return Quick(SafeEnvironment(autoescape=escaped).from_string(text), escaped=escaped)
    except LiquidError as error:
        raise InvalidParameter(
            f"a template is not valid Liquid: {error}", hint="correct that place"
        ) from error


def break_lines(html: str, *, longest: int) -> str:
    """The same HTML in lines of about `longest` characters at most, as far as it has attributes.

    Lines are broken inside tags, before the `>` that follows an attribute, where white space means
    nothing.
    """
    if fits(html, longest):
        return html
    return "\n".join([_broken(line, longest) for line in html.splitlines()])


def fits(text: str, longest: int) -> bool:
    """Whether no line is longer; looks from the last line end within reach for the next."""
    begin = 0
    while len(text) - begin > longest:
        begin = text.rfind("\n", begin, begin + longest + 1) + 1
        if not begin:
            return False
    return True


def _broken(line: str, longest: int) -> str:
    if len(line) <= longest:
        return line
    broken, length = [], 0
    for piece in line.replace('">', '"\0>').split("\0"):
        if broken and length + len(piece) > longest:
            broken.append("\n")
            length = 0
        broken.append(piece)
        length += len(piece)
    return "".join(broken)


@cache
def _packaged(name: str, language: str) -> Template:
    folder = files("zhiyin.act.create") / "templates"
    sources = [folder / f"{name}.{language}.{kind}.liquid" for kind in ("mjml", "txt")]
    if not all(one.is_file() for one in sources):
        raise NotFound(
            f"there is no e-mail template {name!r} in {language!r}",
            hint=f"languages: {', '.join(LANGUAGES)}",
        )
    mjml, text = (one.read_text(encoding="utf-8") for one in sources)
    return compile_template(mjml, text)

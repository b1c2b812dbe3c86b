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
from liquid import BoundTemplate, Environment, StrictUndefined
from liquid.exceptions import LiquidError

from zhiyin.core.errors import InvalidParameter, NotFound

LANGUAGES = ("en", "zh")


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

    subject: BoundTemplate
    html: BoundTemplate
    text: BoundTemplate


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
    given = {name: _or_nil(value) for name, value in values.items()}
    try:
        return Rendered(
            " ".join(template.subject.render(given).split()),
            template.html.render(given),
            template.text.render(given).strip() + "\n",
        )
    except LiquidError as error:
        raise InvalidParameter(
            f"a template cannot be rendered: {type(error).__name__}",
            hint="look whether it uses a value that is not there, or loops too long",
        ) from None  # Liquid's own message may quote a value


def compile_template(mjml: str, text: str) -> Template:
    """Compile MJML and plain text that hold Liquid; the MJML's `mj-title` is the subject.

    Raises
    ------
    InvalidParameter
        If the MJML or the Liquid is malformed, or there is no subject.
    """
    plain, escaped = SafeEnvironment(autoescape=False), SafeEnvironment(autoescape=True)
    options = mrml.RenderOptions(disable_comments=True, fonts={})
    try:
        made = mrml.to_html(mjml, render_options=options)
    except OSError as error:  # what the package raises for markup it cannot read
        raise InvalidParameter(f"the MJML cannot be read: {error}") from error
    if not made.title:
        raise InvalidParameter("the MJML has no mj-title, which is the e-mail's subject")
    try:
        return Template(
            plain.from_string(made.title),
            escaped.from_string(made.content),
            plain.from_string(text),
        )
    except LiquidError as error:
        raise InvalidParameter(f"a template is not valid Liquid: {error}") from error


def _or_nil(value: Any) -> Any:  # Any: JSON values
    """Empty text as nil, so that a template may ask `{% if last_day %}`: in Liquid it is true."""
    if isinstance(value, dict):
        return {name: _or_nil(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_or_nil(inner) for inner in value]
    return None if value == "" else value


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

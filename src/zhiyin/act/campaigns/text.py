"""What a text of a campaign or a journey holds, and which parts each medium has of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from zhiyin.core.errors import InvalidParameter
from zhiyin.govern.people import EMAIL, SMS

CALL, MEMBER, CHAT = "call", "wecom", "wechat_subscribe"
PARTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    EMAIL: (("subject", "text"), ("mjml", "link", "link_text")),
    CALL: (("subject", "text"), ()),
    SMS: (("text",), ("template", "data")),
    MEMBER: (("text",), ()),
    CHAT: (("data",), ("template", "page")),
}
"""Medium → the parts that a text of it needs, and those that it may have beside them."""
_KEYWORD = r"^[A-Za-z][A-Za-z0-9_]{0,31}$"
_Value = Annotated[str, Field(min_length=1, max_length=500)]


@dataclass(frozen=True)
class Text:
    """A variant in one language, Liquid in each part but `link`, `template` and `page`.

    Of an e-mail `mjml` is the layout; without it `text` (paragraphs, an empty line between two)
    stands in the standard letter, which has the shop's name, the links to unsubscribe and a button
    where there is a `link`. `template` is the provider's, which `data` fills; `page` is what a
    message of a mini-programme opens. Templates and pages that are not given are the workspace's.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    subject: Annotated[str, Field(max_length=300)] = ""
    text: Annotated[str, Field(max_length=50_000)] = ""
    mjml: Annotated[str, Field(max_length=200_000)] = ""
    link: Annotated[str, Field(max_length=2_000, pattern=r"^(https?://\S+)?$")] = ""
    link_text: Annotated[str, Field(max_length=80)] = ""
    template: Annotated[str, Field(max_length=80)] = ""
    page: Annotated[str, Field(max_length=300)] = ""
    data: Annotated[
        dict[Annotated[str, Field(pattern=_KEYWORD)], _Value], Field(max_length=20)
    ] = field(default_factory=dict)  # fmt: skip


_TEXT = TypeAdapter(Text)


def parse_text(values: Mapping[str, Any]) -> Text:
    """One text from plain values.

    Raises
    ------
    InvalidParameter
        With the field: it is missing, too long, or no address.
    """
    try:
        return _TEXT.validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidParameter(f"{place}: {first['msg']}") from None


def check_text(text: Text, medium: str, *, where: str) -> None:
    """Refuse a text that lacks a part of its medium, or has one that the medium has not.

    Raises
    ------
    InvalidParameter
        With the part and where the text stands.
    """
    needed, other = PARTS[medium]
    given = [one.name for one in fields(text) if getattr(text, one.name)]
    for name in needed:
        if name not in given:
            raise InvalidParameter(
                f"{where}: {name}: a text for {medium} needs it",
                hint=f"parts: {', '.join((*needed, *other))}; see docs/campaigns.md",
            )
    for name in given:
        if name not in (*needed, *other):
            raise InvalidParameter(
                f"{where}: {name}: a text for {medium} has none",
                hint=f"remove it; parts: {', '.join((*needed, *other))}",
            )

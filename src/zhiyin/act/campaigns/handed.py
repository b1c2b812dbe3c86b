"""What a campaign hands to people and programs instead of sending it: calls, files, ad lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from zhiyin.govern.gate import ADS
from zhiyin.govern.people import EMAIL

_STRICT = ConfigDict(extra="forbid")
TASK, CALL = "task", "call"
FILE = "file"
GOOGLE_ADS, META_ADS = "google_ads", "meta_ads"
AD_LISTS = (GOOGLE_ADS, META_ADS)
LISTS = (FILE, *AD_LISTS)
"""Channels whose messages leave by `zhiyin campaign export`."""
HANDED = (TASK, *LISTS)
"""Channels that need no provider."""
WEBHOOK = "webhook"
TEXTS = ("subject", "text", "link")
"""Columns of a file that need the texts of the campaign."""
Columns = Literal[
    "customer_id", "name", "first_name", "last_name", "email", "phone", "language", "country",
    "region", "city", "zip", "variant", "subject", "text", "link", "unsubscribe_url",
]  # fmt: skip


@dataclass(frozen=True)
class Calls:
    """Of the channel `task`: for how many `days` it stands on the list, how many `tries`.

    `store`: whose list, by where she bought most often or last. `products`: how many of those
    recommended to her are shown. `offer_en`, `offer_zh`: what may be offered.
    """

    __pydantic_config__ = _STRICT

    days: Annotated[int, Field(ge=1, le=60)] = 7
    tries: Annotated[int, Field(ge=1, le=10)] = 3
    store: Literal["most_visited", "last"] = "most_visited"
    products: Annotated[int, Field(ge=0, le=10)] = 3
    offer_en: Annotated[str, Field(max_length=300)] = ""
    offer_zh: Annotated[str, Field(max_length=300)] = ""


@dataclass(frozen=True)
class FileOf:
    """Of the channel `file`: its columns, and by what those in it will be reached: the consent
    for that channel counts.
    """

    __pydantic_config__ = _STRICT

    reaches: Literal["email", "sms", "call"] = EMAIL
    columns: Annotated[tuple[Columns, ...], Field(min_length=1, max_length=20)] = (
        "customer_id", "name", "email", "language", "variant",
    )  # fmt: skip


@dataclass(frozen=True)
class WebhookOf:
    """Of the channel `webhook`: by what the system that is told reaches people: the consent for
    that channel counts, and it gets the message as that channel would.
    """

    __pydantic_config__ = _STRICT

    reaches: Literal["email", "sms"] = EMAIL


def medium_of(channel: str, file: FileOf, webhook: WebhookOf) -> str:
    """The channel of the consents, suppressions and caps that a campaign's channel is held to."""
    if channel in (FILE, WEBHOOK):
        return file.reaches if channel == FILE else webhook.reaches
    return {TASK: CALL, GOOGLE_ADS: ADS, META_ADS: ADS}.get(channel, channel)


def addressed_by(medium: str) -> str:
    """The channel whose addresses a medium has; of lists for ads e-mail, and phones beside it."""
    return EMAIL if medium == ADS else medium

"""One message's person and content become what is sent: the same for preview and send."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from zhiyin.act.campaigns.content import CAMPAIGN, Letters
from zhiyin.act.create.chat_message import write_short
from zhiyin.act.create.content import clean, words_of
from zhiyin.act.create.email import Rendered, render
from zhiyin.act.create.message import Envelope, compose
from zhiyin.act.create.text_message import TextMessage
from zhiyin.act.links import CONFIRM, PREFERENCES, survey_url, unsubscribe_url
from zhiyin.act.links import link as make_link
from zhiyin.act.tracked import NO_URL, track
from zhiyin.core.config import Settings
from zhiyin.core.errors import ConfigError, NotFound
from zhiyin.core.protocols import Vault
from zhiyin.core.survey import SCALES
from zhiyin.govern.people import Person

DEMO_SENDER = "hello@shop.example"  # a reserved domain (RFC 2606): it can reach nobody
DEMO_POSTAL = "1 Example Street, Springfield (demonstration)"


def sender_address(settings: Settings) -> str:
    """Who e-mails are from: the configured address, a reserved one in a demonstration."""
    return settings.act.sender_address or (DEMO_SENDER if settings.demo else "")


def require_sender(settings: Settings) -> None:
    """Refuse to send in anyone's name but the shop's.

    Raises
    ------
    ConfigError
        If, outside a demonstration, the sender's address, the postal address or the public
        address of unsubscribe links is not set: the law asks for each in marketing e-mail.
    """
    act = settings.act
    given = {
        "sender_address": act.sender_address,
        "postal_address": act.postal_address,
        "public_url": "" if act.public_url == NO_URL else act.public_url,
    }
    missing = [f"act.{name}" for name, value in given.items() if not value]
    if missing and not settings.demo:
        raise ConfigError(
            f"e-mail cannot be sent without {', '.join(missing)}", hint="set them in zhiyin.toml"
        )


def render_letter(
    content: Mapping[str, Any],
    *,
    settings: Settings,
    vault: Vault,
    message_id: str,
    language: str,
    name: str = "",
    campaign_id: str = "",
    signed: bool = True,
    letters: Letters | None = None,
) -> Rendered:
    """The rendered e-mail of one message; without `name` its greeting is general.

    Unless `signed`, its links are for looking at only, and none is tracked. A message of a planned
    campaign needs the campaign's `letters`.

    Raises
    ------
    NotFound
        If its template, or its campaign's text, is not there.
    InvalidParameter
        If it cannot be filled.
    """
    if content["template"] == CONFIRM:
        words = {
            "text": content["text"],
            "confirm_url": make_link(
                vault, CONFIRM, content["request_id"], public_url=settings.act.public_url
            ),
        }
    elif content["template"] == CAMPAIGN:
        words = {}
    else:
        words = words_of(content, language)
    values = words | shared_values(
        settings=settings, vault=vault, message_id=message_id, name=name, signed=signed
    )
    if content["template"] == CAMPAIGN:
        if letters is None:
            raise NotFound("the campaign of a message is not there")
        rendered = letters.render(content, values, language)
    else:
        rendered = render(str(content["template"]), values, language)
    if not signed or content["template"] == CONFIRM:
        return rendered
    return track(
        rendered, settings=settings.act, vault=vault, message_id=message_id,
        campaign_id=campaign_id,
    )  # fmt: skip


def write_message(
    medium: str,
    content: Mapping[str, Any],
    *,
    settings: Settings,
    vault: Vault,
    message_id: str,
    language: str,
    name: str = "",
    signed: bool = True,
    letters: Letters | None = None,
) -> TextMessage:
    """The message of a medium that is no e-mail; raises and takes as `render_letter`."""
    shop = settings.act.sender_name or settings.name
    if content["template"] != CAMPAIGN:
        return write_short(medium, content, shop=shop, language=language, name=name)
    if letters is None:
        raise NotFound("the campaign of a message is not there")
    values = shared_values(
        settings=settings, vault=vault, message_id=message_id, name=name, signed=signed
    )
    return letters.write(medium, content, values, language)


def shared_values(
    *, settings: Settings, vault: Vault, message_id: str, name: str, signed: bool = True
) -> dict[str, str]:
    """What every text may use: `shop`, `name`, `postal_address`, the links to unsubscribe and to
    answer a question (`csat_url`, `nps_url`).
    """
    link = unsubscribe_url(vault, message_id, public_url=settings.act.public_url)
    choices = make_link(vault, PREFERENCES, message_id, public_url=settings.act.public_url)
    asked = {
        f"{one}_url": survey_url(vault, message_id, one, public_url=settings.act.public_url)
        for one in SCALES
    }
    return {
        "shop": clean(settings.act.sender_name or settings.name, limit=80),
        "name": clean(name, limit=60),
        "postal_address": clean(
            settings.act.postal_address or (DEMO_POSTAL if settings.demo else "")
        ),
        "unsubscribe_url": link if signed else link.rpartition(".")[0],
        "preferences_url": choices if signed else choices.rpartition(".")[0],
        **{name: url if signed else url.rpartition(".")[0] for name, url in asked.items()},
    }


def write_letter(
    rendered: Rendered,
    person: Person,
    *,
    settings: Settings,
    vault: Vault,
    message_id: str,
    language: str,
    at: datetime,
) -> bytes:
    """The bytes of one e-mail to `person`.

    Raises
    ------
    InvalidParameter
        If her address is malformed.
    """
    envelope = Envelope(
        message_id,
        settings.act.sender_name or settings.name,
        sender_address(settings),
        person.address,
        at,
        unsubscribe_url(vault, message_id, public_url=settings.act.public_url),
    )
    return compose(envelope, rendered, language=language)

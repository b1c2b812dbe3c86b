"""Signed links: who holds one may act on its message, and nobody can make one up."""

from __future__ import annotations

import hmac

from zhiyin.core.protocols import Vault
from zhiyin.core.survey import SCALES

UNSUBSCRIBE, PREFERENCES, CONFIRM = "unsubscribe", "preferences", "confirm"
CLICK, OPEN, SURVEY = "click", "open", "survey"
PATHS = {
    UNSUBSCRIBE: "u", PREFERENCES: "p", CONFIRM: "c", CLICK: "r", OPEN: "o", SURVEY: "q",
}  # fmt: skip
_DIGITS = 32  # 128 bits of the keyed hash


def sign_unsubscribe(vault: Vault, message_id: str) -> str:
    """`<message id>.<signature>`: what stands behind `/u/` in an unsubscribe link."""
    return sign(vault, UNSUBSCRIBE, message_id)


def read_unsubscribe(vault: Vault, token: str) -> str | None:
    """The message that a link's token is for; None where the token was not made by us."""
    return read(vault, UNSUBSCRIBE, token)


def unsubscribe_url(vault: Vault, message_id: str, *, public_url: str) -> str:
    """The link that stands in the e-mail and in its `List-Unsubscribe` header."""
    return link(vault, UNSUBSCRIBE, message_id, public_url=public_url)


def survey_url(vault: Vault, message_id: str, survey: str, *, public_url: str) -> str:
    """The link that asks the holder of a message one question, of `core.survey.SCALES`."""
    return link(vault, SURVEY, f"{message_id}.{survey}", public_url=public_url)


def read_survey(vault: Vault, token: str) -> tuple[str, str] | None:
    """The message and the question of a link's token; None where it was not made by us."""
    message_id, _, survey = (read(vault, SURVEY, token) or "").rpartition(".")
    return (message_id, survey) if message_id and survey in SCALES else None


def sign(vault: Vault, kind: str, subject: str) -> str:
    """`<subject>.<signature>` for a kind of link: it opens no other kind."""
    return f"{subject}.{vault.token(kind, subject)[:_DIGITS]}"


def read(vault: Vault, kind: str, token: str) -> str | None:
    """The subject of a token of this kind; None where the token was not made by us."""
    subject, _, signature = token.rpartition(".")
    expected = vault.token(kind, subject)[:_DIGITS]
    same = hmac.compare_digest(signature.encode(), expected.encode())
    return subject if subject and same else None


def link(vault: Vault, kind: str, subject: str, *, public_url: str) -> str:
    """The address of a signed link."""
    return f"{public_url.rstrip('/')}/{PATHS[kind]}/{sign(vault, kind, subject)}"

"""Signed links: who holds one may act on its message, and nobody can make one up."""

from __future__ import annotations

import hmac

from zhiyin.core.protocols import Vault

UNSUBSCRIBE, PREFERENCES, CONFIRM = "unsubscribe", "preferences", "confirm"
CLICK, OPEN = "click", "open"
PATHS = {UNSUBSCRIBE: "u", PREFERENCES: "p", CONFIRM: "c", CLICK: "r", OPEN: "o"}
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

"""Signed links: who holds one may act on its message, and nobody can make one up."""

from __future__ import annotations

import hmac

from zhiyin.core.protocols import Vault

UNSUBSCRIBE = "unsubscribe"
_DIGITS = 32  # 128 bits of the keyed hash


def sign_unsubscribe(vault: Vault, message_id: str) -> str:
    """`<message id>.<signature>`: what stands behind `/u/` in an unsubscribe link."""
    return f"{message_id}.{vault.token(UNSUBSCRIBE, message_id)[:_DIGITS]}"


def read_unsubscribe(vault: Vault, token: str) -> str | None:
    """The message that a link's token is for; None where the token was not made by us."""
    message, _, signature = token.rpartition(".")
    expected = vault.token(UNSUBSCRIBE, message)[:_DIGITS]
    same = hmac.compare_digest(signature.encode(), expected.encode())
    return message if message and same else None


def unsubscribe_url(vault: Vault, message_id: str, *, public_url: str) -> str:
    """The link that stands in the e-mail and in its `List-Unsubscribe` header."""
    return f"{public_url.rstrip('/')}/u/{sign_unsubscribe(vault, message_id)}"

"""Which token of the suppression list stands for an address.

An address is known by its `identity_id`, the keyed hash that table `identities` holds; the token
is a keyed hash of that. So whoever suppresses somebody or looks her up needs no plain address:
the lake's row is enough, and the token, which says nothing without the workspace's key, can stay
when she is erased. When the same address is loaded anew, it gets the same `identity_id`, hence
the same token, and the suppression holds again.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from zhiyin.core.protocols import Vault
from zhiyin.govern.identifiers import normalise_email

IDENTITY, SUPPRESSION = "identity", "suppression"

NAMESPACE_OF = {"email": "email", "sms": "phone", "call": "phone"}
"""Channel → namespace of the identities that are its addresses."""


def identify(vault: Vault, namespace: str, value: str) -> str:
    """The `identity_id` of an identifier; normalise `value` first, as a load does."""
    return vault.token(IDENTITY, f"{namespace}|{value}")


def suppression_tokens(vault: Vault, identity_ids: Iterable[str]) -> list[str]:
    """The token of each address, given its `identity_id`; what `ledger.read_suppressed` takes."""
    return [vault.token(SUPPRESSION, one) for one in identity_ids]


def address_token(vault: Vault, channel: str, address: str) -> str:
    """The token of a plain address on `channel`: equal for all spellings of one address."""
    named = identify(vault, NAMESPACE_OF.get(channel, channel), normalise_address(address))
    return suppression_tokens(vault, [named])[0]


class Tokens:
    """Tokens of many addresses of a channel, each computed once; it lives as long as one look."""

    def __init__(self, vault: Vault, channel: str) -> None:
        self._vault, self._space = vault, NAMESPACE_OF.get(channel, channel)
        self._of_address: dict[str, str] = {}
        self._of_identity: dict[str, str] = {}

    def of_address(self, address: str) -> str:
        """As `address_token`."""
        known = self._of_address.get(address)
        if known is None:
            named = identify(self._vault, self._space, normalise_address(address))
            known = self._of_address[address] = self.of_identity(named)
        return known

    def of_identity(self, identity_id: str) -> str:
        """As `suppression_tokens`."""
        known = self._of_identity.get(identity_id)
        if known is None:
            (known,) = suppression_tokens(self._vault, [identity_id])
            self._of_identity[identity_id] = known
        return known


def normalise_address(address: str) -> str:
    """An e-mail address as a load normalises it; what is none stays, in one form."""
    alike = unicodedata.normalize("NFKC", address).strip().lower()
    return normalise_email(address) or alike

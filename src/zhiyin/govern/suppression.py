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

from zhiyin.core.config import ActSettings
from zhiyin.core.protocols import Vault
from zhiyin.govern.identifiers import (
    EMAIL,
    EXTERNAL_USERID,
    OPENID,
    PHONE,
    kind_of,
    namespace_of,
    normalise_email,
    normalise_user_id,
)

IDENTITY, SUPPRESSION = "identity", "suppression"

KIND_OF = {
    "email": EMAIL, "sms": PHONE, "call": PHONE, "wecom": EXTERNAL_USERID,
    "wechat_subscribe": OPENID,
}  # fmt: skip
"""Channel → kind of the identities that are its addresses."""


def space_of(channel: str, settings: ActSettings | None = None) -> str:
    """The namespace of a channel's addresses: of openids, those of the settings' mini-programme."""
    kind = KIND_OF.get(channel, channel)
    return namespace_of(kind, settings.wechat_app_id if settings else "")


def channels_of(namespace: str) -> list[str]:
    """The channels whose addresses stand in a namespace."""
    kind = kind_of(namespace)
    return [channel for channel, one in KIND_OF.items() if one == kind]


def identify(vault: Vault, namespace: str, value: str) -> str:
    """The `identity_id` of an identifier; normalise `value` first, as a load does."""
    return vault.token(IDENTITY, f"{namespace}|{value}")


def suppression_tokens(vault: Vault, identity_ids: Iterable[str]) -> list[str]:
    """The token of each address, given its `identity_id`; what `ledger.read_suppressed` takes."""
    return [vault.token(SUPPRESSION, one) for one in identity_ids]


def address_token(vault: Vault, channel: str, address: str, *, space: str = "") -> str:
    """The token of a plain address on `channel`: equal for all spellings of one address.

    `space`: its namespace, where the channel alone does not tell (`openid:<app>`).
    """
    named = identify_address(vault, space or space_of(channel), address)
    return suppression_tokens(vault, [named])[0]


def identify_address(vault: Vault, space: str, address: str) -> str:
    """The `identity_id` of a plain address, however it is written."""
    return identify(vault, space, normalise_address(address, space))


class Tokens:
    """Tokens of many addresses of a namespace, each computed once; it lives as long as a look."""

    def __init__(self, vault: Vault, space: str) -> None:
        self._vault, self._space = vault, space
        self._of_address: dict[str, str] = {}
        self._of_identity: dict[str, str] = {}

    def of_address(self, address: str) -> str:
        """As `address_token`."""
        known = self._of_address.get(address)
        if known is None:
            named = identify_address(self._vault, self._space, address)
            known = self._of_address[address] = self.of_identity(named)
        return known

    def of_identity(self, identity_id: str) -> str:
        """As `suppression_tokens`."""
        known = self._of_identity.get(identity_id)
        if known is None:
            (known,) = suppression_tokens(self._vault, [identity_id])
            self._of_identity[identity_id] = known
        return known


def normalise_address(address: str, space: str = EMAIL) -> str:
    """An address as a load normalises it; what is none stays, in one form.

    Upper and lower case differ in the ids of WeChat alone.
    """
    if kind_of(space) in (OPENID, EXTERNAL_USERID):
        return normalise_user_id(address) or address
    alike = unicodedata.normalize("NFKC", address).strip().lower()
    return normalise_email(address) or alike

"""The keyed hash that stands for an address on the suppression list."""

from __future__ import annotations

import unicodedata

from zhiyin.core.protocols import Vault

PURPOSE = "suppression"


def address_token(vault: Vault, channel: str, address: str) -> str:
    """The token of `address` on `channel`: equal for all spellings of one address.

    It survives an erasure, so that someone who was erased is not written to again.
    """
    return vault.token(PURPOSE, f"{channel}|{normalise_address(address)}")


def normalise_address(address: str) -> str:
    """`address` in one Unicode form, in lower case, without space around it."""
    return unicodedata.normalize("NFKC", address).strip().lower()

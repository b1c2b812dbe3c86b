"""One token for one address: for decisions, for sending, and for after an erasure."""

from __future__ import annotations

import hashlib

from zhiyin.govern.suppression import identify, suppression_tokens


class Vault:
    def token(self, purpose, value):
        return hashlib.sha256(f"secret|{purpose}|{value}".encode()).hexdigest()


def test_the_token_follows_from_what_the_lake_holds_of_an_address():
    vault = Vault()
    in_lake = vault.token("identity", "email|ann@shop.example")  # as collect records it
    assert identify(vault, "email", "ann@shop.example") == in_lake
    assert suppression_tokens(vault, [in_lake]) == suppression_tokens(vault, [in_lake])


def test_a_token_is_neither_the_address_nor_its_identity():
    vault = Vault()
    address = identify(vault, "email", "ann@shop.example")
    (token,) = suppression_tokens(vault, [address])
    assert token not in (address, "ann@shop.example")
    assert suppression_tokens(vault, [identify(vault, "phone", "ann@shop.example")]) != [token]

"""Who is held out of something: by a salted hash, so for good and the same wherever it is asked."""

from __future__ import annotations

import hashlib
import hmac

_RANGE = 2.0**64
EVERYTHING = "*"
"""What the global holdout is held out of; no campaign is called so."""


def place_of(salt: bytes, scope: str, party_id: str) -> float:
    """HMAC-SHA256(salt, holdout | scope | party) in [0, 1): held out below a share."""
    digest = hmac.digest(salt, f"holdout|{scope}|{party_id}".encode(), hashlib.sha256)
    return int.from_bytes(digest[:8], "big") / _RANGE

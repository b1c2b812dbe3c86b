"""Who is held out of a campaign to measure its effect: by a salted hash, so for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zhiyin.core import columns as c
from zhiyin.core.decisions import HOLDOUT, TREAT
from zhiyin.core.errors import InvalidParameter
from zhiyin.govern.holdout import place_of


def is_held_out(
    campaign_id: str, customer_ids: Sequence[str], *, salt: bytes, share: float
) -> NDArray[np.bool_]:
    """(n,) whether each customer belongs to the holdout of a campaign.

    HMAC-SHA256(salt, campaign | customer), read as a fraction in [0, 1), is below `share`: the
    same for every run, whatever else is drawn, and independent from campaign to campaign. A
    larger share keeps everybody who was held out under a smaller one.

    Parameters
    ----------
    customer_ids
        The party that stands for each customer.
    salt
        The workspace's assignment salt.

    Raises
    ------
    InvalidParameter
        If `share` is outside [0, 1).
    """
    if not 0 <= share < 1:
        raise InvalidParameter(f"the holdout's share must be in [0, 1), not {share}")
    held = [place_of(salt, campaign_id, one) < share for one in customer_ids]
    return np.array(held, dtype=np.bool_)


def find_earlier_arms(
    decisions: Iterable[Mapping[str, Any]], customer_of: Mapping[str, str]
) -> dict[str, str]:
    """The arm that each customer of today got first, over all her parties, by customer id.

    Parameters
    ----------
    decisions
        Earlier decisions of one campaign: `party_id`, `customer_id` (of that day), `arm`,
        `decided_at`. Arm `none` is no arm: nothing was promised.
    customer_of
        Party → customer, as of today; a party that is not in it stands for itself.

    Notes
    -----
    A customer whose parties were apart and got arms at the same moment is held out.
    """
    first: dict[str, tuple[Any, bool, str]] = {}
    for row in decisions:
        arm = row[c.ARM]
        if arm not in (TREAT, HOLDOUT):
            continue
        candidate = (row[c.DECIDED_AT], arm != HOLDOUT, arm)
        for party in {row[c.PARTY_ID], row[c.CUSTOMER_ID]}:
            customer = customer_of.get(party, party)
            first[customer] = min(first.get(customer, candidate), candidate)
    return {customer: arm for customer, (_, _, arm) in first.items()}

"""Lists that requests got, from the journal to the table `decisions` (law 5)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.clock import local_day, naive_utc
from zhiyin.core.decisions import (
    BY_PLACEMENT,
    NO_ARM,
    RECOMMENDED,
    RECOMMENDED_TO_ALL,
    Shown,
)
from zhiyin.core.tables import DECISIONS
from zhiyin.store.workspace import WorkspaceStore

POLICY = "recommend"
NOTHING = "nothing"
_decoder = msgspec.msgpack.Decoder(Shown)


def write_shown(store: WorkspaceStore, unit: str, payloads: Iterable[bytes]) -> int:
    """Append what the frames of a unit of the journal tell, exactly once; how many rows.

    `campaign_id` is `placement:<name>`, `action` the link of the chain that gave the first
    product, `eligible` the links that could have, `policy_version` the generation. A list is
    made without chance: its propensity is 1.
    """
    rows = [_row(_decoder.decode(one), store.zone) for one in payloads]
    if rows:
        full = pa.Table.from_pylist(rows)
        store.append(DECISIONS.name, full, app=f"{unit}:{DECISIONS.name}")
    return len(rows)


def _row(shown: Shown, zone: str) -> dict[str, Any]:
    at = datetime.fromtimestamp(shown.at_us / 1_000_000, UTC)
    return {
        c.DECISION_ID: shown.decision_id, c.TURN_ID: BY_PLACEMENT, c.AS_OF_ON: local_day(at, zone),
        c.CAMPAIGN_ID: f"{BY_PLACEMENT}:{shown.placement}", c.PARTY_ID: shown.party_id,
        c.CUSTOMER_ID: shown.customer_id, c.DECIDED_AT: naive_utc(at), c.MONTH: f"{at:%Y-%m}",
        c.ELIGIBLE: json.dumps(list(shown.chain)), c.ACTION: shown.source or NOTHING,
        c.ARM: NO_ARM, c.PROPENSITY: 1.0, c.EXPLORED: False, c.PERSONALISED: shown.personalised,
        c.PRODUCT_IDS: json.dumps(list(shown.product_ids)), c.POLICY: POLICY,
        c.POLICY_VERSION: str(shown.generation), c.DECIDED_BY: BY_PLACEMENT,
        c.REASON: RECOMMENDED if shown.personalised else RECOMMENDED_TO_ALL,
    }  # fmt: skip

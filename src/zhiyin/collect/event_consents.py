"""What visitors allow their data to be used for, as consent managers report it with events.

Channel is `web`: these are purposes of data use, not permission to write to somebody (Segment,
*Consent in Unify*: not for communication). So none of them is `marketing`, which the gate asks for.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from zhiyin.collect import ledger
from zhiyin.collect.event_rows import Kept
from zhiyin.core.clock import naive_utc
from zhiyin.core.protocols import Store

WEB = "web"
CATEGORIES: dict[str, str] = {
    "necessary": "necessary", "strictly necessary": "necessary", "essential": "necessary",
    "analytics": "analytics", "performance": "analytics", "statistics": "analytics",
    "analytics storage": "analytics",
    "advertising": "ads", "ads": "ads", "targeting": "ads", "marketing": "ads",
    "ad storage": "ads", "ad user data": "ads", "data sharing": "ads",
    "functional": "personalisation", "functionality": "personalisation",
    "personalization": "personalisation", "personalisation": "personalisation",
    "preferences": "personalisation", "personalization storage": "personalisation",
    "ad personalization": "ads", "profiling": "profiling", "automated decisions": "profiling",
}  # fmt: skip
"""Category of a consent manager (without case, spaces for _ and -) → purpose."""


@dataclass
class Consents:
    """Answers of a unit; filled event by event: (source, party, purpose) → answers."""

    answers: dict[tuple[str, str, str], list[tuple[int, str, bool]]] = field(default_factory=dict)

    def see(self, one: Kept) -> None:
        """Note the category preferences that came with an event."""
        consent = one.event.context.get("consent")
        choices = consent.get("categoryPreferences") if isinstance(consent, dict) else None
        if not isinstance(choices, dict):
            return
        event = one.event
        by_purpose: dict[str, bool] = {}
        for category, granted in choices.items():
            purpose = CATEGORIES.get(category.strip().lower().replace("_", " ").replace("-", " "))
            if purpose is None:
                event.findings.append("unknown_consent_category")
            elif isinstance(granted, bool):  # the strictest of several categories holds
                by_purpose[purpose] = by_purpose.get(purpose, True) and granted
            else:
                event.findings.append("wrong_type:consent")
        for purpose, granted in by_purpose.items():
            key = (event.request.source, one.party_id, purpose)
            self.answers.setdefault(key, []).append((event.occurred_us, one.event_id, granted))

    def write(self, store: Store) -> int:
        """Add each answer that differs from the one before it; how many were added."""
        rows: dict[str, dict[str, object]] = {}
        for source in sorted({key[0] for key in self.answers}):
            mine = {key[1:]: found for key, found in self.answers.items() if key[0] == source}
            parties = sorted({party for party, _ in mine})
            with store.begin() as connection:
                held = ledger.latest_consents(connection, parties, channel=WEB, source=source)
            for (party, purpose), found in sorted(mine.items()):
                before = held.get((party, purpose))
                for at, _, granted in sorted(found):
                    if granted is not before:
                        row = _row(party, purpose, granted, at, source)
                        rows[str(row["consent_id"])] = row
                    before = granted
        if not rows:
            return 0
        with store.begin() as connection:
            return ledger.add_consents(connection, list(rows.values()))


def _row(party: str, purpose: str, granted: bool, at: int, source: str) -> dict[str, object]:
    moment = naive_utc(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at))
    row = {
        "party_id": party, "purpose": purpose, "channel": WEB, "granted": granted, "at": moment,
        "source": source, "text_version": None,
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(row, default=str, sort_keys=True).encode()).hexdigest()
    return {"consent_id": key, **row}

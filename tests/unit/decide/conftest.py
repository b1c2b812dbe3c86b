"""A shop in memory, just large enough for the job `decide`."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pyarrow as pa
import pytest

from zhiyin.core import columns as c
from zhiyin.core import ledger
from zhiyin.core.clock import FrozenClock, naive_utc, run_moment
from zhiyin.core.config import validate_settings
from zhiyin.core.context import Context
from zhiyin.core.rng import Streams
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import table as table_of
from zhiyin.testing.store import MemoryStore

ZONE = "America/New_York"
DAY = date(2026, 5, 4)
BEFORE = datetime(2026, 5, 3, 16)
FILLERS = {
    "string": "x", "int64": 1, "float64": 0.0, "bool": False, "json": "[]", "binary": b"",
    "timestamp": BEFORE, "date": DAY,
}  # fmt: skip


class Vault:
    """Tokens and a salt; nothing personal is sealed here."""

    salt = b"a published salt"

    def token(self, purpose, value):
        return hashlib.sha256(f"{purpose}|{value}".encode()).hexdigest()


class Shop:
    """Rows and consents are put in by hand; `decide` gives the context of a turn."""

    def __init__(self):
        self.store = MemoryStore(zone=ZONE)
        self.vault = Vault()
        self._seq = 0

    def add(self, name, *rows):
        """Append rows; required columns that are left out are filled."""
        described = table_of(name)
        filled, known = [], frozenset(described.names)
        needed = {one.name: FILLERS[one.type] for one in described.columns if one.required} | (
            {c.OP: "upsert"} if described.revisions else {}
        )
        for row in rows:
            months = {c.MONTH: f"{row.get(described.time, BEFORE):%Y-%m}"} if described.time else {}
            made = {**needed, **months, **row}
            filled.append({k: v for k, v in made.items() if k in known})
        self._seq += 1
        body = pa.Table.from_pylist(filled, schema=arrow_schema(described))
        self.store.append(name, body, app=f"test-{self._seq}")

    def add_customer(self, party, *, email=True, zone=ZONE, consent=True):
        """A party with an address and a consent."""
        self.add("customers", {c.PARTY_ID: party, c.TIME_ZONE: zone, c.LANGUAGE: "en",
                               c.VALID_AT: BEFORE})  # fmt: skip
        identities = [("user_id", f"id-{party}")] + ([("email", f"mail-{party}")] if email else [])
        for namespace, identity in identities:
            self.add("identities", {c.IDENTITY_ID: identity, c.NAMESPACE: namespace,
                                    c.PARTY_ID: party, c.VALID_AT: BEFORE})  # fmt: skip
        if consent is not None:
            self.add_consent(party, granted=consent)

    def add_consent(
        self, party, *, granted, at=datetime(2026, 1, 1), purpose="marketing", channel="email"
    ):
        with self.store.begin() as connection:
            connection.execute(
                ledger.consents.insert().values(
                    consent_id=f"{party}-{at}-{purpose}", party_id=party, purpose=purpose,
                    channel=channel, granted=granted, at=at, source="test",
                )
            )  # fmt: skip

    def suppress(self, token):
        with self.store.begin() as connection:
            connection.execute(
                ledger.suppressions.insert().values(
                    token=token, channel="*", reason="complaint", at=datetime(2026, 1, 1)
                )
            )

    def send(self, party, *, at):
        """A message that reached the party."""
        with self.store.begin() as connection:
            connection.execute(
                ledger.messages.insert().values(
                    message_id=f"m-{party}-{at}", campaign_id="s:old", turn_id="t", party_id=party,
                    customer_id=party, channel="email", language="en", state="sent",
                    planned_at=naive_utc(at), sent_at=naive_utc(at),
                )
            )  # fmt: skip

    def add_campaign(self, campaign="s:k", *, start=DAY, end=date(2026, 5, 20)):
        self.add("campaigns", {c.CAMPAIGN_ID: campaign, c.START_ON: start, c.END_ON: end,
                               c.VALID_AT: BEFORE})  # fmt: skip

    def plan(self, *parties, campaign="s:k"):
        self.add("touches", *({
            c.TOUCH_ID: f"{campaign}-{one}", c.PARTY_ID: one, c.KIND: "planned",
            c.CAMPAIGN_ID: campaign, c.OCCURRED_AT: BEFORE,
        } for one in parties))  # fmt: skip

    def score(self, values, *, day=DAY, task="response", subject="s:k"):
        """`values`: customer → probability; a response is worth 10.00."""
        old = self.store.read("scores").to_pyarrow()
        rows = [row for row in old.to_pylist() if row[c.AS_OF_ON] == day]
        rows += [
            {
                c.AS_OF_ON: day, c.CUSTOMER_ID: who, c.TASK: task, c.SUBJECT: subject,
                c.SCORE: value, c.RANK: 1, c.EXPECTED_PROFIT_MINOR: 1000.0, c.MODEL: "m",
                c.MODEL_VERSION: "v", c.REASONS: "[]",
            }
            for who, value in values.items()
        ]  # fmt: skip
        made = pa.Table.from_pylist(rows, schema=arrow_schema(table_of("scores")))
        self.store.replace("scores", made, scope={c.AS_OF_ON: day})

    def context(self, day=DAY, **decide):
        settings = validate_settings(
            {"name": "shop", "zone": ZONE, "decide": {"explore_share": 0, "holdout_share": 0,
                                                      "max_share": 1, **decide}},
            where="test",
        )  # fmt: skip
        clock = FrozenClock(run_moment(day, ZONE))
        return Context(settings, self.store, self.vault, clock, Streams(7), day, f"turn-{day}")

    def decisions(self, day=DAY):
        """customer → her row of the day."""
        rows = self.store.read("decisions").to_pyarrow().to_pylist()
        return {row[c.CUSTOMER_ID]: row for row in rows if row[c.AS_OF_ON] == day}


@pytest.fixture
def shop():
    made = Shop()
    yield made
    made.store.close()


@pytest.fixture
def moments():
    """Named moments of the tests."""
    return SimpleNamespace(run=datetime(2026, 5, 4, 13, tzinfo=UTC), before=BEFORE, day=DAY)

"""A small shop whose customers can be decided about and written to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from email import message_from_bytes, policy
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, naive_utc, run_moment, start_of_day
from zhiyin.core.config import validate_settings
from zhiyin.core.context import Context
from zhiyin.core.ledger import consents, messages, suppressions
from zhiyin.core.rng import Streams
from zhiyin.govern.suppression import address_token, identify
from zhiyin.testing.contract_store import LOADED, merge, put

ZONE = "America/New_York"
DAY = date(2024, 3, 12)
CAMPAIGN = "s:spring"
OFFER = "s:coupon"
LONG_AGO = naive_utc(start_of_day(DAY - timedelta(days=30), ZONE))
LOADING = {c.SOURCE: "s", c.LOAD_ID: "l", c.LOADED_AT: LOADED}
REVISION = {c.REVISION: 1, c.VALID_AT: LONG_AGO, c.RECORDED_AT: LOADED, c.OP: "upsert", **LOADING}
PRODUCTS = {
    "s:1": ("APPLE JUICE, 1 L", "National", "JUICES"),
    "s:2": ("{{ shop }}{% raw %} <script>alert(1)</script>\r\nBcc: all@shop.example", None, None),
    "s:3": ("Rice & beans “good”", "Private", None),
    "s:4": ("APPLE JUICE, 1 L", "National", "JUICES"),
    "s:5": ("豆腐", "国民", "豆制品"),
    "s:6": ("One too many", None, None),
}


def settings_of(**changes: Any):
    values = {"name": "Shop & Söhne", "zone": ZONE, "demo": True} | changes
    return validate_settings(values, where="test")


class Shop:
    """Rows go to `store`; every person gets a party of her key."""

    def __init__(self, store, vault, **settings):
        self.store, self.vault = store, vault
        self.settings = settings_of(**settings)
        self._appended = 0
        put(store, "campaigns", {
            c.CAMPAIGN_ID: CAMPAIGN, c.NAME: "Spring", c.START_ON: DAY,
            c.END_ON: date(2024, 4, 30), **REVISION,
        })  # fmt: skip
        put(store, "offers", *(
            {c.OFFER_ID: OFFER, c.CAMPAIGN_ID: CAMPAIGN, c.PRODUCT_ID: one, c.KIND: "coupon",
             c.END_ON: date(2024, 4, 15), **REVISION}
            for one in PRODUCTS
        ))  # fmt: skip
        put(store, "products", *(
            {c.PRODUCT_ID: one, c.NAME: name, c.BRAND: brand, c.CATEGORY: category, **REVISION}
            for one, (name, brand, category) in PRODUCTS.items()
        ))  # fmt: skip

    def party(self, key: str) -> str:
        return self.vault.party_ids("user_id", [key])[0]

    def add(self, *keys: str, language: str | None = "en", consent: bool | None = True,
            zone: str | None = None, **personal: object) -> None:  # fmt: skip
        """People with the address `<key>@shop.example` unless `personal` says otherwise."""
        parties = [self.party(key) for key in keys]
        fields = [{"email": f"{key}@shop.example"} | personal for key in keys]
        blobs = self.vault.seal(parties, fields)
        rows = [
            {c.PARTY_ID: party, c.LANGUAGE: language, c.TIME_ZONE: zone, c.UNDATED: False,
             c.PERSONAL: blob, **REVISION}
            for party, blob in zip(parties, blobs, strict=True)
        ]  # fmt: skip
        self._appended += 1
        put(self.store, "customers", *rows, app=f"people {self._appended}")
        if consent is not None:
            self.consent(*keys, granted=consent)

    def consent(self, *keys: str, granted: bool, days: int = 0, purpose: str = "marketing") -> None:
        """A line of the consent record, `days` after the others."""
        rows = [
            {"consent_id": f"{key}|{granted}|{days}|{purpose}", "party_id": self.party(key),
             "purpose": purpose, "channel": "email", "granted": granted,
             "at": LONG_AGO + timedelta(days=days), "source": "s"}
            for key in keys
        ]  # fmt: skip
        with self.store.begin() as connection:
            connection.execute(consents.insert(), rows)

    def suppress(self, address: str, *, channel: str = "email") -> None:
        token = address_token(self.vault, channel, address)
        row = {"token": token, "channel": channel, "reason": "bounce", "at": LONG_AGO}
        with self.store.begin() as connection:
            connection.execute(suppressions.insert(), [row])

    def identify(self, key: str, address: str) -> None:
        """An address that is known from elsewhere than the person's customer row."""
        self._appended += 1
        row = {c.IDENTITY_ID: identify(self.vault, "email", address), c.NAMESPACE: "email",
               c.PARTY_ID: self.party(key), c.VALID_AT: LONG_AGO, **LOADING}  # fmt: skip
        put(self.store, "identities", row, app=f"identity {self._appended}")

    def merge(self, key: str, into: str) -> None:
        self._appended += 1
        row = merge(self.party(key), self.party(into), LONG_AGO)
        put(self.store, "merges", row, app=f"merge {self._appended}")

    def decide(self, *keys: str, held: tuple[str, ...] = (), none: tuple[str, ...] = (),
               day: date = DAY, products=tuple(PRODUCTS),
               generic: tuple[str, ...] = (), campaign: str = CAMPAIGN) -> None:  # fmt: skip
        """Make these the only decisions of the day."""
        arms = dict.fromkeys(keys, "treat") | dict.fromkeys(held, "holdout")
        arms |= dict.fromkeys(none, "none")
        at = naive_utc(run_moment(day, ZONE))
        rows = [
            {c.DECISION_ID: f"d:{day}:{key}", c.TURN_ID: "t", c.AS_OF_ON: day,
             c.CAMPAIGN_ID: campaign, c.PARTY_ID: self.party(key),
             c.CUSTOMER_ID: self.party(key), c.DECIDED_AT: at, c.MONTH: f"{at:%Y-%m}",
             c.ELIGIBLE: "[]", c.ACTION: "none" if arm == "none" else "contact", c.ARM: arm,
             c.PROPENSITY: 0.9, c.EXPLORED: False, c.OFFER_ID: OFFER,
             c.PRODUCT_IDS: json.dumps(products), c.POLICY: "p", c.POLICY_VERSION: "1",
             c.REASON: "expected_profit", c.PERSONALISED: key not in generic}
            for key, arm in arms.items()
        ]  # fmt: skip
        self.store.replace(
            "decisions", pa.Table.from_pylist(rows), scope={c.AS_OF_ON: day, c.DECIDED_BY: None}
        )

    def context(self, channel=None, *, turn: str = "t1", day: date = DAY, clock=None) -> Context:
        moment = FrozenClock(run_moment(day, ZONE))
        return Context(
            self.settings, self.store, self.vault, clock or moment, Streams(7), day, turn, channel
        )

    def with_settings(self, **changes: Any) -> Shop:
        """The same shop under other settings of `[act]`."""
        other = object.__new__(Shop)
        other.__dict__ = dict(self.__dict__)
        act = self.settings.act.model_copy(update=changes)
        other.settings = self.settings.model_copy(update={"act": act})
        return other

    def states(self) -> dict[str, tuple[str, str | None]]:
        """Party → state and reason of her message."""
        with self.store.begin() as connection:
            rows = connection.execute(sa.select(messages)).all()
        return {row.party_id: (row.state, row.reason) for row in rows}

    def state(self, key: str) -> tuple[str, str | None]:
        return self.states()[self.party(key)]


def opened(content: bytes):
    """The e-mail as a mail program reads it."""
    return message_from_bytes(content, policy=policy.default)


def with_channel(ctx: Context, channel) -> Context:
    return replace(ctx, channel=channel)

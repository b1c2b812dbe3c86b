# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Who events are about: identities, merges, and customers with the traits they were given.

A visitor without a user id, an e-mail address, a telephone or an order is no customer yet: her
events and her identity are kept, a row of `customers` is not made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from zhiyin.collect.event_fields import clean_fields
from zhiyin.collect.event_rows import Kept
from zhiyin.collect.identity import join_records
from zhiyin.collect.mapping import EMAIL, PHONE, USER_ID
from zhiyin.collect.merge_guards import Limits
from zhiyin.collect.personal import normalise_email, normalise_phone
from zhiyin.collect.shape import lake_rows
from zhiyin.core import columns as c
from zhiyin.core.protocols import Store, Vault
from zhiyin.core.tables import TABLES

ANONYMOUS = "anonymous_id"
_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True)
_LOOSE = (EMAIL, PHONE, ANONYMOUS)
"""Namespaces of identifiers that belong to the one user who was seen with them."""
_COLUMNS = {
    c.LANGUAGE: ("language", "locale", "lang"),
    c.COUNTRY: ("country", "countryCode", "country_code"),
    c.REGION: ("region", "state", "province"),
    c.CITY: ("city",),
    c.TIME_ZONE: ("timezone", "timeZone", "time_zone"),
}


class Traits(NamedTuple):
    """What one `identify` says about a party."""

    party_id: str
    at: int  # microseconds since 1970
    event_id: str
    columns: dict[str, str]
    open: Mapping[str, Any]
    personal: dict[str, Any]
    source: str


Seen = tuple[str, str | None, str]
"""Who an event is about: party, anonymous id, source. The party tells the user id."""


@dataclass
class People:
    """What a unit knows about people; filled event by event, then settled.

    `seen`: who was seen; when first, with which user id and its namespace. `sightings`:
    (namespace, normalised value, party) → first time and source. `customers`: party → first time
    and source of those who are customers. `traits`: what identifies say.
    """

    seen: dict[Seen, tuple[int, str | None, str]] = field(default_factory=dict)
    sightings: dict[tuple[str, str, str], tuple[int, str]] = field(default_factory=dict)
    customers: dict[str, tuple[int, str]] = field(default_factory=dict)
    traits: list[Traits] = field(default_factory=list)

    def see(self, one: Kept) -> None:
        """Note who the event is about, and which identifiers it holds together."""
        event, request = one.event, one.event.request
        at = event.occurred_us
        who = (one.party_id, event.anonymous_id, request.source)
        known = self.seen.get(who)
        if known is None or at < known[0]:
            self.seen[who] = at, event.user_id, request.user_namespace
        if event.kind == "alias":
            self._alias(one)
        elif event.kind == "identify":
            self._identify(one)
        said = one.shape.said
        if said.order is not None and said.plain.endswith("completed"):
            self._customer(one.party_id, at, request.source)

    def settle(self) -> None:
        """Make sightings and customers of who was seen."""
        for (party, anonymous_id, source), (at, user_id, namespace) in self.seen.items():
            if user_id is not None:
                self._sight((namespace, user_id, party), at, source)
                self._customer(party, at, source)
            if anonymous_id is not None:
                self._sight((ANONYMOUS, anonymous_id, party), at, source)

    def _alias(self, one: Kept) -> None:
        event, previous = one.event, one.event.other.get("previousId")
        if isinstance(previous, str) and previous.strip() and event.user_id is not None:
            key = (ANONYMOUS, previous.strip(), one.party_id)
            self._sight(key, event.occurred_us, event.request.source)

    def _sight(self, key: tuple[str, str, str], at: int, source: str) -> None:
        known = self.sightings.get(key)
        if known is None or (at, source) < known:
            self.sightings[key] = (at, source)

    def _customer(self, party: str, at: int, source: str) -> None:
        known = self.customers.get(party)
        if known is None or (at, source) < known:
            self.customers[party] = (at, source)

    def _identify(self, one: Kept) -> None:
        event, request = one.event, one.event.request
        personal = dict(one.shape.trait_personal)
        for namespace, normalise in ((EMAIL, normalise_email), (PHONE, normalise_phone)):
            value = personal.get(namespace)
            value = str(value) if isinstance(value, str | int) else ""
            found = normalise(value) if value and not isinstance(value, bool) else None
            if found is not None:
                self._sight((namespace, found, one.party_id), event.occurred_us, request.source)
                self._customer(one.party_id, event.occurred_us, request.source)
        if not one.shape.traits and not personal:
            return
        raw = {**_object(event.context.get("traits")), **event.traits}
        self.traits.append(
            Traits(
                one.party_id, event.occurred_us, one.event_id, _columns(raw, event.context),
                clean_fields(one.shape.traits, personal), personal, request.source,
            )
        )  # fmt: skip


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _columns(traits: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, str]:
    address = _object(traits.get("address"))
    made = {}
    for column, names in _COLUMNS.items():
        values = (place.get(name) for place in (traits, address, context) for name in names)
        found = next((v for v in values if isinstance(v, str) and 0 < len(v) <= 80), None)
        if found is not None and "@" not in found:
            made[column] = found
    return made


@dataclass(frozen=True)
class Writer:
    """Where rows about people go."""

    store: Store
    vault: Vault
    load_id: str
    now: datetime
    limits: Limits

    def write(self, people: People) -> dict[str, int]:
        """Identities, merges and customers of the unit, in this order; rows by table."""
        people.settle()
        fresh = self._identities(people)
        made = {"identities": len(fresh), "merges": 0}
        if fresh:
            ids = pa.array(sorted({*fresh}), pa.string())
            made["merges"], made["identity_conflicts"] = join_records(
                self.store, app=self.load_id, limits=self.limits, fresh=ids
            )
        return {**made, "customers": self._customers(people)}

    def _append(self, table: str, rows: pa.Table) -> int:
        if rows.num_rows:
            self.store.append(table, rows, app=f"{self.load_id}:{table}")
        return rows.num_rows

    def _identities(self, people: People) -> list[str]:
        """Append sightings that the lake does not hold; their identity ids."""
        token = self.vault.token
        seen = sorted(
            (token("identity", f"{namespace}|{value}"), party, namespace, at, source)
            for (namespace, value, party), (at, source) in people.sightings.items()
        )
        if not seen:
            return []
        tokens = [one[0] for one in seen]
        held = self.held("identities", c.IDENTITY_ID, tokens, [c.IDENTITY_ID, c.PARTY_ID])
        there = set(zip(held.column(0).to_pylist(), held.column(1).to_pylist(), strict=True))
        new = [one for one in seen if one[:2] not in there] if there else seen
        if not new:
            return []
        tokens, parties, namespaces, moments, sources = zip(*new, strict=True)
        columns = {
            c.IDENTITY_ID: pa.array(tokens, pa.string()),
            c.NAMESPACE: pa.array(namespaces, pa.string()),
            c.PARTY_ID: pa.array(parties, pa.string()),
            c.VALID_AT: _moments(moments),
            c.SOURCE: pa.array(sources, pa.string()),
        }
        rows = lake_rows(
            columns, TABLES["identities"], len(new), load_id=self.load_id, loaded_at=self.now
        )
        self._append("identities", rows)
        return list(tokens)

    def held(
        self, table: str, key: str, values: Sequence[str], names: list[str], *, mine: bool = False
    ) -> pa.Table:
        """`names` of the rows of a table with one of `values`, written by this unit or not."""
        rows = self.store.read(table)
        if not mine and c.LOAD_ID in rows.columns:
            rows = rows.filter(rows[c.LOAD_ID] != self.load_id)
        wanted = pa.table({key: pa.array(sorted({*values}), pa.string())})
        return rows.semi_join(self.store.to_ibis(wanted), key).select(*names).to_pyarrow()

    def _customers(self, people: People) -> int:
        by_party: dict[str, list[Traits]] = {}
        for one in sorted(people.traits, key=lambda one: (one.at, one.event_id)):
            by_party.setdefault(one.party_id, []).append(one)
        parties = sorted({*people.customers, *by_party})
        if not parties:
            return 0
        held = self.held("customers", c.PARTY_ID, parties, list(TABLES["customers"].names))
        personal = self.vault.unseal(
            held.column(c.PARTY_ID).to_pylist(), held.column(c.PERSONAL).to_pylist()
        )
        rows = zip(held.to_pylist(), personal, strict=True)
        old = {row[c.PARTY_ID]: {**row, c.PERSONAL: fields or {}} for row, fields in rows}
        names = _names(people)
        made: list[dict[str, Any]] = []
        for party in parties:
            made += self._revisions(
                party, old.get(party), by_party.get(party, []), people.customers.get(party),
                names.get(party, {}),
            )  # fmt: skip
        return self._append("customers", self._customer_rows(made))

    def _revisions(
        self,
        party: str,
        held: dict[str, Any] | None,
        traits: list[Traits],
        first: tuple[int, str] | None,
        names: dict[str, str],
    ) -> list[dict[str, Any]]:
        """The revisions of a customer that are new: one for each identify that changes her.

        An identify older than what is held fills blanks only.
        """
        made: list[dict[str, Any]] = []
        state = _state(held)
        revision = held[c.REVISION] if held else 0
        last = _micro(held[c.VALID_AT]) if held else 0
        if held is None and first is not None and (not traits or first[0] < traits[0].at):
            state = {"columns": {}, "open": {}, "personal": {**names}}
            revision, last = 1, first[0]
            made.append(_revision(party, state, revision, last, first[1]))
        for one in traits:
            fills = one.at < last
            new = {
                "columns": _join(state["columns"], one.columns, fills=fills),
                "open": _join(state["open"], one.open, fills=fills),
                "personal": _join({**names, **state["personal"]}, one.personal, fills=fills),
            }
            if new == state and revision:
                continue
            state, revision, last = new, revision + 1, max(last, one.at)
            made.append(_revision(party, state, revision, last, one.source))
        return made

    def _customer_rows(self, made: list[dict[str, Any]]) -> pa.Table:
        parties = [one[c.PARTY_ID] for one in made]
        sealed = self.vault.seal(parties, [one[c.PERSONAL] or None for one in made])
        columns: dict[str, Any] = {
            name: pa.array([one.get(name) for one in made], pa.string())
            for name in (c.PARTY_ID, c.SOURCE, c.PROPERTIES, *_COLUMNS)
        }
        columns |= {
            c.REVISION: pa.array([one[c.REVISION] for one in made], pa.int64()),
            c.VALID_AT: _moments(one[c.VALID_AT] for one in made),
            c.PERSONAL: pa.array(sealed, pa.binary()),
        }
        return lake_rows(
            columns, TABLES["customers"], len(made), op="upsert", recorded_at=self.now,
            undated=False, load_id=self.load_id, loaded_at=self.now,
        )  # fmt: skip


def _names(people: People) -> dict[str, dict[str, str]]:
    """The identifiers of each party as a customer keeps them."""
    made: dict[str, dict[str, str]] = {}
    users = sorted(one for one in people.sightings if one[0] not in _LOOSE)
    for _, value, party in users:
        if party in people.customers:
            made.setdefault(party, {USER_ID: value})
    return made


def _state(held: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    if held is None:
        return {"columns": {}, "open": {}, "personal": {}}
    return {
        "columns": {name: held[name] for name in _COLUMNS if held[name] is not None},
        "open": json.loads(held[c.PROPERTIES] or "{}"),
        "personal": held[c.PERSONAL],
    }


def _join(old: Mapping[str, Any], new: Mapping[str, Any], *, fills: bool) -> dict[str, Any]:
    return {**new, **old} if fills else {**old, **new}


def _revision(
    party: str, state: dict[str, dict[str, Any]], revision: int, at: int, source: str
) -> dict[str, Any]:
    text = _JSON.encode(state["open"]) if state["open"] else None
    return {
        c.PARTY_ID: party, c.REVISION: revision, c.VALID_AT: at, c.SOURCE: source,
        c.PROPERTIES: text, c.PERSONAL: state["personal"], **state["columns"],
    }  # fmt: skip


def _moments(values: Iterable[int]) -> pa.Array:
    return pa.array(np.asarray([*values], np.int64).astype("datetime64[us]"), pa.timestamp("us"))


def _micro(moment: datetime) -> int:
    return int(np.datetime64(moment, "us").astype(np.int64))

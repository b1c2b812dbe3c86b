"""Events become rows of `events` and `item_events`, a slice at a time, in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from zhiyin.collect import times
from zhiyin.collect.event_context import Context, Page, read_context, read_page
from zhiyin.collect.event_fields import (
    Found,
    Splitter,
    TooDeep,
    clean,
    put,
    put_all,
    suspects,
)
from zhiyin.collect.event_money import Terms, read_amounts
from zhiyin.collect.event_shop import Hide, Properties, read_properties
from zhiyin.collect.personal import mask
from zhiyin.collect.recent import Recent
from zhiyin.collect.shape import lake_rows
from zhiyin.collect.tracking import Event
from zhiyin.core import columns as c
from zhiyin.core.protocols import Vault
from zhiyin.core.tables import TABLES

_NOTHING, _NOWHERE = Properties(), Page()
_ENCODER = msgspec.json.Encoder()
_OF_EVENT = (
    c.EVENT_ID, c.PARTY_ID, c.OCCURRED_AT, c.RECEIVED_AT, c.KIND, c.NAME, c.CHANNEL, c.PRODUCT_ID,
    c.ORDER_ID, c.CART_ID, c.QUERY, c.PAGE, c.REFERRER, c.UTM_SOURCE, c.UTM_MEDIUM,
    c.UTM_CAMPAIGN, c.UTM_TERM, c.UTM_CONTENT, c.VALUE, c.CURRENCY, c.PROPERTIES, c.SOURCE,
)  # fmt: skip
_OF_ITEM = (
    c.ITEM_EVENT_ID, c.EVENT_ID, c.PARTY_ID, c.OCCURRED_AT, c.KIND, c.PRODUCT_ID, c.CART_ID,
    c.ORDER_ID, c.LIST_ID, c.POSITION, c.QUANTITY, c.VALUE, c.CURRENCY, c.SOURCE,
)  # fmt: skip


class Kept(msgspec.Struct):
    """An event with its ids, and what was made of it."""

    event: Event
    event_id: str
    party_id: str
    said: Properties = _NOTHING
    traits: dict[str, Any] = {}
    personal: dict[str, Any] = {}
    trait_personal: dict[str, Any] = {}
    deep: bool = False  # nested too deeply: to be refused


@dataclass
class Shaper:
    """Makes rows of one unit. `hide` turns an id that names a person into a keyed hash.

    Contexts, pages and properties that come again are read once.
    """

    vault: Vault
    terms: Terms
    load_id: str
    now: datetime
    hide: Hide
    splitter: Splitter = field(default_factory=Splitter)
    _contexts: Recent[bytes, Context] = field(default_factory=Recent)
    _pages: Recent[tuple, Page] = field(default_factory=Recent)
    _said: Recent[tuple, Properties] = field(default_factory=Recent)

    def shape(self, kept: Sequence[Kept]) -> tuple[list[Kept], pa.Table, pa.Table]:
        """The events that are nested no deeper than allowed, and their rows in both tables."""
        rows: list[tuple] = []
        good: list[Kept] = []
        for one in kept:
            try:
                rows.append(self._row(one))
            except TooDeep:
                one.deep = True
                continue
            good.append(one)
        return good, self._events(good, rows), self._items(good)

    def _row(self, one: Kept) -> tuple:
        event, request = one.event, one.event.request
        context = self._context(event)
        page = self._page(context, event.properties)
        personal = one.personal = {}
        put_all(personal, page.personal)
        said = _NOTHING
        if event.properties:
            said = one.said = self._properties(event, url_known="url" in personal)
            put_all(personal, said.personal)
        self._split_traits(one)
        if said.findings:
            event.findings.extend(said.findings)
        if request.ip:
            personal.setdefault("ip", request.ip)
        if request.user_agent:
            personal.setdefault("userAgent", request.user_agent)
        if event.user_id is not None:
            personal["user_id"] = event.user_id
        if event.anonymous_id is not None:
            personal["anonymous_id"] = event.anonymous_id
        if event.message_id is not None:
            personal[c.MESSAGE_ID] = event.message_id
        if context.deep:
            raise TooDeep
        put_all(personal, context.personal)
        utm = {**page.utm, **context.campaign} if context.campaign else page.utm
        get = utm.get
        return (
            one.event_id, one.party_id, event.occurred_us, request.received_us, event.kind,
            event.name, request.kind, said.product, said.order, said.cart, said.query,
            page.address, page.host, get("source"), get("medium"), get("campaign"), get("term"),
            get("content"), said.value, said.currency, self._open(one, context), request.source,
        )  # fmt: skip

    def _context(self, event: Event) -> Context:
        text = event.context_text
        known = self._contexts.get(text)
        if known is None:
            known = read_context(self.splitter, event.context)
            if text:
                self._contexts.keep(text, known)
        return known

    def _page(self, context: Context, properties: dict[str, Any]) -> Page:
        """Where it happened: as the context says, else as the properties do."""
        if not context.places and "url" not in properties:
            return _NOWHERE
        get = properties.get
        referrer = context.referrer or get("referrer") or context.referred_by
        key = (_text(context.url or get("url")), _text(referrer), _text(context.search))
        return self._pages.get(key) or self._pages.keep(key, read_page(*key))

    def _properties(self, event: Event, *, url_known: bool) -> Properties:
        track = (event.name or "") if event.kind == "track" else None
        source = event.request.source
        key = (event.properties_text, track, source, url_known)
        known = self._said.get(key)
        if known is None:
            known = read_properties(
                self.splitter, event.properties, track=track, source=source, url_known=url_known,
                hide=self.hide,
            )  # fmt: skip
            if event.properties_text:
                self._said.keep(key, known)
        return known

    def _split_traits(self, one: Kept) -> None:
        event = one.event
        traits = event.traits
        if event.kind == "identify" and isinstance(event.context.get("traits"), dict):
            traits = {**event.context["traits"], **traits}
        if traits:
            found: list[Found] = []
            one.traits = self.splitter.split(traits, found, people=event.kind != "group")
            one.trait_personal = {}
            put_all(one.trait_personal, found)
            for name, value in one.trait_personal.items():
                put(one.personal, name, value, "traits.")

    def _open(self, one: Kept, context: Context) -> bytes | None:
        """What of the event is neither a column nor personal, as JSON."""
        fields: dict[str, Any] = {}
        if one.said.text is not None:
            fields["properties"] = one.said.text
        if one.traits:
            fields["traits"] = one.traits
        if context.open is not None:
            fields["context"] = context.open
        if one.event.other:
            found: list[Found] = []
            rest = self.splitter.split(one.event.other, found)
            put_all(one.personal, found)
            fields |= {k: v for k, v in rest.items() if k not in fields}
        return _ENCODER.encode(fields) if fields else None

    def _events(self, kept: list[Kept], rows: list[tuple]) -> pa.Table:
        names = dict(zip(_OF_EVENT, zip(*rows, strict=True), strict=True)) if rows else {}
        columns = {name: list(names.get(name, ())) for name in _OF_EVENT}
        self._hide_values(kept, columns)
        moments = np.asarray(columns[c.OCCURRED_AT], "datetime64[us]")
        amounts = read_amounts(
            columns.pop(c.VALUE), columns.pop(c.CURRENCY), moments, terms=self.terms
        )
        for code, mask_ in (
            ("wrong_value", amounts.wrong), ("unknown_currency", amounts.unknown),
            ("no_rate", amounts.no_rate),
        ):  # fmt: skip
            for row in np.flatnonzero(mask_).tolist():
                kept[row].event.findings.append(f"{code}:value")
        sealed = self.vault.seal(columns[c.PARTY_ID], [one.personal for one in kept])
        arrays = {
            name: pa.array(values, pa.string())
            for name, values in columns.items()
            if name not in (c.OCCURRED_AT, c.RECEIVED_AT)
        }
        received = np.asarray(columns[c.RECEIVED_AT], "datetime64[us]")
        arrays |= {
            c.OCCURRED_AT: pa.array(moments), c.RECEIVED_AT: pa.array(received),
            c.VALUE_MINOR: amounts.minor, c.VALUE_BASE_MINOR: amounts.base,
            c.CURRENCY: amounts.currency, c.PERSONAL: pa.array(sealed, pa.binary()),
            c.MONTH: times.months(moments).cast(pa.string()),
            c.FINDINGS: pa.array([_codes(one.event.findings) for one in kept], pa.string()),
        }  # fmt: skip
        return lake_rows(
            arrays, TABLES["events"], len(rows), load_id=self.load_id, loaded_at=self.now
        )

    def _hide_values(self, kept: list[Kept], columns: dict[str, list]) -> None:
        """Take values that look personal out of the texts that lie open."""
        for row in suspects(pa.array(columns[c.PROPERTIES], pa.string())):
            columns[c.PROPERTIES][row] = clean(columns[c.PROPERTIES][row], kept[row].personal)
        for name in (c.NAME, c.QUERY, c.UTM_SOURCE, c.UTM_MEDIUM, c.UTM_CAMPAIGN, c.UTM_TERM,
                     c.UTM_CONTENT):  # fmt: skip
            for row in suspects(pa.array(columns[name], pa.string())):
                text = columns[name][row]
                if (masked := mask(text)) != text:
                    put(kept[row].personal, name, text)
                    columns[name][row] = masked
                    kept[row].event.findings.append(f"personal_value:{name}")

    def _items(self, kept: list[Kept]) -> pa.Table:
        rows = [
            (f"{one.event_id}:{item[0]}", one.event_id, one.party_id, one.event.occurred_us,
             *item[1:])
            for one in kept
            for item in one.said.item_rows
        ]  # fmt: skip
        columns = (
            dict(zip(_OF_ITEM, map(list, zip(*rows, strict=True)), strict=True)) if rows else {}
        )
        columns = columns or {name: [] for name in _OF_ITEM}
        moments = np.asarray(columns[c.OCCURRED_AT], "datetime64[us]")
        amounts = read_amounts(
            columns.pop(c.VALUE), columns.pop(c.CURRENCY), moments, terms=self.terms
        )
        positions = [p if p is None or abs(p) < 2**62 else None for p in columns.pop(c.POSITION)]
        arrays = {
            c.POSITION: pa.array(positions, pa.int64()),
            c.QUANTITY: pa.array(columns.pop(c.QUANTITY), pa.float64()),
            c.OCCURRED_AT: pa.array(moments), c.PRICE_MINOR: amounts.minor,
            c.PRICE_BASE_MINOR: amounts.base, c.CURRENCY: amounts.currency,
            c.MONTH: times.months(moments).cast(pa.string()),
        }  # fmt: skip
        columns.pop(c.OCCURRED_AT)
        arrays |= {name: pa.array(values, pa.string()) for name, values in columns.items()}
        return lake_rows(
            arrays, TABLES["item_events"], len(rows), load_id=self.load_id, loaded_at=self.now
        )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _codes(findings: list[str]) -> str | None:
    if not findings:
        return None
    return msgspec.json.encode(sorted({*findings})).decode()

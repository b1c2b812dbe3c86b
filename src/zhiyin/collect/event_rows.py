"""Events become rows of `events` and `item_events`, a slice at a time, in columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from zhiyin.collect import times
from zhiyin.collect.ecommerce import (
    ITEM_KINDS,
    ORDER_EVENTS,
    Item,
    currency_of,
    items_of,
    order_id_of,
    plain_name,
    product_id_of,
    short_id,
)
from zhiyin.collect.event_fields import (
    Splitter,
    TooDeep,
    clean,
    put,
    read_page,
    suspects,
)
from zhiyin.collect.event_money import Terms, read_amounts
from zhiyin.collect.personal import mask
from zhiyin.collect.shape import lake_rows
from zhiyin.collect.tracking import Event
from zhiyin.core import columns as c
from zhiyin.core.protocols import Vault
from zhiyin.core.tables import TABLES

_SHORT = 400
_UTM = ("source", "medium", "campaign", "term", "content")
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
    open: dict[str, Any] = {}  # properties without personal keys
    traits: dict[str, Any] = {}
    personal: dict[str, Any] = {}
    trait_personal: dict[str, Any] = {}
    items: list[Item] = []
    order_id: str | None = None
    plain: str = ""  # its name as the tables of `ecommerce` know it
    deep: bool = False  # nested too deeply: to be refused


@dataclass
class Shaper:
    """Makes rows of one unit. `hide` turns an id that names a person into a keyed hash."""

    vault: Vault
    terms: Terms
    load_id: str
    now: datetime
    hide: Callable[[str], str]
    splitter: Splitter = field(default_factory=Splitter)

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
        properties, context, personal = event.properties, event.context, {}
        one.personal = personal
        page, referrer, utm = None, None, {}
        if "page" in context or "url" in properties or "referrer" in context:
            page, referrer, utm = read_page(properties, context, personal)
        campaign = context.get("campaign")
        if isinstance(campaign, dict):
            utm = {**utm, **_campaign(campaign)}
        self._split(one, personal)
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
        shop = self._shop(one) if properties else (None, None, None, None, None, None)
        fields = {}
        if one.open:
            fields["properties"] = one.open
        if one.traits:
            fields["traits"] = one.traits
        made = _context(self.splitter, context, personal)
        if made:
            fields["context"] = made
        if event.other:
            rest = self.splitter.split(event.other, personal)
            fields |= {k: v for k, v in rest.items() if k not in fields}
        product, order, cart, query, value, currency = shop
        get = utm.get
        return (
            one.event_id, one.party_id, event.occurred_us, request.received_us, event.kind,
            event.name, request.kind, product, order, cart, query, page, referrer, get("source"),
            get("medium"), get("campaign"), get("term"), get("content"), value, currency,
            _ENCODER.encode(fields) if fields else None, request.source,
        )  # fmt: skip

    def _split(self, one: Kept, personal: dict[str, Any]) -> None:
        event = one.event
        if event.properties:
            one.open = self.splitter.split(event.properties, personal)
            if "url" in one.open and "url" in personal:
                del one.open["url"]
            for noise in ("referrer", "search"):
                one.open.pop(noise, None)
        traits = event.traits
        if event.kind == "identify" and isinstance(event.context.get("traits"), dict):
            traits = {**event.context["traits"], **traits}
        if traits:
            mine = one.trait_personal = {}
            one.traits = self.splitter.split(traits, mine, people=event.kind != "group")
            for name, value in mine.items():
                put(personal, name, value, "traits.")

    def _shop(self, one: Kept) -> tuple:
        """Product, order, cart, query, value and currency of an event, and its products."""
        event, fields = one.event, one.event.properties
        source = event.request.source
        product = order = value = None
        if event.kind == "track":
            one.plain = plain_name(event.name)
            kind = ITEM_KINDS.get(one.plain)
            if kind is not None:
                one.items = items_of(kind, fields, event.findings)
            if len(one.items) == 1 and one.items[0].fields is fields:
                product = self._safe(source, one.items[0].product_id)
            elif kind is None and "product_id" in fields:
                product = self._safe(source, product_id_of(fields))
            order = one.order_id = self._safe(source, order_id_of(fields))
            if order is None and one.plain in ORDER_EVENTS:
                event.findings.append("missing_order_id")
            value = next((fields[k] for k in ("value", "revenue", "total") if fields.get(k)), None)
        query = fields.get("query")
        query = query[:_SHORT] if isinstance(query, str) else None
        cart = short_id(fields.get("cart_id"))
        return (
            product, order, cart if cart is None or "@" not in cart else self.hide(cart), query,
            value, currency_of(fields.get("currency")),
        )  # fmt: skip

    def _safe(self, source: str, id_: str | None) -> str | None:
        if id_ is None:
            return None
        return f"{source}:{id_ if '@' not in id_ else self.hide(id_)}"

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
            (
                f"{one.event_id}:{item.place}", one.event_id, one.party_id, one.event.occurred_us,
                ITEM_KINDS[one.plain], self._safe(one.event.request.source, item.product_id),
                _cart(self, one), one.order_id, self._list(item.list_id), item.position,
                item.quantity, item.price, currency_of(item.currency), one.event.request.source,
            )
            for one in kept
            for item in one.items
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

    def _list(self, list_id: str | None) -> str | None:
        return list_id if list_id is None or "@" not in list_id else self.hide(list_id)


def _cart(shaper: Shaper, one: Kept) -> str | None:
    cart = short_id(one.event.properties.get("cart_id"))
    return cart if cart is None or "@" not in cart else shaper.hide(cart)


def _campaign(campaign: dict[str, Any]) -> dict[str, str]:
    """utm parameters by their short name, as the SDKs put them into `context.campaign`."""
    made = {}
    for short in _UTM:
        value = campaign.get("name" if short == "campaign" else short)
        if isinstance(value, str) and value:
            made[short] = value[:_SHORT]
    return made


def _context(splitter: Splitter, context: dict[str, Any], personal: dict[str, Any]) -> dict:
    """What of the context is neither a column nor personal."""
    rest = {k: v for k, v in context.items() if k not in ("page", "campaign", "traits")}
    made = splitter.split(rest, personal)
    page = context.get("page")
    if isinstance(page, dict) and isinstance(title := page.get("title"), str) and title:
        made["page"] = {"title": title[:_SHORT]}
    traits = context.get("traits")
    if isinstance(traits, dict) and traits:
        traits = splitter.split(traits, personal, people=True)
        if traits:
            made["traits"] = traits
    return made


def _codes(findings: list[str]) -> str | None:
    if not findings:
        return None
    return msgspec.json.encode(sorted({*findings})).decode()

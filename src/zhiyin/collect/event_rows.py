"""Events become rows of `events` and `item_events`, a slice at a time, in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
_HIDDEN_IN = (
    c.NAME, c.QUERY, c.UTM_SOURCE, c.UTM_MEDIUM, c.UTM_CAMPAIGN, c.UTM_TERM, c.UTM_CONTENT,
)  # fmt: skip
_OF_SHAPE = (
    c.KIND, c.NAME, c.CHANNEL, c.PRODUCT_ID, c.ORDER_ID, c.CART_ID, c.QUERY, c.PAGE, c.REFERRER,
    c.UTM_SOURCE, c.UTM_MEDIUM, c.UTM_CAMPAIGN, c.UTM_TERM, c.UTM_CONTENT, c.PROPERTIES, c.SOURCE,
)  # fmt: skip
_PLACE = "place"
_OF_ITEM = {
    _PLACE: pa.int64(), c.KIND: pa.string(), c.PRODUCT_ID: pa.string(), c.CART_ID: pa.string(),
    c.ORDER_ID: pa.string(), c.LIST_ID: pa.string(), c.POSITION: pa.int64(),
    c.QUANTITY: pa.float64(), c.VALUE: None, c.CURRENCY: None, c.SOURCE: pa.string(),
}  # fmt: skip
"""Cells of `Properties.item_rows`, and as what they are stored; None: as money."""
_PRICE, _CURRENCY = list(_OF_ITEM).index(c.VALUE), list(_OF_ITEM).index(c.CURRENCY)


class Shape(NamedTuple):
    """What of an event does not depend on whom it is about and when it was.

    `cells` are those of `_OF_SHAPE`. Personal values stand in `before` and `after` the ids of the
    event and the address it came from: of equal names the first keeps its name.
    """

    cells: tuple[str | bytes | None, ...] = ()
    said: Properties = _NOTHING
    traits: Mapping[str, Any] = MappingProxyType({})
    trait_personal: Mapping[str, Any] = MappingProxyType({})
    before: Mapping[str, Any] = MappingProxyType({})
    after: tuple[Found, ...] = ()


class Kept(msgspec.Struct):
    """An event with its ids, and what was made of it."""

    event: Event
    event_id: str
    party_id: str
    shape: Shape = Shape()
    personal: dict[str, Any] = {}
    deep: bool = False  # nested too deeply: to be refused


@dataclass
class Shaper:
    """Makes rows of one unit. `hide` turns an id that names a person into a keyed hash.

    What comes again is read once: contexts, pages and properties, and in a slice the shape of
    events that differ only in person and time.
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
        shapes: list[Shape] = []
        place: dict[tuple | None, int] = {}
        codes: list[int] = []
        good: list[Kept] = []
        for one in kept:
            key = _key(one.event)
            code = place.get(key)
            if code is None:
                try:
                    shapes.append(self._shape(one.event))
                except TooDeep as deep:
                    one.event.findings.extend(deep.args)
                    one.deep = True
                    continue
                code = len(shapes) - 1
                if key is not None:
                    place[key] = code
            one.shape = shape = shapes[code]
            one.personal = _personal(one.event, shape)
            if shape.said.findings:
                one.event.findings.extend(shape.said.findings)
            codes.append(code)
            good.append(one)
        numbers = np.asarray(codes, np.int64)
        return good, self._events(good, shapes, numbers), self._items(good, shapes, numbers)

    def _shape(self, event: Event) -> Shape:
        """Raises `TooDeep` with what was found until then."""
        context = self._context(event)
        page = self._page(context, event.properties)
        before: dict[str, Any] = {}
        put_all(before, page.personal)
        said = self._properties(event, url_known="url" in before)
        put_all(before, said.personal)
        traits, trait_personal = self._traits(event)
        for name, value in trait_personal.items():
            put(before, name, value, "traits.")
        after = list(context.personal)
        try:
            text = self._open(event, said, traits, context, after)
        except TooDeep:
            raise TooDeep(*said.findings) from None
        utm = {**page.utm, **context.campaign} if context.campaign else page.utm
        cells = (
            event.kind, event.name, event.request.kind, said.product, said.order, said.cart,
            said.query, page.address, page.host, utm.get("source"), utm.get("medium"),
            utm.get("campaign"), utm.get("term"), utm.get("content"), text, event.request.source,
        )  # fmt: skip
        return Shape(cells, said, traits, trait_personal, before, tuple(after))

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
        if not event.properties:
            return _NOTHING
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

    def _traits(self, event: Event) -> tuple[dict[str, Any], dict[str, Any]]:
        """Open and personal traits."""
        traits = event.traits
        if event.kind == "identify" and isinstance(event.context.get("traits"), dict):
            traits = {**event.context["traits"], **traits}
        found: list[Found] = []
        opened = self.splitter.split(traits, found, people=event.kind != "group")
        personal: dict[str, Any] = {}
        put_all(personal, found)
        return opened, personal

    def _open(
        self,
        event: Event,
        said: Properties,
        traits: dict[str, Any],
        context: Context,
        found: list[Found],
    ) -> bytes | None:
        """What of the event is neither a column nor personal, as JSON."""
        if context.deep:
            raise TooDeep
        fields: dict[str, Any] = {}
        if said.text is not None:
            fields["properties"] = said.text
        if traits:
            fields["traits"] = traits
        if context.open is not None:
            fields["context"] = context.open
        if event.other:
            rest = self.splitter.split(event.other, found)
            fields |= {k: v for k, v in rest.items() if k not in fields}
        return _ENCODER.encode(fields) if fields else None

    def _events(self, kept: list[Kept], shapes: list[Shape], codes: np.ndarray) -> pa.Table:
        moments = np.asarray([one.event.occurred_us for one in kept], "datetime64[us]")
        received = np.asarray([one.event.request.received_us for one in kept], "datetime64[us]")
        said = [one.shape.said for one in kept]
        amounts = read_amounts(
            [one.value for one in said], [one.currency for one in said], moments, terms=self.terms
        )
        arrays = _texts(kept, shapes, codes)
        for code, rows in (
            ("wrong_value", amounts.wrong), ("unknown_currency", amounts.unknown),
            ("no_rate", amounts.no_rate),
        ):  # fmt: skip
            for row in np.flatnonzero(rows).tolist():
                kept[row].event.findings.append(f"{code}:value")
        parties = [one.party_id for one in kept]
        sealed = self.vault.seal(parties, [one.personal for one in kept])
        arrays |= {
            c.EVENT_ID: pa.array([one.event_id for one in kept], pa.string()),
            c.PARTY_ID: pa.array(parties, pa.string()),
            c.OCCURRED_AT: pa.array(moments), c.RECEIVED_AT: pa.array(received),
            c.VALUE_MINOR: amounts.minor, c.VALUE_BASE_MINOR: amounts.base,
            c.CURRENCY: amounts.currency, c.PERSONAL: pa.array(sealed, pa.binary()),
            c.MONTH: times.months(moments).cast(pa.string()),
            c.FINDINGS: pa.array([_codes(one.event.findings) for one in kept], pa.string()),
        }  # fmt: skip
        return lake_rows(
            arrays, TABLES["events"], len(kept), load_id=self.load_id, loaded_at=self.now
        )

    def _items(self, kept: list[Kept], shapes: list[Shape], codes: np.ndarray) -> pa.Table:
        """A row for each product of each event; what the shapes say of it is taken from there."""
        said = [row for one in shapes for row in one.said.item_rows]
        counts = np.asarray([len(one.said.item_rows) for one in shapes], np.int64)
        begins = np.cumsum(counts) - counts
        many = counts[codes]  # of each event
        event = np.repeat(np.arange(len(kept)), many)
        item = np.arange(len(event)) - np.repeat(np.cumsum(many) - many - begins[codes], many)
        columns = dict(zip(_OF_ITEM, zip(*said, strict=True), strict=True)) if said else {}
        take = pa.array(item)
        arrays: dict[str, pa.Array] = {
            name: pa.array(columns.get(name, ()), kind).take(take)
            for name, kind in _OF_ITEM.items()
            if kind is not None
        }
        moments = np.asarray([one.event.occurred_us for one in kept], "datetime64[us]")[event]
        rows = item.tolist()
        amounts = read_amounts(
            [said[row][_PRICE] for row in rows],
            [said[row][_CURRENCY] for row in rows],
            moments,
            terms=self.terms,
        )
        mine = pa.array(event)
        events = pa.array([one.event_id for one in kept], pa.string()).take(mine)
        places = arrays.pop(_PLACE).cast(pa.string())
        arrays |= {
            c.ITEM_EVENT_ID: pc.binary_join_element_wise(events, places, ":"),
            c.EVENT_ID: events,
            c.PARTY_ID: pa.array([one.party_id for one in kept], pa.string()).take(mine),
            c.OCCURRED_AT: pa.array(moments), c.PRICE_MINOR: amounts.minor,
            c.PRICE_BASE_MINOR: amounts.base, c.CURRENCY: amounts.currency,
            c.MONTH: times.months(moments).cast(pa.string()),
        }  # fmt: skip
        return lake_rows(
            arrays, TABLES["item_events"], len(rows), load_id=self.load_id, loaded_at=self.now
        )


def _key(event: Event) -> tuple | None:
    """What the shape of an event depends on; None where that is more than we compare."""
    if event.traits or event.other or not event.properties_text or not event.context_text:
        return None
    request = event.request
    return (
        event.properties_text, event.context_text, event.kind, event.name, request.source,
        request.kind,
    )  # fmt: skip


def _personal(event: Event, shape: Shape) -> dict[str, Any]:
    """What goes into the encrypted blob of an event."""
    request, made = event.request, {**shape.before}
    if request.ip:
        made.setdefault("ip", request.ip)
    if request.user_agent:
        made.setdefault("userAgent", request.user_agent)
    if event.user_id is not None:
        made["user_id"] = event.user_id
    if event.anonymous_id is not None:
        made["anonymous_id"] = event.anonymous_id
    if event.message_id is not None:
        made[c.MESSAGE_ID] = event.message_id
    put_all(made, shape.after)
    return made


def _texts(kept: list[Kept], shapes: list[Shape], codes: np.ndarray) -> dict[str, pa.Array]:
    """The columns of `_OF_SHAPE`, without the values that look personal.

    Those go to the encrypted blob of the event.
    """
    distinct = {
        name: pa.array([one.cells[column] for one in shapes], pa.string())
        for column, name in enumerate(_OF_SHAPE)
    }
    take = pa.array(codes)
    made = {name: column.take(take) for name, column in distinct.items()}
    for name in (c.PROPERTIES, *_HIDDEN_IN):
        suspect = np.zeros(len(shapes), bool)
        suspect[suspects(distinct[name])] = True
        rows = np.flatnonzero(suspect[codes])
        if len(rows):
            made[name] = _without_personal(made[name], name, kept, rows)
    return made


def _without_personal(column: pa.Array, name: str, kept: list[Kept], rows: np.ndarray) -> pa.Array:
    changed: list[str | bytes | None] = []
    for row, text in zip(rows.tolist(), column.take(pa.array(rows)).to_pylist(), strict=True):
        one = kept[row]
        if name == c.PROPERTIES:
            changed.append(clean(text.encode(), one.personal))
            continue
        masked = mask(text)
        if masked != text:
            put(one.personal, name, text)
            one.event.findings.append(f"personal_value:{name}")
        changed.append(masked)
    which = np.zeros(len(column), bool)
    which[rows] = True
    return pc.replace_with_mask(column, pa.array(which), pa.array(changed, pa.string()))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _codes(findings: list[str]) -> str | None:
    if not findings:
        return None
    return msgspec.json.encode(sorted({*findings})).decode()

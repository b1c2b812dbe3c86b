# pyright: reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Orders, lines, products and reviews of tracked events, through the machinery of file loads.

So currencies, rates, kinds of lines, revisions and quarantine work as for a file. An order that a
unit touches is worked out anew from all events about it, those of the lake included.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from zhiyin.collect.ecommerce import (
    ORDER_EVENTS,
    REVIEW,
    currency_of,
    plain_name,
    short_id,
)
from zhiyin.collect.event_money import exact
from zhiyin.collect.event_rows import Kept
from zhiyin.collect.event_shop import Product
from zhiyin.collect.files import Raw
from zhiyin.collect.ledger import TRACKED
from zhiyin.collect.load import load_id_of, load_raw
from zhiyin.collect.mapping import Mapping
from zhiyin.collect.order_state import OWN, Line, OrderEvent, Version, read_versions
from zhiyin.collect.reconcile import LoadReport
from zhiyin.core import columns as c
from zhiyin.core.clock import Clock
from zhiyin.core.config import Settings
from zhiyin.core.protocols import Store, Vault

MAX_LAYERS = 6
"""Versions of one order that a unit writes apart; of more, the middle ones are left out."""
_PARTY, _KIND = "party", "line_kind"
_LINES = (c.ORDER_ID, c.LINE_ID, c.SOLD_AT, c.VALID_AT, c.PRODUCT_ID, c.QUANTITY, c.CURRENCY)
_ORDERS = (c.ORDER_ID, c.ORDERED_AT, c.VALID_AT, c.CHANNEL, c.STATUS, c.CURRENCY)
_TEXTS = (c.TEXT_ID, c.OCCURRED_AT, c.KIND, c.PRODUCT_ID, c.RATING, c.BODY)
_PRODUCTS = (c.PRODUCT_ID, c.VALID_AT, c.NAME, c.CATEGORY, c.BRAND, c.URL, c.CURRENCY)
_KINDS = ("shipping", "discount", "adjustment")

Row = dict[str, str | None]


@dataclass
class Shop:
    """What a unit says about a shop; filled event by event. Keys are `source:id`."""

    orders: dict[str, list[OrderEvent]] = field(default_factory=dict)
    products: dict[str, tuple[tuple, dict[str, Any], int]] = field(default_factory=dict)
    reviews: list[tuple[str, Row]] = field(default_factory=list)

    def see(self, one: Kept) -> None:
        """Note what an event says about orders, products and opinions."""
        event, said = one.event, one.shape.said
        kind = ORDER_EVENTS.get(said.plain)
        if kind is not None and said.order is not None:
            self.orders.setdefault(said.order, []).append(
                OrderEvent(one.event_id, kind, event.occurred_us, one.party_id,
                           event.request.kind, said.open)
            )  # fmt: skip
        for product in said.products:
            self._product(product, one)
        if said.items and said.plain.endswith("reviewed"):
            self._review(one, event.request.source)

    def _product(self, product: Product, one: Kept) -> None:
        """Keep the first event that names the product, or the first one, of equal ones by id."""
        known, at = self.products.get(product.id), one.event.occurred_us
        if known is not None and not known[0][0] and known[0][1] < at:
            return
        rank = (product.nameless, at, one.event_id, product.place)
        if known is None or rank < known[0]:
            self.products[product.id] = (rank, product.fields, at)

    def _review(self, one: Kept, source: str) -> None:
        fields = one.event.properties
        body = next(
            (v for k in ("review_body", "review", "body", "comment", "text")
             if isinstance(v := fields.get(k), str) and v.strip()), None,
        )  # fmt: skip
        if body is None:
            one.event.findings.append("missing_review_body")
            return
        rating = short_id(fields.get("rating"))
        row: Row = {
            c.TEXT_ID: f"e.{one.event_id.rpartition(':')[2]}", c.KIND: REVIEW, c.BODY: body,
            c.OCCURRED_AT: _iso(one.event.occurred_us), c.RATING: rating,
            c.PRODUCT_ID: one.shape.said.items[0].product_id, _PARTY: one.party_id,
        }  # fmt: skip
        self.reviews.append((source, row))


@dataclass(frozen=True)
class Loader:
    """Loads what a unit says about a shop."""

    store: Store
    vault: Vault
    settings: Settings
    clock: Clock
    unit: str

    def load(self, shop: Shop) -> list[LoadReport]:
        """Products, orders, lines and reviews, in this order; what each load did."""
        made = self._products(shop)
        versions = self._versions(shop)
        made += self._order_loads(versions)
        for source in sorted({one for one, _ in shop.reviews}):
            rows = [row for mine, row in shop.reviews if mine == source]
            mapping = _mapping(source, "texts", _TEXTS)
            made += self._load("texts", rows, mapping, sort=c.TEXT_ID)
        return made

    def _load(
        self, table: str, rows: list[Row], mapping: Mapping, *, sort: str, layer: int = 0
    ) -> list[LoadReport]:
        if not rows:
            return []
        ordered = sorted(rows, key=lambda row: (row[sort] or "", row.get(c.LINE_ID) or ""))
        raw = self._raw(table, mapping, ordered, layer)
        return [load_raw(self.store, self.vault, self.settings, self.clock, raw, table, mapping)]

    def _raw(self, table: str, mapping: Mapping, rows: list[Row], layer: int) -> Raw:
        names = {h for rule in mapping.columns.values() for h in rule.headers}
        names |= {rule.column for rule in mapping.kinds}
        columns = {n: pa.array([row.get(n) for row in rows], pa.string()) for n in sorted(names)}
        return Raw(
            pa.table(columns), np.arange(1, len(rows) + 1, dtype=np.int64),
            f"{self.unit}:{mapping.source}:{table}:{layer}", TRACKED,
            parties=pa.array([row.get(_PARTY) for row in rows], pa.string()),
        )  # fmt: skip

    def _own_loads(self, sources: Iterable[str], table: str) -> list[str]:
        """Ids of the loads that this unit makes: what they wrote was not there before it."""
        makers = {"order_lines": _lines_mapping, "products": _products_mapping}
        return [
            load_id_of(self._raw(table, mapping, [], layer), mapping, table)
            for mapping in map(makers[table], sources)
            for layer in range(MAX_LAYERS)
        ]

    def _products(self, shop: Shop) -> list[LoadReport]:
        sources = sorted({one.partition(":")[0] for one in shop.products})
        if not sources:
            return []
        held = self.store.read("products")
        held = held.filter(held[c.LOAD_ID].notin(self._own_loads(sources, "products")))
        wanted = pa.table({c.PRODUCT_ID: pa.array(sorted(shop.products), pa.string())})
        found = held.semi_join(self.store.to_ibis(wanted), c.PRODUCT_ID).select(c.PRODUCT_ID)
        known = set(found.to_pyarrow().column(c.PRODUCT_ID).to_pylist())
        made: list[LoadReport] = []
        for source in sources:
            rows = [
                _product_row(product.partition(":")[2], fields, at, self.settings.currency)
                for product, (_, fields, at) in shop.products.items()
                if product.partition(":")[0] == source and product not in known
            ]
            made += self._load("products", rows, _products_mapping(source), sort=c.PRODUCT_ID)
        return made

    def _versions(self, shop: Shop) -> dict[str, list[Version]]:
        """The versions of every touched order, of its events in the lake and in the unit."""
        if not shop.orders:
            return {}
        every = {order: list(events) for order, events in sorted(shop.orders.items())}
        held = self.store.read("events")
        held = held.filter(held[c.LOAD_ID] != self.unit, held[c.ORDER_ID].notnull())
        wanted = pa.table({c.ORDER_ID: pa.array(list(every), pa.string())})
        names = [c.EVENT_ID, c.ORDER_ID, c.NAME, c.OCCURRED_AT, c.PARTY_ID, c.CHANNEL, c.PROPERTIES]
        found = held.semi_join(self.store.to_ibis(wanted), c.ORDER_ID).select(*names).to_pyarrow()
        moments = found.column(c.OCCURRED_AT).to_numpy().astype("datetime64[us]").astype(np.int64)
        for row, at in zip(found.to_pylist(), moments.tolist(), strict=True):
            kind = ORDER_EVENTS.get(plain_name(row[c.NAME]))
            if kind is not None:
                fields = json.loads(row[c.PROPERTIES] or "{}").get("properties", {})
                every[row[c.ORDER_ID]].append(
                    OrderEvent(row[c.EVENT_ID], kind, at, row[c.PARTY_ID], row[c.CHANNEL], fields)
                )
        base = self.settings.currency
        return {order: read_versions(events, base=base) for order, events in every.items()}

    def _order_loads(self, versions: dict[str, list[Version]]) -> list[LoadReport]:
        if not versions:
            return []
        sources = sorted({order.partition(":")[0] for order in versions})
        held = self._held_lines(sources, list(versions))
        layers = {order: _layers(found, order in held) for order, found in versions.items()}
        made: list[LoadReport] = []
        for source in sources:
            mine = {o: v for o, v in layers.items() if o.partition(":")[0] == source}
            for layer in range(MAX_LAYERS):
                lines: list[Row] = []
                orders: list[Row] = []
                for order, found in mine.items():
                    if layer < len(found):
                        before = found[layer - 1].lines if layer else ()
                        gone = held.get(order, {}) if layer == 0 else {}
                        orders.append(_order_row(order, found[layer]))
                        lines += _line_rows(order, found[layer], before, gone)
                if not orders:
                    break
                made += self._load(
                    "orders", orders, _orders_mapping(source), sort=c.ORDER_ID, layer=layer
                )
                made += self._load(
                    "order_lines", lines, _lines_mapping(source), sort=c.ORDER_ID, layer=layer
                )
        return made

    def _held_lines(self, sources: Sequence[str], orders: list[str]) -> dict[str, dict[str, dict]]:
        """Order → line → row, of lines that events of earlier units made."""
        held = self.store.read("order_lines")
        held = held.filter(held[c.LOAD_ID].notin(self._own_loads(sources, "order_lines")))
        wanted = self.store.to_ibis(pa.table({c.ORDER_ID: pa.array(orders, pa.string())}))
        names = [c.ORDER_ID, c.LINE_ID, c.SOLD_AT, c.CURRENCY, c.PARTY_ID, c.QUANTITY, c.TAX_MINOR,
                 c.AMOUNT_MINOR, c.SHIPPING_MINOR]  # fmt: skip
        found = held.semi_join(wanted, c.ORDER_ID).select(*names).to_pyarrow()
        made: dict[str, dict[str, dict]] = {}
        for row in found.to_pylist():
            own = row[c.LINE_ID].removeprefix(f"{row[c.ORDER_ID]}:")
            if own.startswith(OWN):
                made.setdefault(row[c.ORDER_ID], {})[own] = row
        return made


def _layers(versions: list[Version], held: bool) -> list[Version]:
    """The versions to write: of an order that the lake holds, only the last."""
    if held or len(versions) <= 1:
        return versions[-1:]
    return versions if len(versions) <= MAX_LAYERS else [*versions[: MAX_LAYERS - 1], versions[-1]]


def _order_row(order: str, one: Version) -> Row:
    def text(value: Decimal) -> str:
        return format(value, "f")

    return {
        c.ORDER_ID: order.partition(":")[2], c.ORDERED_AT: _iso(one.ordered_at),
        c.VALID_AT: _iso(one.at), c.CHANNEL: one.channel, c.STATUS: one.status,
        c.CURRENCY: one.currency, "amount": text(one.total()),
        "tax": text(sum((x.tax for x in one.lines), Decimal(0))),
        "discount": text(sum((x.discount for x in one.lines), Decimal(0))),
        "shipping": text(one.total("shipping")), _PARTY: one.party_id,
    }  # fmt: skip


def _line_rows(
    order: str, one: Version, before: Sequence[Line], gone: dict[str, dict]
) -> list[Row]:
    """Lines that are not in `before`, and nothing in the place of lines that hold no more."""
    old = set(before)
    rows = [_line_row(order, one, line) for line in one.lines if line not in old]
    now = {line.id for line in one.lines}
    for id_ in sorted({*(line.id for line in before), *gone} - now):
        known = next((line for line in before if line.id == id_), None)
        sold_at = _iso(known.at) if known is not None else gone[id_][c.SOLD_AT].isoformat() + "Z"
        empty = Line(id_, "adjustment", None, *([Decimal(0)] * 5), at=0, valid_at=one.at)
        rows.append({**_line_row(order, one, empty), c.SOLD_AT: sold_at})
    return rows


def _line_row(order: str, one: Version, line: Line) -> Row:
    return {
        c.ORDER_ID: order.partition(":")[2], c.LINE_ID: line.id, c.SOLD_AT: _iso(line.at),
        c.VALID_AT: _iso(line.valid_at), c.PRODUCT_ID: line.product_id,
        c.QUANTITY: format(line.quantity, "f"), c.CURRENCY: one.currency,
        "gross": format(line.amount + line.discount, "f"),
        "amount": format(line.amount, "f"), "discount": format(line.discount, "f"),
        "tax": format(line.tax, "f"), _KIND: line.kind or "goods", _PARTY: one.party_id,
    }  # fmt: skip


def _product_row(product: str, fields: dict[str, Any], at: int, base: str) -> Row:
    """A product as one event shows it; its price where that is in the workspace's currency."""

    def text(name: str, limit: int) -> str | None:
        value = fields.get(name)
        return value.strip()[:limit] or None if isinstance(value, str) else None

    url = text("url", 2000)
    price = (
        exact(fields.get("price")) if currency_of(fields.get("currency")) in (None, base) else None
    )
    return {
        c.PRODUCT_ID: product, c.VALID_AT: _iso(at), c.NAME: text("name", 1000),
        c.CATEGORY: text("category", 400), c.BRAND: text("brand", 400),
        c.URL: url and url.partition("?")[0].partition("#")[0], c.CURRENCY: base,
        "price": None if price is None or not 0 <= price < 10**9 else format(price, "f"),
    }  # fmt: skip


def _mapping(source: str, table: str, names: Iterable[str], **more: Any) -> Mapping:
    columns = {name: {"column": name} for name in names}
    return Mapping.model_validate({"source": source, "table": table, "columns": columns, **more})


def _lines_mapping(source: str) -> Mapping:
    kinds = [{"kind": kind, "column": _KIND, "pattern": kind} for kind in _KINDS]
    return _mapping(
        source, "order_lines", (*_LINES, "gross", "amount", "discount", "tax"), kinds=kinds,
        ignore=[_KIND],
    )  # fmt: skip


def _orders_mapping(source: str) -> Mapping:
    return _mapping(source, "orders", (*_ORDERS, "amount", "discount", "tax", "shipping"))


def _products_mapping(source: str) -> Mapping:
    return _mapping(source, "products", (*_PRODUCTS, "price"))


def _iso(moment: int) -> str:
    return f"{np.datetime64(moment, 'us')}Z"

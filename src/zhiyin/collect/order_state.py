"""What an order is worth after all events about it, in whatever order they came.

The state is a function of the set of events, so a refund that comes before its order, the same
event twice, or events of one order in two units end in the same lines. Revenue is the spec's:
with discounts, without shipping and tax. All amounts are exact and of the currency's precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from zhiyin.collect.ecommerce import (
    CANCELLED,
    COMPLETED,
    REFUNDED,
    UPDATED,
    currency_of,
    product_id_of,
    products_of,
)
from zhiyin.collect.event_money import exact
from zhiyin.core.currency import EXPONENTS

OWN = "e."
"""Ids of lines that events made begin so, after the order's."""
_ZERO = Decimal(0)
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_MONEY = ("revenue", "subtotal", "total", "shipping", "tax", "discount", "value")


@dataclass(frozen=True)
class OrderEvent:
    """One event about an order: `at` is in microseconds since 1970, `kind` of `ecommerce`."""

    event_id: str
    kind: str
    at: int
    party_id: str
    channel: str
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """One line. `kind` is empty for goods, whose sign says whether they are sold or returned."""

    id: str
    kind: str
    product_id: str | None
    quantity: Decimal
    price: Decimal
    amount: Decimal
    discount: Decimal
    tax: Decimal
    at: int  # when it was sold or returned
    valid_at: int  # since when it reads so


@dataclass(frozen=True)
class Version:
    """An order as it stood from `at` on: all of its lines."""

    at: int
    status: str
    party_id: str
    channel: str
    ordered_at: int
    currency: str | None
    lines: tuple[Line, ...]

    def total(self, kind: str | None = None) -> Decimal:
        """The sum of the amounts, of all lines but shipping or of one kind."""
        chosen = [
            one for one in self.lines if (one.kind == kind if kind else one.kind != "shipping")
        ]
        return sum((one.amount for one in chosen), _ZERO)


@dataclass
class _State:
    """Lines under way."""

    sold: list[Line] = field(default_factory=list)
    back: list[Line] = field(default_factory=list)
    taken: dict[str, Decimal] = field(default_factory=dict)  # line → units returned
    known: bool = False  # whether the order itself was seen

    def left(self, line: Line) -> Decimal:
        return line.quantity - self.taken.get(line.id, _ZERO)


def read_versions(events: Sequence[OrderEvent], *, base: str) -> list[Version]:
    """The order after each event that changed it, oldest first.

    Parameters
    ----------
    events
        All events about one order, each once, in any order.
    base
        Currency of orders that name none.

    Notes
    -----
    The earliest Order Completed counts, later ones repeat it. Order Updated after it replaces
    what it names. A refund without products (nor a smaller total) and a cancellation take back
    what is left; a refund with products takes back these, at most what was sold.
    """
    ordered = sorted(events, key=lambda one: (one.at, one.event_id))
    first = next((one for one in ordered if one.kind == COMPLETED), None)
    others = [one for one in ordered if one.kind in (REFUNDED, CANCELLED)]
    if first is not None:
        others += [one for one in ordered if one.kind == UPDATED and one.at >= first.at]
    others.sort(key=lambda one: (one.at, one.event_id))
    head = first or (others[0] if others else None)
    if head is None:
        return []
    currency = next((f for one in [head, *ordered] if (f := _currency(one.properties))), None)
    places = EXPONENTS.get(currency or base, 2)
    state, status = _State(), COMPLETED if first else "returned"
    content: dict[str, Any] = {}
    versions: list[Version] = []
    for one in [*([first] if first else []), *others]:
        if one.kind in (COMPLETED, UPDATED):
            content |= _content(one.properties)
            state.known = True
            state.sold = _sold(content, head.at, one.at, places, state.sold)
        else:
            tag = f"{OWN}{one.event_id[-8:]}"
            before = len(state.back)
            _take_back(state, one, tag, places)
            if one.kind == CANCELLED:
                status = CANCELLED
            if len(state.back) == before and one.kind == REFUNDED:
                continue
        lines = (*state.sold, *state.back)
        at = max(one.at, versions[-1].at) if versions else one.at
        versions.append(
            Version(
                at, _status(status, lines), head.party_id, head.channel, head.at, currency, lines
            )
        )
    return versions


def _status(status: str, lines: Sequence[Line]) -> str:
    goods = [one for one in lines if not one.kind]
    sold = sum((one.amount for one in goods if one.quantity > 0), _ZERO)
    if status == COMPLETED and goods and sold and sum(one.amount for one in goods) <= 0:
        return "returned"
    return status


def _currency(properties: Mapping[str, Any]) -> str | None:
    found = currency_of(properties.get("currency"))
    if found is None:
        listed = [currency_of(one.get("currency")) for one in products_of(properties)]
        found = next((one for one in listed if one), None)
    return found


def _content(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What an event says the order holds: products and amounts that it names.

    A new list of products makes old sums void.
    """
    made: dict[str, Any] = {n: v for n in _MONEY if (v := exact(properties.get(n))) is not None}
    if products_of(properties):
        made["products"] = products_of(properties)
        made |= {name: made.get(name) for name in _MONEY}
    elif {"revenue", "subtotal", "total"} & made.keys():
        made |= {name: made.get(name) for name in ("revenue", "subtotal", "total")}
    return made


def _revenue(content: dict[str, Any], goods: Decimal) -> Decimal:
    """Revenue of the order: as it says, else its subtotal, else its total less shipping and tax,
    else the value, else the goods less the discount."""
    for name in ("revenue", "subtotal"):
        if (found := content.get(name)) is not None:
            return found
    if (total := content.get("total")) is not None:
        return total - (content.get("shipping") or _ZERO) - (content.get("tax") or _ZERO)
    if (value := content.get("value")) is not None:
        return value
    return goods - (content.get("discount") or _ZERO)


def _sold(
    content: dict[str, Any], at: int, since: int, places: int, before: Sequence[Line]
) -> list[Line]:
    made: list[Line] = []
    for place, fields in enumerate(content.get("products", ()), start=1):
        quantity = exact(fields.get("quantity"))
        quantity = Decimal(1) if quantity is None or quantity < 0 else quantity
        price = exact(fields.get("price")) or _ZERO
        amount = _round(_WIDE.multiply(quantity, price), places)
        made.append(
            _line(f"{OWN}{place}", "", at, since, product=product_id_of(fields), quantity=quantity,
                  price=price, amount=amount)
        )  # fmt: skip
    goods = sum((one.amount for one in made), _ZERO)
    revenue = _round(_revenue(content, goods), places)
    if not made:
        made.append(_line(f"{OWN}1", "", at, since, quantity=Decimal(1), price=revenue,
                          amount=revenue))  # fmt: skip
        goods = revenue
    off = goods - revenue
    if off > 0:
        made.append(_line(f"{OWN}discount", "discount", at, since, amount=-off, discount=off))
    elif off < 0:
        made.append(_line(f"{OWN}rest", "adjustment", at, since, amount=-off))
    if shipping := content.get("shipping"):
        made.append(_line(f"{OWN}shipping", "shipping", at, since, quantity=Decimal(1),
                          amount=_round(shipping, places)))  # fmt: skip
    if tax := content.get("tax"):
        made.append(_line(f"{OWN}tax", "adjustment", at, since, tax=_round(tax, places)))
    known = {one.id: one for one in before}
    return [
        known[one.id] if one.id in known and replace(one, valid_at=known[one.id].valid_at)
        == known[one.id] else one for one in made
    ]  # fmt: skip


def _line(
    id_: str,
    kind: str,
    at: int,
    since: int,
    *,
    product: str | None = None,
    quantity: Decimal = _ZERO,
    price: Decimal = _ZERO,
    amount: Decimal = _ZERO,
    discount: Decimal = _ZERO,
    tax: Decimal = _ZERO,
) -> Line:
    return Line(id_, kind, product, quantity, price, amount, discount, tax, at, since)


def _round(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), context=_WIDE)


def _take_back(state: _State, event: OrderEvent, tag: str, places: int) -> None:
    listed = products_of(event.properties) if event.kind == REFUNDED else []
    if listed:
        _take_products(state, event, listed, tag, places)
        return
    total = exact(event.properties.get("total")) if event.kind == REFUNDED else None
    if not state.known:
        if total:
            _add(state, f"{tag}.rest", "adjustment", event.at, amount=-_round(total, places))
        return
    paid = sum((one.amount + one.tax for one in state.sold), _ZERO)
    paid += sum((one.amount + one.tax for one in state.back), _ZERO)
    left = _left(state)
    if total is not None and 0 < total < min(paid, left):
        _add(state, f"{tag}.rest", "adjustment", event.at, amount=-_round(total, places))
        return
    _take_all(state, event, tag)


def _left(state: _State) -> Decimal:
    """Revenue that was not taken back yet."""
    lines = (*state.sold, *state.back)
    return sum((one.amount for one in lines if one.kind != "shipping"), _ZERO)


def _take_all(state: _State, event: OrderEvent, tag: str) -> None:
    """Take back every unit, the shipping, the tax, and then what revenue is still left."""
    for line in list(state.sold):
        units = state.left(line)
        if not line.kind and units > 0:
            part = line.amount if units == line.quantity else _part(line, units)
            state.taken[line.id] = line.quantity
            _add(state, tag + line.id[1:], "", event.at, product=line.product_id,
                 quantity=-units, price=line.price, amount=-part)  # fmt: skip
        elif line.kind == "shipping" and line.id not in state.taken:
            state.taken[line.id] = line.quantity
            _add(state, tag + line.id[1:], "shipping", event.at, quantity=-line.quantity,
                 amount=-line.amount)  # fmt: skip
        elif line.tax and line.id not in state.taken:
            state.taken[line.id] = line.quantity
            _add(state, tag + line.id[1:], line.kind, event.at, tax=-line.tax)
    rest = _left(state)
    if rest:
        _add(state, f"{tag}.rest", "adjustment", event.at, amount=-rest)


def _part(line: Line, units: Decimal) -> Decimal:
    exponent = int(line.amount.as_tuple().exponent)
    return _round(
        _WIDE.divide(_WIDE.multiply(line.amount, units), line.quantity), max(-exponent, 0)
    )


def _take_products(
    state: _State, event: OrderEvent, listed: Sequence[dict[str, Any]], tag: str, places: int
) -> None:
    for place, fields in enumerate(listed, start=1):
        product = product_id_of(fields)
        units = exact(fields.get("quantity"))
        units = Decimal(1) if units is None else abs(units)
        price = exact(fields.get("price"))
        sold = [one for one in state.sold if not one.kind and one.product_id == product]
        open_ = next((one for one in sold if state.left(one) > 0), None)
        if state.known and sold:
            if open_ is None:
                continue  # all of it came back already
            units = min(units, state.left(open_))
            state.taken[open_.id] = state.taken.get(open_.id, _ZERO) + units
            price = open_.price if price is None else price
        if units and price is not None:
            _add(state, f"{tag}.{place}", "", event.at, product=product, quantity=-units,
                 price=price, amount=-_round(_WIDE.multiply(units, price), places))  # fmt: skip


def _add(state: _State, id_: str, kind: str, at: int, **values: Any) -> None:
    state.back.append(_line(id_, kind, at, at, **values))

"""The settings by which a merchandiser steers recommendations: rules of the shop, placements."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from zhiyin.core.sections import Section

Link = Literal["customer", "session", "basket", "item", "category", "popular"]
LINKS: tuple[Link, ...] = ("customer", "session", "basket", "item", "category", "popular")
"""Who may answer, in the order in which they are asked."""
DEFAULT = "default"
"""The placement of a request that names none."""


class PlacementSettings(Section):
    """The rules of one place where products are shown."""

    k: int = Field(default=10, ge=1, le=100, description="products shown")
    chain: tuple[Link, ...] = Field(
        default=LINKS,
        min_length=1,
        description="who answers, in order: customer, session, basket, item, category, popular",
    )
    personalised: bool = Field(
        default=True, description="false: never the links customer and session"
    )
    exclude_bought_days: int = Field(
        default=0, ge=0, le=36_500, description="leave out what she bought so lately; 0: nothing"
    )
    in_stock: bool = Field(default=True, description="leave out what cannot be bought")
    categories: tuple[str, ...] = Field(default=(), description="only these; empty: all")
    min_price_minor: int = Field(
        default=0, ge=0, description="only what costs as much, minor units; 0: any, or unknown"
    )
    min_margin: float | None = Field(
        default=None, le=1, description="only a known margin of this share of the price; none: any"
    )
    pins: tuple[str, ...] = Field(default=(), description="product ids that come first")
    exclude: tuple[str, ...] = Field(default=(), description="product ids that are never shown")
    category_cap: int = Field(
        default=0, ge=0, description="most products of one category; 0: any number"
    )
    diversity: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="what a score loses, as a share, by each product of its category before it",
    )


_PLAIN = PlacementSettings()
_PIN = re.compile(r"^([1-9]\d?):(\S.*)$")


class RecommendSettings(Section):
    """Rules of the shop over the lists of a turn, and what `GET /v1/recommend` answers: each
    placement is a table [recommend.placements.NAME]. No rule looks at what a person could pay.
    """

    min_stock: float = Field(
        default=0, ge=0, description="pieces an item needs in stock; 0: stock is not looked at"
    )
    stock_property: str = Field(
        default="stock",
        min_length=1,
        description="property that holds a product's stock, before inventory, 库存 …",
    )
    min_margin: float = Field(
        default=0, ge=0, lt=1, description="least margin of an item, a rate; 0: not looked at"
    )
    margin_property: str = Field(
        default="margin_rate",
        min_length=1,
        description="property that holds its margin, a rate, before margin, cost …",
    )
    rest_days: int = Field(
        default=0, ge=0, description="days for which what was bought is not recommended again"
    )
    skip_returned: bool = Field(
        default=True, description="what a customer gave back is not recommended to her again"
    )
    sensitive: tuple[str, ...] = Field(
        default=(),
        description="departments, categories and subcategories that are never recommended",
    )
    category_cap: int | None = Field(
        default=None, ge=1, description="most items of one category in a list; none: any number"
    )
    diversity: float = Field(
        default=0, ge=0, lt=1, description="0: by score alone; towards 1: unlike those above"
    )
    novelty: float = Field(
        default=0, ge=0, le=1, description="0: by score alone; 1: by score over number of buyers"
    )
    explore_share: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="most of a list's places, a rate, for items with fewer buyers than"
        " understand.recommend_min_buyers; 0: none",
    )
    pins: tuple[str, ...] = Field(
        default=(), description="items at a place of every list, each as place:product_id"
    )

    placements: dict[
        Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$")], PlacementSettings
    ] = Field(default={}, description="places where products are shown: name → its rules")
    consent: Literal["opt_out", "opt_in"] = Field(
        default="opt_out",
        description="who gets personal lists: all who have not refused, or who have agreed",
    )
    session_hours: int = Field(
        default=24, ge=0, le=168, description="how long what was looked at counts; 0: never"
    )

    def rules_of(self, placement: str) -> PlacementSettings | None:
        """The rules of a placement; None: there is none of this name."""
        found = self.placements.get(placement)
        return _PLAIN if found is None and placement == DEFAULT else found

    @field_validator("pins")
    @classmethod
    def _are_pins(cls, pins: tuple[str, ...]) -> tuple[str, ...]:
        places: set[str] = set()
        products: set[str] = set()
        for pin in pins:
            found = _PIN.match(pin)
            if found is None:
                raise ValueError(f"{pin!r} is no pin; a pin is place:product_id, say 1:shop:sku-7")
            place, product = found.groups()
            if place in places:
                raise ValueError(f"two items are pinned to place {place}; keep one")
            if product in products:
                raise ValueError(f"{product!r} is pinned to two places; keep one")
            places.add(place)
            products.add(product)
        return pins

    @property
    def pinned(self) -> dict[int, str]:
        """Product id by place, from 1."""
        return {int(pin.split(":", 1)[0]): pin.split(":", 1)[1] for pin in self.pins}

"""The section of the settings by which a merchandiser steers recommendations."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from zhiyin.core.sections import Section

_PIN = re.compile(r"^([1-9]\d?):(\S.*)$")


class RecommendSettings(Section):
    """Rules of the shop over recommendations; none looks at what a person could pay."""

    min_stock: float = Field(
        default=0, ge=0, description="pieces an item needs in stock; 0: stock is not looked at"
    )
    stock_property: str = Field(
        default="stock", min_length=1, description="property of a product that holds its stock"
    )
    min_margin: float = Field(
        default=0, ge=0, lt=1, description="least margin of an item, a rate; 0: not looked at"
    )
    margin_property: str = Field(
        default="margin_rate", min_length=1, description="property that holds its margin, a rate"
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
    pins: tuple[str, ...] = Field(
        default=(), description="items at a place of every list, each as place:product_id"
    )

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

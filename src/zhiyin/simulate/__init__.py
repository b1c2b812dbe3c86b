"""Simulate: shops whose truth is known, to test the loop and to try things without real people.

`shop(preset, seed)` is a rich one for policies: what each action brings is known. `retailer.Shop`
exports tables as a shop's systems would; `tabular` has a known optimum, `mix` has channels whose
worth is known. This file imports nothing, so that `zhiyin --help` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zhiyin.simulate.presets import Preset
    from zhiyin.simulate.rich import RichShop

__all__ = [
    "config", "env", "jeweller", "mix", "oracle", "presets", "retailer", "rich", "shop", "tabular",
]  # fmt: skip


def shop(preset: str | Preset, seed: int, *, customers: int = 2000) -> RichShop:
    """A rich shop: `grocery` (weeks) or `jeweller` (months), or a preset of your own.

    Raises
    ------
    NotFound
        If no preset has the name.
    """
    from zhiyin.simulate.rich import open_shop  # noqa: PLC0415 - light until it is used

    return open_shop(preset, seed, customers=customers)

"""Simulate: shops whose truth is known, to test the loop and to try things without real people.

`shop.Shop` lives through days, `config.ShopConfig` sets its size and habits. This file imports
nothing, so that `zhiyin --help` stays light.
"""

__all__ = ["config", "shop"]

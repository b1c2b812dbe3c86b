"""What was made of something, for when the same comes again: the context of a page, a product."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")
MOST = 20_000
"""Entries kept: bounds the memory where nothing comes again."""


class Recent(dict[K, V]):
    """A dict that forgets everything when it is full. What it holds must not be changed."""

    def keep(self, key: K, value: V) -> V:
        """Remember `value` under `key`; it is given back."""
        if len(self) >= MOST:
            self.clear()
        self[key] = value
        return value

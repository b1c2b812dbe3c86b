"""Implementations by name: `name → "package.module:attribute"`, imported on first use."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoints, entry_points
from typing import Any

from zhiyin.core.errors import NotFound


@dataclass(frozen=True)
class Registry:
    """Names of one kind of part (`engine`, `channel`, `policy`, `model`), ours and others'.

    Other packages add theirs by the entry point group `zhiyin.<kinds>`; our own names win.
    """

    kind: str
    built_in: Mapping[str, str] = field(default_factory=dict[str, str])

    def names(self) -> list[str]:
        """All known names, sorted."""
        return sorted({*self.built_in, *(point.name for point in self._points())})

    def load(self, name: str) -> Any:  # Any: what an entry point yields is typed by its protocol
        """The class or function registered as `name`.

        Raises
        ------
        NotFound
            If no part has that name.
        """
        if name in self.built_in:
            module, _, attribute = self.built_in[name].partition(":")
            return getattr(importlib.import_module(module), attribute)
        for point in self._points():
            if point.name == name:
                return point.load()
        raise NotFound(
            f"no {self.kind} is called {name!r}", hint=f"known: {', '.join(self.names()) or 'none'}"
        )

    def _points(self) -> EntryPoints:
        kinds = f"{self.kind[:-1]}ies" if self.kind.endswith("y") else f"{self.kind}s"
        return entry_points(group=f"zhiyin.{kinds}")

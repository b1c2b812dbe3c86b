"""The settings of what is recommended on request: placements and their rules."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

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


class RecommendSettings(Section):
    """What `GET /v1/recommend` answers. Each placement is a table [recommend.placements.NAME]."""

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

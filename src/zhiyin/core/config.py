"""Settings of a workspace: `zhiyin.toml`, overridden by `ZHIYIN_*` variables. Nothing else reads
the environment or settings files.

A variable `ZHIYIN_DECIDE__MAX_SHARE=0.2` overrides `max_share` of the section `[decide]`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from zhiyin.core.errors import ConfigError, WorkspaceError

FILE_NAME = "zhiyin.toml"
FORMAT = 1


class Section(BaseModel):
    """A frozen part of the settings that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RevenueSettings(Section):
    """What counts as revenue: paid, net of returns and discounts."""

    include_tax: bool = Field(False, description="count tax as revenue")
    include_shipping: bool = Field(False, description="count shipping and fees as revenue")


class ProfileSettings(Section):
    """Features and tags."""

    history_campaigns: int = Field(
        40, ge=1, le=500, description="how many past campaigns get a feature snapshot for training"
    )
    purchase_snapshots: int = Field(
        3, ge=1, le=24, description="how many past days get a snapshot to train the purchase model"
    )


class UnderstandSettings(Section):
    """Models, segments and recommendations."""

    purchase_horizon_days: int = Field(
        90, ge=1, le=1825, description="horizon of the purchase model"
    )
    min_positives: int = Field(100, ge=10, description="fewer positives give no model")
    clusters_min: int = Field(2, ge=2, le=20, description="smallest k tried by K-means")
    clusters_max: int = Field(8, ge=2, le=20, description="largest k tried by K-means")
    recommend_top: int = Field(20, ge=1, le=100, description="recommendations kept per customer")
    recommend_min_buyers: int = Field(
        20, ge=1, description="buyers an item needs to be recommended"
    )


class DecideSettings(Section):
    """Whom to contact with what."""

    campaign: str = Field("", description="campaign to decide; empty: those that start on the day")
    max_share: float = Field(0.30, gt=0, le=1, description="largest share of recipients contacted")
    budget_minor: int | None = Field(
        None, ge=0, description="largest total contact cost; none: no limit"
    )
    margin_rate: float = Field(0.25, gt=0, le=1, description="margin as a share of revenue")
    contact_cost_minor: int = Field(50, ge=0, description="cost of one contact, minor units")
    explore_share: float = Field(0.05, ge=0, lt=1, description="share of contacts chosen at random")
    holdout_share: float = Field(
        0.10, ge=0, lt=1, description="share of the chosen who are held out"
    )


class ActSettings(Section):
    """Messages and channels."""

    channel: str = Field("", description="channel that `zhiyin send` uses; empty: none configured")
    smtp_host: str = Field("", description="SMTP server; empty: no e-mail leaves")
    smtp_port: int = Field(587, ge=1, le=65535, description="its port")
    smtp_user: str = Field("", description="login; the password is ZHIYIN_SMTP_PASSWORD only")
    sender_name: str = Field("", description="shown sender; empty: the workspace's name")
    sender_address: str = Field("", description="sender address")
    postal_address: str = Field("", description="postal address shown in each e-mail")
    public_url: str = Field("https://example.invalid", description="where links lead")
    quiet_from_hour: int = Field(21, ge=0, le=23, description="quiet hours begin, local hour")
    quiet_to_hour: int = Field(8, ge=0, le=23, description="quiet hours end, local hour")
    cap_messages: int = Field(
        4, ge=1, description="most marketing messages a person gets in the window"
    )
    cap_days: int = Field(30, ge=1, description="length of that window, days")


class MeasureSettings(Section):
    """What is looked at afterwards."""

    bootstrap: int = Field(1000, ge=100, le=20000, description="bootstrap samples for intervals")
    lookback_days: int = Field(
        120, ge=0, le=3650, description="how far back earlier days are measured until they settle"
    )


class Settings(Section):
    """All settings of one workspace."""

    format: int = Field(FORMAT, description="version of this file's format")
    name: str = Field(min_length=1, max_length=80, description="name of the shop")
    currency: str = Field("USD", pattern="^[A-Z]{3}$", description="workspace currency, ISO 4217")
    zone: str = Field("UTC", description="time zone of the shop, IANA")
    languages: tuple[Literal["en", "zh"], ...] = Field(("en", "zh"), description="languages shown")
    engine: str = Field("duckdb", description="engine that runs the sums")
    ledger: str = Field("", description="ledger address (SQLAlchemy URL); empty: ledger.db here")
    seed: int = Field(7, ge=0, description="seed of all chance")
    demo: bool = Field(False, description="a demonstration: published keys, e-mail goes to a sink")
    demographics_static: bool = Field(
        False, description="customer attributes without history hold for all days"
    )
    revenue: RevenueSettings = RevenueSettings()
    profile: ProfileSettings = ProfileSettings()
    understand: UnderstandSettings = UnderstandSettings()
    decide: DecideSettings = DecideSettings()
    act: ActSettings = ActSettings()
    measure: MeasureSettings = MeasureSettings()

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{zone!r} is no IANA time zone, for example Asia/Shanghai") from error
        return zone


def load_settings(folder: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of the workspace in `folder`.

    Raises
    ------
    WorkspaceError
        If there is no `zhiyin.toml`.
    ConfigError
        If it, or a `ZHIYIN_*` variable, is wrong; names the first wrong field.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise WorkspaceError(
            f"{folder} is no workspace: it has no {FILE_NAME}",
            hint=f"make one: zhiyin init {folder}",
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    for name, value in sorted((environment if environment is not None else os.environ).items()):
        if name.startswith("ZHIYIN_") and name not in RESERVED:
            _override(values, name.removeprefix("ZHIYIN_").lower().split("__"), value, name)
    return validate_settings(values, where=str(path))


RESERVED = frozenset(
    {"ZHIYIN_SMTP_PASSWORD", "ZHIYIN_API_KEY", "ZHIYIN_SHARED", "ZHIYIN_WORKSPACE"}
)


def smtp_password() -> str:
    """The SMTP password, from the environment only: it is never written to a file."""
    return os.environ.get("ZHIYIN_SMTP_PASSWORD", "")


def validate_settings(values: Mapping[str, object], *, where: str) -> Settings:
    """Settings from parsed values.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is outside its range; names the first.
    """
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "file"
        hint = "remove it or correct its spelling" if first["type"] == "extra_forbidden" else ""
        raise ConfigError(f"{where}: {field}: {first['msg']}", hint=hint) from error


def _override(values: dict, path: list[str], value: str, name: str) -> None:
    target = values
    for part in path[:-1]:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise ConfigError(f"{name} names a section that is not one")
    target[path[-1]] = value

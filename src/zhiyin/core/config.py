"""Settings of a workspace: `zhiyin.toml`, overridden by `ZHIYIN_*` variables. Nothing else reads
the environment or settings files.

A variable `ZHIYIN_DECIDE__MAX_SHARE=0.2` overrides `max_share` of the section `[decide]`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator

from zhiyin.core.errors import ConfigError, WorkspaceError
from zhiyin.core.placements import RecommendSettings
from zhiyin.core.sections import (
    ActSettings,
    DecideSettings,
    IdentitySettings,
    MeasureSettings,
    ProfileSettings,
    RevenueSettings,
    Section,
    SparkSettings,
    UnderstandSettings,
)

FILE_NAME = "zhiyin.toml"
FORMAT = 1


class Settings(Section):
    """All settings of one workspace."""

    format: int = Field(default=FORMAT, description="version of this file's format")
    name: str = Field(min_length=1, max_length=80, description="name of the shop")
    currency: str = Field(
        default="USD", pattern="^[A-Z]{3}$", description="workspace currency, ISO 4217"
    )
    zone: str = Field(default="UTC", description="time zone of the shop, IANA")
    languages: tuple[Literal["en", "zh"], ...] = Field(
        default=("en", "zh"), description="languages shown"
    )
    engine: str = Field(default="duckdb", description="engine that runs the sums: duckdb, spark")
    ledger: str = Field(
        default="", description="ledger address (SQLAlchemy URL); empty: ledger.db here"
    )
    seed: int = Field(default=7, ge=0, description="seed of all chance")
    demo: bool = Field(
        default=False, description="a demonstration: published keys, e-mail goes to a sink"
    )
    simulated: bool = Field(
        default=False, description="the data is made up: every page of the report says so"
    )
    as_of: date | None = Field(
        default=None, description="day of a turn that names none; none: the day after the last sale"
    )
    demographics_static: bool = Field(
        default=False, description="customer attributes without history hold for all days"
    )
    revenue: RevenueSettings = RevenueSettings()
    identity: IdentitySettings = IdentitySettings()
    profile: ProfileSettings = ProfileSettings()
    understand: UnderstandSettings = UnderstandSettings()
    recommend: RecommendSettings = RecommendSettings()
    decide: DecideSettings = DecideSettings()
    act: ActSettings = ActSettings()
    measure: MeasureSettings = MeasureSettings()
    spark: SparkSettings = SparkSettings()

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
        raise ConfigError(f"{path} is not valid TOML: {error}", hint="correct that line") from error
    for name, value in sorted((environment if environment is not None else os.environ).items()):
        if name.startswith("ZHIYIN_") and not _is_reserved(name):
            _override(values, name.removeprefix("ZHIYIN_").lower().split("__"), value, name)
    return validate_settings(values, where=str(path))


RESERVED = frozenset(
    {
        "ZHIYIN_SMTP_PASSWORD",
        "ZHIYIN_SMS_KEY",
        "ZHIYIN_SMS_SECRET",
        "ZHIYIN_DINGTALK_TOKEN",
        "ZHIYIN_DINGTALK_SECRET",
        "ZHIYIN_WECOM_CORPID",
        "ZHIYIN_WECOM_SECRET",
        "ZHIYIN_WECHAT_SECRET",
        "ZHIYIN_WEBHOOK_SECRET",
        "ZHIYIN_WEBHOOK_SECRET_OLD",
        "ZHIYIN_API_KEY",
        "ZHIYIN_SHARED",
        "ZHIYIN_WORKSPACE",
    }
)


SOURCE_SECRETS = "ZHIYIN_SOURCE_"
"""Start of the variables that hold passwords and signing secrets of sources."""


def _is_reserved(name: str) -> bool:
    return name in RESERVED or name.startswith(SOURCE_SECRETS)


def source_variable(source: str) -> str:
    """The variable with the secret of `source`: `ZHIYIN_SOURCE_MY_SHOP` of `my-shop`."""
    return SOURCE_SECRETS + "".join(mark if mark.isalnum() else "_" for mark in source.upper())


def source_secrets(source: str, environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The source's password or signing secret, then the one before it (`…_OLD`), if set.

    They come from the environment only and are never written to a file.
    """
    held = os.environ if environment is None else environment
    name = source_variable(source)
    return tuple(value for value in (held.get(name, ""), held.get(f"{name}_OLD", "")) if value)


def smtp_password() -> str:
    """The SMTP password, from the environment only: it is never written to a file."""
    return os.environ.get("ZHIYIN_SMTP_PASSWORD", "")


def sms_secrets() -> tuple[str, str] | None:
    """Key and secret of the provider of text messages, from the environment only."""
    key, secret = (os.environ.get(f"ZHIYIN_SMS_{one}", "") for one in ("KEY", "SECRET"))
    return (key, secret) if key and secret else None


def dingtalk_secrets() -> tuple[str, str] | None:
    """Token and secret of a robot in a group of staff, from the environment only."""
    token, secret = (os.environ.get(f"ZHIYIN_DINGTALK_{one}", "") for one in ("TOKEN", "SECRET"))
    return (token, secret) if token and secret else None


def wecom_secrets() -> tuple[str, str] | None:
    """Corpid and secret of 企业微信 (WeCom), from the environment only."""
    corp, secret = (os.environ.get(f"ZHIYIN_WECOM_{one}", "") for one in ("CORPID", "SECRET"))
    return (corp, secret) if corp and secret else None


def wechat_secret() -> str:
    """The AppSecret of the mini-programme, from the environment only."""
    return os.environ.get("ZHIYIN_WECHAT_SECRET", "")


def webhook_secrets(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Secrets that sign outgoing webhooks, from the environment only: the present one, the old."""
    held = os.environ if environment is None else environment
    names = ("ZHIYIN_WEBHOOK_SECRET", "ZHIYIN_WEBHOOK_SECRET_OLD")
    return tuple(value for name in names if (value := held.get(name, "")))


def process_environment() -> Mapping[str, str]:
    """The variables of this process, for a program that it starts."""
    return os.environ


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
        unknown = first["type"] == "extra_forbidden"
        hint = "remove it or correct its spelling" if unknown else f"give {field} another value"
        said = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where}: {field}: {said}", hint=hint) from error


def _override(values: dict[str, Any], path: list[str], value: str, name: str) -> None:
    target = values
    for part in path[:-1]:
        section: object = target.setdefault(part, {})
        if not isinstance(section, dict):
            raise ConfigError(f"{name} names a section that is not one")
        target = cast("dict[str, Any]", section)
    target[path[-1]] = value

"""What a source is: `sources/NAME.toml` of the workspace, one file a source.

    kind = "sql"
    url = "postgresql://reader@db.example.com/shop"     # the password: ZHIYIN_SOURCE_NAME
    [[tables]]
    origin = "public.orders"
    table = "orders"
    cursor = "updated_at"
    [tables.mapping.columns]
    order_id = "id"

A mapping stands in the file, or is the name of a mapping file beside it; it has the format of the
mappings of files.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator
from sqlalchemy.exc import ArgumentError

from zhiyin.collect.mapping import LOADABLE, Mapping
from zhiyin.core import columns as c
from zhiyin.core.config import Section, source_variable
from zhiyin.core.errors import ConfigError, InputError, NotFound

FOLDER = "sources"
_OWN_KEYS = {"order_lines": c.LINE_ID, "touches": c.TOUCH_ID, "texts": c.TEXT_ID}
"""What a row has to be told apart by where rows come again: its place in a file does not do."""


class Into(Section):
    """Where rows go: one of our tables, by a mapping."""

    table: str = Field(description="table of Zhiyin they are loaded into")
    mapping: Mapping = Field(description="mapping, as of files")

    @model_validator(mode="after")
    def _fits(self) -> Into:
        if self.table not in LOADABLE:
            raise ValueError(f"nothing is loaded into {self.table!r}: {', '.join(LOADABLE)}")
        return self


class _Keyed(Into):
    @model_validator(mode="after")
    def _has_key(self) -> _Keyed:
        key = _OWN_KEYS.get(self.table)
        if key is not None and key not in self.mapping.columns:
            raise ValueError(f"rows of {self.table} come again: the mapping has to fill {key}")
        return self


class SqlTable(_Keyed):
    """One table or view of a database."""

    origin: str = Field(
        min_length=1, max_length=120, description="table or view: name or schema.name"
    )
    cursor: str = Field(description="column that grows with every change: a time or a number")
    key: tuple[str, ...] = Field((), description="columns that name a row; none: the primary key")
    overlap: int | None = Field(
        None, ge=0,
        description="read again so much before the cursor: seconds (300), or numbers (1000)",
    )  # fmt: skip
    batch_rows: int = Field(20_000, ge=1, le=500_000, description="rows loaded at once")

    @property
    def stream(self) -> str:
        """The name of this stream of rows in the ledger."""
        return f"{self.origin}>{self.table}"[:160]


class SqlSource(Section):
    """A database, by its SQLAlchemy URL."""

    kind: Literal["sql"]
    url: str = Field(description="SQLAlchemy URL without a password")
    every_s: int = Field(300, ge=5, description="seconds between two pulls of the worker")
    tables: tuple[SqlTable, ...] = Field(min_length=1)

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        try:
            parsed = sa.make_url(url)
        except ArgumentError:
            raise ValueError("this is no SQLAlchemy URL") from None
        if parsed.password:
            raise ValueError("a password may not stand in a file: put it in the variable")
        return url


class FolderSource(Into):
    """A folder whose complete new files are loaded, each once."""

    kind: Literal["folder"]
    path: Path = Field(description="folder; relative to the workspace")
    pattern: str = Field("*", description="names of the files, as a shell pattern")
    settle_s: float = Field(10.0, ge=0, description="a file is complete so long after a change")
    every_s: int = Field(60, ge=5, description="seconds between two looks of the worker")
    max_mb: int = Field(2048, ge=1, description="larger files are refused")

    @field_validator("pattern")
    @classmethod
    def _one_name(cls, pattern: str) -> str:
        if "/" in pattern or "\\" in pattern:
            raise ValueError("a pattern names files, not folders")
        return pattern


class HookTable(_Keyed):
    """Rows that a webhook's JSON holds for one table."""

    topics: tuple[str, ...] = Field((), description="topics it is taken from; none: all")
    each: str = Field("", description="dotted path of an array: one row per element")


class HookSource(Section):
    """A sender of webhooks, signed with the secret of the source."""

    kind: Literal["webhook"]
    signature: Literal["standard", "shopify", "github", "hmac"]
    header: str = Field("X-Signature", description="hmac: header of the signature")
    encoding: Literal["hex", "base64"] = Field("hex", description="hmac: how it is written")
    prefix: str = Field("", description="hmac: text before it, for example sha256=")
    digest: Literal["sha256", "sha512"] = Field("sha256", description="hmac: hash function")
    id_header: str = Field("", description="hmac: header with the webhook's id; none: its content")
    timestamp_header: str = Field("", description="hmac: header with unix seconds, signed too")
    topic_header: str = Field("", description="hmac, standard: header with the topic")
    every_s: int = Field(5, ge=5, description="seconds between two looks of the worker")
    max_waiting: int = Field(10_000, ge=1, description="more that wait are turned away for now")
    tables: tuple[HookTable, ...] = Field(min_length=1)


Source = SqlSource | FolderSource | HookSource
_READER = TypeAdapter(Annotated[Source, Field(discriminator="kind")])


def parse_source(
    values: dict[str, Any], *, name: str, where: str, read: Callable[[str], dict[str, Any]]
) -> Source:
    """A source from parsed TOML.

    Parameters
    ----------
    read
        Gives the parsed mapping file of that name.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is wrong; names the first.
    """
    values = dict(values)
    if values.get("kind") == "folder":
        values = _with_mapping(values, name, read)
    elif isinstance(values.get("tables"), list):
        values["tables"] = [
            _with_mapping(one, name, read) if isinstance(one, dict) else one
            for one in values["tables"]
        ]
    try:
        return _READER.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "file"
        hint = f"the secret of this source is {source_variable(name)}" if "url" in field else ""
        raise ConfigError(f"{where}: {field}: {first['msg']}", hint=hint) from None


def _with_mapping(
    values: dict[str, Any], name: str, read: Callable[[str], dict[str, Any]]
) -> dict[str, Any]:
    mapping = values.get("mapping")
    if isinstance(mapping, str):
        mapping = read(mapping)
    if not isinstance(mapping, dict):
        return values
    return {**values, "mapping": {"source": name, **mapping}}


def read_sources(folder: Path) -> dict[str, Source]:
    """The sources of the workspace in `folder`, by name.

    Raises
    ------
    ConfigError
        If a file is not TOML, has a name that is none, or says something wrong.
    """
    return {path.stem: read_source(path) for path in _paths(folder)}


def _paths(folder: Path) -> list[Path]:
    return [one for one in sorted((folder / FOLDER).glob("*.toml")) if not _is_mapping(one)]


def read_source(path: Path) -> Source:
    """The source in the file `path`; its name is the file's.

    Raises
    ------
    ConfigError
        If the file is not TOML or says something wrong.
    """
    if not _named(path.stem):
        raise ConfigError(
            f"{path} has no name of a source", hint="a-z, 0-9, - and _, at most 48 characters"
        )
    return parse_source(
        _toml(path), name=path.stem, where=str(path), read=lambda name: _beside(path, name)
    )


def find_source(folder: Path, name: str) -> Source:
    """The source called `name`.

    Raises
    ------
    NotFound
        If the workspace has none of that name.
    """
    path = folder / FOLDER / f"{name}.toml"
    if not _named(name) or not path.is_file():
        known = ", ".join(one.stem for one in _paths(folder)) or "none yet"
        raise NotFound(f"there is no source {name!r}", hint=f"sources: {known} (sources/*.toml)")
    return read_source(path)


def _named(name: str) -> bool:
    letters = set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    return 1 <= len(name) <= 48 and set(name) <= letters and name[0] not in "_-"


def _is_mapping(path: Path) -> bool:
    """Files named `….map.toml` are mappings that sources name."""
    return path.name.endswith(".map.toml")


def _beside(path: Path, name: str) -> dict[str, Any]:
    if "/" in name or "\\" in name or not name.endswith(".map.toml"):
        raise ConfigError(
            f"{path} names the mapping {name!r}", hint="a file beside it, called NAME.map.toml"
        )
    return _toml(path.with_name(name))


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", hint="correct that line") from error

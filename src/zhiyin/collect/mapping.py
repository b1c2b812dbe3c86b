"""How one file reads: a TOML mapping from the headers of a source to our columns.

    source = "online_retail"
    zone = "Europe/London"
    [columns]
    order_id = "InvoiceNo"
    amount = { product = ["Quantity", "UnitPrice"] }
    [[kinds]]
    kind = "shipping"
    column = "product_id"
    pattern = "POST|DOT|C2"

Money targets are `gross`, `discount`, `coupon`, `tax`, `shipping`, `amount`, `cost`, `price`,
`value` in major units (12.34), or the same with `_minor` in minor units (1234).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator, model_validator

from zhiyin.collect.cleaning import CLEANERS
from zhiyin.core import columns as c
from zhiyin.core.config import Section
from zhiyin.core.errors import InputError, NotFound
from zhiyin.core.tables import TABLES
from zhiyin.govern.identifiers import EMAIL, KINDS, PHONE, SCOPED, USER_ID

__all__ = [
    "CONSENTS",
    "EMAIL",
    "GRANTED",
    "IDENTIFIERS",
    "KINDS",
    "LOADABLE",
    "MONEY",
    "PHONE",
    "PURPOSE",
    "TEXT_VERSION",
    "USER_ID",
    "WITH_PARTY",
    "KindRule",
    "Mapping",
    "Rule",
    "check_mapping",
    "default_mapping",
    "parse_mapping",
    "read_mapping",
    "targets",
]

IDENTIFIERS = (USER_ID, *KINDS)
"""Columns that name a person; the first that a row fills is its record."""
CONSENTS = "consents"
PURPOSE, GRANTED, TEXT_VERSION = "purpose", "granted", "text_version"
LOADABLE = (
    "customers", "products", "stores", "orders", "order_lines", "offers", "campaigns", "touches",
    "contracts", CONSENTS, "spend", "rates", "texts",
)  # fmt: skip
KINDS = ("item", "return", "shipping", "fee", "discount", "sample", "adjustment")
MONEY = {
    "gross": (c.GROSS_MINOR, c.GROSS_BASE_MINOR),
    "discount": (c.DISCOUNT_MINOR, c.DISCOUNT_BASE_MINOR),
    "coupon": (c.COUPON_MINOR, c.COUPON_BASE_MINOR),
    "tax": (c.TAX_MINOR, c.TAX_BASE_MINOR),
    "shipping": (c.SHIPPING_MINOR, c.SHIPPING_BASE_MINOR),
    "amount": (c.AMOUNT_MINOR, c.AMOUNT_BASE_MINOR),
    "cost": (c.COST_MINOR, c.COST_BASE_MINOR),
    "price": (c.PRICE_MINOR, c.PRICE_BASE_MINOR),
    "value": (c.VALUE_MINOR, c.VALUE_BASE_MINOR),
}
WITH_PARTY = frozenset(
    {"customers", "orders", "order_lines", "contracts", "touches", "texts", CONSENTS}
)
_OURS = frozenset(
    {
        c.PARTY_ID, c.REVISION, c.RECORDED_AT, c.OP, c.MONTH, c.PROPERTIES, c.PERSONAL, c.SOURCE,
        c.LOAD_ID, c.LOADED_AT, c.UNDATED, c.SUSPECT, c.RETURNS_LINE_ID,
    }
)  # fmt: skip


class Rule(Section):
    """Where a value comes from: one of a header, a constant, a sum, a product or a join."""

    column: str | None = Field(None, description="header of the source")
    constant: str | None = Field(None, description="the same value on every row")
    sum: tuple[str, ...] = Field((), description="headers of numbers to add")
    minus: tuple[str, ...] = Field((), description="headers of numbers to take from the sum")
    product: tuple[str, ...] = Field((), description="headers of two numbers to multiply")
    join: tuple[str, ...] = Field((), description="headers of texts to join with `separator`")
    separator: str = Field("-", description="text between the joined parts")
    suffix: str = Field("", description="text put behind the column's")
    negate: bool = Field(False, description="turn the sign of a number")
    scale: str = Field("", pattern=r"^(\d+(\.\d+)?)?$",
                       description="factor of a number: 0.000001 for micros")  # fmt: skip
    clean: tuple[str, ...] = Field((), description="cleaning rules, in order: trim, nfkc, date …")

    @model_validator(mode="after")
    def _one_of(self) -> Rule:
        given = [self.column is not None, self.constant is not None]
        given += [bool(self.sum), bool(self.product), bool(self.join)]
        if sum(given) != 1:
            raise ValueError("give one of column, constant, sum, product or join")
        if self.product and len(self.product) != 2:
            raise ValueError("product takes two headers")
        for name in self.clean:
            if name not in CLEANERS:
                raise ValueError(f"there is no cleaning rule {name!r}: {', '.join(CLEANERS)}")
        return self

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers of the source that the rule reads."""
        one = () if self.column is None else (self.column,)
        return (*one, *self.sum, *self.minus, *self.product, *self.join)


class KindRule(Section):
    """Lines whose `column` matches `pattern` as a whole are of `kind`; the first rule wins."""

    kind: Literal["item", "shipping", "fee", "discount", "sample", "adjustment"]
    column: str = Field(c.PRODUCT_ID, description="one of our columns, or a header")
    pattern: str = Field(description="regular expression; has to match the whole value")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return pattern


class Mapping(Section):
    """How the files of one source read into one table."""

    source: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,47}$", description="name of the source")
    table: str = Field("", description="table it is for; empty: any")
    zone: str = Field("", description="zone of local times; empty: the workspace's")
    currency: str = Field("", description="currency of rows without one; empty: the workspace's")
    columns: dict[str, Rule] = Field(description="our column = header or rule")
    properties: tuple[str, ...] = Field((), description="headers kept as properties")
    personal: tuple[str, ...] = Field((), description="headers kept encrypted")
    ignore: tuple[str, ...] = Field((), description="headers not kept")
    date_formats: tuple[str, ...] = Field((), description="formats tried in order; none: ISO 8601")
    decimal: Literal["point", "comma"] = Field("point", description="decimal mark of numbers")
    encoding: str = Field("", description="text encoding; empty: found out")
    delimiter: str = Field("", max_length=1, description="of CSV; empty: found out")
    kinds: tuple[KindRule, ...] = Field((), description="types of lines by a code")
    cancellation_prefix: str = Field("", description="orders whose id starts so are cancellations")
    amount_includes: tuple[Literal["tax", "shipping"], ...] = Field(
        (), description="what the file's amount contains besides the goods"
    )
    static: bool = Field(False, description="attributes hold for all days, past ones too")
    conflicts: Literal["quarantine", "first", "last", "newest"] = Field(
        "quarantine", description="rows of one key that differ: refuse all, or keep one"
    )
    policy: Literal["overwrite", "fill", "skip"] = Field(
        "overwrite", description="a known key that differs: new revision, fill blanks, leave alone"
    )
    values: dict[str, dict[str, str]] = Field(
        {}, description="our column = text of the file to ours; * for any other and none"
    )
    multiple: dict[str, str] = Field({}, description="header of a list = mark between its values")
    delete: str = Field("", description="header that is true on rows that are deleted")
    from_orders: bool = Field(
        False, description="lines take customer and time from their order, loaded before"
    )
    sheet: str = Field("", description="of a workbook; empty: the only one with rows")
    draft: bool = Field(False, description="a guess: read it and delete this line")
    user_namespace: str = Field(USER_ID, pattern=r"^[a-z0-9_.-]{1,32}$",
                                description="name of the id space of user_id")  # fmt: skip
    identifier_scope: str = Field("", pattern=r"^[A-Za-z0-9_.-]{0,64}$",
                                  description="WeChat app of openid, or shop of ouid")  # fmt: skip
    calling_code: str = Field("", pattern=r"^\d{0,3}$",
                              description="of phone numbers without one: 86, 44, 1 …")  # fmt: skip
    revision: int = Field(1, ge=1, description="raise it to load the same file once more")

    @field_validator("columns", mode="before")
    @classmethod
    def _short_form(cls, columns: object) -> object:
        if isinstance(columns, dict):
            return {k: {"column": v} if isinstance(v, str) else v for k, v in columns.items()}
        return columns

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        try:
            return zone and ZoneInfo(zone).key
        except (KeyError, ValueError) as error:
            raise ValueError(f"{zone!r} is no IANA time zone, for example Asia/Shanghai") from error


def targets(table: str) -> tuple[str, ...]:
    """The column names that a mapping for `table` may fill.

    Raises
    ------
    NotFound
        If no file can be loaded into `table`.
    """
    if table not in LOADABLE:
        raise NotFound(f"no file is loaded into {table!r}", hint=f"tables: {', '.join(LOADABLE)}")
    if table == CONSENTS:
        return (*IDENTIFIERS, PURPOSE, c.CHANNEL, GRANTED, c.AT, TEXT_VERSION, c.SOURCE)
    names = TABLES[table].names
    base = dict(MONEY.values())
    bare = [name for name in names if name not in _OURS and name not in base.values()]
    money = [name for name, (minor, _) in MONEY.items() if minor in names]
    unit = ["price"] if table == "order_lines" else []
    people = list(IDENTIFIERS) if table in WITH_PARTY else []
    drop = {c.OCCURRED_AT} if table in ("spend", "contracts") else set()
    return tuple(dict.fromkeys([*people, *(n for n in bare if n not in drop), *money, *unit]))


_LINES = {
    "source": 'add the line: source = "shop" (small letters, digits, _ . -; ids of orders and '
    "products begin with it)",
    "columns": "add the lines: [columns] and, below it, one for each of our columns, say "
    'order_id = "Order No"',
}
"""What to write where a key that a mapping needs is missing or wrong."""


def parse_mapping(values: dict, *, where: str) -> Mapping:
    """A mapping from parsed TOML.

    Raises
    ------
    InputError
        If a key is unknown or a value is wrong; names the first.
    """
    try:
        return Mapping.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "file"
        hint = "remove it or correct its spelling"
        if first["type"] != "extra_forbidden":
            hint = _LINES.get(field, "see examples/mappings")
        raise InputError(f"{where}: {field}: {first['msg']}", hint=hint) from error


def read_mapping(path: Path) -> Mapping:
    """The mapping in the TOML file `path`.

    Raises
    ------
    InputError
        If the file is missing, is not TOML, or says something wrong.
    """
    if not path.is_file():
        raise InputError(f"there is no mapping {path}", hint="see examples/mappings")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not valid TOML: {error}", hint="correct that line; see examples/mappings"
        ) from error
    return parse_mapping(values, where=str(path))


def default_mapping(table: str, headers: Sequence[str], *, source: str = "shop") -> Mapping:
    """The mapping for a file whose headers are our column names.

    Other headers become properties, or personal fields where they look personal.

    Raises
    ------
    InputError
        If no header is one of ours.
    """
    known = targets(table)
    named = {name.strip().lower(): name for name in headers}
    columns = {
        target: {"column": named[target]}
        for target in known
        if target in named and target not in SCOPED
    }
    if not columns:
        raise InputError(
            f"no header of the file is a column of {table}",
            hint=f"write a mapping (--map); columns: {', '.join(known)}",
        )
    return Mapping.model_validate({"source": source, "columns": columns})


def check_mapping(mapping: Mapping, table: str, headers: Sequence[str]) -> None:
    """See that the mapping fits the table and the file.

    Raises
    ------
    InputError
        If it is for another table, fills a column that the table lacks, lacks one that the table
        needs, or reads a header that the file lacks.
    """
    if mapping.draft:
        raise InputError(
            "the mapping is a draft", hint="read it, correct it, and delete the line draft = true"
        )
    if mapping.table and mapping.table != table:
        raise InputError(f"the mapping is for {mapping.table}, not for {table}")
    known = targets(table)
    for target in mapping.columns:
        if target not in known:
            raise InputError(
                f"{table} has no column {target!r} to fill", hint=f"columns: {', '.join(known)}"
            )
    for target in SCOPED:
        if target in mapping.columns and not mapping.identifier_scope:
            raise InputError(
                f"the mapping fills {target} and does not say of which app or shop",
                hint='identifier_scope = "…"',
            )
    rules = [h for rule in mapping.columns.values() for h in rule.headers]
    other = [r.column for r in mapping.kinds if r.column not in known]
    more = [*mapping.multiple, *([mapping.delete] if mapping.delete else [])]
    for header in (*rules, *mapping.properties, *mapping.personal, *mapping.ignore, *other, *more):
        if header not in headers:
            raise InputError(
                f"the file has no column {header!r}", hint=f"it has: {', '.join(headers)}"
            )
    ended = table in TABLES and TABLES[table].revisions and table != "order_lines"
    if mapping.delete and not ended:
        raise InputError(
            f"rows of {table} cannot be deleted by a file",
            hint="orders, contracts, customers, products, stores, offers and campaigns can",
        )
    for need in needs_of(table):
        if mapping.from_orders and need == (c.SOLD_AT,):
            continue
        if not any(target in mapping.columns for target in need):
            raise InputError(
                f"the mapping fills no {' or '.join(need)}, which {table} needs",
                hint="add it under [columns]",
            )


def needs_of(table: str) -> list[tuple[str, ...]]:
    """What a mapping for `table` has to fill: one of each tuple."""
    money = [(name, f"{name}_minor") for name in ("amount", "gross")]
    either = tuple(n for pair in money for n in pair)
    who = [IDENTIFIERS]
    return {
        "customers": who,
        "products": [(c.PRODUCT_ID,)],
        "stores": [(c.STORE_ID,)],
        "orders": [(c.ORDER_ID,), (c.ORDERED_AT,), either],
        "order_lines": [(c.ORDER_ID,), (c.SOLD_AT,), (c.QUANTITY,), (*either, "price")],
        "offers": [(c.OFFER_ID,)],
        "campaigns": [(c.CAMPAIGN_ID,), (c.START_ON,), (c.END_ON,)],
        "contracts": [*who, (c.CONTRACT_ID,), (c.START_ON,)],
        "touches": [*who, (c.OCCURRED_AT,), (c.KIND,)],
        CONSENTS: [*who, (GRANTED,), (c.AT,)],
        "spend": [(c.SPENT_ON,), (c.CHANNEL,), ("cost", c.COST_MINOR)],
        "rates": [(c.CURRENCY,), (c.RATE_ON,), (c.RATE,)],
        "texts": [(c.OCCURRED_AT,), (c.BODY,)],
    }[table]

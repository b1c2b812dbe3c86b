# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column as a plain Column)
"""What the report shows of products: lists of customers, what is bought together."""

from __future__ import annotations

from collections.abc import Iterable

import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.measure.report import adapt
from zhiyin.measure.report.data import Pair, Recommended
from zhiyin.measure.report.shape import own_id

SHOWN_PRODUCTS, SHOWN_CUSTOMERS, SHOWN_PAIRS = 5, 2, 8
_LOOKED_AT = 500  # rows of table `together`, the surest first


def read_examples(lists: ir.Table, products: ir.Table) -> tuple[Recommended, ...]:
    """The first products of the customers with the strongest first recommendation.

    Parameters
    ----------
    lists
        Rows of table `recommendations` of the day.
    products
        Table `products` as of the day.
    """
    best = lists.filter(lists[c.RANK] == 1).order_by(
        lists[c.SCORE].desc(), lists[c.CUSTOMER_ID]
    ).limit(SHOWN_CUSTOMERS)  # fmt: skip
    who = [row[c.CUSTOMER_ID] for row in _rows(best.select(c.CUSTOMER_ID))]
    shown = lists.filter(lists[c.CUSTOMER_ID].isin(who), lists[c.RANK] <= SHOWN_PRODUCTS)
    rows = _rows(shown.order_by(c.CUSTOMER_ID, c.RANK))
    because = {id(row): adapt.read_because(row[c.REASON]) for row in rows}
    titles = name_products(products, [*(row[c.PRODUCT_ID] for row in rows), *because.values()])
    return tuple(
        Recommended(
            customer,
            tuple(
                (titles.get(row[c.PRODUCT_ID], own_id(row[c.PRODUCT_ID])),
                 titles.get(because[id(row)], ""))
                for row in rows if row[c.CUSTOMER_ID] == customer
            ),
        )
        for customer in who
    )  # fmt: skip


def read_pairs(together: ir.Table, products: ir.Table) -> tuple[Pair, ...]:
    """The surest pairs by the lower end of their lift, each product once, so that ten flavours of
    one thing do not fill the page.

    Parameters
    ----------
    together
        Rows of table `together` of the day.
    products
        Table `products` as of the day.
    """
    first = together.order_by(together[c.LIFT_LOW].desc(), c.PRODUCT_ID, c.OTHER_ID)
    rows = _rows(first.limit(_LOOKED_AT))
    taken, chosen = set[str](), list[dict]()
    # of a pair's two directions the one that says more
    for row in sorted(rows, key=lambda row: (-row[c.LIFT_LOW], -row[c.CONFIDENCE])):
        pair = {row[c.PRODUCT_ID], row[c.OTHER_ID]}
        if len(chosen) < SHOWN_PAIRS and not pair & taken:
            chosen.append(row)
            taken |= pair
    titles = name_products(products, taken)
    return tuple(
        Pair(
            titles.get(row[c.PRODUCT_ID], own_id(row[c.PRODUCT_ID])),
            titles.get(row[c.OTHER_ID], own_id(row[c.OTHER_ID])),
            row[c.ORDERS_TOGETHER], row[c.CONFIDENCE], row[c.LIFT], row[c.LIFT_LOW], row[c.Q_VALUE],
        )
        for row in chosen
    )  # fmt: skip


def name_products(products: ir.Table, ids: Iterable[str]) -> dict[str, str]:
    """Product → its name, else its narrowest group with its id."""
    wanted = sorted({one for one in ids if one})
    if not wanted:
        return {}
    mine = products.filter(products[c.PRODUCT_ID].isin(wanted))
    made = {}
    for row in _rows(mine.select(c.PRODUCT_ID, c.NAME, c.SUBCATEGORY, c.CATEGORY, c.DEPARTMENT)):
        group = row[c.SUBCATEGORY] or row[c.CATEGORY] or row[c.DEPARTMENT]
        own = own_id(row[c.PRODUCT_ID])
        made[row[c.PRODUCT_ID]] = row[c.NAME] or (f"{group} · {own}" if group else own)
    return made


def _rows(table: ir.Table) -> list[dict]:
    return table.to_pyarrow().to_pylist()

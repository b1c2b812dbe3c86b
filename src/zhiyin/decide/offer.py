# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Which offer of a campaign suits a customer most, and which of its products to show her.

The offer: the one whose products she has bought most often, then for most money, then the one
that is most popular with everybody, then the smallest id. Its products: first what is recommended
to her, then what she buys herself, then what everybody buys. The engine makes all sums; what
comes back is a few rows per customer.
"""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from zhiyin.core import columns as c

PRODUCTS_SHOWN = 4
ITEM = "item"
_NO_OFFER = ""  # while tables are joined; offer ids are never empty
_LINES, _SPEND, _ALL_LINES, _PLACE, _TIER = "lines", "spend", "all_lines", "place", "tier"
_RECOMMENDED, _OWN, _POPULAR = 0, 1, 2


def choose_offers(
    customers: ir.Table,
    *,
    offers: ir.Table,
    order_lines: ir.Table,
    recommendations: ir.Table,
    as_of: date,
    shown: int = PRODUCTS_SHOWN,
) -> pd.DataFrame:
    """The offer and the products for each customer.

    Parameters
    ----------
    customers
        `customer_id`, one row each.
    offers
        The campaign's offers, one row per offer and product; offers that ended before `as_of` are
        left out. An offer without a product is good for any. No offer at all: products only.
    order_lines
        As visible on the day; lines of kind `item` count.
    recommendations
        Of the day, may be empty: `customer_id`, `product_id`, `rank`.
    as_of
        The day of the decision.
    shown
        Most products per customer.

    Returns
    -------
    One row per customer, ordered by `customer_id`: `offer_id` (None: the campaign has no offer),
    `product_ids` (list, best first, at most `shown`; may be empty).
    """
    goods, for_any = _goods(customers, offers, as_of=as_of)
    items = order_lines.filter(order_lines[c.KIND] == ITEM, order_lines[c.PRODUCT_ID].notnull())
    if not for_any:
        items = items.semi_join(goods, c.PRODUCT_ID)
    popular = items.group_by(c.PRODUCT_ID).agg(**{_ALL_LINES: _.count()}).cache()
    own = items.semi_join(customers, c.CUSTOMER_ID).group_by(c.CUSTOMER_ID, c.PRODUCT_ID)
    own = own.agg(
        **{_LINES: _.count(), _SPEND: _[c.AMOUNT_BASE_MINOR].sum().fill_null(0).cast("int64")}
    ).cache()
    best = _best_offer(customers, goods, own, popular).cache()
    parts = [
        _keep_good(_recommended(recommendations), best, goods, shown=shown),
        _keep_good(_bought(own), best, goods, shown=shown),
        _popular(popular, best, goods, shown=shown),
    ]
    tiers = [
        part.select(c.CUSTOMER_ID, c.PRODUCT_ID, **{_PLACE: part[_PLACE] + tier * shown})
        for tier, part in zip((_RECOMMENDED, _OWN, _POPULAR), parts, strict=True)
    ]
    return _gather(best, ibis.union(*tiers), shown=shown)


def _goods(customers: ir.Table, offers: ir.Table, *, as_of: date) -> tuple[ir.Table, bool]:
    """Running offers and what they are good for, and whether one is good for any product."""
    ends = offers[c.END_ON]
    running = offers.filter(ends.isnull() | (ends >= ibis.literal(as_of)))
    goods = running.select(c.OFFER_ID, c.PRODUCT_ID).distinct()
    counted = goods.agg(n=goods.count(), any=goods[c.PRODUCT_ID].isnull().sum()).to_pyarrow()
    if counted["n"][0].as_py():
        return goods, bool(counted["any"][0].as_py())
    nothing = {c.OFFER_ID: ibis.literal(_NO_OFFER), c.PRODUCT_ID: ibis.null("string")}
    return customers.select(**nothing).distinct(), True


def _best_offer(customers: ir.Table, goods: ir.Table, own: ir.Table, popular: ir.Table) -> ir.Table:
    """`customer_id`, `offer_id`: the most bought offer; the most popular one for the others."""
    narrow, wide = _split(goods)
    sums = {_LINES: _[_LINES].sum(), _SPEND: _[_SPEND].sum()}
    mine = ibis.union(
        own.inner_join(narrow, c.PRODUCT_ID).group_by(c.CUSTOMER_ID, c.OFFER_ID).agg(**sums),
        own.group_by(c.CUSTOMER_ID)
        .agg(**sums)
        .cross_join(wide)[[c.CUSTOMER_ID, c.OFFER_ID, _LINES, _SPEND]],
    )
    total = {_ALL_LINES: _[_ALL_LINES].sum()}
    liked = ibis.union(
        narrow.left_join(popular, c.PRODUCT_ID).group_by(c.OFFER_ID).agg(**total),
        wide.cross_join(popular.agg(**total))[[c.OFFER_ID, _ALL_LINES]],
    ).mutate(**{_ALL_LINES: _[_ALL_LINES].fill_null(0).cast("int64")})
    mine = mine.inner_join(liked, c.OFFER_ID)
    order = [_[_LINES].desc(), _[_SPEND].desc(), _[_ALL_LINES].desc(), _[c.OFFER_ID].asc()]
    first = _place(mine, order, by=c.CUSTOMER_ID)
    first = first.filter(first[_PLACE] == 0).select(c.CUSTOMER_ID, c.OFFER_ID)
    most = liked.order_by([_[_ALL_LINES].desc(), _[c.OFFER_ID].asc()]).limit(1)
    most = most.select(**{c.ALIAS: _[c.OFFER_ID]})
    joined = customers.select(c.CUSTOMER_ID).left_join(first, c.CUSTOMER_ID).cross_join(most)
    return joined.select(
        c.CUSTOMER_ID, **{c.OFFER_ID: ibis.coalesce(joined[c.OFFER_ID], joined[c.ALIAS])}
    )


def _recommended(recommendations: ir.Table) -> ir.Table:
    return recommendations.select(c.CUSTOMER_ID, c.PRODUCT_ID, **{_PLACE: _[c.RANK]})


def _bought(own: ir.Table) -> ir.Table:
    order = [_[_LINES].desc(), _[_SPEND].desc(), _[c.PRODUCT_ID].asc()]
    return _place(own, order, by=c.CUSTOMER_ID).select(c.CUSTOMER_ID, c.PRODUCT_ID, _PLACE)


def _keep_good(rows: ir.Table, best: ir.Table, goods: ir.Table, *, shown: int) -> ir.Table:
    """The first `shown` products of each customer that her offer is good for."""
    narrow, wide = _split(goods)
    rows = rows.inner_join(best, c.CUSTOMER_ID)
    kept = ibis.union(
        rows.semi_join(narrow, [c.OFFER_ID, c.PRODUCT_ID]), rows.semi_join(wide, c.OFFER_ID)
    ).distinct()
    kept = kept.rename({_TIER: _PLACE})
    placed = _place(kept, [_[_TIER].asc(), _[c.PRODUCT_ID].asc()])
    return placed.filter(placed[_PLACE] < shown)


def _popular(popular: ir.Table, best: ir.Table, goods: ir.Table, *, shown: int) -> ir.Table:
    """The first `shown` products of each customer's offer by what everybody buys."""
    narrow, wide = _split(goods)
    order = [_[_ALL_LINES].desc(), _[c.PRODUCT_ID].asc()]
    every = popular.order_by(order).limit(shown)
    rows = ibis.union(
        narrow.inner_join(popular, c.PRODUCT_ID)[[c.OFFER_ID, c.PRODUCT_ID, _ALL_LINES]],
        wide.cross_join(every)[[c.OFFER_ID, c.PRODUCT_ID, _ALL_LINES]],
    ).distinct()
    placed = _place(rows, order, by=c.OFFER_ID)
    return best.inner_join(placed.filter(placed[_PLACE] < shown), c.OFFER_ID)


def _gather(best: ir.Table, products: ir.Table, *, shown: int) -> pd.DataFrame:
    """Each product of a customer once, at its first place, the first `shown` as a list."""
    once = products.group_by(c.CUSTOMER_ID, c.PRODUCT_ID).agg(**{_TIER: _[_PLACE].min()})
    placed = _place(once, [_[_TIER].asc(), _[c.PRODUCT_ID].asc()], by=c.CUSTOMER_ID)
    kept = placed.filter(placed[_PLACE] < shown).to_pandas()
    kept = kept.sort_values([c.CUSTOMER_ID, _PLACE])
    lists = kept.groupby(c.CUSTOMER_ID)[c.PRODUCT_ID].agg(list).to_dict()
    made = best.to_pandas().sort_values(c.CUSTOMER_ID, ignore_index=True)
    offers = [one or None for one in made[c.OFFER_ID]]
    return pd.DataFrame(
        {
            c.CUSTOMER_ID: made[c.CUSTOMER_ID],
            c.OFFER_ID: pd.Series(offers, dtype=object),
            c.PRODUCT_IDS: [lists.get(one, []) for one in made[c.CUSTOMER_ID]],
        }
    )


def _split(goods: ir.Table) -> tuple[ir.Table, ir.Table]:
    """Offers with the products they are good for, and the ids of offers good for any."""
    narrow = goods.filter(goods[c.PRODUCT_ID].notnull())
    return narrow, goods.filter(goods[c.PRODUCT_ID].isnull()).select(c.OFFER_ID)


def _place(rows: ir.Table, order: list, *, by: str = c.CUSTOMER_ID) -> ir.Table:
    """`rows` with their place, from 0, within each group."""
    return rows.mutate(**{_PLACE: ibis.row_number().over(group_by=by, order_by=order)})

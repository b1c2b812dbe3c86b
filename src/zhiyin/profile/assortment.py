"""Features from what a customer chose: variety of products, departments, categories, brands."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

import ibis
from ibis import _

from zhiyin.core import columns as c
from zhiyin.profile.facts import GROUPS, Facts, lines_of
from zhiyin.profile.purchases import seen_by
from zhiyin.profile.visible import at_least_zero

Keys = tuple[str, ...]  # see `Facts.keys`
_DEPARTMENT, _CATEGORY, _BRAND = (f"{name}_no" for name in GROUPS)


def summarise_assortment(facts: Facts, people: ibis.Table | None) -> tuple[ibis.Table, ...]:
    """Variety and concentration of what customers bought; each part one row per day and customer.

    Parameters
    ----------
    facts
        What `gather` gives. A product counts from the day it was bought, its department, category
        and brand from the day they were described.
    people
        Days and customers to compute: `k`, `who`; None: everyone on every day.
    """
    known = seen_by(facts.bought, facts, people)
    if not facts.days.single:
        known = known.filter(known.described <= known.k)
    keys = facts.days.keys
    return (
        _variety(seen_by(facts.variety, facts, people), keys),
        _departments(_spend_by(known, _DEPARTMENT, keys), _places(facts), keys),
        _categories(_by(known, _CATEGORY, keys).agg(lines=lines_of(facts.days)), keys),
        _brands(_spend_by(known, _BRAND, keys), keys),
    )


def _variety(seen: ibis.Table, keys: Keys) -> ibis.Table:
    made = seen.group_by(*keys).agg(products_count=_.products.sum(), lines=_.lines.sum())
    repeated = 1 - made.products_count / made.lines.nullif(0)
    return made.select(*keys, made.products_count, repeat_share=repeated)


def _places(facts: Facts) -> ibis.Table:
    """Departments of the whole shop by revenue, ties by name: their day but for `who`, the number,
    `place` from 0.
    """
    if facts.places is not None:
        names = facts.products.select(c.DEPARTMENT, _DEPARTMENT).distinct()
        return names.inner_join(facts.places, c.DEPARTMENT).select(_DEPARTMENT, "place")
    size = department_sums(facts)
    place = ibis.row_number().over(group_by="k", order_by=[ibis.desc(size.size), size[_DEPARTMENT]])
    return size.select(*facts.days.keys[:-1], _DEPARTMENT, place=place)


def department_sums(facts: Facts) -> ibis.Table:
    """Revenue of the shop's departments: `k`, `department`, its number, `size` (minor units)."""
    sold = facts.bought.filter(facts.bought[_DEPARTMENT].notnull())
    sold = sold.group_by(_DEPARTMENT, "since", "described").agg(amount=_.amount.sum().cast("int64"))
    names = facts.products.select(c.DEPARTMENT, _DEPARTMENT).distinct()
    days = facts.starts.select("k")
    seen = sold.inner_join(days, [sold.since <= days.k, sold.described <= days.k])
    seen = seen.inner_join(names, _DEPARTMENT)
    size = _.amount.sum().fill_null(0).cast("int64")
    return seen.group_by("k", c.DEPARTMENT, _DEPARTMENT).agg(size=size)


def _by(known: ibis.Table, column: str, keys: Keys) -> ibis.expr.types.groupby.GroupedTable:
    return known.filter(known[column].notnull()).group_by(*keys, column)


def _spend_by(known: ibis.Table, column: str, keys: Keys) -> ibis.Table:
    return _by(known, column, keys).agg(spend=at_least_zero(_.amount.sum().cast("int64")))


def _departments(spend: ibis.Table, sizes: ibis.Table, keys: Keys) -> ibis.Table:
    placed = spend.left_join(sizes, [*keys[:-1], _DEPARTMENT])
    made = placed.group_by(*keys).agg(
        departments_count=_.count(),
        top=_.spend.max(),
        all=_.spend.sum(),
        **{f"d{i}": _.spend.sum(where=_.place == i) for i in range(3)},
    )
    total = made["all"].nullif(0)
    return made.select(
        *keys,
        made.departments_count,
        top_department_share=made.top / total,
        **{f"department_{i + 1}_share": made[f"d{i}"].fill_null(0) / total for i in range(3)},
    )


def _categories(bought: ibis.Table, keys: Keys) -> ibis.Table:
    """Shannon entropy of the lines over categories: log N - (1 / N) sum n log n, in nats."""
    made = bought.group_by(*keys).agg(
        categories_count=_.count(),
        n=_.lines.sum(),
        weighted=(_.lines * _.lines.ln()).sum(),
    )
    entropy = made.n.ln() - made.weighted / made.n
    return made.select(*keys, made.categories_count, category_entropy=at_least_zero(entropy))


def _brands(spend: ibis.Table, keys: Keys) -> ibis.Table:
    made = spend.group_by(*keys).agg(top=_.spend.max(), all=_.spend.sum())
    return made.select(*keys, top_brand_share=made.top / made["all"].nullif(0))

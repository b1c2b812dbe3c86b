# pyright: basic, reportOperatorIssue=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.
"""The tables that rules read, as functions of a store; dates of birth are decrypted in memory."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import ibis
import pyarrow as pa

from zhiyin.audience import rule as r
from zhiyin.audience.fields import CUSTOMERS, PRODUCTS, field_of
from zhiyin.audience.formula import SNAPSHOTS
from zhiyin.core import columns as c
from zhiyin.core.birthday import birthday_of
from zhiyin.core.protocols import Store, Vault

_STEP = 20_000


def table_names(rules: Iterable[r.Rule]) -> tuple[str, ...]:
    """The tables that the rules may read, those that say who there is included."""
    names = {CUSTOMERS, "features"}
    for rule in rules:
        for _, leaf in r.leaves(rule):
            names |= _tables_of(leaf)
    return tuple(sorted(names))


def tables_for(
    store: Store,
    vault: Vault,
    rules: Iterable[r.Rule],
    *,
    as_of: date,
    only: ibis.Table | None = None,
) -> dict[str, ibis.Table]:
    """The tables as the store gives them for the day; `birthday` is added where a rule asks.

    Parameters
    ----------
    as_of
        Local day.
    only
        `customer_id` of those whose rows are wanted; None: everybody's.
    """
    asked = list(rules)
    names = table_names(asked)
    tables = {
        name: store.read(name) if name in SNAPSHOTS else store.read(name, as_of=as_of)
        for name in names
    }
    if only is not None:
        tables = {
            name: table.semi_join(only, c.CUSTOMER_ID) if c.CUSTOMER_ID in table.columns else table
            for name, table in tables.items()
        }
    leaves = [leaf for rule in asked for _, leaf in r.leaves(rule)]
    if any(isinstance(leaf, r.Yearly) and leaf.field == c.BIRTHDAY for leaf in leaves):
        tables[CUSTOMERS] = with_birthdays(tables[CUSTOMERS], store, vault)
    return tables


def last_snapshot(store: Store, as_of: date) -> date:
    """The newest day with features up to the day; the day itself where there is none."""
    days = store.read("features")[c.AS_OF_ON]
    found = days.as_table().filter(lambda t: t[c.AS_OF_ON] <= as_of)[c.AS_OF_ON].max()
    return found.to_pyarrow().as_py() or as_of


def with_birthdays(customers: ibis.Table, store: Store, vault: Vault) -> ibis.Table:
    """`customers` with the column `birthday` (text), kept in memory only."""
    held = customers.filter(customers[c.PERSONAL].notnull())
    rows = held.select(c.PARTY_ID, c.PERSONAL).to_pyarrow()
    parties: list[str] = []
    dates: list[str] = []
    for start in range(0, rows.num_rows, _STEP):
        part = rows.slice(start, _STEP).to_pydict()
        opened = vault.unseal(part[c.PARTY_ID], part[c.PERSONAL])
        for party, personal in zip(part[c.PARTY_ID], opened, strict=True):
            if (found := birthday_of(personal or {})) is not None:
                parties.append(party)
                dates.append(found)
    schema = pa.schema([(c.PARTY_ID, pa.string()), (c.BIRTHDAY, pa.string())])
    known = store.to_ibis(pa.table([parties, dates], schema=schema))
    return customers.left_join(known, c.PARTY_ID).drop(f"{c.PARTY_ID}_right")


def _tables_of(leaf: r.Leaf) -> set[str]:
    if isinstance(leaf, r.Sequence):
        steps = [(leaf.first.table, leaf.first.where), (leaf.then.table, leaf.then.where)]
    elif isinstance(leaf, r.Behaviour | r.Recency):
        steps = [(leaf.table, leaf.where)]
    else:
        kinds = {r.Tag: "tags", r.Score: "scores", r.Segment: "memberships"}
        return {kinds[type(leaf)]} if type(leaf) in kinds else set()
    found = {table for table, _ in steps}
    for table, wheres in steps:
        fields = [field_of(table, where.column) for where in wheres]
        if any(one is not None and one.place == "product" for one in fields):
            found.add(PRODUCTS)
    return found

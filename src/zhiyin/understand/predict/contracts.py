"""Contracts as they were known on a day: who holds one, what is known of it, whose ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.arguments import show
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.features import CONTRACT_FEATURES

NAMES = (c.CUSTOMER_ID, c.START_ON, c.END_ON, c.CANCELLED_ON)
_RUNNING, _CANCELLED = "running", "cancelled"


def known_contracts(contracts: pa.Table | pd.DataFrame, *, as_of: date) -> pa.Table:
    """Contracts with what was known of them before a day (law 1).

    A contract that begins on the day or later is not there. An end counts once it has come, or
    once notice was given before the day; a notice counts from the day after it was given. What a
    source says today of a later end is not seen by an earlier day.

    Parameters
    ----------
    contracts
        `customer_id`, `start_on`, `end_on`, `cancelled_on` (local days; the last two may be null).
    as_of
        The local day.

    Raises
    ------
    InvalidParameter
        If it is no table, lacks a column, or holds what is no day.
    """
    rows = _read(contracts)
    rows = rows[rows[c.CUSTOMER_ID].notna() & _before(rows[c.START_ON], as_of)]
    noticed = _before(rows[c.CANCELLED_ON], as_of)
    ended = _before(rows[c.END_ON], as_of) | noticed
    rows = rows.assign(
        **{
            c.END_ON: rows[c.END_ON].where(ended, None),
            c.CANCELLED_ON: rows[c.CANCELLED_ON].where(noticed, None),
        }
    )
    day = pa.date32()
    schema = pa.schema([
        (c.CUSTOMER_ID, pa.string()), (c.START_ON, day), (c.END_ON, day), (c.CANCELLED_ON, day)
    ])  # fmt: skip
    return pa.Table.from_pandas(rows.astype(object), schema=schema, preserve_index=False)


def _read(contracts: pa.Table | pd.DataFrame) -> pd.DataFrame:
    if not isinstance(contracts, pa.Table | pd.DataFrame):
        raise InvalidParameter(
            f"contracts is {show(contracts)}", hint="give a table of Arrow or pandas"
        )
    held = contracts.column_names if isinstance(contracts, pa.Table) else list(contracts.columns)
    if lacking := [name for name in NAMES if name not in held]:
        raise InvalidParameter(
            f"contracts have no column {lacking[0]!r}", hint=f"they need {', '.join(NAMES)}"
        )
    if isinstance(contracts, pa.Table):
        return contracts.select(NAMES).to_pandas()
    return contracts[list(NAMES)]


def contract_features(contracts: pa.Table | pd.DataFrame, *, days: Sequence[date]) -> pd.DataFrame:
    """What is known on each day of who holds a contract then: `core.features.CONTRACT_FEATURES`.

    Returns
    -------
    `as_of_on`, `customer_id` and the features, one row a day and holder.
    """
    parts = [_of_day(contracts, day) for day in sorted(set(days))]
    names = [c.AS_OF_ON, c.CUSTOMER_ID, *(one.name for one in CONTRACT_FEATURES)]
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def _of_day(contracts: pa.Table | pd.DataFrame, day: date) -> pd.DataFrame:
    rows = known_contracts(contracts, as_of=day).to_pandas()
    running = rows[c.END_ON].isna() | ~_before(rows[c.END_ON], day)
    age = (pd.Timestamp(day) - pd.to_datetime(rows[c.START_ON])).dt.days
    rows = rows.assign(
        age=age, **{_RUNNING: running, _CANCELLED: running & rows[c.CANCELLED_ON].notna()}
    )
    made = rows.groupby(c.CUSTOMER_ID, as_index=False).agg(
        contract_tenure_days=("age", "max"),
        contract_days=("age", "min"),
        contracts_count=("age", "size"),
        contracts_running=(_RUNNING, "sum"),
        contracts_cancelled=(_CANCELLED, "sum"),
    )
    held = made[made["contracts_running"] > 0]
    return held.assign(**{c.AS_OF_ON: day})


def _before(values: pd.Series, day: date) -> pd.Series:
    """Whether each day lies before; none does not."""
    try:
        at = pd.to_datetime(values, format="ISO8601")
        return (at < pd.Timestamp(day)).fillna(False).astype(bool)
    except (ValueError, TypeError) as error:
        raise InvalidParameter(
            f"{values.name} of contracts, or the day {day!r}, is no day",
            hint="hand in dates: pandas.to_datetime, datetime.date",
        ) from error

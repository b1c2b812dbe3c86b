"""`zhiyin decide`: a decision point asked about many customers, its choices as a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from zhiyin.app import Workspace
from zhiyin.core import columns as c
from zhiyin.core.errors import InputError, NotEnoughData
from zhiyin.decide.batch_job import run
from zhiyin.decide.numbers_job import newest_day
from zhiyin.person.find import find_people
from zhiyin.store.leases import hold_lease

COLUMNS = (c.DECISION_ID, c.CUSTOMER_ID, c.ACTION, c.PROPENSITY, c.EXPLORED, c.REASON,
           c.POLICY_VERSION)  # fmt: skip


def decide_many(
    shop: Workspace,
    key: str,
    *,
    as_of: date | None = None,
    customers: Sequence[str] | None = None,
    out: Path | None = None,
) -> dict[str, Any]:
    """Choose for all customers of a day (none: the newest that has features) or for some of them.

    Parameters
    ----------
    customers
        By the source's ids, e-mails, phones or ours; those nobody has are counted.
    out
        A file for the choices, CSV or Parquet by its ending; it holds our ids.

    Returns
    -------
    `as_of_on`, `customers`, `unknown`, `actions`: how often each was chosen, `explored`.

    Raises
    ------
    LeaseHeld
        If a turn or an erasure is under way.
    NotEnoughData
        If the point has no policy yet, or the day no features.
    """
    day = as_of or newest_day(shop.store)
    if day is None:
        raise NotEnoughData("no features were computed yet", hint="zhiyin run")
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise InputError(f"{out.name} is neither CSV nor Parquet", hint="--out choices.csv")
    found = None if customers is None else find_people(shop.store, shop.vault, customers)
    known = None if found is None else [one for one in found if one is not None]
    with hold_lease(shop.store.ledger, clock=shop.clock):
        context = replace(shop.context(day), clock=shop.clock)
        rows = run(context, key, customers=known).select(COLUMNS)
    if out is not None:
        _write(rows.sort_by(c.CUSTOMER_ID), out)
    return {
        c.AS_OF_ON: day.isoformat(), "customers": rows.num_rows,
        "unknown": 0 if found is None else sum(one is None for one in found),
        "actions": dict(sorted(Counter(rows[c.ACTION].to_pylist()).items())),
        "explored": sum(rows[c.EXPLORED].to_pylist()),
    }  # fmt: skip


def read_names(file: Path) -> list[str]:
    """The customers in a text file, one a line.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file.name} cannot be read", hint="give a text file with one customer a line"
        ) from error
    return [one.strip() for one in lines if one.strip()]


def _write(rows: pa.Table, out: Path) -> None:
    try:
        if out.suffix == ".parquet":
            pq.write_table(rows, out)
        else:
            pa_csv.write_csv(rows, out)
    except OSError as error:
        raise InputError(f"{out.name} cannot be written: {error.strerror}") from error

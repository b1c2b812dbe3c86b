# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Who a row is about: party ids of its identifiers, and its personal fields, encrypted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.collect.lines import codes_of
from zhiyin.collect.mapping import EMAIL, IDENTIFIERS, PHONE, USER_ID, Mapping
from zhiyin.collect.personal import normalise_email, normalise_phone, normalise_user_id
from zhiyin.collect.validate import ORDER_PARTY
from zhiyin.collect.values import Checked, as_text
from zhiyin.core import columns as c
from zhiyin.core.protocols import Vault


@dataclass(frozen=True)
class People:
    """The party of each row.

    `party` (n,) string, null = nobody. `known` has one row per identifier and party seen:
    `namespace`, `value` (normalised, personal: never stored), `party_id`, `row` (first seen).
    """

    party: pa.Array
    known: pd.DataFrame

    @property
    def present(self) -> np.ndarray:
        """(n,) bool: rows with a party."""
        return self.party.is_valid().to_numpy(zero_copy_only=False)


def find_people(checked: Checked, *, mapping: Mapping, vault: Vault) -> People:
    """The party of each row: the one that is known, else of its user id, its e-mail, its phone."""
    known = checked.raw.parties
    party: pa.Array = pa.nulls(checked.count, pa.string()) if known is None else known
    seen: dict[str, tuple[np.ndarray, list[str]]] = {}
    for name in IDENTIFIERS:
        if name not in checked.columns:
            continue
        codes, values = _normalised(checked.columns[name], _normaliser(name, mapping))
        namespace = mapping.user_namespace if name == USER_ID else name
        ids = pa.array(vault.party_ids(namespace, values), pa.string())
        own = ids.take(pa.array(codes, mask=codes < 0))
        party = pc.coalesce(party, own)
        seen[namespace] = (codes, values)
    if ORDER_PARTY in checked.columns:
        party = pc.coalesce(party, checked.columns[ORDER_PARTY])
    return People(party, _known(party, seen))


def _normaliser(name: str, mapping: Mapping) -> Callable[[str], str | None]:
    if name == EMAIL:
        return normalise_email
    if name == PHONE:
        return lambda value: normalise_phone(value, calling_code=mapping.calling_code)
    return normalise_user_id


def _normalised(
    column: pa.Array, normalise: Callable[[str], str | None]
) -> tuple[np.ndarray, list[str]]:
    """Codes (n,) into the distinct normalised values; -1 where there is none."""
    encoded = pc.dictionary_encode(column)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    place: dict[str, int] = {}
    table = [
        -1 if value is None else place.setdefault(value, len(place))
        for value in map(normalise, encoded.dictionary.to_pylist())
    ]
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.asarray([*table, -1], np.int64)[codes], list(place)


def _known(party: pa.Array, seen: dict[str, tuple[np.ndarray, list[str]]]) -> pd.DataFrame:
    parts = [pd.DataFrame(columns=[c.NAMESPACE, "value", c.PARTY_ID, "row"])]
    person = codes_of(party)
    for namespace, (codes, values) in seen.items():
        pair = codes * (int(person.max(initial=0)) + 2) + person
        rows = np.flatnonzero((codes >= 0) & ~pd.Series(pair).duplicated().to_numpy())
        parts.append(
            pd.DataFrame(
                {
                    c.NAMESPACE: namespace,
                    "value": [values[code] for code in codes[rows].tolist()],
                    c.PARTY_ID: party.take(pa.array(rows)).to_pylist(),
                    "row": rows,
                }
            )
        )
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else parts[0]


def personal_fields(
    checked: Checked, rows: np.ndarray, *, headers: Sequence[str], mapping: Mapping
) -> list[dict[str, str] | None]:
    """What is personal in each of `rows` (places): identifiers and personal headers, by name.

    Rows of customers keep all their identifiers; other rows keep the ones that did not make
    their party. None where there is nothing.
    """
    named = [name for name in IDENTIFIERS if name in checked.columns]
    if checked.table != "customers":
        named = named[1:]
    take = pa.array(rows)
    columns = {name: checked.columns[name].take(take).to_pylist() for name in named}
    for header in headers:
        columns[header] = as_text(checked.raw.rows.column(header).take(take)).to_pylist()
    if not columns:
        return [None] * len(rows)
    made = []
    for values in zip(*columns.values(), strict=True):
        fields = {k: v for k, v in zip(columns, values, strict=True) if v is not None}
        made.append(fields or None)
    return made


def seal_rows(
    vault: Vault, party: pa.Array, fields: Sequence[dict[str, str] | None]
) -> tuple[pa.Array, int]:
    """Each row's fields under its party's key, and how many rows had fields but no party."""
    if not any(fields):
        return pa.nulls(len(fields), pa.binary()), 0
    people = party.to_pylist()
    place = [i for i, (who, what) in enumerate(zip(people, fields, strict=True)) if who and what]
    sealed: list[bytes | None] = [None] * len(fields)
    blobs = vault.seal([people[i] for i in place], [fields[i] for i in place])
    for i, blob in zip(place, blobs, strict=True):
        sealed[i] = blob
    lost = sum(1 for one in fields if one) - len(place)
    return pa.array(sealed, pa.binary()), lost

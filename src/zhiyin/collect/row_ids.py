"""Ids of rows that would say whom they are about, for example `planned-18-<customer>`.

An id stays in the lake when its person is erased, so where it is made of what identifies her, it
is a keyed hash instead: the same row still has the same id in every file.
"""

from __future__ import annotations

import pyarrow as pa

from zhiyin.collect.mapping import IDENTIFIERS, Mapping
from zhiyin.collect.values import Checked
from zhiyin.core import columns as c
from zhiyin.core.protocols import Vault

PURPOSE = "row"
_DIGITS = 26
_FROM_CONTENT = {"touches": c.TOUCH_ID, "texts": c.TEXT_ID}  # ids that hash a whole row
_IDS = (c.TOUCH_ID, c.TEXT_ID, c.ORDER_ID, c.LINE_ID, c.CONTRACT_ID)


def hide_people(checked: Checked, *, mapping: Mapping, vault: Vault) -> None:
    """Put a keyed hash in the place of each row id that is made of a person's identifier."""
    personal = {
        header
        for name in IDENTIFIERS
        if name in mapping.columns
        for header in mapping.columns[name].headers
    }
    for name in _IDS:
        if name not in checked.columns:
            continue
        rule = mapping.columns.get(name)
        made_of = {*rule.headers} if rule is not None else set[str]()
        hashed = rule is None and _FROM_CONTENT.get(checked.table) == name and personal
        if hashed or made_of & personal:
            checked.columns[name] = _tokens(checked.columns[name], mapping.source, vault)


def _tokens(ids: pa.Array, source: str, vault: Vault) -> pa.Array:
    texts = ids.to_pylist()
    token_of = {one: vault.token(PURPOSE, one)[:_DIGITS] for one in set(texts) if one is not None}
    return pa.array(
        [None if one is None else f"{source}:{token_of[one]}" for one in texts], pa.string()
    )

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.unit.collect.fakes import naive, rows_of, stored
from zhiyin.collect import identity
from zhiyin.core.errors import InvalidParameter, NotFound

AT = datetime(2026, 1, 5, tzinfo=UTC)


def test_a_merge_is_written_once(store):
    assert identity.merge(store, "p_a", into="p_b", at=AT, rule="person") == 1
    assert identity.merge(store, "p_a", into="p_b", at=AT, rule="person") == 0
    (row,) = rows_of(store, "merges")
    assert (row["party_id"], row["into"], row["at"], row["undone_at"]) == (
        "p_a", "p_b", naive(2026, 1, 5), None,
    )  # fmt: skip


def test_undoing_adds_a_dated_row_and_keeps_the_first(store):
    identity.merge(store, "p_a", into="p_b", at=AT, rule="person")
    assert identity.undo(store, "p_a", into="p_b", undone_at=AT.replace(month=2)) == 1
    assert [row["undone_at"] for row in stored(store, "merges")] == [None, naive(2026, 2, 5)]
    assert [row["undone_at"] for row in rows_of(store, "merges")] == [naive(2026, 2, 5)]


def test_wrong_merges_are_errors(store):
    with pytest.raises(InvalidParameter):
        identity.merge(store, "p_a", into="p_a", at=AT, rule="person")
    with pytest.raises(NotFound):
        identity.undo(store, "p_a", into="p_b", undone_at=AT)

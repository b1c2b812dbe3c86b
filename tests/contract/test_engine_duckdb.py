"""DuckDB passes the contract of engines."""

from __future__ import annotations

import ibis
import pytest
from ibis.backends.sql.compilers.duckdb import DuckDBCompiler

from zhiyin.store.engines.duckdb import Compiler, DuckDBEngine
from zhiyin.store.workspace import open_store
from zhiyin.testing.contract_engine import EngineContract
from zhiyin.testing.engine_rows import ZONE


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    engine = DuckDBEngine(threads=1, memory_bytes=2**29)
    folder = tmp_path_factory.mktemp("lake") / "知音 {x}"
    folder.mkdir()
    made = open_store(folder, zone=ZONE, engine=engine)
    yield made
    made.close()


class TestDuckDB(EngineContract):
    pass


_WORDS = ibis.table({"word": "string", "number": "int64", "many": "array<int64>"}, name="words")


@pytest.mark.parametrize(
    "made",
    [
        _WORDS.sample(0.5, seed=1),
        _WORDS.mutate(x=_WORDS.number.bucket([0, 10, 20])),
        _WORDS.mutate(x=_WORDS.word.capitalize()),
        _WORDS.mutate(x=_WORDS.word.find("a")),
        _WORDS.mutate(x=_WORDS.word.find_in_set(["a", "b"])),
        _WORDS.mutate(x=_WORDS.many.index(3)),
        _WORDS.mutate(x=_WORDS.many.map(lambda value, at: value + at)),
        _WORDS.mutate(x=_WORDS.many.filter(lambda value, at: value > at)),
        _WORDS.mutate(x=ibis.ntile(4).over(order_by=_WORDS.number)),
        _WORDS.mutate(x=ibis.row_number().over(order_by=_WORDS.number)),
        _WORDS.mutate(x=_WORDS.number.nth(2).over(order_by=_WORDS.number)),
        _WORDS.filter(_WORDS.number.isin([])),
        _WORDS.filter(_WORDS.number.isin([1, 2])),
        _WORDS.group_by("word").agg(n=_WORDS.number.sum()),
    ],
)
def test_walks_left_out_change_no_statement(made):
    ours, of_ibis = Compiler(), DuckDBCompiler()
    assert ours.to_sqlglot(made).sql("duckdb") == of_ibis.to_sqlglot(made).sql("duckdb")


def test_rules_of_ibis_are_those_that_are_looked_for():
    """A new one must be looked at: whether `_is_rewritten` knows the operations it is for."""
    kinds = {kind.__name__ for kind in DuckDBCompiler.lowered_ops}
    assert (kinds, len(DuckDBCompiler.rewrites)) == ({"Bucket", "Capitalize", "Sample"}, 5)

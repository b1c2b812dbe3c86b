"""DuckDB passes the contract of engines."""

from __future__ import annotations

import re

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
_ORDERS = ibis.table(
    {"order": "string", "word": "string", "at": "timestamp", "amount": "int64"}, name="orders"
)
_BIG = _ORDERS.filter(_ORDERS.amount > 5, _ORDERS.word.notnull())
_SUMS = _BIG.group_by("word").agg(n=_BIG.count(), top=_BIG.amount.max(where=_BIG.order != "x"))
_RANK = ibis.row_number().over(group_by="word", order_by=[_BIG["at"].desc(), _BIG.order])
_MORE = _SUMS.mutate(late=ibis.literal("2024-01-01").cast("timestamp"), many=_SUMS.n / 2)
_AGAIN = _BIG.view()


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
        _WORDS.mutate(x=ibis.dense_rank().over(order_by=_WORDS.number) * 2),
        _WORDS.mutate(x=_WORDS.number.nth(2).over(order_by=_WORDS.number)),
        _WORDS.mutate(x=_WORDS.number.first().over(order_by=_WORDS.number)),
        _WORDS.filter(_WORDS.number.isin([])),
        _WORDS.filter(_WORDS.number.isin([1, 2])),
        _WORDS.fill_null({"number": 1}).drop_null("word"),
        _WORDS.alias("named").select("word"),
        _WORDS,
        _WORDS.number.sum(),
        _WORDS.select("word", "number", "many"),
        _WORDS.select("number", "word", "many"),
        _WORDS.rename(other="word"),
        _WORDS.select(_WORDS.number.name("word"), _WORDS.word.name("number"), "many"),
        _WORDS.drop("word"),
        _WORDS.mutate(a=1, b=2, c=3).drop("word"),
        _WORDS.group_by("word").agg(n=_WORDS.number.sum()).distinct().order_by("n").limit(3),
        _BIG.filter(_RANK == 0, _BIG["at"] < ibis.literal("2024-01-01").cast("timestamp")),
        _SUMS.left_join(_MORE, "word").inner_join(_WORDS, "word"),
        _BIG.inner_join(_AGAIN, _BIG.word == _AGAIN.word).select(_BIG.order, up=_AGAIN.amount),
        _BIG.semi_join(_SUMS, "word").union(_BIG.anti_join(_SUMS, "word"), distinct=True),
        _SUMS.cross_join(_WORDS.agg(mean=_WORDS.number.mean())),
        _BIG.filter(_BIG.word.isin(_WORDS.filter(_WORDS.number > 1).word)),
        _BIG.filter(_BIG.amount > _BIG.amount.mean().as_scalar()),
        _BIG.intersect(_BIG.order_by("at")).difference(_BIG.limit(1, offset=1)),
        ibis.union(_ORDERS.drop("at"), _ORDERS.drop("at"), _ORDERS.drop("at").distinct()),
        ibis.union(_WORDS.drop("word", "many"), _WORDS.drop("word", "many")),
        ibis.union(_SUMS.select("word"), _SUMS.select("word"), _WORDS.select("word")),
        ibis.literal(1).name("one").as_table(),
    ],
)
def test_statements_are_those_of_ibis(made, monkeypatch):
    """With selects fused and without; tables in between may have other numbers."""
    ours, of_ibis = Compiler(), DuckDBCompiler()
    for fused in (True, False):
        monkeypatch.setattr(ibis.options.sql, "fuse_selects", fused)
        both = [one.to_sqlglot(made).sql("duckdb") for one in (ours, of_ibis)]
        assert _renumbered(both[0]) == _renumbered(both[1])


def _renumbered(statement):
    numbers: dict[str, str] = {}
    return re.sub(
        r'"t\d+"', lambda name: numbers.setdefault(name[0], f'"n{len(numbers)}"'), statement
    )


def test_rules_of_ibis_are_those_that_are_looked_for():
    """A new one must be looked at: whether the compiler knows the operations it is for."""
    kinds = {kind.__name__ for kind in DuckDBCompiler.lowered_ops}
    assert (kinds, len(DuckDBCompiler.rewrites)) == ({"Bucket", "Capitalize", "Sample"}, 5)
    assert not DuckDBCompiler.post_rewrites

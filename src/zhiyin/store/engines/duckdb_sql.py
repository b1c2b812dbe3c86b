"""Expressions → SQL of DuckDB, without the rewrites of the whole graph that Ibis does first."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Any, ClassVar

import sqlglot as sg
import sqlglot.expressions as sge
from ibis import options
from ibis.backends.sql.compilers.base import STAR
from ibis.backends.sql.compilers.duckdb import DuckDBCompiler
from ibis.common.graph import Graph, bfs
from ibis.expr import datatypes as dt
from ibis.expr import operations as ops


class Compiler(DuckDBCompiler):
    """Writes the statements of Ibis's own compiler, quicker where nothing must be rewritten."""

    __slots__ = ()
    SIMPLE_OPS: ClassVar = {}  # otherwise those of Ibis take the place of the methods below

    def translate(self, op: ops.Node, *, params: Any) -> Any:
        """The statement; by Ibis where selects are to be fused, or `_AsItIs` lacks a rule."""
        graph = bfs(op)
        if params or options.sql.fuse_selects or any(_is_rewritten(node) for node in graph):
            return super().translate(op, params=params)
        return _AS_IT_IS.write(op, graph)

    def visit_Hash(self, op: ops.Hash, *, arg: Any) -> Any:
        """All 64 bits without a text of them between, less one that would be the sign."""
        bits = sge.BitwiseRightShift(this=self.f.anon.hash(arg), expression=sge.convert(1))
        return self.cast(sge.paren(bits, copy=False), op.dtype)


class _AsItIs(Compiler):
    """Writes relations from the operations as they are: that was a quarter of a small turn.

    Ibis rewrites an expression three times before it writes it: operations that DuckDB lacks in
    others, relations as selects, and what is used twice as a name. Each time it matches every
    operation with a dozen patterns, and makes anew all that stands above what has changed: all
    of it. Here what is used twice is named on the way, and nothing is made anew.
    """

    __slots__ = ()
    SIMPLE_OPS: ClassVar = {}

    def write(self, root: ops.Node, graph: Graph) -> Any:
        """The statement of `root`, of the operations of `graph`."""
        named = _used_twice(graph)
        written: dict[ops.Node, Any] = {}
        names = (f"t{number}" for number in count())
        withs = []
        for node in graph.toposort()[0]:
            made = self.visit_node(node, **_written(node, written))
            if isinstance(node, ops.Relation) and node is not root:
                made = self._alias(made, next(names))
                if node in named:
                    withs.append(made)
                    made = sge.table_(made.alias_or_name, quoted=self.quoted)
                    made = self._alias(made, next(names))
            written[node] = made
        made = written[root]
        if isinstance(made, sge.Table):
            made = sg.select(STAR, copy=False).from_(made, copy=False)
        elif isinstance(made, sge.Subquery):
            made = made.this
        for one in withs:
            name = sg.to_identifier(one.alias_or_name, quoted=self.quoted)
            made = made.with_(name, as_=one.this, dialect=self.dialect, copy=False)
        return made

    def _alias(self, made: Any, name: str) -> Any:
        alias = sg.to_identifier(name, quoted=self.quoted)
        if isinstance(made, sge.Subquery):  # a reference: what it is to has an alias of its own
            return sge.Subquery(this=made.this, alias=sge.TableAlias(this=alias))
        if isinstance(made, sge.Table):
            return made.as_(alias, quoted=self.quoted, table=True)
        return made.subquery(alias, copy=False)

    def visit_Alias(self, op: ops.Alias, *, arg: Any, name: str) -> Any:
        return arg

    def visit_Project(self, op: ops.Project, *, parent: Any, values: Any) -> Any:
        fields = [STAR] if _is_all(op) else self._cleanup_names(values)
        return sg.select(*fields, copy=False).from_(parent, copy=False)

    def visit_Filter(self, op: ops.Filter, *, parent: Any, predicates: Any) -> Any:
        made = sg.select(STAR, copy=False).from_(parent, copy=False)
        late = [bool(one.find(ops.WindowFunction, filter=ops.Value)) for one in op.predicates]
        where = [one for one, window in zip(predicates, late, strict=True) if not window]
        qualify = [one for one, window in zip(predicates, late, strict=True) if window]
        if where:
            made = made.where(*where, copy=False)
        return made.qualify(*qualify, copy=False) if qualify else made

    def visit_Sort(self, op: ops.Sort, *, parent: Any, keys: Any) -> Any:
        made = sg.select(STAR, copy=False).from_(parent, copy=False)
        return made.order_by(*keys, copy=False)

    def visit_Distinct(self, op: ops.Distinct, *, parent: Any) -> Any:
        return sg.select(STAR, copy=False).from_(parent, copy=False).distinct(copy=False)

    def visit_WindowFunction(self, op: ops.WindowFunction, **written: Any) -> Any:
        made = super().visit_WindowFunction(op, **written)
        if not isinstance(op.func, ops.RankBase):
            return made
        return self.binop(sge.Sub, made, self.visit_Literal(_ONE, value=1, dtype=_ONE.dtype))

    def visit_DropColumns(self, op: ops.DropColumns, *, parent: Any, columns_to_drop: Any) -> Any:
        if _drops_few(op):
            return super().visit_DropColumns(op, parent=parent, columns_to_drop=columns_to_drop)
        rel = parent.alias_or_name
        kept = (sg.column(name, table=rel, quoted=self.quoted) for name in op.schema)
        return sg.select(*kept, copy=False).from_(parent, copy=False)


_AS_IT_IS = _AsItIs()
_REWRITTEN = (
    *DuckDBCompiler.lowered_ops,
    *(ops.ArrayMap, ops.ArrayFilter, ops.ArrayPosition, ops.FindInSet),
    *(ops.NTile, ops.NthValue, ops.StringFind),
    *(ops.First, ops.Last, ops.FillNull, ops.DropNull, ops.AliasedRelation, ops.ScalarParameter),
)
_NAMED = (
    *(ops.Project, ops.Filter, ops.Sort, ops.Distinct),
    *(ops.Aggregate, ops.JoinChain, ops.Set, ops.Limit),
)
_ONE = ops.Literal(1, dtype=dt.int8)  # ranks of Ibis begin at 0
_NOT_COUNTED = (ops.Field, ops.CountStar, ops.CountDistinctStar)


def _is_rewritten(node: ops.Node) -> bool:
    """Whether Ibis has a rule for it that `_AsItIs` has not."""
    if isinstance(node, ops.InValues):
        return not node.options
    return isinstance(node, _REWRITTEN)


def _used_twice(graph: Graph) -> set[ops.Node]:
    """Relations that two others are made of: written once, with a name."""
    uses: Counter[ops.Node] = Counter()
    for node, children in graph.items():
        if not isinstance(node, _NOT_COUNTED):
            uses.update(one for one in children if _is_named(one))
    return {node for node, times in uses.items() if times > 1 and not _is_choice(node)}


def _is_choice(node: ops.Node) -> bool:
    """Whether it only chooses rows and columns of a stored table.

    DuckDB computes what has a name once and as a whole; of what is repeated it reads no file that
    the filter of its one use leaves out.
    """
    while isinstance(node, ops.Filter | ops.Project):
        chosen = node.values.values() if isinstance(node, ops.Project) else node.predicates
        fields = isinstance(node, ops.Filter) or all(type(one) is ops.Field for one in chosen)
        if not fields or any(one.find(ops.WindowFunction, filter=ops.Value) for one in chosen):
            return False
        node = node.parent
    return isinstance(node, ops.DatabaseTable)


def _is_named(node: ops.Node) -> bool:
    if isinstance(node, ops.DropColumns):
        return not _drops_few(node)
    return isinstance(node, _NAMED)


def _drops_few(op: ops.DropColumns) -> bool:
    """Whether it is shorter to say what is left out; such a statement is repeated, not named."""
    return len(op.columns_to_drop) < len(op.schema) // 2


def _is_all(op: ops.Project) -> bool:
    """Whether it gives the columns of its parent as they are."""
    if len(op.values) != len(op.parent.schema):
        return False
    pairs = zip(op.values.items(), op.parent.schema, strict=True)
    return all(
        name == column and type(value) is ops.Field and value.name == column
        for (name, value), column in pairs
    )


def _written(node: ops.Node, written: dict[ops.Node, Any]) -> dict[str, Any]:
    """The arguments of `node`, with what is written in place of operations."""
    names = zip(node.__argnames__, node.__args__, strict=True)
    return {name: _replaced(value, written) for name, value in names}


def _replaced(value: Any, written: dict[ops.Node, Any]) -> Any:
    if isinstance(value, ops.Node):
        return written.get(value, value)
    if isinstance(value, tuple | list):
        return tuple([_replaced(one, written) for one in value])
    if isinstance(value, dict):
        return {_replaced(k, written): _replaced(v, written) for k, v in value.items()}
    return value

"""Liquid as chained functions: the part of it that letters use, several times as quick.

What it does not know (filters, other tags, odd values) it leaves to python-liquid, which also
says what is wrong; a test holds both to the same result. Parts that depend on nothing of the
person are filled once for each of their values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from liquid import BoundTemplate
from liquid.ast import BlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions.filtered import FilteredExpression
from liquid.builtin.expressions.logical import (
    BooleanExpression,
    GtExpression,
    LogicalAndExpression,
    LogicalNotExpression,
    LogicalOrExpression,
)
from liquid.builtin.expressions.loop import LoopExpression
from liquid.builtin.expressions.path import Path
from liquid.builtin.expressions.primitive import IntegerLiteral
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.expression import Expression
from liquid.stringify import to_liquid_string
from markupsafe import escape

Scope = dict[str, Any]
Part = Callable[[Scope], str]
SHARED = frozenset(
    {"shop", "postal_address", "offer", "last_day", "personal", "marketing", "link", "link_text"}
)
"""Values that are alike for many people, and never hers: what depends on them alone is kept."""
_ESCAPES = tuple((mark, str(escape(mark))) for mark in "&<>'\"")
_KEPT = 256  # fillings of one part
_ITEMS = 4_096  # of one loop
_TURNS = "\0turns"  # no variable is called so


class _LeaveError(Exception):
    """To python-liquid: it knows more of this template, or of this value."""


class Quick:
    """A compiled template; `fill` gives what `template.render` gives, text that is no markup.

    Empty text is nil for both, so that a template may ask `{% if last_day %}`: in Liquid it is
    true.
    """

    def __init__(self, template: BoundTemplate, *, escaped: bool) -> None:
        self._template = template
        self._most_turns = template.env.loop_iteration_limit or 0
        self._longest = template.env.output_stream_limit or 0
        try:
            self._part: Part | None = _join(_parts(template.nodes, escaped), keep=True)
        except _LeaveError:
            self._part = None

    @property
    def quick(self) -> bool:
        """Whether python-liquid is not needed for it."""
        return self._part is not None

    def fill(self, given: Mapping[str, Any]) -> str:
        """The text with the values `given`.

        Raises
        ------
        LiquidError
            As `BoundTemplate.render`.
        """
        if self._part is not None:
            try:
                made = self._part({**given, _TURNS: self._most_turns})
                # a character has four bytes at most; Liquid turns carriage returns into line ends
                if 4 * len(made) <= self._longest and "\r" not in made:
                    return made
            except (_LeaveError, KeyError, IndexError):
                pass
        return self._template.render({name: _or_nil(value) for name, value in given.items()})


def _or_nil(value: Any) -> Any:  # Any: JSON values
    if isinstance(value, dict):
        return {name: _or_nil(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_or_nil(inner) for inner in value]
    return None if value == "" else value


_Read = tuple[Part, frozenset[str]]  # a part, and the variables it depends on


def _parts(nodes: Sequence[Node], escaped: bool) -> list[_Read]:
    return [_part(node, escaped) for node in nodes]


def _part(node: Node, escaped: bool) -> _Read:
    if isinstance(node, ContentNode):
        text = str(node.text)
        return (lambda _: text), frozenset()
    if isinstance(node, OutputNode):
        return _output(node.expression, escaped)
    if isinstance(node, IfNode):
        return _if(node, escaped)
    if isinstance(node, ForNode):
        return _for(node, escaped)
    raise _LeaveError


def _block(node: BlockNode, escaped: bool) -> _Read:
    if node.blank:  # Liquid leaves out the white space of such blocks
        raise _LeaveError
    parts = _parts(node.nodes, escaped)
    return _join(parts), frozenset[str]().union(*(names for _, names in parts))


def _output(expression: Expression, escaped: bool) -> _Read:
    if not isinstance(expression, FilteredExpression) or expression.filters:
        raise _LeaveError
    value, names = _value(expression.left)

    def output(scope: Scope) -> str:
        found = value(scope)
        if type(found) is str:
            return _escape(found) if escaped else found
        if isinstance(found, list | dict):
            raise _LeaveError
        return "" if found is None else str(to_liquid_string(found, escaped))

    return output, names


def _escape(text: str) -> str:
    """As `escape`, several times as quick on short text."""
    for mark, code in _ESCAPES:
        if mark in text:
            text = text.replace(mark, code)
    return text


def _if(node: IfNode, escaped: bool) -> _Read:
    choices = [(node.condition, node.consequence)]
    choices += [(one.expression, one.block) for one in node.alternatives]
    made = [(_condition(test), _block(block, escaped)) for test, block in choices]
    default: _Read = ((lambda _: ""), frozenset())
    if node.default:
        default = _block(node.default, escaped)
    names = default[1].union(*(test[1] | block[1] for test, block in made))
    ways, otherwise = [(test[0], block[0]) for test, block in made], default[0]

    def choose(scope: Scope) -> str:
        for test, way in ways:
            if test(scope):
                return way(scope)
        return otherwise(scope)

    return choose, names


def _for(node: ForNode, escaped: bool) -> _Read:
    loop = node.expression
    plain = isinstance(loop, LoopExpression) and not (
        loop.limit or loop.offset or loop.reversed or loop.cols or node.default
    )
    if not plain:
        raise _LeaveError
    items, names = _value(loop.iterable)
    (body, inner), name = _block(node.block, escaped), _plain(loop.identifier)
    if "forloop" in inner or name in SHARED:
        raise _LeaveError
    turn = _remembered(body, name) if inner == {name} else body

    def repeat(scope: Scope) -> str:
        found = items(scope)
        if type(found) is not list:
            raise _LeaveError
        made: list[str] = []
        mine = dict(scope)
        for one in found:
            mine[name] = one
            made.append(turn(mine))
        mine[_TURNS] -= len(found)
        scope[_TURNS] = mine[_TURNS]
        if mine[_TURNS] < 0:
            raise _LeaveError
        return "".join(made)

    return repeat, names | (inner - {name})


def _remembered(body: Part, name: str) -> Part:
    """The body of a loop that depends on its item alone, filled once for each: products recur."""
    known: dict[tuple[Any, ...], str] = {}

    def turn(scope: Scope) -> str:
        one = scope[name]
        if type(one) is not dict or not all(type(value) is str for value in one.values()):
            return body(scope)
        return _recall(known, tuple(one.items()), body, scope, most=_ITEMS)

    return turn


def _recall(
    known: dict[tuple[Any, ...], str], key: tuple[Any, ...], part: Part, scope: Scope, *, most: int
) -> str:
    """What the part was filled with for the key; it is filled where that is not known."""
    made = known.get(key)
    if made is None:
        if len(known) >= most:
            known.clear()
        made = known[key] = part(scope)
    return made


def _condition(expression: Expression) -> tuple[Callable[[Scope], bool], frozenset[str]]:
    if isinstance(expression, BooleanExpression):
        return _condition(expression.expression)
    if isinstance(expression, LogicalNotExpression):
        test, names = _condition(expression.right)
        return (lambda scope: not test(scope)), names
    if isinstance(expression, LogicalAndExpression | LogicalOrExpression):
        (left, ours), (right, theirs) = _condition(expression.left), _condition(expression.right)
        if isinstance(expression, LogicalAndExpression):
            return (lambda scope: left(scope) and right(scope)), ours | theirs
        return (lambda scope: left(scope) or right(scope)), ours | theirs
    if isinstance(expression, GtExpression):
        return _greater(expression)
    value, names = _value(expression)

    def is_true(scope: Scope) -> bool:
        found = value(scope)
        return found is not None and found is not False and found != ""

    return is_true, names


def _greater(expression: GtExpression) -> tuple[Callable[[Scope], bool], frozenset[str]]:
    if not isinstance(expression.right, IntegerLiteral):
        raise _LeaveError
    value, names = _value(expression.left)
    limit = expression.right.value

    def is_greater(scope: Scope) -> bool:
        found = value(scope)
        if type(found) is not int:
            raise _LeaveError
        return found > limit

    return is_greater, names


def _value(expression: Expression) -> tuple[Callable[[Scope], Any], frozenset[str]]:
    if not isinstance(expression, Path):
        raise _LeaveError
    head, *rest = (_plain(one) if isinstance(one, str) else one for one in expression.path)
    if not isinstance(head, str) or any(isinstance(one, Path) for one in rest):
        raise _LeaveError
    first = head
    if not rest:
        return (lambda scope: scope[first]), frozenset({first})

    def follow(scope: Scope) -> Any:  # Any: a JSON value
        found = scope[first]
        for step in rest:
            if isinstance(found, dict):
                found = found[step]
            elif isinstance(found, list):
                found = _of_list(found, step)
            else:
                raise _LeaveError
        return found

    return follow, frozenset({first})


def _plain(name: str) -> str:
    """A name as a plain string: Liquid's own class of names is compared by slow methods."""
    return str.__str__(name)


def _of_list(items: list[Any], step: str | int | Path) -> Any:
    if isinstance(step, int):
        return items[step]
    if step == "size":
        return len(items)
    raise _LeaveError


def _join(parts: Sequence[_Read], *, keep: bool = False) -> Part:
    """One after the other; neighbours that are always alike are filled once, with `keep` also those
    that are alike for many.
    """
    grouped: list[Part] = []
    alike: list[_Read] = []
    for part in parts:
        if part[1] <= (SHARED if keep else frozenset()):
            alike.append(part)
            continue
        grouped += _kept(alike)
        alike = []
        grouped.append(part[0])
    grouped += _kept(alike)
    return _chain(grouped)


def _chain(parts: Sequence[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    return lambda scope: "".join([part(scope) for part in parts])


def _kept(parts: Sequence[_Read]) -> list[Part]:
    if not parts:
        return []
    whole = _chain([part for part, _ in parts])
    names = sorted(frozenset[str]().union(*(names for _, names in parts)))
    if not names:
        text = whole({})
        return [lambda _: text]
    known: dict[tuple[Any, ...], str] = {}

    def fill(scope: Scope) -> str:
        key = tuple([scope[name] for name in names])
        if not all(one is None or type(one) in (str, bool) for one in key):
            return whole(scope)
        return _recall(known, key, whole, scope, most=_KEPT)

    return [fill]

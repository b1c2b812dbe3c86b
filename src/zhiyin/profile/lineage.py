"""Lineage (血缘) of tags: what each is made from, what uses it, and in which order to compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import ibis
from ibis.expr import operations as ops

from zhiyin.audience import rule as r
from zhiyin.audience.fields import CUSTOMERS, is_feature
from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidRule
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import FEATURE_TABLE
from zhiyin.profile.definition import Definition, FactTag, ModelTag, RuleTag
from zhiyin.profile.tags import TAGS

FEATURES = FEATURE_TABLE.name


@dataclass(frozen=True, order=True)
class Source:
    """What a tag is made from: `kind` is feature, column, score, segment, tag, audience or list."""

    kind: str
    name: str


def made_from(definition: Definition) -> tuple[Source, ...]:
    """What the tag reads, each once, sorted."""
    body = definition.body
    found: set[Source] = set()
    if isinstance(body, RuleTag):
        for _, leaf in r.leaves(body.rule):
            found |= set(_of_leaf(leaf))
        if body.shows:
            found.add(Source("feature", body.shows))
    elif isinstance(body, ModelTag):
        found.add(
            Source("segment", body.scheme)
            if body.scheme
            else Source("score", f"{body.task}:{body.subject}".rstrip(":"))
        )
    elif isinstance(body, FactTag):
        if body.source == "feature":
            found.add(Source("feature", body.field))
        else:
            table = CUSTOMERS if body.source == "attribute" else body.table
            found.add(Source("column", f"{table}.{body.field}"))
            if body.sum_of:
                found.add(Source("column", f"{table}.{body.sum_of}"))
    else:
        found.add(Source("list", "manual_tags"))
    return tuple(sorted(found))


def shipped_from(name: str) -> tuple[Source, ...]:
    """The features that the rule of a shipped tag reads."""
    tag = next(tag for tag in TAGS if tag.name == name)
    schema = ibis.schema(arrow_schema(FEATURE_TABLE))
    read = tag.rule(ibis.table(schema, name=FEATURES)).op().find(ops.Field)
    names = {field.name for field in read} | {tag.shows}
    return tuple(Source("feature", one) for one in sorted(names))


def tags_named(rule: r.Rule, audiences: Mapping[str, r.Rule]) -> set[str]:
    """The tags that a rule names, also by the audiences that it names."""
    found: set[str] = set()
    waiting, seen = [rule], set[str]()
    while waiting:
        for _, leaf in r.leaves(waiting.pop()):
            if isinstance(leaf, r.Tag):
                found.add(leaf.tag)
            elif isinstance(leaf, r.Audience) and leaf.name not in seen:
                seen.add(leaf.name)
                waiting += [audiences[leaf.name]] if leaf.name in audiences else []
    return found


def used_by(
    name: str, tags: Mapping[str, Definition], audiences: Mapping[str, r.Rule]
) -> tuple[Source, ...]:
    """The tags and audiences whose own rule names the tag."""
    rules = {
        ("tag", one): tag.body.rule for one, tag in tags.items() if isinstance(tag.body, RuleTag)
    } | {("audience", one): rule for one, rule in audiences.items()}
    return tuple(
        sorted(
            Source(kind, one)
            for (kind, one), rule in rules.items()
            if any(isinstance(leaf, r.Tag) and leaf.tag == name for _, leaf in r.leaves(rule))
        )
    )


def in_order(
    tags: Mapping[str, Definition], audiences: Mapping[str, r.Rule]
) -> tuple[tuple[str, ...], ...]:
    """The names of the tags in steps: each tag names only tags of earlier steps.

    Raises
    ------
    InvalidRule
        If tags are made from each other in a circle, also by way of audiences.
    """
    needs = {
        name: (
            tags_named(tag.body.rule, audiences) & set(tags)
            if isinstance(tag.body, RuleTag)
            else set[str]()
        )
        for name, tag in tags.items()
    }
    steps: list[tuple[str, ...]] = []
    done: set[str] = set()
    while len(done) < len(needs):
        ready = sorted(name for name in needs if name not in done and needs[name] <= done)
        if not ready:
            raise _circle(needs, done)
        steps.append(tuple(ready))
        done |= set(ready)
    return tuple(steps)


def _circle(needs: Mapping[str, set[str]], done: set[str]) -> InvalidRule:
    """The circle among what is left, by walking along what each needs until a name returns."""
    at = min(name for name in needs if name not in done)
    way: list[str] = []
    while at not in way:
        way.append(at)
        at = min(needs[at] - done)
    circle = " → ".join([*way[way.index(at) :], at])
    return InvalidRule(
        f"tags are made from each other in a circle: {circle}", reason="cycle",
        hint=f"take {at!r} out of the rule of {way[-1]!r}",
    )  # fmt: skip


def _of_leaf(leaf: r.Leaf) -> Iterator[Source]:
    if isinstance(leaf, r.Trait):
        feature = is_feature(leaf.field)
        yield Source(*(("feature", leaf.field) if feature else _column(CUSTOMERS, leaf.field)))
    elif isinstance(leaf, r.Yearly):
        yield Source(*_column(CUSTOMERS, leaf.field))
    elif isinstance(leaf, r.Tag):
        yield Source("tag", leaf.tag)
    elif isinstance(leaf, r.Audience):
        yield Source("audience", leaf.name)
    elif isinstance(leaf, r.Score):
        yield Source("score", f"{leaf.task}:{leaf.subject}".rstrip(":"))
    elif isinstance(leaf, r.Segment):
        yield Source("segment", leaf.scheme)
    elif isinstance(leaf, r.Upload):
        yield Source("list", "upload")
    else:
        steps = (
            [(leaf.first.table, leaf.first.where), (leaf.then.table, leaf.then.where)]
            if isinstance(leaf, r.Sequence)
            else [(leaf.table, leaf.where)]
        )
        for table, where in steps:
            names = [one.column for one in where]
            if isinstance(leaf, r.Behaviour) and leaf.column:
                names.append(leaf.column)
            yield from (Source(*_column(table, name)) for name in names or [c.CUSTOMER_ID])


def _column(table: str, name: str) -> tuple[str, str]:
    return "column", f"{table}.{name}"

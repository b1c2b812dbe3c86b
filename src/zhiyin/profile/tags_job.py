"""Job `profile.tags`: the tags of the day, shipped ones and those of the workspace's catalogue."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Mapping

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.audience import Rule
from zhiyin.audience.check import resolve
from zhiyin.audience.ledger import list_audiences
from zhiyin.audience.read import table_names, tables_for
from zhiyin.core import columns as c
from zhiyin.core.config import ProfileSettings
from zhiyin.core.context import Context
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import TAGS
from zhiyin.core.values import JobReport
from zhiyin.profile import tags
from zhiyin.profile.definition import ManualTag, RuleTag
from zhiyin.profile.ledger import Stored, entries_on, list_tags
from zhiyin.profile.lineage import in_order
from zhiyin.profile.tag_rows import Day, as_tags, given, people, reads, rule_rows, valued

JOB = "profile.tags"


def run(ctx: Context, config: ProfileSettings) -> JobReport:
    """Write `tags` of the day from the features, scores and segments the turn stored for it.

    Shipped tags first, then those of the catalogue that are active on the day: facts, models and
    what people gave, then rules in steps, as some are made from others. Figures: customers by tag.
    """
    features = ctx.store.read("features")
    today = features.filter(features[c.AS_OF_ON] == ctx.as_of)
    rows = tags.apply(today).to_pyarrow()
    with ctx.store.begin() as connection:
        held = {one.name: one for one in list_tags(connection) if one.computed_on(ctx.as_of)}
        audiences = {one.name: one.rule for one in list_audiences(connection)}
    if held:
        rows = pa.concat_tables([rows, *_own(ctx, held, audiences, rows)])
    rows = rows.sort_by([(c.CUSTOMER_ID, "ascending"), (c.TAG, "ascending")])
    written = ctx.store.replace("tags", rows, scope={c.AS_OF_ON: ctx.as_of})
    counted = rows.group_by(c.TAG).aggregate([(c.CUSTOMER_ID, "count")]).to_pylist()
    figures = {row[c.TAG]: row[f"{c.CUSTOMER_ID}_count"] for row in counted}
    return JobReport(JOB, rows={"tags": written}, figures=dict(sorted(figures.items())))


def _own(
    ctx: Context, held: Mapping[str, Stored], audiences: Mapping[str, Rule], shipped: pa.Table
) -> list[pa.Table]:
    """Rows of the workspace's own tags."""
    definitions = {name: one.definition for name, one in held.items()}
    steps = in_order(definitions, audiences)
    rules = {
        name: resolve(one.body.rule, audiences)
        for name, one in definitions.items()
        if isinstance(one.body, RuleTag)
    }
    names = {*table_names(rules.values()), *(t for one in definitions.values() for t in reads(one))}
    tables = {name: ctx.store.read(name) if name in _SNAPSHOTS else
              ctx.store.read(name, as_of=ctx.as_of) for name in names}  # fmt: skip
    tables |= tables_for(ctx.store, ctx.vault, rules.values(), as_of=ctx.as_of)
    day = Day(ctx.as_of, ctx.settings.zone, tables)
    known = people(day)
    made = [*_manual(ctx, held)]
    for name, one in definitions.items():
        if not isinstance(one.body, RuleTag | ManualTag):
            made.append(_tagged(ctx, held[name], valued(one, day).to_pyarrow()))
    made = [_among(ctx, made, known)] if made else []
    for step in steps:
        asked = {
            name: one.body for name in step if isinstance((one := definitions[name]).body, RuleTag)
        }
        if asked:
            so_far = ctx.store.to_ibis(pa.concat_tables([shipped, *made]))
            found = rule_rows(
                asked, Day(day.as_of, day.zone, {**tables, "tags": so_far}), audiences=audiences
            )
            made += [_tagged(ctx, held[name], rows) for name, rows in found.items()]
    return made


_SNAPSHOTS = ("features", "tags", "memberships", "scores")


def _manual(ctx: Context, held: Mapping[str, Stored]) -> list[pa.Table]:
    names = [name for name, one in held.items() if isinstance(one.definition.body, ManualTag)]
    if not names:
        return []
    with ctx.store.begin() as connection:
        entries = entries_on(connection, ctx.as_of, names)
    parts = [
        ctx.store.read(name, as_of=ctx.as_of).select(c.PARTY_ID, c.CUSTOMER_ID)
        for name in ("customers", "identities")
    ]
    rows = given(ctx.store.to_ibis(entries), ibis.union(*parts)).to_pyarrow()
    return [_tagged(ctx, held[name], rows.filter(pc.equal(rows[c.TAG], name))) for name in names]


def _tagged(ctx: Context, stored: Stored, rows: pa.Table) -> pa.Table:
    return as_tags(
        rows, stored.name, as_of=ctx.as_of, kind=stored.definition.kind, version=stored.version
    )


def _among(ctx: Context, made: list[pa.Table], known: ibis.Table) -> pa.Table:
    """The rows of people whom the workspace knows: all tags in one query."""
    kept = ctx.store.to_ibis(pa.concat_tables(made)).semi_join(known, c.CUSTOMER_ID)
    return kept.select(*TAGS.names).to_pyarrow().cast(arrow_schema(TAGS))

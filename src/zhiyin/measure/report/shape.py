"""Rows and settings → parts of the report; pure."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from zhiyin.core import columns as c
from zhiyin.core.config import Settings
from zhiyin.govern.gate import REASONS
from zhiyin.measure.report import adapt
from zhiyin.measure.report.brought_data import CountedShare
from zhiyin.measure.report.data import (
    Assumption,
    Both,
    Choice,
    Count,
    DataPart,
    RunPart,
    Segment,
    Step,
)

SHOWN_OFFERS = 8
PACKAGES = (
    "zhiyin", "duckdb", "deltalake", "pyarrow", "ibis-framework", "numpy", "pandas",
    "scikit-learn", "lightgbm",
)  # fmt: skip


def sort_counts(pairs: Iterable[tuple[str, int]]) -> tuple[Count, ...]:
    """Most first, ties by code."""
    return tuple(Count(code, n) for code, n in sorted(pairs, key=lambda p: (-p[1], p[0])))


def own_id(source_id: str) -> str:
    """`source:id` without its source."""
    return source_id.rsplit(":", 1)[-1]


def name_of(campaign: str, names: Mapping[str, Mapping]) -> str:
    """The campaign's name, else its own id."""
    return names[campaign][c.NAME] if campaign in names else own_id(campaign)


def list_segments(
    rows: Sequence[Mapping], scheme: str, said: Mapping[str, Mapping]
) -> tuple[Segment, ...]:
    """Groups of a scheme, those with most revenue first."""
    made = []
    for row in rows:
        if row[c.SCHEME] != scheme:
            continue
        key = row[c.SEGMENT]
        body = said.get(f"{scheme}:{key}", {})
        revenue = row["revenue"]
        made.append(
            Segment(
                key,
                adapt.read_both(body, "name", "title", "label"),
                row["customers"],
                None if revenue is None else int(revenue),
                adapt.number(row["recency"]),
                adapt.number(row["orders"]),
                adapt.read_both(body, "words", "description", "text"),
            )
        )
    return tuple(sorted(made, key=lambda s: (-(s.revenue_minor or 0), s.key)))


def make_choice(
    campaign: str, groups: Sequence[Mapping], offers: tuple[Count, ...], names: Mapping
) -> Choice:
    """One campaign's choice from its decisions by action, arm, reason and exploration."""

    def add(rows: Iterable[Mapping]) -> int:
        return sum(row["rows"] for row in rows)

    contacted = [g for g in groups if g[c.ACTION] == "contact"]
    held = [g for g in groups if g[c.ACTION] != "contact" and g[c.ARM] == "holdout"]
    left: dict[str, int] = {}
    for group in groups:
        if group not in contacted and group not in held:
            left[group[c.REASON]] = left.get(group[c.REASON], 0) + group["rows"]
    order = list(REASONS)
    ranked = sorted(
        left.items(),
        key=lambda p: (order.index(p[0]) if p[0] in order else len(order), -p[1], p[0]),
    )
    window = names.get(campaign, {})
    return Choice(
        campaign,
        name_of(campaign, names),
        window.get(c.START_ON),
        window.get(c.END_ON),
        considered=add(groups),
        left_out=tuple(Count(code, n) for code, n in ranked),
        holdout=add(held),
        contacted=add(contacted),
        explored=add(g for g in contacted if g[c.EXPLORED]),
        offers=offers,
        expected_profit_minor=sum(g["profit"] or 0.0 for g in contacted) if contacted else None,
    )


def add_caused(choice: Choice, figures: Mapping) -> Choice:
    """The choice with what `decide` said of caused money; as it is where nothing was measured."""
    mine = adapt.mapping(adapt.mapping(figures.get("campaigns")).get(choice.campaign_id))
    said = adapt.mapping(mine.get("caused"))
    if said.get("measured") is None:
        return choice
    share = float(said["measured"]), float(said["value"]), int(said["campaigns"])
    return replace(choice, caused=CountedShare(*share))


def list_offers(rows: Sequence[Mapping], titles: Mapping[str, str]) -> tuple[Count, ...]:
    """The offers given most, with their names; an empty code is no offer."""
    counts = sort_counts((row[c.OFFER_ID] or "", row["rows"]) for row in rows)
    named = [replace(x, name=Both(titles.get(x.code, own_id(x.code)))) for x in counts]
    return tuple(named[:SHOWN_OFFERS])


def list_assumptions(
    settings: Settings, data: DataPart, *, has_campaign: bool
) -> tuple[Assumption, ...]:
    """Everything the numbers take as true, most weighty first."""
    decide = settings.decide
    made: list[Assumption] = []
    if has_campaign:
        made += [
            Assumption("not_randomised"),
            Assumption("margin_rate", {"rate": decide.margin_rate}),
            Assumption("contact_cost", {"cost": float(decide.contact_cost_minor)}),
            Assumption("no_cannibalisation"),
            Assumption("past_like_future"),
        ]
    if settings.demo:
        made.append(Assumption("demo_consents"))
    static = settings.demographics_static
    made.append(Assumption("static_demographics" if static else "undated_demographics"))
    if data.no_customer_orders:
        made.append(Assumption("no_customer"))
    if settings.revenue.include_tax:
        made.append(Assumption("revenue_tax"))
    if settings.revenue.include_shipping:
        made.append(Assumption("revenue_shipping"))
    if settings.zone != "UTC":
        made.append(Assumption("months_utc", {"zone": settings.zone}))
    return tuple(made)


def make_run(turn: Mapping[str, Mapping[str, Any]], *, peak_rss_mb: float | None) -> RunPart:
    """How the turn ran: steps in their order, rows written by table, versions."""
    steps, rows = [], dict[str, int]()
    for job, report in turn.items():
        written = {str(k): int(v) for k, v in adapt.mapping(report.get("rows")).items()}
        rows |= written
        steps.append(
            Step(
                job,
                adapt.number(report.get("seconds")),
                tuple(Count(table, n) for table, n in written.items()),
                tuple(str(note) for note in report.get("notes") or ()),
            )
        )
    counts = tuple(Count(table, n) for table, n in rows.items() if n)
    return RunPart(tuple(steps), counts, _list_versions(), peak_rss_mb)


def _list_versions() -> tuple[tuple[str, str], ...]:
    found = [("Python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue  # not installed: an optional part, or a source tree
    return tuple(found)

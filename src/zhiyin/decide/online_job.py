"""The job `decide.online`: what decision points need to know of customers becomes a generation.

Reads `features` and `scores` of the day, `merges`, `identities` and what else the gate asks of
people as of it. Writes no table: what `POST /v1/decide` looks up is made complete and swapped in
(`store.online`), a row a customer:

    numbers.value          (customers, names) float32, NaN: not known; `about["names"]` says which
    person.…, reach_….…    what the gate asks, of points that choose messages (`govern.quick`)
    joins.…                the merges that make parties one person
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zhiyin.core import columns as c
from zhiyin.core.config import DecideSettings
from zhiyin.core.context import Context
from zhiyin.core.generation import PEOPLE
from zhiyin.core.values import JobReport
from zhiyin.decide.live import NAMES, NUMBERS
from zhiyin.decide.numbers_job import read_numbers
from zhiyin.decide.points.ledger import in_force
from zhiyin.decide.points.numbers import kept_names
from zhiyin.govern.facts import gate_terms
from zhiyin.govern.live import read_directory, read_kinship
from zhiyin.govern.packed import JOINS, NAMESPACES, pack_kinship
from zhiyin.govern.quick import PERSON, group_of, pack_facts, pack_reach

JOB = "decide.online"


def run(ctx: Context, _: DecideSettings) -> JobReport:
    """Publish what is known on `ctx.as_of`; a generation of a later day is kept.

    Figures: `status` (`ok`, `no_points`, `kept_newer` or `no_store`), `generation`, `customers`,
    `numbers`.
    """
    if ctx.numbers is None:
        return JobReport(JOB, figures={"status": "no_store"})
    with ctx.store.begin() as connection:
        points = [one.definition for one in in_force(connection)]
    if not points:
        return JobReport(JOB, figures={"status": "no_points"})
    held = ctx.numbers.generation()
    if held is not None and held.about[c.AS_OF_ON] > ctx.as_of.isoformat():
        note = f"Decisions keep what is known on {held.about[c.AS_OF_ON]}, a later day."
        return JobReport(JOB, figures={"status": "kept_newer"}, notes=(note,))
    names = kept_names(name for one in points for name in one.features)
    channels = sorted({a.channel for one in points for a in one.actions if a.channel})
    known = read_numbers(ctx.store, names, on=ctx.as_of)
    arrays: dict[str, np.ndarray] = {
        f"{NUMBERS}.starts": np.arange(len(known.customers) + 1, dtype=np.int64),
        f"{NUMBERS}.value": known.values,
        **pack_kinship(read_kinship(ctx.store, as_of=ctx.as_of), known.customers),
        **_pack_gate(ctx, known.customers, channels),
    }
    spaces = ctx.store.read("identities").select(c.NAMESPACE).distinct().to_pyarrow()
    groups = [NUMBERS, JOINS, *([PERSON, *map(group_of, channels)] if channels else [])]
    about = {
        c.AS_OF_ON: ctx.as_of.isoformat(), c.TURN_ID: ctx.turn_id, NAMES: names,
        NAMESPACES: sorted(spaces[c.NAMESPACE].to_pylist()), PEOPLE: groups,
    }  # fmt: skip
    number = ctx.numbers.publish(arrays, about)
    sizes = {"customers": len(known.customers), "numbers": len(names)}
    return JobReport(JOB, figures={"status": "ok", "generation": number, **sizes})


def _pack_gate(
    ctx: Context, customers: Sequence[str], channels: Sequence[str]
) -> dict[str, np.ndarray]:
    """What the gate asks of each customer, for the channels that points choose messages of."""
    made: dict[str, np.ndarray] = {}
    for channel in channels:
        settings = ctx.settings.act
        directory = read_directory(
            ctx.store, customers, as_of=ctx.as_of, channel=channel, settings=settings
        )
        people = directory.people(customers)
        terms = gate_terms(settings, zone=ctx.settings.zone, channel=channel)
        made |= pack_reach(people, channel=channel, vault=ctx.vault, terms=terms)
        made |= pack_facts(people, at=ctx.clock.now(), zone=ctx.settings.zone)
    return made

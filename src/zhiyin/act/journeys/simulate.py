"""What would become of one person in a journey if she did nothing: a walk without a ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from zhiyin.act.journeys.definition import (
    Call,
    Exit,
    Message,
    NextBest,
    Random,
    SetTag,
    Split,
    Step,
    Wait,
    wait_s,
)
from zhiyin.act.journeys.desk import Meets
from zhiyin.act.journeys.graph import FINISHED, PRIME, Graph, draw_lot, factors

MAX_PASSED = 200


@dataclass(frozen=True)
class Passed:
    """A step that she comes to, when, and what it does."""

    step: str
    at: datetime
    what: str


def walk(graph: Graph, party_id: str, *, at_s: int, meets: Meets) -> list[Passed]:
    """Every step of hers in order; rules are asked as of now, events do not happen."""
    lot = draw_lot(graph.key, party_id, f"call {at_s}")
    name = graph.definition.first()
    passed: list[Passed] = []
    while name and len(passed) < MAX_PASSED:
        step = graph.definition.steps[name]
        inside = isinstance(step, Split) and party_id in meets(step.rule, [party_id])
        follow, what = _follow(graph, name, step, lot, inside=inside)
        passed.append(Passed(name, datetime.fromtimestamp(at_s, UTC), what))
        at_s, name = at_s + wait_s(step), follow
    if not name:
        passed.append(Passed("", datetime.fromtimestamp(at_s, UTC), FINISHED))
    return passed


def _follow(graph: Graph, name: str, step: Step, lot: int, *, inside: bool) -> tuple[str, str]:
    if isinstance(step, Split):
        return (step.then, "meets the rule") if inside else (step.otherwise, "meets it not")
    if isinstance(step, Random):
        factor, shift = factors(graph.key, name)
        drawn, below = (lot * factor + shift) % PRIME, 0.0
        for branch in step.branches[:-1]:
            below += branch.share
            if drawn < round(below * PRIME):
                return branch.next, f"drawn: {branch.share:g}"
        return step.branches[-1].next, f"drawn: {step.branches[-1].share:g}"
    if isinstance(step, Wait):
        return step.otherwise, "waits until the time is over"
    if isinstance(step, Exit):
        return "", "leaves"
    if isinstance(step, NextBest):  # which one is known when she comes there
        first = next(iter(step.actions))
        named = " or ".join(step.actions)
        return step.actions[first].next, f"gets {named}; shown: {first}"
    if isinstance(step, Call):
        return step.next, f"{step.hook} is told"
    if isinstance(step, SetTag):
        return step.next, f"{'loses' if step.take else 'gets'} the tag {step.name}"
    if isinstance(step, Message):
        way = graph.definition.way_of(step)
        return step.next, f"message by {way}" if way else "message"
    return step.next, "waits"

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Journeys of a workspace: keep, publish, look, let people enter, tick, simulate."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import ibis
import pyarrow as pa
import sqlalchemy as sa

from zhiyin.act.channels.webhook import open_hook
from zhiyin.act.journeys import engine, feed, ledger
from zhiyin.act.journeys.calls import Caller, make_calls, read_calls
from zhiyin.act.journeys.choices import read_choices
from zhiyin.act.journeys.definition import (
    Call,
    Definition,
    Leave,
    NextBest,
    OnAudience,
    OnEvent,
    SetTag,
    dump,
)
from zhiyin.act.journeys.desk import Desk
from zhiyin.act.journeys.engine import Candidate
from zhiyin.act.journeys.graph import Graph
from zhiyin.act.journeys.ledger import Stored, campaign_of
from zhiyin.act.journeys.simulate import Passed, walk
from zhiyin.act.journeys.tick import has_work, position_of, tick
from zhiyin.act.ledger import OPEN
from zhiyin.app import Workspace
from zhiyin.audience import compile_many
from zhiyin.audience.check import resolve
from zhiyin.audience.ledger import find_audience, list_audiences
from zhiyin.audience.read import last_snapshot, tables_for, with_birthdays
from zhiyin.audience.rule import Rule
from zhiyin.channels import check_journey
from zhiyin.core import columns as c
from zhiyin.core.clock import local_day, naive_utc
from zhiyin.core.errors import InvalidParameter, InvalidRule, NotFound
from zhiyin.core.ledger import messages
from zhiyin.core.rng import Streams
from zhiyin.decide.requests import answer
from zhiyin.person.find import find_people
from zhiyin.point_askers import require_points, sight_of
from zhiyin.profile.ledger import add_entries
from zhiyin.store.leases import hold_lease
from zhiyin.store.ledger import reading, transaction
from zhiyin.tags import Tags

STUCK_S = 3_600
"""Who should have gone on so long ago is stuck."""


@dataclass(frozen=True)
class Ticked:
    """What a tick did with one version."""

    key: str
    version: int
    entered: int
    moved: int
    late: int


class Journeys:
    """The journeys of an opened workspace; keeps what it has read of running versions."""

    def __init__(self, shop: Workspace) -> None:
        self.shop = shop
        self._known: dict[tuple[str, int], Graph] = {}
        self._kin: dict[str, list[str]] = {}  # as the tick that runs has read it

    def keep(self, definition: Definition, *, by: str) -> Stored:
        """Keep a draft: a new version, unless the newest one says the same.

        Raises
        ------
        NotFound
            If it names an audience or a tag that there is not.
        InvalidRule
            If a tag is none to be given, a text cannot be sent by the channel, or a decision point
            cannot answer a step.
        InvalidParameter
            If a text cannot be filled, or does not say how to unsubscribe.
        """
        self._require(definition)
        with transaction(self.shop.store.ledger) as connection:
            return ledger.keep(connection, definition, by=by, now=self._now())

    def _require(self, definition: Definition) -> None:
        """That there is what the journey names."""
        entry, out = definition.entry, definition.leave
        asked = [one.audience for one in (entry, out) if isinstance(one, OnAudience | Leave)]
        with reading(self.shop.store.ledger) as connection:
            for name in asked:
                find_audience(connection, name)
            require_points(connection, definition)
        check_journey(self.shop.settings, definition)
        tags = Tags(self.shop.store, self.shop.vault, self.shop.clock)
        for step in definition.steps.values():
            if isinstance(step, SetTag):
                tags.require_given(step.name, step.value or None, take=step.take)
            if isinstance(step, Call) and step.hook not in self.shop.settings.act.hooks:
                raise InvalidRule(
                    f"no system is called {step.hook[:48]!r}", reason="wrong_value",
                    hint=f'zhiyin.toml, under [act]: hooks = {{{step.hook[:48]} = "https://…"}}',
                )  # fmt: skip

    def _give_tag(self, connection: sa.Connection, step: SetTag, parties: Sequence[str]) -> int:
        first = self._today()
        return add_entries(
            connection, step.name, parties, given=not step.take, value=step.value or None,
            start_on=first, end_on=first + timedelta(days=step.days - 1) if step.days else None,
            by="journey", now=self._now(),
        )  # fmt: skip

    def _decide(self, key: str, step: str) -> int:
        shop = self.shop
        with ExitStack() as stack:
            return answer(
                shop.store.begin, journey=key, step=step,
                sight=lambda: stack.enter_context(
                    sight_of(shop.store, shop.vault, shop.settings, shop.clock, self._kin_of)
                ),
            )  # fmt: skip

    def _kin_of(self, party: str) -> Sequence[str]:
        return self._kin.get(party) or (party,)

    def newest(self, key: str) -> Stored:
        """The newest version of a journey."""
        with reading(self.shop.store.ledger) as connection:
            return ledger.find(connection, key)

    def publish(self, key: str, *, by: str) -> Stored:
        """Let the newest draft begin, from this moment on."""
        held = self.newest(key)
        graph = Graph(key, held.version, held.definition, {})
        position = position_of(graph, self.shop.store, self._today())
        with transaction(self.shop.store.ledger) as connection:
            return ledger.publish(connection, key, position=position, by=by, now=self._now())

    def pause(self, key: str, *, by: str) -> Stored:
        """Let nobody enter and nobody go on."""
        with transaction(self.shop.store.ledger) as connection:
            return ledger.pause(connection, key, by=by, now=self._now())

    def resume(self, key: str, *, by: str) -> Stored:
        """Go on after a pause."""
        with transaction(self.shop.store.ledger) as connection:
            return ledger.resume(connection, key, by=by, now=self._now())

    def end(self, key: str, *, by: str) -> Stored:
        """End a journey: everybody leaves it."""
        with transaction(self.shop.store.ledger) as connection:
            return ledger.end(connection, key, by=by, now=self._now())

    def listed(self) -> list[dict[str, Any]]:
        """The newest version of every journey, with how many are inside in all versions."""
        with reading(self.shop.store.ledger) as connection:
            newest = {one.key: one for one in ledger.versions(connection)}
            inside = {
                key: sum(row.n for row in ledger.read_people(connection, key) if not row.reason)
                for key in newest
            }
        return [_head(one) | {"inside": inside[key]} for key, one in sorted(newest.items())]

    def shown(self, key: str) -> dict[str, Any]:
        """A journey: its newest definition, people by step, who left and why, counts, messages."""
        with reading(self.shop.store.ledger) as connection:
            held = {one.version: one for one in ledger.versions(connection, key)}
            newest = ledger.find(connection, key)
            rows = ledger.read_people(connection, key)
            counted = ledger.read_counts(connection, key)
            sent = _messages(connection, key)
            told = read_calls(connection, key)
            chosen = {
                name: read_choices(connection, key, name)
                for name, step in newest.definition.steps.items()
                if isinstance(step, NextBest)
            }
        graphs = {n: Graph(key, n, one.definition, {}) for n, one in held.items()}
        return _head(newest) | {
            "definition": json.loads(dump(newest.definition)),
            "versions": [{"version": n, "state": one.state} for n, one in held.items()],
            "inside": [
                {"version": row.version, "step": graphs[row.version].names[row.place], "n": row.n}
                for row in rows if not row.reason
            ],
            "left": [
                {"version": row.version, "reason": row.reason, "n": row.n}
                for row in rows if row.reason
            ],
            "counts": [
                {"version": row.version, "step": row.step, "what": row.what, "n": row.n}
                for row in counted
            ],
            "messages": sent, "calls": told, "choices": chosen,
        }  # fmt: skip

    def stuck(self, key: str | None = None, *, limit: int = 100) -> list[dict[str, Any]]:
        """Who should have gone on an hour ago or more, and why she has not."""
        before_s = self._now_s() - STUCK_S
        with reading(self.shop.store.ledger) as connection:
            rows = ledger.read_stuck(connection, before_s=before_s, key=key, limit=limit)
            held = {(one.key, one.version): one for one in ledger.versions(connection)}
        made: list[dict[str, Any]] = []
        for row in rows:
            graph = Graph(row.journey, row.version, held[row.journey, row.version].definition, {})
            since = datetime.fromtimestamp(row.due_s, UTC).isoformat()
            made.append({
                "journey": row.journey, "version": row.version, "customer_id": row.party_id,
                "step": graph.names.get(row.step, "?"), "due_at": since,
                "why": _why_stuck(row.state),
            })  # fmt: skip
        return made

    def enter(self, key: str, customers: Sequence[str], *, occurrence: str = "") -> dict[str, int]:
        """Let customers enter now, by the source's ids, e-mails, phones or ours.

        Parameters
        ----------
        occurrence
            What brings them in: the same one brings nobody in twice; none: this moment.

        Returns
        -------
        `entered`, `refused` (inside already, or by the rules of re-entry), `unknown`.
        """
        found = find_people(self.shop.store, self.shop.vault, customers)
        at_s, members = self._now_s(), self._members()
        known = sorted({one for one in found if one is not None})
        made = [Candidate(one, occurrence or f"call {at_s}", at_s) for one in known]
        with transaction(self.shop.store.ledger) as connection:
            graph = self._entering(connection, key)
            entered = engine.enter(connection, graph, feed.with_parties(made, members))
        unknown = sum(one is None for one in found)
        return {"entered": entered, "refused": len(known) - entered, "unknown": unknown}

    def enter_past(self, key: str, *, since: date, count: int | None) -> dict[str, int]:
        """Let those enter whose event lies before the entry window, where the number is known.

        Parameters
        ----------
        count
            How many the caller expects; another number, or none, lets nobody enter.

        Raises
        ------
        InvalidParameter
            If the journey is not entered by an event.
        """
        with reading(self.shop.store.ledger) as connection:
            graph = self._entering(connection, key)
        entry = graph.definition.entry
        if not isinstance(entry, OnEvent):
            raise InvalidParameter(
                f"nobody enters {key!r} by an event", hint="zhiyin journey enter KEY CUSTOMER …"
            )
        first_s = feed.moment_s(since, 0, self.shop.settings.zone)
        done = feed.read_between(
            self.shop.store, entry.on, first_s=first_s, last_s=self._now_s()
        )  # fmt: skip
        last = {one.party_id: one for one in done}
        if count != len(last):
            return {"found": len(last), "entered": 0}
        at_s = self._now_s()
        made = [Candidate(one.party_id, one.occurrence, at_s) for one in last.values()]
        with transaction(self.shop.store.ledger) as connection:
            entered = engine.enter(
                connection, graph, feed.with_parties(made, self._members())
            )  # fmt: skip
        return {"found": len(last), "entered": entered}

    def tick(self, *, deliver: bool = False) -> list[Ticked]:
        """Bring every running version up to now; empty where there is nothing to do.

        Raises
        ------
        LeaseHeld
            If a turn or an erasure is under way.
        """
        shop, now_s = self.shop, self._now_s()
        with reading(self.shop.store.ledger) as connection:
            graphs = ledger.running(connection, self._known)
        self._known = {(one.key, one.version): one for one in graphs}
        busy = [one for one in graphs if has_work(shop.store, one, now_s, zone=shop.settings.zone)]
        made: list[Ticked] = []
        if busy:
            with hold_lease(self.shop.store.ledger, clock=self.shop.clock):
                self._kin = self._members()
                desk = Desk(
                    shop.store, shop.vault, shop.settings, now_s, self.meets, self._dates,
                    self._give_tag, self._decide, self._kin,
                )  # fmt: skip
                for graph in busy:
                    made.append(Ticked(graph.key, graph.version, **tick(desk, graph)))
        if deliver:
            self.deliver()
        return made

    def make_calls(self) -> int:
        """Tell the shop's systems what webhook steps planned; how many were told.

        Raises
        ------
        ConfigError
            If a system's address or the secret is missing.
        ChannelUnavailable
            If one cannot be reached; its calls stay planned.
        """
        with reading(self.shop.store.ledger) as connection:
            graphs = ledger.running(connection, self._known)
        caller = Caller(
            self.shop.store.begin, partial(open_hook, self.shop.settings.act),
            self.shop.settings.act, self.shop.clock, Streams(self._now_s()).generator("calls"),
        )  # fmt: skip
        return make_calls(caller, graphs)

    def deliver(self) -> None:
        """Send what the journeys planned and may go now; settle what a crash left on its way."""
        waiting = sa.select(messages.c.campaign_id).where(
            messages.c.campaign_id.startswith(campaign_of(""), autoescape=True),
            messages.c.state.in_(OPEN),
        )
        with reading(self.shop.store.ledger) as connection:
            campaigns = list(connection.scalars(waiting.distinct()))
        for campaign in sorted(campaigns):
            self.shop.send(campaign)

    def simulate(self, definition: Definition, customers: Sequence[str]) -> dict[str, list[Passed]]:
        """What would become of customers who entered now and did nothing; nothing is kept.

        Raises
        ------
        NotFound
            If an identifier names nobody, or several people. It is not quoted.
        """
        found = find_people(self.shop.store, self.shop.vault, customers)
        if None in found:
            raise NotFound(f"customer {found.index(None) + 1} is known under no such identifier")
        graph = Graph(definition.key, 0, definition, {})
        return {
            one: walk(graph, one, at_s=self._now_s(), meets=self.meets) for one in found if one
        }  # fmt: skip

    def meets(self, rule: Rule, customers: Sequence[str] | None) -> set[str]:
        """Which of the customers (none: of all) meet a rule at this moment."""
        store, now, day = self.shop.store, self.shop.clock.now(), self._today()
        with reading(store.ledger) as connection:
            rules = {one.name: one.rule for one in list_audiences(connection)}
        whole = resolve(rule, rules)
        mapping = store.representatives()
        only = None
        if customers is not None:
            ids = sorted({mapping.get(one, one) for one in customers})
            only = store.to_ibis(pa.table({c.CUSTOMER_ID: pa.array(ids, pa.string())}))
        tables = tables_for(
            store, self.shop.vault, [whole], as_of=day + timedelta(days=1), only=only
        )  # fmt: skip
        flags = compile_many({"inside": whole}).flags(
            tables, as_of=now, zone=store.zone, snapshot_on=last_snapshot(store, day)
        )
        rows = flags.to_pyarrow()
        inside = set(rows.filter(rows["inside"])[c.CUSTOMER_ID].to_pylist())
        if customers is None:
            return inside
        return {one for one in customers if mapping.get(one, one) in inside}

    def _dates(self, name: str) -> ibis.Table:
        customers = self.shop.store.read("customers")
        if name == c.BIRTHDAY:
            customers = with_birthdays(customers, self.shop.store, self.shop.vault)
            return customers.select(c.CUSTOMER_ID, c.BIRTHDAY)
        value = customers[c.PROPERTIES].cast("json")[name.removeprefix("properties.")].str
        return customers.select(c.CUSTOMER_ID, **{name: value})

    def _members(self) -> dict[str, list[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for party, chief in self.shop.store.representatives().items():
            found[chief] |= {party, chief}
        return {one: sorted(parties) for parties in found.values() for one in parties}

    def _entering(self, connection: sa.Connection, key: str) -> Graph:
        held = [one for one in ledger.versions(connection, key) if one.state == ledger.PUBLISHED]
        if not held:
            ledger.find(connection, key)
            raise InvalidParameter(
                f"the journey {key!r} is not published", hint=f"zhiyin journey publish {key}"
            )
        return Graph(key, held[-1].version, held[-1].definition, held[-1].position or {})

    def _now(self) -> datetime:
        return naive_utc(self.shop.clock.now())

    def _now_s(self) -> int:
        return int(self.shop.clock.now().timestamp())

    def _today(self) -> date:
        return local_day(self.shop.clock.now(), self.shop.settings.zone)


def _why_stuck(state: str) -> str:
    if state in (ledger.PUBLISHED, ledger.REPLACED):
        return "no tick, or it waits for the morning or a person"
    return "paused" if state == ledger.PAUSED else state


def _head(one: Stored) -> dict[str, Any]:
    return {
        "key": one.key, "version": one.version, "state": one.state,
        "created_by": one.created_by, "changed_by": one.changed_by,
        "changed_at": one.changed_at.replace(tzinfo=UTC).isoformat(),
    }  # fmt: skip


def _messages(connection: sa.Connection, key: str) -> list[dict[str, Any]]:
    columns = (messages.c.channel, messages.c.state, messages.c.reason)
    query = sa.select(*columns, sa.func.count().label("n"))
    query = query.where(messages.c.campaign_id == campaign_of(key)).group_by(*columns)
    rows = connection.execute(query.order_by(*columns))
    return [
        {"channel": row.channel, "state": row.state, "reason": row.reason, "n": row.n}
        for row in rows
    ]

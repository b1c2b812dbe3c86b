# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Campaigns of a workspace that a person plans: check, keep, approve, start, pause, measure."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Literal

from zhiyin.act import ledger as messages
from zhiyin.act.campaigns import ledger
from zhiyin.act.campaigns.checklist import Checklist
from zhiyin.act.campaigns.content import check_campaign
from zhiyin.act.campaigns.decisions_job import write_decisions
from zhiyin.act.campaigns.definition import Definition, dump_definition
from zhiyin.act.campaigns.ledger import HELD_OUT, RUNNING, Campaign
from zhiyin.act.campaigns.plan_job import (
    Judged,
    campaign_settings,
    judge_people,
    plan_messages,
)
from zhiyin.act.campaigns.preview_job import Shown as Preview
from zhiyin.act.campaigns.preview_job import preview_customer, preview_variants
from zhiyin.act.campaigns.schedule import check_schedule
from zhiyin.act.campaigns.text import MEMBER
from zhiyin.act.campaigns.watch import STOP_RULE
from zhiyin.act.costs import as_money
from zhiyin.act.lists.export_job import (
    Exported,
    export_again,
    export_campaign,
    export_removals,
)
from zhiyin.act.lists.writer import check_target
from zhiyin.act.review import count_by_rule
from zhiyin.act.tasks.ledger import withdraw_open
from zhiyin.audience import compile, parse
from zhiyin.audience.ledger import LIVE, STATIC, find_audience, told_members
from zhiyin.audience.read import last_snapshot, tables_for
from zhiyin.audiences import Audiences
from zhiyin.campaign_effect import foresee, measure_effect
from zhiyin.channels import check_channel
from zhiyin.core import columns as c
from zhiyin.core.clock import Clock, local_day, naive_utc
from zhiyin.core.config import Settings
from zhiyin.core.context import Context
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.rng import Streams
from zhiyin.decide.requests import answer
from zhiyin.govern.live import read_kinship
from zhiyin.govern.people import SMS, Kinship
from zhiyin.person.find import find_person
from zhiyin.point_askers import require_point, sight_of
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.vault import LocalVault
from zhiyin.store.workspace import WorkspaceStore

Exporting = Literal["new", "again", "removals"]
_EXPORTS = {"new": export_campaign, "again": export_again, "removals": export_removals}


def campaigns_of(
    store: WorkspaceStore, vault: LocalVault, settings: Settings, clock: Clock, as_of: date
) -> Campaigns:
    """The campaigns of a workspace, whose audiences are asked as of a day."""
    today = local_day(clock.now(), settings.zone)
    ctx = Context(settings, store, vault, clock, Streams(settings.seed), today, "")
    return Campaigns(ctx, Audiences(store, vault, clock, as_of))


@dataclass(frozen=True)
class Campaigns:
    """The planned campaigns of a workspace.

    Parameters
    ----------
    ctx
        Its clock is the machine's: what is known at this moment counts.
    audiences
        As of the day for which audiences are asked.
    """

    ctx: Context
    audiences: Audiences

    def check(self, definition: Definition) -> Checklist:
        """What starting the campaign now would do, without writing anything.

        Raises
        ------
        InvalidParameter, NotFound
            As `create`.
        """
        self._check(definition)
        as_of = self.audiences.as_of
        people = self._members(definition, as_of=as_of)
        judged = judge_people(self.ctx, definition, people)
        going = [one for one in judged if one.variant is not None]
        variants = Counter(one.variant for one in going)
        return Checklist(
            definition.key,
            self.ctx.settings.currency,
            len(judged),
            count_by_rule([one.reason or "" for one in judged]),
            sum(one.reason == HELD_OUT for one in judged),
            {definition.choose_by: len(going)}
            if definition.choose_by
            else {name: variants[name] for name in definition.shares},
            _cost(definition, going),
            definition.budget,
            _due(going),
            foresee(self.ctx, definition, judged, as_of=as_of),
            sum(one.price.segments for one in going if one.price is not None),
            _members(self.ctx.settings, definition, going),
            chosen_by=definition.choose_by,
        )

    def create(self, definition: Definition, *, by: str) -> Campaign:
        """Keep a campaign as a draft: a new version of its key.

        Raises
        ------
        NotFound
            If there is no such audience.
        InvalidParameter
            If its rule, its texts or its schedule are wrong, or it has started.
        """
        self._check(definition)
        with transaction(self.audiences.store.ledger) as connection:
            return ledger.add_version(connection, definition, by=_named(by), now=self._now())

    def approve(self, key: str, *, by: str) -> Campaign:
        """Approve the newest version: never one's own."""
        with transaction(self.audiences.store.ledger) as connection:
            return ledger.approve(connection, key, by=_named(by), now=self._now())

    def start(self, key: str, *, by: str) -> Campaign:
        """Let it run; its messages are planned by `plan`, which the worker calls.

        Raises
        ------
        PermissionDenied, InvalidParameter
            As `ledger.start`; also where its moment has passed.
        """
        with reading(self.audiences.store.ledger) as connection:
            held = ledger.find_campaign(connection, key)
        self._check(held.definition)
        with transaction(self.audiences.store.ledger) as connection:
            return ledger.start(
                connection, key, as_of=self.audiences.as_of, by=_named(by), now=self._now(),
                second_person=self.ctx.settings.act.second_person,
            )  # fmt: skip

    def plan(self, key: str) -> int:
        """Plan the messages of a campaign that runs; how many are new. Call it under the lease
        `lake`.

        What was planned stays: planning that was cut short goes on.
        """
        with reading(self.audiences.store.ledger) as connection:
            held = ledger.find_campaign(connection, key)
        if held.planned_at is not None or held.as_of_on is None or held.state != RUNNING:
            return 0
        choose = None
        if held.definition.choose_by:
            with reading(self.audiences.store.ledger) as connection:
                require_point(connection, held.definition)
            choose = partial(self._choose, read_kinship(self.audiences.store, as_of=None))
        people = self._members(held.definition, as_of=held.as_of_on)
        made = plan_messages(self.ctx, held, people, choose=choose)
        write_decisions(self.ctx, held)
        with transaction(self.audiences.store.ledger) as connection:
            ledger.set_planned(connection, held, now=self._now())
            still = ledger.find_campaign(connection, key)
            if still.state == ledger.CANCELLED:
                ledger.skip_planned(connection, held.campaign_id)
        return made

    def pause(self, key: str, *, by: str) -> Campaign:
        """Send nothing more; a delivery under way stops within a second."""
        with transaction(self.audiences.store.ledger) as connection:
            return ledger.pause(connection, key, by=_named(by), now=self._now())

    def resume(self, key: str, *, by: str) -> Campaign:
        """Go on where it stopped; nothing is sent again."""
        with transaction(self.audiences.store.ledger) as connection:
            return ledger.resume(connection, key, by=_named(by), now=self._now())

    def cancel(self, key: str, *, by: str) -> Campaign:
        """End it for good; calls that nobody has taken are off the lists."""
        with transaction(self.audiences.store.ledger) as connection:
            made = ledger.cancel(connection, key, by=_named(by), now=self._now())
            withdraw_open(connection, key, reason=ledger.CANCELLED_REASON)
            return made

    def export(
        self, key: str, path: Path, *, by: str, workspace: Path, what: Exporting = "new",
        force: bool = False,
    ) -> Exported:  # fmt: skip
        """Write a campaign that leaves as a file: what is due of it (`new`), what was exported
        before (`again`), or who must come off such a list (`removals`). Call it under the lease
        `lake`.

        Raises
        ------
        InputError
            If the file may not stand there.
        InvalidParameter
            As `export_campaign`.
        """
        check_target(path, workspace=workspace, force=force)
        with reading(self.audiences.store.ledger) as connection:
            held = ledger.find_campaign(connection, key)
        return _EXPORTS[what](self.ctx, held, path, by=_named(by))

    def listed(self) -> list[dict[str, Any]]:
        """The newest version of each campaign, by key."""
        with reading(self.audiences.store.ledger) as connection:
            return [_head(one) for one in ledger.list_campaigns(connection)]

    def shown(self, key: str) -> dict[str, Any]:
        """A campaign: definition, live counts, and what it caused so far.

        Returns
        -------
        As `listed`, with `definition`, `counts` (`messages.count_messages`), `parts` (by state,
        reason and variant), `ends` (sent, complaints, bounces, unsubscribes), `effect` (by variant
        and for all: buyers and people in both arms, the difference with its interval; `against` the
        campaign's holdout, or the global one) and `waiting` (`messages` that are due later, the
        `first` moment and the `last`).
        """
        with reading(self.audiences.store.ledger) as connection:
            held = ledger.find_campaign(connection, key)
            own = held.campaign_id
            counts = messages.count_messages(connection, [own])
            parts = ledger.count_parts(connection, own)
            since = held.started_at or held.created_at
            ends = ledger.count_ends(connection, own, since=since)
            arms = ledger.read_arms(connection, own)
            everything = ledger.read_global_arms(connection, own)
            waiting = messages.read_waiting(connection, own, now=self._now())
        return _head(held) | {
            "definition": dump_definition(held.definition), "counts": counts, "parts": parts,
            "ends": vars(ends), "effect": measure_effect(self.ctx, held, arms, everything),
            "waiting": _waiting(*waiting),
        }  # fmt: skip

    def preview(
        self, asked: Definition | str, *, customer: str = "", language: str = ""
    ) -> list[Preview]:
        """What a campaign says, by variant and language, or what a customer gets of it.

        Parameters
        ----------
        asked
            Key of a campaign, or one that is not kept.
        customer
            By the source's id, an e-mail, a phone or ours.

        Raises
        ------
        NotFound
            If there is no such campaign, or nobody has this identifier.
        InvalidParameter
            If it has no texts, or none in the language.
        """
        definition, version = asked, 0
        if isinstance(definition, str):
            with reading(self.audiences.store.ledger) as connection:
                held = ledger.find_campaign(connection, definition)
            definition, version = held.definition, held.version
        if not customer:
            return preview_variants(self.ctx, definition, version=version, language=language)
        store, vault = self.audiences.store, self.audiences.vault
        party = find_person(store, vault, customer).customer_id
        return [preview_customer(self.ctx, definition, party, version=version, language=language)]

    def note_preview(self, key: str, customer_id: str, *, by: str) -> None:
        """Keep in the audit log that somebody looked at a customer's message."""
        with transaction(self.audiences.store.ledger) as connection:
            held = ledger.find_campaign(connection, key)
            ledger.note(
                connection, held, "previewed", by=_named(by), now=self._now(), customer=customer_id
            )

    def _check(self, definition: Definition) -> None:
        check_schedule(
            definition.schedule, default=self.ctx.settings.zone, now=self.ctx.clock.now()
        )
        settings = self.ctx.settings
        check_campaign(definition, most_segments=settings.act.sms_segments)
        check_channel(settings, definition)
        with reading(self.audiences.store.ledger) as connection:
            require_point(connection, definition)
        if definition.rule is not None:
            compile(
                parse(definition.rule), audiences=self.audiences.rules(),
                vocabulary=self.audiences.vocabulary(),
            )  # fmt: skip
        else:
            with reading(self.audiences.store.ledger) as connection:
                find_audience(connection, definition.audience)

    def _choose(self, kinship: Kinship, campaign: str, step: str) -> int:
        store, settings = self.audiences.store, self.ctx.settings
        with ExitStack() as stack:
            sight = sight_of(
                store, self.audiences.vault, settings, self.ctx.clock, kinship.parties
            )  # fmt: skip
            return answer(
                store.begin, journey=campaign, step=step, sight=lambda: stack.enter_context(sight)
            )

    def _members(self, definition: Definition, *, as_of: date) -> list[str]:
        """Who is in the audience: a static one as it was kept, a live one as it was told."""
        store = self.audiences.store
        rule = None if definition.rule is None else parse(definition.rule)
        if rule is None:
            with reading(store.ledger) as connection:
                stored = find_audience(connection, definition.audience)
                if stored.kind == LIVE and stored.asked is not None:
                    return sorted(told_members(connection, stored.name))
            if stored.kind == STATIC and stored.evaluated_on is not None:
                rows = store.read("audience_members")
                mine = rows.filter(
                    rows[c.AUDIENCE] == stored.name, rows[c.AS_OF_ON] == stored.evaluated_on
                )
                return sorted(mine.select(c.CUSTOMER_ID).to_pyarrow()[c.CUSTOMER_ID].to_pylist())
            rule = stored.rule
        compiled = compile(
            rule, audiences=self.audiences.rules(), vocabulary=self.audiences.vocabulary()
        )
        tables = tables_for(store, self.audiences.vault, compiled.rules.values(), as_of=as_of)
        found = compiled.members(
            tables, as_of=as_of, zone=store.zone, snapshot_on=last_snapshot(store, as_of)
        )
        return sorted(found.to_pyarrow()[c.CUSTOMER_ID].to_pylist())

    def _now(self) -> datetime:
        return naive_utc(self.ctx.clock.now())


def _due(going: list[Judged]) -> tuple[str | None, str] | None:
    """The first (None: at once) and the last moment of the messages; None: all at once."""
    moments = sorted(one.due for one in going if one.due is not None)
    if not moments:
        return None
    first = _said(moments[0]) if len(moments) == len(going) else None
    return first, _said(moments[-1])


def _cost(definition: Definition, going: list[Judged]) -> Decimal:
    """What the messages cost: of text messages each of their segments."""
    if definition.form != SMS:
        return len(going) * definition.cost
    return as_money(sum(one.price.micros for one in going if one.price is not None))


def _members(settings: Settings, definition: Definition, going: list[Judged]) -> dict[str, int]:
    """Who confirms how many messages; empty: whoever has the customers as contacts."""
    if definition.form != MEMBER:
        return {}
    usual = campaign_settings(settings, definition).act.wecom_member
    return dict(sorted(Counter(one.person.member or usual for one in going).items()))


def _waiting(count: int, first: datetime | None, last: datetime | None) -> dict[str, Any]:
    ends = {"first": first, "last": last}
    return {"messages": count} | {
        name: None if at is None else _said(at.replace(tzinfo=UTC)) for name, at in ends.items()
    }


def _said(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="minutes")


def _head(one: Campaign) -> dict[str, Any]:
    moments = ("created_at", "approved_at", "started_at", "planned_at", "finished_at")
    return {
        "key": one.key, "name": one.definition.name, "version": one.version, "state": one.state,
        "reason": one.reason, "campaign_id": one.campaign_id, "created_by": one.created_by,
        "approved_by": one.approved_by,
    } | {
        name: value.replace(tzinfo=UTC).isoformat() if (value := getattr(one, name)) else None
        for name in moments
    }  # fmt: skip


def _named(by: str) -> str:
    if not by.strip() or by.strip() in (STOP_RULE, "delivery"):
        raise InvalidParameter("who does it is not named", hint="say who you are: --by NAME")
    return by.strip()[:80]

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Models of a workspace: versions, cards, which of them speaks, promotion and rollback."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from zhiyin.core import columns as c
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.decay import find_decay
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.values import Estimate
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore
from zhiyin.understand.ledger import (
    add_entry,
    drop_guest,
    keep_guest,
    read_entries,
    read_guests,
    read_versions,
)
from zhiyin.understand.predict.guests import Guest, check_guest
from zhiyin.understand.predict.registry import (
    REQUESTED,
    ROLLED_BACK,
    Entry,
    champion_now,
    next_step,
    previous,
    stages,
)
from zhiyin.understand.predict.task import RESPONSE
from zhiyin.understand.predict.training import Version, kept_rows
from zhiyin.understand.value.scoring import TASK as VALUE

Row = dict[str, Any]
_Row = TypeVar("_Row", Version, Entry)


@dataclass(frozen=True)
class Models:
    """The registry of a workspace; `policy` is its setting `understand.promotion`."""

    store: WorkspaceStore
    clock: Clock
    policy: str

    def listed(self, task: str | None = None) -> list[Row]:
        """Every version with its stage, by task and subject, newest first."""
        versions, entries = self._held(task)
        made: list[Row] = []
        for key in dict.fromkeys((v.task, v.subject) for v in versions):
            mine, log = _of(versions, key), _of(entries, key)
            stage = stages(mine, log)
            asked = _waiting(log)
            made += [
                {
                    "task": one.task, "subject": one.subject, "version": one.version,
                    "stage": stage[one.version], "model": one.model,
                    "as_of": one.as_of_on.isoformat(), "data_hash": one.data_hash,
                    "comparison": dict(one.comparison),
                    "asked_by": asked.get(one.version),
                }
                for one in mine
            ]  # fmt: skip
        return made

    def shown(self, task: str, subject: str = "", version: str = "") -> Row:
        """One version with its card and the log of its task; without a version the champion.

        Raises
        ------
        NotFound
            If there is no such version, or none speaks yet.
        """
        versions, entries = self._held(task)
        mine, log = _of(versions, (task, subject)), _of(entries, (task, subject))
        one = _find(mine, version or champion_now(log) or "", task, subject)
        card = self._card(one)
        decay, measured = self._told_value(one) if task == VALUE else self._told(one, card)
        return {
            "task": task, "subject": subject, "version": one.version,
            "stage": stages(mine, log)[one.version], "as_of": one.as_of_on.isoformat(),
            "decay": decay,
            "measured": measured,
            "card": card,
            "log": [
                {"version": e.version, "kind": e.kind, "on_day": e.on_day.isoformat(), "by": e.by}
                for e in log
            ],
        }  # fmt: skip

    def promote(self, task: str, subject: str = "", *, version: str, by: str) -> str:
        """Let a version speak from the next turn on; audited with data hash and card.

        Returns
        -------
        `promoted`, or `requested` where the workspace asks for a second person.

        Raises
        ------
        NotFound, InvalidParameter, PermissionDenied
            As `registry.next_step` says.
        """
        who = _named(by)
        with transaction(self.store.ledger) as connection:
            versions = _of(read_versions(connection, task), (task, subject))
            log = _of(read_entries(connection, task), (task, subject))
            step = next_step(versions, log, version, by=who, policy=self.policy)
            one = _find(versions, version, task, subject)
            add_entry(
                connection, one, kind=step, on_day=max(v.as_of_on for v in versions), by=who,
                card=self._card(one), now=naive_utc(self.clock.now()),
            )  # fmt: skip
        return step

    def rollback(self, task: str, subject: str = "", *, by: str) -> str:
        """Let the version before the champion speak again; the version that does.

        Raises
        ------
        NotFound
            If no other version ever spoke.
        """
        who = _named(by)
        with transaction(self.store.ledger) as connection:
            versions = _of(read_versions(connection, task), (task, subject))
            log = _of(read_entries(connection, task), (task, subject))
            one = _find(versions, previous(log), task, subject)
            add_entry(
                connection, one, kind=ROLLED_BACK, on_day=max(v.as_of_on for v in versions),
                by=who, card=self._card(one), now=naive_utc(self.clock.now()),
                instead_of=champion_now(log),
            )  # fmt: skip
        return one.version

    def bring_in(self, guest: Guest, task: str, subject: str = "", *, by: str) -> None:
        """Let a model made elsewhere take part in its task from the next turn on.

        Raises
        ------
        InvalidParameter, InputError, MissingExtra
            As `guests.check_guest` says.
        """
        who = _named(by)
        check_guest(guest, task=task, subject=subject)
        with transaction(self.store.ledger) as connection:
            keep_guest(
                connection, guest, task=task, subject=subject, by=who,
                now=naive_utc(self.clock.now()),
            )  # fmt: skip

    def take_out(self, name: str, task: str, subject: str = "", *, by: str) -> None:
        """Let a model that was brought in take part no more.

        Raises
        ------
        NotFound
            If there is none of this name.
        """
        with transaction(self.store.ledger) as connection:
            drop_guest(
                connection, name, task=task, subject=subject, by=_named(by),
                now=naive_utc(self.clock.now()),
            )  # fmt: skip

    def guests(self) -> list[Row]:
        """The models that were brought in."""
        with reading(self.store.ledger) as connection:
            held = read_guests(connection)
        return [
            {
                "task": task, "subject": subject, "name": one.name, "bytes": len(one.content),
                "features": list(one.features), "learned_until": one.learned_until.isoformat(),
            }
            for (task, subject), guests in sorted(held.items())
            for one in guests
        ]  # fmt: skip

    def _held(self, task: str | None) -> tuple[list[Version], list[Entry]]:
        with reading(self.store.ledger) as connection:
            return read_versions(connection, task), read_entries(connection, task)

    def _told(self, one: Version, card: Row) -> tuple[str, list[Row]]:
        """Whether it keeps what its card promised, and its AUC on what then happened by day."""
        measured = self._measured(one)
        promised = card.get("validation", {}).get("last_fold", {}).get("auc_low")
        rows = [
            {"as_of": day.isoformat(), "auc": e.value, "low": e.low, "high": e.high, "n": e.n}
            for day, e in sorted(measured.items())
        ]
        return find_decay(promised, max(measured.items())[1] if measured else None), rows

    def _told_value(self, one: Version) -> tuple[str, list[Row]]:
        """Whether it keeps within its bounds, and what it expected beside what came by turn."""
        rows = self.store.read("insights")
        mine = rows.filter(rows[c.KIND] == "value_decay", rows[c.KEY] == one.version)
        told = mine.order_by(c.AS_OF_ON).select(c.BODY).to_pyarrow()[c.BODY].to_pylist()
        measured = [body for text in told if "purchases" in (body := json.loads(text))]
        return measured[-1]["status"] if measured else "not_yet", measured

    def _measured(self, one: Version) -> dict[date, Estimate]:
        """AUC on what then happened, of the days that the version's own scores are measured for."""
        scores, results = self.store.read("scores"), self.store.read("results")
        keys = [c.AS_OF_ON, c.SUBJECT]
        told = scores.filter(scores[c.TASK] == one.task, scores[c.MODEL_VERSION] == one.version)
        known = results.filter(
            results[c.KIND] == one.task, results[c.METRIC] == "auc", results[c.STATUS] == "ok"
        ).semi_join(told.select(*keys).distinct(), keys)
        if one.task != RESPONSE:
            known = known.filter(known[c.SUBJECT] == one.subject)
        return {  # of two campaigns on one day the one with more recipients
            row[c.AS_OF_ON]: Estimate(row[c.VALUE], row[c.LOW], row[c.HIGH], row[c.N])
            for row in known.order_by(c.N, c.SUBJECT).to_pyarrow().to_pylist()
        }

    def _card(self, one: Version) -> Row:
        rows = kept_rows(self.store.read("models"), one).select(c.CARD).to_pyarrow()
        cards = rows[c.CARD].to_pylist()
        return json.loads(cards[0]) if cards else {}


def _of(rows: list[_Row], key: tuple[str, str]) -> list[_Row]:
    return [one for one in rows if (one.task, one.subject) == key]


def _find(versions: list[Version], version: str, task: str, subject: str) -> Version:
    for one in versions:
        if one.version == version:
            return one
    name = f"{task} {subject}".rstrip()
    raise NotFound(
        f"{name} has no version {version!r}" if version else f"no model of {name} speaks yet",
        hint="zhiyin models list",
    )


def _waiting(log: list[Entry]) -> dict[str, str]:
    """Who asked for which version, since the last promotion."""
    made: dict[str, str] = {}
    for one in log:
        if one.kind != REQUESTED:
            made.clear()
        else:
            made[one.version] = one.by
    return made


def _named(by: str) -> str:
    """The person who acts."""
    if not by.strip() or by.strip() == "turn":
        raise InvalidParameter("who promotes is not named", hint="say who you are: --by NAME")
    return by.strip()[:80]

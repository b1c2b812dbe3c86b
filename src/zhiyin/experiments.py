"""Experiments of a workspace: plan, start, read, stop and decide them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any, Literal

import msgspec

from zhiyin.app import Workspace
from zhiyin.core.clock import local_day, naive_utc
from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.experiment import ledger
from zhiyin.measure.experiment.definition import Experiment
from zhiyin.measure.experiment.ledger import Stored
from zhiyin.measure.experiment.measures import check_measured
from zhiyin.measure.experiment.read_job import Found, describe, read
from zhiyin.measure.experiment.readout import decide
from zhiyin.store.ledger import reading, transaction

Choice = Literal["take_treatment", "keep_control"]


class Experiments:
    """The experiments of a workspace."""

    def __init__(self, shop: Workspace) -> None:
        self._shop = shop

    def put(self, experiment: Experiment, *, by: str) -> Stored:
        """Keep a draft.

        Raises
        ------
        InvalidParameter
            If it was started, or a workspace cannot measure it.
        """
        check_measured(experiment)
        with transaction(self._shop.store.ledger) as connection:
            return ledger.put(connection, experiment, by=by, now=self._now())

    def start(self, key: str, *, by: str) -> Stored:
        """Freeze the plan and assign from now on; see `ledger.start`."""
        with transaction(self._shop.store.ledger) as connection:
            return ledger.start(connection, key, by=by, now=self._now(), today=self._today())

    def stop(self, key: str, *, by: str, why: str = "") -> Stored:
        """Assign nobody any more; see `ledger.stop`."""
        with transaction(self._shop.store.ledger) as connection:
            return ledger.stop(connection, key, by=by, now=self._now(), why=why)

    def decide(self, key: str, choice: Choice, *, arm: str = "", by: str, why: str = "") -> Stored:
        """Say which arm everybody gets, on what is known today.

        Parameters
        ----------
        arm
            The treatment; may be left out where there is one, or the control is kept: then it is
            the first that is known to be better, if one is.

        Raises
        ------
        InvalidParameter
            If it goes against the evidence, or without it, and has no reason.
        """
        found = self.read(key)
        treatments = found.readout.plan.experiment.treatments
        if not arm and len(treatments) > 1 and choice == "take_treatment":
            raise InvalidParameter("say which arm", hint=", ".join(treatments))
        now = self._shop.clock.now()
        shown = next((one for one in treatments if found.readout.find(one).good), "")
        about = arm or shown or min(treatments)
        made = decide(found.readout, choice, arm=about, by=by[:80], at=now, reason=why)
        with transaction(self._shop.store.ledger) as connection:
            return ledger.decide(connection, made, describe(found), now=naive_utc(now))

    def read(self, key: str, *, as_of: date | None = None) -> Found:
        """What it says on the data before a day; today unless another is asked for.

        Raises
        ------
        NotFound
            If there is no such experiment.
        InvalidParameter
            If it was never started, or the day is to come.
        """
        with reading(self._shop.store.ledger) as connection:
            held = ledger.find(connection, key)
        if held.started_at is None:
            raise InvalidParameter(f"experiment {key} was never started", hint="start it first")
        day = as_of or self._today()
        if day > self._today():
            raise InvalidParameter(f"{day} is to come", hint="read it then")
        settings = self._shop.settings
        return read(
            self._shop.store, held, as_of=day, zone=settings.zone,
            include_shipping=settings.revenue.include_shipping,
        )  # fmt: skip

    def listed(self) -> list[dict[str, Any]]:
        """Every experiment, by key."""
        with reading(self._shop.store.ledger) as connection:
            return [_head(one) for one in ledger.listed(connection)]

    def shown(self, key: str) -> dict[str, Any]:
        """An experiment: its plan, its states, what was decided."""
        with reading(self._shop.store.ledger) as connection:
            held = ledger.find(connection, key)
        plan = json.loads(msgspec.json.encode(held.experiment))
        return _head(held) | {"plan": plan, "decision": held.decision and dict(held.decision)}

    def _now(self) -> datetime:
        return naive_utc(self._shop.clock.now())

    def _today(self) -> date:
        return local_day(self._shop.clock.now(), self._shop.settings.zone)


def _head(one: Stored) -> dict[str, Any]:
    plan = one.experiment
    return {
        "key": one.key, "version": one.version, "state": one.state, "hash": one.plan.hash,
        "question": plan.question, "arms": dict(plan.arms), "control": plan.control,
        "starts_on": plan.starts_on.isoformat(), "ends_on": plan.ends_on.isoformat(),
        "over_on": plan.over_on.isoformat(), "method": plan.method,
        "started_at": _plain(one.started_at), "stopped_at": _plain(one.stopped_at),
        "changed_by": one.changed_by, "changed_at": _plain(one.changed_at),
    }  # fmt: skip


def _plain(moment: datetime | None) -> str | None:
    return moment and moment.replace(tzinfo=UTC).isoformat()

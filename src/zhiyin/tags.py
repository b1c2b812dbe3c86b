# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis knows the type of a column when it runs)
"""The tags of a workspace: catalogue, changes, giving by hand, history, coverage, lineage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date
from typing import Any

import pyarrow as pa

from zhiyin.audience import Rule, Vocabulary
from zhiyin.audience.ledger import list_audiences
from zhiyin.audiences import Audiences
from zhiyin.core import columns as c
from zhiyin.core.clock import Clock, local_day, naive_utc
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.protocols import Vault
from zhiyin.person.find import find_people, find_person
from zhiyin.profile.definition import Definition, ManualTag, RuleTag, dump, values_of
from zhiyin.profile.ledger import (
    ACTIVE,
    DRAFT,
    RETIRED,
    Stored,
    add_entries,
    add_version,
    list_tags,
    versions_of,
)
from zhiyin.profile.lineage import Source, made_from, shipped_from, used_by
from zhiyin.profile.tag_check import SHIPPED, check, check_given, check_still_asked
from zhiyin.profile.tag_history import Coverage, cover, sizes, tag_history, values
from zhiyin.profile.tags import TAGS
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore

OWNER = "zhiyin"
"""Owner of the tags that come with Zhiyin."""
_MOST_LINES = 10


@dataclass(frozen=True)
class Tags:
    """The catalogue of tags of a workspace."""

    store: WorkspaceStore
    vault: Vault
    clock: Clock

    def create(self, name: str, definition: Definition, *, by: str, draft: bool = False) -> Stored:
        """Check a new tag and keep it; the next turn computes it unless it is a draft.

        Raises
        ------
        InvalidRule
            If it names what does not exist, or its name is taken.
        """
        if name in self._held():
            raise InvalidParameter(
                f"there is a tag {name!r} already", hint=f"zhiyin tags change {name} FILE"
            )
        return self._keep(name, definition, DRAFT if draft else ACTIVE, by)

    def change(self, name: str, definition: Definition, *, by: str, draft: bool = False) -> Stored:
        """Keep a new version of a tag; the old ones stay. A retired tag comes back.

        Raises
        ------
        NotFound
            If there is none of this name.
        InvalidRule
            If it names what does not exist, or lacks a value that somebody asks for; a tag that
            somebody uses becomes no draft.
        """
        self._own(name)
        check_still_asked(name, definition.body, self._rules(but=name))
        if draft:
            self._refuse_in_use(name, "become a draft")
        return self._keep(name, definition, DRAFT if draft else ACTIVE, by)

    def retire(self, name: str, *, by: str) -> Stored:
        """Compute a tag no more; its versions and what was computed stay.

        Raises
        ------
        NotFound
            If there is none of this name.
        InvalidParameter
            If it comes with Zhiyin, or an audience or another tag uses it.
        """
        held = self._own(name)
        self._refuse_in_use(name, "be retired")
        with transaction(self.store.ledger) as connection:
            return add_version(
                connection, name, held.definition, status=RETIRED, by=by, now=self._now()
            )

    def give(
        self,
        name: str,
        customers: Sequence[str],
        *,
        by: str,
        value: str | None = None,
        start_on: date | None = None,
        end_on: date | None = None,
        take: bool = False,
    ) -> int:
        """Give a manual tag to customers, or take it, from a day on (none: today); how many.

        Raises
        ------
        NotFound
            If there is no such tag, or one of the customers is nobody: then nothing is changed.
        InvalidRule
            If it is no manual tag, or has not the value.
        """
        self.require_given(name, value, take=take)
        first = start_on or local_day(self.clock.now(), self.store.zone)
        if end_on is not None and end_on < first:
            raise InvalidParameter(
                f"the last day {end_on} is before the first {first}", hint="give a later day"
            )
        parties = self._parties(customers)
        with transaction(self.store.ledger) as connection:
            return add_entries(
                connection, name, parties, given=not take, value=None if take else value,
                start_on=first, end_on=None if take else end_on, by=by, now=self._now(),
            )  # fmt: skip

    def require_given(self, name: str, value: str | None, *, take: bool) -> None:
        """Refuse what `give` refuses."""
        held = self._own(name)
        if held.status == RETIRED:
            raise InvalidParameter(f"the tag {name!r} is retired", hint="change it first")
        if not take or not isinstance(held.definition.body, ManualTag):
            check_given(held.definition, name, value)

    def is_own(self, name: str) -> bool:
        """Whether the workspace has a tag of this name, also a retired one."""
        return name in self._held()

    def listed(self) -> list[dict[str, Any]]:
        """Every tag, shipped ones too, with its coverage on the last day that was computed."""
        covered = {one.tag: one for one in self._coverage(self._days()[-1:])}
        made = [_shipped_values(tag.name) for tag in TAGS]
        made += [_values(one) for one in self._held().values()]
        for one in made:
            found = covered.get(one["name"])
            one["as_of"] = found.as_of.isoformat() if found else None
            one["customers"] = found.customers if found else None
            one["share"] = found.share if found and math.isfinite(found.share) else None
        return sorted(made, key=lambda one: (one["path"], one["name"]))

    def shown(self, name: str) -> dict[str, Any]:
        """One tag: definition, versions, what it is made from, what uses it."""
        head = next((one for one in self.listed() if one["name"] == name), None)
        if head is None:
            raise NotFound(f"there is no tag {name[:80]!r}", hint="zhiyin tags list")
        users = used_by(name, self._active(), self._audiences())
        if name in SHIPPED:
            return head | {
                "definition": None, "versions": [], "made_from": _sources(shipped_from(name)),
                "used_by": _sources(users),
            }  # fmt: skip
        with reading(self.store.ledger) as connection:
            versions = versions_of(connection, name)
        held = versions[0]
        return head | {
            "definition": dump(held.definition),
            "versions": [_values(one) | {"definition": dump(one.definition)} for one in versions],
            "made_from": _sources(made_from(held.definition)),
            "used_by": _sources(users),
        }

    def coverage(self, *, name: str | None = None, last_days: int = 30) -> list[dict[str, Any]]:
        """Customers and share by tag and day, of the last days that were computed.

        With a `name`, its values too.
        """
        days = self._days()[-last_days:]
        found = self._coverage(days, name=name)
        if name is not None:
            bases = self._bases(days)
            rows = self._rows(days, name)
            counted = values(rows).order_by([c.AS_OF_ON, c.VALUE]).to_pyarrow().to_pylist()
            found += tuple(
                Coverage(
                    name, row[c.VALUE], row[c.AS_OF_ON], row["customers"],
                    bases[row[c.AS_OF_ON]], _share(row["customers"], bases[row[c.AS_OF_ON]]),
                )
                for row in counted
                if row[c.VALUE] is not None
            ) if self._has_few_values(name) else ()  # fmt: skip
        return [_json(asdict(one)) for one in found]

    def explain(self, name: str, customer: str, *, language: str = "en") -> dict[str, Any]:
        """Whether a customer has a rule tag on the last day, and why.

        Returns
        -------
        `tag`, `version` and what `Audiences.explain_rule` gives.

        Raises
        ------
        NotFound, InvalidParameter
            As `find_person`; also where there is no such tag of the workspace, or it has no rule.
        """
        held = self._own(name)
        body = held.definition.body
        if not isinstance(body, RuleTag):
            raise InvalidParameter(
                f"{name!r} is a {held.definition.kind} tag and has no rule",
                hint=f"what it is made from: zhiyin tags show {name}",
            )
        day = (self._days() or [local_day(self.clock.now(), self.store.zone)])[-1]
        asked = Audiences(self.store, self.vault, self.clock, day)
        found = asked.explain_rule(body.rule, customer, language=language)
        return {"tag": name, "version": held.version, **found}

    def history(self, customer: str) -> dict[str, Any]:
        """When a customer had which tags.

        Returns
        -------
        `customer_id`, `spells` (`tag`, `value`, `version`, `first_on`, `last_on`, `lost_on`).

        Raises
        ------
        NotFound, InvalidParameter
            As `find_person`.
        """
        person = find_person(self.store, self.vault, customer)
        rows = self.store.read("tags")
        mine = rows.filter(rows[c.CUSTOMER_ID].isin(list(person.parties))).to_pyarrow().to_pylist()
        spells = tag_history(mine, self._days())
        return {
            "customer_id": person.customer_id, "spells": [_json(asdict(one)) for one in spells],
        }  # fmt: skip

    def _keep(self, name: str, definition: Definition, status: str, by: str) -> Stored:
        if not definition.owner:
            raise InvalidParameter(
                f"the tag {name[:80]!r} has no owner", hint='add "owner": the team that keeps it'
            )
        others = {one: tag for one, tag in self._active().items() if one != name}
        check(
            name, definition, vocabulary=self._vocabulary(others), others=others,
            audiences=self._audiences(),
        )  # fmt: skip
        with transaction(self.store.ledger) as connection:
            return add_version(connection, name, definition, status=status, by=by, now=self._now())

    def _vocabulary(self, others: dict[str, Definition]) -> Vocabulary:
        groups = self.store.read("memberships").select(c.SCHEME, c.SEGMENT).distinct()
        tasks = self.store.read("scores").select(c.TASK).distinct().to_pyarrow()[c.TASK]
        return Vocabulary(
            tags={*SHIPPED, *others},
            segments={(row[c.SCHEME], row[c.SEGMENT]) for row in groups.to_pyarrow().to_pylist()},
            tasks=set(tasks.to_pylist()),
        )

    def _held(self) -> dict[str, Stored]:
        with reading(self.store.ledger) as connection:
            return {one.name: one for one in list_tags(connection)}

    def _active(self) -> dict[str, Definition]:
        """Definitions of the tags that are active."""
        return {name: one.definition for name, one in self._held().items() if one.status == ACTIVE}

    def _audiences(self) -> dict[str, Rule]:
        with reading(self.store.ledger) as connection:
            return {one.name: one.rule for one in list_audiences(connection)}

    def _rules(self, *, but: str) -> dict[str, Rule]:
        """Rules of audiences and of the other tags."""
        rules = {
            one: tag.body.rule
            for one, tag in self._active().items()
            if isinstance(tag.body, RuleTag) and one != but
        }
        return rules | self._audiences()

    def _own(self, name: str) -> Stored:
        if name in SHIPPED:
            raise InvalidParameter(
                f"the tag {name!r} comes with Zhiyin and stays as it is",
                hint="make a tag of your own: zhiyin tags create",
            )
        held = self._held()
        if name not in held:
            raise NotFound(f"there is no tag {name[:80]!r}", hint="zhiyin tags list")
        return held[name]

    def _refuse_in_use(self, name: str, what: str) -> None:
        users = used_by(name, self._active(), self._audiences())
        if users:
            named = ", ".join(f"{one.kind} {one.name}" for one in users)
            raise InvalidParameter(
                f"the tag {name!r} cannot {what}: it is used by {named}", hint="change these first"
            )

    def _parties(self, customers: Sequence[str]) -> list[str]:
        people = find_people(self.store, self.vault, customers)
        unknown = [str(n) for n, one in enumerate(people, start=1) if one is None]
        if unknown:
            more = " …" if len(unknown) > _MOST_LINES else ""
            raise NotFound(
                f"{len(unknown)} of {len(people)} identifiers name no customer, or several: "
                f"numbers {', '.join(unknown[:_MOST_LINES])}{more}; nothing was changed",
                hint="give the source's ids, e-mails, phones with calling code, or our ids (p_…)",
            )
        return sorted({one for one in people if one is not None})

    def _days(self) -> list[date]:
        """The days for which tags were computed."""
        days: set[date] = set()
        rows = self.store.read("tags")[[c.AS_OF_ON]].distinct().to_pyarrow()
        days |= set(rows[c.AS_OF_ON].to_pylist())
        return sorted(days)

    def _bases(self, days: Sequence[date]) -> dict[date, int]:
        rows = self.store.read("features")
        mine = rows.filter(rows[c.AS_OF_ON].isin(list(days)))
        counted = mine.group_by(c.AS_OF_ON).agg(n=mine.count()).to_pyarrow().to_pylist()
        found = {row[c.AS_OF_ON]: row["n"] for row in counted}
        return {day: found[day] if day in found else self._known(day) for day in days}

    def _known(self, day: date) -> int:
        """Customers of a day that has no features."""
        rows = self.store.read("customers", as_of=day)
        return int(rows[c.CUSTOMER_ID].nunique().to_pyarrow().as_py())

    def _rows(self, days: Sequence[date], name: str | None) -> Any:
        rows = self.store.read("tags")
        mine = rows.filter(rows[c.AS_OF_ON].isin(list(days)))
        return mine if name is None else mine.filter(mine[c.TAG] == name)

    def _coverage(self, days: Sequence[date], *, name: str | None = None) -> tuple[Coverage, ...]:
        if not days:
            return ()
        places = pa.array(range(len(days)), pa.int64())
        placed = pa.table({c.AS_OF_ON: pa.array(days, pa.date32()), "place": places})
        counted = sizes(self._rows(days, name), self.store.to_ibis(placed))
        return cover(counted.to_pyarrow().to_pylist(), self._bases(days))

    def _has_few_values(self, name: str) -> bool:
        held = self._held().get(name)
        return held is not None and not isinstance(held.definition.body, RuleTag)

    def _now(self):
        return naive_utc(self.clock.now())


def _share(n: int, base: int) -> float:
    return n / base if base else float("nan")


def _json(values: dict[str, Any]) -> dict[str, Any]:
    """Days as text, what is no number as None."""
    return {
        key: value.isoformat() if isinstance(value, date)
        else None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }  # fmt: skip


def _sources(found: Sequence[Source]) -> list[dict[str, str]]:
    return [asdict(one) for one in found]


def _values(one: Stored) -> dict[str, Any]:
    definition = one.definition
    return {
        "name": one.name, "label": definition.label, "label_zh": definition.label_zh,
        "path": definition.path, "kind": definition.kind, "owner": definition.owner,
        "status": one.status, "version": one.version, "values": list(values_of(definition.body)),
        "start_on": definition.start_on.isoformat() if definition.start_on else None,
        "end_on": definition.end_on.isoformat() if definition.end_on else None,
        "changed_at": one.created_at.replace(tzinfo=UTC).isoformat(),
        "changed_by": one.created_by,
    }  # fmt: skip


def _shipped_values(name: str) -> dict[str, Any]:
    tag = next(tag for tag in TAGS if tag.name == name)
    return {
        "name": name, "label": tag.label, "label_zh": tag.label_zh, "path": tag.path,
        "kind": "rule", "owner": OWNER, "status": ACTIVE, "version": tag.version, "values": [],
        "start_on": None, "end_on": None, "changed_at": None, "changed_by": OWNER,
    }  # fmt: skip

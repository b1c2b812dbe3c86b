# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis knows the type of a column when it runs)
"""Audiences of a workspace: add, look, count, compare, and explain one person."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from typing import Any

from zhiyin.audience import (
    Facts,
    Overlap,
    Preview,
    Rule,
    Vocabulary,
    compile,
    compile_many,
    dump,
    evaluate,
    next_change,
    overlaps,
)
from zhiyin.audience.check import check, check_lists, resolve
from zhiyin.audience.fields import PRODUCTS
from zhiyin.audience.formula import SNAPSHOTS
from zhiyin.audience.ledger import (
    LIVE,
    Stored,
    add_audience,
    find_audience,
    list_audiences,
    read_changes,
    remove_audience,
    told_members,
)
from zhiyin.audience.read import last_snapshot, tables_for
from zhiyin.audience.rule import LOOK_ALIKE, Upload
from zhiyin.core import columns as c
from zhiyin.core.clock import Clock, local_day, naive_utc
from zhiyin.core.errors import InvalidParameter, NotEnoughData, NotFound
from zhiyin.core.protocols import Vault
from zhiyin.person.find import find_people, find_person
from zhiyin.person.rows import last_day
from zhiyin.profile.ledger import ACTIVE, list_tags
from zhiyin.profile.lineage import Source, in_order, made_from
from zhiyin.profile.tag_check import check_values
from zhiyin.profile.tags import TAGS
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore


def usual_day(store: WorkspaceStore, clock: Clock, default: Callable[[], date]) -> date:
    """The newest day that was computed; before the first turn the day a turn would take."""
    computed = last_day(store)
    if computed is not None:
        return computed
    try:
        return default()
    except NotEnoughData:
        return local_day(clock.now(), store.zone)


def check_tags(store: WorkspaceStore, name: str, audiences: Mapping[str, Rule]) -> None:
    """Refuse an audience that asks a tag for a value it never has, or that a tag is made from which
    the audience names itself.

    Raises
    ------
    InvalidRule
        With the values that there are, or the circle.
    """
    with reading(store.ledger) as connection:
        held = [one for one in list_tags(connection) if one.status == ACTIVE]
    tags = {one.name: one.definition for one in held}
    check_values(audiences[name], tags)
    in_order(tags, audiences)


def list_of(store: WorkspaceStore, vault: Vault, customers: Sequence[str]) -> Upload:
    """The list of those whom the identifiers name: the source's ids, e-mails, phones or ours.

    Only our ids are kept. Who is named by nobody's identifier, or by several people's, is left out.

    Raises
    ------
    NotFound
        If no identifier names one customer.
    """
    known = sorted({one for one in find_people(store, vault, customers) if one is not None})
    if not known:
        raise NotFound("the list names no customer", hint="give the source's ids or ours")
    return Upload(tuple(known))


@dataclass(frozen=True)
class Audiences:
    """The audiences of a workspace, as of a day."""

    store: WorkspaceStore
    vault: Vault
    clock: Clock
    as_of: date

    def add(self, name: str, rule: Rule, *, kind: str, by: str) -> Stored:
        """Check a rule against what the workspace holds and keep it under a name.

        Raises
        ------
        InvalidRule
            If it names what does not exist, or audiences would form a circle.
        InvalidParameter
            If the name or the kind is none.
        """
        rules = self.rules() | {name: rule}
        check(rule, vocabulary=self.vocabulary())
        check_lists(rule, rules)
        resolve(rule, rules, name=name)
        check_tags(self.store, name, rules)
        with transaction(self.store.ledger) as connection:
            return add_audience(
                connection, name, rule, kind=kind, by=by, now=naive_utc(self.clock.now())
            )

    def remove(self, name: str, *, by: str) -> Stored:
        """Ask an audience no more; its versions and changes are kept.

        Raises
        ------
        NotFound
            If there is none of this name.
        InvalidParameter
            If another audience or a tag names it.
        """
        with reading(self.store.ledger) as connection:
            held = [one for one in list_tags(connection) if one.status == ACTIVE]
        users = [one.name for one in held if Source("audience", name) in made_from(one.definition)]
        if users:
            raise InvalidParameter(
                f"the audience {name!r} is part of the tag {', '.join(users)}",
                hint="change these first",
            )
        with transaction(self.store.ledger) as connection:
            return remove_audience(connection, name, by=by, now=naive_utc(self.clock.now()))

    def rules(self) -> dict[str, Rule]:
        """The rules that hold, by name."""
        with reading(self.store.ledger) as connection:
            return {one.name: one.rule for one in list_audiences(connection)}

    def vocabulary(self) -> Vocabulary:
        """The tags, segments and scores that there are, in any snapshot."""
        tags = self.store.read("tags").select(c.TAG).distinct().to_pyarrow()[c.TAG].to_pylist()
        with reading(self.store.ledger) as connection:
            kept = {one.name for one in list_tags(connection) if one.status == ACTIVE}
        groups = self.store.read("memberships").select(c.SCHEME, c.SEGMENT).distinct()
        tasks = self.store.read("scores").select(c.TASK).distinct().to_pyarrow()[c.TASK]
        return Vocabulary(
            tags={*tags, *kept, *(tag.name for tag in TAGS)},
            segments={(row[c.SCHEME], row[c.SEGMENT]) for row in groups.to_pyarrow().to_pylist()},
            tasks={*tasks.to_pylist(), LOOK_ALIKE},
        )

    def preview(self, rule: Rule, *, n: int = 10) -> Preview:
        """Size, sample and query of a rule, stored or not."""
        compiled = compile(rule, audiences=self.rules(), vocabulary=self.vocabulary())
        return compiled.preview(self._tables(compiled.rules), n=n, **self._day())

    def compare(self, names: Sequence[str]) -> tuple[Overlap, ...]:
        """How stored audiences overlap, pair by pair."""
        rules = self.rules()
        unknown = [name for name in names if name not in rules]
        if unknown:
            raise NotFound(f"there is no audience {unknown[0]!r}", hint="zhiyin audience list")
        compiled = compile_many({name: rules[name] for name in names}, audiences=rules)
        return overlaps(compiled.flags(self._tables(compiled.rules), **self._day()))

    def explain(self, name: str, customer: str, *, language: str = "en") -> dict[str, Any]:
        """Whether a customer is in a stored audience, why, and until when with nothing new.

        Returns
        -------
        `customer_id`, `audience`, `version`, `as_of`, `inside`, `because` (sentences), `text`,
        `next_change_on` (None: time alone changes nothing).

        Raises
        ------
        NotFound, InvalidParameter
            As `find_person`; also where there is no such audience.
        """
        with reading(self.store.ledger) as connection:
            stored = find_audience(connection, name)
        found = self.explain_rule(stored.rule, customer, language=language, name=name)
        return found | {"audience": name, "version": stored.version}

    def explain_rule(
        self, rule: Rule, customer: str, *, language: str = "en", name: str | None = None
    ) -> dict[str, Any]:
        """Whether a customer meets a rule, why, and until when with nothing new.

        Returns
        -------
        `customer_id`, `as_of`, `inside`, `because` (sentences), `text`, `next_change_on`.

        Raises
        ------
        NotFound, InvalidParameter
            As `find_person`.
        """
        rules = self.rules()
        person = find_person(self.store, self.vault, customer)
        facts = self._facts(resolve(rule, rules, name=name), person.customer_id)
        zone = self.store.zone
        found = evaluate(rule, facts, at=self.as_of, zone=zone, audiences=rules)
        change = next_change(rule, facts, self.as_of, zone=zone, audiences=rules)
        chinese = language == "zh"
        return {
            "customer_id": person.customer_id,
            "as_of": self.as_of.isoformat(),
            "inside": found.inside,
            "because": [one.zh if chinese else one.en for one in found.because],
            "text": found.words("zh" if chinese else "en"),
            "next_change_on": change.isoformat() if change else None,
        }

    def listed(self) -> list[dict[str, Any]]:
        """The audiences that hold, with the size of the last evaluation; of live ones who was told
        to be in."""
        with reading(self.store.ledger) as connection:
            stored = list_audiences(connection)
            told = {
                (one.name, one.evaluated_on): len(told_members(connection, one.name))
                for one in stored
                if one.kind == LIVE
            }
        members = self.store.read("audience_members")
        counted = members.group_by([c.AS_OF_ON, c.AUDIENCE]).agg(n=members.count()).to_pyarrow()
        sizes = {(row[c.AUDIENCE], row[c.AS_OF_ON]): row["n"] for row in counted.to_pylist()} | told
        return [
            {
                "name": one.name, "version": one.version, "kind": one.kind,
                "created_by": one.created_by,
                "created_at": one.created_at.replace(tzinfo=UTC).isoformat(),
                "evaluated_on": one.evaluated_on.isoformat() if one.evaluated_on else None,
                "size": sizes.get((one.name, one.evaluated_on), 0) if one.evaluated_on else None,
            }
            for one in stored
        ]  # fmt: skip

    def shown(self, name: str) -> dict[str, Any]:
        """One audience with its rule."""
        with reading(self.store.ledger) as connection:
            stored = find_audience(connection, name)
        head = next(one for one in self.listed() if one["name"] == name)
        return head | {"rule": json.loads(dump(stored.rule))}

    def changes(self, *, after: int = 0, name: str | None = None, limit: int = 100) -> list[dict]:
        """Who entered or left, in order, above the number `after`."""
        with reading(self.store.ledger) as connection:
            rows = read_changes(connection, after=after, name=name, limit=limit)
        return [
            row
            | {"as_of_on": row["as_of_on"].isoformat()}
            | {"at": row["at"].replace(tzinfo=UTC).isoformat()}
            for row in rows
        ]

    def _day(self) -> dict[str, Any]:
        day = last_snapshot(self.store, self.as_of)
        return {"as_of": self.as_of, "zone": self.store.zone, "snapshot_on": day}

    def _tables(self, rules: Mapping[str, Rule]) -> dict[str, Any]:
        return tables_for(self.store, self.vault, rules.values(), as_of=self.as_of)

    def _facts(self, rule: Rule, customer_id: str) -> Facts:
        day = last_snapshot(self.store, self.as_of)
        tables = self._tables({"one": rule})
        products = tables.pop(PRODUCTS, None)
        rows: dict[str, list[dict[str, Any]]] = {}
        for name, table in tables.items():
            mine = table.filter(table[c.CUSTOMER_ID] == customer_id)
            mine = mine.filter(mine[c.AS_OF_ON] == day) if name in SNAPSHOTS else mine
            kept = [column for column in mine.columns if column != c.PERSONAL]
            rows[name] = mine.select(*kept).to_pyarrow().to_pylist()
        bought = {row.get(c.PRODUCT_ID) for held in rows.values() for row in held} - {None}
        known: dict[str, dict[str, Any]] = {}
        if products is not None and bought:
            found = products.filter(products[c.PRODUCT_ID].isin(sorted(bought)))
            known = {row[c.PRODUCT_ID]: row for row in found.to_pyarrow().to_pylist()}
        return Facts(customer_id, rows, known)

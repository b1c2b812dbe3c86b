# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis knows the type of a column when it runs)
"""Personas (画像) of a workspace: what sets a group, or one customer, apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

import ibis
import pyarrow as pa

from zhiyin.audience import compile
from zhiyin.audience.ledger import list_audiences
from zhiyin.audience.read import last_snapshot, tables_for
from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.features import FEATURES
from zhiyin.core.meanings import column_meaning
from zhiyin.core.protocols import Vault
from zhiyin.core.tables import CUSTOMERS
from zhiyin.person.explain import explain_customer, name_segments
from zhiyin.person.find import find_people
from zhiyin.person.rows import workspace_settings
from zhiyin.person.say import SHOWN, say_value
from zhiyin.person.words import Words, unit_of
from zhiyin.profile.definition import Definition, FactTag, is_valued
from zhiyin.profile.ledger import list_tags
from zhiyin.profile.persona import Persona, Q, describe
from zhiyin.profile.persona_sums import (
    cut_points,
    labels,
    places,
    sides,
    sizes,
    sum_numbers,
    sum_shares,
)
from zhiyin.profile.persona_words import say, sentences
from zhiyin.profile.tags import TAGS
from zhiyin.store.ledger import reading
from zhiyin.store.workspace import WorkspaceStore

Kind = Literal["everyone", "audience", "segment", "tag", "customers"]
_APART = 0.1  # of everyone: who stands in the highest or lowest tenth is said to be apart
_MOST = 8
_FAVOURITES = (c.DEPARTMENT, c.CATEGORY, c.BRAND)
_TOP = 3


@dataclass(frozen=True)
class Group:
    """Who is meant: an audience by name, a segment `scheme:segment`, a tag `name` or `name=value`,
    or a list of customers (source's ids, e-mails, phones or our ids)."""

    kind: Kind
    name: str = ""
    customers: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Personas:
    """The personas of a workspace, as of the last day that was computed up to `as_of`."""

    store: WorkspaceStore
    vault: Vault
    as_of: date

    def of_group(
        self, group: Group, *, against: Group | None = None, language: str = "en"
    ) -> dict[str, Any]:
        """What sets a group apart from everyone else, or from another group.

        Returns
        -------
        `as_of`, `group`, `against`, `n`, `n_base`, `level`, `told`, `differences` (all, the
        strongest first; see `zhiyin.profile.persona.Difference`) and `sentences`, `text`.

        Raises
        ------
        NotFound
            If there is no such audience, segment, tag or customer.
        NotEnoughData
            If the group or the base has fewer than 10 customers.
        """
        return self.of_group_in((language,), group, against=against)[language]

    def of_group_in(
        self, languages: Sequence[str], group: Group, *, against: Group | None = None
    ) -> dict[str, dict[str, Any]]:
        """The same in several languages, compared once: language to what `of_group` gives."""
        day = self._day()
        features = self.store.read("features")
        today = features.filter(features[c.AS_OF_ON] == day)
        other = self._members(against, day) if against and against.kind != "everyone" else None
        people = sides(today, self._members(group, day), other)
        with people.cache() as held:
            n, n_base = sizes(held)
            if n >= 1:
                numbers = sum_numbers(held, cut_points(held, [one.name for one in FEATURES]))
                named = self._labels(day, [group, *([against] if against else [])])
                shares = sum_shares(held, named, n=n, n_base=n_base)
            else:
                numbers, shares = [], []
        found = describe(numbers, shares, n=n, n_base=n_base)
        rival = against if other is not None else None
        return {code: self._told(found, group, rival, day, code) for code in languages}

    def _told(
        self, found: Persona, group: Group, against: Group | None, day: date, language: str
    ) -> dict[str, Any]:
        label = self._label(day, Words(language))
        base = label_of(against, label) if against else say("everyone", language)
        said = sentences(found, label=label, base=base, language=language)
        head = {
            "group": label_of(group, label), "n": found.n, "n_base": found.n_base, "base": base,
            "day": day,
        }  # fmt: skip
        return _values(found, label) | {
            "as_of": day.isoformat(), "group": head["group"], "against": base, "language": language,
            "sentences": list(said),
            "text": "\n".join([say("title", language, **head), *(f"  {one}" for one in said),
                               _note(found, language)]),
        }  # fmt: skip

    def of_customer(self, customer: str, *, language: str = "en") -> dict[str, Any]:
        """One customer: tags, segments, scores, what sets her apart from everyone, favourites.

        Raises
        ------
        NotFound, InvalidParameter
            As `find_person`.
        """
        words, day = Words(language), self._day()
        answer = explain_customer(
            self.store, self.vault, customer, language=language, as_of=day
        ).values
        values = {
            name: answer[name]
            for name in ("customer_id", "as_of", "language", "tags", "segments", "scores")
        }
        values["apart"] = self._apart(answer["profile"], day)
        values["favourites"] = self._favourites(answer["customer_id"], day, words)
        currency = workspace_settings(self.store).get("currency")
        return values | {"text": _person_text(values, words, currency)}

    def _day(self) -> date:
        return last_snapshot(self.store, self.as_of)

    def _members(self, group: Group, day: date) -> ibis.Table:
        """`customer_id` of the group on the day."""
        if group.kind == "audience":
            return self._audience(group.name, day)
        if group.kind == "customers":
            people = find_people(self.store, self.vault, group.customers)
            known = sorted({one for one in people if one is not None})
            if len(known) == 0:
                raise NotFound("the list names no customer", hint="give the source's ids or ours")
            return self.store.to_ibis(pa.table({c.CUSTOMER_ID: known}))
        rows = self.store.read("tags" if group.kind == "tag" else "memberships")
        rows = rows.filter(rows[c.AS_OF_ON] == day)
        if group.kind == "tag":
            name, _, value = group.name.partition("=")
            mine = rows.filter(rows[c.TAG] == name)
            mine = mine.filter(mine[c.VALUE] == value) if value else mine
        else:
            scheme, _, segment = group.name.partition(":")
            mine = rows.filter((rows[c.SCHEME] == scheme) & (rows[c.SEGMENT] == segment))
        if mine.limit(1).count().to_pyarrow().as_py() == 0:
            raise NotFound(
                f"nobody is in the {group.kind} {group.name[:160]!r} on {day}",
                hint="zhiyin tags list"
                if group.kind == "tag"
                else "a segment is scheme:segment, for example rfm:champions",
            )
        return mine.select(c.CUSTOMER_ID)

    def _audience(self, name: str, day: date) -> ibis.Table:
        with reading(self.store.ledger) as connection:
            rules = {one.name: one.rule for one in list_audiences(connection)}
        if name not in rules:
            raise NotFound(f"there is no audience {name[:80]!r}", hint="zhiyin audience list")
        compiled = compile(rules[name], audiences=rules)
        tables = tables_for(self.store, self.vault, compiled.rules.values(), as_of=day)
        return compiled.members(tables, as_of=day, zone=self.store.zone, snapshot_on=day)

    def _definitions(self) -> dict[str, Definition]:
        with reading(self.store.ledger) as connection:
            return {one.name: one.definition for one in list_tags(connection)}

    def _labels(self, day: date, groups: Sequence[Group]) -> ibis.Table:
        tags, memberships = (self.store.read(name) for name in ("tags", "memberships"))
        own = self._definitions()
        plain = {
            name for name, one in own.items()
            if isinstance(one.body, FactTag)
            and (one.body.source, one.body.levels) == ("feature", ())
        }  # fmt: skip
        return labels(
            tags.filter((tags[c.AS_OF_ON] == day) & ~tags[c.TAG].isin(sorted(plain))),
            memberships.filter(memberships[c.AS_OF_ON] == day),
            self.store.read("customers", as_of=day),
            valued=sorted(name for name, one in own.items() if is_valued(one.body)),
            without={
                (one.kind, one.name.partition("=" if one.kind == "tag" else ":")[0])
                for one in groups
                if one.kind in ("tag", "segment")
            },
        )

    def _label(self, day: date, words: Words):
        own = self._definitions()
        shipped = {tag.name: (tag.label, tag.label_zh) for tag in TAGS}
        named = name_segments(self.store, day, words)
        colon = "：" if words.language == "zh" else ": "

        def label(kind: str, name: str, value: str) -> str:
            if kind == "feature":
                return words.feature(name)
            if kind == "segment":
                found = named.get((name, value)) or words.term(name, value)
                return f"{words.term('scheme', name)}{colon}{found}"
            if kind == "attribute":
                meaning = column_meaning(CUSTOMERS, CUSTOMERS.column(name), words.language)
                return f"{meaning}{colon}{value}"
            if name in own:
                said = words.pick((own[name].label, own[name].label_zh))
            else:
                said = words.pick(shipped.get(name, (name, name)))
            return f"{said}{colon}{value}" if value else said

        return label

    def _apart(self, profile: Sequence[dict[str, Any]], day: date) -> list[dict[str, Any]]:
        """Features in which she stands among the highest or lowest tenth, the furthest first."""
        known = {one["feature"]: one for one in profile if one["feature"] in SHOWN}
        features = self.store.read("features")
        today = features.filter(features[c.AS_OF_ON] == day)
        found = places(today, {name: one["value"] for name, one in known.items()})
        apart = sorted(
            (-abs(round(place - 0.5, 9)), name, place)
            for name, place in found.items()
            if min(place, 1 - place) <= _APART
        )
        return [known[name] | {"place": place} for _, name, place in apart[:_MOST]]

    def _favourites(self, customer_id: str, day: date, words: Words) -> list[dict[str, Any]]:
        """What she bought most of, by orders."""
        lines = self.store.read("order_lines", as_of=day)
        mine = lines.filter((lines[c.CUSTOMER_ID] == customer_id) & (lines[c.KIND] == "item"))
        products = self.store.read("products", as_of=day).select(c.PRODUCT_ID, c.NAME, *_FAVOURITES)
        joined = mine.select(c.ORDER_ID, c.PRODUCT_ID).inner_join(products, c.PRODUCT_ID)
        made = []
        for column in (*_FAVOURITES, c.NAME):
            held = joined.filter(joined[column].notnull())
            counted = held.group_by(column).agg(orders=held[c.ORDER_ID].nunique())
            top = counted.order_by([ibis.desc("orders"), column]).limit(_TOP).to_pyarrow()
            if top.num_rows:
                what = "product_name" if column == c.NAME else column
                made.append({
                    "what": words.term("column", what),
                    "values": [
                        {"value": row[column], "orders": row["orders"]} for row in top.to_pylist()
                    ],
                })  # fmt: skip
        return made


def group_of(
    audience: str = "", segment: str = "", tag: str = "", customers: Sequence[str] = ()
) -> Group | None:
    """The group that one of the names says; None where none is given.

    Raises
    ------
    InvalidParameter
        If several are given.
    """
    found = [
        Group(kind, name)
        for kind, name in (("audience", audience), ("segment", segment), ("tag", tag))
        if name
    ]
    found += [Group("customers", customers=tuple(customers))] if customers else []
    if len(found) > 1:
        raise InvalidParameter("several groups are named", hint="name one group, and one base")
    return found[0] if found else None


def parse_group(text: str) -> Group:
    """A group written as `everyone`, `audience:NAME`, `segment:SCHEME:SEGMENT` or `tag:NAME`.

    Raises
    ------
    InvalidParameter
        If it is written in another way.
    """
    kind, _, name = text.partition(":")
    if text == "everyone":
        return Group("everyone")
    for known in ("audience", "segment", "tag"):
        if kind == known and name:
            return Group(known, name)
    raise InvalidParameter(
        f"{text[:160]!r} names no group",
        hint="everyone, audience:NAME, segment:SCHEME:SEGMENT, tag:NAME or tag:NAME=VALUE",
    )


def label_of(group: Group | None, label: Any) -> str:
    """What a group is called."""
    if group is None:
        return ""
    if group.kind == "tag":
        name, _, value = group.name.partition("=")
        return label("tag", name, value)
    if group.kind == "segment":
        return label("segment", *group.name.split(":", 1))
    return group.name or "list"


def _note(found: Persona, language: str) -> str:
    return say(
        "note", language, told=found.told, asked=len(found.differences), q=f"{Q:.0%}",
        level=f"{found.level:.1%}",
    )  # fmt: skip


def _values(found: Persona, label: Any) -> dict[str, Any]:
    differences = [
        _finite(asdict(one))
        | {"label": label(one.kind, one.name, one.value), "told": k < found.told}
        for k, one in enumerate(found.differences)
    ]
    return {
        "n": found.n, "n_base": found.n_base, "level": found.level, "told": found.told,
        "differences": differences,
    }  # fmt: skip


def _finite(value: Any) -> Any:
    """The value without what JSON cannot say."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _person_text(values: dict[str, Any], words: Words, currency: str | None) -> str:
    language = words.language
    separator, colon = ("、", "：") if language == "zh" else (", ", ": ")
    lines = [say("person.title", language, id=values["customer_id"], day=values["as_of"])]
    parts: dict[str, list[str]] = {
        "tags": [one["label"]
            + (f"{colon}{one['value']}" if one["value"] and not one["meaning"] else "")
                 for one in values["tags"]],
        "segments": [f"{words.term('scheme', one['scheme'])}{colon}{one['name']}"
                     for one in values["segments"]],
        "scores": [
            words.term("task", one["task"]).format(subject=one["subject_name"])
            + f"{colon}{one['score']:.3g}"
            for one in values["scores"]
        ],
    }  # fmt: skip
    for name, said in parts.items():
        found = separator.join(said) or say("person.none", language)
        lines.append(f"{say(f'person.{name}', language)}{colon}{found}")
    lines.append(say("person.apart", language))
    for one in values["apart"]:
        more = one["place"] > 0.5
        share = one["place"] if more else 1 - one["place"]
        value = say_value(one["value"], unit_of(one["feature"]), currency)
        key = "person.more" if more else "person.less"
        said = say(key, language, meaning=one["meaning"], value=value, p=f"{share:.0%}")
        lines.append(f"  {said}")
    lines.append(say("person.favourites", language))
    for one in values["favourites"]:
        names = separator.join(str(held["value"]) for held in one["values"])
        lines.append("  " + say("person.favourite", language, what=one["what"], names=names))
    return "\n".join(lines)

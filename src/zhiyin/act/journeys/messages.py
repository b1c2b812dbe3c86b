"""The message step: rows of `messages` and the step onwards, in one transaction (law 3).

Every row passes the gate here and once more when it is handed over. What came due too long ago is
written as skipped, so that nothing is left out without a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.act import ledger
from zhiyin.act.campaigns.content import make_content as letter_content
from zhiyin.act.campaigns.handed import WEBHOOK
from zhiyin.act.campaigns.text import CHAT
from zhiyin.act.create.content import make_content
from zhiyin.act.gate import address_of, check_people
from zhiyin.act.journeys import engine
from zhiyin.act.journeys.definition import Definition, Message
from zhiyin.act.journeys.desk import Desk
from zhiyin.act.journeys.graph import Graph
from zhiyin.act.journeys.ledger import campaign_of, party_ids, read_decisions
from zhiyin.core import columns as c
from zhiyin.core.config import ActSettings
from zhiyin.core.ledger import journey_people, journey_places
from zhiyin.govern.facts import Terms, gate_terms
from zhiyin.govern.gate import MARKETING, QUIET_HOURS
from zhiyin.govern.ledger import newest_language, read_languages
from zhiyin.govern.live import read_directory
from zhiyin.govern.people import EMAIL, Person, choose_language

TURN = "journey"
LATE, MERGED = "late", "merged"
BATCH = 2_000
Row = dict[str, Any]


def send_due(desk: Desk, graph: Graph, name: str, step: Message) -> int:
    """Plan the message of everybody whose time has come at the step; how many went on."""
    moved, after = 0, (-1, -1)
    while True:
        with desk.store.begin() as connection:
            rows = engine.read_due(
                connection, graph, name, now_s=desk.now_s, limit=BATCH, after=after
            )  # fmt: skip
        if not rows:
            return moved
        moved += _send(desk, graph, name, step, rows)
        after = (rows[-1].due_s, rows[-1].entry_id)


def _send(
    desk: Desk, graph: Graph, name: str, step: Message, rows: Sequence[sa.Row[Any]]
) -> int:  # fmt: skip
    post = post_of(desk.settings.act, graph.definition, step)
    people = _people(desk, rows, post)
    languages = _languages(desk, people, step)
    made = [
        _message(desk, graph, name, row, person, language, post)
        for row, person, language in zip(rows, people, languages, strict=True)
    ]
    contents = [_content(graph, name, step, one[c.LANGUAGE]) for one in made]
    sealed = desk.vault.seal([one[c.PARTY_ID] for one in made], contents)
    made = [one | {"content": content} for one, content in zip(made, sealed, strict=True)]
    at = datetime.fromtimestamp(desk.now_s, UTC)
    terms = _terms(desk, graph, post)
    late_before = desk.now_s - step.valid_hours * 3600
    with desk.store.begin() as connection:
        there = _still_there(connection, graph, name, rows)
        twins = _twins(connection, graph, rows, people)
        decided = read_decisions(connection, graph.definition, name, sorted(there))
        timely = [n for n, row in enumerate(rows) if row.due_s >= late_before]
        timely = [n for n in timely if rows[n].entry_id in there - twins]
        verdicts = check_people(
            connection, [people[n] for n in timely], vault=desk.vault, at=at,
            terms=terms, turn_id=TURN, planning=True,
        )  # fmt: skip
        judged = dict(zip(timely, verdicts, strict=True))
        written: list[Row] = []
        for n, (row, one) in enumerate(zip(rows, made, strict=True)):
            if row.entry_id not in there or row.entry_id in twins:
                continue
            verdict = judged.get(n)
            if verdict is not None and verdict.reason == QUIET_HOURS:
                there.discard(row.entry_id)  # she waits for the morning at this step
                continue
            reason = LATE if verdict is None else None if verdict.allowed else verdict.reason
            state = ledger.PLANNED if reason is None else ledger.SKIPPED
            written.append(one | {
                "state": state, "reason": reason, c.DECISION_ID: decided.get(row.entry_id),
            })  # fmt: skip
        ledger.insert_messages(connection, written)
        engine.drop(connection, sorted(twins), reason=MERGED)
        return len(twins) + engine.move(
            connection, graph, name, sorted(there - twins), to=step.next
        )  # fmt: skip


@dataclass(frozen=True)
class Post:
    """How a step's messages leave: what they reach people by, the channel where that is not the
    medium's, the template of a mini-programme whose authorisations they spend.
    """

    medium: str
    via: str = ""
    template: str = ""


def post_of(act: ActSettings, definition: Definition, step: Message) -> Post:
    """How the messages of a step leave."""
    way = definition.way_of(step) or act.medium
    if way == WEBHOOK:
        return Post(EMAIL, WEBHOOK)
    return Post(way, "", (step.provider_template or act.wechat_template) if way == CHAT else "")


def _message(
    desk: Desk, graph: Graph, name: str, row: sa.Row[Any], person: Person, language: str,
    post: Post,
) -> Row:  # fmt: skip
    again = f" {row.due_s}" if name in graph.circular else ""
    channel = post.medium
    return {
        c.MESSAGE_ID: ledger.message_id(
            campaign_of(graph.key), step=name, customer_id=row.party_id,
            occurrence=f"{row.occurrence}{again}",
        ),
        c.CAMPAIGN_ID: campaign_of(graph.key), c.TURN_ID: TURN, c.PARTY_ID: row.party_id,
        c.CUSTOMER_ID: person.customer_id, c.CHANNEL: channel,
        c.LANGUAGE: language, "via": post.via or None, "template": post.template or None,
        "address_token": address_of(person, vault=desk.vault, channel=channel) or None,
        "planned_at": datetime.fromtimestamp(desk.now_s, UTC).replace(tzinfo=None),
    }  # fmt: skip


def _content(graph: Graph, name: str, step: Message, language: str) -> Row:
    if step.offer is None:
        return letter_content(campaign_of(graph.key), graph.version, name)
    words = step.offer.zh if language == "zh" else step.offer.en
    return make_content(offer={"name": words}, products=[], last_on=None, personal=False)


def _languages(desk: Desk, people: Sequence[Person], step: Message) -> list[str]:
    """The language that each chose, or speaks, of those that the step is written in."""
    parties = sorted({party for person in people for party in person.parties})
    with desk.store.begin() as connection:
        chosen = read_languages(connection, parties)
    offered = [one for one in desk.settings.languages if one in step.languages]
    offered = offered or list(step.languages)
    asked = [newest_language(chosen, one.parties) for one in people]
    return [
        want if want in offered else choose_language(one.language, offered)
        for want, one in zip(asked, people, strict=True)
    ]


def may_get(desk: Desk, graph: Graph, rows: Sequence[sa.Row[Any]], post: Post) -> set[int]:
    """Entries of those who may get such a message of the journey now, or in the morning."""
    found = set[int]()
    terms = _terms(desk, graph, post)
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        people = _people(desk, part, post)
        with desk.store.begin() as connection:
            verdicts = check_people(
                connection, people, vault=desk.vault, terms=terms, turn_id=TURN,
                at=datetime.fromtimestamp(desk.now_s, UTC), planning=True,
            )  # fmt: skip
        found |= {
            row.entry_id
            for row, one in zip(part, verdicts, strict=True)
            if one.allowed or one.reason == QUIET_HOURS
        }
    return found


def _terms(desk: Desk, graph: Graph, post: Post) -> Terms:
    act, zone = desk.settings.act, desk.settings.zone
    terms = gate_terms(act, zone=zone, purpose=MARKETING, channel=post.medium)
    return replace(terms, campaign_id=campaign_of(graph.key), template=post.template)


def _people(desk: Desk, rows: Sequence[sa.Row[Any]], post: Post) -> list[Person]:
    directory = read_directory(
        desk.store, party_ids(rows), as_of=None, channel=post.medium, sealed=True,
        settings=desk.settings.act,
    )  # fmt: skip
    return directory.opened([row.party_id for row in rows], vault=desk.vault)


def _still_there(
    connection: sa.Connection, graph: Graph, name: str, rows: Sequence[sa.Row[Any]]
) -> set[int]:
    """Entries that were not erased, ended or moved in the meantime."""
    ids = [row.entry_id for row in rows]
    t = journey_places.c
    return set(connection.scalars(sa.select(t.entry_id).where(graph.at(name), t.entry_id.in_(ids))))


def _twins(
    connection: sa.Connection, graph: Graph, rows: Sequence[sa.Row[Any]], people: Sequence[Person]
) -> set[int]:
    """Entries of a person who is in the journey once more under another of her records."""
    several = [(row, one) for row, one in zip(rows, people, strict=True) if len(one.parties) > 1]
    if not several:
        return set()
    t = journey_people.c
    others = sorted({party for _, one in several for party in one.parties})
    query = sa.select(t.entry_id, t.party_id).where(
        t.journey == graph.key, t.reason.is_(None), t.party_id.in_(others)
    )
    held = {row.party_id: row.entry_id for row in connection.execute(query)}
    return {
        row.entry_id
        for row, one in several
        if any(held.get(party, row.entry_id) < row.entry_id for party in one.parties)
    }

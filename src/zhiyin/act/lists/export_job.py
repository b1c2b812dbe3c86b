"""A campaign's messages as a file: for another program, or a list for an ad platform.

Each line passes the gate a second time when it is written, and is `sent` once the file is whole.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from zhiyin.act import ledger
from zhiyin.act.campaigns.closing_job import close
from zhiyin.act.campaigns.content import Letters, campaign_letters
from zhiyin.act.campaigns.handed import AD_LISTS, LISTS, TEXTS
from zhiyin.act.campaigns.ledger import RUNNING, Campaign, note, read_held_out
from zhiyin.act.campaigns.plan_job import campaign_terms
from zhiyin.act.ledger import Outcome
from zhiyin.act.letters import shared_values
from zhiyin.act.lists.check_job import check_listed, read_listed
from zhiyin.act.lists.hashing import HASHED, Contact
from zhiyin.act.lists.ledger import claim_lines, find_receipts, settle_lines
from zhiyin.act.lists.plain import make_contact
from zhiyin.act.lists.writer import ListWriter, part_of
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.context import Context
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.govern.facts import Terms
from zhiyin.govern.gate import Verdict
from zhiyin.govern.live import read_directory
from zhiyin.govern.people import Person

CHUNK = 5_000
ERASED = "erased"
_MOST_PATH = 200
_MANY = 1_000_000


@dataclass(frozen=True)
class Exported:
    """How many lines a file has, and how many people were left out, by reason."""

    lines: int
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class _Line:
    """A message that may become a line: its row, its person, what she is known by."""

    row: sa.Row[Any]
    person: Person
    content: dict[str, Any] | None
    contact: Contact


def export_campaign(ctx: Context, held: Campaign, path: Path, *, by: str) -> Exported:
    """Write what is due of a campaign to a new file at `path`; the messages are `sent` with it.

    Nothing is written where there is nothing. The caller holds the lease `lake`, and has looked
    whether the file may stand there.

    Raises
    ------
    InvalidParameter
        If the campaign does not run, or leaves in another way.
    """
    _require(held, states=(RUNNING,))
    settle_cut_short(ctx, held)
    receipt = _receipt(path)
    left_out: Counter[str] = Counter()
    lines = 0
    try:
        with ListWriter(path, columns_of(held), guarded=not _is_ads(held)) as writer:
            for mine, reasons in _claimed(ctx, held, receipt):
                left_out.update(reasons)
                if mine:
                    writer.write(make_lines(ctx, held, mine))
                lines += len(mine)
            if lines:
                writer.publish()
    except BaseException:
        with ctx.store.begin() as connection:
            settle_lines(connection, held.campaign_id, receipt, state=ledger.PLANNED)
        raise
    now = naive_utc(ctx.clock.now())
    with ctx.store.begin() as connection:
        settle_lines(connection, held.campaign_id, receipt, state=ledger.SENT, at=now)
        counts = {"lines": lines, "left_out": dict(sorted(left_out.items()))}
        note(connection, held, "exported", by=by, now=now, **counts)
    close(ctx, held)
    return Exported(lines, dict(sorted(left_out.items())))


def export_removals(ctx: Context, held: Campaign, path: Path, *, by: str) -> Exported:
    """Write who was exported before and may not be on the list any more: to be taken off it.

    `left_out` counts under `erased` those of whom nothing is kept: only a list that replaces the
    whole audience takes them off.
    """
    written = _rewrite(ctx, held, path, allowed=False)
    gone = written.left_out.get(ERASED)
    left_out = {ERASED: gone} if gone else {}
    return _noted(ctx, held, "removals", Exported(written.lines, left_out), by=by)


def export_again(ctx: Context, held: Campaign, path: Path, *, by: str) -> Exported:
    """Write once more who was exported before and may still be on the list: where a download was
    cut short, or a list replaces a whole audience. Nothing is sent by it.
    """
    return _noted(ctx, held, "exported_again", _rewrite(ctx, held, path, allowed=True), by=by)


def _rewrite(ctx: Context, held: Campaign, path: Path, *, allowed: bool) -> Exported:
    """Lines of those who were exported before, of whom the gate says so now; why others are not."""
    _require(held, states=())
    terms, lines = removal_terms(ctx, held), 0
    left_out: Counter[str] = Counter()
    with ListWriter(path, columns_of(held), guarded=not _is_ads(held)) as writer:
        for rows in _chunks(ctx, held, ledger.SENT, due_at=None):
            chunk = _opened(ctx, held, rows)
            verdicts = _verdicts(ctx, chunk, terms, ctx.clock.now())
            mine: list[_Line] = []
            for one, verdict in zip(chunk, verdicts, strict=True):
                if one.content is not None and verdict.allowed is allowed:
                    mine.append(one)
                else:
                    left_out[ERASED if one.content is None else verdict.reason] += 1
            if mine:
                writer.write(make_lines(ctx, held, mine))
            lines += len(mine)
        if lines:
            writer.publish()
    return Exported(lines, dict(sorted(left_out.items())))


def _noted(ctx: Context, held: Campaign, what: str, made: Exported, *, by: str) -> Exported:
    now = naive_utc(ctx.clock.now())
    with ctx.store.begin() as connection:
        note(connection, held, what, by=by, now=now, lines=made.lines, left_out=dict(made.left_out))
    return made


def columns_of(held: Campaign) -> tuple[str, ...]:
    """The columns of the campaign's file."""
    definition = held.definition
    return HASHED[definition.channel][0] if _is_ads(held) else definition.file.columns


def removal_terms(ctx: Context, held: Campaign) -> Terms:
    """What must hold for somebody to stay on a list: not how often she was written to."""
    terms = campaign_terms(ctx, held.definition)
    limits = replace(terms.limits, caps=(), cap_messages=_MANY, fatigue_messages=0)
    return replace(terms, limits=limits, budget_messages=None, campaign_id="")


def settle_cut_short(ctx: Context, held: Campaign) -> None:
    """What an export that was killed left under way: planned again where its file was never
    whole, sent where it has its name; of another machine it is left to a person.
    """
    with ctx.store.begin() as connection:
        receipts = find_receipts(connection, held.campaign_id)
    for receipt in receipts:
        node, _, place = receipt.partition(":")
        if node != platform.node()[:50]:
            state = ledger.UNKNOWN
        elif Path(place).exists():
            Path(place).unlink()
            state = ledger.PLANNED
        else:
            state = ledger.SENT
        with ctx.store.begin() as connection:
            now = naive_utc(ctx.clock.now())
            settle_lines(connection, held.campaign_id, receipt, state=state, at=now)


def make_lines(ctx: Context, held: Campaign, lines: Sequence[_Line]) -> list[dict[str, str]]:
    """The lines of the file, in order."""
    if _is_ads(held):
        made = HASHED[held.definition.channel][1]
        return [made(one.contact) for one in lines]
    letters = campaign_letters(held.definition, held.version)
    return [_plain(ctx, held, letters, one) for one in lines]


def _plain(ctx: Context, held: Campaign, letters: Letters, one: _Line) -> dict[str, str]:
    row, contact = one.row, one.contact
    shared = shared_values(
        settings=ctx.settings, vault=ctx.vault, message_id=row.message_id, name=one.person.name
    )
    known = {
        "customer_id": row.customer_id, "name": one.person.name,
        "first_name": contact.first_name, "last_name": contact.last_name,
        "email": contact.email, "phone": contact.phone, "language": row.language,
        "country": contact.country, "region": contact.region, "city": contact.city,
        "zip": contact.zip, "variant": row.variant or "",
        "unsubscribe_url": shared["unsubscribe_url"],
    }  # fmt: skip
    columns = held.definition.file.columns
    if one.content and set(TEXTS) & set(columns):
        try:
            subject, text = letters.say(one.content, shared, row.language)
            link = letters.link(one.content, row.language)
        except NotFound:
            subject = text = link = ""
        known |= {"subject": subject, "text": text, "link": link}
    return {name: known.get(name, "") for name in columns}


def _claimed(
    ctx: Context, held: Campaign, receipt: str
) -> Iterator[tuple[list[_Line], Counter[str]]]:
    """Chunk by chunk: the lines that may be written and are claimed, and why others are not."""
    terms = campaign_terms(ctx, held.definition)
    with ctx.store.begin() as connection:
        held_out = read_held_out(connection, held.campaign_id)
    due = naive_utc(ctx.clock.now())
    for rows in _chunks(ctx, held, ledger.PLANNED, due_at=due):
        chunk, at = _opened(ctx, held, rows), ctx.clock.now()
        listed = read_listed(ctx, [one.person for one in chunk], purpose=terms.purpose)
        with ctx.store.begin() as connection:
            verdicts = check_listed(
                connection, listed, terms=terms, vault=ctx.vault, at=at, held_out=held_out
            )
            reasons = {
                one.row.message_id: ERASED if one.content is None else verdict.reason
                for one, verdict in zip(chunk, verdicts, strict=True)
                if one.content is None or not verdict.allowed
            }
            skipped = [Outcome(key, ledger.SKIPPED, why) for key, why in reasons.items()]
            ledger.settle_messages(connection, skipped, before=ledger.PLANNED)
            free = [one.row.message_id for one in chunk if one.row.message_id not in reasons]
            mine = claim_lines(connection, free, receipt=receipt)
        yield [one for one in chunk if one.row.message_id in mine], Counter(reasons.values())


def _chunks(
    ctx: Context, held: Campaign, state: str, *, due_at: datetime | None
) -> Iterator[list[sa.Row[Any]]]:
    after = (-1, "")
    while True:
        with ctx.store.begin() as connection:
            rows = ledger.read_messages(
                connection, held.campaign_id, states=[state], after=after, due_at=due_at,
                limit=CHUNK,
            )  # fmt: skip
        if not rows:
            return
        ctx.progress("writing", 0.5)
        yield rows
        after = (rows[-1].priority, rows[-1].message_id)


def _opened(ctx: Context, held: Campaign, rows: Sequence[sa.Row[Any]]) -> list[_Line]:
    parties = [row.party_id for row in rows]
    directory = read_directory(
        ctx.store, parties, as_of=None, channel=held.definition.addressed_by, sealed=True,
        settings=ctx.settings.act,
    )  # fmt: skip
    people = directory.opened(parties, vault=ctx.vault)
    contents = ctx.vault.unseal(parties, [row.content for row in rows])
    contacts = _contacts(ctx, people)
    return [_Line(*parts) for parts in zip(rows, people, contents, contacts, strict=True)]


def _contacts(ctx: Context, people: Sequence[Person]) -> list[Contact]:
    """What each person is known by, over all of her records, those of her address first."""
    wanted = sorted({party for one in people for party in one.parties})
    ids = ctx.store.to_ibis(pa.table({c.PARTY_ID: pa.array(wanted, pa.string())}))
    names = (c.PARTY_ID, c.COUNTRY, c.REGION, c.CITY, c.PERSONAL)
    rows = ctx.store.read("customers").semi_join(ids, c.PARTY_ID).select(*names)
    held = rows.to_pyarrow().to_pylist()
    fields = ctx.vault.unseal([row[c.PARTY_ID] for row in held], [row[c.PERSONAL] for row in held])
    known = {
        row[c.PARTY_ID]: {**(found or {}), c.COUNTRY: row[c.COUNTRY], c.REGION: row[c.REGION],
                          c.CITY: row[c.CITY]}
        for row, found in zip(held, fields, strict=True)
    }  # fmt: skip
    return [
        make_contact(
            (known[one] for one in dict.fromkeys((person.party_id, *person.parties))
             if one in known),
            calling_code=ctx.settings.act.calling_code,
        )
        for person in people
    ]  # fmt: skip


def _verdicts(ctx: Context, chunk: Sequence[_Line], terms: Terms, at: datetime) -> list[Verdict]:
    listed = read_listed(ctx, [one.person for one in chunk], purpose=terms.purpose)
    with ctx.store.begin() as connection:
        return check_listed(connection, listed, terms=terms, vault=ctx.vault, at=at)


def _receipt(path: Path) -> str:
    part = str(part_of(path))
    if len(part) > _MOST_PATH:
        raise InvalidParameter(
            "the name of the file and its folders is too long", hint=f"at most {_MOST_PATH} letters"
        )
    return f"{platform.node()[:50]}:{part}"


def _is_ads(held: Campaign) -> bool:
    return held.definition.channel in AD_LISTS


def _require(held: Campaign, *, states: tuple[str, ...]) -> None:
    if held.definition.channel not in LISTS:
        raise InvalidParameter(
            f"the campaign {held.key!r} leaves by {held.definition.channel}, not as a file",
            hint=f"channel: {', '.join(LISTS)}",
        )
    if states and held.state not in states:
        raise InvalidParameter(
            f"the campaign {held.key!r} is {held.state}: nothing of it leaves",
            hint=f"zhiyin campaign show {held.key}",
        )

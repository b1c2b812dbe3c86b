"""Everything kept about one person, and nobody else, as JSON and as a page to read."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import jinja2
import sqlalchemy as sa

from zhiyin.core import columns as c
from zhiyin.core import ledger
from zhiyin.core.clock import Clock
from zhiyin.core.ledger import authorisations
from zhiyin.core.tables import TABLES
from zhiyin.person.authorisations import load_authorisations
from zhiyin.person.belongings import Belongings, gather_belongings, unseal_rows
from zhiyin.person.explain import explain_customer
from zhiyin.person.find import Person, find_person
from zhiyin.person.rows import (
    Row,
    person_tables,
    read_jobs,
    read_ledger,
    read_names,
    read_online,
    read_person,
    workspace_settings,
)
from zhiyin.person.words import LANGUAGES, Words
from zhiyin.store.ledger import reading
from zhiyin.store.online import ONLINE
from zhiyin.store.vault import LocalVault
from zhiyin.store.workspace import WorkspaceStore

FORMAT = 1
LEDGER = (
    ledger.messages, ledger.consents, ledger.consent_requests, ledger.languages,
    ledger.membership_changes, ledger.manual_tags, ledger.reactions, ledger.journey_people,
    ledger.journey_places, ledger.decision_requests, ledger.journey_calls, ledger.tasks,
    ledger.reviews,    authorisations,
)  # fmt: skip
PRODUCT_NAME, REASON_WORDS = "product_name", "reason_words"
_WITHHELD = "export.withheld"


@dataclass(frozen=True)
class Part:
    """The person's rows of one table."""

    table: str
    meaning: str
    rows: list[Row]

    @property
    def columns(self) -> list[str]:
        """Columns with a value in any row, in order."""
        return [n for n in self.rows[0] if any(row.get(n) is not None for row in self.rows)]

    @property
    def sources(self) -> list[str]:
        """The sources that the rows came from."""
        return sorted({str(row[c.SOURCE]) for row in self.rows if row.get(c.SOURCE)})


def export_customer(
    store: WorkspaceStore, vault: LocalVault, customer: str, folder: Path, *, clock: Clock
) -> list[Path]:
    """Write `<our id>.json` and `<our id>.html` into `folder`; the two paths.

    They hold every row that names the person in every table of the lake and the ledger, her
    personal fields decrypted, what each table is used for, and the reasons of scores and decisions
    in words, in English and Chinese. Only their owner can read the files.

    Raises
    ------
    NotFound
        If nobody has this identifier.
    InvalidParameter
        If several people have it.
    """
    person = find_person(store, vault, customer)
    owned = gather_belongings(store, vault, person)
    parts = collect_parts(store, vault, person, owned)
    answers = {
        one: explain_customer(store, vault, person.customer_id, language=one) for one in LANGUAGES
    }
    shop = str(workspace_settings(store).get("name") or "")
    values = {
        "format": FORMAT,
        "shop": shop,
        "made_at": clock.now().isoformat(),
        "customer_id": person.customer_id,
        "party_ids": list(person.parties),
        "identifiers": [{"kind": kind, "value": value} for kind, value in owned.identifiers],
        "explained": {one: answer.values for one, answer in answers.items()},
        "tables": {
            part.table: {
                "meaning": part.meaning,
                "purpose": {one: Words(one).term("purpose", part.table) for one in LANGUAGES},
                "sources": part.sources,
                "rows": part.rows,
            }
            for part in parts
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{person.customer_id}{end}" for end in (".json", ".html")]
    _write(paths[0], json.dumps(values, ensure_ascii=False, indent=1, default=plain) + "\n")
    texts = {one: answer.text for one, answer in answers.items()}
    _write(paths[1], render_page(values, parts, texts))
    return paths


def collect_parts(
    store: WorkspaceStore, vault: LocalVault, person: Person, owned: Belongings
) -> list[Part]:
    """The person's rows of every table that has any, the lake's first, as JSON values."""
    parts = []
    for table in person_tables():
        rows = read_person(store, table.name, person)
        if c.PERSONAL in table.names:
            unsealed = unseal_rows(vault, rows)
            rows = [{**r, c.PERSONAL: fields} for r, fields in zip(rows, unsealed, strict=True)]
        if c.CONTENT in table.names:
            rows = [_with_content(vault, row, person) for row in rows]
        parts.append(Part(table.name, table.meaning, _with_words(store, rows)))
    for table in LEDGER:
        if table is authorisations:  # some were given before her records were known
            rows = load_authorisations(store, vault, person)
        else:
            rows = read_ledger(store, table, person)
        for sealed in {c.CONTENT, "proof", "note"} & {*table.c.keys()}:
            contents = vault.unseal([r[c.PARTY_ID] for r in rows], [r[sealed] for r in rows])
            rows = [{**r, sealed: fields} for r, fields in zip(rows, contents, strict=True)]
        parts.append(Part(table.name, "", _with_words(store, rows)))
    parts.append(Part(ledger.suppressions.name, "", _suppressions(store, vault, owned)))
    parts.append(Part(ledger.jobs.name, "", read_jobs(store, person)))
    parts.append(Part(ONLINE, "", read_online(store, person)))
    return [
        Part(part.table, part.meaning, [_plain_row(part.table, row) for row in part.rows])
        for part in parts
        if part.rows
    ]


def _with_content(vault: LocalVault, row: Row, person: Person) -> Row:
    """A refused row with its raw content; withheld where it names other people too."""
    if {*json.loads(row[c.PARTY_IDS])} - {*person.parties}:
        return {
            **row,
            c.PARTY_IDS: None,
            c.CONTENT: {one: Words(one)(_WITHHELD) for one in LANGUAGES},
        }
    raw = vault.unseal_with(row[c.KEY_ID], [row[c.CONTENT]])[0]
    return {**row, c.CONTENT: raw.decode("utf-8", errors="replace")}


def _with_words(store: WorkspaceStore, rows: Sequence[Row]) -> list[Row]:
    """Rows with the names of products and their reasons in words beside the codes."""
    if not rows:
        return []
    made = [dict(row) for row in rows]
    if c.PRODUCT_ID in rows[0]:
        ids = [row[c.PRODUCT_ID] for row in rows]
        names = read_names(store, "products", c.PRODUCT_ID, ids)
        for row in made:
            row[PRODUCT_NAME] = names.get(row[c.PRODUCT_ID])
    if c.REASON in rows[0] and {c.ACTION, "state"} & set(rows[0]):  # decisions and messages
        for row in made:
            code = row[c.REASON]
            row[REASON_WORDS] = code and {one: Words(one).reason(code) for one in LANGUAGES}
    return made


def _suppressions(store: WorkspaceStore, vault: LocalVault, owned: Belongings) -> list[Row]:
    table = ledger.suppressions
    tokens = [token for token, _ in owned.suppression_tokens(vault)]
    query = sa.select(table.c.channel, table.c.reason, table.c.at).where(table.c.token.in_(tokens))
    with reading(store.ledger) as connection:
        rows = connection.execute(query.order_by(table.c.channel, table.c.at)).mappings()
        return [dict(row) for row in rows]


def _plain_row(table: str, row: Row) -> Row:
    """The row as JSON values, JSON cells opened."""
    types = {one.name: one.type for one in TABLES[table].columns} if table in TABLES else {}
    made: Row = {}
    for name, value in row.items():
        if types.get(name) == "json" and isinstance(value, str):
            value = json.loads(value)
        made[name] = plain(value) if isinstance(value, date | bytes) else value
    return made


def plain(value: object) -> object:
    """Days and moments in ISO 8601, bytes in base64, anything else as text."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def render_page(values: Mapping[str, Any], parts: Sequence[Part], texts: Mapping[str, str]) -> str:
    """The export as one page without network, in both languages."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("zhiyin.person"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    views = [{"language": one, "words": Words(one), "text": texts[one]} for one in LANGUAGES]
    page = environment.get_template("export.html.j2")
    return page.render(values=values, parts=parts, views=views, cell=show_cell)


def show_cell(value: object, language: str) -> str:
    """One value as a reader sees it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return {"en": ("no", "yes"), "zh": ("否", "是")}[language][value]
    if isinstance(value, dict) and set(value) == set(LANGUAGES):
        return str(value[language])
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=plain)
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)

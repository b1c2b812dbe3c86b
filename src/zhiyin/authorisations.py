# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""What customers allowed the mini-programme to send: granted, shown, made void, loaded."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa

from zhiyin.core import columns as c
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.config import Settings
from zhiyin.core.errors import InputError, InvalidParameter, NotFound
from zhiyin.core.ledger import audit
from zhiyin.core.protocols import Vault
from zhiyin.govern.authorisations import (
    MOST_AT_ONCE,
    Grant,
    add_grant,
    count_authorisations,
    empty_stock,
    read_authorisations,
    read_stock,
)
from zhiyin.govern.suppression import identify_address, space_of, suppression_tokens
from zhiyin.person.authorisations import tokens_of
from zhiyin.person.find import Person, find_person
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore

CHANNEL = "wechat_subscribe"
COLUMNS = ("openid", "template", "granted_at", "key")
GRANTED, REPEATED, REFUSED = "granted", "repeated", "refused"
_OPENID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TEMPLATE = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_LONGEST = 64
_CHUNK = 1_000


@dataclass(frozen=True)
class Authorisations:
    """The stock of messages that customers of a workspace allowed."""

    store: WorkspaceStore
    vault: Vault
    clock: Clock
    settings: Settings

    def grant(
        self, *, source: str, openid: str = "", customer: str = "", template: str = "",
        times: int = 1, key: str = "", at: datetime | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Keep that somebody allowed so many messages of a template.

        Who allows is named by her openid, which need not be known yet, or as a customer who has
        one openid of the mini-programme.

        Parameters
        ----------
        template
            Empty: that of the settings.
        key
            The sender's own id of it: the same key of a source counts once.

        Raises
        ------
        NotFound
            If no customer has this identifier, or she has no openid of the mini-programme.
        InvalidParameter
            If a value is outside its range, she has several openids, or no mini-programme is
            configured.
        """
        self._require_app()
        named = template or self.settings.act.wechat_template
        _check(source=source, template=named, times=times, key=key)
        party, token = self._holder(openid, customer)
        grant = Grant(party, token, named, source.strip(), at or self._now(), times, key)
        with transaction(self.store.ledger) as connection:
            fresh = add_grant(connection, grant)
            left = read_stock(connection, [token], template=named).get(token, 0)
        return {"template": named, "granted": times if fresh else 0, "left": left}

    def shown(self, customer: str) -> dict[str, Any]:
        """What a customer allowed, what spent it, and what is left of each template."""
        person = find_person(self.store, self.vault, customer)
        with reading(self.store.ledger) as connection:
            rows = self._rows(connection, person)
        return {"customer_id": person.customer_id, "authorisations": [_row(one) for one in rows]}

    def void(self, customer: str, *, template: str, reason: str, by: str) -> dict[str, Any]:
        """Make void what is left of a template: she asked for it, say. It is audited."""
        if not reason.strip():
            raise InvalidParameter("it needs a reason", hint="say why nothing may be sent any more")
        person = find_person(self.store, self.vault, customer)
        with transaction(self.store.ledger) as connection:
            tokens = sorted({row["address_token"] for row in self._rows(connection, person)})
            voided = empty_stock(connection, tokens, template=template, reason="by_hand")
            connection.execute(
                audit.insert().values(
                    at=naive_utc(self._now()), actor=by[:80], action="authorisation.void",
                    detail={"template": template, "voided": voided, "reason": reason[:200]},
                )
            )  # fmt: skip
        return {"customer_id": person.customer_id, "template": template, "voided": voided}

    def listed(self) -> list[dict[str, Any]]:
        """By template: granted, spent, void, left."""
        with reading(self.store.ledger) as connection:
            return count_authorisations(connection)

    def load(self, file: Path, *, source: str) -> Counter[str]:
        """Grant what a CSV holds: `openid`, and where it has them `template`, `granted_at`, `key`.

        A row without `key` is known by its openid, template and moment, so that a file that is
        loaded again grants nothing twice; without a moment either, by its place in the file.

        Returns
        -------
        Rows that were granted, known already, refused.

        Raises
        ------
        InputError
            If the file cannot be read, or has no column `openid`.
        """
        self._require_app()
        counts: Counter[str] = Counter()
        try:
            with file.open(encoding="utf-8-sig", newline="") as opened:
                rows = csv.DictReader(opened)
                if "openid" not in (rows.fieldnames or ()):
                    raise InputError(
                        f"{file.name} lacks the column openid",
                        hint=f"columns: {', '.join(COLUMNS)}",
                    )
                numbered = enumerate(rows)
                while part := list(islice(numbered, _CHUNK)):
                    counts += self._load_rows(file.name, part, source=source)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{file.name} cannot be read: {type(error).__name__}", hint="give a CSV in UTF-8"
            ) from None
        return counts

    def _load_rows(
        self, name: str, rows: Sequence[tuple[int, Mapping[str, str | None]]], *, source: str
    ) -> Counter[str]:
        held = [(place, {one: (row.get(one) or "").strip() for one in COLUMNS})
                for place, row in rows]  # fmt: skip
        parties = self._parties([row["openid"] for _, row in held])
        counts: Counter[str] = Counter()
        with transaction(self.store.ledger) as connection:
            for place, row in held:
                own = (row["openid"], row["template"], row["granted_at"] or f"{name} {place}")
                key = row["key"] or self.vault.token("authorisation", "|".join(own))
                template = row["template"] or self.settings.act.wechat_template
                try:
                    _check(source=source, template=template, times=1, key=key)
                    at = self._moment(row["granted_at"]) or self._now()
                    party, token = parties[_openid(row["openid"])]
                except (InvalidParameter, ValueError):
                    counts[REFUSED] += 1
                    continue
                grant = Grant(party, token, template, source.strip(), at, 1, key)
                counts[GRANTED if add_grant(connection, grant) else REPEATED] += 1
        return counts

    def _moment(self, text: str) -> datetime | None:
        if not text:
            return None
        made = datetime.fromisoformat(text)
        return made if made.tzinfo else made.replace(tzinfo=ZoneInfo(self.settings.zone))

    def _require_app(self) -> None:
        if not self.settings.act.wechat_app_id:
            raise InvalidParameter(
                "no mini-programme is configured", hint="set act.wechat_app_id in zhiyin.toml"
            )

    def _holder(self, openid: str, customer: str) -> tuple[str, str]:
        """Party and keyed hash of the openid that is meant."""
        if bool(openid) == bool(customer):
            raise InvalidParameter("give an openid or a customer", hint="one of the two")
        space = space_of(CHANNEL, self.settings.act)
        rows = self.store.read("identities")
        if openid:
            if not _OPENID.fullmatch(openid):
                raise InvalidParameter("an openid is malformed", hint="letters, digits, - and _")
            identity = identify_address(self.vault, space, openid)
            held = rows.filter(rows[c.IDENTITY_ID] == identity).select(c.PARTY_ID).distinct()
            parties = sorted(held.to_pyarrow()[c.PARTY_ID].to_pylist())
            party = parties[0] if parties else self.vault.party_ids(space, [openid])[0]
            return party, suppression_tokens(self.vault, [identity])[0]
        person = find_person(self.store, self.vault, customer)
        hers = rows.filter(
            rows[c.PARTY_ID].isin(list(person.parties)) & (rows[c.NAMESPACE] == space)
        )
        found = hers.select(c.IDENTITY_ID, c.PARTY_ID).distinct().to_pyarrow().to_pylist()
        if not found:
            raise NotFound("she has no openid of the mini-programme", hint="give the openid")
        if len({row[c.IDENTITY_ID] for row in found}) > 1:
            raise InvalidParameter(
                "she has several openids", hint="give the openid that allowed it"
            )
        return found[0][c.PARTY_ID], suppression_tokens(self.vault, [found[0][c.IDENTITY_ID]])[0]

    def _parties(self, openids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Openid → the party that has it, which may be the openid's own, and its keyed hash."""
        space = space_of(CHANNEL, self.settings.act)
        wanted = sorted(set(openids))
        identities = [identify_address(self.vault, space, one) for one in wanted]
        ids = self.store.to_ibis(pa.table({c.IDENTITY_ID: pa.array(identities, pa.string())}))
        rows = self.store.read("identities").semi_join(ids, c.IDENTITY_ID)
        held = rows.select(c.IDENTITY_ID, c.PARTY_ID).distinct().to_pyarrow().to_pylist()
        known: dict[str, str] = {}
        for row in held:
            known[row[c.IDENTITY_ID]] = min(
                row[c.PARTY_ID], known.get(row[c.IDENTITY_ID], row[c.PARTY_ID])
            )
        own = self.vault.party_ids(space, wanted)
        tokens = suppression_tokens(self.vault, identities)
        return {
            one: (known.get(identity, party), token)
            for one, identity, party, token in zip(wanted, identities, own, tokens, strict=True)
        }

    def _rows(self, connection: sa.Connection, person: Person) -> list[dict[str, Any]]:
        tokens = tokens_of(self.store, self.vault, person)
        return read_authorisations(connection, parties=person.parties, tokens=tokens)

    def _now(self) -> datetime:
        now = self.clock.now()
        return now if now.tzinfo else now.replace(tzinfo=UTC)


def _check(*, source: str, template: str, times: int, key: str) -> None:
    if not 1 <= len(source.strip()) <= _LONGEST or len(key) > 200:
        raise InvalidParameter(
            "an authorisation needs its source, and a key of 200 characters at most",
            hint="for example: order page",
        )
    if not _TEMPLATE.fullmatch(template):
        raise InvalidParameter(
            "the template id is malformed or missing", hint="or set act.wechat_template"
        )
    if not 1 <= times <= MOST_AT_ONCE:
        raise InvalidParameter(f"{times} authorisations at once", hint=f"1 to {MOST_AT_ONCE}")


def _openid(text: str) -> str:
    if not _OPENID.fullmatch(text):
        raise InvalidParameter("an openid is malformed", hint="letters, digits, - and _")
    return text


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = ("template", "granted_at", "source", "message_id", "spent_at", "void")
    return {
        name: value.replace(tzinfo=UTC).isoformat()
        if isinstance(value := row[name], datetime)
        else value
        for name in shown
    }

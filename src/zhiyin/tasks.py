"""Calls for shop staff, as those who make them see them: whom, why, what to say and to offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.act.campaigns.content import campaign_letters
from zhiyin.act.campaigns.ledger import Campaign, find_campaign
from zhiyin.act.campaigns.plan_job import campaign_terms
from zhiyin.act.letters import shared_values
from zhiyin.act.tasks import ledger
from zhiyin.act.tasks.answers import FOR_NOW, answer_task, take_task
from zhiyin.act.tasks.ledger import Task
from zhiyin.core import columns as c
from zhiyin.core.clock import Clock, local_day, naive_utc
from zhiyin.core.config import Settings
from zhiyin.core.context import Context
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.rng import Streams
from zhiyin.govern.facts import Terms
from zhiyin.govern.gate import personalisation_state
from zhiyin.govern.ledger import read_consents
from zhiyin.govern.live import read_directory
from zhiyin.govern.people import Person
from zhiyin.person.rows import workspace_settings
from zhiyin.person.say import say_score, say_value
from zhiyin.person.words import Words, unit_of
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.vault import LocalVault
from zhiyin.store.workspace import WorkspaceStore

CALL = "call"
MOST = 500
_NOTE = 2_000


def tasks_of(
    store: WorkspaceStore, vault: LocalVault, settings: Settings, clock: Clock, *,
    only: str | None = None,
) -> Tasks:  # fmt: skip
    """The calls of a workspace; `only`: of one store."""
    today = local_day(clock.now(), settings.zone)
    ctx = Context(settings, store, vault, clock, Streams(settings.seed), today, "")
    return Tasks(ctx, store, only)


@dataclass(frozen=True)
class Tasks:
    """The calls of a workspace.

    Parameters
    ----------
    ctx
        Its clock is the machine's.
    store
        The workspace's.
    only
        The one store whose calls may be seen and answered; None: every store's.
    """

    ctx: Context
    store: WorkspaceStore
    only: str | None = None

    def listed(
        self, *, store_id: str | None = None, closed: bool = False, language: str = "en",
        by: str = "", names: bool = False, limit: int = 100,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Calls to be made, those first whose time is over soonest; `closed`: what came of others.

        Parameters
        ----------
        store_id
            Of one store; empty: the central list; None: of all that may be seen.
        by
            Who looks: the number of those that she has taken is shown.
        names
            Whether names, numbers and notes may be shown.

        Returns
        -------
        Each as `shown`.
        """
        wanted = store_id if self.only is None else self.only
        with reading(self.store.ledger) as connection:
            found = ledger.list_tasks(
                connection, now=self._now(), store_id=wanted, closed=closed,
                limit=min(max(limit, 1), MOST),
            )  # fmt: skip
        return self._views(found, language=language, by=by, names=names)

    def shown(
        self, task_id: str, *, language: str = "en", by: str = "", names: bool = False
    ) -> dict[str, Any]:
        """One call.

        Returns
        -------
        `task_id`, `campaign`, `campaign_name`, `store_id`, `store`, `customer_id`, `state` and
        `state_words`, `reason_words`, `until`, `not_before`, `tries`, `most_tries`, `taken_by`,
        `taken_until`, `answered_by`, `answered_at`, `why` (sentences), `say` (`subject`, `text`,
        `language`: hers), `offer`, `products`; with `names` also `name`, `phone` (empty unless
        `by` has taken it) and `note`.

        Raises
        ------
        NotFound
            If there is no such call, or it is of another store.
        """
        with reading(self.store.ledger) as connection:
            task = self._find(connection, task_id)
        return self._views([task], language=language, by=by, names=names)[0]

    def take(self, task_id: str, *, by: str, language: str = "en") -> dict[str, Any]:
        """Take a call for half an hour; with her number, where she may be called now.

        Raises
        ------
        LeaseHeld
            If somebody else has it.
        InvalidParameter
            If she may not be called: for now, or any more; then it is off the list.
        """
        who = _named(by)
        with reading(self.store.ledger) as connection:
            task = self._find(connection, task_id)
            held = find_campaign(connection, task.campaign)
        person = self._people([task])[0]
        with transaction(self.store.ledger) as connection:
            taken = take_task(
                connection, self._find(connection, task_id), held, person,
                terms=self._terms(held), vault=self.ctx.vault, by=who, at=self.ctx.clock.now(),
            )  # fmt: skip
        if not taken.allowed:
            later = taken.reason in FOR_NOW
            raise InvalidParameter(
                f"she is not to be called: {Words(language).reason(taken.reason)}",
                hint="the call stays on the list" if later else "the call is off the list",
            )
        return self.shown(task_id, language=language, by=who, names=True)

    def answer(
        self, task_id: str, answer: str, *, by: str, note: str = "", language: str = "en"
    ) -> dict[str, Any]:
        """Say what came of a call: `done`, `missed` or `refused`; as `shown`, without her name.

        Raises
        ------
        LeaseHeld, InvalidParameter
            As `answer_task`.
        """
        who = _named(by)
        if len(note) > _NOTE:
            raise InvalidParameter("the note is too long", hint=f"at most {_NOTE} letters")
        with reading(self.store.ledger) as connection:
            task = self._find(connection, task_id)
            held = find_campaign(connection, task.campaign)
        sealed = self.ctx.vault.seal([task.party_id], [{"text": note.strip()} if note else None])
        with transaction(self.store.ledger) as connection:
            answer_task(
                connection, self._find(connection, task_id), held, answer, note=sealed[0], by=who,
                at=self.ctx.clock.now(), zone=self.ctx.settings.zone,
            )  # fmt: skip
        return self.shown(task_id, language=language, by=who)

    def _find(self, connection: sa.Connection, task_id: str) -> Task:
        task = ledger.find_task(connection, task_id)
        if self.only is not None and task.store_id != self.only:
            raise NotFound("there is no such task", hint="it may be of another store")
        return task

    def _terms(self, held: Campaign) -> Terms:
        """The campaign's terms with the quiet hours, which count when somebody is called."""
        act, terms = self.ctx.settings.act, campaign_terms(self.ctx, held.definition)
        limits = replace(
            terms.limits, quiet_from_hour=act.quiet_from_hour, quiet_to_hour=act.quiet_to_hour
        )
        return replace(terms, limits=limits)

    def _people(self, found: Sequence[Task]) -> list[Person]:
        parties = [one.party_id for one in found]
        directory = read_directory(
            self.store, parties, as_of=None, channel=CALL, sealed=True,
            settings=self.ctx.settings.act,
        )  # fmt: skip
        return directory.opened(parties, vault=self.ctx.vault)

    def _views(
        self, found: Sequence[Task], *, language: str, by: str, names: bool
    ) -> list[dict[str, Any]]:
        if not found:
            return []
        words, people = Words(language), self._people(found)
        parties = sorted({party for one in people for party in one.parties})
        with reading(self.store.ledger) as connection:
            rows = ledger.read_messages_of(connection, found)
            campaigns = {key: find_campaign(connection, key) for key in {t.campaign for t in found}}
            consents = read_consents(connection, parties, purpose=None)
        generic = [
            personalisation_state(
                [line for party in one.parties for line in consents.get(party, ())],
                at=self.ctx.clock.now(), joins=one.joins,
            ) == "refused"
            for one in people
        ]  # fmt: skip
        sealed = [one.party_id for one in found]
        contents = self.ctx.vault.unseal(sealed, [one.content for one in found])
        notes = self.ctx.vault.unseal(sealed, [one.note for one in found])
        texts = self._texts(found, rows, campaigns, people, names=names)
        stores = self._stores({one.store_id for one in found})
        currency = workspace_settings(self.store).get("currency")
        made: list[dict[str, Any]] = []
        for task, person, content, note, plain, said in zip(
            found, people, contents, notes, generic, texts, strict=True
        ):
            held = campaigns[task.campaign]
            shown = {} if plain else (content or {})
            view = _view(task, held, words, stores) | {
                "customer_id": person.customer_id,
                "why": _why(shown, held, words, currency),
                "say": said,
                "offer": held.definition.task.offer_zh
                if language == "zh"
                else held.definition.task.offer_en,
                "products": [one["name"] for one in shown.get("products", [])],
            }
            if names:
                mine = task.held_by(self._now()) == by and bool(by)
                view |= {
                    "name": person.name, "phone": person.address if mine else "",
                    "note": (note or {}).get("text", ""),
                }  # fmt: skip
            made.append(view)
        return made

    def _texts(
        self, found: Sequence[Task], rows: Mapping[str, sa.Row[Any]],
        campaigns: Mapping[str, Campaign], people: Sequence[Person], *, names: bool,
    ) -> list[dict[str, str]]:  # fmt: skip
        """What to say to each person, in her language."""
        letters = {
            key: campaign_letters(one.definition, one.version) for key, one in campaigns.items()
        }
        parties = [rows[one.message_id].party_id for one in found]
        contents = self.ctx.vault.unseal(parties, [rows[one.message_id].content for one in found])
        made: list[dict[str, str]] = []
        for task, person, content in zip(found, people, contents, strict=True):
            language = rows[task.message_id].language
            subject = text = ""
            if content is not None:
                values = shared_values(
                    settings=self.ctx.settings, vault=self.ctx.vault, message_id=task.message_id,
                    name=person.name if names else "",
                )  # fmt: skip
                subject, text = letters[task.campaign].say(content, values, language)
            made.append({"subject": subject, "text": text, "language": language})
        return made

    def _stores(self, ids: set[str]) -> dict[str, str]:
        rows = self.store.read("stores").select(c.STORE_ID, c.NAME).to_pyarrow().to_pylist()
        return {row[c.STORE_ID]: row[c.NAME] or row[c.STORE_ID] for row in rows
                if row[c.STORE_ID] in ids}  # fmt: skip

    def _now(self) -> datetime:
        return naive_utc(self.ctx.clock.now())


def _view(task: Task, held: Campaign, words: Words, stores: Mapping[str, str]) -> dict[str, Any]:
    store = stores.get(task.store_id, task.store_id) if task.store_id else words("task.central")
    moments = ("until", "not_before", "taken_until", "answered_at")
    return {
        "task_id": task.message_id, "campaign": task.campaign,
        "campaign_name": held.definition.name or task.campaign,
        c.STORE_ID: task.store_id, "store": store,
        "state": task.state, "state_words": words.term("task.state", task.state),
        "reason_words": words.reason(task.reason),
        "tries": task.tries, "most_tries": held.definition.task.tries,
        "taken_by": task.taken_by, "answered_by": task.answered_by,
    } | {
        name: value.replace(tzinfo=UTC).isoformat() if (value := getattr(task, name)) else None
        for name in moments
    }  # fmt: skip


def _why(
    content: Mapping[str, Any], held: Campaign, words: Words, currency: str | None
) -> list[str]:
    """The score that speaks for the call and its reasons; else what the campaign is for."""
    made: list[str] = []
    for score in content.get("scores", []):
        task = words.term("task", score["task"]).format(subject=score["subject"])
        said = say_score(score["task"], score["score"], currency)
        made.append(words("task.score", task=task, score=said))
        for reason in score["reasons"]:
            name = str(reason.get("feature", ""))
            value = say_value(reason.get("value"), unit_of(name), currency)
            made.append(f"{words.feature(name)}: {value}")
    if made:
        return made
    audience = held.definition.audience
    if audience:
        return [words("task.audience", name=audience)]
    return [words("task.campaign", name=held.definition.name or held.key)]


def _named(by: str) -> str:
    if not by.strip():
        raise InvalidParameter("who calls is not named", hint="say who you are: --by NAME")
    return by.strip()[:80]

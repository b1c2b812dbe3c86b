# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""One customer explained: profile, tags, groups, scores with reasons, decisions, messages, and
why not. It holds no personal data: ids are pseudonyms.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from zhiyin.core import columns as c
from zhiyin.core import ledger
from zhiyin.core.decisions import BY_EXPERIMENT, BY_PLACEMENT, BY_POINT
from zhiyin.core.protocols import Vault
from zhiyin.person.authorisations import load_authorisations
from zhiyin.person.find import Person, find_person
from zhiyin.person.rows import (
    Row,
    last_day,
    read_day,
    read_ledger,
    read_names,
    read_person,
    workspace_settings,
)
from zhiyin.person.say import render_text
from zhiyin.person.words import Words, make_readable, unit_of
from zhiyin.profile.ledger import list_tags
from zhiyin.profile.lineage import made_from
from zhiyin.profile.tags import TAGS
from zhiyin.store.ledger import reading
from zhiyin.store.workspace import WorkspaceStore

_ASKED = 20  # choices of decision points
_RHYTHM = ("times", "last_days", "every_days")


@dataclass(frozen=True)
class Answer:
    """What is known of a person and why she is, or is not, contacted.

    `values` holds JSON values: `customer_id`, `parties` (a number), `as_of`, `profile`, `tags`,
    `segments`, `scores`, `recommendations`, `decisions`, `messages`, `tasks`, `consents`,
    `authorisations`, `currency`.
    `text` says the same in words.
    """

    values: dict[str, Any]
    text: str


def explain_customer(
    store: WorkspaceStore,
    vault: Vault,
    customer: str,
    *,
    language: str = "en",
    as_of: date | None = None,
) -> Answer:
    """Explain the customer that `customer` names, in `en` or `zh`.

    Parameters
    ----------
    as_of
        Day of the profile and the scores; none: the newest that was computed.

    Raises
    ------
    NotFound
        If nobody has this identifier.
    InvalidParameter
        If several people have it, or there is no such language.
    """
    words = Words(language)
    person = find_person(store, vault, customer)
    day = as_of or last_day(store)
    values: dict[str, Any] = {
        "customer_id": person.customer_id,
        "parties": len(person.parties),
        "as_of": day.isoformat() if day else None,
        "language": language,
        "currency": workspace_settings(store).get("currency"),
        "zone": store.zone,
    }
    values |= _derived(store, person, day, words) if day else _nothing_derived()
    values["decisions"] = explain_decisions(store, person, words)
    values["messages"] = explain_messages(store, person, words)
    values["tasks"] = _tasks(store, person, words)
    values["consents"] = _consents(store, person)
    values["authorisations"] = _authorisations(store, vault, person)
    return Answer(values, render_text(values, words))


def _nothing_derived() -> dict[str, Any]:
    return {name: [] for name in ("profile", "tags", "segments", "scores", "recommendations")}


def _derived(store: WorkspaceStore, person: Person, day: date, words: Words) -> dict[str, Any]:
    return {
        "profile": _profile(read_day(store, "features", person, day), words),
        "tags": _tags(store, read_day(store, "tags", person, day), words),
        "segments": _segments(store, read_day(store, "memberships", person, day), day, words),
        "scores": explain_scores(store, read_day(store, "scores", person, day), words),
        "recommendations": _recommendations(
            store, read_day(store, "recommendations", person, day), words
        ),
    }


def _profile(rows: Sequence[Row], words: Words) -> list[Row]:
    skip = {c.AS_OF_ON, c.CUSTOMER_ID}
    return [
        {"feature": name, "meaning": words.feature(name), "value": value, "unit": unit_of(name)}
        for row in rows[:1]
        for name, value in row.items()
        if name not in skip and value is not None
    ]


def _tags(store: WorkspaceStore, rows: Sequence[Row], words: Words) -> list[Row]:
    known = {tag.name: tag for tag in TAGS}
    with reading(store.ledger) as connection:
        own = {one.name: one.definition for one in list_tags(connection)}
    made = []
    for row in rows:
        name, why = row[c.TAG], ""
        if name in known:
            pair, shows = (known[name].label, known[name].label_zh), known[name].shows
        elif name in own:
            pair = (own[name].label, own[name].label_zh)
            shows = getattr(own[name].body, "shows", "")
            why = ", ".join(f"{one.kind} {one.name}" for one in made_from(own[name]))
        else:
            pair, shows = (make_readable(name), make_readable(name)), ""
        made.append(
            {
                "tag": name,
                "label": words.pick(pair),
                "shows": shows or None,
                "meaning": words.feature(shows) if shows else "",
                "value": row[c.VALUE],
                "kind": row[c.KIND],
                "version": row[c.VERSION],
                "why": why,
            }
        )
    return made


def _segments(store: WorkspaceStore, rows: Sequence[Row], day: date, words: Words) -> list[Row]:
    named = name_segments(store, day, words) if rows else {}
    return [
        {
            "scheme": row[c.SCHEME],
            "segment": row[c.SEGMENT],
            "name": named.get((row[c.SCHEME], row[c.SEGMENT]))
            or words.term(row[c.SCHEME], row[c.SEGMENT]),
            "score": row[c.SCORE],
        }
        for row in rows
    ]


def name_segments(store: WorkspaceStore, day: date, words: Words) -> dict[tuple[str, str], str]:
    """Names that the day's insights give to segments (key `<scheme>:<segment>`)."""
    rows = store.read("insights")
    mine = rows.filter((rows[c.AS_OF_ON] == day) & (rows[c.KIND] == "segment"))
    found: dict[tuple[str, str], str] = {}
    for row in mine.select(c.KEY, c.BODY).to_pyarrow().to_pylist():
        name = load_json(row[c.BODY], {}).get("name")
        scheme, _, segment = row[c.KEY].partition(":")
        if isinstance(name, dict) and name.get(words.language):
            found[scheme, segment] = str(name[words.language])
    return found


def explain_scores(store: WorkspaceStore, rows: Sequence[Row], words: Words) -> list[Row]:
    """Scores with their reasons in words, strongest first."""
    subjects = read_names(store, "campaigns", c.CAMPAIGN_ID, [row[c.SUBJECT] for row in rows])
    made = []
    for row in rows:
        reasons = load_json(row[c.REASONS], [])
        made.append(
            {
                "as_of": row[c.AS_OF_ON].isoformat(),
                "task": row[c.TASK],
                "subject": row[c.SUBJECT],
                "subject_name": subjects.get(row[c.SUBJECT], row[c.SUBJECT]),
                "score": row[c.SCORE],
                "rank": row[c.RANK],
                "expected_profit_minor": row[c.EXPECTED_PROFIT_MINOR],
                "model": row[c.MODEL],
                "model_version": row[c.MODEL_VERSION],
                "reasons": [_reason(one, words) for one in reasons if isinstance(one, dict)],
            }
        )
    return made


def _reason(one: Row, words: Words) -> Row:
    name, effect = str(one.get("feature", "")), float(one.get("effect") or 0.0)
    return {
        "feature": name,
        "meaning": words.feature(name),
        "value": one.get("value"),
        "unit": unit_of(name),
        "effect": effect,
        "direction": words("score.raises" if effect > 0 else "score.lowers"),
    }


def _recommendations(store: WorkspaceStore, rows: Sequence[Row], words: Words) -> list[Row]:
    reasons = {row[c.RANK]: load_json(row[c.REASON], {}) for row in rows}
    ids = [row[c.PRODUCT_ID] for row in rows]
    ids += [one for reason in reasons.values() for one in _evidence(reason)]
    names = read_names(store, "products", c.PRODUCT_ID, ids)
    return [
        {
            "rank": row[c.RANK],
            "product_id": row[c.PRODUCT_ID],
            "name": names.get(row[c.PRODUCT_ID], row[c.PRODUCT_ID]),
            "score": row[c.SCORE],
            "reason": reasons[row[c.RANK]],
            "reason_words": _say_reason(reasons[row[c.RANK]], names, words),
        }
        for row in rows
    ]


def _evidence(reason: Row) -> list[str]:
    """Products of hers that speak for a recommendation."""
    found = reason.get("products")
    made = found if isinstance(found, list) else []
    return [str(one.get(c.PRODUCT_ID, "")) for one in made if isinstance(one, dict)]


def _say_reason(reason: Row, names: Mapping[str, str], words: Words) -> str:
    kind = reason.get(c.KIND)
    if kind == "because":
        products = ", ".join(names.get(one, one) for one in _evidence(reason))
        return words("recommend.because", products=products)
    if kind == "repeat":
        often = "recommend.repeat" if reason.get("every_days") else "recommend.once"
        return words(often, **{name: reason.get(name) for name in _RHYTHM})
    if kind == "popular":
        return words("recommend.popular", buyers=reason.get("buyers"))
    if kind == "explore":
        return words("recommend.explore")
    return ""


def explain_decisions(store: WorkspaceStore, person: Person, words: Words) -> list[Row]:
    """Every decision about the person with its reason in words, newest first.

    Lists that requests got are left out, and older choices of decision points and arms of
    experiments: there may be thousands. An export has them.
    """
    rows = read_person(store, "decisions", person)
    asked = [row for row in rows if row[c.DECIDED_BY] in (BY_POINT, BY_EXPERIMENT)]
    asked.sort(key=lambda row: (row[c.DECIDED_AT], row[c.DECISION_ID]))
    many = (BY_PLACEMENT, BY_POINT, BY_EXPERIMENT)
    rows = [row for row in rows if row[c.DECIDED_BY] not in many]
    rows += asked[-_ASKED:]
    campaigns = read_names(store, "campaigns", c.CAMPAIGN_ID, [one[c.CAMPAIGN_ID] for one in rows])
    kept = (
        c.CAMPAIGN_ID, c.ACTION, c.ARM, c.PROPENSITY, c.EXPLORED, c.OFFER_ID, c.SCORE,
        c.EXPECTED_PROFIT_MINOR, c.POLICY, c.POLICY_VERSION, c.REASON,
    )  # fmt: skip
    made = [
        {
            "as_of": row[c.AS_OF_ON].isoformat(),
            "campaign": campaigns.get(row[c.CAMPAIGN_ID], row[c.CAMPAIGN_ID]),
            **{name: row[name] for name in kept},
            "action_words": words.term("action", row[c.ACTION]),
            "arm_words": words.term("arm", row[c.ARM]),
            "reason_words": words.reason(row[c.REASON]),
            "products": load_json(row[c.PRODUCT_IDS], []),
            "personalised": row.get(c.PERSONALISED) is not False,
        }
        for row in rows
    ]
    return sorted(made, key=lambda one: (one["as_of"], one[c.CAMPAIGN_ID]), reverse=True)


def explain_messages(store: WorkspaceStore, person: Person, words: Words) -> list[Row]:
    """Every message to the person: its state, and why it did not go out; newest first."""
    rows = read_ledger(store, ledger.messages, person)
    campaigns = read_names(store, "campaigns", c.CAMPAIGN_ID, [one[c.CAMPAIGN_ID] for one in rows])
    made = [
        {
            "message_id": row[c.MESSAGE_ID],
            "campaign_id": row[c.CAMPAIGN_ID],
            "campaign": campaigns.get(row[c.CAMPAIGN_ID], row[c.CAMPAIGN_ID]),
            "channel": row[c.CHANNEL],
            "language": row[c.LANGUAGE],
            "state": row["state"],
            "state_words": words.term("state", row["state"]),
            "reason": row[c.REASON],
            "reason_words": words.reason(row[c.REASON]),
            "planned_at": as_utc(row["planned_at"]),
            "sent_at": as_utc(row["sent_at"]),
        }
        for row in rows
    ]
    return sorted(made, key=lambda one: (one["planned_at"], one["message_id"]), reverse=True)


def _tasks(store: WorkspaceStore, person: Person, words: Words) -> list[Row]:
    """Calls that shop staff were asked to make, newest first."""
    kept = ("campaign", c.STORE_ID, "state", "tries", "answered_by")
    made = [
        {name: row[name] for name in kept}
        | {
            "state_words": words.term("task.state", row["state"]),
            "reason_words": words.reason(row[c.REASON]),
            "put_at": as_utc(row["put_at"]),
            "until": as_utc(row["until"]),
            "answered_at": as_utc(row["answered_at"]),
        }
        for row in read_ledger(store, ledger.tasks, person)
    ]
    return sorted(made, key=lambda one: (one["put_at"], one["campaign"]), reverse=True)


def _consents(store: WorkspaceStore, person: Person) -> list[Row]:
    rows = read_ledger(store, ledger.consents, person)
    made = [
        {
            "purpose": row["purpose"],
            "channel": row[c.CHANNEL],
            "granted": row["granted"],
            "at": as_utc(row["at"]),
            "source": row[c.SOURCE],
        }
        for row in rows
    ]
    return sorted(made, key=lambda one: (one["at"], one["purpose"], one["channel"]))


def _authorisations(store: WorkspaceStore, vault: Vault, person: Person) -> list[Row]:
    """By template: messages that she allowed, how many were sent, void, and are left."""
    made: dict[str, Row] = {}
    for row in load_authorisations(store, vault, person):
        template = row["template"]
        one = made.setdefault(
            template, {"template": template, "granted": 0, "spent": 0, "void": 0, "left": 0}
        )
        state = "void" if row["void"] else "spent" if row[c.MESSAGE_ID] else "left"
        one["granted"] += 1
        one[state] += 1
    return [made[one] for one in sorted(made)]


def as_utc(moment: datetime | None) -> str | None:
    """A stored moment (UTC without zone) in ISO 8601 with its zone."""
    return None if moment is None else moment.replace(tzinfo=UTC).isoformat()


def load_json(text: str | None, default: Any) -> Any:
    """What a JSON cell holds; `default` where it is empty or of another kind."""
    found = json.loads(text) if text else default
    return found if isinstance(found, type(default)) else default

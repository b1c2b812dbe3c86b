"""Tables of what is taken in, decided and sent, and of who may do it."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

data_keys = sa.Table(
    "data_keys", metadata,
    sa.Column("key_id", sa.String(64), primary_key=True, comment="party or load the key is for"),
    sa.Column("wrapped", sa.LargeBinary, nullable=False, comment="key wrapped by the vault's"),
)  # fmt: skip

leases = sa.Table(
    "leases", metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("holder", sa.String(64), nullable=False),
    sa.Column("expires_at", sa.DateTime, nullable=False),
)  # fmt: skip

turns = sa.Table(
    "turns", metadata,
    sa.Column("turn_id", sa.String(64), primary_key=True),
    sa.Column("as_of_on", sa.Date, nullable=False, index=True),
    sa.Column("state", sa.String(16), nullable=False, comment="running, done or stopped"),
    sa.Column("inputs", sa.JSON, nullable=False, comment="Delta version of every input table"),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("code_version", sa.String(32), nullable=False),
    sa.Column("started_at", sa.DateTime, nullable=False),
    sa.Column("finished_at", sa.DateTime),
)  # fmt: skip

steps = sa.Table(
    "steps", metadata,
    sa.Column("turn_id", sa.String(64), primary_key=True),
    sa.Column("job", sa.String(64), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False, comment="running or done"),
    sa.Column("seconds", sa.Float),
    sa.Column("report", sa.JSON),
)  # fmt: skip

jobs = sa.Table(
    "jobs", metadata,
    sa.Column("job_id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False, comment="turn, report, pull, test or erase"),
    sa.Column("arguments", sa.JSON, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True,
              comment="waiting, running, done or failed"),
    sa.Column("requested_by", sa.String(80), nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("leased_until", sa.DateTime),
    sa.Column("holder", sa.String(64)),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("error", sa.String(400)),
    sa.Column("result", sa.JSON),
)  # fmt: skip

QUEUED_KINDS = ("turn", "report", "pull", "test", "candidate", "judge")
"""Kinds of jobs that a worker takes."""

loads = sa.Table(
    "loads", metadata,
    sa.Column("load_id", sa.String(64), primary_key=True, comment="hash of content and mapping"),
    sa.Column("table_name", sa.String(32), nullable=False),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("file", sa.String(255), nullable=False, comment="file name without folder"),
    sa.Column("state", sa.String(16), nullable=False, comment="running or done"),
    sa.Column("rows_read", sa.Integer, nullable=False, server_default="0"),
    sa.Column("rows_loaded", sa.Integer, nullable=False, server_default="0"),
    sa.Column("rows_quarantined", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reconciliation", sa.JSON),
    sa.Column("started_at", sa.DateTime, nullable=False),
    sa.Column("finished_at", sa.DateTime),
)  # fmt: skip

write_keys = sa.Table(
    "write_keys", metadata,
    sa.Column("write_key", sa.String(64), primary_key=True,
              comment="lets a source write events and nothing else; it stands in web pages"),
    sa.Column("source", sa.String(48), nullable=False, index=True, comment="name of the source"),
    sa.Column("kind", sa.String(16), nullable=False, comment="browser, mobile or server"),
    sa.Column("user_namespace", sa.String(32), nullable=False, comment="id space of user ids"),
    sa.Column("events_per_s", sa.Integer, nullable=False, comment="rate limit; 0: none"),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("revoked_at", sa.DateTime),
)  # fmt: skip

compactions = sa.Table(
    "compactions", metadata,
    sa.Column("compaction_id", sa.String(64), primary_key=True, comment="hash of its segments"),
    sa.Column("segments", sa.JSON, nullable=False, comment="journal segments it moves"),
    sa.Column("state", sa.String(16), nullable=False, index=True, comment="running or done"),
    sa.Column("report", sa.JSON, comment="frames, events, duplicates, refused by reason"),
    sa.Column("started_at", sa.DateTime, nullable=False),
    sa.Column("finished_at", sa.DateTime),
)  # fmt: skip

tracking_plans = sa.Table(
    "tracking_plans", metadata,
    sa.Column("source", sa.String(48), primary_key=True),
    sa.Column("event", sa.String(160), primary_key=True, comment="event name"),
    sa.Column("version", sa.Integer, primary_key=True, comment="running number from 1"),
    sa.Column("mode", sa.String(16), nullable=False, comment="warn, quarantine or off"),
    sa.Column("schema", sa.JSON, nullable=False, comment="JSON Schema of the properties"),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("created_by", sa.String(80), nullable=False),
)  # fmt: skip

pulls = sa.Table(
    "pulls", metadata,
    sa.Column("source", sa.String(48), primary_key=True),
    sa.Column("stream", sa.String(160), primary_key=True,
              comment="table of the source; empty: the source as a whole"),
    sa.Column("position", sa.JSON, comment="cursor value that is in the lake"),
    sa.Column("seen", sa.LargeBinary, comment="keyed hashes of the rows in the overlap window"),
    sa.Column("rows_read", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("pulled_at", sa.DateTime, nullable=False),
    sa.Column("error", sa.String(400), comment="why the last attempt failed"),
)  # fmt: skip

arrivals = sa.Table(
    "arrivals", metadata,
    sa.Column("source", sa.String(48), primary_key=True),
    sa.Column("arrival_id", sa.String(64), primary_key=True,
              comment="hash of a file's content, or of a webhook's id"),
    sa.Column("name", sa.String(255), nullable=False, comment="file name, or topic"),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("modified_ns", sa.BigInteger, comment="of a file"),
    sa.Column("state", sa.String(16), nullable=False, index=True,
              comment="waiting, loading, done or failed"),
    sa.Column("error", sa.String(400)),
    sa.Column("arrived_at", sa.DateTime, nullable=False, index=True),
    sa.Column("key_id", sa.String(64), comment="key of the content"),
    sa.Column("content", sa.LargeBinary, comment="encrypted body until it is in the lake"),
)  # fmt: skip

consents = sa.Table(
    "consents", metadata,
    sa.Column("consent_id", sa.String(64), primary_key=True, comment="hash of the row's content"),
    sa.Column("party_id", sa.String(40), nullable=False, index=True),
    sa.Column("purpose", sa.String(32), nullable=False, comment="marketing, personalisation …"),
    sa.Column("channel", sa.String(32), nullable=False, comment="email, sms … or * for all"),
    sa.Column("granted", sa.Boolean, nullable=False),
    sa.Column("at", sa.DateTime, nullable=False),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("text_version", sa.String(64)),
    sa.Column("proof", sa.LargeBinary,
              comment="what was shown and how it came, encrypted with the party's key"),
)  # fmt: skip

consent_requests = sa.Table(
    "consent_requests", metadata,
    sa.Column("request_id", sa.String(64), primary_key=True,
              comment="hash of the request; the link that confirms it is signed"),
    sa.Column("party_id", sa.String(40), nullable=False, index=True),
    sa.Column("purpose", sa.String(32), nullable=False),
    sa.Column("channel", sa.String(32), nullable=False),
    sa.Column("language", sa.String(16), nullable=False),
    sa.Column("source", sa.String(64), nullable=False, comment="where she was asked"),
    sa.Column("text_version", sa.String(64), nullable=False),
    sa.Column("proof", sa.LargeBinary, nullable=False,
              comment="what is shown and how it came, encrypted with the party's key"),
    sa.Column("asked_at", sa.DateTime, nullable=False),
    sa.Column("asked_by", sa.String(80), nullable=False),
    sa.Column("expires_at", sa.DateTime, nullable=False),
    sa.Column("confirmed_at", sa.DateTime),
)  # fmt: skip

languages = sa.Table(
    "languages", metadata,
    sa.Column("party_id", sa.String(40), primary_key=True),
    sa.Column("language", sa.String(16), nullable=False, comment="in which she wants messages"),
    sa.Column("at", sa.DateTime, nullable=False, comment="when she chose it"),
)  # fmt: skip

suppressions = sa.Table(
    "suppressions", metadata,
    sa.Column("token", sa.String(64), primary_key=True, comment="keyed hash; survives erasure"),
    sa.Column("channel", sa.String(32), primary_key=True, comment="email, sms … or *"),
    sa.Column("reason", sa.String(32), nullable=False),
    sa.Column("at", sa.DateTime, nullable=False),
)  # fmt: skip

messages = sa.Table(
    "messages", metadata,
    sa.Column("message_id", sa.String(64), primary_key=True,
              comment="hash of campaign, step, customer and occurrence"),
    sa.Column("campaign_id", sa.String(160), nullable=False, index=True),
    sa.Column("turn_id", sa.String(64), nullable=False),
    sa.Column("party_id", sa.String(40), nullable=False, index=True),
    sa.Column("customer_id", sa.String(40), nullable=False, index=True),
    sa.Column("decision_id", sa.String(64)),
    sa.Column("channel", sa.String(32), nullable=False),
    sa.Column("language", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False,
              comment="planned, sending, sent, unknown, failed or skipped"),
    sa.Column("reason", sa.String(48), comment="why skipped or failed, a code"),
    sa.Column("planned_at", sa.DateTime, nullable=False),
    sa.Column("sent_at", sa.DateTime),
    sa.Column("receipt", sa.String(255), index=True),
    sa.Column("content", sa.LargeBinary, comment="what to render, encrypted with the party's key"),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0",
              comment="how often the provider did not take it for now"),
    sa.Column("not_before", sa.DateTime, comment="when it may be tried again; none: at once"),
    sa.Column("priority", sa.Integer, nullable=False, server_default="1",
              comment="0 transactional, 1 marketing: the lower goes first"),
    sa.Column("purpose", sa.String(32), nullable=False, server_default="marketing",
              comment="marketing, or confirmation of a consent"),
    sa.Column("address_token", sa.String(64), comment="keyed hash of the address it goes to"),
    sa.Column("variant", sa.String(32), comment="of a planned campaign: which content she gets"),
    sa.Column("unit", sa.BigInteger, index=True, comment="commit to the lake that it goes with"),
    sa.Column("copied", sa.Boolean, nullable=False, server_default=sa.false(),
              comment="whether, being sent, it stands in the lake"),
    sa.Column("segments", sa.Integer, comment="of a text message: what the provider charges for"),
    sa.Column("cost_micros", sa.BigInteger, comment="millionths of the workspace's currency"),
    sa.Column("via", sa.String(32),
              comment="channel it leaves by, where that is not its medium's: webhook"),
    sa.Column("template", sa.String(80),
              comment="of a mini-programme: whose authorisation it spends"),
    sa.Index(None, "campaign_id", "address_token"),
)  # fmt: skip
_held = messages.c.template.is_not(None)
sa.Index("ix_messages_stock", messages.c.template, messages.c.address_token,
         sqlite_where=_held, postgresql_where=_held)  # fmt: skip
_waits = ~messages.c.copied & (messages.c.state == "sent")
sa.Index("ix_messages_uncopied", messages.c.copied, sqlite_where=_waits, postgresql_where=_waits)

campaigns = sa.Table(
    "campaigns", metadata,
    sa.Column("key", sa.String(40), primary_key=True, comment="a person planned it under this"),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(16), nullable=False, index=True,
              comment="draft, approved, running, paused, done, cancelled or replaced"),
    sa.Column("reason", sa.String(80), comment="why paused: by whom, or which stop rule"),
    sa.Column("definition", sa.JSON, nullable=False, comment="as the file has it"),
    sa.Column("created_by", sa.String(80), nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("approved_by", sa.String(80)),
    sa.Column("approved_at", sa.DateTime),
    sa.Column("started_at", sa.DateTime),
    sa.Column("as_of_on", sa.Date, comment="day as of which its audience was asked"),
    sa.Column("planned_at", sa.DateTime, comment="when all its messages were planned"),
    sa.Column("counted_from", sa.DateTime, comment="the stop rule counts what is sent from here"),
    sa.Column("finished_at", sa.DateTime),
)  # fmt: skip

tasks = sa.Table(
    "tasks", metadata,
    sa.Column("message_id", sa.String(64), primary_key=True, comment="the message it stands for"),
    sa.Column("party_id", sa.String(40), nullable=False, index=True),
    sa.Column("campaign", sa.String(40), nullable=False, comment="key of the planned campaign"),
    sa.Column("store_id", sa.String(160), nullable=False, comment="whose list; empty: central"),
    sa.Column("state", sa.String(16), nullable=False,
              comment="open, taken, done, missed, refused, expired or withdrawn"),
    sa.Column("reason", sa.String(48), comment="why withdrawn, a code"),
    sa.Column("put_at", sa.DateTime, nullable=False),
    sa.Column("not_before", sa.DateTime, comment="not reached: when it comes back"),
    sa.Column("until", sa.DateTime, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0", comment="in vain"),
    sa.Column("taken_by", sa.String(80)), sa.Column("taken_until", sa.DateTime),
    sa.Column("answered_by", sa.String(80)), sa.Column("answered_at", sa.DateTime),
    sa.Column("content", sa.LargeBinary, comment="why, what to offer; encrypted for the party"),
    sa.Column("note", sa.LargeBinary, comment="what was noted; encrypted for the party"),
    sa.Index(None, "store_id", "state"), sa.Index(None, "campaign", "state"),
)  # fmt: skip

reactions = sa.Table(
    "reactions", metadata,
    sa.Column("reaction_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("message_id", sa.String(64), nullable=False, index=True),
    sa.Column("party_id", sa.String(40), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False,
              comment="open, click, delivered, bounce, delay, complaint, unsubscribe, survey …"),
    sa.Column("at", sa.DateTime, nullable=False),
    sa.Column("machine", sa.String(16), comment="why it was no person, a code; none: a person"),
    sa.Column("link", sa.String(400), comment="where a click led, without query"),
    sa.Column("detail", sa.String(64),
              comment="status code of a bounce, kind of a complaint, survey and score"),
    sa.Column("event_key", sa.String(64), unique=True,
              comment="hash of the provider's id, by which a repeat is recognised"),
    sa.Column("unit", sa.BigInteger, index=True, comment="commit to the lake that it goes with"),
    sa.Column("copied", sa.Boolean, nullable=False, server_default=sa.false(),
              comment="whether it stands in the lake"),
)  # fmt: skip
_came = ~reactions.c.copied
sa.Index("ix_reactions_uncopied", reactions.c.copied, sqlite_where=_came, postgresql_where=_came)

journeys = sa.Table(
    "journeys", metadata,
    sa.Column("key", sa.String(48), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(16), nullable=False,
              comment="draft, published, paused, replaced (by a newer version) or ended"),
    sa.Column("definition", sa.JSON, nullable=False),
    sa.Column("digest", sa.String(16), nullable=False, comment="hash of the definition"),
    sa.Column("position", sa.JSON, comment="how far it has read what brings people in"),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("created_by", sa.String(80), nullable=False),
    sa.Column("changed_at", sa.DateTime, nullable=False, comment="of the state"),
    sa.Column("changed_by", sa.String(80), nullable=False),
)  # fmt: skip

journey_people = sa.Table(
    "journey_people", metadata,
    sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True,
              autoincrement=True),
    sa.Column("journey", sa.String(48), nullable=False),
    sa.Column("version", sa.Integer, nullable=False, comment="she stays on it"),
    sa.Column("party_id", sa.String(40), nullable=False),
    sa.Column("occurrence", sa.String(64), nullable=False,
              comment="what brought her in: an event, a year, a day: it does so once"),
    sa.Column("entered_s", sa.BigInteger, nullable=False, comment="seconds since 1970, UTC"),
    sa.Column("reason", sa.String(24), comment="why she left, a code; none: she is in it"),
    sa.UniqueConstraint("journey", "party_id", "occurrence"),
)  # fmt: skip
_inside = journey_people.c.reason.is_(None)
sa.Index("uq_journey_people_inside", journey_people.c.journey, journey_people.c.party_id,
         unique=True, sqlite_where=_inside, postgresql_where=_inside)  # fmt: skip
sa.Index("ix_journey_people_party_id", journey_people.c.party_id)

journey_places = sa.Table(  # narrow and with one index more: ticks change nothing but its rows
    "journey_places", metadata,
    sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True,
              autoincrement=False, comment="of journey_people; gone when she leaves"),
    sa.Column("journey", sa.String(48), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("step", sa.Integer, nullable=False, comment="place of her step, 0: before the first"),
    sa.Column("lot", sa.BigInteger, nullable=False, comment="drawn at entry, for random splits"),
    sa.Column("since_s", sa.BigInteger, nullable=False, comment="when she came to the step"),
    sa.Column("due_s", sa.BigInteger, nullable=False,
              comment="when she goes on; seconds, so that every database adds to it alike"),
)  # fmt: skip
sa.Index("ix_journey_places_due", *(
    journey_places.c[one] for one in ("journey", "version", "step", "due_s", "entry_id")
))  # fmt: skip

journey_counts = sa.Table(
    "journey_counts", metadata,
    sa.Column("journey", sa.String(48), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("step", sa.String(48), primary_key=True, comment="name of the step, or entry"),
    sa.Column("what", sa.String(24), primary_key=True, comment="what was counted, a code"),
    sa.Column("n", sa.BigInteger, nullable=False),
)  # fmt: skip

api_keys = sa.Table(
    "api_keys", metadata,
    sa.Column("key_id", sa.String(16), primary_key=True, comment="public prefix of the key"),
    sa.Column("hash", sa.String(64), nullable=False, comment="SHA-256 of the key"),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("store_id", sa.String(160), comment="of shop staff: whose tasks they see"),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("revoked_at", sa.DateTime),
)  # fmt: skip

audit = sa.Table(
    "audit", metadata,
    sa.Column("entry_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.DateTime, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("action", sa.String(48), nullable=False),
    sa.Column("detail", sa.JSON, nullable=False, comment="no personal data, no party id"),
)  # fmt: skip

"""Tables of the ledger: the transactional state (SQLAlchemy Core; migrations in `store`).

Rooms build statements on these tables in their `ledger.py`; nobody writes SQL text.
Times are stored as UTC without zone.
"""

from zhiyin.core.ledger.chats import authorisations, mass_sends
from zhiyin.core.ledger.experiments import experiments
from zhiyin.core.ledger.points import decision_points, policies
from zhiyin.core.ledger.reviews import reviews
from zhiyin.core.ledger.steps import decision_requests, journey_calls
from zhiyin.core.ledger.tables import (
    QUEUED_KINDS,
    api_keys,
    arrivals,
    audit,
    campaigns,
    compactions,
    consent_requests,
    consents,
    data_keys,
    jobs,
    journey_counts,
    journey_people,
    journey_places,
    journeys,
    languages,
    leases,
    loads,
    messages,
    metadata,
    pulls,
    reactions,
    steps,
    suppressions,
    tasks,
    tracking_plans,
    turns,
    write_keys,
)
from zhiyin.core.ledger.understood import (
    audiences,
    guest_models,
    manual_tags,
    membership_changes,
    model_promotions,
    model_versions,
    tag_definitions,
)

__all__ = [
    "QUEUED_KINDS",
    "api_keys",
    "arrivals",
    "audiences",
    "audit",
    "authorisations",
    "campaigns",
    "compactions",
    "consent_requests",
    "consents",
    "data_keys",
    "decision_points",
    "decision_requests",
    "experiments",
    "guest_models",
    "jobs",
    "journey_calls",
    "journey_counts",
    "journey_people",
    "journey_places",
    "journeys",
    "languages",
    "leases",
    "loads",
    "manual_tags",
    "mass_sends",
    "membership_changes",
    "messages",
    "metadata",
    "model_promotions",
    "model_versions",
    "policies",
    "pulls",
    "reactions",
    "reviews",
    "steps",
    "suppressions",
    "tag_definitions",
    "tasks",
    "tracking_plans",
    "turns",
    "write_keys",
]

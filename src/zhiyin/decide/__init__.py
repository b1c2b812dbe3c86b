"""Whom to contact with what: actions, policies that choose and learn, selection, offers; every
decision logged.
"""

__all__ = [
    "actions",
    "conditions",
    "holdout",
    "job",
    "offer",
    "policy",
    "reasons",
    "requests",
    "rewards",
    "selection",
    "slates",
]

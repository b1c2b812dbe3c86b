"""Whom to contact with what: actions, policies that choose and learn, selection, offers; every
decision logged.

`offpolicy` judges a policy by the log of another one, `ramp` lets it take over step by step,
`budget` divides what is short among all customers.
"""

__all__ = [
    "actions",
    "budget",
    "conditions",
    "holdout",
    "job",
    "offer",
    "offpolicy",
    "policy",
    "ramp",
    "reasons",
    "requests",
    "rewards",
    "selection",
    "slates",
]

"""Whom to contact with what: selection by expected profit, offers, every decision logged.

`offpolicy` judges a policy by the log of another one, `ramp` lets it take over step by step,
`budget` divides what is short among all customers.
"""

__all__ = [
    "bandit", "budget", "holdout", "job", "offer", "offpolicy", "ramp", "reasons", "requests",
    "selection",
]  # fmt: skip

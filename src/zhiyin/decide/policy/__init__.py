"""Policies by name: from a rule to one that learns, each with the true propensity of its choice.

    p = make("linear_thompson", ("none", "coupon", "gift"), width=4)
    choice = p.choose(context, rng=rng)           # Choice(action, propensity, explored)
    p.update(context, choice.action, reward)

Others add theirs by the entry point group `zhiyin.policies`; a policy is done when
`zhiyin.testing.policy_contract` passes.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from zhiyin.core.artifact import version_of
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.protocols import Policy
from zhiyin.core.registry import Registry
from zhiyin.core.values import Choice, Choices
from zhiyin.decide.policy.history import Taught, warm_start
from zhiyin.decide.policy.scaling import Scaling

__all__ = [
    "POLICIES",
    "Choice",
    "Choices",
    "Scaling",
    "Taught",
    "make",
    "restore",
    "version",
    "warm_start",
]

_HERE = "zhiyin.decide.policy"
POLICIES = Registry(
    "policy",
    {
        "rules": f"{_HERE}.ranked:Rules",
        "greedy": f"{_HERE}.ranked:Greedy",
        "uplift_greedy": f"{_HERE}.ranked:UpliftGreedy",
        "epsilon_greedy": f"{_HERE}.learned:EpsilonGreedy",
        "linucb": f"{_HERE}.learned:LinUcb",
        "linear_thompson": f"{_HERE}.learned:LinearThompson",
        "logistic_thompson": f"{_HERE}.learned:LogisticThompson",
        "thompson": f"{_HERE}.thompson:Thompson",
        "linear_scores": f"{_HERE}.weighted:LinearScores",
        "softmax": f"{_HERE}.weighted:Softmax",
    },
)


def make(name: str, actions: Sequence[str], **settings: Any) -> Policy:
    """The policy of a name over named actions, with its settings.

    Raises
    ------
    NotFound
        If no policy has the name.
    InvalidParameter
        If it lacks a setting, does not know one, or one is out of range.
    """
    kind = POLICIES.load(name)
    known = inspect.signature(kind).parameters
    needed = {n for n, one in known.items() if one.default is one.empty and n != "actions"}
    unknown, missing = settings.keys() - known.keys(), needed - settings.keys()
    if unknown or missing:
        wrong = f"does not know {sorted(unknown)}" if unknown else f"needs {sorted(missing)}"
        raise InvalidParameter(
            f"the policy {name} {wrong}",
            hint=f"its settings: {', '.join(one for one in known if one != 'actions')}",
        )
    return kind(actions, **settings)


def restore(artifact: Mapping[str, Any]) -> Policy:
    """The policy that `to_artifact` described; `core.artifact` makes bytes of it and back."""
    return POLICIES.load(artifact["policy"]).from_artifact(artifact)


def version(policy: Policy) -> str:
    """Its name and twelve digits that name what it was made with and what it has learned."""
    return f"{policy.name}-{version_of(policy.to_artifact())}"

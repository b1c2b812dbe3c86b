"""A decision point as the ledger has it, ready to choose."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from zhiyin.core.errors import ZhiyinError
from zhiyin.core.log import get_logger
from zhiyin.decide.candidates.ledger import ramping
from zhiyin.decide.points import ledger
from zhiyin.decide.points.point_policy import PointPolicy, fits, unpack_policy
from zhiyin.decide.points.served import Rising, Served

Open = Callable[[sa.Connection, str, int], PointPolicy | None]
"""The policy of a point and a number; None: it cannot be opened here."""


def open_policy(connection: sa.Connection, key: str, number: int) -> PointPolicy | None:
    """The policy of a number; None: this process cannot open it, which stops no other point."""
    try:
        return unpack_policy(ledger.artifact_of(connection, key, number))
    except ZhiyinError as error:
        get_logger().error("the policy %s of %s cannot be opened: %s", number, key, error.code)
        return None


def read_served(
    connection: sa.Connection, one: ledger.Stored, *, open_one: Open = open_policy
) -> Served:
    """The point with its current policy and the one that is taking over.

    A policy that sees other numbers than the point now has, or other actions, is none.
    """

    def policy_of(number: int) -> PointPolicy | None:
        policy = open_one(connection, one.key, number)
        return policy if policy is not None and fits(policy, one.definition) else None

    spoken = ledger.current(connection, one.key)
    policy = None if spoken is None else policy_of(spoken.number)
    new, rising = ramping(connection, one.key), None
    stand = new and new.stand()
    if new is not None and stand is not None and stand.share > 0:
        taking = policy_of(new.number)
        rising = taking and Rising(new.number, stand.stage, stand.share, taking)
    return Served(
        one.definition, version=one.version, paused=one.state == ledger.PAUSED, policy=policy,
        given=one.given, rising=rising,
    )  # fmt: skip

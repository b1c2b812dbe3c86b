"""What a tracking request would become, said at once: for developers, nothing is written."""

from __future__ import annotations

from dataclasses import dataclass

from zhiyin.collect.plan import Checks
from zhiyin.collect.received import Received
from zhiyin.collect.tracking import PLACES, Refused, read_request


@dataclass(frozen=True)
class Item:
    """One event of a request. `reason`: why it is refused, None where it is kept."""

    place: int
    reason: str | None
    findings: tuple[str, ...]


def check_request(received: Received, checks: Checks | None = None) -> list[Item]:
    """Every event of the request with its reason or findings, in their order.

    What only the lake knows (duplicates, exchange rates, products) is not looked at.
    """
    made: list[Item] = []
    for one in read_request(received, 0):
        if isinstance(one, Refused):
            made.append(Item(one.line_no % PLACES, one.reason, ()))
            continue
        findings, refuse = ((), False) if checks is None else checks(received.source, one)
        reason = "against_plan" if refuse else None
        made.append(Item(one.line_no % PLACES, reason, (*one.findings, *findings)))
    return made

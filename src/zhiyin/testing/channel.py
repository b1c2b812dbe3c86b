"""A channel that only remembers, for tests; it fails when and how it is told to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from zhiyin.core.errors import DeliveryError


@dataclass(frozen=True)
class Delivered:
    """One message as it was handed over."""

    recipient: str = field(repr=False)
    content: bytes = field(repr=False)


class RecordingChannel:
    """Implements `core.protocols.Channel` in memory.

    Parameters
    ----------
    supports
        What it says it can do; without `lookup` it never tells.
    errors
        What to raise at an attempt, by its number from 0.
    kept
        Numbers of the attempts whose message it keeps although it raises, as a provider does
        whose answer is lost.
    refused
        Recipients it refuses for good.
    """

    name = "recording"

    def __init__(
        self,
        *,
        supports: Collection[str] = ("lookup", "idempotency"),
        errors: Mapping[int, BaseException] | None = None,
        kept: Collection[int] = (),
        refused: Collection[str] = (),
    ) -> None:
        self.supports = frozenset(supports)
        self.delivered: dict[str, list[Delivered]] = {}
        self.attempts: list[str] = []
        self._errors = dict(errors or {})
        self._kept = frozenset(kept)
        self._refused = frozenset(refused)

    def send(self, message_id: str, recipient: str, content: bytes) -> str:
        """Remember one message, or raise what was asked for."""
        number = len(self.attempts)
        self.attempts.append(message_id)
        if recipient in self._refused:
            raise DeliveryError("the recipient was refused")
        error = self._errors.get(number)
        if error is None or number in self._kept:
            known = self.delivered.setdefault(message_id, [])
            if not known or "idempotency" not in self.supports:
                known.append(Delivered(recipient, content))
        if error is not None:
            raise error
        return f"recorded {number}"

    def lookup(self, message_id: str) -> bool | None:
        """Whether it was given the message; None unless it supports `lookup`."""
        return message_id in self.delivered if "lookup" in self.supports else None

    def close(self) -> None:
        """Nothing to give back."""

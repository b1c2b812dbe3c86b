"""What a job is given: one frozen value, no globals."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from logging import Logger

from zhiyin.core.clock import Clock
from zhiyin.core.config import Settings
from zhiyin.core.log import get_logger
from zhiyin.core.protocols import Channel, Online, Progress, Store, Vault
from zhiyin.core.rng import Streams


def _quiet(what: str, share: float) -> None:
    return None


@dataclass(frozen=True)
class Context:
    """Everything a job may use. `clock` is the run's clock: `as_of` 09:00 local."""

    settings: Settings
    store: Store
    vault: Vault
    clock: Clock
    rng: Streams
    as_of: date
    turn_id: str
    channel: Channel | None = None  # where `act` may deliver; None: messages stay planned
    progress: Progress = _quiet
    online: Online | None = None  # where what requests look up is published; None: nowhere
    numbers: Online | None = None  # the same for what decisions look up
    log: Logger = field(default_factory=get_logger)

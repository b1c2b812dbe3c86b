"""Tells staff what they should know, in the group that the settings name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from zhiyin.act.alerts import (
    DELIVERY,
    Alert,
    find_alerts,
    leave_told,
    note_told,
    write_alerts,
)
from zhiyin.act.channels import NOTIFIERS
from zhiyin.app import Workspace
from zhiyin.core.errors import ConfigError, ZhiyinError
from zhiyin.core.log import get_logger
from zhiyin.core.protocols import Channel
from zhiyin.store.ledger import reading, transaction

REST_S = 600.0


def of_error(name: str, error: ZhiyinError) -> Alert:
    """A delivery that cannot go on."""
    return Alert(DELIVERY, f"{name} {error.code}", {"name": name, "why": error.message})


def list_alerts(shop: Workspace) -> list[Alert]:
    """What there is to know now, told already or not."""
    with reading(shop.store.ledger) as connection:
        return find_alerts(
            connection, now=shop.clock.now(), stuck_hours=shop.settings.act.alert_stuck_hours
        )


def tell_staff(shop: Workspace, more: Sequence[Alert] = (), *, repeat: bool = False) -> list[Alert]:
    """Tell what is new in one message; what was told. Nothing happens where nobody is to be told.

    Parameters
    ----------
    more
        What the ledger does not know of: a delivery that cannot go on.
    repeat
        Also what was told already.

    Raises
    ------
    DeliveryError
        If the message did not go; it is told the next time.
    ConfigError
        If the robot is not configured.
    """
    if not shop.settings.act.alerts:
        return []
    now, found = shop.clock.now(), [*list_alerts(shop), *more]
    with reading(shop.store.ledger) as connection:
        fresh = found if repeat else leave_told(connection, found, now=now)
    if not fresh:
        return []
    message = write_alerts(
        fresh, shop=shop.settings.name, language=shop.settings.languages[0]
    )  # fmt: skip
    named = "|".join(f"{one.kind} {one.key}" for one in fresh)
    message_id = "a_" + hashlib.sha256(f"{named} {now}".encode()).hexdigest()[:32]
    robot = open_notifier(shop)
    try:
        robot.send(message_id, "", message.content())
    finally:
        robot.close()
    with transaction(shop.store.ledger) as connection:
        note_told(connection, fresh, now=now)
    return fresh


class Staff:
    """Tells staff again and again; a group that cannot be reached is left alone for a while."""

    def __init__(self, shop: Workspace) -> None:
        self._shop, self._rest_until = shop, 0.0

    def tell(self, more: Sequence[Alert] = ()) -> None:
        """Tell what is new; where that cannot be done now, a later look does it."""
        now = self._shop.clock.monotonic()
        if now < self._rest_until:
            return
        try:
            tell_staff(self._shop, more)
        except ZhiyinError as error:
            self._rest_until = now + REST_S
            get_logger().error("staff is not told: %s: %s", error.code, error.message)


def open_notifier(shop: Workspace) -> Channel:
    """Where staff is told.

    Raises
    ------
    ConfigError
        If the settings name nothing, or it is not configured.
    """
    settings = shop.settings.act
    if not settings.alerts:
        raise ConfigError("nobody is to be told", hint='set alerts = "dingtalk" under [act]')
    return NOTIFIERS.load(settings.alerts)(settings, folder=shop.folder)

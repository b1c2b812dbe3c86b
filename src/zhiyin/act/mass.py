"""Delivers messages that a member of staff must confirm: one call for all who get the same.

    sending → sent, `unconfirmed` → sent | failed (no contact any more, the platform's limit)
       └──→ unknown → looked for among the mass messages of that time

Before a call its batch stands in `mass_sends`, and its messages name it in `receipt`; afterwards
they name the platform's id. What a crash leaves open is sent where the platform has a mass message
for the same people; where it has none at all of that time, it is planned again.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any, cast

import sqlalchemy as sa

from zhiyin.act import ledger
from zhiyin.act.delivery import (
    GIVE_UP_AFTER,
    Desk,
    Letter,
    claim,
    deliver_planned,
    failed,
    open_letters,
    reconcile,
    settle,
    write_for,
)
from zhiyin.act.ledger import Outcome
from zhiyin.act.mass_ledger import (
    SURE_AFTER,
    MassSend,
    add_mass_send,
    find_mass_sends,
    is_known,
    set_provider_id,
)
from zhiyin.act.reasons import UNCONFIRMED
from zhiyin.core.clock import naive_utc
from zhiyin.core.errors import ChannelUnavailable, DeliveryError, InvalidParameter, NotFound
from zhiyin.core.protocols import MassChannel, Progress
from zhiyin.govern.suppression import Tokens

MASS = "mass"
MOST = 10_000
_SLACK = timedelta(minutes=5)  # by which the platform's clock may differ
_Group = tuple[str, str]  # member, text


def deliver_due(
    desk: Desk, campaign_id: str, *, progress: Progress, only_doubts: bool = False
) -> None:
    """Settle what is in doubt, then (unless `only_doubts`) deliver what is due, in the way of the
    desk's channel; raises as `deliver_planned`.
    """
    mass = MASS in desk.channel.supports
    (reconcile_mass if mass else reconcile)(desk, campaign_id)
    if not only_doubts:
        (deliver_mass if mass else deliver_planned)(desk, campaign_id, progress=progress)


def reconcile_mass(desk: Desk, campaign_id: str) -> int:
    """Settle what an earlier run left in doubt; how many messages are in doubt still."""
    with desk.begin() as connection:
        ledger.doubt_messages(connection, campaign_id)
        rows = ledger.read_messages(connection, campaign_id, states=[ledger.UNKNOWN], **desk.mine)
        batches = find_mass_sends(connection, sorted({row.receipt for row in rows if row.receipt}))
    outcomes = [  # cut short before the call was noted, so it was never made
        Outcome(row.message_id, ledger.PLANNED) for row in rows if not row.receipt
    ]
    for batch in batches:
        mine = [row for row in rows if row.receipt == batch.batch_id]
        outcomes += _resolve(desk, batch, mine)
    with desk.begin() as connection:
        ledger.settle_messages(connection, outcomes, before=ledger.UNKNOWN)
    return len(rows) - len(outcomes)


def deliver_mass(desk: Desk, campaign_id: str, *, progress: Progress) -> None:
    """Hand over every planned message of the campaign that is due, in one call for each text and
    member.

    Raises
    ------
    ChannelUnavailable
        If it is so several times in a row; what was not handed over stays planned.
    """
    after, failures, tried = (-1, ""), 0, 0
    due_at = naive_utc(desk.clock.now())
    with desk.begin() as connection:
        waiting = max(ledger.count_messages(connection, [campaign_id])["open"], 1)
    while desk.watch.between():
        with desk.begin() as connection:
            rows = ledger.read_messages(
                connection, campaign_id, states=[ledger.PLANNED], after=after, due_at=due_at,
                limit=MOST, **desk.mine,
            )  # fmt: skip
        if not rows:
            return
        progress("sending", min(tried / waiting, 1.0))
        failures = _deliver_chunk(desk, claim(desk, open_letters(desk, rows)), failures)
        tried, after = tried + len(rows), (rows[-1].priority, rows[-1].message_id)


def _deliver_chunk(desk: Desk, mine: Sequence[Letter], failures: int) -> int:
    """Hand over what was claimed, group by group; how many times in a row the channel failed."""
    groups, left = _grouped(desk, mine)
    for key in sorted(groups):
        if failures >= GIVE_UP_AFTER or not desk.watch.within():
            break
        error = _hand_over(desk, key, groups[key])
        left.difference_update(one.row.message_id for one in groups[key])
        failures = failures + 1 if isinstance(error, ChannelUnavailable) else 0
        if error is not None and failures >= GIVE_UP_AFTER:
            _put_back(desk, left)
            raise error
    _put_back(desk, left)
    return failures


def _grouped(desk: Desk, mine: Sequence[Letter]) -> tuple[dict[_Group, list[Letter]], set[str]]:
    """Letters by member and text, and the ids of all of them; what cannot be written has failed."""
    groups: dict[_Group, list[Letter]] = defaultdict(list)
    broken: list[Outcome] = []
    for one in mine:
        try:
            text = write_for(desk, one).text
        except (InvalidParameter, NotFound, KeyError):
            broken.append(Outcome(one.row.message_id, ledger.FAILED, "template"))
            continue
        groups[one.person.member or desk.settings.act.wecom_member, text].append(one)
    settle(desk, broken)
    return groups, {one.row.message_id for held in groups.values() for one in held}


def _hand_over(desk: Desk, key: _Group, letters: Sequence[Letter]) -> DeliveryError | None:
    """One call for a group: noted before, settled after."""
    member, text = key
    ids = sorted(one.row.message_id for one in letters)
    first = letters[0]
    content = write_for(desk, first).content()
    at = desk.clock.now()
    batch = MassSend(
        "b_" + hashlib.sha256("|".join(ids).encode()).hexdigest()[:32],
        first.row.campaign_id, first.row.channel, member, len(ids),
        desk.vault.token(MASS, text), naive_utc(at),
    )  # fmt: skip
    with desk.begin() as connection:
        add_mass_send(connection, batch, ids)
    channel = cast("MassChannel", desk.channel)
    try:
        made = channel.send_all([one.person.address for one in letters], content, member=member)
    except InvalidParameter:
        bad = [Outcome(one, ledger.FAILED, "bad_address") for one in ids]
        settle(desk, bad)
        return None
    except DeliveryError as error:
        ended = [failed(desk, one.row, error) for one in letters]
        if error.in_doubt:  # by its batch it is looked for
            ended = [replace(one, receipt=batch.batch_id) for one in ended]
        settle(desk, ended)
        return error
    sent_at = naive_utc(at)
    done = [
        Outcome(one.row.message_id, ledger.FAILED, "refused", sent_at=sent_at)
        if one.person.address in made.left_out
        else Outcome(one.row.message_id, ledger.SENT, UNCONFIRMED, sent_at=sent_at,
                     receipt=made.provider_id)
        for one in letters
    ]  # fmt: skip
    with desk.begin() as connection:
        ledger.settle_messages(connection, done, before=ledger.SENDING)
        set_provider_id(connection, batch.batch_id, made.provider_id)
    return None


def _put_back(desk: Desk, ids: set[str]) -> None:
    settle(desk, [Outcome(one, ledger.PLANNED) for one in sorted(ids)])


def _resolve(desk: Desk, batch: MassSend, rows: Sequence[sa.Row[Any]]) -> list[Outcome]:
    """What the platform tells of a batch whose call was cut short; nothing where it does not."""
    now, channel = naive_utc(desk.clock.now()), cast("MassChannel", desk.channel)
    since, until = batch.asked_at - _SLACK, batch.asked_at + SURE_AFTER
    known = Tokens(desk.vault, desk.terms.namespace)
    try:
        listed = channel.find(
            since=since.replace(tzinfo=UTC), until=until.replace(tzinfo=UTC)
        )  # fmt: skip
        with desk.begin() as connection:
            strange = [pair for pair in listed if not is_known(connection, pair[0])]
        for provider_id, text in strange:
            if desk.vault.token(MASS, text) != batch.digest:
                continue
            theirs = channel.outcomes(provider_id, member=batch.member)
            tokens = {known.of_address(one.recipient) for one in theirs}
            if any(row.address_token in tokens for row in rows):
                with desk.begin() as connection:
                    set_provider_id(connection, batch.batch_id, provider_id)
                return [_found(row, batch, provider_id, tokens) for row in rows]
    except DeliveryError:
        return []
    if not strange and now >= until:
        return [Outcome(row.message_id, ledger.PLANNED) for row in rows]
    return []


def _found(row: sa.Row[Any], batch: MassSend, provider_id: str, tokens: set[str]) -> Outcome:
    if row.address_token not in tokens:
        return Outcome(row.message_id, ledger.FAILED, "refused", sent_at=batch.asked_at)
    return Outcome(
        row.message_id, ledger.SENT, UNCONFIRMED, sent_at=batch.asked_at, receipt=provider_id
    )

"""What staff should know of: campaigns that stopped or are done, deliveries that cannot go on,
journeys where people are stuck or whose systems take no calls, mass messages that nobody confirms,
models of customer value, churn or the next purchase that no longer tell what then happens, sales
that changed more than usual, policies that were taken back. No customer is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from zhiyin.act.campaigns.ledger import DONE, PAUSED, Campaign, list_campaigns
from zhiyin.act.campaigns.watch import STOP_RULE
from zhiyin.act.create.text_message import TextMessage
from zhiyin.act.journeys.calls import read_failed
from zhiyin.act.journeys.ledger import PAUSED as JOURNEY_PAUSED
from zhiyin.act.journeys.ledger import read_stuck
from zhiyin.act.ledger import FAILED, SENT, UNKNOWN, count_messages
from zhiyin.act.mass_ledger import open_mass_sends
from zhiyin.core.clock import naive_utc
from zhiyin.core.decay import DECAYED
from zhiyin.core.ledger import audit, steps, turns

STOPPED, ENDED, DELIVERY, STUCK, MEMBERS = "stopped", "ended", "delivery", "stuck", "members"
CALLS, VALUE, MODEL, TAKEN_BACK = "calls", "value", "model", "taken_back"
TREND = "trend"
WORDS = {
    STOPPED: ("Campaign {name} was stopped by its rule: {why}", "活动 {name} 触发停止规则：{why}"),
    ENDED: (
        "Campaign {name} is done: {sent} sent, {failed} failed, {unknown} in doubt, "
        "{skipped} skipped",
        "活动 {name} 已完成：已发送 {sent}，失败 {failed}，状态不明 {unknown}，跳过 {skipped}",
    ),
    DELIVERY: ("The delivery of {name} cannot go on: {why}", "{name} 的发送已停止：{why}"),
    STUCK: ("Journey {name}: {n} people should have gone on long ago",
            "旅程 {name}：{n} 人长时间未能继续"),
    CALLS: ("Journey {name}: {n} calls of its step {step} failed within a day",
            "旅程 {name}：步骤 {step} 一天内有 {n} 次回调失败"),
    VALUE: ("{en}", "{zh}"),  # in the words of the turn
    MODEL: ("{en}", "{zh}"),
    TREND: ("{en}", "{zh}"),
    TAKEN_BACK: ("Policy {number} at {point} was taken back by itself: {why}",
                 "决策点 {point} 的策略 {number} 已自动回滚：{why}"),
    MEMBERS: ("{name} has not confirmed {n} mass messages for a day",
              "{name} 有 {n} 条群发消息超过一天未确认"),
}  # fmt: skip
"""Kind → (en, zh)."""
AGAIN = {DELIVERY: timedelta(hours=6)} | dict.fromkeys((STUCK, CALLS, MEMBERS), timedelta(days=1))
"""After so long the same is told again; what is not named here is told once."""
TOLD, REMEMBERED = "alert.told", timedelta(days=30)
_RECENT = timedelta(days=1)  # what ended before is no news
_MOST = 1_000
_TITLES = ("{shop}: {n} to look at", "{shop}：{n} 条提醒")


@dataclass(frozen=True)
class Alert:
    """One thing to know; `key` tells repeats of it, `values` fill the words of its kind."""

    kind: str
    key: str
    values: Mapping[str, str | int]

    def text(self, language: str) -> str:
        """As a sentence, in `en` or `zh`."""
        return WORDS[self.kind][language == "zh"].format(**self.values)


def find_alerts(connection: sa.Connection, *, now: datetime, stuck_hours: int) -> list[Alert]:
    """What the ledger tells of at a moment (aware)."""
    made = [
        one
        for campaign in list_campaigns(connection)
        if (one := _of_campaign(connection, campaign, now)) is not None
    ]
    before_s = int((now - timedelta(hours=stuck_hours)).timestamp())
    rows = read_stuck(connection, before_s=before_s, limit=_MOST)
    stuck = Counter(row.journey for row in rows if row.state != JOURNEY_PAUSED)
    made += [Alert(STUCK, key, {"name": key, "n": stuck[key]}) for key in sorted(stuck)]
    made += [
        Alert(
            CALLS, f"{row.journey} {row.step}", {"name": row.journey, "step": row.step, "n": row.n}
        )
        for row in read_failed(connection, since=naive_utc(now - _RECENT))
    ]
    waiting = open_mass_sends(
        connection, since=naive_utc(now - REMEMBERED), looked_before=naive_utc(now),
        until=naive_utc(now - _RECENT),
    )  # fmt: skip
    members = Counter(member or "?" for _, _, member in waiting)
    made += [Alert(MEMBERS, one, {"name": one, "n": members[one]}) for one in sorted(members)]
    made += _of_value(connection) + _of_models(connection) + _of_trends(connection)
    return made + _of_ramps(connection, now)


def leave_told(connection: sa.Connection, found: Sequence[Alert], *, now: datetime) -> list[Alert]:
    """Those that were not told yet, or long enough ago to be told again."""
    since = naive_utc(now - REMEMBERED)
    query = sa.select(audit.c.at, audit.c.detail).where(audit.c.action == TOLD, audit.c.at >= since)
    last: dict[tuple[str, str], datetime] = {}
    for row in connection.execute(query.order_by(audit.c.entry_id)):
        last[row.detail["kind"], row.detail["key"]] = row.at.replace(tzinfo=UTC)
    return [
        one
        for one in found
        if (at := last.get((one.kind, one.key))) is None
        or now - at >= AGAIN.get(one.kind, REMEMBERED)
    ]


def note_told(connection: sa.Connection, told: Sequence[Alert], *, now: datetime) -> None:
    """Keep in the audit log that staff was told."""
    rows = [
        {"at": naive_utc(now), "actor": "alerts", "action": TOLD,
         "detail": {"kind": one.kind, "key": one.key}}
        for one in told
    ]  # fmt: skip
    if rows:
        connection.execute(audit.insert(), rows)


def write_alerts(alerts: Sequence[Alert], *, shop: str, language: str) -> TextMessage:
    """One message with all of them, as a list."""
    title = _TITLES[language == "zh"].format(shop=shop, n=len(alerts))
    lines = "\n".join(f"- {one.text(language)}" for one in alerts)
    return TextMessage(f"#### {title}\n{lines}", {"title": title})


def _of_value(connection: sa.Connection) -> list[Alert]:
    """What the latest turn says of the model of customer value, where it is out of bounds."""
    told = _latest_figures(connection, "understand.models").get("value", {}).get("decay", {})
    if told.get("status") != DECAYED:
        return []
    return [Alert(VALUE, told["model_version"], told["words"])]


def _of_models(connection: sa.Connection) -> list[Alert]:
    """Models of churn and the next purchase that speak and do not keep what they promised."""
    return [
        Alert(MODEL, f"{one['task']} {one['model_version']}", one["words"])
        for one in _latest_figures(connection, "measure").get("decay", [])
        if one["status"] == DECAYED
    ]


def _of_trends(connection: sa.Connection) -> list[Alert]:
    """Odd days, changes of level, and four weeks that differ more than usual, with why."""
    told = _latest_figures(connection, "measure").get("trend", {}).get("told", [])
    return [Alert(TREND, one["key"], one["words"]) for one in told]


def _latest_figures(connection: sa.Connection, job: str) -> dict[str, Any]:
    """What a job of the latest turn that did it reported."""
    latest = (
        sa.select(steps.c.report)
        .join(turns, turns.c.turn_id == steps.c.turn_id)
        .where(steps.c.job == job, steps.c.state == "done")
        .order_by(turns.c.as_of_on.desc(), turns.c.started_at.desc())
        .limit(1)
    )
    return (connection.execute(latest).scalar() or {}).get("figures", {})


def _of_ramps(connection: sa.Connection, now: datetime) -> list[Alert]:
    """Policies that were taking over at a decision point, and were lately taken back."""
    since = naive_utc(now - _RECENT)
    query = sa.select(audit.c.detail).where(audit.c.action == "ramp.step", audit.c.at >= since)
    steps_back = [
        row.detail
        for row in connection.execute(query.order_by(audit.c.entry_id))
        if row.detail["status"] == "rolled_back"
    ]
    return [
        Alert(
            TAKEN_BACK, f"{one['point']} {one['number']}",
            {"point": one["point"], "number": one["number"], "why": one["reason"]},
        )
        for one in steps_back
    ]  # fmt: skip


def _of_campaign(connection: sa.Connection, campaign: Campaign, now: datetime) -> Alert | None:
    name = campaign.definition.name or campaign.key
    own = f"{campaign.key}@{campaign.version}"
    if campaign.state == PAUSED and _by_rule(connection, campaign):
        key = f"{own} {campaign.counted_from}"
        return Alert(STOPPED, key, {"name": name, "why": campaign.reason or ""})
    ended = campaign.finished_at
    if campaign.state != DONE or ended is None or ended < naive_utc(now - _RECENT):
        return None
    counts = count_messages(connection, [campaign.campaign_id])
    skipped = sum(counts["skipped"].values())
    values = {one: counts[one] for one in (SENT, FAILED, UNKNOWN)} | {"skipped": skipped}
    return Alert(ENDED, own, {"name": name, **values})


def _by_rule(connection: sa.Connection, campaign: Campaign) -> bool:
    """Whether it was the stop rule that paused it last."""
    query = sa.select(audit.c.actor, audit.c.detail).where(audit.c.action == "campaign.paused")
    for row in connection.execute(query.order_by(audit.c.entry_id.desc())):
        if row.detail.get("key") == campaign.key:
            return row.actor == STOP_RULE
    return False

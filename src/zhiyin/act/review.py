"""What sending a campaign would do, laid out for the person who approves it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zhiyin.act.reasons import (
    BOUNCED,
    BOUNCED_LATER,
    GAVE_UP,
    NOT_A_CONTACT,
    NOT_CALLED,
    NOT_REACHED,
    PROVIDER_LIMIT,
    REASONS,
    TOO_LONG,
    UNCONFIRMED,
)


@dataclass(frozen=True)
class Rule:
    """One rule of the gate: how many messages it stops, and how many are left after it."""

    reason: str
    stopped: int
    left: int


@dataclass(frozen=True)
class SendPlan:
    """`sizes` in the gate's order; `counts` is `ledger.count_messages` of the campaign."""

    campaign_id: str
    sizes: tuple[Rule, ...]
    counts: Mapping[str, Any]

    @property
    def chosen(self) -> int:
        """Messages that no channel was given yet: planned, or stopped by a rule."""
        return self.sizes[0].left + self.sizes[0].stopped

    @property
    def ready(self) -> int:
        """Messages that would be handed to the channel now."""
        return self.sizes[-1].left

    def text(self, language: str) -> str:
        """Lines for a person, in `en` or `zh`."""
        zh = language == "zh"
        lines = [
            f"活动 {self.campaign_id}" if zh else f"Campaign {self.campaign_id}",
            f"  {self.chosen:>7,}  " + ("条待处理消息" if zh else "messages not sent yet"),
        ]
        lines += [
            f"  {rule.left:>7,}  " + _after(rule, zh=zh) for rule in self.sizes if rule.stopped
        ]
        done = ", ".join(f"{self.counts[one]:,} {one}" for one in ("sent", "unknown", "failed"))
        zh_done = "，".join(
            f"{word} {self.counts[one]:,}"
            for one, word in (("sent", "已发送"), ("unknown", "状态不明"), ("failed", "失败"))
        )
        lines.append(f"  {self.ready:>7,}  " + ("条现在可以发送" if zh else "ready to be sent now"))
        lines.append(f"  此前：{zh_done}" if zh else f"  before: {done}")
        return "\n".join(lines)


def count_by_rule(reasons: Sequence[str]) -> tuple[Rule, ...]:
    """What each rule stops, in order.

    Parameters
    ----------
    reasons
        One a message: the rule that stops it, empty where none does.

    Returns
    -------
    One `Rule` per reason of `REASONS` that can stop a message before it is sent, and any
    other that occurs.
    """
    stopped = Counter(reason for reason in reasons if reason)
    known = [one for one in REASONS if one not in _AFTER_SENDING]
    left = len(reasons)
    rules: list[Rule] = []
    for reason in [*known, *sorted(set(stopped) - set(known))]:
        left -= stopped[reason]
        rules.append(Rule(reason, stopped[reason], left))
    return tuple(rules)


_AFTER_SENDING = frozenset({
    "interrupted", "no_answer", "refused", GAVE_UP, "bad_address", "template", BOUNCED,
    BOUNCED_LATER, TOO_LONG, UNCONFIRMED, NOT_A_CONTACT, PROVIDER_LIMIT, NOT_REACHED,
    NOT_CALLED,
})  # fmt: skip


def _after(rule: Rule, *, zh: bool) -> str:
    words = REASONS.get(rule.reason, (rule.reason, rule.reason))[zh]
    if zh:
        return f"条，排除 {rule.stopped:,} 条：{words}"
    return f"left after {rule.stopped:,}: {words}"

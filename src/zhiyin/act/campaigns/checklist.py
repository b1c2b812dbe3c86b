"""What a person looks at before she lets a campaign go (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from zhiyin.act.reasons import REASONS
from zhiyin.act.review import Rule


@dataclass(frozen=True)
class Shown:
    """What the holdout can show: `change` relative to `base_rate`, None where nothing.

    `enough_share` (None: no share of these people) or `enough_campaigns` show `wanted`.
    """

    base_rate: float
    days: int
    change: float | None
    wanted: float
    enough_share: float | None = None
    enough_campaigns: int | None = None


@dataclass(frozen=True)
class Checklist:
    """A campaign laid out: sizes in the gate's order, the holdout last of the rules.

    `cost` and `budget` in the workspace's currency; `due`: the first moment (None: at once)
    and the last; None where everything goes at once. `segments`: messages that a provider charges
    for texts; `members`: who has to confirm how many (empty: whoever has them as contacts).
    """

    key: str
    currency: str
    audience: int
    sizes: tuple[Rule, ...]
    held_out: int
    variants: Mapping[str, int]
    cost: Decimal
    budget: Decimal | None
    due: tuple[str | None, str] | None
    shown: Shown
    segments: int = 0
    members: Mapping[str, int] = field(default_factory=dict[str, int])
    chosen_by: str = ""

    @property
    def messages(self) -> int:
        """How many would be planned."""
        return sum(self.variants.values())

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "key": self.key, "audience": self.audience,
            "sizes": [asdict(one) for one in self.sizes if one.stopped],
            "held_out": self.held_out, "variants": dict(self.variants), "messages": self.messages,
            "cost": str(self.cost), "budget": None if self.budget is None else str(self.budget),
            "currency": self.currency, "due": list(self.due) if self.due else None,
            "shown": asdict(self.shown), "segments": self.segments, "members": dict(self.members),
            "chosen_by": self.chosen_by or None,
        }  # fmt: skip

    def text(self, language: str) -> str:
        """Lines for a person, in `en` or `zh`."""
        zh = language == "zh"
        lines = [f"活动 {self.key}" if zh else f"Campaign {self.key}"]
        lines.append(_line(self.audience, "人在受众中" if zh else "people in the audience"))
        lines += [_line(one.left, _after(one, zh=zh)) for one in self.sizes if one.stopped]
        lines.append(_line(self.messages, "条消息将发送" if zh else "messages would be sent"))
        lines += [_line(n, self._variant(name, zh=zh)) for name, n in self.variants.items()]
        if self.segments:
            said = "条计费短信（按段计）" if zh else "segments, which the provider charges for"
            lines.append(_line(self.segments, said))
        lines += [_line(n, _confirms(name, zh=zh)) for name, n in self.members.items()]
        lines += [self._money(zh=zh), self._when(zh=zh), *_effect(self.shown, zh=zh)]
        return "\n".join(lines)

    def _variant(self, name: str, *, zh: bool) -> str:
        if self.chosen_by:
            point = self.chosen_by
            return (
                f"条的版本由决策点 {point} 选择" if zh
                else f"of them with the variant that the decision point {point} chooses"
            )  # fmt: skip
        return f"条为版本 {name}" if zh else f"of them with variant {name}"

    def _money(self, *, zh: bool) -> str:
        said = f"{self.cost:f} {self.currency}"
        if self.budget is None:
            return f"费用：{said}" if zh else f"Cost: {said}"
        budget = f"{self.budget:f} {self.currency}"
        return f"费用：{said}，预算 {budget}" if zh else f"Cost: {said} of a budget of {budget}"

    def _when(self, *, zh: bool) -> str:
        if not self.messages:
            return "时间：没有人会收到消息" if zh else "When: nobody gets a message"
        if self.due is None:
            return "时间：启动后立即发送" if zh else "When: at once, as soon as it is started"
        first, last = self.due
        if first is None:
            return (
                f"时间：启动后立即发送；当地为夜间的客户早上再发，最晚 {last}" if zh else
                f"When: at once; where it is night now in the morning, the last at {last}"
            )  # fmt: skip
        if first == last:
            return f"时间：{first}" if zh else f"When: {first}"
        return f"时间：{first} 至 {last}" if zh else f"When: from {first} to {last}"


def _line(number: int, words: str) -> str:
    return f"  {number:>9,}  {words}"


def _confirms(member: str, *, zh: bool) -> str:
    if zh:
        return f"条由成员 {member} 确认后发送" if member else "条由各自的跟进成员确认后发送"
    who = member or "whoever of staff has them as contacts"
    return f"of them to be confirmed by {who}"


def _after(rule: Rule, *, zh: bool) -> str:
    words = REASONS.get(rule.reason, (rule.reason, rule.reason))[zh]
    if zh:
        return f"人，排除 {rule.stopped:,} 人：{words}"
    return f"left after {rule.stopped:,}: {words}"


def _effect(shown: Shown, *, zh: bool) -> list[str]:
    """What the holdout can show, and what would do for the wanted change."""
    base = f"{shown.base_rate:.2%}"
    if shown.change is None:
        return [
            f"对照组：无法显示任何效果（{shown.days} 天内自然购买率 {base}）" if zh else
            f"Holdout: it can show no effect (by themselves {base} buy within {shown.days} days)"
        ]  # fmt: skip
    change, wanted = f"{shown.change:.0%}", f"{shown.wanted:.0%}"
    lines = [
        f"对照组：自然购买率 {base}（{shown.days} 天），可显示 {change} 及以上的变化"
        "（检验功效 80 %，显著性水平 5 %）" if zh else
        f"Holdout: with {base} who buy by themselves within {shown.days} days it shows a change "
        f"of {change} or more (80 % power, 5 % level)"
    ]  # fmt: skip
    if shown.change <= shown.wanted or shown.enough_campaigns is None:
        return lines
    many = f"{shown.enough_campaigns:,}"
    if shown.enough_share is None:
        lines.append(
            f"  要显示 {wanted} 的变化，此受众的任何对照组都不够；{many} 次同样的活动合并后足够"
            if zh else
            f"  to show {wanted} no holdout of this audience is enough; {many} campaigns like "
            "this one, taken together, are"
        )  # fmt: skip
    else:
        share = f"{shown.enough_share:.1%}"
        lines.append(
            f"  要显示 {wanted} 的变化，需要 {share} 的对照组，或 {many} 次同样的活动" if zh else
            f"  to show {wanted} it takes a holdout of {share}, or {many} campaigns like this one"
        )  # fmt: skip
    return lines

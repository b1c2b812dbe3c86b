"""Conditions in words, English and Chinese, with what was found of one customer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from zhiyin.audience import formula as f
from zhiyin.audience import rule as r
from zhiyin.audience.evaluator import Answers
from zhiyin.audience.fields import is_feature
from zhiyin.core.clock import local_day
from zhiyin.core.features import FEATURES

Words = tuple[str, str]
UNKNOWN: Words = ("she is not among the known customers", "不在已知客户之中")
_TABLES: dict[str, Words] = {
    "order_lines": ("order lines", "订单行"), "orders": ("orders", "订单"),
    "events": ("events", "行为事件"), "item_events": ("product events", "商品行为"),
    "touches": ("touches", "触达"), "texts": ("texts", "文本"),
}  # fmt: skip
_OPS: dict[str, Words] = {
    "eq": ("=", "＝"), "ne": ("≠", "≠"), "gt": ("more than", "大于"), "ge": ("at least", "至少"),
    "lt": ("less than", "小于"), "le": ("at most", "至多"), "in": ("one of", "属于"),
    "not_in": ("none of", "不属于"), "contains": ("contains", "包含"),
    "starts_with": ("starts with", "开头为"), "exists": ("is known", "已知"),
    "missing": ("is not known", "未知"),
}  # fmt: skip
_COLUMNS: dict[str, str] = {
    "city": "城市", "region": "地区", "country": "国家", "language": "语言", "time_zone": "时区",
    "category": "品类", "department": "部门", "subcategory": "子品类", "brand": "品牌",
    "kind": "类型", "name": "名称", "channel": "渠道", "status": "状态", "birthday": "生日",
    "quantity": "数量", "amount_base_minor": "金额（最小单位）", "score": "得分", "rank": "排名",
    "expected_profit_minor": "预期利润（最小单位）", "product_id": "商品", "order_id": "订单号",
}  # fmt: skip
_FEATURES = {feature.name: (feature.meaning, feature.meaning_zh) for feature in FEATURES}


def sentence(leaf: r.Leaf, answers: Answers) -> Words:
    """What the condition asks, and what was found; no name, address or date of the person."""
    if isinstance(leaf, r.Trait):
        return _trait(leaf)
    if isinstance(leaf, r.Behaviour):
        return _behaviour(leaf, answers)
    if isinstance(leaf, r.Recency):
        return _recency(leaf, answers)
    if isinstance(leaf, r.Sequence):
        return _sequence(leaf)
    if isinstance(leaf, r.Yearly):
        return _yearly(leaf)
    if isinstance(leaf, r.Score):
        got = answers(f.Scored(leaf.task, leaf.subject, leaf.column))
        en, zh = _OPS[leaf.op]
        task = f"{leaf.task}:{leaf.subject}" if leaf.subject else leaf.task
        zh_task = f"与受众 {leaf.subject} 相似" if leaf.task == r.LOOK_ALIKE else task
        return (
            f"{leaf.column} of {task} is {_shown(got, 'none')}, asked: {en} {leaf.value}",
            f"{zh_task} 的{_zh(leaf.column)}为 {_shown(got, '无')}，要求{zh} {leaf.value}",
        )
    if isinstance(leaf, r.Tag):
        asked = f" = {', '.join(leaf.values)}" if leaf.values else ""
        return f"tag {leaf.tag}{asked}", f"标签 {leaf.tag}{asked}"
    if isinstance(leaf, r.Segment):
        return f"segment {leaf.scheme}:{leaf.segment}", f"分群 {leaf.scheme}:{leaf.segment}"
    if isinstance(leaf, r.Upload):
        return f"a list of {len(leaf.customers)} ids", f"{len(leaf.customers)} 个编号的名单"
    return f"audience {leaf.name}", f"受众 {leaf.name}"


def _trait(leaf: r.Trait) -> Words:
    value = _value(leaf.value)
    en, zh = _FEATURES.get(leaf.field, (leaf.field, _zh(leaf.field)))
    asked = _OPS[leaf.op]
    kind = ("feature", "特征") if is_feature(leaf.field) else ("attribute", "属性")
    return (
        f"{kind[0]} {en} {asked[0]} {value}".rstrip(),
        f"{kind[1]} {zh}{_joined(asked[1], value)}",
    )


def _behaviour(leaf: r.Behaviour, answers: Answers) -> Words:
    got = answers(f.total_of(leaf, answers.moment))
    rows, when, asked = _rows(leaf.table, leaf.where), _window(leaf), _OPS[leaf.op]
    measured: Words = {
        "count": ("number", "数量"),
        "sum": (f"sum of {leaf.column}", f"{_zh(leaf.column)}合计"),
        "distinct": (f"different {leaf.column}", f"不同的{_zh(leaf.column)}数"),
    }[leaf.measure]
    return (
        f"{rows[0]} {when[0]}: {measured[0]} {_number(got)}, asked: {asked[0]} {leaf.value}",
        f"{when[1]}{rows[1]}：{measured[1]} {_number(got)}，要求{asked[1]} {leaf.value}",
    )


def _recency(leaf: r.Recency, answers: Answers) -> Words:
    at: datetime | None = answers(f.Extreme(leaf.table, leaf.where, leaf.which))
    rows = _rows(leaf.table, leaf.where)
    which: Words = ("last", "最近一次") if leaf.which == "last" else ("first", "最早一次")
    asked: Words = (
        ("more than", "超过") if leaf.op == "more_than" else ("at most", "不超过")
    )  # fmt: skip
    if at is None:
        found: Words = ("never", "从未发生")
    else:
        days = (answers.moment.day - local_day(at, answers.moment.zone)).days
        found = (f"{days} days ago", f"{days} 天前")
    return (
        f"{which[0]} of {rows[0]}: {found[0]}, asked: {asked[0]} {leaf.days} days ago",
        f"{which[1]}{rows[1]}：{found[1]}，要求{asked[1]} {leaf.days} 天",
    )


def _sequence(leaf: r.Sequence) -> Words:
    first = _rows(leaf.first.table, leaf.first.where)
    then = _rows(leaf.then.table, leaf.then.where)
    when: Words = (f" in the last {leaf.days} days", f"近{leaf.days}天") if leaf.days else ("", "")
    word: Words = ("followed", "有") if leaf.happens else ("not followed", "没有")
    return (
        f"{first[0]}{when[0]}, {word[0]} by {then[0]} within {leaf.within_days} days",
        f"{when[1]}{first[1]}之后 {leaf.within_days} 天内{word[1]}{then[1]}",
    )


def _yearly(leaf: r.Yearly) -> Words:
    last = leaf.from_days if leaf.to_days is None else leaf.to_days
    span = str(last) if last == leaf.from_days else f"{leaf.from_days}–{last}"
    lunar: Words = (" (lunar)", "（农历）") if leaf.calendar == "lunar" else ("", "")
    return (
        f"{leaf.field}{lunar[0]} in {span} days",
        f"{_zh(leaf.field)}{lunar[1]}在 {span} 天后",
    )


def _rows(table: str, wheres: Sequence[r.Where]) -> Words:
    en, zh = _TABLES[table]
    if not wheres:
        return en, zh
    asked = [(one, _OPS[one.op], _value(one.value)) for one in wheres]
    english = ", ".join(f"{one.column} {op[0]} {value}".rstrip() for one, op, value in asked)
    chinese = "，".join(f"{_zh(one.column)}{_joined(op[1], value)}" for one, op, value in asked)
    return f"{en} ({english})", f"{zh}（{chinese}）"


def _window(leaf: r.Behaviour) -> Words:
    if leaf.days is None and not leaf.before_days:
        return "ever", "历史上"
    if not leaf.before_days:
        return f"in the last {leaf.days} days", f"近{leaf.days}天"
    if leaf.days is None:
        return f"until {leaf.before_days} days ago", f"{leaf.before_days}天之前"
    return (
        f"from {leaf.days} to {leaf.before_days} days ago",
        f"{leaf.days}天前至{leaf.before_days}天前",
    )


def _joined(word: str, value: str) -> str:
    """A comparison in Chinese: signs stand close, words apart."""
    return f"{word}{value}" if word in "＝≠" else f"{word} {value}".rstrip()


def _zh(column: str) -> str:
    return _COLUMNS.get(column, column)


def _value(value: r.Value) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value)
    return "" if value is None else str(value)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _shown(value: Any, none: str) -> str:
    return none if value is None else _number(value)

"""The words of an explanation, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from zhiyin.core.currency import EXPONENTS
from zhiyin.person.words import Words

SHOWN = (
    "recency_days", "tenure_days", "orders_count", "orders_90d", "revenue_minor",
    "revenue_90d_minor", "order_value_mean_minor", "gap_mean_days", "overdue_ratio",
    "discount_share", "coupon_order_share", "categories_count", "weekend_share",
    "revenue_trend_90d", "campaigns_count", "campaigns_responded", "response_rate",
)  # fmt: skip
"""Features that a reader sees; the others stand in the JSON."""
_TOP = 5
_VALUE, _PURCHASES = "value", "expected_purchases"  # tasks whose score is no probability


def render_text(values: Mapping[str, Any], words: Words) -> str:
    """The answer as lines of text."""
    day = values["as_of"]
    title = words("title" if day else "title.no_day", id=values["customer_id"], day=day)
    lines = [title]
    if values["parties"] > 1:
        lines.append(words("parties", n=values["parties"]))
    if not day:
        lines.append(words("no_turn"))
    parts = {
        "profile": _profile, "tags": _tags, "segments": _segments, "scores": _scores,
        "recommendations": _recommendations, "decisions": _decisions, "messages": _messages,
        "tasks": _tasks, "consents": _consents,
    }  # fmt: skip
    if not values["tasks"]:  # most shops have none
        del parts["tasks"]
    for name, say in parts.items():
        found = list(say(values, words)) or [
            words("message.none" if name == "messages" else "nothing")
        ]
        lines += ["", words(f"head.{name}"), *(f"  {line}" for line in found)]
    if values["authorisations"]:
        found = [words("authorisation.line", **one) for one in values["authorisations"]]
        lines += ["", words("head.authorisations"), *(f"  {line}" for line in found)]
    return "\n".join(lines)


def _profile(values: Mapping[str, Any], words: Words) -> Iterator[str]:
    known = {one["feature"]: one for one in values["profile"]}
    for name in SHOWN:
        if name in known:
            one = known[name]
            yield f"{one['meaning']}: {say_value(one['value'], one['unit'], values['currency'])}"


def _tags(values: Mapping[str, Any], words: Words) -> Iterator[str]:
    for one in values["tags"]:
        detail = f" ({one['meaning']}: {_short(one['value'])})" if one["meaning"] else ""
        if not one["meaning"] and one["value"] is not None:
            detail = f": {_short(one['value'])}"
        if one["why"]:
            detail += f" · {words('tag.why', why=one['why'])}"
        yield f"{one['label']}{detail}"


def _segments(values: Mapping[str, Any], words: Words) -> Iterator[str]:
    for one in values["segments"]:
        yield f"{words.term('scheme', one['scheme'])}: {one['name']}"


def _scores(values: Mapping[str, Any], words: Words) -> Iterator[str]:
    for one in values["scores"]:
        task = words.term("task", one["task"]).format(subject=one["subject_name"])
        score = say_score(one["task"], one["score"], values["currency"])
        line = words("score.line", task=task, score=score, rank=one["rank"])
        if one["expected_profit_minor"] is not None and one["task"] != _VALUE:
            money = say_money(one["expected_profit_minor"], values["currency"])
            line += " · " + words("score.profit", money=money)
        yield line
        for reason in one["reasons"]:
            value = say_value(reason["value"], reason["unit"], values["currency"])
            yield "  " + words(
                "score.reason",
                direction=reason["direction"],
                meaning=reason["meaning"],
                value=value,
            )


def say_score(task: str, score: float, currency: str | None) -> str:
    """A probability in percent, purchases as a number, value as money."""
    if task == _VALUE:
        return say_money(score, currency)
    return f"{score:.2f}" if task == _PURCHASES else f"{score:.1%}"


def _recommendations(values: Mapping[str, Any], words: Words) -> Iterator[str]:
    for one in values["recommendations"][:_TOP]:
        why = f": {one['reason_words']}" if one["reason_words"] else ""
        yield f"{one['rank']}. {one['name']}{why}"


def _decisions(values: Mapping[str, Any], words: Words) -> Iterator[str]:
    for one in values["decisions"]:
        chance = words("decision.chance", p=f"{one['propensity']:.3g}")
        yield (
            words(
                "decision.line",
                day=one["as_of"],
                campaign=one["campaign"],
                action=one["action_words"],
                reason=one["reason_words"],
            )
            + f" · {one['arm_words']} · {chance}"
            + ("" if one["personalised"] else f" · {words('decision.generic')}")
        )


def _messages(values: Mapping[str, Any], words: Words) -> Iterator[str]:
    for one in values["messages"]:
        line = words(
            "message.line",
            day=_local_day(one["planned_at"], values["zone"]),
            campaign=one["campaign"],
            channel=one["channel"],
            state=one["state_words"],
        )
        why = words("message.why", reason=one["reason_words"]) if one["reason_words"] else ""
        yield f"{line} · {why}" if why else line


def _tasks(values: Mapping[str, Any], words: Words) -> Iterator[str]:
    for one in values["tasks"]:
        line = words(
            "task.line",
            day=_local_day(one["put_at"], values["zone"]),
            campaign=one["campaign"],
            state=one["state_words"],
            store=one["store_id"] or words("task.central"),
            tries=one["tries"],
        )
        why = words("message.why", reason=one["reason_words"]) if one["reason_words"] else ""
        yield f"{line} · {why}" if why else line


def _consents(values: Mapping[str, Any], words: Words) -> Iterator[str]:
    for one in values["consents"]:
        answer = words("consent.granted" if one["granted"] else "consent.refused")
        yield words(
            "consent.line",
            day=_local_day(one["at"], values["zone"]),
            purpose=one["purpose"],
            channel=one["channel"],
            answer=answer,
        )


def say_value(value: object, unit: str, currency: str | None) -> str:
    """A feature's value with its unit; shares as percentages, money in major units."""
    if not isinstance(value, int | float):
        return "—" if value is None else str(value)
    if unit == "[0, 1]":
        return f"{value:.1%}"
    if unit == "minor units":
        return say_money(value, currency)
    return _short(value)


def say_money(minor: float, currency: str | None) -> str:
    """12345 USD → `123.45 USD`; minor units where the currency is not known."""
    if currency is None:
        return f"{minor:,.0f}"
    digits = EXPONENTS.get(currency, 2)
    return f"{Decimal(round(minor)).scaleb(-digits):,.{digits}f} {currency}"


def _short(value: object) -> str:
    try:
        number = float(str(value))
    except ValueError:
        return str(value)
    return f"{number:,.0f}" if number == int(number) else f"{number:,.3g}"


def _local_day(moment: str, zone: str) -> str:
    return datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)).date().isoformat()

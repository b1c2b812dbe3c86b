"""What it brought: each campaign's attributed revenue, always beside what it caused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zhiyin.core import columns as c
from zhiyin.measure.evidence import NO_EVIDENCE
from zhiyin.measure.report.adapt import mapping, number, parse
from zhiyin.measure.report.brought_data import Brought, BroughtPart, Caused, Programme
from zhiyin.measure.report.formats import Format
from zhiyin.measure.report.shape import name_of
from zhiyin.measure.report.words import Words

USABLE = ("ok", "window_open")
PER_CUSTOMER = ("revenue_per_recipient_minor", "revenue_per_comparable_minor")


def read_brought(rows: Sequence[Mapping[str, Any]], names: Mapping[str, Mapping]) -> BroughtPart:
    """From the `results` of a day."""
    found: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
    for row in rows:
        if row[c.KIND] in ("attributed", "increment", "observed"):
            found.setdefault(row[c.SUBJECT] or "", {})[row[c.KIND], row[c.METRIC]] = row
    whole = found.pop("", {}).get(("attributed", "shop_revenue_minor"))
    made = [_read_one(one, mine, names) for one, mine in found.items()]
    made.sort(key=lambda one: (one.evidence == NO_EVIDENCE, -(one.attributed or 0), one.name))
    channels = mapping(mapping(parse(whole[c.BODY])).get("channels")) if whole else {}
    ranked = sorted(channels.items(), key=lambda pair: (-float(pair[1]), pair[0]))
    return BroughtPart(
        tuple(made), number(whole[c.VALUE]) if whole else None,
        tuple((name, float(value)) for name, value in ranked), read_programme(rows),
    )  # fmt: skip


def read_programme(rows: Sequence[Mapping[str, Any]]) -> tuple[Programme, ...]:
    """What all marketing of a quarter caused, the latest first."""
    mine = {
        row[c.SUBJECT]: row
        for row in rows
        if (row[c.KIND], row[c.METRIC]) == ("programme", "money_caused_minor")
    }
    made = []
    for quarter, row in sorted(mine.items(), reverse=True):
        body = mapping(parse(row[c.BODY]))
        made.append(
            Programme(
                quarter,
                str(row[c.STATUS]),
                str(body.get("verdict") or ""),
                _caused(row),
                int(body.get("customers") or 0),
                int(body.get("held_out") or 0),
            )
        )
    return tuple(made)


def _read_one(
    campaign: str, mine: Mapping[tuple[str, str], Mapping[str, Any]], names: Mapping[str, Mapping]
) -> Brought:
    attributed = mine.get(("attributed", "revenue_last_touch_minor"), {})
    body: Mapping[str, Any] = {}
    caused = each = None
    kinds = [("increment", "money_caused_minor"), ("observed", "money_caused_minor")]
    for key in kinds:
        caused = caused or _caused(mine.get(key))
        body = body or (mapping(parse(mine[key][c.BODY])) if key in mine else {})
    for metric in PER_CUSTOMER:
        row = mine.get(("observed", metric))
        each = each or _caused(row)
        body = body if each is None or row is None else mapping(parse(row[c.BODY])) or body
    compared = mapping(parse(mine.get(("observed", PER_CUSTOMER[0]), {}).get(c.BODY)))
    following = mapping(parse(mine.get(("observed", "next_holdout"), {}).get(c.BODY)))
    measured = caused is not None or each is not None
    return Brought(
        campaign, name_of(campaign, names), number(attributed.get(c.VALUE)),
        int(attributed.get(c.N) or 0),
        str(body.get("evidence") or NO_EVIDENCE) if measured else NO_EVIDENCE,
        str(body.get("verdict") or "") if measured else "", caused, each,
        number(compared.get("unadjusted")), _whole(following.get("held_out")),
        int(following.get("n") or 0), number(following.get("detectable")),
        bool(following.get("enough", True)), int(following.get("campaigns") or 1),
    )  # fmt: skip


def _caused(row: Mapping[str, Any] | None) -> Caused | None:
    if row is None or row[c.STATUS] not in USABLE:
        return None
    value, low, high = number(row[c.VALUE]), number(row[c.LOW]), number(row[c.HIGH])
    if value is None or low is None or high is None:
        return None
    return Caused(value, low, high, number(mapping(parse(row[c.BODY])).get("detectable")))


def _whole(value: object) -> int | None:
    found = number(value)
    return None if found is None else round(found)


# --- in words


def table_rows(part: BroughtPart, t: Words, f: Format) -> list[list[str]]:
    """Campaign, how sure, verdict, attributed, caused, interval; *not measured* is said."""
    return [
        [
            one.name, t(f"evidence.{one.evidence}"),
            t(f"verdict.{one.verdict}") if one.verdict else t("brought.not_measured"),
            "–" if one.attributed is None else f.whole_money(one.attributed),
            t("brought.not_measured") if one.caused is None else f.whole_money(one.caused.value),
            "–" if one.caused is None else _interval(one.caused, t, f),
        ]
        for one in part.rows
    ]  # fmt: skip


def channel_rows(part: BroughtPart, t: Words, f: Format) -> list[list[str]]:
    """Channel, attributed, caused: which no holdout by channel has measured."""
    return [
        [name or t("brought.no_channel"), f.whole_money(value), t("brought.not_measured")]
        for name, value in part.channels
    ]


def sentences(one: Brought, t: Words, f: Format) -> list[str]:
    """What one campaign brought, how sure that is, and what follows."""
    if one.evidence == "randomised" and one.caused is not None:
        return [
            t("brought.randomised", campaign=one.name, value=f.whole_money(one.caused.value),
              interval=_interval(one.caused, t, f), verdict=t(f"verdict.{one.verdict}"))
        ]  # fmt: skip
    said = [t("brought.by_choice", campaign=one.name)]
    if one.plain is not None:
        said.append(t("brought.plain", value=f.whole_money(one.plain)))
    if one.each is not None:
        shown = one.each.detectable
        said.append(
            t("brought.adjusted", value=f.whole_money(one.each.value),
              interval=_interval(one.each, t, f), verdict=t(f"verdict.{one.verdict}"))
        )  # fmt: skip
        if one.verdict == "cannot_tell_yet" and shown is not None:
            said.append(t("brought.detectable", value=f.whole_money(shown)))
    elif one.caused is None:
        said.append(t("brought.unknown"))
    if one.hold_out is not None and one.would_show is not None:
        key = "brought.hold_out" if one.enough else "brought.hold_out_many"
        said.append(
            t(key, held=f.count(one.hold_out), of=f.count(one.recipients),
              value=f.whole_money(one.would_show), campaigns=f.count(one.campaigns))
        )  # fmt: skip
    return said


def programme_lines(part: BroughtPart, t: Words, f: Format) -> list[list[str]]:
    """What all marketing of each quarter caused, or what to do so that it can be known."""
    return [_tell_programme(one, t, f) for one in part.programme]


def _tell_programme(one: Programme, t: Words, f: Format) -> list[str]:
    if one.caused is None:
        key = "brought.programme_not_kept" if one.status == "holdout_not_kept" else ""
        said = [t(key or "brought.programme_unknown", quarter=one.quarter)]
        return [*said, t("brought.programme_next")]
    key = "brought.programme_global" if one.held_out else "brought.programme_contacts"
    numbers = {"customers": f.count(one.customers)}
    numbers |= {"held": f.count(one.held_out)} if one.held_out else {}
    said = [
        t(key, quarter=one.quarter, value=f.whole_money(one.caused.value), **numbers,
          interval=_interval(one.caused, t, f), verdict=t(f"verdict.{one.verdict}"))
    ]  # fmt: skip
    if one.verdict == "cannot_tell_yet" and one.caused.detectable is not None:
        said.append(t("brought.programme_detectable", value=f.whole_money(one.caused.detectable)))
    if one.status == "window_open":
        said.append(t("brought.programme_open"))
    return said


def told(part: BroughtPart) -> list[Brought]:
    """Those worth a paragraph: measured, or with something to do next time."""
    return [one for one in part.rows if one.caused or one.each or one.hold_out is not None]


def _interval(found: Caused, t: Words, f: Format) -> str:
    return t("page.interval", low=f.whole_money(found.low), high=f.whole_money(found.high))

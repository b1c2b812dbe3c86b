"""What the context of an event says: page, campaign, device; and what of it is personal."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec

from zhiyin.collect.event_fields import SUSPECTED, Found, Splitter, TooDeep
from zhiyin.collect.personal import mask

_SHORT = 400
_EMPTY: Mapping[str, str] = MappingProxyType({})
_UTM = ("source", "medium", "campaign", "content", "term")
_ENCODER = msgspec.json.Encoder()


class Context(NamedTuple):
    """A context, read. `url`, `referrer` and `search` are of its page, as they were sent."""

    places: bool = False  # whether it has a page or a referrer at all
    url: Any = None
    referrer: Any = None
    search: Any = None
    referred_by: Any = None  # address of `context.referrer`
    campaign: Mapping[str, str] = _EMPTY  # utm parameters by their short name
    personal: tuple[Found, ...] = ()
    open: msgspec.Raw | None = None  # what is neither a column nor personal
    deep: bool = False  # nested too deeply


class Page(NamedTuple):
    """Address without query, host of the referrer, the query's utm parameters, what is personal."""

    address: str | None = None
    host: str | None = None
    utm: Mapping[str, str] = _EMPTY
    personal: tuple[Found, ...] = ()


def read_context(splitter: Splitter, context: dict[str, Any]) -> Context:
    """What `context` says."""
    found: list[Found] = []
    try:
        rest = _open(splitter, context, found)
    except TooDeep:
        return Context(deep=True)
    page, referrer, campaign = context.get("page"), context.get("referrer"), context.get("campaign")
    get = page.get if isinstance(page, dict) else {}.get
    return Context(
        "page" in context or "referrer" in context, get("url"), get("referrer"), get("search"),
        referrer.get("url") if isinstance(referrer, dict) else None,
        _campaign(campaign) if isinstance(campaign, dict) else {}, tuple(found),
        msgspec.Raw(_ENCODER.encode(rest)) if rest else None,
    )  # fmt: skip


def _open(splitter: Splitter, context: dict[str, Any], found: list[Found]) -> dict[str, Any]:
    rest = {k: v for k, v in context.items() if k not in ("page", "campaign", "traits")}
    made = splitter.split(rest, found)
    page = context.get("page")
    if isinstance(page, dict) and isinstance(title := page.get("title"), str) and title:
        made["page"] = {"title": title[:_SHORT]}
    traits = context.get("traits")
    if isinstance(traits, dict) and traits:
        traits = splitter.split(traits, found, people=True)
        if traits:
            made["traits"] = traits
    return made


def _campaign(campaign: dict[str, Any]) -> dict[str, str]:
    """utm parameters by their short name, as the SDKs put them into `context.campaign`."""
    made = {}
    for short in _UTM:
        value = campaign.get("name" if short == "campaign" else short)
        if isinstance(value, str) and value:
            made[short] = value[:_SHORT]
    return made


def read_page(url: str | None, referrer: str | None, search: str | None) -> Page:
    """What the addresses of a page say; None where there is none.

    The query itself is personal: it may hold anything. So is a path that looks so.
    """
    address, utm = None, {}
    personal: list[Found] = []
    if url:
        head, mark, rest = url.partition("?")
        address = head.partition("#")[0][:2000] or None
        suspect = address and (SUSPECTED.search(address) or ("//" in address and "@" in address))
        if mark or "#" in url or suspect:
            personal.append(("url", url, ""))
        if mark and "utm_" in rest:
            utm = read_utm(rest)
        if address and suspect:
            address = mask(address)
    if search and not utm and "utm_" in search:
        utm = read_utm(search.lstrip("?"))
    host = None
    if referrer:
        host = _host(referrer)
        personal.append(("referrer", referrer, ""))
    return Page(address, host, utm, tuple(personal))


def _host(url: str) -> str | None:
    try:
        name = urlsplit(url if "//" in url else f"//{url}").hostname
    except ValueError:
        return None
    return name[:255] if name and not SUSPECTED.search(name) else None


def read_utm(query: str) -> dict[str, str]:
    """The utm parameters of a query, by their short name; the first of several counts."""
    made: dict[str, str] = {}
    try:
        pairs = parse_qsl(query.partition("#")[0], max_num_fields=200)
    except ValueError:
        return {}
    for key, value in pairs:
        short = key.removeprefix("utm_")
        if short != key and short in _UTM and value:
            made.setdefault(short, value[:400])
    return made

"""A persona in sentences, English and Chinese; the words stand in `persona.toml`."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources

from zhiyin.core.values import Estimate
from zhiyin.profile.persona import Difference, Persona

Label = Callable[[str, str, str], str]
"""What something is called: kind, name, value → words in the language asked for."""
MOST = 10
_DAYS = re.compile(r"_(\d+)d")


@cache
def _texts() -> dict[str, list[str]]:
    text = resources.files("zhiyin.profile").joinpath("persona.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def say(key: str, language: str, /, **values: object) -> str:
    """The text `key` with its placeholders filled in."""
    return _texts()[key][language == "zh"].format(**values)


def sentences(
    persona: Persona, *, label: Label, base: str, language: str = "en", most: int = MOST
) -> tuple[str, ...]:
    """What sets the group apart, the strongest first, one sentence for windows of one thing.

    Parameters
    ----------
    label
        Names of features, tags, segments and attributes.
    base
        Words for the base, for example *everyone else*.
    most
        At most so many.
    """
    made: list[str] = []
    for one in _distinct(persona):
        made.append(_sentence(one, label=label, base=base, language=language))
        if len(made) == most:
            break
    return tuple(made) or (say("nothing", language),)


def family(name: str) -> str:
    """The name of a feature without its window: `orders_90d` and `orders_7d` are one."""
    return _DAYS.sub("", name)


def _distinct(persona: Persona) -> Iterator[Difference]:
    seen: set[tuple[str, str, str]] = set()
    for one in persona.told_differences:
        kind = family(one.name) if one.kind == "feature" else one.name
        if (one.kind, kind, one.value) not in seen:
            seen.add((one.kind, kind, one.value))
            yield one


def _sentence(one: Difference, *, label: Label, base: str, language: str) -> str:
    meaning = label(one.kind, one.name, one.value)
    if one.kind != "feature":
        shares = {"here": _percent(one.here), "there": _percent(one.there)}
        if not _is_known(one.ratio):
            return say("share.alone", language, meaning=meaning, base=base, **shares)
        said = say(
            "share", language, meaning=meaning, base=base, x=_times(one.ratio.value), **shares
        )
        return _with_interval(said, one.ratio, _times, language)
    if _agrees(one):
        days = _DAYS.search(one.name)
        key = f"feature.{_DAYS.sub('_#d', one.name)}"
        key = key if key in _texts() else "ratio"
        said = say(
            key, language, meaning=meaning, base=base, x=_times(one.ratio.value),
            days=days.group(1) if days else "",
        )  # fmt: skip
        return _with_interval(said, one.ratio, _times, language)
    above = one.effect.value > 0
    ends = sorted(_beaten(end, above=above) for end in (one.effect.low, one.effect.high))
    share = _percent(_beaten(one.effect.value, above=above))
    said = say("higher" if above else "lower", language, meaning=meaning, base=base, p=share)
    return say("interval", language, said=said, low=_percent(ends[0]), high=_percent(ends[1]))


def _agrees(one: Difference) -> bool:
    """Whether the ratio of means can be said: known, surely not 1, and on the side of the ranks."""
    ratio = one.ratio
    sure = _is_known(ratio) and (ratio.low > 1 or ratio.high < 1)
    return sure and (ratio.value > 1) == (one.z > 0) and f"{ratio.value:.2g}" != "1"


def _beaten(effect: float, *, above: bool) -> float:
    """Share of the base that one of the group is above, or below."""
    return (1 + effect) / 2 if above else (1 - effect) / 2


def _with_interval(said: str, found: Estimate, write: Callable[[float], str], language: str) -> str:
    return say("interval", language, said=said, low=write(found.low), high=write(found.high))


def _is_known(found: Estimate) -> bool:
    return math.isfinite(found.value)


def _times(value: float) -> str:
    if not math.isfinite(value):
        return "∞"
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}" if value >= 1.05 else f"{value:.2f}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if 0.1 <= share <= 0.9 or share in (0, 1) else f"{share:.1%}"

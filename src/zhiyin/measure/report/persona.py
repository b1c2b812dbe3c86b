"""A persona (画像) as a page that loads nothing, in the style of the report, in both languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zhiyin.measure.report import charts
from zhiyin.measure.report.charts import Bar, Row
from zhiyin.measure.report.figures import Figure, draw
from zhiyin.measure.report.formats import Format
from zhiyin.measure.report.render import fill
from zhiyin.measure.report.told import LANGUAGES, Language
from zhiyin.measure.report.words import Words

SHOWN = 12  # bars
Block = tuple[str, tuple[str, ...]]  # a line, and what stands indented below it


def render_persona(
    found: Mapping[str, Mapping[str, Any]], *, first: str = "en", simulated: bool = False
) -> str:
    """One HTML file from a persona in English and in Chinese.

    Parameters
    ----------
    found
        `en` and `zh` to a persona of a group or of a customer: `text`, and for a group `group` and
        `differences` (`label`, `told`, `effect`: {`value`, `low`, `high`}), the strongest first.
    first
        The language that the page opens in.
    simulated
        Whether the data is made up: the page says so.
    """
    return fill(
        "persona.html.j2", first=first, simulated=simulated,
        views=[PersonaView(language, found[language]) for language in LANGUAGES],
    )  # fmt: skip


@dataclass(frozen=True)
class PersonaView:
    """What the template needs in one language."""

    language: Language
    found: Mapping[str, Any]

    @property
    def t(self) -> Words:
        """Words."""
        return Words(self.language)

    @property
    def title(self) -> str:
        """Who it is of."""
        return str(self.found.get("group") or self.lead.partition(",")[0].partition("，")[0])

    @property
    def lead(self) -> str:
        """The opening line."""
        return str(self.found["text"]).partition("\n")[0]

    @property
    def blocks(self) -> list[Block]:
        """The lines below the opening, each with what is indented under it."""
        made: list[Block] = []
        for line in str(self.found["text"]).splitlines()[1:]:
            if line.startswith("  "):
                head, items = made.pop() if made else ("", ())
                made.append((head, (*items, line.strip())))
            else:
                made.append((line, ()))
        return made

    @property
    def figure(self) -> Figure | None:
        """How far apart the group and its base are, where they are."""
        told = [one for one in self.found.get("differences", ()) if one["told"]][:SHOWN]
        return _apart_figure(told, self.t) if told else None


def _apart_figure(told: Sequence[Mapping[str, Any]], t: Words) -> Figure:
    f = Format(t.language, "USD")  # no money is written
    rows = []
    for one in told:
        effect = one["effect"]
        value, low, high = (float(effect[name]) for name in ("value", "low", "high"))
        tone = 1 if value >= 0 else 2
        rows.append(
            Row(str(one["label"]), (Bar(value, tone, f.signed(value), low=low, high=high),))
        )
    caption = t("persona.chart")
    drawings = draw(charts.row_chart, rows, title=caption, tell=f.number)
    return Figure(t("persona.takeaway", label=told[0]["label"]), caption, drawings)

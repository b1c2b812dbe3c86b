"""`ReportData` → one HTML file that loads nothing, in English and Chinese.

Both languages stand in the file; two radio buttons and the style sheet choose the one that is
shown, so the switch works without JavaScript. A small script, allowed by its hash alone, keeps the
reader's place when she switches and marks the section she reads.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

import jinja2
from markupsafe import Markup

from zhiyin.core.features import CAMPAIGN_FEATURES, CONTRACT_FEATURES, FEATURES
from zhiyin.measure.report import brought, figures, foresight, indicators, takeaways, trends
from zhiyin.measure.report.data import (
    Count,
    EmailExample,
    Language,
    Measured,
    Metric,
    Prediction,
    ReportData,
    Segment,
)
from zhiyin.measure.report.figures import Figure
from zhiyin.measure.report.formats import Format
from zhiyin.measure.report.previews import make_offline
from zhiyin.measure.report.told import LANGUAGES
from zhiyin.measure.report.words import Words

SECTIONS = (
    "data", "trends", "customers", "predict", "model", "choice", "messages", "recommend",
    "indicators", "brought", "measured", "run",
)  # fmt: skip
EMAILS_PER_LANGUAGE = 2
LARGEST_EMAIL = 100_000


def render(data: ReportData) -> str:
    """The report as one HTML file.

    Parameters
    ----------
    data
        Everything that is shown; absent parts become a sentence.

    Returns
    -------
    HTML in UTF-8 without any address that a browser would load.
    """
    first = data.shop.languages[0] if data.shop.languages else "en"
    return fill(
        "report.html.j2",
        first=first,
        simulated=data.shop.simulated,
        views=[View(data, language) for language in LANGUAGES],
        data=data,
        sections=SECTIONS,
        emails=choose_emails(data.messages.emails, first=first),
    )


def fill(
    template: str,
    *,
    first: str,
    views: Sequence[object],
    simulated: bool = False,
    **parts: object,
) -> str:
    """A page from a template on the frame; every view has `language`, `title` and the words `t`.

    A page of `simulated` data says so, on every printed page too.
    """
    script = _read("report.js")
    return _environment().get_template(template).render(
        first=first,
        views=views,
        simulated=simulated,
        style=Markup(_read("report.css")),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - a file of this package
        script_hash=_hash(script),
        **parts,
    )  # fmt: skip


@dataclass(frozen=True)
class View:
    """What the templates need in one language: words, formats, figures and derived sentences."""

    data: ReportData
    language: Language

    @cached_property
    def t(self) -> Words:
        """Words."""
        return Words(self.language)

    @cached_property
    def f(self) -> Format:
        """Formats."""
        return Format(self.language, self.data.shop.currency)

    @property
    def title(self) -> str:
        """The page's title."""
        return self.t("page.title", shop=self.data.shop.name, day=self.f.day(self.data.as_of))

    @property
    def lead(self) -> list[str]:
        """The opening sentences."""
        return takeaways.lead(self.data, self.t, self.f)

    @property
    def captured(self) -> float | None:
        """Share of responders in the share that may be contacted."""
        return takeaways.captured_at(self.data.outcome, self.data.read_at)

    def say(self, name: str, part: object) -> str:
        """The takeaway called `name` of a part."""
        return getattr(takeaways, name)(part, self.t, self.f)

    def figure(self, name: str) -> Figure | None:
        """The figure called `name`, None where there is nothing to draw."""
        return _FIGURES[name](self)

    def foresee(self, one: Prediction) -> Figure | None:
        """Who is expected to leave or to buy, by segment."""
        return foresight.expected_figure(one, self.t, self.f)

    def trust(self, one: Prediction) -> list[tuple[str, str]]:
        """How far a prediction is to be trusted."""
        return foresight.quality(one, self.t, self.f)

    @property
    def rising_rows(self) -> list[list[str]]:
        """Items that rise, an item a row."""
        return trends.rising_rows(self.data.trends, self.t, self.f)

    @property
    def candidates(self) -> str:
        """Which candidate model won."""
        return takeaways.candidates(self.data.model, self.t) if self.data.model else ""

    @property
    def candidate_columns(self) -> list[tuple[str, str]]:
        """(attribute, label) of the validation scores that any candidate has."""
        model = self.data.model
        labels = {"auc": "validation_auc", "log_loss": "log_loss", "brier": "brier"}
        return [
            (name, self.t(f"model.{label}"))
            for name, label in labels.items()
            if model and any(getattr(one, name) is not None for one in model.candidates)
        ]

    @property
    def pair_head(self) -> list[str]:
        """Columns of what is bought together."""
        return [self.t(f"recommend.{name}") for name in PAIR_COLUMNS]

    @property
    def pair_rows(self) -> list[list[str]]:
        """What is bought together, a pair a row."""
        return [
            [
                pair.product, pair.other, self.f.count(pair.orders),
                self.f.percent(pair.confidence), self.f.fixed(pair.lift, 1),
                self.t("recommend.interval", low=self.f.fixed(pair.lift_low, 1),
                       high=self.f.fixed(pair.lift_high, 1)),
                "<" * (pair.q_value < LEAST_Q)
                + self.f.percent(max(pair.q_value, LEAST_Q), 1),
            ]
            for pair in self.data.recommend.pairs
        ]  # fmt: skip

    def group_table(self, by: str) -> indicators.Table:
        """Indicators of campaigns or of channels: head and rows."""
        part = self.data.indicators
        groups = part.campaigns if by == "campaign" else part.channels
        return indicators.group_table(part, groups, by, self.t, self.f)

    @property
    def cohort_table(self) -> indicators.Table:
        """Retention by month of first purchase: head and rows."""
        return indicators.cohort_table(self.data.indicators.cohorts, self.t, self.f)

    @property
    def caused_share(self) -> str:
        """How expected profit was counted by what earlier campaigns caused; empty: as it is."""
        return takeaways.caused_share(self.data.choice, self.t, self.f)

    @property
    def programme(self) -> list[list[str]]:
        """What all marketing of a quarter caused, a paragraph each."""
        return brought.programme_lines(self.data.brought, self.t, self.f)

    @property
    def brought(self) -> list[list[str]]:
        """What each campaign brought, a paragraph each."""
        return [brought.sentences(one, self.t, self.f) for one in brought.told(self.data.brought)]

    @property
    def brought_rows(self) -> list[list[str]]:
        """Attributed beside caused, a campaign a row."""
        return brought.table_rows(self.data.brought, self.t, self.f)

    @property
    def brought_channels(self) -> list[list[str]]:
        """Attributed beside caused, a channel a row."""
        return brought.channel_rows(self.data.brought, self.t, self.f)

    @property
    def no_choice(self) -> str:
        """Why there is no choice to show."""
        return takeaways.no_choice(self.data, self.t, self.f)

    def offer_name(self, offer: Count) -> str:
        """An offer's name, else its id; no id is no offer."""
        return offer.name.say(self.language) or offer.code or self.t("choice.no_offer")

    @property
    def metric_groups(self) -> list[tuple[str, list[Metric]]]:
        """Metrics by what they are about, with the group's title, in the order they came."""
        groups: dict[tuple[str, str], list[Metric]] = {}
        for metric in self.data.metrics:
            groups.setdefault((metric.kind, metric.subject), []).append(metric)
        return [(self._group_title(*key), found) for key, found in groups.items()]

    def _group_title(self, kind: str, subject: str) -> str:
        if kind in NAMED_GROUPS and subject:
            names = {m.subject: m.subject_name for m in self.data.measured}
            return self.t(f"measured.{kind}", subject=names.get(subject) or subject)
        known = {
            "response": "purchase",
            "next_purchase": "purchase",
            "recommend": "recommend",
            "delivery": "delivery",
        }
        return self.t(f"measured.{known.get(kind, 'other')}")

    def segment_name(self, segment: Segment) -> str:
        """The segment's name."""
        return takeaways.segment_name(segment, self.t)

    def feature_value(self, name: str, value: float | None) -> str:
        """A feature's value in its unit."""
        if value is None:
            return ""
        unit = next(
            (x.unit for x in (*FEATURES, *CAMPAIGN_FEATURES, *CONTRACT_FEATURES) if x.name == name),
            "",
        )
        if unit == "minor units":
            return self.f.whole_money(value)
        return self.f.percent(value, 1) if unit == "[0, 1]" else self.f.number(value, 2)

    def metric_value(self, metric: Metric, number: float | None) -> str:
        """A metric's value, or a bound of it, in the metric's unit."""
        if number is None:
            return "–"
        if metric.metric.endswith("_minor"):
            return self.f.whole_money(number)
        if metric.metric.startswith(
            ("captured", "base_rate", "caused_share")
        ) or metric.metric.endswith("_rate"):
            return self.f.percent(number, 1)
        if metric.metric in COUNTED or (float(number).is_integer() and abs(number) > 1):
            return self.f.count(number)
        return self.f.fixed(number, 2 if metric.metric.startswith("lift") else 3)

    def assumption(self, code: str, values: dict[str, float | str]) -> str:
        """An assumption with its values told in their units."""
        told = {
            "rate": lambda v: self.f.percent(float(v), 1),
            "cost": lambda v: self.f.money(float(v)),
        }
        return self.t(f"assume.{code}", **{k: told.get(k, str)(v) for k, v in values.items()})


NAMED_GROUPS = ("response", "profit", "increment", "marketing", "observed", "programme")
LEAST_Q = 0.001  # a smaller one says nothing more
PAIR_COLUMNS = (
    "product", "goes_with", "pair_orders", "pair_share", "pair_lift", "pair_interval", "pair_q",
)  # fmt: skip
COUNTED = {"recipients", "redeemers", "responders"}


def _outcome_figure(name: str, needs: str, *extra: str) -> Callable[[View], Figure | None]:
    def make(view: View) -> Figure | None:
        outcome: Measured | None = view.data.outcome
        if outcome is None or not getattr(outcome, needs):
            return None
        values = [getattr(view.data, attribute) for attribute in extra]
        return getattr(figures, name)(outcome, *values, view.t, view.f)

    return make


_FIGURES: dict[str, Callable[[View], Figure | None]] = {
    "months": lambda v: figures.months_figure(v.data, v.t, v.f) if v.data.data.months else None,
    "orders": lambda v: figures.orders_figure(v.data, v.t, v.f) if v.data.data.months else None,
    "trends": lambda v: trends.trends_figure(v.data.trends, v.t, v.f),
    "rfm": lambda v: figures.rfm_figure(v.data, v.t, v.f) if v.data.segments.rfm else None,
    "map": lambda v: figures.map_figure(v.data, v.t, v.f),
    "gains": _outcome_figure("gains_figure", "gains", "read_at"),
    "lift": _outcome_figure("lift_figure", "decile_lifts"),
    "calibration": _outcome_figure("calibration_figure", "calibration"),
    "effects": lambda v: figures.effects_figure(v.data, v.t, v.f),
    "steps": lambda v: figures.steps_figure(v.data.choice, v.t, v.f) if v.data.choice else None,
    "depth": _outcome_figure("depth_figure", "profit_by_depth", "max_share"),
    "cost": _outcome_figure("cost_figure", "profit_by_cost", "contact_cost_minor"),
    "states": lambda v: (
        figures.states_figure(v.data.messages, v.t, v.f) if v.data.messages.states else None
    ),
    "skips": lambda v: (
        figures.skips_figure(v.data.messages, v.t, v.f) if v.data.messages.skipped else None
    ),
    "recommend": lambda v: figures.recommend_figure(v.data, v.t, v.f),
    "jobs": lambda v: figures.jobs_figure(v.data, v.t, v.f),
}


def choose_emails(emails: tuple[EmailExample, ...], *, first: str) -> list[EmailExample]:
    """At most two e-mails per language, those in `first` in front, made harmless."""
    chosen: list[EmailExample] = []
    for language in sorted(LANGUAGES, key=lambda code: code != first):
        fitting = [e for e in emails if e.language.startswith(language)]
        for email in fitting[:EMAILS_PER_LANGUAGE]:
            html = make_offline(email.html)
            if len(html) <= LARGEST_EMAIL:
                chosen.append(EmailExample(language, email.subject, html))
    return chosen


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("zhiyin.measure.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _read(name: str) -> str:
    folder = files("zhiyin.measure.report").joinpath("templates")
    return folder.joinpath(name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """The script's source in a content security policy."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"

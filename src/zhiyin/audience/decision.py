"""Is she in, and why: the conditions that decide, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from zhiyin.audience import formula as f
from zhiyin.audience import rule as r
from zhiyin.audience.check import resolve
from zhiyin.audience.evaluator import Answers, Facts
from zhiyin.audience.moment import moment_of
from zhiyin.audience.words import UNKNOWN, sentence

Language = Literal["en", "zh"]
_HEAD = {
    ("en", True): "in because ", ("en", False): "out because ",
    ("zh", True): "在受众内，因为", ("zh", False): "不在受众内，因为",
}  # fmt: skip


@dataclass(frozen=True)
class Reason:
    """A condition that decides: its place in the rule, whether it holds, and words for it."""

    path: str
    holds: bool
    en: str
    zh: str


@dataclass(frozen=True)
class Decision:
    """Whether a customer is in an audience, and the conditions that decide it."""

    inside: bool
    because: tuple[Reason, ...]

    def words(self, language: Language = "en") -> str:
        """One sentence: in because …, out because …."""
        said: list[str] = []
        for reason in self.because:
            if language == "zh":
                said.append(reason.zh if reason.holds else f"不满足：{reason.zh}")
            else:
                said.append(reason.en if reason.holds else f"not: {reason.en}")
        return _HEAD[language, self.inside] + ("；" if language == "zh" else "; ").join(said)


def evaluate(
    rule: r.Rule,
    facts: Facts,
    *,
    at: date | datetime,
    zone: str,
    audiences: Mapping[str, r.Rule] | None = None,
) -> Decision:
    """Whether one customer is in, from her own rows; the same answer as the engine's.

    Parameters
    ----------
    rule
        What `parse` gives, checked before (`compile` does).
    facts
        What is known of her; rows with business time at or after `at` never matter.
    at
        A local day (what happened before its 00:00 counts, as for `Compiled.members`), or an
        aware moment: then today's rows count as well, and windows begin on the same days.
    zone
        The workspace's IANA zone.
    audiences
        The rules of audiences that the rule names.

    Returns
    -------
    `because` holds the conditions without which the answer would be another: all of an `and` that
    holds, those that fail of one that does not, and the other way round for `or`.

    Raises
    ------
    InvalidRule
        If it names an audience that does not exist, or audiences form a circle.
    """
    whole = resolve(rule, audiences or {})
    moment = moment_of(at, zone=zone)
    answers = Answers(facts, moment)
    made = f.formula(whole, moment)
    if f.is_open(made) and not answers.is_known():
        return Decision(inside=False, because=(Reason("$", True, *UNKNOWN),))
    inside = f.decide(made, answers)
    return Decision(inside=inside, because=tuple(_reasons(whole, made, answers, "$")))


def _reasons(rule: r.Rule, made: f.Formula, answers: Answers, path: str) -> Iterator[Reason]:
    if isinstance(rule, r.Not):
        assert isinstance(made, f.No)  # noqa: S101  formulas have the shape of their rules
        yield from _reasons(rule.rule, made.part, answers, f"{path}.rule")
    elif isinstance(rule, r.And | r.Or):
        assert isinstance(made, f.All | f.Some)  # noqa: S101  see above
        inside = f.decide(made, answers)
        for place, (inner, part) in enumerate(zip(rule.rules, made.parts, strict=True)):
            if f.decide(part, answers) == inside:
                yield from _reasons(inner, part, answers, f"{path}.rules[{place}]")
    else:
        yield Reason(path, f.decide(made, answers), *sentence(rule, answers))

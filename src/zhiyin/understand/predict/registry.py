"""Which version of a model speaks: champion against challenger, promotion and rollback (pure).

A version is made in a turn. What speaks on a day follows from a log of promotions alone, so a turn
that is run again decides the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from zhiyin.core.artifact import version_of
from zhiyin.core.errors import InvalidParameter, NotFound, PermissionDenied
from zhiyin.core.values import Estimate
from zhiyin.understand.predict.quality import auc
from zhiyin.understand.predict.selection import Choice, Group
from zhiyin.understand.predict.training import Fitted, Version

SAMPLES = 400
MIN_OUTCOMES = 10  # of each class, to compare at all
AUTO, APPROVE = "auto", "approve"
REQUESTED, PROMOTED, ROLLED_BACK = "requested", "promoted", "rolled_back"
TURN = "turn"
M = TypeVar("M")
Stage = Literal["champion", "challenger", "archived"]


@dataclass(frozen=True)
class Entry:
    """One line of the log of promotions. `on_day`: the first day for whose turn it holds.

    `by` is `turn` for what the turn decided itself, otherwise a person.
    """

    number: int
    task: str
    subject: str
    version: str
    kind: str  # requested, promoted or rolled_back
    on_day: date
    by: str
    instead_of: str | None = None  # the version that a rollback put aside


@dataclass(frozen=True)
class Incumbent(Generic[M]):
    """The champion when a turn begins, restored."""

    version: str
    as_of_on: date
    fitted: M


@dataclass(frozen=True)
class Comparison:
    """Champion and challenger on the same customers of the same later day.

    `status` is `ok`, `no_champion`, `same_version`, `champion_saw_the_day` (its training labels
    reach into the only days that could judge), `champion_leaks`, `too_few_outcomes` or
    `no_later_day`. `difference` is above 0 where the challenger is better: by `auc` the challenger
    less the champion, by `deviance` the other way round.
    """

    status: str
    group: str = ""
    champion: float | None = None
    challenger: float | None = None
    difference: Estimate | None = None
    metric: str = "auc"

    def to_card(self) -> dict[str, Any]:
        """As JSON values."""
        made: dict[str, Any] = {"status": self.status, "group": self.group}
        if self.difference is not None:
            made |= {
                "metric": self.metric,
                f"champion_{self.metric}": round(self.champion or 0.0, 6),
                f"challenger_{self.metric}": round(self.challenger or 0.0, 6),
                "difference": round(self.difference.value, 6),
                "difference_low": round(self.difference.low, 6),
                "difference_high": round(self.difference.high, 6),
                "n": self.difference.n,
            }
        return made


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger takes over by itself, and why."""

    promote: bool
    reason: str
    en: str
    zh: str


def compare(
    labels: np.ndarray,
    champion: np.ndarray,
    challenger: np.ndarray,
    *,
    group: str,
    rng: np.random.Generator,
) -> Comparison:
    """Paired comparison by AUC: both speak about the same rows, each draw takes the same rows.

    Parameters
    ----------
    labels
        (n,) what happened on a day that neither model learned from.
    champion, challenger
        (n,) probabilities; only their order counts.
    group
        Name of the day.
    rng
        Chance of the bootstrap.

    Returns
    -------
    The difference (challenger less champion) with its 95 % percentile interval.
    """
    if min(labels.sum(), len(labels) - labels.sum()) < MIN_OUTCOMES:
        return Comparison("too_few_outcomes", group)
    old, new = auc(labels, champion), auc(labels, challenger)
    drawn = []
    for _ in range(SAMPLES):
        rows = rng.integers(0, len(labels), len(labels))
        y = labels[rows]
        if 0 < y.sum() < len(y):
            drawn.append(auc(y, challenger[rows]) - auc(y, champion[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    made = Estimate(new - old, float(low), float(high), len(labels))
    return Comparison("ok", group, old, new, made)


def compete(
    version: str,
    choice: Choice,
    groups: Sequence[Group],
    incumbent: Incumbent[Fitted] | None,
    *,
    same_rows: Callable[[Incumbent[Fitted], int], Group],
    rng: np.random.Generator,
    leaks: Collection[str] = (),
) -> Comparison:
    """Both on the latest group that neither learned from.

    Parameters
    ----------
    version, choice, groups
        The challenger: what it said of later groups, of those it was chosen on.
    incumbent
        The champion.
    same_rows
        The rows of a group, by its place, with the features that the champion asks for.
    rng
        Chance of the bootstrap.
    leaks
        Features that know the outcome: a champion that uses one is not compared, it would win.
    """
    if incumbent is None:
        return Comparison("no_champion")
    if incumbent.version == version:
        return Comparison("same_version")
    if not {*leaks}.isdisjoint(incumbent.fitted.names):
        return Comparison("champion_leaks")
    if not choice.folds:
        return Comparison("no_later_day")
    last = choice.folds[-1].test
    if groups[last].start_on < incumbent.as_of_on:
        return Comparison("champion_saw_the_day", groups[last].name)
    same = same_rows(incumbent, last)
    new = choice.predicted[-len(same.labels) :]
    old = incumbent.fitted.predict(same.features)
    return compare(same.labels, old, new, group=same.name, rng=rng)


def judge(comparison: Comparison, *, policy: str, put_aside: bool = False) -> Verdict:
    """Whether the challenger takes over without a person.

    By policy `auto` it does where there is no champion and where it was better on the same rows
    (the interval stands beside); where the two cannot be compared yet the champion stays, unless it
    uses a leak. By policy `approve` never: a person asks and another one confirms. A version that a
    rollback put aside does not come back by itself.
    """
    better = comparison.difference is not None and comparison.difference.value > 0
    if comparison.status == "same_version":
        return Verdict(False, "same_version", "it is the champion itself", "即现任模型本身")
    if policy == APPROVE:
        return Verdict(
            False, "needs_approval", "two persons must promote it: zhiyin models promote",
            "需要两人确认后才能启用：zhiyin models promote",
        )  # fmt: skip
    if put_aside:
        return Verdict(False, "put_aside", "a person put this version aside", "该版本已被人工回滚")
    if comparison.status == "no_champion":
        return Verdict(True, "first", "the first model of its task", "该任务的首个模型")
    if comparison.status == "champion_leaks":
        return Verdict(
            True, "champion_leaks", "the champion uses a feature that knows the outcome",
            "现任模型使用了能预知结果的特征",
        )  # fmt: skip
    if better:
        return Verdict(
            True, "better", "better than the champion on the same customers and day",
            "在同一批客户、同一天上优于现任模型",
        )  # fmt: skip
    if comparison.status == "ok":
        return Verdict(
            False, "not_better", "not better than the champion on the same customers and day",
            "在同一批客户、同一天上未优于现任模型",
        )  # fmt: skip
    return Verdict(
        False, comparison.status, "not comparable with the champion yet", "暂时无法与现任模型比较"
    )


def registry_card(verdict: Verdict, comparison: Comparison, speaks: str | None) -> dict[str, Any]:
    """What a model card says of the contest; `speaks` is the version whose scores are used."""
    return {
        "speaks": speaks, "promoted": verdict.promote, "reason": verdict.reason,
        "en": verdict.en, "zh": verdict.zh, "comparison": comparison.to_card(),
    }  # fmt: skip


def champion_on(entries: Iterable[Entry], day: date) -> str | None:
    """The version that holds when a turn of `day` begins; None where there is none.

    What the turn of the day itself decided earlier does not count, so that it can be run again;
    what a person decided on the day does.
    """
    seen = [
        e
        for e in entries
        if e.kind in (PROMOTED, ROLLED_BACK)
        and (e.on_day < day or (e.on_day == day and e.by != TURN))
    ]
    return max(seen, key=lambda e: (e.on_day, e.by != TURN, e.number)).version if seen else None


def champion_now(entries: Iterable[Entry]) -> str | None:
    """The version that holds for the next turn."""
    return champion_on(entries, date.max)


def stages(versions: Sequence[Version], entries: Sequence[Entry]) -> dict[str, Stage]:
    """The stage of each version of one task and subject.

    The champion speaks; the newest version that is not the champion and was never put aside is the
    challenger; all others are archived, and can be promoted again.
    """
    champion = champion_now(entries)
    was = {e.version for e in entries if e.kind in (PROMOTED, ROLLED_BACK)}
    newest = max((v.as_of_on for v in versions), default=date.min)
    made: dict[str, Stage] = {}
    for one in versions:
        if one.version == champion:
            made[one.version] = "champion"
        elif one.as_of_on == newest and one.version not in was:
            made[one.version] = "challenger"
        else:
            made[one.version] = "archived"
    return made


def next_step(
    versions: Sequence[Version], entries: Sequence[Entry], version: str, *, by: str, policy: str
) -> str:
    """What a person's wish to promote becomes: `requested`, or `promoted`.

    Raises
    ------
    NotFound
        If there is no such version.
    InvalidParameter
        If it is the champion already.
    PermissionDenied
        If the workspace asks for a second person and the one who asked confirms.
    """
    if version not in {one.version for one in versions}:
        raise NotFound(f"there is no version {version!r}", hint="zhiyin models list")
    if champion_now(entries) == version:
        raise InvalidParameter(f"{version} is the champion already", hint="zhiyin models list")
    if policy != APPROVE:
        return PROMOTED
    since = max((e.number for e in entries if e.kind in (PROMOTED, ROLLED_BACK)), default=0)
    asked = [
        e for e in entries if e.kind == REQUESTED and e.version == version and e.number > since
    ]
    if not asked:
        return REQUESTED
    if by in {e.by for e in asked}:
        raise PermissionDenied(
            f"{by} asked for the promotion of {version} and cannot confirm it",
            hint="a second person promotes it",
        )
    return PROMOTED


def previous(entries: Sequence[Entry]) -> str:
    """The version that spoke before the champion: where a rollback leads.

    Raises
    ------
    NotFound
        If no other version ever spoke.
    """
    now = champion_now(entries)
    held = [
        e.version
        for e in sorted(entries, key=lambda e: (e.on_day, e.by != TURN, e.number))
        if e.kind in (PROMOTED, ROLLED_BACK) and e.version != now
    ]
    if now is None or not held:
        raise NotFound("no other version ever spoke", hint="zhiyin models list")
    return held[-1]


def hash_data(groups: Sequence[Group]) -> str:
    """Twelve hex digits that name what a model learned from: days, features and labels."""
    return version_of({group.name: {"x": group.features, "y": group.labels} for group in groups})

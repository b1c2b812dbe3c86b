"""Is there enough to learn from? If not: what is missing, in words."""

from __future__ import annotations

from dataclasses import dataclass

from zhiyin.core.arguments import check_number

OK = "ok"
MIN_POSITIVES = 100
HORIZONS = 2  # of history


@dataclass(frozen=True)
class Missing:
    """One thing that is missing, with a stable code."""

    code: str
    en: str
    zh: str


@dataclass(frozen=True)
class DataCheck:
    """`status` is `ok`, or the code of the first thing that is missing."""

    missing: tuple[Missing, ...] = ()

    @property
    def status(self) -> str:
        return self.missing[0].code if self.missing else OK


def check_data(
    *,
    positives: int,
    negatives: int,
    samples: int,
    to_score: int,
    horizon_days: int | None = None,
    history_days: int | None = None,
    silent_days: int | None = None,
    min_positives: int = MIN_POSITIVES,
) -> DataCheck:
    """What a prediction lacks, the most basic first.

    Parameters
    ----------
    positives, negatives
        Labels of each class on all training days.
    samples
        Training days (or campaigns) with labels.
    to_score
        Who would get a score.
    horizon_days, history_days
        Length of the horizon, and days from the first purchase to the day; with less history than
        twice the horizon there is no score. None: the outcome has no horizon in days.
    silent_days
        Days since the last event; more than a horizon says that the shop, or its feed, stopped.
    min_positives
        Fewer of either class teach chance.
    """
    told = {
        "positives": positives, "negatives": negatives, "samples": samples, "to_score": to_score,
        "horizon_days": horizon_days, "history_days": history_days, "silent_days": silent_days,
        "min_positives": min_positives,
    }  # fmt: skip
    for name, value in told.items():
        if value is not None or name in ("positives", "negatives", "samples", "min_positives"):
            check_number(name, value)
    found: list[Missing] = []

    def add(code: str, en: str, zh: str) -> None:
        found.append(Missing(code, en, zh))

    if horizon_days is not None and history_days is not None:
        need = HORIZONS * horizon_days
        if history_days < need:
            add(
                "short_history",
                f"{history_days} days of purchases; a horizon of {horizon_days} days needs {need}",
                f"购买历史仅 {history_days} 天；预测期 {horizon_days} 天至少需要 {need} 天",
            )
    if horizon_days is not None and silent_days is not None and silent_days > horizon_days:
        add(
            "no_event_lately",
            f"the last purchase was {silent_days} days ago, longer than the horizon of "
            f"{horizon_days} days: load what happened since",
            f"最近一次购买在 {silent_days} 天前，超过预测期 {horizon_days} 天：请先导入之后的数据",
        )
    if samples == 0:
        add(
            "no_training_days",
            "no past day has both a snapshot of every customer and a horizon that is over",
            "没有既有全体客户快照、预测期又已结束的历史日期",
        )
    elif (positives and negatives == 0) or (negatives and positives == 0):
        add(
            "one_class",
            f"all {positives + negatives} outcomes were the same",
            f"全部 {positives + negatives} 个结果都相同",
        )
    elif min(positives, negatives) < min_positives:
        add(
            "too_few_positives",
            f"{positives} positives and {negatives} others in {samples} samples; "
            f"{min_positives} of each are needed",
            f"{samples} 个样本日中正例 {positives} 个、其余 {negatives} 个；"
            f"两类各需至少 {min_positives} 个",
        )
    if to_score == 0:
        add("nobody_to_score", "nobody is to be scored on the day", "当日没有需要评分的客户")
    return DataCheck(tuple(found))

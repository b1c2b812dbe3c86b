"""Findings about data in words, English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing about a table, or a column of it, and one source."""

    table: str
    source: str
    column: str
    metric: str
    value: float
    threshold: float | None
    status: str
    n: int

    def words(self, language: str) -> str:
        """The finding as a sentence; with its limit where it is not ok."""
        place = 1 if language == "zh" else 0
        where = f"{self.source} {self.table}" + (f".{self.column}" if self.column else "")
        text = _SENTENCES[self.metric][place].format(where=where, value=self.value, n=self.n)
        if self.status == "ok" or self.threshold is None:
            return text
        return text + _LIMITS.get(self.metric, _SHARE)[place].format(threshold=self.threshold)


NAMES = {
    "completeness": ("completeness", "完整性"),
    "validity": ("validity", "有效性"),
    "uniqueness": ("uniqueness", "唯一性"),
    "outliers": ("outliers", "异常值"),
    "freshness": ("freshness", "时效性"),
    "volume": ("volume", "数据量"),
    "drift": ("drift", "分布漂移"),
}
STATUS = {"ok": ("ok", "正常"), "warn": ("look at it", "需关注"), "bad": ("bad", "异常")}

_SENTENCES: dict[str, tuple[str, str]] = {
    "completeness": ("{where}: {value:.1%} filled", "{where}：填充率 {value:.1%}"),
    "validity": (
        "{where}: {value:.2%} of {n:,} rows are valid",
        "{where}：{n:,} 行中有效 {value:.2%}",
    ),
    "uniqueness": (
        "{where}: {value:.2%} of {n:,} rows do not repeat another",
        "{where}：{n:,} 行中 {value:.2%} 不重复",
    ),
    "outliers": (
        "{where}: {value:.2%} of {n:,} values are far from the rest",
        "{where}：{n:,} 个值中 {value:.2%} 明显偏离",
    ),
    "freshness": (
        "{where}: the newest row is {value:.1f} days old",
        "{where}：最新一行距今 {value:.1f} 天",
    ),
    "volume": (
        "{where}: the last week has {value:.2f} times the rows of a usual week",
        "{where}：最近一周的行数是通常一周的 {value:.2f} 倍",
    ),
    "drift": (
        "{where}: the last week differs from the month before (PSI {value:.2f})",
        "{where}：最近一周与此前一个月的分布差异 PSI {value:.2f}",
    ),
}
_LIMITS: dict[str, tuple[str, str]] = {
    "freshness": ("; a warning begins at {threshold:.1f}", "（超过 {threshold:.1f} 天提醒）"),
    "volume": ("; a warning begins at {threshold:.2f}", "（{threshold:.2f} 倍起提醒）"),
    "drift": ("; a warning begins at {threshold:.2f}", "（{threshold:.2f} 起提醒）"),
}
_SHARE = ("; a warning begins at {threshold:.2%}", "（{threshold:.2%} 起提醒）")

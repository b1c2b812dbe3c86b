"""A load that took no row at all: said as an error, with what to do about its commonest reason."""

from __future__ import annotations

from zhiyin.collect.reconcile import LoadReport
from zhiyin.core.errors import InputError

_SAID = {
    "en": "none of the {rows:,} rows of {file} was loaded into {table}, most often for {reason}",
    "zh": "{file} 的 {rows:,} 行全部被隔离，{table} 没有新增数据；最常见的原因：{reason}",
}
_DO = {
    "no_rate": (
        "the file is not in {currency}, the workspace's currency: load rates or set the currency "
        "in zhiyin.toml before data is in",
        "文件货币不是工作区货币 {currency}：请加载汇率（rates），"
        "或在导入数据之前于 zhiyin.toml 设置 currency",
    ),
    "unknown_currency": (
        "map the column with the currency's ISO 4217 code (EUR, CNY)",
        "请映射含 ISO 4217 货币代码（EUR、CNY）的列",
    ),
    "missing_key": (
        "the mapping takes the key from an empty column: correct it",
        "映射中的主键列为空：请更正映射",
    ),
    "missing_value": (
        "the mapping takes a required value from an empty column: correct it",
        "映射中的必填列为空：请更正映射",
    ),
    "wrong_type": (
        "a column, a date format or a decimal mark is mapped wrongly: see the columns above",
        "列、日期格式或小数点映射有误：请看上面列出的列",
    ),
    "date_ahead": (
        "the dates lie ahead: correct the zone or the order of day and month in the mapping",
        "日期在未来：请更正映射中的时区或日、月顺序",
    ),
    "wrong_columns": (
        "the delimiter is not what it seems: set it in the mapping",
        "分隔符识别有误：请在映射中设置 delimiter",
    ),
}
_OTHERWISE = ("see the reasons above and correct the mapping", "请看上面的原因并更正映射")


def refuse_all(report: LoadReport, *, language: str = "en") -> InputError:
    """The error that says that every row of a load was refused, in `en` or `zh`.

    The commonest reason is named; of equally common ones the first by name.
    """
    reason = min(report.reasons, key=lambda one: (-report.reasons[one], one), default="?")
    said = _SAID[language].format(
        rows=report.read, file=report.file, table=report.table, reason=reason
    )
    hint = _DO.get(reason, _OTHERWISE)[language == "zh"]
    return InputError(said, hint=hint.format(currency=report.currency))

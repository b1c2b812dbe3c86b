# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""What a load did, by month, to be laid beside the shop's own dashboard.

For every load: rows read = loaded + quarantined. For orders and lines, in minor units of the
workspace currency: net = gross - discounts - coupons + returns + other, where `other` is coupon
money that third parties pay back to the shop, tax and rounding; and
paid (as the file says) = net + left_out (shipping, fees and tax that settings leave out).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.collect import times
from zhiyin.collect.lines import PAID, codes_of
from zhiyin.collect.values import Checked
from zhiyin.core import columns as c
from zhiyin.core.currency import EXPONENTS
from zhiyin.core.tables import TABLES

UNKNOWN_MONTH = "?"
_SUMS = ("gross", "discounts", "coupons", "returns", "net", "paid")


@dataclass(frozen=True)
class Month:
    """Sums of one local month; money in minor units of the workspace currency."""

    month: str
    read: int
    loaded: int
    quarantined: int
    orders: int = 0
    customers: int = 0
    gross: int = 0
    discounts: int = 0
    coupons: int = 0
    returns: int = 0
    other: int = 0
    net: int = 0
    left_out: int = 0
    paid: int = 0
    quarantined_paid: int = 0
    paid_in: int = 0
    paid_back: int = 0
    without_customer: int = 0

    @property
    def share_paid_back(self) -> float:
        """Money paid back (cancellations, returns) as a share of money paid in."""
        return -self.paid_back / self.paid_in if self.paid_in else 0.0

    @property
    def share_without_customer(self) -> float:
        """Share of loaded rows without a customer, [0, 1]."""
        return self.without_customer / self.loaded if self.loaded else 0.0


@dataclass(frozen=True)
class Problem:
    """One refused row: where and why, without its content; `column` is the file's header."""

    line_no: int
    reason: str
    message: str
    column: str = ""


@dataclass(frozen=True)
class LoadReport:
    """What one load did.

    `loaded` counts accepted rows; of these `repeated` were exact duplicates of a keyed row and
    `unchanged` were in the lake already. `written` counts new rows by table.
    """

    load_id: str
    table: str
    source: str
    file: str
    currency: str
    read: int
    loaded: int
    quarantined: int
    repeated: int = 0
    unchanged: int = 0
    suspects: int = 0
    written: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    months: tuple[Month, ...] = ()
    total: Month | None = None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    already: bool = False
    dry_run: bool = False
    rates: str = ""  # state of the rates, where rows were refused for want of one
    headers: tuple[str, ...] = ()  # of the file, where rows were refused
    mapping: Mapping = field(default_factory=dict)  # how it was read, where rows were refused

    @property
    def all_refused(self) -> bool:
        """Whether there were rows and not one of them was taken."""
        return self.read > 0 and self.loaded == 0

    def to_json(self) -> dict:
        """The report as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping) -> LoadReport:
        """The report that `to_json` gave."""
        known = {one.name for one in fields(cls)}
        made = {k: v for k, v in values.items() if k in known}
        made["months"] = tuple(Month(**month) for month in made.get("months", ()))
        made["total"] = Month(**made["total"]) if made.get("total") else None
        made["problems"] = tuple(Problem(**one) for one in made.get("problems", ()))
        made["notes"] = tuple(made.get("notes", ()))
        made["headers"] = tuple(made.get("headers", ()))
        return cls(**made)


def reconcile(
    checked: Checked, party: pa.Array, *, loaded: np.ndarray, repeated: np.ndarray, zone: str
) -> tuple[tuple[Month, ...], Month]:
    """Sums by local month of `zone`, and over all months.

    Parameters
    ----------
    checked
        All rows; of refused ones only their time and amount are used, where readable. Lines that
        were no rows are refused in the month `?`.
    party
        (n,) the party of each row, null = nobody.
    loaded, repeated
        (n,) bool: accepted rows, and which of them are exact duplicates (their money counts once).
    """
    refused = len(checked.raw.refused)
    frame = _frame(checked, loaded, party, zone)
    money = [name for name in _SUMS if name in frame]
    frame.loc[repeated, money] = 0
    groups = frame.groupby("month", sort=True, observed=True) if "month" in frame else ()
    months = tuple(
        _sum(name, part, refused if name == UNKNOWN_MONTH else 0) for name, part in groups
    )
    if refused and "month" in frame and not any(month.month == UNKNOWN_MONTH for month in months):
        months = (*months, Month(UNKNOWN_MONTH, refused, 0, refused))
    total = _sum("total", frame, refused)
    for one in (*months, total):
        if one.read != one.loaded + one.quarantined:
            raise AssertionError(f"{one.month}: rows read are not loaded + quarantined")
        if one.paid != one.net + one.left_out:
            raise AssertionError(f"{one.month}: paid is not net + left out")
    return months, total


def _frame(checked: Checked, loaded: np.ndarray, party: pa.Array, zone: str) -> pd.DataFrame:
    schema = TABLES.get(checked.table)
    name = c.SPENT_ON if checked.table == "spend" else (schema.time if schema else c.AT)
    who = codes_of(party)
    frame = pd.DataFrame({"loaded": loaded, "party": who, "anonymous": who < 0})
    if name in checked.columns:
        moments = checked.array(name).astype("datetime64[us]")
        good = ~np.isnat(moments)
        days = np.where(good, moments, np.datetime64("1970-01-02", "us"))
        days = days if checked.table == "spend" else times.local_days(days, zone)
        month = times.months(days)
        names = [*month.dictionary.to_pylist(), UNKNOWN_MONTH]
        codes = np.where(good, month.indices.to_numpy(), len(names) - 1)
        frame["month"] = pd.Categorical.from_codes(codes, names)
    if checked.table in ("orders", "order_lines"):
        _add_sums(frame, checked)
    return frame


def _add_sums(frame: pd.DataFrame, checked: Checked) -> None:
    frame["order"] = codes_of(checked.columns[c.ORDER_ID])
    amount, paid = checked.array(c.AMOUNT_BASE_MINOR), checked.array(PAID)
    if checked.table == "order_lines":
        kind = checked.columns[c.KIND]
        back, off = (pc.equal(kind, name).to_numpy(False) for name in ("return", "discount"))
    else:
        back, off = amount < 0, np.zeros(len(frame), bool)
    sale = ~back & ~off
    frame["gross"] = np.where(sale, checked.array(c.GROSS_BASE_MINOR), 0)
    discount = np.where(sale, checked.array(c.DISCOUNT_BASE_MINOR), 0)
    frame["discounts"] = discount - np.where(off, amount, 0)
    frame["coupons"] = np.where(back, 0, checked.array(c.COUPON_BASE_MINOR))
    frame["returns"] = np.where(back, amount, 0)
    frame["net"], frame["paid"] = amount, paid


def _sum(name: object, part: pd.DataFrame, refused: int) -> Month:
    loaded = part["loaded"].to_numpy()
    kept = {str(column): part[column].to_numpy()[loaded] for column in part.columns}
    made = {
        "read": len(part) + refused,
        "loaded": int(loaded.sum()),
        "quarantined": int((~loaded).sum()) + refused,
        "customers": _distinct(kept["party"][~kept["anonymous"]]),
        "without_customer": int(kept["anonymous"].sum()),
    }
    if "order" in kept:
        sums = {column: int(kept[column].sum()) for column in _SUMS}
        explained = sums["gross"] - sums["discounts"] - sums["coupons"] + sums["returns"]
        made |= sums | {
            "orders": _distinct(kept["order"]),
            "other": sums["net"] - explained,
            "left_out": sums["paid"] - sums["net"],
            "quarantined_paid": int(part["paid"].to_numpy().sum()) - sums["paid"],
            "paid_in": int(np.clip(kept["paid"], 0, None).sum()),
            "paid_back": int(np.clip(kept["paid"], None, 0).sum()),
        }
    return Month(str(name), **made)


def _distinct(codes: np.ndarray) -> int:
    """How many different codes there are; all are >= -1."""
    seen = np.zeros(int(codes.max(initial=-1)) + 2, bool)
    seen[codes + 1] = True
    return int(seen.sum())


_WORDS = {
    "en": {
        "month": "month", "read": "read", "loaded": "loaded", "quarantined": "refused",
        "orders": "orders", "customers": "customers", "gross": "gross",
        "discounts": "discounts", "coupons": "coupons", "returns": "returns", "other": "other",
        "net": "net", "left_out": "left out", "share": "no customer", "total": "total",
        "done": "loaded before: nothing changed", "dry": "dry run: nothing was written",
        "reasons": "refused rows", "repeated": "exact duplicates", "suspects": "suspects",
        "unchanged": "unchanged", "file": "file", "money": "money in",
        "paid": "paid in {in_}, paid back {back} ({share:.1%})", "line": "line {0}",
        "more": "mend and load again: zhiyin errors {0} --to FILE",
    },
    "zh": {
        "month": "月份", "read": "读入", "loaded": "入库", "quarantined": "隔离",
        "orders": "订单", "customers": "客户", "gross": "原价", "discounts": "折扣",
        "coupons": "优惠券", "returns": "退货", "other": "其他", "net": "净额",
        "left_out": "未计入", "share": "无客户占比", "total": "合计",
        "done": "此文件已加载过，没有变化", "dry": "试运行：没有写入任何数据",
        "reasons": "被隔离的行", "repeated": "完全重复", "suspects": "疑似重复",
        "unchanged": "未变化", "file": "文件", "money": "金额单位",
        "paid": "收入 {in_}，退回 {back}（{share:.1%}）", "line": "第 {0} 行",
        "more": "修改后重新加载：zhiyin errors {0} --to FILE",
    },
}  # fmt: skip
_SHOWN = 5  # refused rows shown after a load; a dry run shows all that the report has
_MONEY = ("gross", "discounts", "coupons", "returns", "other", "net", "left_out")


def render_reconciliation(report: LoadReport, *, language: str = "en") -> str:
    """The report as a text table, in `en` or `zh`; money in major units."""
    words = _WORDS[language]
    counts = ["read", "loaded", "quarantined"]
    sums = ["orders", "customers", *_MONEY] if report.table in ("orders", "order_lines") else []
    head = [words["month"], *(words[name] for name in (*counts, *sums))]
    head += [words["share"]] if sums else []
    total = () if report.total is None else (report.total,)
    body = [_line(month, [*counts, *sums], report, words) for month in (*report.months, *total)]
    text = _layout([head, *body])
    title = f"{report.table} ← {words['file']} {report.file}"
    lines = [f"{title} · {words['money']} {report.currency}" if sums else title, *text]
    if sums and report.total is not None:
        paid = {"in_": _major(report, report.total.paid_in)}
        paid["back"] = _major(report, report.total.paid_back)
        lines.append(words["paid"].format(**paid, share=report.total.share_paid_back))
    for name in ("repeated", "unchanged", "suspects"):
        if getattr(report, name):
            lines.append(f"{words[name]}: {getattr(report, name):,}")
    if report.reasons:
        parts = (f"{reason} {count:,}" for reason, count in sorted(report.reasons.items()))
        lines.append(f"{words['reasons']}: {', '.join(parts)}")
    for one in report.problems[: len(report.problems) if report.dry_run else _SHOWN]:
        where = " · ".join(filter(None, (words["line"].format(one.line_no), one.column)))
        lines.append(f"  {where} · {one.reason}: {one.message}")
    if report.reasons and not report.dry_run:
        lines.append(words["more"].format(report.load_id))
    lines += [words[key] for key, so in (("done", report.already), ("dry", report.dry_run)) if so]
    return "\n".join([*lines, *report.notes])


def _major(report: LoadReport, minor: int) -> str:
    digits = EXPONENTS.get(report.currency, 2)
    return f"{Decimal(minor).scaleb(-digits):,.{digits}f}"


def _line(month: Month, names: Sequence[str], report: LoadReport, words: Mapping) -> list[str]:
    cells = [words["total"] if month.month == "total" else month.month]
    for name in names:
        value = getattr(month, name)
        cells.append(_major(report, value) if name in _MONEY else f"{value:,}")
    if "net" in names:
        cells.append(f"{month.share_without_customer:.1%}")
    return cells


def _layout(rows: list[list[str]]) -> list[str]:
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell + pad if place == 0 else pad + cell
            for place, (cell, pad) in enumerate(
                (cell, " " * (width - _width(cell)))
                for cell, width in zip(row, widths, strict=True)
            )
        )
        for row in rows
    ]


def _width(text: str) -> int:
    return sum(2 if ord(letter) > 0x2E7F else 1 for letter in text)

"""Loading files end to end, from the file to committed rows: rows per second of processor time.

Three files of order lines: a CSV of 10 columns without personal ones, the same with three
personal columns (user id, e-mail, phone: hashed to parties, encrypted per person), and an Excel
workbook. The processor time is that of the whole process, all threads; a first small load warms
the engine up.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import xlsxwriter

from bench.harness import at_least, emit
from zhiyin.app import Workspace
from zhiyin.core.config import validate_settings

PLAIN, PERSONAL, EXCEL = 1_000_000, 200_000, 50_000
SMALL = 1_000


def make_rows(count: int, *, personal: bool = False) -> pa.Table:
    """Order lines as texts: a third as many orders, two per cent of refused rows."""
    rng = np.random.default_rng(7)
    order = np.sort(rng.integers(0, max(count // 3, 1), count))
    at = np.datetime64("2025-01-01", "s") + order * 40
    price = rng.integers(99, 20_000, count)
    columns = {
        "order_id": [f"A{100_000 + one}" for one in order],
        "sold_at": [str(one).replace("T", " ") for one in at],
        "product_id": [f"P{one}" for one in rng.integers(0, 5_000, count)],
        "quantity": rng.integers(1, 5, count).astype(str),
        "price": [f"{one / 100:.2f}" for one in price],
        "discount": [f"{one / 100:.2f}" for one in rng.integers(0, 90, count)],
        "tax": [f"{one / 100:.2f}" for one in rng.integers(0, 900, count)],
        "store_id": (order % 40).astype(str),
        "currency": ["USD"] * count,
        "colour": np.asarray(["red", "blue", "green"])[rng.integers(0, 3, count)],
    }
    for place in np.flatnonzero(rng.random(count) < 0.02).tolist():
        columns["price"][place] = "n/a"
    if personal:
        who = order % max(count // 5, 1)
        columns |= {
            "user_id": [f"u{one}" for one in who],
            "email": [f"u{one}@shop.example" for one in who],
            "phone": [f"+861380{one:07d}" for one in who],
        }
    return pa.table({name: pa.array(list(map(str, values))) for name, values in columns.items()})


def write_workbook(rows: pa.Table, path: Path) -> None:
    """The rows as a workbook, numbers as numbers."""
    with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
        sheet = book.add_worksheet("lines")
        sheet.write_row(0, 0, rows.column_names)
        numeric = ("quantity", "price", "discount", "tax")
        for place, row in enumerate(rows.to_pylist(), start=1):
            for column, (name, value) in enumerate(row.items()):
                if name in numeric and value != "n/a":
                    sheet.write_number(place, column, float(value))
                else:
                    sheet.write_string(place, column, value)


def measure(folder: Path, path: Path) -> tuple[float, int, int]:
    """Rows per second of processor time, rows loaded, rows refused; into a fresh workspace."""
    values = {"name": "bench", "currency": "USD", "zone": "UTC"}
    with Workspace.create(folder, validate_settings(values, where="bench")) as shop:
        begun = time.process_time()
        report = shop.load("order_lines", path)
        seconds = time.process_time() - begun
    return report.read / seconds, report.loaded, report.quarantined


def main() -> None:
    """Write the files, load each into a workspace of its own."""
    figures: dict[str, object] = {}
    rows: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pa_csv.write_csv(make_rows(SMALL), folder / "small.csv")
        measure(folder / "warm", folder / "small.csv")
        for key, count in (("csv", PLAIN), ("csv_personal", PERSONAL), ("excel", EXCEL)):
            made = make_rows(count, personal=key == "csv_personal")
            path = folder / f"{key}.{'xlsx' if key == 'excel' else 'csv'}"
            if key == "excel":
                write_workbook(made, path)
            else:
                pa_csv.write_csv(made, path)
            del made
            speed, loaded, refused = measure(folder / key, path)
            figures[f"{key}_rows_per_cpu_s"] = round(speed)
            rows |= {f"{key}_loaded": loaded, f"{key}_refused": refused}
            print(f"{key}: {speed:,.0f} rows/s", file=sys.stderr)
    goals = {
        "csv_rows_per_cpu_s": at_least(100_000),
        "csv_personal_rows_per_cpu_s": at_least(10_000),
        "excel_rows_per_cpu_s": at_least(5_000),
    }
    data = "order lines made by the bench: 10 columns; the same with 3 personal ones; a workbook"
    emit("collect_files", data=data, rows=rows, figures=figures, goals=goals)


if __name__ == "__main__":
    main()

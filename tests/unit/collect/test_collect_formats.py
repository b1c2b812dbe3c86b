"""Workbooks, reports with lines above their header, and files that mean harm."""

from __future__ import annotations

import struct
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import xlsxwriter

from zhiyin.collect import guards, times
from zhiyin.collect.files import read_raw
from zhiyin.collect.money import parse_decimal
from zhiyin.core.errors import InputError

FIXTURES = Path(__file__).parent / "fixtures"


def workbook(path, sheets):
    with xlsxwriter.Workbook(str(path)) as book:
        day = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for place, row in enumerate(rows):
                for column, value in enumerate(row):
                    if isinstance(value, datetime):
                        sheet.write_datetime(place, column, value, day)
                    elif isinstance(value, str):
                        sheet.write_string(place, column, value)
                    elif value is not None:
                        sheet.write(place, column, value)
    return path


MOMENT = datetime(2025, 1, 3, 10, 5)


def test_a_workbook_gives_texts_as_they_were_typed(tmp_path):
    rows = [["编号", "时间", "金额", "数量"], ["0017", MOMENT, 12.5, 3], ["18", MOMENT, 0.1, None]]
    raw = read_raw(workbook(tmp_path / "book.xlsx", {"订单": rows}))
    assert raw.rows.to_pylist() == [
        {"编号": "0017", "时间": "2025-01-03 10:05:00", "金额": "12.5", "数量": "3"},
        {"编号": "18", "时间": "2025-01-03 10:05:00", "金额": "0.1", "数量": ""},
    ]
    assert raw.line_no.tolist() == [2, 3]


def test_an_old_workbook_reads_the_same():
    raw = read_raw(FIXTURES / "old_workbook.xls")
    assert raw.rows.to_pylist() == [
        {"order": "1001", "when": "2025-01-03", "paid": "12.5"},
        {"order": "1002", "when": "2025-01-04", "paid": "7"},
    ]


def test_one_of_several_sheets_has_to_be_named(tmp_path):
    path = workbook(tmp_path / "b.xlsx", {"a": [["x", "y"], ["1", "2"]], "b": [["z"], ["3"]]})
    with pytest.raises(InputError, match="several sheets") as error:
        read_raw(path)
    assert "a, b" in error.value.hint
    assert read_raw(path, sheet="b").rows.to_pylist() == [{"z": "3"}]
    assert read_raw(path, sheet="a").digest != read_raw(path, sheet="b").digest
    with pytest.raises(InputError, match="no sheet 'c'"):
        read_raw(path, sheet="c")


def test_a_number_that_excel_rounded_refuses_its_row(tmp_path):
    rows = [["order", "n"], [2468013579000000001, 1], ["2468013579000000001", 2]]
    raw = read_raw(workbook(tmp_path / "b.xlsx", {"a": rows}))
    assert raw.rows.column("n").to_pylist() == ["2"]
    assert [(r.line_no, r.reason) for r in raw.refused] == [(2, "rounded_number")]
    assert raw.line_no.tolist() == [3]


def test_lines_above_the_header_are_skipped_and_counted(tmp_path):
    path = tmp_path / "ads.csv"
    path.write_text(
        'Campaign report\n"January 1, 2026 - January 2, 2026"\na,b,c\n1,2,3\n4,5\n6,7,8\n'
    )
    raw = read_raw(path)
    assert raw.rows.column("a").to_pylist() == ["1", "6"]
    assert raw.line_no.tolist() == [4, 6]
    assert [r.line_no for r in raw.refused] == [5]


def test_the_delimiter_is_the_one_that_most_lines_agree_on(tmp_path):
    for mark in ",;\t|":
        path = tmp_path / "f.csv"
        path.write_text(mark.join("abc") + "\n" + mark.join(["1", "2", "3"]) + "\n")
        assert read_raw(path).rows.column_names == ["a", "b", "c"]
    path.write_text("note;amount;n\nred, small;1,50;1\nblue, big, new;2,50;2\n")
    assert read_raw(path).rows.column("amount").to_pylist() == ["1,50", "2,50"]


def test_texts_guarded_from_excel_come_without_their_guard(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text('id,phone,note\n="0042",\'13800138000,=1+1\n"=""0043""",1,\'quoted\n')
    assert read_raw(path).rows.to_pylist() == [
        {"id": "0042", "phone": "13800138000", "note": "=1+1"},  # a formula is a text like others
        {"id": "0043", "phone": "1", "note": "'quoted"},
    ]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2025年1月3日", "2025-01-03"), ("2025年01月03日 10:05", "2025-01-03T10:05"),
        ("2025年1月3日 下午2时05分", "2025-01-03T14:05"),
        ("2025/1/3 9:05:07", "2025-01-03T09:05:07"),
        ("2025.1.3", "2025-01-03"), ("3/1/2025", None), ("2025年13月3日", None),
    ],
)  # fmt: skip
def test_dates_with_the_year_first_are_understood(text, wanted):
    moments, given = times.parse_times(pa.chunked_array([[text]]), zone="UTC")
    assert given.all()
    assert np.array_equal(moments, np.asarray([wanted or "NaT"], "datetime64[us]"), equal_nan=True)


@pytest.mark.parametrize(
    ("text", "mark", "wanted"),
    [
        ("¥1,234.50", "point", "1234.50"), ("￥12", "point", "12"), ("US$5.10", "point", "5.10"),
        ("CNY 7", "point", "7"), ("7.5 EUR", "point", "7.5"), ("12元", "point", "12"),
        ("1.234,50 €", "comma", "1234.50"), ("1 234,5", "comma", "1234.5"),
        ("-$5.00", "point", "-5.00"), ("(5.00)", "point", "-5.00"), ("EUR", "point", None),
        ("1e3", "point", "1E+3"), ("5 apples", "point", None),
    ],
)  # fmt: skip
def test_money_is_read_with_its_sign_and_marks(text, mark, wanted):
    made = parse_decimal(text, mark=mark)
    assert (None if made is None else str(made)) == wanted


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (40 << 20))
    with pytest.raises(InputError, match="zip bomb"):
        read_raw(path)


def test_a_bomb_that_lies_about_its_size_is_refused_too(tmp_path):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/a.xml", b"0" * (40 << 20))
    body = bytearray(path.read_bytes())
    place = body.rindex(b"PK\x01\x02")
    body[place + 24 : place + 28] = struct.pack("<I", 100)  # the size that its directory declares
    path.write_bytes(body)
    with pytest.raises(InputError, match="zip bomb"):
        read_raw(path)


def test_a_stray_cell_far_away_is_refused_before_room_is_made_for_it(tmp_path):
    path = tmp_path / "stray.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("a")
        sheet.write_row(0, 0, ["x", "y"])
        sheet.write_row(1, 0, ["1", "2"])
        sheet.write_string(1_048_575, 16_383, "stray")
    with pytest.raises(InputError, match="17,179,869,184 cells") as error:
        read_raw(path)
    assert "stray cells" in error.value.hint


def test_an_archive_that_is_no_workbook_is_refused(tmp_path):
    path = tmp_path / "book.xlsb"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.bin", b"x")
    with pytest.raises(InputError, match=r"no \.xlsx workbook"):
        read_raw(path)


def test_a_workbook_over_the_whole_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(guards, "MAX_SHEET_BYTES", 1000)
    path = workbook(tmp_path / "b.xlsx", {"a": [["x", "y"], ["1", "2"]]})
    with pytest.raises(InputError, match="zip bomb"):
        read_raw(path)


def test_an_encrypted_or_damaged_workbook_is_an_error_with_a_hint(tmp_path):
    path = workbook(tmp_path / "b.xlsx", {"a": [["x", "y"], ["1", "2"]]})
    body = bytearray(path.read_bytes())
    body[body.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(body)
    with pytest.raises(InputError, match="encrypted"):
        read_raw(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="damaged") as error:
        read_raw(path)
    assert error.value.hint


def test_a_nul_byte_anywhere_is_refused_with_its_line(tmp_path):
    path = tmp_path / "f.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 50_000 + b"x\x00,2\n")
    with pytest.raises(InputError, match="line 50002 has a NUL byte"):
        read_raw(path)


def test_too_many_columns_are_refused(tmp_path):
    path = tmp_path / "f.csv"
    wide = [str(i) for i in range(guards.MAX_COLUMNS + 1)]
    path.write_text(",".join(wide) + "\n" + ",".join(wide) + "\n")
    with pytest.raises(InputError, match="columns"):
        read_raw(path)


@pytest.mark.parametrize(("before", "says"), [(1, "128 KB"), (100, "16 MB")])
def test_a_line_without_an_end_is_refused(tmp_path, before, says):
    path = tmp_path / "f.csv"
    body = b"a,b\n" + b"1,2\n" * before + b'3,"' + b"x\n" * guards.MAX_ROW_BYTES
    path.write_bytes(body)
    with pytest.raises(InputError, match=says) as error:
        read_raw(path)
    assert "quote" in error.value.hint

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zhiyin.collect.files import read_raw
from zhiyin.core.errors import InputError


def write(tmp_path, content, name="f.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        "编号,城市\n1,北京\n".encode(),
        b"\xef\xbb\xbf" + "编号,城市\n1,北京\n".encode(),
        "编号,城市\n1,北京\n".encode("gb18030"),
        "编号;城市\r\n1;北京\r\n".encode("utf-16"),
        "编号\t城市\n1\t北京".encode(),
    ],
    ids=["utf8", "bom", "gb18030", "utf16-semicolon", "tab-no-end"],
)
def test_encodings_and_delimiters_give_the_same_rows(tmp_path, content):
    raw = read_raw(write(tmp_path, content))
    assert raw.rows.to_pylist() == [{"编号": "1", "城市": "北京"}]
    assert raw.line_no.tolist() == [2]


def test_lines_with_another_number_of_fields_are_refused_with_their_line(tmp_path):
    raw = read_raw(write(tmp_path, "a,b\n1,2\n3\n4,5\n6,7,8\n9,10\n"))
    assert raw.rows.column("a").to_pylist() == ["1", "4", "9"]
    assert raw.line_no.tolist() == [2, 4, 6]
    assert [(r.line_no, r.reason, r.content) for r in raw.refused] == [
        (3, "wrong_columns", b"3"),
        (5, "wrong_columns", b"6,7,8"),
    ]


def test_quoted_line_breaks_and_delimiters_stay_in_the_value(tmp_path):
    raw = read_raw(write(tmp_path, 'a,b\n"x\ny","1,5"\n'))
    assert raw.rows.to_pylist() == [{"a": "x\ny", "b": "1,5"}]


def test_json_lines_keep_decimals_as_written_and_refuse_broken_lines(tmp_path):
    raw = read_raw(write(tmp_path, '{"a": 1.10, "b": [1]}\n{broken\n\n{"a": "x", "c": true}\n'))
    assert raw.rows.to_pylist() == [
        {"a": "1.10", "b": '["1"]', "c": None},
        {"a": "x", "b": None, "c": "true"},
    ]
    assert raw.line_no.tolist() == [1, 4]
    assert [r.line_no for r in raw.refused] == [2]


def test_a_column_named_twice_is_kept_under_two_names(tmp_path):
    raw = read_raw(write(tmp_path, "a,a\n1,2\n"))
    assert raw.rows.to_pylist() == [{"a": "1", "a (2)": "2"}]


def test_parquet_is_seen_by_its_content(tmp_path):
    path = tmp_path / "named.csv"
    pq.write_table(pa.table({"a": [1, 2]}), path)
    assert read_raw(path).rows.column("a").to_pylist() == [1, 2]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"a,b\n", "no rows"),
        (b"PK\x03\x04rest", "ZIP archive"),
        (b"\x1f\x8brest", "gzip"),
        (b"a\x00b\x01", "binary"),
        (b"PAR1 not really", "Parquet"),
        (b"name\n" + b"\xff\xff\xff", "neither UTF-8 nor GB18030"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_says_what_to_do(tmp_path, content, says):
    with pytest.raises(InputError, match=says) as error:
        read_raw(write(tmp_path, content))
    assert error.value.hint


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no file"):
        read_raw(tmp_path / "none.csv")


def test_a_wrong_encoding_in_the_mapping_is_an_error(tmp_path):
    with pytest.raises(InputError, match="ascii"):
        read_raw(write(tmp_path, "a\nü\n"), encoding="ascii")


def test_the_digest_is_that_of_the_content(tmp_path):
    one, two = write(tmp_path, "a\n1\n"), write(tmp_path, "a\n1\n", "g.csv")
    assert read_raw(one).digest == read_raw(two).digest
    assert read_raw(one).digest != read_raw(write(tmp_path, "a\n2\n", "h.csv")).digest

# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Files become Arrow tables of raw values with the number of each line.

CSV and TSV (UTF-8 with or without BOM, UTF-16 with BOM, GB18030, or the encoding that the mapping
names), workbooks, Parquet and JSON lines: which one is seen from the content. Lines above the
header (a report's title, its dates) are skipped. One load holds its file in memory: about 0.5 GB
per million order lines.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from zhiyin.collect.excel import columns_of, read_sheet
from zhiyin.collect.guards import MAX_ROW_BYTES, check_columns, find_nul
from zhiyin.core.errors import InputError

_CHUNK = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_MAGIC = {
    b"\x1f\x8b": ("a gzip archive", "unpack it first: gunzip FILE"),
    b"%PDF": ("a PDF document", "export the data as CSV"),
    b"Rar!": ("a RAR archive", "unpack it first"),
}
_OLE = b"\xd0\xcf\x11\xe0"
_ZIP = b"PK\x03\x04"
_WORKBOOK = (b"xl/", b"[Content_Types].xml", b"_rels/", b"docProps/")
_PREAMBLE = 20  # lines looked at for the header
_GUARDED = re.compile(
    rb"""(?:^|[,;\t|"\n])(?:="|'\d)"""
)  # ="0123" or '138...: texts kept from Excel


@dataclass(frozen=True)
class Refused:
    """One line that could not be read as a row."""

    line_no: int
    reason: str
    message: str
    content: bytes


@dataclass(frozen=True)
class Raw:
    """Rows of a source as they came.

    `rows` has the source's headers, texts or typed values; `line_no` is the line of each row
    (header = 1; a quoted line break does not count); `digest` is the hash of the content;
    `parties` the party of each row where that is known already, as it is of tracked events.
    """

    rows: pa.Table
    line_no: np.ndarray
    digest: str
    name: str
    refused: tuple[Refused, ...] = ()
    parties: pa.Array | None = None


def raw_from_table(rows: pa.Table, *, name: str, digest: str) -> Raw:
    """Rows that are in memory already, numbered from line 2."""
    return Raw(rows, np.arange(2, rows.num_rows + 2, dtype=np.int64), digest, name)


def read_raw(path: Path, *, encoding: str = "", delimiter: str = "", sheet: str = "") -> Raw:
    """Read a CSV, TSV, Excel, Parquet or JSON lines file; which one is seen from its content.

    Parameters
    ----------
    encoding, delimiter
        Of a text file; empty: found out.
    sheet
        Of a workbook; empty: the only one with rows.

    Raises
    ------
    InputError
        If the file is missing, empty, damaged, of another kind, in another encoding, or exceeds
        a limit of `collect.guards`.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}", hint="check the spelling of its path")
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    if not head.strip():
        raise InputError(f"{path.name} is empty", hint="export it again")
    digest = _digest(path)
    if head.startswith(b"PAR1"):
        return _read_parquet(path, digest)
    if head.startswith(_OLE) or (head.startswith(_ZIP) and any(m in head for m in _WORKBOOK)):
        return _read_workbook(path, digest if not sheet else f"{digest}:{sheet}", sheet)
    if head.startswith(_ZIP):
        hint = "unpack it first: unzip FILE (or save the sheet as .xlsx)"
        raise InputError(f"{path.name} is a ZIP archive", hint=hint)
    for magic, (what, hint) in _MAGIC.items():
        if head.startswith(magic):
            raise InputError(f"{path.name} is {what}", hint=hint)
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not wide and not encoding.startswith("utf-16") and (line := find_nul(path)) is not None:
        raise InputError(
            f"{path.name} is binary: line {line} has a NUL byte",
            hint="export it again as CSV UTF-8, Excel, Parquet or JSON lines",
        )
    encoding = encoding or _find_encoding(path, head)
    if head.lstrip(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        return _read_json_lines(path, digest, encoding)
    return _read_csv(path, digest, encoding, delimiter)


def _read_workbook(path: Path, digest: str, sheet: str) -> Raw:
    cells, first = read_sheet(path, sheet=sheet)
    texts = [["" if one is None else str(one) for one in row] for row in cells[:_PREAMBLE]]
    above = _header_place(texts)
    headers = _named([text.strip() for text in texts[above]], path.name)
    body = cells[above + 1 :]
    numbers = np.arange(len(body), dtype=np.int64) + first + above + 1
    filled = np.asarray([any(one not in ("", None) for one in row) for row in body], bool)
    if not filled.any():
        raise InputError(f"{path.name} has a header but no rows", hint="export it again")
    if not filled.all():
        body = [row for row, some in zip(body, filled.tolist(), strict=True) if some]
        numbers = numbers[filled]
    rows, rounded = columns_of(body, headers)
    refused = [
        Refused(
            int(numbers[place]), "rounded_number",
            "Excel rounded a number of more than 15 digits; format the column as text",
            json.dumps(rows.slice(place, 1).to_pylist()[0], ensure_ascii=False).encode(),
        )
        for place in np.flatnonzero(rounded).tolist()
    ]  # fmt: skip
    if refused:
        rows, numbers = rows.filter(pa.array(~rounded)), numbers[~rounded]
    return Raw(rows, numbers, digest, path.name, tuple(refused))


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _find_encoding(path: Path, head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding in ("utf-8-sig", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with path.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise InputError(
        f"{path.name} is neither UTF-8 nor GB18030",
        hint='name its encoding in the mapping, for example encoding = "cp1252"',
    )


def _read_parquet(path: Path, digest: str) -> Raw:
    try:
        rows = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path.name} is not a readable Parquet file", hint=str(error)) from error
    if rows.num_rows == 0:
        raise InputError(f"{path.name} has no rows", hint="export it again")
    return raw_from_table(rows, name=path.name, digest=digest)


def _read_json_lines(path: Path, digest: str, encoding: str) -> Raw:
    rows: list[dict] = []
    numbers: list[int] = []
    refused: list[Refused] = []
    with path.open(encoding=encoding, errors="strict", newline="\n") as stream:
        for number, line in enumerate(_decoded(stream, path.name), start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line, parse_float=str, parse_int=str)
            except ValueError:
                value = None
            if isinstance(value, dict):
                rows.append({k: _json_text(v) for k, v in value.items()})
                numbers.append(number)
            else:
                refused.append(
                    Refused(number, "bad_json", "the line is no JSON object", line.encode())
                )
    headers = list(dict.fromkeys(key for row in rows for key in row))
    if not headers:
        raise InputError(f"{path.name} has no JSON object", hint="one JSON object per line")
    table = pa.table({h: pa.array([row.get(h) for row in rows], pa.string()) for h in headers})
    return Raw(table, np.asarray(numbers, np.int64), digest, path.name, tuple(refused))


def _json_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False)


def _decoded(stream: io.TextIOWrapper, name: str):
    try:
        yield from stream
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not {stream.encoding}", hint="set encoding") from error


def _read_csv(path: Path, digest: str, encoding: str, delimiter: str) -> Raw:
    try:
        with path.open(encoding=encoding, newline="") as stream:
            first = stream.read(_CHUNK)
    except (UnicodeDecodeError, LookupError) as error:
        raise InputError(
            f"{path.name} cannot be read as {encoding}", hint="correct encoding in the mapping"
        ) from error
    first = first.removeprefix("\ufeff")
    delimiter = delimiter or _find_delimiter(first)
    above, headers = _find_header(first, delimiter, path.name)
    refused: list[Refused] = []

    def note(row: pa_csv.InvalidRow) -> str:
        message = f"the line has {row.actual_columns} fields, the header {row.expected_columns}"
        number = row.number or 0
        refused.append(Refused(number, "wrong_columns", message, row.text.encode()))
        return "skip"

    try:
        rows = pa_csv.read_csv(
            path,
            read_options=pa_csv.ReadOptions(
                use_threads=False,
                encoding="utf8" if encoding.startswith("utf-8") else encoding,
                column_names=headers,
                skip_rows=above,
                block_size=MAX_ROW_BYTES,
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(headers, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if "straddl" in str(error):
            raise InputError(
                f"{path.name} has a line of more than {MAX_ROW_BYTES >> 20} MB",
                hint='a closing quote (") is missing, or the delimiter is another one',
            ) from error
        raise InputError(f"{path.name} is not a readable CSV file", hint=str(error)) from error
    numbers = _line_numbers(rows.num_rows, [row.line_no for row in refused], above)
    if rows.num_rows <= 1 and not refused:
        raise InputError(f"{path.name} has a header but no rows", hint="export it again")
    made = Raw(rows.slice(1), numbers[1:], digest, path.name, tuple(refused))
    return _unguard(made) if _GUARDED.search(first.encode()) else made


def _unguard(raw: Raw) -> Raw:
    """Texts without what keeps Excel from reading them as numbers: ="0123" and '13800138000."""
    arrays = [
        pc.replace_substring_regex(column, r"""^(?:="([^"]*)"|'(\+?\d+))$""", r"\1\2")
        for column in raw.rows.columns
    ]
    return replace(raw, rows=pa.table(arrays, names=raw.rows.column_names))


def _line_numbers(count: int, refused: list[int], above: int = 0) -> np.ndarray:
    """Numbers of the rows that were read, where the refused ones have theirs."""
    numbers = np.arange(1 + above, count + len(refused) + 1 + above, dtype=np.int64)
    return np.setdiff1d(numbers, np.asarray(refused, np.int64), assume_unique=True)[:count]


def _find_delimiter(text: str) -> str:
    """The mark that splits most of the first lines into most fields."""
    scores = []
    for mark in _DELIMITERS:
        lines = _first_lines(text, mark)
        counts = sorted(len(line) for line in lines)
        scores.append((counts[len(counts) // 2], len(lines[0]) if lines else 0))
    return _DELIMITERS[max(range(len(scores)), key=lambda place: scores[place])]


def _first_lines(text: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [row for row, _ in zip(reader, range(_PREAMBLE), strict=False)]
    except csv.Error as error:  # a field that does not end
        raise InputError(
            "a field of the file is longer than 128 KB", hint='a closing quote (") is missing'
        ) from error


def _header_place(lines: Sequence[Sequence[str]]) -> int:
    """The place of the header: the first line as wide as the rows, with a text in most fields.

    Only lines of one or two filled fields, titles and dates of a report, can stand above it.
    """
    filled = [sum(bool(text.strip()) for text in line) for line in lines]
    usual = sorted(filled)[len(filled) // 2] if filled else 0
    if usual < 3 or filled[0] > 2:
        return 0
    return next(i for i, count in enumerate(filled) if count > max(2, usual // 3))


def _find_header(text: str, delimiter: str, name: str) -> tuple[int, list[str]]:
    """Lines above the header, and the headers."""
    lines = _first_lines(text, delimiter)
    place = _header_place(lines)
    if place and any("\n" in one for line in lines[:place] for one in line):
        place = 0
    return place, _named([header.strip() for header in (lines[place] if lines else [])], name)


def _named(row: list[str], name: str) -> list[str]:
    check_columns(len(row), name)
    headers = [header or f"column_{i}" for i, header in enumerate(row, start=1)]
    seen: dict[str, int] = {}
    for place, header in enumerate(headers):  # real exports do name columns twice
        seen[header] = seen.get(header, 0) + 1
        if seen[header] > 1:
            headers[place] = f"{header} ({seen[header]})"
    return headers

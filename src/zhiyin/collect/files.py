"""Files become Arrow tables of raw values with the number of each line.

CSV (UTF-8 with or without BOM, GB18030, or the encoding that the mapping names), Parquet and
JSON lines. One load holds its file in memory: about 0.5 GB per million order lines.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from zhiyin.core.errors import InputError

_CHUNK = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_MAGIC = {
    b"PK\x03\x04": ("an Excel workbook or ZIP archive", "save it as CSV UTF-8, or unpack it"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save it as CSV UTF-8"),
    b"\x1f\x8b": ("a gzip archive", "unpack it first: gunzip FILE"),
    b"%PDF": ("a PDF document", "export the data as CSV"),
}


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


def read_raw(path: Path, *, encoding: str = "", delimiter: str = "") -> Raw:
    """Read a CSV, Parquet or JSON lines file; which one is seen from its content.

    Raises
    ------
    InputError
        If the file is missing, empty, not text and not Parquet, or in another encoding.
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
    for magic, (what, hint) in _MAGIC.items():
        if head.startswith(magic):
            raise InputError(f"{path.name} is {what}", hint=hint)
    if b"\x00" in head and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path.name} is binary", hint="load CSV, Parquet or JSON lines")
    encoding = encoding or _find_encoding(path, head)
    if head.lstrip(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        return _read_json_lines(path, digest, encoding)
    return _read_csv(path, digest, encoding, delimiter)


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
    delimiter = delimiter or _find_delimiter(first)
    headers = _headers(first, delimiter, path.name)
    refused: list[Refused] = []

    def note(row: pa_csv.InvalidRow) -> str:
        message = f"the line has {row.actual_columns} fields, the header {row.expected_columns}"
        refused.append(Refused(row.number, "wrong_columns", message, row.text.encode()))
        return "skip"

    try:
        rows = pa_csv.read_csv(
            path,
            read_options=pa_csv.ReadOptions(
                use_threads=False,
                encoding="utf8" if encoding.startswith("utf-8") else encoding,
                column_names=headers,
                skip_rows=0,
                block_size=1 << 24,
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(headers, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise InputError(f"{path.name} is not a readable CSV file", hint=str(error)) from error
    numbers = _line_numbers(rows.num_rows, [row.line_no for row in refused])
    if rows.num_rows <= 1 and not refused:
        raise InputError(f"{path.name} has a header but no rows", hint="export it again")
    return Raw(rows.slice(1), numbers[1:], digest, path.name, tuple(refused))


def _line_numbers(count: int, refused: list[int]) -> np.ndarray:
    """Numbers of the rows that were read, where the refused ones have theirs."""
    numbers = np.arange(1, count + len(refused) + 1, dtype=np.int64)
    return np.setdiff1d(numbers, np.asarray(refused, np.int64), assume_unique=True)[:count]


def _find_delimiter(text: str) -> str:
    line = text.lstrip("\ufeff").split("\n", 1)[0]
    counts = [len(next(csv.reader([line], delimiter=mark), [])) for mark in _DELIMITERS]
    return _DELIMITERS[int(np.argmax(counts))]


def _headers(text: str, delimiter: str, name: str) -> list[str]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter)
    row = [header.strip() for header in next(reader, [])]
    headers = [header or f"column_{i}" for i, header in enumerate(row, start=1)]
    twice = sorted({header for header in headers if headers.count(header) > 1})
    if twice:
        raise InputError(f"{name} has the column {twice[0]!r} twice", hint="rename one of them")
    return headers

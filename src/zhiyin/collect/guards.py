"""What a file may not do: blow up, hide bytes, or be larger than a table can be.

Limits are generous for real exports and cheap to check; what exceeds one is an `InputError` (the
whole file) or a refused row, never a crash or a full memory. Cells are data: nothing is evaluated.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from zhiyin.core.errors import InputError

MAX_COLUMNS = 2_000
MAX_CELL_BYTES = 100_000  # a longer one refuses its row
MAX_ROW_BYTES = 1 << 24  # a longer line ends the load: a quote is missing
MAX_SHEET_BYTES = 2 << 30  # of a workbook, unpacked
MAX_RATIO = 200  # unpacked : packed, over what is harmless
HARMLESS_BYTES = 32 << 20
MAX_PARTS = 10_000
MAX_CELLS = 50_000_000  # of a sheet's box, from its first to its farthest cell
_PIECE = 1 << 20
_PLACE = re.compile(rb' r="([A-Z]{0,3})(\d{1,7})"')  # of a cell (B7) or a row (7)


def check_columns(count: int, name: str) -> None:
    """See that a file has no absurd number of columns.

    Raises
    ------
    InputError
        If it has more than `MAX_COLUMNS`.
    """
    if count > MAX_COLUMNS:
        raise InputError(
            f"{name} has {count:,} columns, more than {MAX_COLUMNS:,}",
            hint="export rows, one record a line; delete columns that are not needed",
        )


def check_archive(path: Path) -> None:
    """Unpack every part of a workbook into nothing, counting, before a reader unpacks it in memory.

    Sizes that the archive declares are not believed. A reader makes room for every cell up to the
    farthest one: a sheet with a stray cell far away is refused too.

    Raises
    ------
    InputError
        If it is damaged, encrypted, no .xlsx, has absurdly many parts, unpacks to more than
        `MAX_SHEET_BYTES` or `MAX_RATIO` times its size, or has a sheet of more than `MAX_CELLS`.
    """
    bomb = f"{path.name} unpacks to far more than it should: it may be a zip bomb"
    hint = "save the sheet as CSV UTF-8 from a program you trust"
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            if len(parts) > MAX_PARTS:
                raise InputError(bomb, hint=hint)
            total = 0
            for part in parts:
                if part.flag_bits & 1:
                    raise InputError(f"{path.name} is encrypted", hint="save it without a password")
                size, cells = _unpacked_size(path, part, limit=MAX_SHEET_BYTES - total)
                total += size
                if cells > MAX_CELLS:
                    raise InputError(
                        f"{path.name} has a sheet of {cells:,} cells, most of them empty",
                        hint="delete the stray cells below and right of the table, or save as CSV",
                    )
                high = size > HARMLESS_BYTES and size > MAX_RATIO * max(part.compress_size, 1)
                if high or total >= MAX_SHEET_BYTES:
                    raise InputError(bomb, hint=hint)
            if "xl/workbook.xml" not in {part.filename for part in parts}:
                raise InputError(
                    f"{path.name} is no .xlsx workbook", hint="save it as .xlsx or as CSV UTF-8"
                )
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError) as error:
        raise InputError(f"{path.name} is a damaged workbook", hint="save it again") from error


def _unpacked_size(path: Path, part: zipfile.ZipInfo, *, limit: int) -> tuple[int, int]:
    """Bytes that `part` really unpacks to, counted up to `limit`; cells of a sheet's box."""
    sheet = part.filename.startswith("xl/worksheets/")
    size, tail, columns, last = 0, b"", set[bytes](), 0
    for piece in _unpack(path, part):
        size += len(piece)
        if sheet:
            places = _PLACE.findall(tail + piece)
            columns.update({letters for letters, _ in places})
            last = max([last, *map(int, {row for _, row in places})])
            tail = piece[-32:]
        if size >= limit:
            break
    return size, last * max(map(_column_number, columns), default=0)


def _column_number(letters: bytes) -> int:
    """A = 1, Z = 26, AA = 27 …; 0 for a row."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _unpack(path: Path, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of `part`, in pieces; where they end is seen from them."""
    with path.open("rb") as stream:
        stream.seek(part.header_offset + 26)
        name, extra = (int.from_bytes(stream.read(2), "little") for _ in range(2))
        stream.seek(name + extra, 1)
        left = part.compress_size
        if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                f"{path.name} is packed in a way that workbooks are not", hint="save it again"
            )
        unpack = zlib.decompressobj(-zlib.MAX_WBITS)
        while left and not unpack.eof:
            piece = stream.read(min(_PIECE, left))
            if not piece:
                return
            left -= len(piece)
            if part.compress_type == zipfile.ZIP_STORED:
                yield piece
                continue
            while piece:
                yield unpack.decompress(piece, _PIECE)
                piece = unpack.unconsumed_tail


def find_nul(path: Path) -> int | None:
    """Line (from 1) of the first NUL byte of a text file, None if it has none."""
    line = 1
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            place = piece.find(b"\x00")
            if place >= 0:
                return line + piece.count(b"\n", 0, place)
            line += piece.count(b"\n")
    return None

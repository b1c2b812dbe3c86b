"""What a file may not do: blow up, hide bytes, or be larger than a table can be.

Limits are generous for real exports and cheap to check; what exceeds one is an `InputError` (the
whole file) or a refused row, never a crash or a full memory. Cells are data: nothing is evaluated.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from zhiyin.core.errors import InputError

MAX_COLUMNS = 2_000
MAX_CELL_BYTES = 100_000  # a longer one refuses its row
MAX_ROW_BYTES = 1 << 24  # a longer line ends the load: a quote is missing
MAX_SHEET_BYTES = 2 << 30  # of a workbook, unpacked
MAX_RATIO = 200  # unpacked : packed, over what is harmless
HARMLESS_BYTES = 32 << 20
MAX_PARTS = 10_000
_PIECE = 1 << 20


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

    Sizes that the archive declares are not believed.

    Raises
    ------
    InputError
        If it is damaged, encrypted, has absurdly many parts, or unpacks to more than
        `MAX_SHEET_BYTES` or `MAX_RATIO` times its size.
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
                size = _unpacked_size(path, part, limit=MAX_SHEET_BYTES - total)
                total += size
                high = size > HARMLESS_BYTES and size > MAX_RATIO * max(part.compress_size, 1)
                if high or total >= MAX_SHEET_BYTES:
                    raise InputError(bomb, hint=hint)
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError) as error:
        raise InputError(f"{path.name} is a damaged workbook", hint="save it again") from error


def _unpacked_size(path: Path, part: zipfile.ZipInfo, *, limit: int) -> int:
    """Bytes that `part` really unpacks to, counted up to `limit`."""
    with path.open("rb") as stream:
        stream.seek(part.header_offset + 26)
        name, extra = (int.from_bytes(stream.read(2), "little") for _ in range(2))
        stream.seek(name + extra, 1)
        if part.compress_type == zipfile.ZIP_STORED:
            return part.compress_size
        if part.compress_type != zipfile.ZIP_DEFLATED:
            raise InputError(
                f"{path.name} is packed in a way that workbooks are not", hint="save it again"
            )
        unpack, size, left = zlib.decompressobj(-zlib.MAX_WBITS), 0, part.compress_size
        while left and size < limit and not unpack.eof:
            piece = stream.read(min(_PIECE, left))
            if not piece:
                break
            left -= len(piece)
            while piece and size < limit:
                size += len(unpack.decompress(piece, _PIECE))
                piece = unpack.unconsumed_tail
        return size


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

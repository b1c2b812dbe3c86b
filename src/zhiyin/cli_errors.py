"""Errors as two lines for the person at the command line."""

from __future__ import annotations

from zhiyin.core.errors import DiskFull, ZhiyinError, is_disk_full

_STORAGE = frozenset({"sqlalchemy", "sqlite3", "deltalake", "_internal", "duckdb", "_duckdb"})


def explain_error(error: Exception) -> str | None:
    """What happened and what to do; None: a fault of the program, whose trace is wanted.

    Of errors of the storage only the kind is named: their words may hold values of rows.
    """
    if not isinstance(error, ZhiyinError) and is_disk_full(error):
        error = DiskFull()
    if isinstance(error, ZhiyinError):
        message, hint = error.message, error.hint
    elif type(error).__module__.split(".")[0] in _STORAGE:
        message = f"the workspace cannot be read or written ({type(error).__name__})"
        hint = "zhiyin doctor -w FOLDER names what is broken and what to do"
    else:
        return None
    return f"error: {message}" + (f"\nhint:  {hint}" if hint else "")

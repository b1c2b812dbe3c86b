"""Zhiyin (知音): an open-source AI precision-marketing platform.

>>> import zhiyin
>>> workspace = zhiyin.open("shop")              # doctest: +SKIP
>>> workspace.table("scores").to_pandas()        # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zhiyin.app import Workspace

__all__ = ["__version__", "open"]
__version__ = "0.1.0"


def open(folder: str = ".", *, write: bool = False) -> Workspace:
    """Open the workspace in `folder`, read-only unless `write`.

    Raises
    ------
    WorkspaceError
        If there is none, or a newer version wrote it.
    """
    from zhiyin.app import Workspace  # noqa: PLC0415 - the package must import in milliseconds

    return Workspace.open(folder, write=write)

"""Which Parquet files a Delta table is made of: what every engine reads."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable

from zhiyin.core.errors import WorkspaceError

READABLE_FEATURES = frozenset({"timestampNtz", "timestampNTZ"})


def active_files(table: DeltaTable) -> tuple[pa.Schema, list[str], list[str]]:
    """Arrow schema in table order, partition columns, and paths of the active files, sorted.

    Raises
    ------
    WorkspaceError
        If the files cannot be read as plain Parquet (deletion vectors, column mapping …), or a
        partitioned table lies under a folder named `key=value`.
    """
    protocol = table.protocol()
    unreadable = set(protocol.reader_features or []) - READABLE_FEATURES
    if protocol.min_reader_version not in (1, 3) or unreadable:
        raise WorkspaceError(
            f"{local_root(table).name} has Delta reader version {protocol.min_reader_version} "
            f"with features {sorted(unreadable)}, which Zhiyin does not read"
        )
    prefix = len(table.table_uri.removeprefix("file://").rstrip("/")) + 1
    root = local_root(table)
    partitions = list(table.metadata().partition_columns)
    if partitions and any("=" in part for part in root.parts):
        raise WorkspaceError(
            f"the lake may not lie under a folder named key=value: {root}",
            hint="move the workspace to a folder without = in its path",
        )
    # file_uris() percent-encodes the table's own folder, which is then no path on the disk
    files = sorted(
        os.path.join(root, uri.removeprefix("file://")[prefix:]) for uri in table.file_uris()
    )
    schema = pa.schema(table.schema().to_arrow())  # pyright: ignore[reportArgumentType]  # has the Arrow C schema protocol
    plain = pa.schema([pa.field(field.name, _plain(field.type)) for field in schema])
    return plain, partitions, files


def local_root(table: DeltaTable) -> Path:
    """The folder of a Delta table on this machine."""
    return Path(unquote(table.table_uri.removeprefix("file://").rstrip("/")))


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else kind

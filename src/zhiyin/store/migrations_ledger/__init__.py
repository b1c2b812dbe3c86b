"""Migrations of the ledger's schema (Alembic), run when a workspace is opened.

A new one: `versions/NNNN_what.py`, with `HEAD` in `store/ledger.py` raised to its number.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

FOLDER = Path(__file__).parent


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def known_versions() -> list[str]:
    """Versions that this code knows, newest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Run the migrations that the database lacks, in the connection's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)

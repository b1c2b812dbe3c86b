"""Campaigns that leave as files over HTTP: the file is the answer, and nothing of it is kept."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from fastapi import Request
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.api.campaigns import campaigns_at
from zhiyin.app import quiet, renewing
from zhiyin.store.leases import hold_lease

PREFIX = "zhiyin-list-"
STALE_S = 3_600
"""A folder of an export that is older was left behind by a process that died."""
_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


class Wanted(BaseModel):
    """Which file is asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: Literal["new", "again", "removals"] = Field(
        "new", description="what is due; what was exported before; who must come off the list"
    )
    format: Literal["csv", "parquet"] = "csv"


def export(request: Request, key: str, wanted: Wanted) -> Response:
    """A campaign with channel file, google_ads or meta_ads as a file; each line is sent once.

    Consents are asked again for every line. How many lines there are, and who was left out why,
    stands in the header `X-Zhiyin-Export`; without a line that is the whole answer. Where a
    download was cut short, `again` gives the same people who may still be on it. Every export is
    in the audit log.
    """
    shop, caller = workspace_of(request), caller_of(request)
    folder = _fresh_folder(shop.clock.now().timestamp())
    path = folder / f"list.{wanted.format}"
    try:
        with hold_lease(shop.store.ledger, clock=shop.clock) as lease:
            campaigns = campaigns_at(request)
            ctx = replace(campaigns.ctx, progress=renewing(lease, quiet, shop.clock))
            made = replace(campaigns, ctx=ctx).export(
                key, path, by=caller.name, workspace=shop.folder, what=wanted.what
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    counts: dict[str, Any] = {"lines": made.lines, "left_out": dict(made.left_out)}
    if not made.lines:
        shutil.rmtree(folder, ignore_errors=True)
        return JSONResponse(counts)
    return FileResponse(
        path,
        media_type=_TYPES[wanted.format],
        filename=f"{key}.{wanted.format}",
        headers={"X-Zhiyin-Export": json.dumps(counts)},
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


def _fresh_folder(now_s: float) -> Path:
    """A folder that only this user can open; those that died before their answer went are gone."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another request may be quicker
            if left.stat(follow_symlinks=False).st_mtime < now_s - STALE_S:
                shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=PREFIX))


ROUTES = (Route("POST", "/v1/admin/campaigns/{key}/export", "list:export", export),)

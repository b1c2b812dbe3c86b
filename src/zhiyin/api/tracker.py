"""`/zhiyin.js`: our tracker for browsers, as small as it can be without a build step.

The source is written by hand and stays readable; what is served lacks its comments and indentation.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from fastapi import Request
from starlette.responses import Response

from zhiyin.api.access import PUBLIC, Route
from zhiyin.api.errors import NOT_MODIFIED

_BANNER = "//!"
_OPEN_END = re.compile(r"([;{,(\[])\n")
"""A line that ends so goes on in the next one: JavaScript never adds a semicolon there."""


@dataclass(frozen=True)
class Script:
    """The tracker as it is served."""

    text: bytes
    gzipped: bytes
    tag: str  # of its content: changes when it changes


def shrink(source: str) -> str:
    """A script without its indentation, empty lines and lines that are only a comment.

    It reads lines, not JavaScript: a comment must have a line of its own, and no string, template
    or expression may run over lines. A comment that begins with `//!` stays.
    """
    lines = (line.strip() for line in source.splitlines())
    kept = [line for line in lines if line and (line[:2] != "//" or line.startswith(_BANNER))]
    return _OPEN_END.sub(r"\1", "\n".join(kept)) + "\n"


@cache
def load_tracker() -> Script:
    """The tracker, shrunk and compressed once per process."""
    source = resources.files("zhiyin.api").joinpath("static", "zhiyin.js").read_text("utf-8")
    text = shrink(source).encode()
    tag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
    return Script(text=text, gzipped=gzip.compress(text, 9, mtime=0), tag=tag)


def show_tracker(request: Request) -> Response:
    """The tracker, for any site: it is cached for an hour and asked for again by its tag."""
    script = load_tracker()
    headers = {
        "ETag": script.tag,
        "Cache-Control": "public, max-age=3600",
        "Vary": "Accept-Encoding",
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if script.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=NOT_MODIFIED, headers=headers)
    content = script.text
    if "gzip" in request.headers.get("accept-encoding", ""):
        content = script.gzipped
        headers["Content-Encoding"] = "gzip"
    return Response(content, media_type="text/javascript", headers=headers)


ROUTES = (Route("GET", "/zhiyin.js", PUBLIC, show_tracker),)

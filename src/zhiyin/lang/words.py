"""The words that `words.toml` lists."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any


@cache
def read_words() -> dict[str, Any]:
    """The content of `words.toml`."""
    return tomllib.loads(resources.files("zhiyin.lang").joinpath("words.toml").read_text("utf-8"))

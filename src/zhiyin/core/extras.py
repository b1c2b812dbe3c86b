"""Optional parts: imported on first use, with a sentence that says what to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from zhiyin.core.errors import MissingExtra


def load_extra(module: str, extra: str) -> ModuleType:
    """Import `module`, which the optional part `extra` brings.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{module} is not installed", hint=f'install it with: pip install "zhiyin[{extra}]"'
        ) from error


def lightgbm_or_none() -> ModuleType | None:
    """LightGBM where its wheel loads (it needs the system's libgomp.so.1), otherwise None."""
    try:
        return importlib.import_module("lightgbm")
    except (ImportError, OSError):
        return None

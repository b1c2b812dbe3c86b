"""The report of one turn: one HTML file in Chinese and English, and a plain text.

`render` (in `render.py`) is pure; only `job.py` reads the workspace.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zhiyin.measure.report.data import EmailExample, ReportData
    from zhiyin.measure.report.job import collect_data
    from zhiyin.measure.report.render import render
    from zhiyin.measure.report.summary import summary_text

__all__ = ["EmailExample", "ReportData", "collect_data", "render", "summary_text"]

_HOMES = {
    "EmailExample": "data",
    "ReportData": "data",
    "collect_data": "job",
    "render": "render",
    "summary_text": "summary",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"zhiyin.measure.report.{_HOMES[name]}"), name)

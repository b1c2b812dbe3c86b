"""The report of one turn: one HTML file in Chinese and English, and a plain text.

`job.collect_data` reads the workspace, `render.render` and `summary.summary_text` are pure.
"""

from __future__ import annotations

__all__ = ["data", "job", "render", "summary"]

"""The report of one turn: one HTML file in Chinese and English, and a plain text.

`job.collect_data` reads the workspace; `render.render`, `summary.summary_text` and
`persona.render_persona` are pure.
"""

from __future__ import annotations

__all__ = ["data", "job", "persona", "render", "summary"]

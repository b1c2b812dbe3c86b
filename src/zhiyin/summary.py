"""The machine-readable result of a turn: `summary.json`, `zhiyin run --json`."""

from __future__ import annotations

import resource
import sys
from typing import Any

from zhiyin.core.tables import TABLES
from zhiyin.loop import Turn
from zhiyin.store.workspace import WorkspaceStore

RESPONSE = (
    "auc", "auc_low", "auc_high", "captured_at_30", "lift_at_10", "brier", "ece", "recipients",
    "redeemers", "profit_model_minor", "profit_all_minor", "profit_rfm_minor",
)  # fmt: skip
PURCHASE = ("auc", "auc_low", "auc_high", "lift_at_10", "brier", "ece", "customers", "buyers")
PREDICTED = ("churn", "next_purchase")
SEGMENTS = ("rfm", "k", "silhouette")
RECOMMEND = (
    "ndcg_at_10_new", "popularity_ndcg_at_10_new", "ndcg_at_10_all", "frequency_ndcg_at_10_all",
)  # fmt: skip
MESSAGES = ("planned", "sent", "unknown", "failed", "skipped")


def summarise(turn: Turn, store: WorkspaceStore) -> dict[str, Any]:
    """The figures of a turn by their documented names; null where there is no such figure.

    `rows` counts the rows of every table as they are now; `timings_s` are wall seconds by job.
    """
    return {
        "as_of": turn.as_of.isoformat(),
        "turn_id": turn.turn_id,
        "response": _figures(turn, "measure", "response", RESPONSE),
        "purchase": _figures(turn, "measure", "purchase", PURCHASE),
        "predictions": _figures(turn, "understand.models", "predictions", PREDICTED),
        "segments": _figures(turn, "understand.models", "segments", SEGMENTS),
        "recommend": _figures(turn, "measure", "recommend", RECOMMEND),
        "messages": _figures(turn, "act", "messages", MESSAGES),
        "rows": count_rows(store),
        "timings_s": {job: round(seconds, 2) for job, seconds in turn.seconds.items()},
        "peak_rss_mb": peak_rss_mb(),
    }


def count_rows(store: WorkspaceStore) -> dict[str, int]:
    """Rows of every table that has any, as readers see them."""
    counts: dict[str, int] = {}
    for name in TABLES:
        rows = store.read(name)
        counted = int(rows.count().to_pyarrow().as_py())
        if counted:
            counts[name] = counted
    return counts


def peak_rss_mb() -> int:
    """The most memory this process has held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 if sys.platform != "darwin" else 1024 * 1024)


def _figures(turn: Turn, job: str, part: str, names: tuple[str, ...]) -> dict[str, Any]:
    report = turn.report(job)
    values = report.figures.get(part) if report is not None else None
    known: dict[str, Any] = dict(values) if isinstance(values, dict) else {}
    return {name: known.get(name) for name in names}

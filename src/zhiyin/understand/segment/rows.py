"""Segments as rows of `memberships` and as bodies for `insights`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import MEMBERSHIPS
from zhiyin.understand.segment.clusters import Clusters
from zhiyin.understand.segment.lasting import Lasting
from zhiyin.understand.segment.movement import measure_movement
from zhiyin.understand.segment.portrait import Portrait
from zhiyin.understand.segment.rfm import SEGMENTS

RFM, CLUSTERS = "rfm", "clusters"
MEMBER = [c.CUSTOMER_ID, c.SEGMENT]

Insights = list[tuple[str, dict[str, Any]]]
"""(key, body) of each `insights` row of kind `segment`: groups first, then the scheme itself."""

_SCORES = (c.R_SCORE, c.F_SCORE, c.M_SCORE)
_VALUES = (c.RECENCY_DAYS, c.FREQUENCY, c.MONETARY_MINOR)


def rfm_memberships(named: pa.Table, *, as_of: date) -> pa.Table:
    """Rows of `memberships` from what `rfm.name_segments` gave; sorted by customer.

    `score` is r x 100 + f x 10 + m; `properties` hold the scores and the values behind them.
    """
    named = named.sort_by(c.CUSTOMER_ID)
    rows = named.select([*_SCORES, *_VALUES]).to_pylist()
    scores = [100.0 * r[c.R_SCORE] + 10.0 * r[c.F_SCORE] + r[c.M_SCORE] for r in rows]
    return _memberships(
        named[c.CUSTOMER_ID].to_pylist(),
        named[c.SEGMENT].to_pylist(),
        scores,
        rows,
        scheme=RFM,
        as_of=as_of,
    )


def rfm_insights(named: pa.Table) -> Insights:
    """What to say of each RFM segment that has customers, largest first.

    Body: `name` and `words` and `advice` ({`en`, `zh`}), `customers`, `share` of customers,
    `revenue_minor`, `revenue_share` (None where revenue is not positive), and the means
    `recency_days` and `frequency`.
    """
    segments = np.array(named[c.SEGMENT].to_pylist(), dtype=object)
    values = {name: named[name].to_numpy().astype(np.float64) for name in _VALUES}
    made: Insights = []
    for segment in SEGMENTS:
        mine = segments == segment.name
        if not mine.any():
            continue
        body = {
            c.NAME: {"en": segment.label, "zh": segment.label_zh},
            "words": {"en": segment.words, "zh": segment.words_zh},
            "advice": {"en": segment.advice, "zh": segment.advice_zh},
            **_size(mine, values[c.MONETARY_MINOR]),
            c.RECENCY_DAYS: round(float(values[c.RECENCY_DAYS][mine].mean()), 1),
            c.FREQUENCY: round(float(values[c.FREQUENCY][mine].mean()), 1),
        }
        made.append((f"{RFM}:{segment.name}", body))
    return sorted(made, key=lambda item: (-item[1]["customers"], item[0]))


def cluster_memberships(
    clusters: Clusters, customer_ids: Sequence[str], *, names: Sequence[str], as_of: date
) -> pa.Table:
    """Rows of `memberships`; `score` is the distance to the centre. Empty without clusters.

    `names` are those of the clusters, in order of their number.
    """
    segments = [str(names[label]) for label in clusters.labels.tolist()]
    ids = list(customer_ids) if clusters.k else []
    distances = [round(float(d), 9) for d in clusters.distances]
    return _memberships(ids, segments, distances, [None] * len(ids), scheme=CLUSTERS, as_of=as_of)


def cluster_insights(
    clusters: Clusters,
    portraits: Sequence[Portrait],
    revenue_minor: np.ndarray,
    *,
    lasting: Lasting,
) -> Insights:
    """What to say of each cluster, largest first, and one row for the scheme.

    Parameters
    ----------
    clusters, portraits
        From `find_clusters` and `describe_clusters`.
    revenue_minor
        (n,) revenue of each customer, in the order of the labels.
    lasting
        Their names, and how they go with those of the last day.

    Returns
    -------
    Body of a cluster: as of an RFM segment without `advice` and means, with `overlap` (customers
    in both over those in either, None for a new group) and `differences` (list of
    {`feature`, `effect`, `value`, `usual`}). Body of key `clusters`: `status`, `k`, `silhouette`,
    `stability`, `stability_std`, `features`, `tried` (list of {`k`, `silhouette`,
    `calinski_harabasz`}).
    """
    made: Insights = []
    overlaps = lasting.overlaps or [math.nan] * clusters.k
    for number, (name, portrait) in enumerate(zip(lasting.names, portraits, strict=True)):
        body = {
            c.NAME: {"en": portrait.label, "zh": portrait.label_zh},
            "words": {"en": portrait.words, "zh": portrait.words_zh},
            **_size(clusters.labels == number, revenue_minor),
            "overlap": _number(overlaps[number]),
            "differences": [
                {
                    "feature": d.feature,
                    "effect": round(d.effect, 3),
                    "value": _number(d.value),
                    "usual": _number(d.usual),
                }
                for d in portrait.differences
            ],
        }
        made.append((f"{CLUSTERS}:{name}", body))
    return [*made, (CLUSTERS, cluster_figures(clusters))]


def movement_body(
    before: pa.Table,
    after: pa.Table,
    *,
    start: date,
    end: date,
    names: Mapping[str, tuple[str, str]] | None = None,
) -> dict[str, Any]:
    """What to say of the movement between two days, from customers and their segments on each.

    Body: `start_on` and `end_on`, `words` ({`en`, `zh`}), `stayed` (share of those known on both
    days, None where there are none), `counts` (segment before → segment after → customers, with
    `(new)` and `(lost)`; zeros are left out).
    """
    sides = (
        pd.Series(day[c.SEGMENT].to_pylist(), index=day[c.CUSTOMER_ID].to_pylist(), dtype=object)
        for day in (before, after)
    )
    moved = measure_movement(*sides, start=start, end=end, names=names)
    return {
        c.START_ON: start.isoformat(),
        c.END_ON: end.isoformat(),
        "words": {"en": moved.words, "zh": moved.words_zh},
        "stayed": _number(moved.stayed),
        "counts": {
            source: {target: int(n) for target, n in row.items() if n}
            for source, row in moved.counts.iterrows()
            if row.sum()
        },
    }


def cluster_figures(clusters: Clusters) -> dict[str, Any]:
    """Status, k and quality of the grouping, as JSON values."""
    return {
        c.STATUS: clusters.status,
        "k": clusters.k,
        "silhouette": _number(clusters.silhouette),
        "stability": _number(clusters.stability),
        "stability_std": _number(clusters.stability_std),
        "features": list(clusters.names),
        "tried": [
            {
                "k": q.k,
                "silhouette": _number(q.silhouette),
                "calinski_harabasz": _number(q.calinski_harabasz),
            }
            for q in clusters.quality
        ],
    }


def _size(mine: np.ndarray, revenue: np.ndarray) -> dict[str, Any]:
    total, ours = float(revenue.sum()), float(revenue[mine].sum())
    return {
        "customers": int(mine.sum()),
        "share": round(float(mine.mean()), 4),
        "revenue_minor": round(ours),
        "revenue_share": round(ours / total, 4) if total > 0 else None,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _memberships(
    customers: Sequence[str],
    segments: Sequence[str],
    scores: Sequence[float],
    properties: Sequence[Mapping[str, Any] | None],
    *,
    scheme: str,
    as_of: date,
) -> pa.Table:
    schema = arrow_schema(MEMBERSHIPS)
    told = [None if row is None else json.dumps(row, sort_keys=True) for row in properties]
    return pa.table(
        {
            c.AS_OF_ON: [as_of] * len(customers),
            c.CUSTOMER_ID: customers,
            c.SCHEME: [scheme] * len(customers),
            c.SEGMENT: segments,
            c.SCORE: scores,
            c.PROPERTIES: told,
        },
        schema=schema,
    )

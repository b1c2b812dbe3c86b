"""Job `profile.tags`: the tags of the day."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from zhiyin.core import columns as c
from zhiyin.core.config import ProfileSettings
from zhiyin.core.context import Context
from zhiyin.core.values import JobReport
from zhiyin.profile import tags

JOB = "profile.tags"


def run(ctx: Context, config: ProfileSettings) -> JobReport:
    """Write `tags` of the day from the features that the turn stored for it."""
    features = ctx.store.read("features")
    today = features.filter(features[c.AS_OF_ON] == ctx.as_of)
    rows = tags.apply(today).order_by([c.CUSTOMER_ID, c.TAG]).to_pyarrow()
    written = ctx.store.replace("tags", rows, scope={c.AS_OF_ON: ctx.as_of})
    counted = rows.group_by(c.TAG).aggregate([(c.CUSTOMER_ID, "count")]).to_pylist()
    figures = {row[c.TAG]: row[f"{c.CUSTOMER_ID}_count"] for row in counted}
    return JobReport(JOB, rows={"tags": written}, figures=dict(sorted(figures.items())))

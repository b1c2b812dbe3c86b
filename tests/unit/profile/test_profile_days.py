from __future__ import annotations

from datetime import datetime, timedelta

from tests.unit.profile.shop_rows import DAY, ZONE, Shop, campaign, line, offer, product, touch
from zhiyin.profile.campaign import build_campaign, build_campaigns
from zhiyin.profile.facts import gather
from zhiyin.profile.features import build, build_days, everyone
from zhiyin.profile.visible import Days

EARLIER = DAY - timedelta(days=20)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def shop() -> Shop:
    """Two customers; an order, a product and a campaign that the earlier day sees in part."""
    made = Shop()
    made.fill(
        lines=[
            line("a", "o1", at("2017-04-20 12:00:00"), product="p1"),
            line("a", "o2", at("2017-05-11 12:00:00"), product="p1"),
            line("a", "o2", at("2017-05-13 12:00:00"), product="p2", amount=300),
            line("a", "o3", at("2017-05-20 12:00:00"), product="p3", kind="return", amount=-50),
            line("b", "o4", at("2017-05-25 12:00:00"), product="p3"),
        ],
        products=[
            product("p1", category="milk", valid_at=at("2017-05-14 00:00:00")),
            product("p2", category="bread"),
        ],
        touches=[
            touch("a", "now", at("2017-05-01 12:00:00")),
            touch("b", "now", at("2017-05-20 12:00:00")),
            touch("a", "old", at("2017-03-01 12:00:00")),
            touch("a", "old", at("2017-05-15 12:00:00"), kind="redemption", offer="f2"),
        ],
        campaigns=[
            campaign("now", DAY, DAY + timedelta(days=20)),
            campaign("old", EARLIER - timedelta(days=40), EARLIER + timedelta(days=9)),
        ],
        offers=[offer("f1", "now", "p1"), offer("f2", "old", "p1"), offer("f3", "now", "p2")],
    )
    return made


def rows(expression) -> list[dict]:
    return sorted(expression.to_pyarrow().to_pylist(), key=lambda row: str(list(row.values())[:3]))


def test_days_computed_at_once_are_those_computed_one_by_one():
    tables = shop().tables
    facts = gather(tables, Days((EARLIER, DAY), ZONE))
    at_once = rows(build_days(facts, people=everyone(facts)))
    alone = [row for day in (EARLIER, DAY) for row in rows(build(tables, as_of=day, zone=ZONE))]
    assert len(alone) == 3
    assert at_once == alone


def test_a_later_day_can_be_made_from_one_of_several_days_as_from_a_single_one():
    tables, made = shop().tables, []
    for days in [(EARLIER, DAY), (EARLIER,), (DAY,)]:
        facts = gather(tables, Days(days, ZONE), moments=True)
        made.append(rows(build_days(facts, people=everyone(facts), moments=True)))
    at_once, *alone = made
    assert at_once == [row for one in alone for row in one]
    # o2 was seen in part on the earlier day: two parts, each of one day
    assert [row["scattered"] for row in at_once] == [0, 1, 0]


def test_campaigns_computed_at_once_are_those_computed_one_by_one():
    tables = shop().tables
    facts = gather(tables, Days((EARLIER, DAY), ZONE))
    shots = [(0, "now"), (1, "now"), (1, "old")]
    at_once = rows(build_campaigns(facts, tables, shots=shots))
    alone = [
        row
        for k, name in shots
        for row in rows(
            build_campaign(tables, as_of=(EARLIER, DAY)[k], campaign_id=name, zone=ZONE)
        )
    ]
    assert len(alone) == 4
    assert at_once == alone

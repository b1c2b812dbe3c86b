"""Two turns of a planted shop: what the first campaign caused decides how many the second gets."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from tests.unit.decide.conftest import DAY, Shop
from zhiyin.core import columns as c
from zhiyin.decide import job as decide
from zhiyin.decide import reasons
from zhiyin.measure import job as measure
from zhiyin.measure.results import to_rows

NEXT = date(2026, 6, 2)
PEOPLE = [f"p_{n:03d}" for n in range(120)]


@pytest.fixture
def shop(monkeypatch):
    """120 who may be written to; indicators have tests of their own."""
    monkeypatch.setattr(measure, "make_rows", lambda ctx: to_rows([], as_of=ctx.as_of, until={}))
    made = Shop()
    for one in PEOPLE:
        made.add_customer(one)
    made.add_campaign("s:1", end=date(2026, 5, 20))
    made.plan(*PEOPLE, campaign="s:1")
    yield made
    made.store.close()


def _decide(shop: Shop, day: date, campaign: str) -> dict:
    shop.score({one: 0.06 + n / 150 for n, one in enumerate(PEOPLE)}, day=day, subject=campaign)
    context = shop.context(day, campaign=campaign, holdout_share=0.5)
    return decide.run(context, context.settings.decide).figures["campaigns"][campaign]


def _live(shop: Shop, *, anyway: bool) -> None:
    """Whoever was contacted redeems and pays some 10.00; the others only if they would anyway."""
    at = datetime(2026, 5, 8, 16)
    for n, (one, row) in enumerate(shop.decisions().items()):
        contacted = row[c.ACTION] == "contact"
        if contacted:
            shop.add("touches", {
                c.TOUCH_ID: f"r-{one}", c.PARTY_ID: one, c.KIND: "redemption",
                c.CAMPAIGN_ID: "s:1", c.OCCURRED_AT: at,
            })  # fmt: skip
        if contacted or anyway:
            shop.add("order_lines", {
                c.LINE_ID: one, c.ORDER_ID: one, c.PARTY_ID: one, c.PRODUCT_ID: "s:a",
                c.KIND: "item", c.QUANTITY: 1.0, c.AMOUNT_BASE_MINOR: 950 + 10 * (n * 7 % 11),
                c.SOLD_AT: at,
            })  # fmt: skip
    shop.add("order_lines", {
        c.LINE_ID: "last", c.ORDER_ID: "last", c.PARTY_ID: "p_x", c.PRODUCT_ID: "s:a",
        c.KIND: "item", c.QUANTITY: 1.0, c.AMOUNT_BASE_MINOR: 1, c.SOLD_AT: datetime(2026, 5, 30),
    })  # fmt: skip


@pytest.mark.parametrize("anyway", [True, False], ids=["nothing_caused", "all_caused"])
def test_a_campaign_that_caused_nothing_is_followed_by_fewer_contacts(shop, anyway):
    shop.add("offers", {c.OFFER_ID: "s:o1", c.CAMPAIGN_ID: "s:1", c.PRODUCT_ID: "s:a",
                        c.VALID_AT: datetime(2026, 5, 3, 16)})  # fmt: skip
    first = _decide(shop, DAY, "s:1")
    assert first["chosen"] == 120
    _live(shop, anyway=anyway)
    context = shop.context(date(2026, 6, 1), holdout_share=0.5)
    measure.run(context, context.settings.measure)
    shop.add_campaign("s:2", start=NEXT, end=date(2026, 6, 20))
    shop.plan(*PEOPLE, campaign="s:2")
    second = _decide(shop, NEXT, "s:2")
    if anyway:
        assert second["caused"]["measured"] == pytest.approx(0, abs=0.1)
        assert second["chosen"] < 60
        assert second["skipped"][reasons.NO_CAUSED] == 120 - second["chosen"]
    else:
        assert second["caused"]["value"] == pytest.approx(1, abs=0.1)
        assert second["chosen"] == 120

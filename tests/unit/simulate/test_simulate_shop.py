"""The simulated shop: repeatable, plausible, and true about what a contact causes."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.tables import table
from zhiyin.simulate.config import CustomerType, ShopConfig
from zhiyin.simulate.retailer import Shop

SMALL = ShopConfig(customers=400, products=40, categories=4, first_campaign_day=40)
START = date(2024, 4, 10)  # day 100: the third campaign (k003) starts
END = START + timedelta(days=14)


@pytest.fixture(scope="module")
def history():
    return Shop(SMALL, seed=3).history(START)


def _listed(tables: dict, campaign: str) -> list[str]:
    touches = tables["touches"]
    planned = touches[(touches[c.KIND] == "planned") & (touches[c.CAMPAIGN_ID] == campaign)]
    return sorted(planned[c.CUSTOMER_ID])


def _arm_means(step: dict, arms: dict[str, list[str]]) -> dict[str, tuple[float, float]]:
    """Orders and revenue per customer of each arm, as a shop would count them."""
    lines = step["order_lines"]
    orders = lines.groupby(c.CUSTOMER_ID)[c.ORDER_ID].nunique()
    revenue = lines.groupby(c.CUSTOMER_ID)[c.AMOUNT_MINOR].sum()
    return {
        name: (
            orders.reindex(ids, fill_value=0).mean(), revenue.reindex(ids, fill_value=0).mean()
        )
        for name, ids in arms.items()
    }  # fmt: skip


def test_a_seed_gives_one_world_and_another_seed_another(history):
    again = Shop(SMALL, seed=3).history(START)
    for name, frame in history.items():
        pd.testing.assert_frame_equal(frame, again[name])
    other = Shop(SMALL, seed=4).history(START)
    assert not other["order_lines"].equals(history["order_lines"])


def test_how_days_are_cut_does_not_matter():
    whole = Shop(SMALL, seed=3).history(END)
    cut = Shop(SMALL, seed=3)
    first = cut.history(START - timedelta(days=5))
    middle = cut.step(START - timedelta(days=5), START, {})
    last = cut.step(START, END, {"k003": _listed({"touches": middle["touches"]}, "k003")})
    for name, key in (("order_lines", c.LINE_ID), ("touches", c.TOUCH_ID)):
        parts = pd.concat([first[name], middle[name], last[name]], ignore_index=True)
        pd.testing.assert_frame_equal(parts.sort_values(key, ignore_index=True), whole[name])
    assert len(whole["customers"]) == sum(len(part["customers"]) for part in (first, middle, last))


def test_headers_are_columns_of_the_lake(history):
    raw = {c.CUSTOMER_ID, "email", "purpose", "granted", c.AT, c.CHANNEL}
    for name, frame in history.items():
        known = raw if name == "consents" else {*table(name).names, *raw}
        assert set(frame.columns) <= known, name
        assert not frame.isna().to_numpy().any(), name


def test_nothing_is_exported_from_the_day_itself_or_later(history):
    midnight = pd.Timestamp(START, tz=SMALL.zone)
    for name, time in (
        ("order_lines", c.SOLD_AT), ("touches", c.OCCURRED_AT), ("consents", c.AT),
        ("customers", c.VALID_AT), ("campaigns", c.VALID_AT), ("offers", c.VALID_AT),
    ):  # fmt: skip
        assert history[name][time].max() < midnight
        assert str(history[name][time].dt.tz) == "UTC"


def test_the_list_of_a_campaign_is_known_when_it_starts_but_nobody_is_contacted_yet(history):
    touches = history["touches"]
    of_next = touches[touches[c.CAMPAIGN_ID] == "k003"]
    assert set(of_next[c.KIND]) == {"planned"}
    assert len(_listed(history, "k003")) > 100
    assert "k003" in set(history["campaigns"][c.CAMPAIGN_ID])
    assert "k003" in set(history["offers"][c.CAMPAIGN_ID])
    sent = touches[(touches[c.KIND] == "sent") & (touches[c.CAMPAIGN_ID] == "k002")]
    assert sorted(sent[c.CUSTOMER_ID]) == _listed(history, "k002")


def test_lists_hold_only_those_who_consent(history):
    consents = history["consents"].sort_values(c.AT)
    last = consents.groupby(c.CUSTOMER_ID)["granted"].last()
    assert last[_listed(history, "k003")].all()
    assert not last.all()


def test_ids_are_unique_and_money_adds_up(history):
    lines = history["order_lines"]
    assert lines[c.LINE_ID].is_unique
    assert history["touches"][c.TOUCH_ID].is_unique
    assert (lines[c.AMOUNT_MINOR] == lines[c.GROSS_MINOR] - lines[c.COUPON_MINOR]).all()
    assert (lines[c.GROSS_MINOR] > 0).all()
    assert lines.groupby(c.ORDER_ID)[c.CUSTOMER_ID].nunique().max() == 1
    prices = history["products"].set_index(c.PRODUCT_ID)[c.PRICE_MINOR]
    assert (
        prices[lines[c.PRODUCT_ID]].to_numpy() * lines[c.QUANTITY] == lines[c.GROSS_MINOR]
    ).all()


def test_redemptions_are_of_contacted_people_for_offered_products_inside_the_window(history):
    touches, lines = history["touches"], history["order_lines"].set_index(c.LINE_ID)
    redeemed = touches[touches[c.KIND] == "redemption"]
    assert len(redeemed) > 20
    for campaign, rows in redeemed.groupby(c.CAMPAIGN_ID):
        described = history["campaigns"].set_index(c.CAMPAIGN_ID).loc[campaign]
        used = lines.loc[rows[c.TOUCH_ID].str.removeprefix("t-redemption-")]
        on_offer = history["offers"].query(f"{c.CAMPAIGN_ID} == @campaign")[c.PRODUCT_ID]
        local = rows[c.OCCURRED_AT].dt.tz_convert(SMALL.zone).dt.date
        assert local.between(described[c.START_ON], described[c.END_ON]).all()
        assert set(rows[c.CUSTOMER_ID]) <= set(_listed(history, campaign))
        assert used[c.PRODUCT_ID].isin(on_offer).all()
        assert (used[c.COUPON_MINOR] > 0).all()


def test_people_differ_and_drop_out(history):
    orders = history["order_lines"].groupby(c.CUSTOMER_ID)[c.ORDER_ID].nunique()
    assert orders.var() > 2 * orders.mean()  # far more unequal than one Poisson rate
    tired = Shop(SMALL.model_copy(update={"life_days": 30.0}), seed=3).history(START)
    assert len(tired["order_lines"]) < 0.6 * len(history["order_lines"])


def test_a_holdout_of_the_same_people_differs_by_the_true_effect_exactly():
    """Two lives of one shop, with and without the contact, differ by what `truth` says."""
    contacted, spared = Shop(SMALL, seed=3), Shop(SMALL, seed=3)
    listed = _listed(contacted.history(START), "k003")
    spared.history(START)
    told = contacted.step(START, END, {"k003": listed})
    untold = spared.step(START, END, {})
    arms = {"all": listed}
    with_contact, without = _arm_means(told, arms)["all"], _arm_means(untold, arms)["all"]
    effect = contacted.truth.effect("k003")
    assert effect.customers == len(listed)
    assert with_contact[0] - without[0] == pytest.approx(effect.orders, abs=1e-12)
    assert with_contact[1] - without[1] == pytest.approx(effect.revenue_minor, abs=1e-6)
    redeemers = told["touches"].query(f"{c.KIND} == 'redemption' and {c.CAMPAIGN_ID} == 'k003'")
    assert effect.response_rate == redeemers[c.CUSTOMER_ID].nunique() / len(listed)


def test_truth_agrees_with_a_big_randomised_experiment():
    big = ShopConfig(customers=20_000, first_campaign_day=40, campaigns=2, campaign_every_days=30)
    shop, start = Shop(big, seed=11), date(2024, 3, 11)
    listed = np.array(_listed(shop.history(start), "k002"))
    treated = np.random.default_rng(1).random(len(listed)) < 0.5
    arms = {"treat": listed[treated].tolist(), "holdout": listed[~treated].tolist()}
    step = shop.step(start, start + timedelta(days=14), {"k002": arms["treat"]})
    lines = step["order_lines"]
    truth, errors = shop.truth.effect("k002", listed, worlds=5), []
    for metric, true in (
        (lines.groupby(c.CUSTOMER_ID)[c.ORDER_ID].nunique(), truth.orders),
        (lines.groupby(c.CUSTOMER_ID)[c.AMOUNT_MINOR].sum(), truth.revenue_minor),
    ):
        one, other = (metric.reindex(arms[arm], fill_value=0) for arm in ("treat", "holdout"))
        error = (one.var() / len(one) + other.var() / len(other)) ** 0.5
        assert abs(one.mean() - other.mean() - true) < 2.5 * error
        errors.append(error)
    assert truth.orders > 2 * errors[0]  # big enough for the agreement to mean something
    assert 0 < truth.orders_error < truth.orders / 5


def test_most_redemptions_are_not_caused():
    shop = Shop(SMALL, seed=3)
    shop.history(END)
    effect = shop.truth.effect("k003", worlds=5)
    assert effect.caused_rate < effect.response_rate
    assert effect.orders <= effect.caused_rate


def test_types_answer_as_they_were_planted():
    shop = Shop(ShopConfig(customers=4000, first_campaign_day=40), seed=5)
    listed = _listed(shop.history(date(2024, 2, 10)), "k001")
    kinds = np.array(shop.truth.types(listed))

    def orders(kind):
        return shop.truth.effect("k001", np.array(listed)[kinds == kind], worlds=3).orders

    assert orders("persuadable") > 0.2
    assert abs(orders("lost_cause")) < 0.03
    assert orders("put_off") < 0 < orders("sure_thing")
    chance = shop.truth.extra_order_chance("k001", listed)
    assert chance[kinds == "persuadable"].mean() == pytest.approx(0.35, rel=0.3)
    assert (chance[kinds == "put_off"] == 0).all()


def test_recent_contacts_tire():
    def chance_after(*campaigns_before):
        shop = Shop(SMALL.model_copy(update={"campaign_every_days": 20}), seed=3)
        shop.history(date(2024, 2, 10))
        everyone = [f"c{number:06d}" for number in range(1, 401)]
        shop.step(date(2024, 2, 10), date(2024, 3, 21), dict.fromkeys(campaigns_before, everyone))
        return shop.truth.extra_order_chance("k003", everyone)

    fresh, once, twice = chance_after(), chance_after("k001"), chance_after("k001", "k002")
    assert once == pytest.approx(fresh * np.exp(-0.35))
    assert twice == pytest.approx(fresh * np.exp(-0.7))


def test_without_a_planted_effect_there_is_none():
    inert = CustomerType(name="inert", share=1, rate_factor=1, extra_order=0, deal=0)
    shop = Shop(SMALL.model_copy(update={"types": (inert,)}), seed=3)
    shop.history(END)
    effect = shop.truth.effect("k003")
    assert (effect.orders, effect.revenue_minor, effect.response_rate) == (0, 0, 0)


def test_a_later_customer_list_of_another_set_can_be_asked_about():
    shop = Shop(SMALL, seed=3)
    listed = _listed(shop.history(START), "k003")
    shop.step(START, END, {"k003": listed[:50]})
    assert shop.truth.effect("k003").customers == 50
    assert shop.truth.effect("k003", listed[50:90]).customers == 40


def test_steps_must_follow_on():
    shop = Shop(SMALL, seed=3)
    shop.history(START)
    with pytest.raises(InvalidParameter, match="lived up to 2024-04-10"):
        shop.step(START + timedelta(days=1), END, {})
    with pytest.raises(InvalidParameter, match="cannot live"):
        shop.step(START, START, {})


def test_wrong_campaigns_and_people_are_named_as_such():
    shop = Shop(SMALL, seed=3)
    shop.history(START)
    with pytest.raises(InvalidParameter, match="k004"):
        shop.step(START, END, {"k004": ["c000001"]})
    for stranger in ("c000401", "x000001", "c-1", "c000000"):
        with pytest.raises(InvalidParameter, match="not one of the shop's customers"):
            shop.step(START, END, {"k003": [stranger]})
    with pytest.raises(NotFound):
        shop.truth.effect("k999")
    with pytest.raises(InvalidParameter, match="contacted nobody"):
        shop.truth.effect("k003")
    with pytest.raises(InvalidParameter, match="not after the opening"):
        shop.history(date(2024, 1, 1))

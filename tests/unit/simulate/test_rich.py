"""Rich shops: what they say of the truth is what happens, and contacts have consequences."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.simulate import shop
from zhiyin.simulate.hidden import Mood, find_odds
from zhiyin.simulate.oracle import plan
from zhiyin.simulate.presets import GROCERY, JEWELLER, PRESETS
from zhiyin.simulate.rich import choose_usual

N = 250


@pytest.fixture(scope="module", params=[*PRESETS])
def market(request):
    return shop(request.param, 7, customers=N)


@pytest.fixture(scope="module")
def grocery():
    return shop("grocery", 7, customers=N)


def everybody(market, action: str) -> np.ndarray:
    return np.full(market.customers, market.actions.index(action))


def live(market, choose, periods: int, worlds: int = 4) -> np.ndarray:
    """The discounted rewards of each customer, mean of so many worlds."""
    total = np.zeros(market.customers)
    for world in range(worlds):
        one = market.fork(world)
        for period in range(periods):
            total += market.preset.discount**period * one.step(choose(one)).rewards / worlds
    return total


def test_what_comes_is_what_the_truth_says(market):
    """Paired by the same luck: only what the action changes is left of the noise."""
    worlds, nothing = range(1, 41), everybody(market, "none")
    quiet = [market.fork(world).step(nothing).rewards for world in worlds]
    level, error = np.mean(quiet), np.std(np.mean(quiet, axis=1)) / len(quiet) ** 0.5
    assert level == pytest.approx(market.truth(nothing).mean(), abs=4 * error)
    for place, name in enumerate(market.actions[1:], start=1):
        told = everybody(market, name)
        caused = np.array(
            [(market.fork(w).step(told).rewards - quiet[w - 1]).mean() for w in worlds]
        )
        error = caused.std(ddof=1) / len(caused) ** 0.5
        assert abs(caused.mean() - market.effect()[:, place].mean()) < 4 * error
        assert market.effect(told).mean() == pytest.approx(market.effect()[:, place].mean())


def test_who_is_expected_to_answer_does(grocery):
    """Not only on average: those of whom more is expected bring more."""
    told = everybody(grocery, "sms_reminder")
    expected = grocery.effect(told)
    high = expected > np.median(expected)
    nothing = everybody(grocery, "none")
    got = np.mean(
        [
            grocery.fork(w).step(told).rewards - grocery.fork(w).step(nothing).rewards
            for w in range(100)
        ],
        axis=0,
    )
    for group in (high, ~high):
        error = got[group].std() / group.sum() ** 0.5
        assert abs(got[group].mean() - expected[group].mean()) < 4 * error
    assert expected[high].mean() > 3 * expected[~high].mean()


def test_contacts_tire(market):
    tired, rested = market.fork(), market.fork()
    name = market.actions[-1]
    for _ in range(4):
        tired.step(everybody(market, name))
        rested.step(everybody(market, "none"))
    both = tired.here & rested.here
    for one in (tired, rested):
        both &= one.observe().eligible.all(axis=1)
    told = market.actions.index("wechat_gift")
    more = tired.mood.fatigue > rested.mood.fatigue
    assert more[both].mean() > 0.6
    both &= more
    assert tired.effect()[both, told].mean() < 0.8 * rested.effect()[both, told].mean()
    assert tired.observe().eligible[:, 1].sum() < rested.observe().eligible[:, 1].sum()
    lately = [one.observe().column("contacts_lately")[both] for one in (tired, rested)]
    assert (lately[0] > lately[1] + 1).all()


def test_coupons_teach_to_wait_for_coupons(grocery):
    used, fresh = grocery.fork(), grocery.fork()
    for _ in range(5):
        used.step(everybody(grocery, "wechat_coupon"))
        fresh.step(everybody(grocery, "none"))
    mood = fresh.mood
    spoilt = Mood(mood.loyalty, mood.need, mood.fatigue, used.mood.habit)
    seen = used.mood.habit > fresh.mood.habit + 0.1
    assert seen.mean() > 0.5
    quiet = [find_odds(GROCERY, grocery.hidden, one, 0).quiet for one in (spoilt, mood)]
    assert (quiet[0][seen] < quiet[1][seen]).all()


@pytest.mark.parametrize("preset", [GROCERY, JEWELLER], ids=lambda one: one.name)
def test_a_season_raises_what_everybody_brings(preset):
    market = shop(preset, 7, customers=50)
    peak = preset.peaks[0].period
    quiet = min(range(preset.year), key=preset.season)
    high, low = (
        find_odds(preset, market.hidden, market.mood, period).quiet
        for period in (peak + 3 * preset.year, quiet)
    )
    if not preset.occasions:
        assert (high > low).all()
    assert high.mean() > 1.3 * low.mean()
    assert preset.season(peak) == pytest.approx(preset.season(peak + preset.year))
    assert preset.shown(peak) == preset.peaks[0].category


def test_one_seed_is_one_shop_and_another_seed_another(market):
    again = shop(market.preset, 7, customers=N)
    np.testing.assert_array_equal(again.observe().features, market.observe().features)
    actions = choose_usual(market.preset, N, rng=np.random.default_rng(3))
    first, second = again.fork().step(actions), market.fork().step(actions)
    np.testing.assert_array_equal(first.rewards, second.rewards)
    np.testing.assert_array_equal(first.observation.features, second.observation.features)
    other = shop(market.preset, 8, customers=N)
    assert not np.array_equal(other.truth(), market.truth())


def test_a_fork_leaves_the_shop_as_it_was(market):
    before = market.observe().features.copy()
    market.fork().step(everybody(market, market.actions[-1]))
    np.testing.assert_array_equal(market.observe().features, before)
    assert market.period == 0


def test_two_policies_meet_the_same_luck(grocery):
    """Whom nothing reached brings the same under either."""
    told, untold = grocery.fork(), grocery.fork()
    first = told.step(everybody(grocery, "email_news"))
    second = untold.step(everybody(grocery, "none"))
    cost = GROCERY.effects("cost")[1] * grocery.observe().eligible[:, 1]
    same = ~first.seen
    np.testing.assert_allclose((first.rewards + cost)[same], second.rewards[same])
    assert (first.ordered >= second.ordered).mean() == 1.0  # news never keep her from buying


def test_who_has_left_buys_nothing_and_who_opted_out_is_not_contacted(market):
    one = market.fork()
    for _ in range(15):
        lived = one.step(everybody(market, market.actions[-1]))
    gone, closed = ~one.here, ~lived.observation.eligible.all(axis=1)
    assert gone.sum() > 20
    assert closed.sum() > 10
    cost = market.preset.effects("cost")
    open_and_gone = gone & ~closed
    assert np.allclose(one.truth()[open_and_gone], -cost)
    assert (one.truth()[closed] == one.truth()[closed][:, :1]).all()
    np.testing.assert_array_equal(lived.observation.eligible[:, 0], True)
    then = one.step(everybody(market, market.actions[-1]))
    assert not then.ordered[gone].any()
    assert not then.seen[closed].any()
    assert (then.rewards[gone & closed] == 0).all()


def test_nothing_but_what_was_seen_is_observed(grocery):
    """Two shops that differ in what is hidden, before anything showed it, look alike."""
    blunt = GROCERY.model_copy(update={"waits": 3.0, "tiring": 2.0, "leaves_tired": 0.5})
    other = shop(blunt.model_copy(update={"warm_up": 1}), 7, customers=50)
    same = shop(GROCERY.model_copy(update={"warm_up": 1}), 7, customers=50)
    np.testing.assert_array_equal(other.observe().features, same.observe().features)
    assert np.isnan(same.observe().column("mean_basket")).any()


@pytest.mark.parametrize("name", [*PRESETS])
def test_the_oracle_gets_what_it_thinks_it_gets_and_more_than_others(name):
    market, periods = shop(name, 7, customers=100), 20
    found = plan(market, periods, horizon=0)
    got = live(market, found.choose, periods)
    thought = found.value(market)
    error = (got - thought).std() / len(got) ** 0.5
    assert abs(got.mean() - thought.mean()) < 0.04 * thought.mean() + 3 * error
    assert np.corrcoef(got, thought)[0, 1] > 0.75
    myopic = live(market, lambda one: one.truth().argmax(axis=1), periods)
    nothing = live(market, lambda one: np.zeros(len(got), int), periods)
    assert got.mean() > myopic.mean() + 0.1 * (got.mean() - nothing.mean())
    assert got.mean() > 1.05 * nothing.mean()


def test_without_consequences_the_oracle_thinks_of_today_alone():
    harmless = {
        "tiring": 0.0, "leaves_tired": 0.0, "opts_out": 0.0, "opts_out_tired": 0.0, "waits": 0.0,
        "grows": 0.0, "keeps": 1.0, "left": 1.0, "warm_up": 5,
    }  # fmt: skip
    market = shop(GROCERY.model_copy(update=harmless), 7, customers=100)
    found = plan(market, 3, horizon=10)
    np.testing.assert_array_equal(
        found.choose(market)[market.here], market.truth().argmax(axis=1)[market.here]
    )


def test_wrong_actions_presets_and_periods_are_refused_in_words(grocery):
    with pytest.raises(NotFound, match="no preset 'bakery'"):
        shop("bakery", 7)
    for wrong in (np.zeros(3, int), np.zeros(N), np.full(N, 7), np.full(N, -1)):
        with pytest.raises(InvalidParameter, match="actions are"):
            grocery.step(wrong)
    with pytest.raises(InvalidParameter, match="1 or more customers"):
        shop("grocery", 7, customers=0)
    found, later = plan(grocery, 1, horizon=0), grocery.fork()
    later.step(everybody(grocery, "none"))
    with pytest.raises(InvalidParameter, match="the shop is in 1"):
        found.choose(later)
    with pytest.raises(InvalidParameter, match="1 or more periods"):
        plan(grocery, 0)

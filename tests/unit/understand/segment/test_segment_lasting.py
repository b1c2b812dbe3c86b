"""Clusters keep their names while they are the same customers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zhiyin.understand.segment.lasting import keep_names, match_clusters, say_changes
from zhiyin.understand.segment.portrait import Portrait

PEOPLE = [f"p{k:03d}" for k in range(300)]
BEFORE = pd.Series(["c1"] * 150 + ["c2"] * 100 + ["c3"] * 50, index=PEOPLE)


def today(*sizes: int) -> pd.Series:
    return pd.Series(np.repeat(range(len(sizes)), sizes), index=PEOPLE[: sum(sizes)])


def portrait(name: str) -> Portrait:
    return Portrait(name, f"{name}型", "", "", ())


def test_the_first_day_numbers_by_size():
    assert match_clusters(BEFORE.iloc[:0], today(100, 50), k=2).names == ("c1", "c2")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_names_follow_the_customers_whatever_k_means_calls_them(order):
    same = pd.Series([order[int(name[1]) - 1] for name in BEFORE], index=PEOPLE)
    found = match_clusters(BEFORE, same.sample(frac=1, random_state=1), k=3)
    assert [found.names[order[k]] for k in range(3)] == ["c1", "c2", "c3"]
    assert found.overlaps == (1.0, 1.0, 1.0)
    assert found.born == found.gone == ()


def test_the_best_pairs_together_win_over_the_best_pair_alone():
    # the new first group shares most with c1, but c1 is needed by the second
    labels = pd.Series([0] * 60 + [1] * 90 + [0] * 100 + [2] * 50, index=PEOPLE)
    assert match_clusters(BEFORE, labels, k=3).names == ("c2", "c1", "c3")


def test_a_split_off_group_takes_a_number_that_was_never_used():
    labels = pd.Series([0] * 100 + [3] * 50 + [1] * 100 + [2] * 50, index=PEOPLE)
    found = match_clusters(BEFORE, labels, k=4, used=["c1", "c2", "c3", "c7"])
    assert found.names == ("c1", "c2", "c3", "c8")
    assert (found.born, found.gone) == (("c8",), ())


def test_a_group_that_nobody_matches_is_gone():
    found = match_clusters(BEFORE, today(150, 150), k=2)
    assert found.names == ("c1", "c2")
    assert found.gone == ("c3",)


def test_strangers_make_new_groups():
    strangers = pd.Series([0, 1], index=["x", "y"])
    found = match_clusters(BEFORE, strangers, k=2)
    assert found.names == ("c4", "c5")
    assert found.gone == ("c1", "c2", "c3")


def test_names_stay_and_a_new_group_takes_none_that_is_taken():
    found = match_clusters(BEFORE, pd.Series([0] * 150 + [1] * 50, index=PEOPLE[:200]), k=2)
    lasting = match_clusters(BEFORE, today(150, 30), k=2)
    assert lasting.names[0] == "c1"
    called = {"c1": ("Frequent", "高频"), "c2": ("Calm", "平稳"), "c3": ("Late", "久未")}
    named = keep_names([portrait("Occasional"), portrait("Frequent")], lasting, called)
    assert (named[0].label, named[0].label_zh) == ("Frequent", "高频")
    assert found.names == ("c1", "c2")
    fresh = match_clusters(BEFORE, pd.Series([0] * 150 + [1], index=[*PEOPLE[:150], "x"]), k=2)
    named = keep_names(
        [portrait("Frequent"), Portrait("Frequent", "高频", "", "", ())], fresh, called
    )
    assert (named[1].label, named[1].label_zh) == ("Frequent 2", "高频2")


def test_new_and_dissolved_groups_are_said_in_both_languages():
    found = match_clusters(BEFORE, pd.Series([0] * 150 + [1], index=[*PEOPLE[:150], "x"]), k=2)
    called = {"c2": ("Calm", "平稳"), "c3": ("Late", "久未")}
    said = say_changes(found, called, {"c4": ("Fresh", "新鲜")})
    assert said == (
        "new group: Fresh; dissolved: Calm, Late",
        "新客群：「新鲜」；已解散：「平稳」、「久未」",
    )
    assert say_changes(match_clusters(BEFORE, today(150, 100, 50), k=3), called, {}) == ("", "")

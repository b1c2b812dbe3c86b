"""Tables made comparable: gaps, tails, skew, categories; what was done can be told and repeated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.segment import prepare


def table(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    made = pd.DataFrame(
        {
            "age": rng.normal(40, 10, rows),
            "spent": rng.lognormal(4, 1.5, rows),
            "member": rng.random(rows) < 0.3,
            "city": rng.choice(["Wuhan", "Xi'an", "Chengdu"], rows),
        }
    )
    made.loc[::17, "age"] = np.nan
    made.loc[3, "spent"] = np.inf
    return made


def test_columns_are_filled_held_logged_and_standardised():
    done = prepare(table(), columns=["age", "spent", "member"])
    np.testing.assert_allclose(done.values.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(done.values.std(axis=0), 1)
    age, spent, member = done.columns
    assert age.missing == pytest.approx(24 / 400)
    assert (age.unit, member.unit) == (0, 0)
    assert spent.unit > 0
    assert spent.missing == pytest.approx(1 / 400)
    middle = (age.fill - age.center) / age.spread
    assert done.values[0, 0] == pytest.approx(middle)
    assert abs((done.values[:, 1] ** 3).mean()) < 0.6


def test_a_far_value_is_held_within_bounds():
    far = table().assign(spent=lambda t: t["spent"].where(t.index != 7, 1e12))
    done = prepare(far, columns=["spent"])
    assert done.values.max() < 4
    assert prepare(far, columns=["spent"], winsorise=0, log_skewed=False).values.max() > 15


@pytest.mark.parametrize("factor", [100.0, 1e-4])
def test_the_unit_of_a_column_changes_nothing(factor):
    made = table()[["age", "spent"]]
    one, two = prepare(made), prepare(made * [1.0, factor])
    np.testing.assert_allclose(one.values, two.values, atol=1e-9)


def test_the_order_of_rows_changes_no_bit():
    made = table()[["age", "spent"]]
    turned = np.random.default_rng(0).permutation(len(made))
    np.testing.assert_array_equal(prepare(made).values[turned], prepare(made.iloc[turned]).values)


def test_categories_are_refused_with_a_hint_or_spread():
    with pytest.raises(InvalidParameter, match=r"column city holds 3 kinds.*one_hot"):
        prepare(table())
    done = prepare(table(), categories="one_hot")
    assert done.names[-3:] == ("city=Chengdu", "city=Wuhan", "city=Xi'an")
    assert set(np.unique(done.raw[:, -1])) == {0.0, 1.0}
    words = table().assign(city=[f"street {i}" for i in range(400)])
    with pytest.raises(InvalidParameter, match="400 kinds") as caught:
        prepare(words, categories="one_hot")
    assert "street" not in str(caught.value)


def test_what_was_learned_is_applied_to_others():
    done = prepare(table(), categories="one_hot")
    np.testing.assert_array_equal(done.apply(table()), done.values)
    other = done.apply(table().assign(city="Beijing"))
    assert (other[:, -3:] < 0).all()
    with pytest.raises(InvalidParameter, match="column age holds"):
        done.apply(table().assign(age="old"))


def test_nullable_numbers_and_objects_of_numbers_are_numbers():
    made = pd.DataFrame(
        {
            "a": pd.array([1, None, 3, 9], dtype="Int64"),
            "b": np.array([1.5, None, 2, True], dtype=object),
            "c": pd.array([True, False, None, True], dtype="boolean"),
        }
    )
    assert prepare(made).names == ("a", "b", "c")


def test_a_paid_column_of_different_numbers_is_no_identifier():
    made = pd.DataFrame({"paid": range(30), "order_id": range(30), "userId": range(30)})
    assert prepare(made).left_out == {"order_id": "identifier", "userId": "identifier"}


def test_a_column_named_twice_is_refused():
    with pytest.raises(InvalidParameter, match="named twice: age"):
        prepare(table()[["age", "age"]])


def test_values_on_both_sides_of_zero_are_not_logged():
    values = np.r_[np.random.default_rng(1).normal(0, 1, 200), np.full(30, 15.0)][:, None]
    assert prepare(values).columns[0].unit == 0
    assert prepare(values + 4).columns[0].unit > 0

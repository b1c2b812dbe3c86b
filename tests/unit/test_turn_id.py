"""A turn is another one where what it computes would be, and goes on where it would not."""

from datetime import date

import pytest

from zhiyin.core.config import validate_settings
from zhiyin.loop import base_id


def turn(**sections):
    settings = validate_settings({"name": "laden"} | sections, where="test")
    return base_id(settings, date(2024, 6, 1), "1")


@pytest.mark.parametrize(
    "sections",
    [
        {"recommend": {"sensitive": ["wine"]}}, {"recommend": {"pins": ["1:shop:p1"]}},
        {"decide": {"max_share": 0.2}},
    ],
)  # fmt: skip
def test_rules_that_shape_its_tables_make_another_turn(sections):
    assert turn(**sections) != turn()


@pytest.mark.parametrize(
    "sections",
    [
        {"engine": "spark"}, {"recommend": {"session_hours": 2}},
        {"recommend": {"placements": {"home": {"k": 3}}}},
    ],
)  # fmt: skip
def test_where_it_runs_and_what_requests_get_do_not(sections):
    assert turn(**sections) == turn()

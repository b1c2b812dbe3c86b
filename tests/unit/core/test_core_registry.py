"""Parts of other packages are found by the plural of their kind."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from zhiyin.core.errors import NotFound
from zhiyin.core.registry import Registry

OTHERS = EntryPoints(
    [
        EntryPoint("random", "numpy.random:default_rng", "zhiyin.policies"),
        EntryPoint("random", "numpy:float64", "zhiyin.channels"),
        EntryPoint("rules", "numpy:float64", "zhiyin.policies"),
    ]
)


@pytest.fixture(autouse=True)
def _others(monkeypatch):
    monkeypatch.setattr(
        "zhiyin.core.registry.entry_points", lambda group: OTHERS.select(group=group)
    )


@pytest.mark.parametrize(("kind", "loaded"), [("policy", "default_rng"), ("channel", "float64")])
def test_parts_of_others_are_found_by_the_plural_of_their_kind(kind, loaded):
    assert Registry(kind).load("random").__name__ == loaded


def test_our_own_names_win_and_unknown_ones_say_what_is_known():
    mine = Registry("policy", {"rules": "zhiyin.decide.policy.ranked:Rules"})
    assert mine.load("rules").__name__ == "Rules"
    with pytest.raises(NotFound, match="random, rules"):
        mine.load("rule")

# pyright: reportUnknownVariableType=false
# (Ibis ships no types)
"""Audiences: rule trees that an engine selects people by, and that one person is explained by."""

from zhiyin.audience.changes import next_change
from zhiyin.audience.check import Vocabulary
from zhiyin.audience.compiler import Compiled, Preview, compile, compile_many
from zhiyin.audience.decision import Decision, Reason, evaluate
from zhiyin.audience.evaluator import Facts
from zhiyin.audience.overlap import Overlap, overlaps
from zhiyin.audience.rule import Rule, dump, parse, schema

__all__ = [
    "Compiled", "Decision", "Facts", "Overlap", "Preview", "Reason", "Rule", "Vocabulary",
    "compile", "compile_many", "dump", "evaluate", "next_change", "overlaps", "parse", "schema",
]  # fmt: skip

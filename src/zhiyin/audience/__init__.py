"""Audiences: rule trees that an engine selects people by, and that one person is explained by."""

from zhiyin.audience.check import Vocabulary
from zhiyin.audience.compiler import Compiled, Preview, compile, compile_many
from zhiyin.audience.evaluator import Facts
from zhiyin.audience.rule import dump, parse, schema

__all__ = [
    "Compiled", "Facts", "Preview", "Vocabulary", "compile", "compile_many", "dump", "parse",
    "schema",
]  # fmt: skip

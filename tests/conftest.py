"""Suites that need more than Python have a target of their own and run only when they are named."""

from __future__ import annotations

from pathlib import Path

OWN_TARGETS = {"postgres": "make test-postgres"}


def pytest_ignore_collect(collection_path: Path, config) -> bool | None:
    """Leave out such a suite, unless the command line names its folder."""
    suite = collection_path.name
    if collection_path.parent != Path(__file__).parent or suite not in OWN_TARGETS:
        return None
    named = [Path(str(arg).partition("::")[0]).resolve() for arg in config.args]
    return None if any(collection_path in (one, *one.parents) for one in named) else True

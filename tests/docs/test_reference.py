"""Documentation that cannot drift: generated pages are current, every command has a heading."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


@pytest.mark.parametrize("page", sorted(generate.PAGES))
def test_the_reference_is_what_the_code_says(page):
    kept = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    assert kept == generate.PAGES[page](), "run: python docs/generate.py"


def test_every_command_is_described():
    from zhiyin.cli import app
    from zhiyin.cli_files import app as files

    text = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    commands = [one.name or one.callback.__name__ for one in (
        *app.registered_commands, *files.registered_commands,
    )]  # fmt: skip
    assert [name for name in commands if f"`zhiyin {name}" not in text] == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")))
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} → {target}"

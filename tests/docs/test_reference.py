"""Documentation that cannot drift: generated pages are current, every command has a heading."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from typer.main import get_command

from zhiyin.core import errors
from zhiyin.core.config import Settings

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
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    full = [name for name, _ in generate._commands(get_command(app).commands)]
    assert {name.split()[0] for name in full} >= set(commands)
    assert [name for name in full if f"\n## zhiyin {name}\n" not in page] == []


def test_every_setting_and_error_code_has_its_row():
    settings = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        section = getattr(type(field.get_default()), "model_fields", None)
        rows = [f"\n## [{name}]\n", *(f"| `{key}` |" for key in section or ())]
        for row in rows if section is not None else [f"| `{name}` |"]:
            assert row in settings, row
    codes = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    kinds = [one for one in vars(errors).values() if isinstance(one, type)]
    kinds = [one for one in kinds if issubclass(one, errors.ZhiyinError)]
    missing = [one.code for one in kinds if f"| `{one.code}` | {one.__name__} |" not in codes]
    assert missing == [errors.ZhiyinError.code]  # the root alone is never raised


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")))
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} → {target}"

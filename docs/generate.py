"""Write the reference pages from the code: `python docs/generate.py`. A test keeps them true."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from zhiyin.cli import app
from zhiyin.collect.mapping import LOADABLE, Mapping, Rule, needs_of, targets
from zhiyin.core import errors
from zhiyin.core.config import Section, Settings
from zhiyin.core.features import CAMPAIGN_FEATURES, CONTRACT_FEATURES, FEATURES, Feature
from zhiyin.core.meanings import column_meaning, table_meaning
from zhiyin.core.placements import PlacementSettings
from zhiyin.core.tables import TABLES
from zhiyin.govern.gate import REASONS
from zhiyin.govern.roles import PERMISSIONS, ROLES

FOLDER = Path(__file__).parent / "reference"
NOTE = "Generated from the code by `python docs/generate.py`."


def row(*cells: object) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def tables_page() -> str:
    """Every lake table with its columns."""
    lines = ["# Tables", "", NOTE, ""]
    for table in TABLES.values():
        lines += [f"## {table.name}", "", table.meaning, ""]
        facts = [
            f"Kind: {table.kind}",
            f"key: {', '.join(table.key)}",
            f"written by: {table.writer}",
        ]
        if table.time:
            facts.append(f"visible by: {table.time}")
        if table.revisions:
            facts.append("revisions: the last valid one counts")
        lines += ["; ".join(facts) + ".", ""]
        lines += [row("column", "type", "meaning", "unit", "personal data"), row(*["---"] * 5)]
        for column in table.columns:
            pii = "" if column.pii == "none" else column.pii
            name = column.name + ("" if column.required else "?")
            lines.append(row(f"`{name}`", column.type, column.meaning, column.unit, pii))
        lines.append("")
    return "\n".join(lines)


def features_page() -> str:
    """Every feature of a customer, and of a customer and a campaign."""
    lines = ["# Features · 特征", "", NOTE, "", "All are as of a day: nothing later is seen.", ""]

    def part(title: str, features: tuple[Feature, ...]) -> None:
        lines.extend([f"## {title} ({len(features)})", ""])
        lines.extend([row("name", "meaning", "含义", "unit", "window"), row(*["---"] * 5)])
        for one in features:
            window = f"{one.window_days} days" if one.window_days else "all"
            lines.append(row(f"`{one.name}`", one.meaning, one.meaning_zh, one.unit, window))
        lines.append("")

    part("Of a customer", FEATURES)
    part("Of a customer and a campaign", CAMPAIGN_FEATURES)
    part("Of who holds a contract", CONTRACT_FEATURES)
    return "\n".join(lines)


def settings_page() -> str:
    """Every setting of `zhiyin.toml`."""
    lines = ["# Settings", "", NOTE, "", "`ZHIYIN_<SECTION>__<KEY>` overrides a key.", ""]
    sections: list[str] = []
    lines += ["## Top of the file", "", row("key", "default", "meaning"), row(*["---"] * 3)]
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        if isinstance(default, Section):
            sections += [f"## [{name}]", "", inspect.getdoc(type(default)) or "", ""]
            sections += [row("key", "default", "meaning"), row(*["---"] * 3)]
            for key, inner in type(default).model_fields.items():
                sections.append(row(f"`{key}`", _default(inner.get_default()), inner.description))
            sections.append("")
        else:
            shown = "(required)" if field.is_required() else _default(default)
            lines.append(row(f"`{name}`", shown, field.description))
    sections += ["## [recommend.placements.NAME]", "", inspect.getdoc(PlacementSettings) or "", ""]
    sections += [row("key", "default", "meaning"), row(*["---"] * 3)]
    for key, inner in PlacementSettings.model_fields.items():
        sections.append(row(f"`{key}`", _default(inner.get_default()), inner.description))
    return "\n".join([*lines, "", *sections, ""])


def errors_page() -> str:
    """Every error code, and what the gate and the roles say."""
    lines = ["# Errors, reasons, permissions", "", NOTE, "", "## Error codes", ""]
    lines += [row("code", "class", "meaning"), row(*["---"] * 3)]
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.ZhiyinError) and kind is not errors.ZhiyinError:
            lines.append(row(f"`{kind.code}`", kind.__name__, inspect.getdoc(kind)))
    lines += ["", "## Reasons of the gate", "", row("code", "meaning", "含义"), row(*["---"] * 3)]
    lines += [row(f"`{code}`", en, zh) for code, (en, zh) in REASONS.items()]
    lines += ["", "## Permissions", "", row("permission", "meaning", "roles"), row(*["---"] * 3)]
    for permission, meaning in PERMISSIONS.items():
        holders = ", ".join(role for role, held in ROLES.items() if permission in held)
        lines.append(row(f"`{permission}`", meaning, holders))
    return "\n".join([*lines, ""])


def commands_page() -> str:
    """Every command with its arguments and options."""
    lines = ["# Commands", "", NOTE, "", "`--help` after a command shows the same.", ""]
    for name, command in _commands(get_command(app).commands):
        lines += [f"## zhiyin {name}", "", inspect.cleandoc(command.help), ""]
        lines += [row("argument or option", "default", "meaning"), row(*["---"] * 3)]
        for one in command.params:
            if one.hidden:
                continue
            argument = one.param_type_name == "argument"
            shown = one.name.upper() if argument else ", ".join(one.opts)
            default = "(required)" if one.required else _plain(one.default)
            lines.append(row(f"`{shown}`", default, one.help or ""))
        lines.append("")
    return "\n".join(lines)


def _commands(commands: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its full name, those of groups too."""
    for name, command in sorted(commands.items()):
        if inner := getattr(command, "commands", None):
            yield from _commands(inner, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _plain(value: object) -> str:
    """A default as it would be typed; none for a switch that is off."""
    return "" if value is False else _default(value)


def _default(value: object) -> str:
    return "" if value is None or value == "" else f"`{value}`"


def mappings_page() -> str:
    """Every key of a mapping, and what each table can be given."""
    lines = [
        "# Mappings · 映射",
        "",
        NOTE,
        "",
        "How one file reads, as TOML: [files](../collect.md).",
        "",
    ]
    for title, kind in (("Keys", Mapping), ("Rules: where a value comes from", Rule)):
        lines += [f"## {title}", "", row("key", "default", "meaning"), row(*["---"] * 3)]
        for key, field in kind.model_fields.items():
            shown = "(required)" if field.is_required() else _default(field.get_default())
            lines.append(row(f"`{key}`", shown, field.description))
        lines.append("")
    lines += ["## Tables", "", row("table", "columns to fill", "needed"), row(*["---"] * 3)]
    for table in LOADABLE:
        needs = ", ".join(" or ".join(need) for need in needs_of(table))
        lines.append(row(f"`{table}`", ", ".join(targets(table)), needs))
    return "\n".join([*lines, ""])


def catalog_page() -> str:
    """Every table and column in Chinese: 数据目录."""
    lines = ["# Catalogue · 数据目录", "", NOTE, ""]
    lines += ["What a workspace holds of each table: `zhiyin catalog`.", ""]
    lines += [row("table", "meaning", "含义", "writer"), row(*["---"] * 4)]
    for table in TABLES.values():
        said = (table_meaning(table), table_meaning(table, "zh"))
        lines.append(row(f"[{table.name}](tables.md#{table.name})", *said, table.writer))
    for table in TABLES.values():
        lines += ["", f"## {table.name}", "", table_meaning(table, "zh"), ""]
        lines += [row("column", "含义", "meaning", "personal data"), row(*["---"] * 4)]
        for column in table.columns:
            pii = "" if column.pii == "none" else column.pii
            said = (column_meaning(table, column, "zh"), column.meaning)
            lines.append(row(f"`{column.name}`", *said, pii))
    return "\n".join([*lines, ""])


PAGES = {
    "catalog.md": catalog_page,
    "tables.md": tables_page,
    "features.md": features_page,
    "settings.md": settings_page,
    "errors.md": errors_page,
    "commands.md": commands_page,
    "mappings.md": mappings_page,
}


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()

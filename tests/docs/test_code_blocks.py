"""Every code block of the documentation is run, or read by what would read it for the user."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import json
import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import typer
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from zhiyin.act.campaigns.content import check_campaign
from zhiyin.act.campaigns.definition import parse_definition
from zhiyin.act.journeys.check import parse as parse_journey
from zhiyin.api import assign, recommend
from zhiyin.api.decide import Reported, Wanted
from zhiyin.api.decide_openapi import ANSWER as DECIDED
from zhiyin.api.recommend_openapi import ANSWER, ITEM
from zhiyin.app import Workspace
from zhiyin.audience import Vocabulary, compile, parse
from zhiyin.cli import app
from zhiyin.collect.mapping import (
    LOADABLE,
    KindRule,
    Mapping,
    Rule,
    check_mapping,
    parse_mapping,
    read_mapping,
    targets,
)
from zhiyin.collect.sources.config import read_source
from zhiyin.core.config import Settings, validate_settings
from zhiyin.core.errors import ZhiyinError
from zhiyin.core.placements import LINKS
from zhiyin.decide.points.check import parse as parse_point
from zhiyin.measure.experiment.definition import parse as parse_experiment
from zhiyin.measure.experiment.live import REASONS, Assigned
from zhiyin.measure.experiment.measures import check_measured
from zhiyin.profile.definition import parse as parse_tag
from zhiyin.profile.tag_check import check as check_tag
from zhiyin.understand.recommend.serving import WORDS

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
COMMAND = typer.main.get_command(app)
COMMANDS = COMMAND.commands
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
PLACES = {"DAY": "2024-01-31", "TABLE": "order_lines", "…": "FILE"}
"""What stands in a sentence for a value that the command line reads more closely."""
SECRETS = "ZHIYIN_SOURCE_"  # a source's name follows
SCRIPTS = ("js", "html")
OF_SDKS = ("py", "javascript")  # snippets with the SDKs of others: they need a server
OF_A_FILE = {
    "tags",
    "score",
    "orders",
    "choose_by",
}  # examples of what a file says, where a setting could stand
PICTURE = re.compile(r"[→↑│─└]")


@dataclass(frozen=True)
class Block:
    """A code block, or one piece of code within a sentence (`inline`)."""

    page: str
    line: int
    language: str
    text: str
    inline: bool = False

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def find_blocks(page: str, markdown: str) -> list[Block]:
    """All code of a page, as CommonMark reads it."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        line = token.map[0] + 1 if token.map else 0
        if token.type in {"fence", "code_block"}:
            language = token.info.strip() or guess_language(token.content)
            found.append(Block(page, line, language, token.content))
        for child in token.children or ():
            if child.type == "code_inline":
                found.append(Block(page, line, "", child.content, inline=True))
    return found


def guess_language(text: str) -> str:
    """`toml` where an indented block reads as such, otherwise none."""
    try:
        return "toml" if tomllib.loads(text) else ""
    except tomllib.TOMLDecodeError:
        return ""


BLOCKS = [
    block
    for path in PAGES
    for block in find_blocks(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
]
WHOLE = [block for block in BLOCKS if not block.inline]


def of_language(language: str) -> list[Block]:
    return [block for block in WHOLE if block.language == language]


def shell_lines(block: Block) -> list[str]:
    """Lines of a block without language that are typed into a shell; none of a picture."""
    if block.language not in {"", "sh", "bash", "console"}:
        return []
    lines = [line.split(" #")[0].strip() for line in block.text.splitlines()]
    return [] if PICTURE.search(block.text) else [line for line in lines if line]


def check_line(line: str) -> None:
    """See that a shell line would be understood; raises or fails where it would not."""
    program, *arguments = shlex.split(line)
    if program == "make":
        assert arguments, "make what?"
        assert arguments[0] in TARGETS, f"the Makefile has no target {arguments[0]}"
    elif program.rsplit("/", 1)[-1] == "zhiyin":
        parse_command(arguments)
    elif program == "python" and arguments[0] == "-m":
        assert importlib.util.find_spec(arguments[1]), f"there is no module {arguments[1]}"
    elif program == "python":
        assert (ROOT / arguments[0]).is_file(), f"there is no {arguments[0]}"
    elif program == "curl" and "-d" in arguments:
        assert re.fullmatch(
            r"http://127\.0\.0\.1:8000/v1/(batch|track|identify|page)", arguments[0]
        )
        assert json.loads(arguments[arguments.index("-d") + 1])["writeKey"]
    elif program == "curl":
        address = urlsplit(arguments[-1])
        assert address.path == recommend.PATH
        assert {*parse_qs(address.query)} <= recommend.NAMES
    else:
        assert program == "open", f"nothing here checks the command {program!r}"
        assert Path(arguments[0]).name in {"report.html", "planned.html"}


def check_answer(answer: dict) -> None:
    """See that an example of an answer has the fields of the described one, and no others."""
    assert {*answer} == {*ANSWER["properties"]}
    for item in answer["items"]:
        assert {*item} == {*ITEM["properties"]}
        assert item["source"] in LINKS
        assert any(item["reason"]["en"].startswith(en.split("{")[0]) for en, _ in WORDS.values())


def check_decision(said: dict) -> None:
    """See that an example of a request for a decision, its answer or an outcome is one."""
    if "reason" in said:
        assert {*said} == {*DECIDED["properties"]}
    else:
        msgspec.convert(said, type=Wanted if "placement" in said else Reported)


def parse_command(arguments: list[str]) -> None:
    """Let the real command line read the arguments; nothing is called."""
    command = COMMAND
    words = [one.strip("[]") for one in arguments]
    words = [PLACES.get(one, one) for one in words]
    path = []
    while children := getattr(command, "commands", None):
        path.append(words.pop(0))
        assert path[-1] in children, f"there is no command {' '.join(path)}"
        command = children[path[-1]]
    command.make_context(path[-1], list(words))
    if path == ["load"] and "." not in words[0]:
        assert words[0] in (*LOADABLE, "FILE"), f"no file is loaded into {words[0]}"


def test_no_block_goes_unchecked():
    known = {"python", "toml", "json", *SCRIPTS, *OF_SDKS}
    assert [
        str(block)
        for block in WHOLE
        if block.language not in known and not shell_lines(block) and not PICTURE.search(block.text)
    ] == []
    assert len(of_language("python")) >= 1
    assert len(of_language("toml")) >= 1


@pytest.mark.parametrize(
    ("block", "line"), [(block, line) for block in WHOLE for line in shell_lines(block)], ids=str
)
def test_every_shell_line_is_understood(block, line):
    check_line(line)


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.inline and b.text.startswith("zhiyin ")], ids=str
)
def test_every_command_in_a_sentence_is_understood(block):
    words = shlex.split(block.text.replace("…", " …"))[1:]
    if len(words) == 1 and words[0] in COMMANDS:
        return  # the name alone
    if words == ["--help"]:
        return
    parse_command(words)


@pytest.mark.parametrize("block", of_language("toml"), ids=str)
def test_every_mapping_and_source_is_read_and_fits_its_table(block, tmp_path):
    check_toml(block.text, tmp_path)


def check_toml(text: str, folder: Path) -> None:
    """Let the real readers read a source, a mapping, or rules out of one."""
    values = tomllib.loads(text)
    if "actions" in values:
        parse_point(values)
    elif "arms" in values:
        check_measured(parse_experiment(values))
    elif {"variants", "channel"} & set(values):
        check_campaign(parse_definition(values))
    elif "kind" in values:
        if isinstance(values.get("mapping"), str):  # the file beside it
            mapping = next(b for b in of_language("toml") if b.page == "docs/start.md")
            renamed = mapping.text.replace("sold_at", "ordered_at").replace("price =", "amount =")
            lines = renamed.replace('"order_lines"', '"orders"').splitlines(keepends=True)
            kept = [one for one in lines if not one.startswith(("product_id", "quantity"))]
            (folder / values["mapping"]).write_text("".join(kept), encoding="utf-8")
        path = folder / "till.toml"
        path.write_text(text, encoding="utf-8")
        assert read_source(path).kind == values["kind"]
    elif "columns" in values:
        path = folder / "mapping.toml"
        path.write_text(text, encoding="utf-8")
        mapping = read_mapping(path)
        headers = [header for rule in mapping.columns.values() for header in rule.headers]
        check_mapping(mapping, mapping.table, headers)
    elif values.keys() <= Settings.model_fields.keys():
        validate_settings({"name": "shop", **values}, where=folder.name)
    else:
        rules = parse_mapping({"source": "shop", "columns": values}, where="rules").columns
        known = {name for table in LOADABLE for name in targets(table)}
        assert set(rules) <= known, sorted(set(rules) - known)


@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")  # Ibis sets it
@pytest.mark.parametrize("block", of_language("python"), ids=str)
def test_every_python_block_runs_against_a_workspace(block, tmp_path, monkeypatch):
    settings = validate_settings({"name": "demo", "currency": "USD", "zone": "UTC"}, where="test")
    Workspace.create(tmp_path / "demo", settings).close()
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "example"}
    exec(builtins.compile(block.text, str(block), "exec"), names)  # noqa: S102  the documentation's own
    assigned = {
        node.id
        for node in ast.walk(ast.parse(block.text))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    assert assigned <= set(names)


@pytest.mark.parametrize("block", of_language("json"), ids=str)
def test_every_rule_every_tag_and_every_journey_is_one_that_is_taken(block):
    if "steps" in json.loads(block.text):
        parse_journey(block.text)
        return
    if "body" in json.loads(block.text):
        known = Vocabulary(tags={"churn_risk"}, tasks={"p_alive"})
        check_tag("a_tag", parse_tag(block.text), vocabulary=known, others={}, audiences={})
        return
    if "assigned" in (said := json.loads(block.text)):
        assert {*said} == {*assign.say(Assigned("e", "a", "by_lot"))}
        assert said["reason"] in REASONS
        return
    if "recommendation_id" in json.loads(block.text):
        check_answer(json.loads(block.text))
        return
    if {"placement", "outcome_id"} & set(json.loads(block.text)):
        check_decision(json.loads(block.text))
        return
    compile(parse(block.text), audiences={"vip": parse('{"type": "tag", "tag": "weekly"}')})


@pytest.mark.parametrize("block", [b for b in WHOLE if b.language in SCRIPTS], ids=str)
def test_every_call_of_the_tracker_exists(block):
    calls = re.findall(r"zhiyin\('(\w+)'", block.text)
    assert calls
    assert [name for name in calls if name not in tracker_calls()] == []


@pytest.mark.parametrize("block", of_language("py"), ids=str)
def test_every_snippet_with_the_python_sdk_uses_it_as_the_tested_script_does(block):
    script = (ROOT / "tests" / "clients" / "send_segment.py").read_text("utf-8")
    tree = ast.parse(block.text)
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import)]
    assert imports
    assert [line for line in imports if line not in script] == []


@pytest.mark.parametrize("block", of_language("javascript"), ids=str)
def test_every_snippet_with_an_sdk_uses_one_that_is_tested(block):
    package = json.loads((ROOT / "tests" / "clients" / "package.json").read_text("utf-8"))
    named = re.findall(r"from '([^']+)'", block.text)
    assert named
    tested = package.get("dependencies", {}) | package.get("devDependencies", {})
    assert [name for name in named if name not in tested] == []


def tracker_calls() -> set[str]:
    script = (ROOT / "src" / "zhiyin" / "api" / "static" / "zhiyin.js").read_text("utf-8")
    named = re.search(r"const commands = \{([\w, ]+)\}", script)
    assert named, "where does zhiyin.js list its commands?"
    events = re.findall(r"^ +(\w+): \([\w, ]*\) => \{", script, re.MULTILINE)
    return {*events, *re.findall(r"\w+", named[1])}


def five_lines(page: str) -> list[str]:
    """The lines under *your own data*."""
    return shell_lines(next(b for b in WHOLE if b.page == page and "zhiyin init shop" in b.text))


def test_the_five_lines_are_those_of_the_other_language():
    english, chinese = (
        [shlex.split(line)[:3] for line in five_lines(page)]
        for page in ("README.md", "README.zh-CN.md")
    )
    assert english == chinese  # program, command and what is loaded; the names differ


def test_the_five_lines_turn_a_file_into_a_report(tmp_path, monkeypatch):
    """They are run as they stand on a small file: the Chinese ones, whose names are harder."""
    monkeypatch.chdir(tmp_path)
    mapping = next(b for b in WHOLE if b.page == "docs/start.md" and b.language == "toml")
    in_the_shops_currency = re.sub(r"currency = .*\n", "", mapping.text)
    Path("mapping.toml").write_text(in_the_shops_currency, encoding="utf-8")
    report = None
    for line in five_lines("README.zh-CN.md"):
        program, *arguments = shlex.split(line)
        if program == "open":
            report = Path(arguments[0])
            continue
        if "load" in arguments:
            write_orders(Path(arguments[2]))
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, f"{line}: {result.output}"
    assert report is not None
    assert report.read_text("utf-8").startswith("<!doctype html>")


def write_orders(path: Path) -> None:
    """Two years of a few people's orders, in the columns that the mapping names."""
    lines = ["InvoiceNo,CustomerID,StockCode,InvoiceDate,Quantity,UnitPrice"]
    for number in range(480):
        month, day, year = number // 2 % 12 + 1, number % 28 + 1, 10 + number // 240
        lines.append(f"{number},{number % 40},{number % 9},{month}/{day}/{year} 10:00,1,2.50")
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def test_settings_in_a_sentence_exist():
    ours = settings_names()
    for block in BLOCKS:
        if block.inline and (found := re.match(r"([a-z_]+) = ", block.text)):
            assert found[1] in ours | OF_A_FILE, f"{block}: {found[1]} is no setting"
            tomllib.loads(block.text)


def test_variables_in_a_sentence_exist():
    folders = (ROOT / "src", ROOT / "tests")
    code = [path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py")]
    code.append((ROOT / "Makefile").read_text("utf-8"))
    for block in BLOCKS:
        for variable in re.findall(r"ZHIYIN_[A-Z_]*[A-Z](?!\w)", block.text):
            if variable.removeprefix("ZHIYIN_").lower() in Settings.model_fields:
                continue  # any setting has its variable
            known = SECRETS if variable.startswith(SECRETS) else variable
            assert any(known in text for text in code), f"{block}: {variable}"


def settings_names() -> set[str]:
    names = set(Settings.model_fields)
    for field in Settings.model_fields.values():
        names |= set(getattr(type(field.get_default()), "model_fields", ()))
    return names.union(*(kind.model_fields for kind in (Mapping, Rule, KindRule)))


@pytest.mark.parametrize(
    "line",
    [
        "zhiyin lod order_lines f.csv",
        "zhiyin load order_lnes f.csv",
        "zhiyin load order_lines f.csv --mapp m.toml",
        "zhiyin run --as-of yesterday",
        "make dmeo",
        "python -m bench.nothing",
        "curl localhost",
    ],
)
def test_a_line_that_would_not_work_is_caught(line):
    with pytest.raises(BaseException) as caught:  # noqa: PT011  of the command line's own kinds
        check_line(line)
    assert not isinstance(caught.value, KeyboardInterrupt | SystemExit)


@pytest.mark.parametrize(
    "text",
    ['kind = "sql"\nurll = "sqlite:///x"\n', '[columns]\norder_id = "a"\n', 'amoun = "x"\n'],
)
def test_a_block_that_the_reader_refuses_is_caught(text, tmp_path):
    with pytest.raises((ZhiyinError, AssertionError)):
        check_toml(text, tmp_path)

"""`zhiyin plan`: set, look, draft and check from the command line."""

import json

import pytest
from typer.testing import CliRunner

from zhiyin.app import Workspace
from zhiyin.cli import app
from zhiyin.collect.received import Received, pack
from zhiyin.core.config import validate_settings
from zhiyin.store.journal import SegmentWriter
from zhiyin.store.vault import open_segment_keys

SCHEMA = {"type": "object", "required": ["price"], "properties": {"price": {"type": "number"}}}


@pytest.fixture
def folder(tmp_path):
    values = {"name": "shop", "currency": "EUR", "zone": "UTC"}
    Workspace.create(tmp_path / "shop", validate_settings(values, where="test")).close()
    (tmp_path / "seen.json").write_text(json.dumps(SCHEMA))
    return tmp_path / "shop"


def run(folder, *arguments):
    done = CliRunner().invoke(app, ["plan", *map(str, arguments), "-w", str(folder)])
    return done.exit_code, done.stdout, done


def tracked(folder, events):
    with Workspace.open(folder, write=True) as shop:
        micros = int(shop.clock.now().timestamp() * 1_000_000)
        body = json.dumps({"batch": events}).encode()
        keys = open_segment_keys(folder / "keys")
        writer = SegmentWriter(folder / "journal", keys, clock=shop.clock)
        writer.append(
            [("event", pack(Received("web", "server", "user_id", "batch", micros, body)))]
        )
        writer.close()
        shop.compact()


def event(number, **properties):
    return {
        "type": "track", "event": "Seen", "userId": "u", "messageId": f"m{number}",
        "properties": properties,
    }  # fmt: skip


def test_a_plan_is_set_shown_listed_and_removed(folder):
    assert run(folder, "set", "web", "Seen", folder.parent / "seen.json")[1] == "version 1, warn\n"
    code, shown, _ = run(folder, "show", "web", "Seen")
    assert (code, json.loads(shown)) == (0, SCHEMA)
    assert run(folder, "list")[1].split() == ["web", "Seen", "warn", "version", "1"]
    assert run(folder, "remove", "web", "Seen")[1] == "removed\n"
    assert run(folder, "list", "web")[1] == ""
    assert run(folder, "show", "web", "Seen", "--version", 1)[0] == 0


@pytest.mark.parametrize("text", [None, "{", '{"type": "x"}'])
def test_a_file_that_is_no_schema_sets_nothing(folder, text):
    file = folder.parent / "x.json"
    if text is not None:
        file.write_text(text)
    assert run(folder, "set", "web", "Seen", file)[0] != 0
    assert run(folder, "list")[1] == ""


def test_events_are_checked_without_being_sent(folder):
    run(folder, "set", "web", "Seen", folder.parent / "seen.json", "--mode", "quarantine")
    file = folder.parent / "events.jsonl"
    lines = [event(1, price=1), event(2), {"type": "track", "event": "Seen"}, event(4, price="x")]
    file.write_text("\n\n".join(json.dumps(one) for one in lines) + "\n{not json\n")
    code, said, _ = run(folder, "check", file, "--source", "web", "--lang", "zh")
    assert code == 1
    assert [line.split()[:2] for line in said.splitlines()] == [
        ["3:", "against_plan"], ["3:", "plan:price:required"], ["5:", "missing_identity"],
        ["7:", "against_plan"], ["7:", "plan:price:type"], ["8:", "bad_json"],
    ]  # fmt: skip
    file.write_text(json.dumps(event(1, price=1)))
    assert run(folder, "check", file, "--source", "web")[0] == 0
    assert not (folder / "journal").exists() or not list((folder / "journal").iterdir())


def test_a_draft_has_types_what_is_always_there_and_few_values_and_sets_nothing(folder):
    colours = ["red", "blue"]
    tracked(
        folder,
        [
            event(i, price=i + 0.5, colour=colours[i % 2], label=f"label {i}", parts=[{"n": i}],
                  **({"rare": True} if i % 4 == 0 else {}))
            for i in range(40)
        ],
    )  # fmt: skip
    code, text, _ = run(folder, "infer", "web")
    assert code == 0
    draft = json.loads(text)["Seen"]
    properties = draft["properties"]
    assert draft["required"] == ["colour", "label", "parts", "price"]
    assert properties["price"] == {"type": "number"}
    assert properties["colour"] == {"type": "string", "enum": ["blue", "red"]}
    assert properties["label"] == {"type": "string"}
    assert properties["rare"] == {"type": "boolean", "$comment": "in 25 % of 40"}
    assert properties["parts"]["items"]["properties"] == {"n": {"type": "integer"}}
    assert run(folder, "list")[1] == ""
    assert run(folder, "infer", "web", "--since", "2999-01-01")[1] == "{}\n"
    assert "Seen" in run(folder, "unknown", "web")[1]
    (folder.parent / "draft.json").write_text(json.dumps(draft))
    assert run(folder, "set", "web", "Seen", folder.parent / "draft.json")[0] == 0
    assert run(folder, "unknown", "web")[1] == ""

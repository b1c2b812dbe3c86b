"""The doctor finds what is planted, says what to do, and finds a healthy workspace healthy."""

import os
import shutil
from datetime import date, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from packaging.requirements import Requirement

from zhiyin import doctor
from zhiyin.app import Workspace
from zhiyin.core.config import ActSettings, validate_settings
from zhiyin.core.ledger import jobs, leases, loads, messages, pulls, turns
from zhiyin.store.leases import this_process

AT = datetime(2024, 6, 1)
CUSTOMERS = "user_id,language\nu-1,en\nu-2,zh\n"


@pytest.fixture(autouse=True)
def a_disk_with_room(monkeypatch):
    """What is found of a workspace does not hang on the disk of whoever runs the tests."""
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("U", (), {"free": 2**40}))


@pytest.fixture
def shop(tmp_path):
    file = tmp_path / "customers.csv"
    file.write_text(CUSTOMERS)
    settings = validate_settings({"name": "laden"}, where="test")
    with Workspace.create(tmp_path / "shop", settings) as made:
        made.load("customers", file)
        yield made


def bad(folder: Path) -> list[doctor.Finding]:
    found = doctor.examine(folder)
    assert all(one.hint for one in found if not one.ok)
    assert all(set(one.as_dict()) == {"ok", "what", "hint"} for one in found)
    return [one for one in found if not one.ok]


def insert(shop, table, **row):
    with shop.store.begin() as connection:
        connection.execute(table.insert().values(**row))


def turn(**row):
    return {"turn_id": "t", "as_of_on": date(2024, 6, 1), "state": "running", "inputs": {},
            "config": {}, "code_version": "0", "started_at": AT} | row  # fmt: skip


def test_a_healthy_workspace_is_healthy(shop):
    assert bad(shop.folder) == []


def test_a_folder_without_a_workspace_is_said_so(tmp_path):
    found = bad(tmp_path)
    assert "no workspace" in found[0].what
    assert "zhiyin init" in found[0].hint


def test_wrong_settings_are_named(shop):
    path = shop.folder / "zhiyin.toml"
    path.write_text(path.read_text().replace('"UTC"', '"Mars/Olympus"'))
    assert "Mars/Olympus" in bad(shop.folder)[0].what


def test_a_key_file_that_others_can_read_is_found(shop):
    (shop.folder / "keys" / "vault.json").chmod(0o644)
    assert "chmod 600" in bad(shop.folder)[0].hint


def test_the_record_for_signed_email_is_printed_or_why_there_is_none(shop):
    act = ActSettings(sender_address="hello@shop.example", dkim_domain="shop.example")
    path = shop.folder / act.dkim_key_file
    assert [one.ok for one in doctor.check_dkim(act, shop.folder)] == [False]
    key = ed25519.Ed25519PrivateKey.generate()
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (found,) = doctor.check_dkim(act, shop.folder)
    assert found.ok
    assert "zhiyin._domainkey.shop.example TXT v=DKIM1; k=ed25519; p=" in found.hint


def test_a_missing_data_file_is_found(shop):
    next((shop.folder / "lake" / "customers").glob("*.parquet")).unlink()
    assert [one.what for one in bad(shop.folder)] == [
        "table customers cannot be read (IOException)"
    ]


def test_a_damaged_ledger_is_found(shop):
    shop.close()
    for path in shop.folder.glob("ledger.db*"):
        path.write_bytes(b"not a database, " * 100)
    assert "ledger" in bad(shop.folder)[0].what


def test_a_turn_that_was_cut_off_is_found_and_one_that_runs_is_not(shop):
    insert(shop, turns, **turn())
    assert "--as-of 2024-06-01" in bad(shop.folder)[0].hint
    insert(shop, leases, name="lake", holder=this_process(), expires_at=datetime(2999, 1, 1))
    assert bad(shop.folder) == []


@pytest.mark.parametrize(
    ("table", "row", "words"),
    [
        (loads, {"load_id": "l", "table_name": "orders", "source": "s", "file": "f",
                 "state": "running", "started_at": AT}, "1 loads were cut off"),
        (loads, {"load_id": "l", "table_name": "orders", "source": "s", "file": "f",
                 "state": "done", "rows_read": 98, "rows_quarantined": 10, "started_at": AT},
         "10 of 100 loaded"),
        (pulls, {"source": "till", "stream": "", "pulled_at": AT, "error": "input: x"},
         "sources failed: till"),
        (messages, {"message_id": "m", "campaign_id": "c", "turn_id": "t", "party_id": "p",
                    "customer_id": "p", "channel": "email", "language": "en", "state": "unknown",
                    "planned_at": AT}, "1 messages may or may not"),
        (jobs, {"job_id": "j", "kind": "turn", "arguments": {}, "state": "failed",
                "requested_by": "x", "created_at": AT}, "1 jobs failed"),
        (jobs, {"job_id": "j", "kind": "erase", "arguments": {}, "state": "running",
                "requested_by": "x", "created_at": AT}, "1 erasures were cut off"),
    ],
)  # fmt: skip
def test_what_was_left_open_is_found(shop, table, row, words):
    insert(shop, table, **row)
    assert [words in one.what for one in bad(shop.folder)] == [True]


def test_a_full_disk_is_found(shop, monkeypatch):
    usage = os.terminal_size((1, 1))  # any two numbers
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("U", (), {"free": usage[0]}))
    assert "make room" in bad(shop.folder)[0].hint


def test_without_lightgbm_the_workspace_is_healthy_and_the_hint_says_what_to_install(
    shop, monkeypatch
):
    monkeypatch.setattr(doctor, "lightgbm_or_none", lambda: None)
    assert bad(shop.folder) == []
    assert "libgomp" in doctor.check_trees().hint


def test_versions_that_do_not_fit_are_named():
    wanted = [
        Requirement(one) for one in ("duckdb<1", "no-such-thing", "pandas>1", "x; extra=='y'")
    ]
    found = list(doctor.find_wrong_versions(wanted))
    assert found[0].startswith("duckdb is ")
    assert found[1:] == ["no-such-thing is not installed"]


def test_a_table_that_lost_its_log_is_found(shop):
    shutil.rmtree(shop.folder / "lake" / "customers" / "_delta_log")
    (found,) = bad(shop.folder)
    assert "table customers has data files but no log" in found.what


def test_a_lost_ledger_is_not_silently_made_anew(shop):
    shop.close()
    for path in shop.folder.glob("ledger.db*"):
        path.unlink()
    (found,) = bad(shop.folder)
    assert "ledger.db is missing" in found.what
    assert not (shop.folder / "ledger.db").exists()


def test_a_damaged_segment_of_the_journal_is_named(shop):
    path = shop.folder / "journal" / "0000000000001-abcdabcdabcdabcd.zyj"
    path.parent.mkdir(exist_ok=True)
    path.write_text("garbage")
    (found,) = bad(shop.folder)
    assert path.stem in found.what
    assert "backup" in found.hint

"""A watched folder: complete files once each, nothing else, and nothing from outside it."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa

from tests.unit.collect.conftest import NOW
from tests.unit.collect.fakes import rows_of
from zhiyin.collect.sources import Intake, pull
from zhiyin.collect.sources.config import parse_source
from zhiyin.collect.sources.folder import COPIES, Found, copy_settled
from zhiyin.core import columns as c
from zhiyin.core.errors import ConfigError, InputError
from zhiyin.core.ledger import arrivals, loads

HEAD = "id,at,total\n"


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()

    def put(name, text=f"{HEAD}1,2026-02-01,5.00\n", *, age=60):
        path = folder / name
        path.write_text(text)
        moment = NOW.timestamp() - age
        os.utime(path, (moment, moment))
        return path

    put.folder = folder
    return put


@pytest.fixture
def look(store, vault, settings, clock, tmp_path, inbox):
    def run(**more):
        values = {
            "kind": "folder", "path": str(inbox.folder), "pattern": "*.csv", "table": "orders",
            "mapping": {"columns": {"order_id": "id", "ordered_at": "at", "amount": "total"}},
        }  # fmt: skip
        options = {"dry_run": more.pop("dry_run", False)}
        source = parse_source(values | more, name="files", where="test", read=dict)
        intake = Intake(store, vault, settings, clock, tmp_path)
        return pull(intake, "files", source, **options)

    return run


def test_a_file_is_loaded_once_and_stays_where_it_is(inbox, look, store):
    path = inbox("a.csv")
    (made,) = look()
    assert (made.origin, made.loaded) == ("a.csv", 1)
    assert look() == []
    assert path.exists()
    assert [row[c.ORDER_ID] for row in rows_of(store, "orders")] == ["files:1"]


def test_the_same_content_under_another_name_is_not_loaded_again(inbox, look):
    inbox("a.csv")
    look()
    inbox("b.csv")
    assert look() == []
    inbox("a.csv", f"{HEAD}2,2026-02-01,5.00\n", age=50)  # a new file under an old name
    assert [one.loaded for one in look()] == [1]


def test_what_is_not_complete_waits(inbox, look):
    inbox("a.csv", age=3)
    assert look() == []
    assert len(look(settle_s=2)) == 1


@pytest.mark.parametrize(
    "name", [".a.csv", "~a.csv", "a.csv.part", "a.csv.tmp", "a.csv~", "a.txt", ".a.csv.x7Gh"]
)
def test_hidden_partial_and_other_names_are_left_alone(inbox, look, name):
    inbox(name)
    assert look() == []


def test_links_and_folders_are_left_alone(inbox, look, tmp_path):
    outside = tmp_path / "secret.csv"
    outside.write_text(f"{HEAD}9,2026-02-01,5.00\n")
    (inbox.folder / "link.csv").symlink_to(outside)
    (inbox.folder / "sub.csv").mkdir()
    assert look(settle_s=0) == []


def test_a_name_that_became_a_link_is_not_followed(inbox, tmp_path):
    outside = tmp_path / "secret.csv"
    outside.write_text("secret")
    path = inbox("a.csv")
    about = path.stat()
    found = Found("a.csv", about.st_size, about.st_mtime_ns)
    path.unlink()
    path.symlink_to(outside)
    copies = tmp_path / "copies"
    copies.mkdir()
    with pytest.raises(InputError, match="cannot be opened"):
        copy_settled(inbox.folder, found, copies)
    assert list(copies.iterdir()) == []


def test_a_file_that_grows_while_it_is_read_waits(inbox, tmp_path):
    path = inbox("a.csv")
    about = path.stat()
    copies = tmp_path / "copies"
    copies.mkdir()
    path.write_text(path.read_text() + "2,2026-02-02,6.00\n")
    found = Found("a.csv", about.st_size, about.st_mtime_ns)
    assert copy_settled(inbox.folder, found, copies) is None
    assert list(copies.iterdir()) == []


def test_a_folder_that_is_a_link_is_refused(look, inbox, tmp_path):
    (tmp_path / "other").symlink_to(inbox.folder)
    with pytest.raises(ConfigError, match="no folder"):
        look(path="other")


def test_a_file_that_cannot_be_loaded_stops_no_other_and_is_told(inbox, look, store):
    inbox("a.csv", "nothing\nof ours\n")
    inbox("b.csv")
    bad, good = look()
    assert bad.problems[0].startswith("input: the file has no column 'id'")
    assert good.loaded == 1
    with store.begin() as connection:
        states = connection.execute(sa.select(loads.c.file, loads.c.state)).all()
        known = connection.execute(sa.select(arrivals.c.name, arrivals.c.state)).all()
    assert sorted(map(tuple, states)) == [("a.csv", "failed"), ("b.csv", "done")]
    assert sorted(map(tuple, known)) == [("a.csv", "failed"), ("b.csv", "done")]
    assert look() == []  # it is tried again when it has changed
    inbox("a.csv", f"{HEAD}3,2026-02-01,5.00\n", age=40)
    assert [one.loaded for one in look()] == [1]


def test_a_dry_run_leaves_nothing_behind(inbox, look, store, tmp_path):
    inbox("a.csv")
    assert look(dry_run=True)[0].loaded == 1
    assert rows_of(store, "orders") == []
    assert not (tmp_path / COPIES / "files").exists()
    assert look()[0].loaded == 1


def test_a_file_that_is_too_large_is_told(inbox, look):
    inbox("a.csv", HEAD + "1,2026-02-01,5.00\n" * 60_000)
    (made,) = look(max_mb=1)
    assert "more than 1 MB" in made.problems[0]

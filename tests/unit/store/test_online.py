"""Readers of the online store see one whole generation, whatever happens to its makers."""

import shutil

import numpy as np
import pyarrow as pa
import pytest

from zhiyin.core.errors import SchemaTooNew
from zhiyin.core.generation import FORMAT, PEOPLE, Texts, pack_people, pack_texts
from zhiyin.store import online
from zhiyin.store.online import OnlineStore
from zhiyin.store.recent import KEEP_S, Touched
from zhiyin.store.traces import find_traces

ANA, BEA, PHONE = "p_ana22222222222222222222222", "p_bea22222222222222222222222", "p_aaa222"
ABOUT = {PEOPLE: ["seen"]}


def arrays(value=7):
    """Ana has two parties and two entries, Bea one of each."""
    return {
        **pack_people([(ANA, 0), (PHONE, 0), (BEA, 1)], 2),
        **pack_texts("name", pa.array(["tea", "", "面包"])),
        "seen.starts": np.array([0, 2, 3]), "seen.item": np.array([value, 8, 9], np.int32),
        "empty.starts": np.zeros(3, np.int64), "empty.item": np.zeros(0, np.int32),
    }  # fmt: skip


@pytest.fixture
def store(tmp_path):
    made = OnlineStore(tmp_path / "online")
    made.publish(arrays(), ABOUT)
    return made


def test_there_is_nothing_before_the_first_generation(tmp_path):
    assert OnlineStore(tmp_path / "online").generation() is None


def test_what_was_published_is_read(store):
    held = OnlineStore(store.folder).generation()
    assert held.number == 1
    assert held.row_of(ANA) == held.row_of(PHONE) == 0
    assert held.row_of("p_nobody") == -1
    assert sorted(held.parties_of(0)) == [PHONE, ANA]
    assert held.people("seen", 0)["item"].tolist() == [7, 8]
    assert [Texts(held, "name")[place].decode() for place in range(3)] == ["tea", "", "面包"]


def test_a_reader_keeps_the_old_generation_and_takes_the_new_one_when_it_asks_again(store):
    reader = OnlineStore(store.folder)
    old = reader.generation()
    assert reader.generation() is old
    assert store.publish(arrays(70), ABOUT) == 2
    assert old.people("seen", 0)["item"].tolist() == [7, 8]  # its files are gone already
    assert reader.generation().people("seen", 0)["item"].tolist() == [70, 8]
    assert sorted(one.name for one in store.folder.iterdir()) == ["00000002", "current"]


class Killed(BaseException):
    """The process died here."""


@pytest.mark.parametrize(
    "where", ["np.save", "sync_file", "sync_folder", "json.dumps", "_write", "shutil.rmtree"]
)
def test_a_maker_that_is_killed_leaves_a_whole_generation(store, monkeypatch, where):
    steps = 0
    while True:
        calls, steps = 0, steps + 1
        owner, name = (online, where) if "." not in where else (
            getattr(online, where.split(".")[0]), where.split(".")[1]
        )  # fmt: skip
        whole = getattr(owner, name)

        def dying(*values, whole=whole, steps=steps, **named):
            nonlocal calls
            calls += 1
            if calls == steps:
                raise Killed
            return whole(*values, **named)

        with monkeypatch.context() as patched:
            patched.setattr(owner, name, dying)
            try:
                store.publish(arrays(steps), ABOUT)
                done = True
            except Killed:
                done = False
        seen = OnlineStore(store.folder).generation()
        assert seen.people("seen", 0)["item"][0] in {7, *range(1, steps + 1)}
        assert seen.people("seen", 1)["item"].tolist() == [9]
        if done:
            break
    assert steps > 1
    assert seen.people("seen", 0)["item"][0] == steps
    assert len(list(store.folder.iterdir())) == 2, "what the killed left is cleared"


def test_an_erased_person_is_gone_for_readers_and_from_the_files(store):
    reader = OnlineStore(store.folder)
    held = reader.generation()
    assert store.erase([ANA, PHONE]) > 0
    assert (held.row_of(ANA), held.row_of(PHONE), held.row_of(BEA)) == (-1, -1, 1)
    assert held.people("seen", 0)["item"].tolist() == [0, 0]
    assert held.people("seen", 1)["item"].tolist() == [9]
    assert held.parties_of(1) == [BEA]
    assert find_traces(store.folder, [ANA, PHONE]) == []
    assert store.erase([ANA, PHONE]) == 0


def test_the_erasure_of_one_after_another_leaves_nobody(store):
    for parties in ([PHONE, ANA], [BEA]):
        store.erase(parties)
    held = OnlineStore(store.folder).generation()
    assert find_traces(store.folder, [ANA, PHONE, BEA]) == []
    assert held.row_of(BEA) == -1


def test_a_person_that_the_last_maker_left_behind_is_erased_too(store):
    shutil.copytree(store.folder / "00000001", store.folder / f"{online.MAKING}1")
    shutil.copytree(store.folder / "00000001", store.folder / "00000002")
    store.erase([ANA, PHONE])
    assert find_traces(store.folder, [ANA, PHONE]) == []


def test_what_was_done_lately_is_read_newest_first_once_a_product(store):
    recent = store.recent
    assert recent.read([ANA]) == []
    recent.put([Touched(ANA, "s:1", False, 5.0), Touched(ANA, "s:2", False, 6.0)], now=9.0)
    recent.put([Touched(ANA, "s:1", False, 8.0), Touched(ANA, "s:2", False, 2.0)], now=9.0)
    recent.put([Touched(PHONE, "s:2", True, 7.0), Touched(BEA, "s:3", False, 1.0)], now=9.0)
    other = OnlineStore(store.folder).recent
    assert [(one.product_id, one.bought, one.at) for one in other.read([ANA, PHONE])] == [
        ("s:1", False, 8.0), ("s:2", True, 7.0), ("s:2", False, 6.0)
    ]  # fmt: skip


def test_what_is_old_goes_when_something_new_comes(store):
    store.recent.put([Touched(ANA, "s:1", False, 5.0)], now=9.0)
    store.recent.put([Touched(BEA, "s:1", False, KEEP_S + 6)], now=KEEP_S + 6)
    assert store.recent.read([ANA]) == []
    assert len(store.recent.read([BEA])) == 1


def test_an_erasure_takes_what_was_done_lately_from_the_file_and_its_log(store):
    reader = OnlineStore(store.folder).recent
    rows = [Touched(one, f"s:{n}", False, 5.0) for one in (ANA, BEA) for n in range(50)]
    store.recent.put(rows, now=9.0)
    assert len(reader.read([ANA])) == 50
    store.erase([ANA, PHONE])
    assert find_traces(store.folder, [ANA]) == []
    assert reader.read([ANA]) == []
    assert len(reader.read([BEA])) == 50


def test_nothing_is_kept_where_nothing_was_published(tmp_path):
    empty = OnlineStore(tmp_path / "online")
    empty.recent.put([Touched(ANA, "s:1", False, 5.0)], now=9.0)
    assert empty.recent.read([ANA]) == []
    assert empty.erase([ANA]) == 0
    assert not empty.folder.exists()


def test_a_newer_format_is_an_error_with_a_hint(store, monkeypatch):
    monkeypatch.setattr(online, "FORMAT", FORMAT - 1)
    with pytest.raises(SchemaTooNew, match="pip install"):
        OnlineStore(store.folder).generation()

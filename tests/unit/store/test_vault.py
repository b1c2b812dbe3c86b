"""Keys, pseudonyms and sealed fields."""

import json
import stat
import sys

import pytest
import sqlalchemy as sa

from zhiyin.core.errors import InvalidParameter, KeyDestroyed, WorkspaceError
from zhiyin.core.ledger import data_keys
from zhiyin.store.ledger import open_ledger, transaction
from zhiyin.store.vault import KEY_FILE, Keys, open_vault

PERSONAL = {"email": "ana@example.com", "name": "安娜", "n": 3}


@pytest.fixture
def ledger(tmp_path):
    engine = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield engine
    engine.dispose()


@pytest.fixture
def vault(tmp_path, ledger):
    return open_vault(tmp_path / "keys", ledger)


def test_the_key_file_is_for_its_owner_only(tmp_path, vault):
    path = tmp_path / "keys" / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(one.name for one in path.parent.iterdir()) == [KEY_FILE]


def test_a_key_file_that_others_can_read_is_refused(tmp_path, ledger, vault):
    (tmp_path / "keys" / KEY_FILE).chmod(0o644)
    with pytest.raises(WorkspaceError, match="read by others") as caught:
        open_vault(tmp_path / "keys", ledger)
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": 1, "master": "%%"}', '{"format": 9}', '{"format": 1}']
)
def test_a_damaged_key_file_is_an_error(tmp_path, ledger, vault, text):
    (tmp_path / "keys" / KEY_FILE).write_text(text)
    with pytest.raises(WorkspaceError):
        open_vault(tmp_path / "keys", ledger)


def test_short_keys_are_refused(tmp_path, ledger, vault):
    path = tmp_path / "keys" / KEY_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"master": "AAAA"}))
    with pytest.raises(WorkspaceError, match="damaged"):
        open_vault(tmp_path / "keys", ledger)


def test_a_lost_key_file_is_not_replaced_by_new_keys(tmp_path, ledger, vault):
    vault.seal(["p_a"], [PERSONAL])
    (tmp_path / "keys" / KEY_FILE).unlink()
    with pytest.raises(WorkspaceError, match="missing"):
        open_vault(tmp_path / "keys", ledger)


def test_keys_do_not_show(vault):
    assert "\\x" not in repr(Keys.make())


def test_a_party_id_is_the_same_after_reopening_and_depends_on_the_namespace(
    tmp_path, ledger, vault
):
    [one] = vault.party_ids("email", ["ana@example.com"])
    again = open_vault(tmp_path / "keys", ledger)
    assert again.party_ids("email", ["ana@example.com"]) == [one]
    assert again.party_ids("user_id", ["ana@example.com"]) != [one]
    assert one.startswith("p_")
    assert len(one) == 28
    assert set(one[2:]) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert vault.party_ids("email", []) == []


def test_namespace_and_value_cannot_run_into_each_other(vault):
    with pytest.raises(InvalidParameter):
        vault.party_ids("a|b", ["c"])
    with pytest.raises(InvalidParameter):
        vault.token("a|b", "c")


def test_demonstrations_agree_on_ids_and_arms_and_on_nothing_else(tmp_path):
    made = []
    for name in "ab":
        engine = open_ledger(f"sqlite:///{tmp_path}/{name}.db")
        made.append(open_vault(tmp_path / name, engine, demo=True))
        engine.dispose()
    one, other = made
    assert one.party_ids("user_id", ["1"]) == ["p_rt2jwkuo37txg2mmw7ddtmojgl"]
    assert one.party_ids("user_id", ["1"]) == other.party_ids("user_id", ["1"])
    assert one.salt == other.salt
    assert one.token("suppress", "x") != other.token("suppress", "x")


def test_workspaces_of_ones_own_agree_on_nothing(tmp_path, ledger, vault):
    engine = open_ledger("sqlite://")
    other = open_vault(tmp_path / "other", engine)
    assert vault.party_ids("u", ["1"]) != other.party_ids("u", ["1"])
    assert vault.salt != other.salt
    engine.dispose()


def test_tokens_are_for_one_purpose(vault):
    assert vault.token("suppress", "x") == vault.token("suppress", "x")
    assert vault.token("suppress", "x") != vault.token("link", "x")


def test_what_was_sealed_comes_back(vault):
    blobs = vault.seal(["p_a", "p_b", "p_a"], [PERSONAL, None, {"phone": "1"}])
    assert blobs[1] is None
    assert vault.unseal(["p_a", "p_b", "p_a"], blobs) == [PERSONAL, None, {"phone": "1"}]
    assert vault.unseal([], []) == []


def test_sealing_twice_gives_other_bytes(vault):
    assert vault.seal(["p_a"], [PERSONAL]) != vault.seal(["p_a"], [PERSONAL])


def test_a_blob_is_its_partys_and_cannot_be_changed(vault):
    blob_a, _ = vault.seal(["p_a", "p_b"], [PERSONAL, PERSONAL])
    assert blob_a is not None
    with pytest.raises(InvalidParameter, match="another key"):
        vault.unseal(["p_b"], [blob_a])
    with pytest.raises(InvalidParameter, match="changed"):
        vault.unseal(["p_a"], [blob_a[:-1] + bytes([blob_a[-1] ^ 1])])
    with pytest.raises(InvalidParameter, match="format 02"):
        vault.unseal(["p_a"], [b"\x02" + blob_a[1:]])


def test_a_key_cannot_be_given_to_another_party(ledger, vault):
    blobs = vault.seal(["p_a", "p_b"], [PERSONAL, PERSONAL])
    with transaction(ledger) as connection:
        wrapped = connection.execute(
            sa.select(data_keys.c.wrapped).where(data_keys.c.key_id == "p_a")
        ).scalar_one()
        connection.execute(
            data_keys.update().where(data_keys.c.key_id == "p_b").values(wrapped=wrapped)
        )
    with pytest.raises(InvalidParameter):
        vault.unseal(["p_b"], [blobs[1]])


def test_a_destroyed_key_opens_nothing_even_in_a_vault_that_used_it(tmp_path, ledger, vault):
    other = open_vault(tmp_path / "keys", ledger)
    blobs = vault.seal(["p_a", "p_b"], [PERSONAL, PERSONAL])
    assert other.destroy(["p_a", "p_x"]) == 1
    assert vault.unseal(["p_a", "p_b"], blobs) == [None, PERSONAL]
    fresh = vault.seal(["p_a"], [PERSONAL])  # she came back: a new key
    assert vault.unseal(["p_a"], fresh) == [PERSONAL]
    with pytest.raises(InvalidParameter):
        vault.unseal(["p_a"], blobs[:1])


def test_contents_of_a_load_share_a_key_that_goes_with_it(vault):
    blobs = vault.seal_with("load:1", [b"a,b", b""])
    assert vault.unseal_with("load:1", blobs) == [b"a,b", b""]
    assert vault.seal_with("load:2", []) == []
    vault.destroy(["load:1"])
    with pytest.raises(KeyDestroyed):
        vault.unseal_with("load:1", blobs)


def test_many_parties_cross_the_chunks_of_look_ups(vault):
    ids = vault.party_ids("u", map(str, range(12_000)))
    blobs = vault.seal(ids, [{"n": number} for number in range(12_000)])
    assert [one["n"] for one in vault.unseal(ids, blobs)] == list(range(12_000))
    assert vault.destroy(ids) == 12_000


def test_two_vaults_that_make_the_same_key_agree(tmp_path, ledger, vault, monkeypatch):
    """The other process inserts between our look-up and our insert."""
    other = open_vault(tmp_path / "keys", ledger)
    made: list[bytes | None] = []
    module = sys.modules[open_vault.__module__]

    def late(engine):
        monkeypatch.undo()
        made.extend(other.seal(["p_a"], [PERSONAL]))
        return transaction(engine)

    monkeypatch.setattr(module, "transaction", late)
    blobs = vault.seal(["p_a"], [PERSONAL])
    assert vault.unseal(["p_a", "p_a"], [made[0], blobs[0]]) == [PERSONAL, PERSONAL]

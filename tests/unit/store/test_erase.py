"""After an erasure no file names the person, and no total has changed."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.ledger import consents, jobs, messages, suppressions
from zhiyin.core.parties import joined_parties
from zhiyin.core.tables import TABLES
from zhiyin.store.erase import erase_parties, way_of
from zhiyin.store.ledger import transaction
from zhiyin.store.traces import find_traces
from zhiyin.store.vault import open_vault
from zhiyin.store.workspace import open_store
from zhiyin.testing.contract_store import DAY, LOADED, MIDNIGHT, ZONE, merge, order, put, tag, touch

EMAIL = "ana.erased@example.com"
NAME = "安娜·消失"
FIELDS = {"email": EMAIL, "name": NAME}
LOADING = {c.SOURCE: "t", c.LOAD_ID: "l", c.LOADED_AT: LOADED}
KINDS_OF_WAYS = {"keep", "rename", "delete", "delete_named"}


@pytest.fixture
def shop(tmp_path):
    """A workspace where `ana` (two parties) and `bob` left rows in every kind of table."""
    store = open_store(tmp_path, zone=ZONE)
    vault = open_vault(tmp_path / "keys", store.ledger)
    ana, phone, bob = parties = vault.party_ids("user_id", ["ana", "ana-phone", "bob"])
    sealed = dict(zip(parties, vault.seal(parties, [FIELDS, FIELDS, {"name": "Bob"}]), strict=True))
    at = MIDNIGHT - timedelta(days=9)
    _fill_facts(store, sealed, at)
    _fill_dimensions(store, sealed, at)
    for version in (1, 2):  # the older files stay until a vacuum
        rows = [tag(DAY, one, f"v{version}") for one in parties]
        store.replace("tags", pa.Table.from_pylist(rows), scope={c.AS_OF_ON: DAY})
    raw = vault.seal_with("load:l", [f"ana,{EMAIL}".encode(), b"bob"])
    _fill_quarantine(store, parties, raw)
    _fill_ledger(store, sealed)
    yield store, vault, (ana, phone, bob)
    store.close()


def _fill_facts(store, sealed, at):
    ana, phone, bob = sealed
    orders = [
        order(f"o:{n}", at + timedelta(days=n - 40 * (n % 2)), party_id=one,
              amount_base_minor=n * 7, personal=sealed.get(one))
        for n, one in enumerate([ana, phone, bob, None, ana, bob])
    ]  # fmt: skip
    put(store, "orders", *orders)
    put(store, "orders", order("o:0", at, revision=2, party_id=ana, amount_base_minor=3), app="b")
    put(store, "touches", touch(1, at, party=ana), touch(2, at, party=bob))
    decision = {
        c.TURN_ID: "t", c.AS_OF_ON: DAY, c.CAMPAIGN_ID: "c:1", c.DECIDED_AT: at, c.ELIGIBLE: "[]",
        c.ACTION: "contact", c.ARM: "treat", c.PROPENSITY: 1.0, c.EXPLORED: False,
        c.POLICY: "p", c.POLICY_VERSION: "1", c.REASON: "ok", c.MONTH: at.strftime("%Y-%m"),
    }  # fmt: skip
    rows = [
        decision | {c.DECISION_ID: "d1", c.PARTY_ID: ana, c.CUSTOMER_ID: phone},
        decision | {c.DECISION_ID: "d2", c.PARTY_ID: bob, c.CUSTOMER_ID: phone},
        decision | {c.DECISION_ID: "d3", c.PARTY_ID: bob, c.CUSTOMER_ID: bob},
    ]
    store.replace("decisions", pa.Table.from_pylist(rows), scope={c.AS_OF_ON: DAY})


def _fill_dimensions(store, sealed, at):
    ana, phone, bob = sealed
    revised = {c.REVISION: 1, c.VALID_AT: at, c.RECORDED_AT: LOADED, c.OP: "upsert"}
    for number, one in enumerate(sealed):
        row = {c.PARTY_ID: one, c.UNDATED: False, c.PERSONAL: sealed[one]} | revised | LOADING
        put(store, "customers", row, app="c", seq=number)
        row = {c.IDENTITY_ID: one, c.NAMESPACE: "user_id", c.PARTY_ID: one, c.VALID_AT: at}
        put(store, "identities", row | LOADING, app="c", seq=number)
    put(store, "merges", merge(ana, phone, at), merge("p_other", bob, at))


def _fill_quarantine(store, parties, raw):
    ana, _, bob = parties
    refused = {
        c.SOURCE: "t", c.LOAD_ID: "l", c.TABLE: "orders", c.REASON: "bad_type", c.MESSAGE: "m",
        c.KEY_ID: "load:l", c.QUARANTINED_AT: LOADED,
    }  # fmt: skip
    named = [f'["{bob}", "{ana}"]', f'["{bob}"]']
    rows = [
        refused | {c.LINE_NO: n, c.PARTY_IDS: ids, c.CONTENT: content}
        for n, (ids, content) in enumerate(zip(named, raw, strict=True))
    ]
    put(store, "quarantine", *rows)


def _fill_ledger(store, sealed):
    ana, phone, bob = sealed
    now = MIDNIGHT
    message = {
        "campaign_id": "c:1", "turn_id": "t", "channel": "email", "language": "en",
        "state": "sent", "planned_at": now, "receipt": "r",
    }  # fmt: skip
    consent = {"purpose": "marketing", "channel": "*", "granted": True, "at": now, "source": "t"}
    job = {"kind": "erase", "state": "done", "requested_by": "me", "created_at": now}
    with transaction(store.ledger) as connection:
        connection.execute(
            messages.insert(),
            [
                message | {"message_id": f"m{n}", "party_id": one, "customer_id": chief,
                           "content": sealed[one]}
                for n, (one, chief) in enumerate([(ana, phone), (bob, bob)])
            ],
        )  # fmt: skip
        connection.execute(
            consents.insert(),
            [consent | {"consent_id": f"consent-{one}", "party_id": one} for one in sealed],
        )
        connection.execute(
            suppressions.insert().values(token="kept", channel="*", reason="erased", at=now)
        )
        connection.execute(
            jobs.insert(),
            [
                job | {"job_id": "j1", "arguments": {"customer": ana}, "error": f"{phone} failed"},
                job | {"job_id": "j2", "arguments": {"customer": bob}, "error": None},
            ],
        )


def _needles(parties) -> list[str]:
    return [*parties[:2], EMAIL, NAME]


def test_every_table_with_a_pseudonym_has_a_way_to_erase_it():
    for table in TABLES.values():
        personal = [column.name for column in table.columns if column.pii != "none"]
        assert (way_of(table) == "keep") == (not personal), table.name
    covered = {c.PARTY_ID, c.CUSTOMER_ID, c.INTO, c.PARTY_IDS}
    for table in TABLES.values():
        names = {column.name for column in table.columns if column.pii == "pseudonym"}
        # identity_id is in rows that party_id deletes
        assert names <= covered | {c.IDENTITY_ID}
        if way_of(table) == "rename":
            assert names <= {c.PARTY_ID, c.CUSTOMER_ID}
            encrypted = {column.name for column in table.columns if column.pii == "encrypted"}
            assert encrypted <= {c.PERSONAL}


def test_no_file_of_the_workspace_names_an_erased_person(shop, tmp_path):
    store, _, parties = shop
    ana, phone, _ = parties
    assert {one.number for one in find_traces(tmp_path, _needles(parties))} == {0, 1}
    everyone = joined_parties(ana, store.representatives())
    assert everyone == sorted([ana, phone])
    done = erase_parties(store, everyone)
    assert find_traces(tmp_path, _needles(parties)) == []
    assert done.parties == 2
    assert done.keys_destroyed == 2
    assert done.totals_equal
    assert done.before["orders"].rows == 7
    assert done.before["orders"].sums[c.AMOUNT_BASE_MINOR] == 7 * (1 + 2 + 3 + 4 + 5) + 3
    assert {k: n for k, n in done.renamed.items() if n} == {
        "orders": 4,
        "touches": 1,
        "decisions": 1,
    }
    assert {k: n for k, n in done.deleted.items() if n} == {
        "customers": 2, "identities": 2, "merges": 1, "quarantine": 1, "tags": 2,
    }  # fmt: skip
    assert {k: n for k, n in done.ledger.items() if n} == {
        "consents": 2, "messages": 1, "jobs": 1,
    }  # fmt: skip


def test_others_keep_everything(shop):
    store, vault, (ana, phone, bob) = shop
    erase_parties(store, [ana, phone])
    rows = {row[c.ORDER_ID]: row for row in store.read("orders").to_pyarrow().to_pylist()}
    assert len(rows) == 6
    assert {n for n, row in rows.items() if row[c.PARTY_ID] == bob} == {"o:2", "o:5"}
    assert rows["o:3"][c.PARTY_ID] is None
    assert vault.unseal([bob], [rows["o:2"][c.PERSONAL]]) == [{"name": "Bob"}]
    [fresh] = {rows[name][c.PARTY_ID] for name in ("o:0", "o:1", "o:4")}
    assert fresh.startswith("p_")
    assert len(fresh) == len(bob)
    assert {rows[name][c.PERSONAL] for name in ("o:0", "o:1", "o:4")} == {None}
    decisions = {
        row[c.DECISION_ID]: row for row in store.read("decisions").to_pyarrow().to_pylist()
    }
    assert (decisions["d1"][c.PARTY_ID], decisions["d1"][c.CUSTOMER_ID]) == (fresh, fresh)
    assert (decisions["d2"][c.PARTY_ID], decisions["d2"][c.CUSTOMER_ID]) == (bob, fresh)
    assert (decisions["d3"][c.PARTY_ID], decisions["d3"][c.CUSTOMER_ID]) == (bob, bob)
    for name, column in (("customers", c.PARTY_ID), ("tags", c.CUSTOMER_ID)):
        assert [row[column] for row in store.read(name).to_pyarrow().to_pylist()] == [bob]
    with transaction(store.ledger) as connection:
        assert connection.execute(sa.select(suppressions.c.token)).scalars().all() == ["kept"]
        rows = connection.execute(sa.select(messages).order_by(messages.c.message_id)).all()
        assert (rows[0].party_id, rows[0].customer_id, rows[0].content) == (fresh, fresh, None)
        assert rows[1].party_id == bob
        assert rows[1].content is not None
        assert set(connection.execute(sa.select(consents.c.party_id)).scalars()) == {fresh, bob}
        assert connection.execute(
            sa.select(jobs.c.arguments).where(jobs.c.job_id == "j2")
        ).scalar_one() == {"customer": bob}


def test_erasing_again_finds_nothing_and_changes_nothing(shop):
    store, _, (ana, phone, _) = shop
    erase_parties(store, [ana, phone])
    again = erase_parties(store, [ana, phone])
    assert again.keys_destroyed == 0
    assert not any(again.renamed.values())
    assert not any(again.deleted.values())
    assert again.totals_equal


def test_an_erasure_that_was_cut_off_is_completed_by_the_next(shop, tmp_path, monkeypatch):
    store, _, parties = shop
    real = store.lake.merge
    calls = iter(range(100))

    def dying(*arguments, **more):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments, **more)

    monkeypatch.setattr(store.lake, "merge", dying)
    everyone = joined_parties(parties[0], store.representatives())
    with pytest.raises(KeyboardInterrupt):
        erase_parties(store, everyone)
    monkeypatch.undo()
    assert joined_parties(parties[0], store.representatives()) == everyone
    assert erase_parties(store, everyone).totals_equal
    assert find_traces(tmp_path, _needles(parties)) == []


def test_half_written_files_of_killed_writers_go(shop, tmp_path):
    store, _, parties = shop
    good = next(store.lake.path("orders").rglob("*.parquet"))
    stale = good.with_name("part-x.parquet#1")
    stale.write_bytes(b"PAR1" + parties[0].encode())
    orphan = good.with_name("part-orphan.parquet")
    pq.write_table(pa.table({"x": [parties[0]]}), orphan)
    erase_parties(store, parties[:2])
    assert not stale.exists()
    assert not orphan.exists()
    assert find_traces(tmp_path, _needles(parties)) == []


def test_the_search_catches_a_delete_that_quotes_the_person(shop, tmp_path):
    """The planted violation: a literal predicate stays in the Delta log for ever."""
    store, _, parties = shop
    handle = store.lake.open("touches")
    handle.delete(f"party_id = '{parties[0]}'")
    erase_parties(store, parties[:2])
    [trace] = find_traces(tmp_path, _needles(parties))
    assert trace.path.parent == store.lake.path("touches") / "_delta_log"
    assert (trace.number, trace.where) == (0, "bytes")


def test_the_search_catches_a_merge_that_keeps_the_range_of_its_source(shop, tmp_path):
    """The planted violation: statistics of the source become a predicate in the log."""
    store, _, parties = shop
    source = pa.table({"key": list(parties[:2])})
    merger = store.lake.open("touches").merge(
        source, "t.party_id = s.key", source_alias="s", target_alias="t", streamed_exec=False
    )
    merger.when_matched_delete().execute()
    erase_parties(store, parties[:2])
    found = find_traces(tmp_path, _needles(parties))
    assert {one.path.parent for one in found} == {store.lake.path("touches") / "_delta_log"}


def test_the_search_catches_old_files_of_a_table_that_was_not_vacuumed(shop, tmp_path, monkeypatch):
    store, _, parties = shop
    monkeypatch.setattr(store.lake, "vacuum", lambda name, *, keep_hours: 0)
    erase_parties(store, parties[:2])
    tables = {one.path.relative_to(store.lake.folder).parts[0] for one in
              find_traces(tmp_path, _needles(parties))}  # fmt: skip
    assert tables == {
        "orders", "touches", "decisions", "customers", "identities", "merges", "quarantine", "tags",
    }  # fmt: skip


def test_an_erasure_names_somebody(shop):
    with pytest.raises(InvalidParameter):
        erase_parties(shop[0], [])


def _plant(folder: Path, kind: str) -> None:
    secret = "sécret-知音"
    typed = {
        "text": pa.array([secret]),
        "binary": pa.array([f"x{secret}y".encode()]),
        "struct": pa.array([{"a": {"b": secret}}]),
        "list": pa.array([["x", secret]]),
        "map": pa.array([[("k", secret)]], pa.map_(pa.string(), pa.string())),
        "dictionary": pa.array([secret] * 3).dictionary_encode(),
        "large": pa.array([secret], pa.large_string()),
    }
    if kind in typed:
        pq.write_table(pa.table({"x": typed[kind]}), folder / "a.parquet", compression="zstd")
    elif kind == "json":
        (folder / "a.json").write_text('{"x": "s\\u00e9cret-\\u77e5\\u97f3"}')
    else:
        (folder / "a.bin").write_bytes(b"\x00" + secret.encode() + b"\xff")


@pytest.mark.parametrize(
    "kind",
    ["text", "binary", "struct", "list", "map", "dictionary", "large", "json", "bytes"],
)
def test_the_search_looks_everywhere(tmp_path, kind):
    (tmp_path / "empty").touch()
    (tmp_path / "half.parquet").write_bytes(b"PAR1 half")
    assert find_traces(tmp_path, ["sécret-知音"]) == []
    _plant(tmp_path, kind)
    assert {one.number for one in find_traces(tmp_path, ["absent", "sécret-知音"])} == {1}

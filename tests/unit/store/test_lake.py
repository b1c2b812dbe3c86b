"""Delta tables: layout, exactly-once appends, idempotent rewrites, schema changes."""

import json
import shutil
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from zhiyin.core import columns as c
from zhiyin.core.errors import ConcurrentWrite, InvalidParameter, SchemaTooNew, WorkspaceError
from zhiyin.core.rows import arrow_schema
from zhiyin.core.schema import Table, col, req
from zhiyin.core.tables import TABLES
from zhiyin.store.durable import sync_commit
from zhiyin.store.engines.duckdb import DuckDBEngine
from zhiyin.store.engines.files import active_files
from zhiyin.store.lake import VERSION_APP, VERSION_KEY, Lake, statistics_columns
from zhiyin.store.migrations_lake import Migration, plan_migrations
from zhiyin.testing.contract_store import DAY, MIDNIGHT, tag, touch

NOTES = Table(
    "notes", "fact", "For these tests.", "nobody", ("id",),
    (req("id", "int64", "key"), col("said", "string", "text"), col("n", "int64", "number")),
)  # fmt: skip


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


@pytest.fixture(scope="module")
def engine():
    return DuckDBEngine(threads=1, memory_bytes=2**29)


def read(lake: Lake, name: str, engine: DuckDBEngine) -> list[dict]:
    handle = lake.open(name)
    assert handle is not None
    return sorted(engine.from_delta(handle).to_pyarrow().to_pylist(), key=str)


def touches(*rows: dict) -> pa.Table:
    return pa.Table.from_pylist(list(rows))


def notes(*ids: int, said: str = "x") -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.int64()), "said": [said] * len(ids)})


def lake_of(folder, *tables: Table, migrations=()) -> Lake:
    return Lake(folder, tables={table.name: table for table in tables}, migrations=migrations)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_statistics_are_never_of_personal_columns(table):
    columns = statistics_columns(table)
    assert columns
    assert {table.column(name).pii for name in columns} == {"none"}
    assert table.partition not in columns


def test_a_table_is_partitioned_compressed_and_marked(lake):
    lake.append("touches", touches(touch(1, MIDNIGHT), touch(2, MIDNIGHT - timedelta(40))), app="a")
    handle = lake.open("touches")
    assert handle is not None
    assert handle.metadata().configuration[VERSION_KEY] == "1"
    _, partitions, files = active_files(handle)
    assert partitions == [c.MONTH]
    assert [file.split("/")[-2] for file in files] == ["month=2024-01", "month=2024-03"]
    group = pq.ParquetFile(files[0]).metadata.row_group(0)
    assert {group.column(i).compression for i in range(group.num_columns)} == {"ZSTD"}


def test_the_log_holds_no_pseudonym(lake):
    lake.append("touches", touches(touch(1, MIDNIGHT, party="p_marker")), app="a")
    lake.replace("tags", touches(tag(DAY, "p_marker", "a")), scope={c.AS_OF_ON: DAY})
    for _ in range(2):
        lake.replace("tags", touches(tag(DAY, "p_marker", "b")), scope={c.AS_OF_ON: DAY})
    DeltaTable(lake.path("tags")).create_checkpoint()
    logs = list(lake.folder.glob("*/_delta_log/*"))
    assert any(one.suffix == ".parquet" for one in logs)
    assert not any(b"p_marker" in one.read_bytes() for one in logs)
    cells = [str(pq.read_table(one).to_pylist()) for one in logs if one.suffix == ".parquet"]
    assert not any("p_marker" in one for one in cells)


def test_an_append_that_another_writer_overtook_is_tried_again(lake, engine, monkeypatch):
    lake.append("touches", touches(touch(1, MIDNIGHT)), app="a", seq=0)
    other = Lake(lake.folder)
    real = lake.open

    def late(name, *, version=None):
        handle = real(name, version=version)
        if late.on and handle is not None:
            late.on = False
            other.append("touches", touches(touch(2, MIDNIGHT)), app="a", seq=1)
        return handle

    late.on = False
    monkeypatch.setattr(lake, "open", late)
    for seq, late.on in ((1, True), (2, False)):
        lake.append("touches", touches(touch(seq + 1, MIDNIGHT)), app="a", seq=seq)
    assert [row[c.TOUCH_ID] for row in read(lake, "touches", engine)] == ["t:1", "t:2", "t:3"]


def test_a_stale_handle_of_the_same_app_does_not_write_twice(lake, engine, monkeypatch):
    """Between the check and the commit of one writer, another commits the same number."""
    lake.append("touches", touches(touch(1, MIDNIGHT)), app="a", seq=0)
    other = Lake(lake.folder)
    real = lake._fit

    def late(handle, body):
        monkeypatch.undo()
        assert other.append("touches", body, app="a", seq=1) == 1
        return real(handle, body)

    monkeypatch.setattr(lake, "_fit", late)
    assert lake.append("touches", touches(touch(2, MIDNIGHT)), app="a", seq=1) == 0
    assert len(read(lake, "touches", engine)) == 2


def test_a_writer_that_never_wins_gives_up(lake, monkeypatch):
    lake.append("touches", touches(touch(1, MIDNIGHT)), app="a", seq=0)
    other = Lake(lake.folder)
    real = lake._fit
    counts = iter(range(1, 1000))

    def late(handle, body):
        handle_of_other = next(counts)
        other.append("touches", body, app="a", seq=handle_of_other)
        return real(handle, body)

    monkeypatch.setattr(lake, "_fit", late)
    monkeypatch.setattr("zhiyin.store.lake._is_done", lambda *_: False)
    monkeypatch.setattr(other, "append", _append_unchecked(other))
    with pytest.raises(ConcurrentWrite, match="8 times"):
        lake.append("touches", touches(touch(2, MIDNIGHT)), app="a", seq=999)


def _append_unchecked(other: Lake):
    def append(name, body, *, app, seq):
        return Lake.append(other, name, body, app=app, seq=seq)

    return append


@pytest.mark.parametrize("value", [1.5, b"x", MIDNIGHT])
def test_a_scope_holds_plain_values(lake, value):
    with pytest.raises(InvalidParameter):
        lake.replace("tags", touches(tag(DAY, "p_a", "a")).slice(0, 0), scope={c.TAG: value})


def test_a_negative_number_is_refused(lake):
    with pytest.raises(InvalidParameter):
        lake.append("touches", touches(touch(1, MIDNIGHT)), app="a", seq=-1)


def test_a_scope_may_be_null_or_a_boolean(tmp_path, engine):
    table = replace(NOTES, columns=(*NOTES.columns, col("yes", "bool", "flag")))
    lake = lake_of(tmp_path, table)
    rows = [{"id": 1, "said": None, "yes": True}, {"id": 2, "said": "x", "yes": False}]
    lake.append("notes", pa.Table.from_pylist(rows), app="a")
    new = pa.Table.from_pylist([{"id": 3, "said": None, "yes": True}], arrow_schema(table))
    lake.replace("notes", new, scope={"said": None})
    assert [row["id"] for row in read(lake, "notes", engine)] == [2, 3]
    lake.replace("notes", new.slice(0, 0), scope={"yes": False})
    assert [row["id"] for row in read(lake, "notes", engine)] == [3]


def test_compaction_keeps_rows_and_exactly_once_marks(lake, engine):
    for seq in range(5):
        lake.append("touches", touches(touch(seq, MIDNIGHT)), app="a", seq=seq)
    before = read(lake, "touches", engine)
    lake.compact("touches")
    handle = lake.open("touches")
    assert handle is not None
    assert len(handle.file_uris()) == 1
    assert read(lake, "touches", engine) == before
    assert lake.append("touches", touches(touch(4, MIDNIGHT)), app="a", seq=4) == 0
    assert lake.vacuum("touches") == 0
    assert lake.vacuum("touches", keep_hours=0) == 5
    assert read(lake, "touches", engine) == before
    lake.compact("orders")  # not there yet: nothing to do
    assert lake.vacuum("orders") == 0


def test_every_file_of_a_commit_is_flushed(lake, monkeypatch):
    flushed = []
    monkeypatch.setattr("zhiyin.store.durable.sync_file", flushed.append)
    lake.append("touches", touches(touch(1, MIDNIGHT), touch(2, MIDNIGHT - timedelta(40))), app="a")
    root = lake.path("touches")
    data = set(root.rglob("month=*/*.parquet"))
    assert len(data) == 2
    assert data | {one.parent for one in data} | {root, root / "_delta_log"} <= set(flushed)
    assert set(root.glob("_delta_log/*.json")) <= set(flushed)


def test_flushing_reads_the_names_of_the_log(lake):
    lake.append("touches", touches(touch(1, MIDNIGHT)), app="a")
    assert sync_commit(lake.path("touches"), 1) == 1


def test_a_new_nullable_column_is_added_on_opening(tmp_path, engine):
    lake_of(tmp_path, NOTES).append("notes", notes(1), app="a")
    wider = replace(NOTES, columns=(*NOTES.columns, col("more", "timestamp", "new")))
    lake = lake_of(tmp_path, wider)
    assert read(lake, "notes", engine) == [{"id": 1, "said": "x", "n": None, "more": None}]
    lake.append("notes", notes(2).append_column("more", pa.array([MIDNIGHT])), app="a", seq=1)
    assert [row["more"] for row in read(lake, "notes", engine)] == [None, MIDNIGHT]


def test_a_column_that_the_code_no_longer_knows_is_kept_and_left_empty(tmp_path, engine):
    lake_of(tmp_path, NOTES).append("notes", notes(1), app="a")
    narrow = replace(NOTES, columns=(NOTES.columns[2], NOTES.columns[0]))
    lake_of(tmp_path, narrow).append("notes", pa.table({"id": [2]}), app="a", seq=1)
    rows = read(lake_of(tmp_path, NOTES), "notes", engine)
    assert [(row["id"], row["said"]) for row in rows] == [(1, "x"), (2, None)]


def test_a_new_required_column_needs_a_migration(tmp_path):
    lake_of(tmp_path, NOTES).append("notes", notes(1), app="a")
    wider = replace(NOTES, columns=(*NOTES.columns, req("more", "string", "new")))
    with pytest.raises(WorkspaceError, match="required column more"):
        lake_of(tmp_path, wider).open("notes")


def test_a_changed_type_needs_a_migration(tmp_path):
    lake_of(tmp_path, NOTES).append("notes", notes(1), app="a")
    other = replace(NOTES, columns=(NOTES.columns[0], col("said", "int64", "text")))
    with pytest.raises(WorkspaceError, match="said of notes is stored as string"):
        lake_of(tmp_path, other).open("notes")


def test_a_table_of_a_newer_release_is_refused(tmp_path):
    lake_of(tmp_path, replace(NOTES, schema_version=3)).append("notes", notes(1), app="a")
    with pytest.raises(SchemaTooNew, match="version 3, this Zhiyin knows 1") as caught:
        lake_of(tmp_path, NOTES).open("notes")
    assert "newer" in caught.value.hint


def _to_numbers(rows):
    return rows.mutate(said=rows.said.length(), n=rows.id)


def _double(rows):
    return rows.mutate(n=rows.n * 2)


NUMBERED = replace(
    NOTES,
    schema_version=3,
    columns=(NOTES.columns[0], col("said", "int64", "length"), NOTES.columns[2]),
)
STEPS = (Migration("notes", 3, _double), Migration("notes", 2, _to_numbers))


def test_migrations_run_in_order_and_keep_exactly_once_marks(tmp_path, engine):
    lake_of(tmp_path, NOTES).append("notes", notes(1, 2, said="abc"), app="a")
    lake = lake_of(tmp_path, NUMBERED, migrations=STEPS)
    expected = [{"id": 1, "said": 3, "n": 2}, {"id": 2, "said": 3, "n": 4}]
    assert read(lake, "notes", engine) == expected
    assert lake.append("notes", pa.table({"id": [1]}), app="a") == 0
    again = lake_of(tmp_path, NUMBERED, migrations=())  # nothing left to do
    assert read(again, "notes", engine) == expected
    with pytest.raises(SchemaTooNew):
        lake_of(tmp_path, NOTES).open("notes")


def test_a_migration_that_was_cut_off_before_its_mark_is_not_run_twice(tmp_path, engine):
    lake_of(tmp_path, NOTES).append("notes", notes(1), app="a")
    lake = lake_of(tmp_path, NUMBERED, migrations=STEPS)
    handle = lake.open("notes")
    assert handle is not None
    assert handle.transaction_version(VERSION_APP) == 3
    handle.alter.set_table_properties({VERSION_KEY: "1"}, raise_if_not_exists=False)
    lake = lake_of(tmp_path, NUMBERED, migrations=STEPS)
    assert read(lake, "notes", engine) == [{"id": 1, "said": 1, "n": 2}]


def test_a_missing_migration_is_named():
    with pytest.raises(WorkspaceError, match="no way to version 2"):
        plan_migrations("notes", stored=1, wanted=3, migrations=STEPS[:1])
    assert plan_migrations("notes", stored=3, wanted=3, migrations=()) == []


@pytest.mark.parametrize("name", ["a[1]", "a%20b"])
def test_a_path_that_delta_takes_for_a_pattern_is_refused(tmp_path, name):
    with pytest.raises(WorkspaceError, match="none of"):
        Lake(tmp_path / name)


def test_a_partitioned_table_below_a_key_value_folder_is_refused(tmp_path, engine):
    lake = Lake(tmp_path / "k=1")
    lake.append("touches", touches(touch(1, MIDNIGHT)), app="a")
    with pytest.raises(WorkspaceError, match="key=value"):
        read(lake, "touches", engine)


@pytest.mark.parametrize("name", ["plain", "特 殊", "a b", "it's", "x*y", "a#b?c"])
def test_folders_may_have_any_name(tmp_path, engine, name):
    lake = Lake(tmp_path / name)
    lake.append("touches", touches(touch(1, MIDNIGHT)), app="a")
    lake.append("touches", touches(touch(2, MIDNIGHT)), app="a", seq=1)
    assert len(read(lake, "touches", engine)) == 2


def test_a_table_without_files_has_its_columns(lake, engine):
    lake.append("touches", touches(touch(1, MIDNIGHT)).slice(0, 0), app="a")
    handle = lake.open("touches")
    assert handle is not None
    rows = engine.from_delta(handle)
    assert rows.columns == TABLES["touches"].names
    assert rows.to_pyarrow().schema.types == arrow_schema(TABLES["touches"]).types


def test_tables_with_unreadable_features_are_refused(lake, engine):
    lake.append("touches", touches(touch(1, MIDNIGHT)), app="a")
    log = sorted(lake.path("touches").glob("_delta_log/*.json"))[0]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if "protocol" in line:
            line["protocol"]["readerFeatures"].append("deletionVectors")
            line["protocol"]["writerFeatures"].append("deletionVectors")
    log.write_text("\n".join(map(json.dumps, lines)))
    handle = DeltaTable(lake.path("touches"))
    with pytest.raises(WorkspaceError, match="deletionVectors"):
        active_files(handle)


def test_rows_given_to_the_engine_are_let_go(engine):
    table = engine.from_arrow(pa.table({"x": [1, 2]}))
    name = table.get_name()
    assert pc.sum(table.to_pyarrow()["x"]).as_py() == 3
    assert name in engine.backend.list_tables()
    del table
    assert name not in engine.backend.list_tables()


def test_reading_survives_a_cleaner_of_temporary_files(lake):
    """A server runs for weeks; /tmp is swept meanwhile."""
    engine = DuckDBEngine(threads=1, memory_bytes=2**29)
    lake.append("touches", touches(touch(1, MIDNIGHT)), app="a")
    assert len(read(lake, "touches", engine)) == 1
    shutil.rmtree(engine._folder)
    assert len(read(lake, "touches", engine)) == 1

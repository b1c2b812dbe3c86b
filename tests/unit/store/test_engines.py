"""Engines are found by name, and Spark finds a Java or says what to install."""

from __future__ import annotations

import subprocess

import pyarrow as pa
import pytest

from zhiyin.app import Workspace
from zhiyin.core.config import FILE_NAME, Settings, SparkSettings, load_settings
from zhiyin.core.config_text import render_settings
from zhiyin.core.errors import ConfigError, MissingExtra, NotFound
from zhiyin.core.extras import load_extra
from zhiyin.store.engines import ENGINES, open_engine
from zhiyin.store.engines.duckdb import process_engine
from zhiyin.store.engines.spark_java import make_java_home


def java(folder, version: str):
    """A `java` that says its version, and otherwise the words that it was started with."""
    path = folder / "bin" / "java"
    path.parent.mkdir(parents=True)
    path.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = -version ] && {{ echo \'openjdk version "{version}"\' >&2; exit; }}\n'
        'for word in "$@"; do echo "<$word>"; done\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return folder


def start(home) -> list[str]:
    """What a Java is started with, by way of `JAVA_HOME`."""
    words = ["-Xmx1g", "--add-modules=jdk.incubator.vector", "a b", "$x"]
    said = subprocess.run(
        [home / "bin" / "java", *words], capture_output=True, text=True, check=True
    )
    return said.stdout.splitlines()


def test_a_fitting_java_is_started_without_the_module_that_small_ones_lack(tmp_path):
    own = java(tmp_path / "own's java", "21.0.2")
    home = make_java_home(tmp_path / "made", {"JAVA_HOME": str(own)})
    assert start(home) == ["<-Xmx1g>", "<a b>", "<$x>"]


def test_the_java_of_the_path_is_taken_where_java_home_is_too_old(tmp_path):
    old, new = java(tmp_path / "old", "11.0.1"), java(tmp_path / "new", "17.0.15")
    path = f"{new / 'bin'}:/usr/bin:/bin"
    home = make_java_home(tmp_path / "made", {"JAVA_HOME": str(old), "PATH": path})
    assert str(new) in (home / "bin" / "java").read_text()
    assert start(home)


def test_an_engine_that_nobody_knows_is_refused_when_a_workspace_is_opened(tmp_path):
    Workspace.create(tmp_path / "shop", Settings(name="shop")).close()
    settings = Settings(name="shop", engine="sparc")
    (tmp_path / "shop" / FILE_NAME).write_text(render_settings(settings), encoding="utf-8")
    with pytest.raises(NotFound, match="no engine is called 'sparc'") as caught:
        Workspace.open(tmp_path / "shop")
    assert "duckdb, spark" in caught.value.hint


def test_duckdb_is_the_engine_of_a_workspace_that_names_none():
    assert open_engine(Settings(name="shop")) is process_engine()
    assert ENGINES.names() == ["duckdb", "spark"]


def test_rows_chosen_twice_from_one_table_are_read_by_their_own_filters():
    """Named, they would be computed once and as a whole: every file of years for two days."""
    engine = process_engine()
    sales = engine.from_arrow(pa.table({"day": [1, 2, 3], "amount": [5, 7, 9]}))
    chosen = sales.filter(sales.amount > 0).select("day")
    days = chosen.filter(chosen.day == 1).union(chosen.filter(chosen.day == 3))
    plan = engine.backend.con.execute(f"EXPLAIN {engine.backend.compile(days)}").fetchall()
    assert "CTE" not in plan[0][1]
    assert sorted(days.to_pyarrow()["day"].to_pylist()) == [1, 3]


def test_a_part_that_is_not_installed_is_named_with_what_installs_it():
    with pytest.raises(MissingExtra) as caught:
        load_extra("pyspark_of_nobody", "spark")
    assert "zhiyin[spark]" in caught.value.hint


def test_settings_of_spark_come_from_the_file_and_the_environment(tmp_path):
    section = SparkSettings(master="local[1]", conf=("spark.a.b=c=d", "spark.e=f"))
    text = render_settings(Settings(name="shop", engine="spark", spark=section))
    (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
    settings = load_settings(tmp_path, {})
    assert settings.spark == section
    assert settings.spark.options == {"spark.a.b": "c=d", "spark.e": "f"}
    changed = {"ZHIYIN_SPARK__CONF": "spark.x=1 spark.y=2", "ZHIYIN_ENGINE": "duckdb"}
    settings = load_settings(tmp_path, changed)
    assert settings.spark.options == {"spark.x": "1", "spark.y": "2"}
    assert (settings.engine, settings.spark.master) == ("duckdb", "local[1]")


@pytest.mark.parametrize("wrong", ["driver_memory=8 GB", "conf=executor.memory=8g", "conf=spark.x"])
def test_wrong_settings_of_spark_are_refused(tmp_path, wrong):
    (tmp_path / FILE_NAME).write_text('name = "shop"', encoding="utf-8")
    name, _, value = wrong.partition("=")
    with pytest.raises(ConfigError, match=f"spark.{name}"):
        load_settings(tmp_path, {f"ZHIYIN_SPARK__{name.upper()}": value})

# pyright: reportMissingImports=false
# (an optional part: type checks run without it too)
"""The Spark session of this process: how it is started, and what makes it add up as DuckDB does."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from pyspark import SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from zhiyin.core.config import SparkSettings, process_environment
from zhiyin.core.errors import ConfigError
from zhiyin.store.engines.spark_java import make_java_home

MEANING = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",  # times in the lake are naive UTC
    "spark.sql.ansi.enabled": "true",  # an overflow is an error, as in DuckDB, not a wrong number
    "spark.sql.storeAssignmentPolicy": "ANSI",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
}
"""What decides over values: set in every session, not the user's to change."""

_GIB = 2**30
_LOG = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
rootLogger.level = off
rootLogger.appenderRef.console.ref = console
logger.gateway.name = org.apache.spark.api.python.PythonGatewayServer
logger.gateway.level = off
"""  # errors reach Python as exceptions; rows must not reach a log
_LOCK = threading.Lock()


def open_session(settings: SparkSettings) -> SparkSession:
    """A session of our own on the Spark of this process, which is started where there is none.

    Where a program has one already (a notebook of a cluster), that is used: of the settings only
    `shuffle_partitions` and what `conf` says of `spark.sql` then count.

    Raises
    ------
    MissingExtra
        If there is no Java that fits.
    ConfigError
        If Spark does not start.
    """
    with _LOCK:  # two threads must not start two
        running = SparkSession.getActiveSession() or SparkContext._active_spark_context
        session = (SparkSession.builder.getOrCreate() if running else _start(settings)).newSession()
    partitions = settings.shuffle_partitions or _default_partitions(settings.master)
    wanted = {
        name: value for name, value in settings.options.items() if name.startswith("spark.sql.")
    }
    if partitions is not None:
        wanted["spark.sql.shuffle.partitions"] = str(partitions)
    for name, value in {**wanted, **MEANING}.items():
        if session.conf.isModifiable(name):
            session.conf.set(name, value)
    return session


def _start(settings: SparkSettings) -> SparkSession:
    folder = Path(tempfile.mkdtemp(prefix="zhiyin-spark-"))
    weakref.finalize(sys.modules[__name__], shutil.rmtree, folder, ignore_errors=True)
    log = folder / "log4j2.properties"
    log.write_text(_LOG, encoding="utf-8")
    conf = {
        "spark.driver.memory": settings.driver_memory or f"{_default_memory() // 2**20}m",
        "spark.driver.maxResultSize": "0",  # bounded by the driver's memory
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.pyspark.python": sys.executable,
    }
    variables = {"LC_ALL": "C.UTF-8", "PYSPARK_PYTHON": sys.executable}
    if settings.master.startswith("local"):
        conf |= {
            "spark.local.dir": str(folder),
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
        }
        variables["SPARK_LOCAL_IP"] = "127.0.0.1"
        del conf["spark.pyspark.python"]
    conf |= settings.options
    own = conf.get("spark.driver.extraJavaOptions", "")
    conf["spark.driver.extraJavaOptions"] = (
        f"-Dlog4j2.configurationFile=file:{log} -Duser.timezone=UTC -Xss8m {own}"
    ).strip()
    variables["JAVA_HOME"] = str(make_java_home(folder / "java", process_environment()))
    builder = SparkSession.builder.master(settings.master).appName("zhiyin")
    for name, value in conf.items():
        builder = builder.config(name, value)
    try:
        with _variables(variables):
            return builder.getOrCreate()
    except PySparkRuntimeError as error:
        raise ConfigError(
            f"Spark does not start with master {settings.master!r}: {error}",
            hint="see [spark] in zhiyin.toml; ZHIYIN_SPARK__MASTER='local[*]' runs it here",
        ) from error


@contextmanager
def _variables(wanted: dict[str, str]) -> Iterator[None]:
    """Set variables of this process, which pyspark hands on to Java, and put them back."""
    before = {name: os.environ.pop(name, None) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _default_memory() -> int:
    """40 % of the machine's memory, 1 to 16 GiB, as DuckDB takes."""
    return min(max(int(psutil.virtual_memory().total * 0.4), _GIB), 16 * _GIB)


def _default_partitions(master: str) -> int | None:
    return 2 * (os.cpu_count() or 2) if master.startswith("local") else None

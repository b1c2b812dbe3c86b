"""One Spark a process of the run, set up for few rows: nothing is compiled, nothing is spread."""

from __future__ import annotations

import pytest

from zhiyin.core.config import SparkSettings
from zhiyin.store.engines.spark import process_engine

QUICK = SparkSettings(
    master="local[1]",
    driver_memory="2g",
    shuffle_partitions=1,
    conf=(
        "spark.sql.adaptive.enabled=false",
        "spark.sql.codegen.wholeStage=false",
        "spark.sql.codegen.factoryMode=NO_CODEGEN",
    ),
)


def pytest_configure(config):
    """pyspark leaves it to the garbage collector to close its sockets to the Java beside it."""
    config.addinivalue_line(
        "filterwarnings", "ignore:unclosed <socket.socket .*'127.0.0.1':ResourceWarning"
    )


@pytest.fixture(scope="session")
def engine():
    """The engine of all tests."""
    return process_engine(QUICK)

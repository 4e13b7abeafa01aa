"""One log on all engines, one form of what comes back, and real data sets."""

from __future__ import annotations

import math
import shutil
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pytest

from behaviorseq.datasets import Dataset, FetchError, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Make = Callable[[pd.DataFrame], Any]


def no_java() -> str:
    """Say why Spark cannot run; nothing where it can."""
    if shutil.which("java") is None:
        return "there is no java: Spark needs Java 17 or newer"
    done = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"java does not run: {done.stderr.strip()}"


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """Start one local Spark for all tests."""
    if reason := no_java():
        pytest.skip(reason)
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    session = (
        sql.SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.adaptive.enabled", "false")
        # Compiling each query takes longer than running it on so few rows.
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        # A short run ends before the second compiler of Java has paid for itself.
        .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        # Times are moments; a zone far from UTC shows where a local time is taken for one.
        .config("spark.sql.session.timeZone", "Asia/Tokyo")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def _arrow(log: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(log, preserve_index=False)


@pytest.fixture(scope="session")
def engines() -> dict[str, Make]:
    """Give the ways to hold a log, but for Spark."""
    connection = duckdb.connect()
    return {
        "pandas": lambda log: log,
        "polars": pl.from_pandas,
        "polars categories": lambda log: pl.from_pandas(log).cast({cs.string(): pl.Categorical}),
        "polars lazy": lambda log: pl.from_pandas(log).lazy(),
        "duckdb": lambda log: connection.from_arrow(_arrow(log)),
    }


@pytest.fixture(scope="session")
def on_spark(spark: Any) -> Make:
    """Give the way to hold a log in Spark."""
    types = {"O": "string", "M": "timestamp", "i": "bigint", "f": "double"}

    def make(log: pd.DataFrame) -> Any:
        kinds = [getattr(dtype, "kind", "O") for dtype in log.dtypes]
        schema = ", ".join(f"`{c}` {types[k]}" for c, k in zip(log, kinds, strict=True))
        rows = [tuple(map(_plain, row)) for row in log.itertuples(index=False)]
        return spark.createDataFrame(rows, schema)

    return make


def _plain(entry: Any) -> Any:
    if pd.isna(entry):
        return None
    if isinstance(entry, pd.Timestamp):
        return entry.tz_localize(UTC).to_pydatetime()
    return entry.item() if isinstance(entry, np.generic) else entry


def _same(entry: Any) -> Any:
    """Write an entry in one way: None where missing, naive UTC, nine digits."""
    if entry is None or entry is pd.NaT or (isinstance(entry, float) and math.isnan(entry)):
        return None
    if isinstance(entry, datetime):
        moment = pd.Timestamp(entry)
        return str(moment.tz_convert(None) if moment.tzinfo else moment)
    if isinstance(entry, float | np.floating):
        return float(f"{entry:.9g}")
    return entry.item() if isinstance(entry, np.generic) else entry


@pytest.fixture(scope="session")
def rows() -> Callable[[Any], list[dict[str, Any]]]:
    """Give a function that makes sorted rows of a frame of any kind."""

    def read(frame: Any) -> list[dict[str, Any]]:
        found = nw.from_native(frame).lazy().collect().rows(named=True)
        plain = [{name: _same(entry) for name, entry in row.items()} for row in found]
        return sorted(plain, key=lambda row: str(sorted(row.items())))

    return read


@pytest.fixture(scope="session")
def real() -> Callable[..., Dataset]:
    """Load a real data set once, or skip the test where its files cannot be had."""
    loaded: dict[tuple[str, str | None], Dataset] = {}

    def get(name: str, item: str | None = None) -> Dataset:
        if (name, item) not in loaded:
            try:
                loaded[name, item] = load(name, item=item)
            except FetchError as error:
                pytest.skip(f"the files of {name} cannot be had here: {error}")
        return loaded[name, item]

    return get

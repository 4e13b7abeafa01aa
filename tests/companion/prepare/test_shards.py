"""Shards hold exactly the log, whichever engine wrote them."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow.fs import FileSystem

from behaviorseq import Sequences, Vocabulary, prepare, read_shards

START = pd.Timestamp("2024-05-01")
ARRAYS = ("items", "offsets", "users", "times", "behaviors", "values")


def make_log(seed: int, n: int, *, n_users: int = 12) -> pd.DataFrame:
    """Make a coded log with ties, missing values, users without events and heavy users."""
    rng = np.random.default_rng(seed)
    seconds = rng.integers(0, 6, size=n)
    value = np.where(rng.random(n) < 0.3, np.nan, rng.choice([0.5, 2, 900], size=n))
    return pd.DataFrame(
        {
            "user_code": (n_users * rng.random(n) ** 3).astype(np.int64),
            "item_code": rng.integers(0, 5, size=n),
            "time": (START + pd.to_timedelta(seconds, unit="s")).astype("datetime64[us]"),
            "behavior": pd.Series(rng.choice(["view", "cart", "käufe"], size=n), dtype="str"),
            "value": value,
            "page": np.arange(n),
        }
    )


def in_memory(log: pd.DataFrame, ties: Any = "stable", **options: Any) -> Sequences:
    """Give the histories that the shards should hold."""
    named = log.rename(columns={"user_code": "user", "item_code": "item"})
    n_users, n_items = log["user_code"].max() + 1, log["item_code"].max() + 1
    return Sequences.from_events(
        named,
        ties=ties,
        user_ids=Vocabulary(np.arange(n_users)),
        item_ids=options.pop("item_ids", Vocabulary(np.arange(n_items))),
        **options,
    )


def assert_same(found: Sequences, expected: Sequences) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    assert found.behavior_names == expected.behavior_names
    assert found.item_ids.ids.tolist() == expected.item_ids.ids.tolist()
    assert len(found.user_ids) == len(expected.user_ids)


def assert_holds(folder: Path, log: pd.DataFrame, n_shards: int) -> None:
    """Check shards against the log: users, balance, order, and each entry."""
    shards = read_shards(folder, ties="item")
    assert_same(shards.in_memory(), in_memory(log, "item"))
    assert 1 <= len(shards) <= n_shards
    users = [
        set(pq.read_table(folder / part.file)["user_code"].to_pylist()) for part in shards.parts
    ]
    assert sum(map(len, users)) == log["user_code"].nunique()  # no user is in two parts
    most = log["user_code"].value_counts().max()
    assert max(part.n_events for part in shards.parts) < len(log) / n_shards + most


@settings(max_examples=8)
@given(
    log=st.builds(make_log, st.integers(0, 2**32), st.integers(1, 60)),
    n_shards=st.integers(1, 7),
)
def test_shards_hold_the_log(engines: Any, log: pd.DataFrame, n_shards: int) -> None:
    written = []
    for engine, make in engines.items():
        with tempfile.TemporaryDirectory() as folder:
            shards = prepare.write_shards(make(log), folder, n_shards=n_shards)
            assert_holds(Path(folder), log, n_shards)
            written.append([(part.first, part.stop, part.n_events) for part in shards.parts])
            assert written[-1] == written[0], engine
            names = [part.file for part in shards.parts]
            assert sorted(path.name for path in Path(folder).iterdir()) == [*names, "shards.json"]


@pytest.mark.parametrize("n_shards", [1, 4])
def test_shards_hold_the_log_on_spark(on_spark: Any, tmp_path: Path, n_shards: int) -> None:
    log = make_log(3, 60)
    shards = prepare.write_shards(on_spark(log), tmp_path / "log", n_shards=n_shards)
    assert_holds(tmp_path / "log", log, n_shards)
    other = prepare.write_shards(log, tmp_path / "pandas", n_shards=n_shards)
    ranges = [[(p.first, p.stop, p.n_events) for p in s.parts] for s in (shards, other)]
    assert ranges[0] == ranges[1]
    assert len(ranges[0]) > 1 or n_shards == 1
    address = (tmp_path / "addressed").as_uri()
    assert_same(
        prepare.write_shards(on_spark(log), address, n_shards=n_shards).in_memory(),
        shards.in_memory(),
    )


@pytest.fixture
def address(spark: Any, tmp_path: Path) -> str:
    """Give a folder an address that only Hadoop's file systems, and so Spark, can follow."""
    name = f"logs{uuid.uuid4().hex}"  # Hadoop remembers what a name stands for
    mounts = spark.sparkContext._jsc.hadoopConfiguration()
    mounts.set(f"fs.viewfs.mounttable.{name}.link./here", tmp_path.as_uri())
    return f"viewfs://{name}/here"


def test_spark_reads_and_writes_by_an_address(
    spark: Any, on_spark: Any, address: str, tmp_path: Path, rows: Any
) -> None:
    log = LOG.rename(columns={"user_code": "user", "item_code": "item"})
    on_spark(log).write.parquet(f"{address}/raw")
    assert (tmp_path / "raw" / "_SUCCESS").exists()
    read = spark.read.parquet(f"{address}/raw")
    assert all(file.startswith(address) for file in read.inputFiles())
    cleaned, report = prepare.clean(read, {"duplicates": {"same": ["user", "item"]}})
    cleaned.write.parquet(f"{address}/clean")
    again = spark.read.parquet(f"{address}/clean")
    assert (
        again.count()
        == report.n_kept
        == len(prepare.drop_duplicates(log, same=["user", "item"])[0])
    )
    assert rows(prepare.sessionise(again)) == rows(prepare.sessionise(cleaned))


def test_an_address_that_pyarrow_cannot_follow_is_refused(tmp_path: Path) -> None:
    for call in (read_shards, lambda a: prepare.write_shards(LOG, a, n_shards=2)):
        with pytest.raises(
            ValueError, match=r"^log://here/x: PyArrow.*log://here/x.*knows file://"
        ):
            call("log://here/x")


def test_spark_is_given_the_address_of_shards_as_it_stands(
    on_spark: Any, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyArrow cannot follow this one, and is shown the folder; Spark has nothing but it."""
    folder, known = f"{address}/shards", FileSystem.from_uri

    class Mounted:
        @staticmethod
        def from_uri(there: str) -> Any:
            return known(there.replace(address, tmp_path.as_uri()))

    monkeypatch.setattr("behaviorseq.shards.FileSystem", Mounted)
    shards = prepare.write_shards(on_spark(LOG), folder, n_shards=2)
    assert shards.folder == folder
    assert_same(
        shards.in_memory(), prepare.write_shards(LOG, tmp_path / "p", n_shards=2).in_memory()
    )


@pytest.mark.parametrize("engine", ["pandas", "polars", "polars lazy"])
def test_rows_of_a_dataframe_keep_the_order_of_ties(
    engines: Any, tmp_path: Path, engine: str
) -> None:
    log = make_log(5, 2_000)
    shards = prepare.write_shards(engines[engine](log), tmp_path, n_shards=3)
    assert_same(shards.in_memory(), in_memory(log))


def test_a_lazy_log_is_run_once(tmp_path: Path) -> None:
    runs: list[int] = []

    def counted(log: pl.DataFrame) -> pl.DataFrame:
        runs.append(len(log))
        return log

    lazy = pl.from_pandas(LOG).lazy().map_batches(counted)
    shards = prepare.write_shards(lazy, tmp_path, n_shards=4)
    assert sum(runs) == len(LOG)
    assert_same(shards.in_memory(), in_memory(LOG))


def test_positions_and_a_log_without_more(engines: Any, tmp_path: Path) -> None:
    log = make_log(2, 50)[["user_code", "item_code"]].assign(time=np.arange(50)[::-1])
    for engine, make in engines.items():
        shards = prepare.write_shards(make(log), tmp_path / engine, n_shards=2)
        assert_same(shards.in_memory(), in_memory(log))
        assert shards.times == "int64"
        assert shards.behavior_names == ()


@pytest.mark.parametrize("ids", [["a", "b", "ü", "d", "e"], [10, 20, 30, 40, 50]])
def test_identifiers_of_items_are_kept(tmp_path: Path, ids: list[Any]) -> None:
    log = make_log(2, 50).assign(item=lambda log: np.array(ids)[log["item_code"]])
    codes = prepare.fit_codes(log, "item")
    coded = codes.apply(log, name="code")
    vocabulary = codes.vocabulary()
    shards = prepare.write_shards(coded, tmp_path, n_shards=2, item="code", item_ids=vocabulary)
    assert shards.item_ids.ids.tolist() == sorted(ids)
    held = shards.in_memory()
    ordered = log.sort_values(["user_code", "time"], kind="stable")["item"]
    assert held.item_ids.decode(held.items).tolist() == ordered.tolist()


def test_a_categorical_behavior_and_a_nullable_code(tmp_path: Path) -> None:
    log = make_log(2, 50)
    odd = log.assign(
        behavior=log["behavior"].astype("category"), user_code=log["user_code"].astype("Int64")
    )
    shards = prepare.write_shards(odd, tmp_path, n_shards=2)
    assert_same(shards.in_memory(), in_memory(log))


LOG = make_log(0, 40)
FAULTS: dict[str, tuple[pd.DataFrame, dict[str, Any], str]] = {
    "no codes": (LOG.rename(columns={"user_code": "user"}), {}, "no column `user_code`"),
    "text": (LOG.assign(item_code="a"), {}, r"`item_code` has type String.*fit_codes"),
    "unknown": (LOG.assign(item_code=LOG["item_code"] - 1), {}, r"`item_code`: \d+ of 40 .*drop"),
    "beyond": (
        LOG,
        {"item_ids": Vocabulary(np.arange(2))},
        r"`item_code`: \d+ of 40 .*not one of 0 to 1",
    ),
    "no time": (LOG.assign(time=LOG["time"].where(LOG.index > 2)), {}, "`time`: 3 of 40 events"),
    "no behavior": (
        LOG.assign(behavior=LOG["behavior"].where(LOG.index > 2)),
        {},
        "`behavior`: 3 of 40 events",
    ),
    "value": (LOG.assign(value="a"), {}, "`value` has type String: it has to be a number"),
    "empty": (LOG.iloc[:0], {}, "the event log is empty"),
    "none": (LOG, {"n_shards": 0}, "n_shards must be a whole number of 1 or more"),
    "many": (
        pd.concat([LOG] * 4, ignore_index=True).assign(behavior=[str(i) for i in range(160)]),
        {},
        "more than 127",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("engine", ["pandas", "duckdb"])
def test_faults_are_refused(engines: Any, tmp_path: Path, engine: str, fault: str) -> None:
    log, options, words = FAULTS[fault]
    with pytest.raises(ValueError, match=f"(?s){words}"):
        prepare.write_shards(engines[engine](log), tmp_path, **{"n_shards": 2, **options})
    prepare.write_shards(engines[engine](LOG), tmp_path, n_shards=2)  # nothing is left behind


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    prepare.write_shards(LOG, tmp_path / "log", n_shards=2)
    with pytest.raises(ValueError, match=r"is not empty, it holds part-00000.parquet"):
        prepare.write_shards(LOG, tmp_path / "log", n_shards=2)
    with pytest.raises(ValueError, match="to a local folder alone"):
        prepare.write_shards(LOG, "s3://bucket/log?region=nowhere", n_shards=2)


def test_an_interrupted_write_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("behaviorseq.prepare.shards.write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare.write_shards(LOG, tmp_path, n_shards=2)
    with pytest.raises(ValueError, match="writing was interrupted; if so, delete it"):
        read_shards(tmp_path)
    with pytest.raises(ValueError, match="is not empty"):
        prepare.write_shards(LOG, tmp_path, n_shards=2)


def test_a_log_that_changes_while_it_is_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from behaviorseq.prepare import shards

    narrow = shards._narrow
    monkeypatch.setattr(shards, "_narrow", lambda log: narrow(log.head(3)))
    with pytest.raises(ValueError, match="other rows each time it is run"):
        prepare.write_shards(pl.from_pandas(LOG), tmp_path, n_shards=2)

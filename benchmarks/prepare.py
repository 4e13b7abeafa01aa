"""Time and memory of preparing a log on each engine beside the usual pandas way, by size."""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl

from behaviorseq import features, prepare
from behaviorseq.features.frames import from_table
from measure import LIBRARIES, Measurement, measured, write_result
from sequences import make_log

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (1_000_000, 10_000_000, 30_000_000)
SEED = 0
RUNS = 3
LEAST = 5  # events of a user and of an item, filtered once
GAP = "30min"
MEMORY = "1500MB"  # what DuckDB may hold before it writes to the disk
NOW = "2024-06-01"
STEPS: dict[str, dict[str, Any]] = {
    "ids": {"case": False},
    "clock": {"now": NOW},
    "outliers": {"by": {"value": "behavior"}},
    "missing": {"rules": {"value": ("median", "behavior")}},
    "duplicates": {"within": "5s"},
    "robots": {},
}
COLUMNS = ("user", "item")
CODED = {"user_code": "user", "item_code": "item"}
BEHAVIORS = ("view", "cart", "purchase")
ABOUT = (
    "Seconds (wall clock), processor seconds and peak resident memory (interpreter and libraries "
    "included) from a Parquet file to four: train, validation, test, and features of users. Clean "
    "(identifiers with spaces, impossible times, outliers by median and MAD, missing entries, "
    "duplicates within 5 s, robots), sessionise with a gap of 30 minutes, keep users and items "
    "with 5 events (one round), split by time, encode users and items with the codes of the "
    "training part, and describe the users of the training part (counts, rates, recency, entropy, "
    "amounts). Each run in a fresh process; medians of the runs, largest peak. The log: users and "
    "items as text, heavy-tailed, in no order; 2% duplicates, 1% missing entries in each of item "
    "and value, 0.1% impossible times, 1% outliers, 1% odd spellings, a robot for each 500,000 "
    "events. 'pandas': written the usual way, with groupby and transform. The others: "
    "behaviorseq.prepare and behaviorseq.features. All give the same counts and sums. In DuckDB, "
    "Spark and lazy Polars the cleaned and the filtered log are written to Parquet and read "
    "again, since what is lazy runs whenever it is looked at; DuckDB may hold "
    f"{MEMORY}, Spark's memory is mostly that of its own process and is not counted."
)


def make_broken_log(n: int) -> pd.DataFrame:
    """Make a log of ``n`` events with faults."""
    rng = np.random.default_rng(SEED)
    log = make_log(n - n // 50, "text")
    log = pd.concat([log, log.iloc[rng.integers(len(log), size=n // 50)]], ignore_index=True)
    log["value"] = log["value"].where(rng.random(n) > 0.01, log["value"] * 1_000)
    log["value"] = log["value"].where(rng.random(n) > 0.01)
    log["item"] = log["item"].where(rng.random(n) > 0.01)
    log["time"] = log["time"].where(rng.random(n) > 0.001, pd.Timestamp("1970-01-01"))
    spaced = rng.random(n) < 0.01
    log["user"] = log["user"].mask(spaced, log["user"] + " ")
    log = pd.concat([log, *(_robot(i) for i in range(max(1, n // 500_000)))], ignore_index=True)
    return log.take(rng.permutation(len(log))).reset_index(drop=True)


def _robot(number: int) -> pd.DataFrame:
    """Make the events of a program: one item every two seconds."""
    times = pd.date_range("2023-05-01", periods=500, freq="2s").astype("datetime64[us]")
    items = [f"item-{(number + i) % 300}" for i in range(500)]
    robot = {"user": f"robot-{number}", "item": items, "time": times, "behavior": "view"}
    return pd.DataFrame(robot | {"value": 1.0 + np.arange(500) % 7})


def usual_pandas(path: Path, folder: Path) -> dict[str, int]:
    """Prepare a log with pandas as it is usually written."""
    log = pd.read_parquet(path)
    for name in COLUMNS:
        log[name] = log[name].str.strip()
    log = log[(log["time"] <= pd.Timestamp(NOW)) & (log["time"] >= pd.Timestamp("1990-01-01"))]
    size = np.log(log["value"].where(log["value"] > 0))
    groups = log["behavior"]
    far = (size - size.groupby(groups).transform("median")).abs()
    spread = 1.4826 * far.groupby(groups).transform("median")
    log = log.assign(value=log["value"].mask((far > 3.5 * spread.clip(lower=0.25)).fillna(False)))
    log = log.dropna(subset=["user", "item", "time", "behavior"])
    median = log.groupby("behavior")["value"].transform("median")
    log = log.assign(value=log["value"].fillna(median))
    log = log.sort_values("time", kind="stable")
    previous = log.groupby(["user", "item", "behavior", "value"])["time"].shift()
    log = log[~(log["time"] - previous <= pd.Timedelta("5s"))]
    log = log[~log["user"].isin(usual_robots(log))]
    pause = log.groupby("user")["time"].diff()
    log["session"] = (pause > pd.Timedelta(GAP)).groupby(log["user"]).cumsum()
    log = log[log.groupby("user")["item"].transform("size") >= LEAST]
    log = log[log.groupby("item")["user"].transform("size") >= LEAST]
    times = np.sort(log["time"].to_numpy())
    moments = [times[int(share * len(log))] for share in (0.8, 0.9)]
    train = log[log["time"] < moments[0]]
    parts = {
        "train": train,
        "validation": log[(log["time"] >= moments[0]) & (log["time"] < moments[1])],
        "test": log[log["time"] >= moments[1]],
    }
    codes = {name: {x: i for i, x in enumerate(sorted(train[name].unique()))} for name in COLUMNS}
    for name, part in parts.items():
        coded = {f"{c}_code": part[c].map(codes[c]).fillna(-1).astype("int32") for c in COLUMNS}
        parts[name] = part.assign(**coded)
        parts[name].to_parquet(folder / f"{name}.parquet")
    coded_train = parts["train"].drop(columns=[*COLUMNS]).rename(columns=CODED)
    found = usual_features(coded_train, pd.Timestamp(moments[0]))
    found.to_parquet(folder / "features.parquet")
    return summary(folder)


def usual_robots(log: pd.DataFrame) -> pd.Index:
    """Find users that work like programs, with the limits of ``drop_robots``."""
    users = log.groupby("user")
    pause = users["time"].diff().dt.total_seconds()
    middle = pause.groupby(log["user"]).transform("median")
    near = ((pause - middle).abs() <= 0.1 * middle).groupby(log["user"]).sum()
    n, hours = users.size(), (users["time"].max() - users["time"].min()).dt.total_seconds() / 3600
    commonest = log.groupby(["user", "behavior"]).size().groupby("user").max()
    fast, regular = (n - 1) / hours >= 300, near / (n - 1) >= 0.95
    return n.index[(n >= 100) & fast & regular & (commonest / n >= 0.99)]


def usual_features(train: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    """Describe users as ``user_statistics`` and ``value_statistics`` do."""
    day = pd.Timedelta("1D")
    age = (moment - train["time"]) / day
    log = train.assign(age=age, date=train["time"].dt.floor("D"))
    users = log.groupby("user")
    wide = {"index": "user", "columns": "behavior", "values": "age"}
    counts = log.pivot_table(**wide, aggfunc="size", fill_value=0)
    recent = log[log["age"] <= 7].pivot_table(**wide, aggfunc="size", fill_value=0)
    since = log.pivot_table(**wide, aggfunc="min")
    found = counts[[*BEHAVIORS]].add_prefix("n_")
    found = found.join(recent[[*BEHAVIORS]].add_prefix("recent_")).fillna(0)
    found = found.join(since[[*BEHAVIORS]].add_prefix("days_since_"))
    found["days_since_first"], found["days_since_last"] = users["age"].max(), users["age"].min()
    weeks = found["days_since_first"].clip(lower=1) / 7
    found["purchases_per_week"] = found["n_purchase"] / weeks
    found["active_days"] = users["date"].nunique()
    gap = (users["date"].max() - users["date"].min()) / day
    found["mean_gap"] = gap / (found["active_days"] - 1).where(found["active_days"] > 1)
    share = log.groupby("user")["item"].value_counts(normalize=True)
    found["entropy"] = -(share * np.log2(share)).groupby("user").sum()
    found["value_mean"] = users["value"].mean()
    found["value_deviation"] = users["value"].std(ddof=0)
    return found.reset_index()


def with_prepare(
    log: Any,
    write: Callable[[Any, Path], None],
    read: Callable[[Path], Any] | None,
    folder: Path,
) -> dict[str, int]:
    """Prepare a log with the companion; what is lazy is written down on the way."""

    def stored(frame: Any, name: str) -> Any:
        if read is None and not name.startswith(("train", "validation", "test")):
            return frame
        write(frame, folder / name)
        return frame if read is None else read(folder / name)

    log = stored(prepare.clean(log, STEPS)[0], "clean.parquet")
    log = prepare.sessionise(log, GAP)
    log = stored(prepare.keep_frequent(log, user=LEAST, item=LEAST, rounds=1)[0], "core.parquet")
    split = prepare.split_by_time(log)
    codes = [prepare.fit_codes(split.train, name) for name in COLUMNS]
    parts = {}
    for name in ("train", "validation", "test"):
        parts[name] = getattr(split, name)
        for code in codes:
            parts[name] = code.apply(parts[name], unknown=-1)
        parts[name] = stored(parts[name], f"{name}.parquet")
    train = nw.from_native(parts["train"]).drop(*COLUMNS).rename(CODED).to_native()
    counted = features.user_statistics(train, split.validation_start, behaviors=BEHAVIORS)
    amounts = features.value_statistics(train, split.validation_start)
    joined = from_table(counted).join(from_table(amounts), on="user", how="left")
    write(joined.to_native(), folder / "features.parquet")
    return summary(folder)


def summary(folder: Path) -> dict[str, int]:
    """Sum up what was written, to compare the ways."""
    found = {}
    for name, sums in SUMS.items():
        file = folder / f"{name}.parquet"
        table = f"read_parquet('{file / '*.parquet' if file.is_dir() else file}')"
        query = ", ".join(f"CAST(round({x}) AS BIGINT)" for x in sums)
        row = duckdb.sql(f"SELECT {query} FROM {table}").fetchall()[0]  # noqa: S608  # our own file
        found |= dict(zip((f"{name} {x}" for x in sums), row, strict=True))
    return found


EVENTS = ("count(*)", "sum(session)", "sum(user_code)", "sum(item_code)", "sum(value)")
USERS = ("count(*)", "sum(n_view)", "sum(recent_cart)", "sum(days_since_last)", "sum(entropy)")
USERS += ("sum(active_days)", "sum(mean_gap)", "sum(value_mean)", "sum(value_deviation)")
SUMS = {"train": EVENTS, "validation": EVENTS, "test": EVENTS, "features": USERS}


def pandas(path: Path, folder: Path) -> dict[str, int]:
    """Prepare a pandas log with the companion."""

    def write(frame: pd.DataFrame, to: Path) -> None:
        frame.to_parquet(to)

    return with_prepare(pd.read_parquet(path), write, None, folder)


def polars(path: Path, folder: Path) -> dict[str, int]:
    """Prepare a Polars log in memory with the companion."""
    write = partial(pl.DataFrame.write_parquet, compression="snappy")  # as pandas does
    return with_prepare(pl.read_parquet(path), write, None, folder)


def polars_lazy(path: Path, folder: Path) -> dict[str, int]:
    """Prepare a lazy Polars log with the companion."""
    write = partial(pl.LazyFrame.sink_parquet, compression="snappy")
    return with_prepare(pl.scan_parquet(path), write, pl.scan_parquet, folder)


def in_duckdb(path: Path, folder: Path) -> dict[str, int]:
    """Prepare a log in DuckDB with the companion."""
    connection = duckdb.connect()
    connection.execute(f"SET memory_limit = '{MEMORY}'; SET temp_directory = '{folder}'")
    connection.execute("SET preserve_insertion_order = false; SET enable_progress_bar = false")
    return with_prepare(
        connection.read_parquet(str(path)),
        lambda relation, to: relation.write_parquet(str(to)),
        lambda file: connection.read_parquet(str(file)),
        folder,
    )


def in_spark(path: Path, folder: Path) -> dict[str, int]:
    """Prepare a log in a local Spark with the companion."""
    from pyspark.sql import SparkSession  # needs Java

    builder = SparkSession.builder.master("local[2]").config("spark.driver.memory", "6g")
    builder = builder.config("spark.sql.session.timeZone", "UTC")
    builder = builder.config("spark.sql.shuffle.partitions", "8")
    # Parquet's times without a zone are moments in UTC to it, as everywhere in the package.
    builder = builder.config("spark.sql.parquet.inferTimestampNTZ.enabled", "false")
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return with_prepare(
        spark.read.parquet(str(path)),
        lambda frame, to: frame.write.mode("overwrite").parquet(str(to)),
        lambda file: spark.read.parquet(str(file)),
        folder,
    )


METHODS: dict[str, Callable[[Path, Path], dict[str, int]]] = {
    "pandas": usual_pandas,
    "prepare, pandas": pandas,
    "prepare, Polars": polars,
    "prepare, lazy Polars": polars_lazy,
    "prepare, DuckDB": in_duckdb,
    "prepare, Spark": in_spark,
}


def row(n: int, method: str, got: Measurement) -> dict[str, Any]:
    """Make a row of the table."""
    return {
        "events": n,
        "method": method,
        "kept": sum(got.result[f"{part} count(*)"] for part in ("train", "validation", "test")),
        "seconds": round(got.median_seconds, 2),
        "cpu_seconds": round(got.median_cpu_seconds, 2),
        "slowest_seconds": round(max(got.seconds), 2),
        "peak_mb": round(got.peak_bytes / 1e6),
    }


def main() -> None:
    """Measure, print the table and write it to ``results/prepare.json``."""
    sizes = tuple(map(int, sys.argv[1:])) or SIZES
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        for n in sizes:
            make_broken_log(n).to_parquet(path)
            expected: dict[str, int] = {}
            for method, function in METHODS.items():
                got = measured(function, path, Path(folder), runs=RUNS)
                expected = expected or got.result
                if got.result != expected:
                    raise AssertionError(f"{method}: {got.result} is not {expected}")
                rows.append(row(n, method, got))
                print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    if sizes == SIZES:
        libraries = (*LIBRARIES, "duckdb", "polars")
        print(write_result("prepare", rows, about=ABOUT, seed=SEED, runs=RUNS, libraries=libraries))


if __name__ == "__main__":
    main()

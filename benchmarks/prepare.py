"""Time and memory of preparing a log on each engine beside the usual pandas way, by size."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from behaviorseq import prepare
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
    "clock": {"now": NOW},
    "outliers": {"by": {"value": "behavior"}},
    "missing": {"rules": {"value": ("median", "behavior")}},
    "duplicates": {"within": "5s"},
}
ABOUT = (
    "Seconds (wall clock), processor seconds and peak resident memory (interpreter and libraries "
    "included) from a Parquet file to three Parquet files, train, validation and test: clean "
    "(impossible times, outliers by median and MAD, missing entries, duplicates within 5 s), "
    "sessionise with a gap of 30 minutes, keep users and items with 5 events (one round), split by "
    "time, and encode users and items with the codes of the training part. Each run in a fresh "
    "process; medians of the runs, largest peak. The log: users and items as text, heavy-tailed, "
    "in no order; 2% duplicates, 1% missing entries in each of item and value, 0.1% impossible "
    "times, 1% outliers. 'pandas': written the usual way, with groupby and transform; the same "
    "result. "
    "The others: behaviorseq.prepare. In DuckDB and lazy Polars the cleaned and filtered log is "
    "written to Parquet and read again, since what is lazy runs whenever it is looked at; DuckDB "
    f"may hold {MEMORY}."
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
    return log.take(rng.permutation(n)).reset_index(drop=True)


def usual_pandas(path: Path, folder: Path) -> dict[str, int]:
    """Prepare a log with pandas as it is usually written."""
    log = pd.read_parquet(path)
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
        part.assign(**coded).to_parquet(folder / f"{name}.parquet")
    return summary(folder)


COLUMNS = ("user", "item")


def with_prepare(
    log: Any, write: Callable[[Any, Path], None], read: Callable[[Path], Any], folder: Path
) -> dict[str, int]:
    """Prepare a log with the companion."""
    log, _ = prepare.clean(log, STEPS)
    whole = folder / "clean.parquet"
    write(log, whole)
    log = prepare.sessionise(read(whole), GAP)
    log, _ = prepare.keep_frequent(log, user=LEAST, item=LEAST, rounds=1)
    core = folder / "core.parquet"
    write(log, core)
    split = prepare.split_by_time(read(core))
    codes = [prepare.fit_codes(split.train, name) for name in COLUMNS]
    for name in ("train", "validation", "test"):
        part = getattr(split, name)
        for code in codes:
            part = code.apply(part, unknown=-1)
        write(part, folder / f"{name}.parquet")
    return summary(folder)


def summary(folder: Path) -> dict[str, int]:
    """Sum up what was written, to compare the ways."""
    found = {}
    for name in ("train", "validation", "test"):
        table = f"read_parquet('{folder / name}.parquet')"
        sums = "count(*), sum(session), sum(user_code), sum(item_code), round(sum(value))"
        row = duckdb.sql(f"SELECT {sums} FROM {table}").fetchall()[0]  # noqa: S608  # our own file
        found |= dict(zip((f"{name} {x}" for x in SUMS), map(int, row), strict=True))
    return found


SUMS = ("events", "sessions", "users", "items", "value")


def pandas(path: Path, folder: Path) -> dict[str, int]:
    """Prepare a pandas log with the companion."""
    return with_prepare(pd.read_parquet(path), pd.DataFrame.to_parquet, pd.read_parquet, folder)


def polars(path: Path, folder: Path) -> dict[str, int]:
    """Prepare a Polars log in memory with the companion."""
    return with_prepare(pl.read_parquet(path), pl.DataFrame.write_parquet, pl.read_parquet, folder)


def polars_lazy(path: Path, folder: Path) -> dict[str, int]:
    """Prepare a lazy Polars log with the companion."""
    return with_prepare(pl.scan_parquet(path), pl.LazyFrame.sink_parquet, pl.scan_parquet, folder)


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


METHODS: dict[str, Callable[[Path, Path], dict[str, int]]] = {
    "pandas": usual_pandas,
    "prepare, pandas": pandas,
    "prepare, Polars": polars,
    "prepare, lazy Polars": polars_lazy,
    "prepare, DuckDB": in_duckdb,
}


def row(n: int, method: str, got: Measurement) -> dict[str, Any]:
    """Make a row of the table."""
    return {
        "events": n,
        "method": method,
        "kept": sum(got.result[f"{part} events"] for part in ("train", "validation", "test")),
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

"""Time and memory of ``Sequences.from_events`` beside the usual pandas way, by size of the log."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from behaviorseq import Sequences
from measure import Measurement, measured, write_result

SIZES = (1_000_000, 3_000_000, 10_000_000)
SEED = 0
RUNS = 5
N_ITEMS = 100_000
ABOUT = (
    "Seconds (wall clock), processor seconds and peak resident memory (log, interpreter and "
    "libraries included) to turn a log in memory into histories by user, oldest first, each run in "
    "a fresh process; medians of the runs, largest peak. Log 'shuffled': int64 users and items "
    "without order, datetimes to the second over three years, users and items heavy-tailed, rows "
    "in no order. 'sorted': the same rows by time. 'text': the same, in no order, with identifiers "
    "as text, a behavior and a value. pandas: factorize both identifiers, sort_values('time'), "
    "groupby('user')['item'].agg(list); it carries neither times nor behaviors along."
)


def make_log(n: int, kind: str) -> pd.DataFrame:
    """Make a log of ``n`` events: a few users and items have most of them."""
    generator = np.random.default_rng(SEED)
    users = _drawn(generator, n, generator.pareto(1.1, n // 20) + 1)
    items = _drawn(generator, n, 1 / np.arange(1, N_ITEMS + 1))
    seconds = generator.integers(0, 3 * 365 * 86_400, n)
    if kind == "sorted":
        seconds.sort()
    start = np.datetime64("2021-01-01", "us")
    log = pd.DataFrame({"user": users, "item": items, "time": start + seconds * 1_000_000})
    if kind == "text":
        log["user"] = "user-" + log["user"].astype(str)
        log["item"] = "item-" + log["item"].astype(str)
        log["behavior"] = np.array(["view", "cart", "purchase"])[generator.integers(0, 3, n)]
        log["value"] = generator.exponential(20, n)
    return log


def _drawn(
    generator: np.random.Generator, n: int, weights: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Draw ``n`` identifiers by weight; identifiers are large and without order."""
    ids = generator.integers(2**40, size=len(weights))
    shares = np.cumsum(weights) / weights.sum()
    return ids[np.searchsorted(shares[:-1], generator.random(n))]


def with_sequences(events: pd.DataFrame) -> tuple[int, int]:
    """Gather histories with the companion; return how many users and items there are."""
    histories = Sequences.from_events(events)
    return len(histories), histories.n_items


def with_pandas(events: pd.DataFrame) -> tuple[int, int]:
    """Gather histories in lists with pandas; return how many users and items there are."""
    lists, n_items = pandas_lists(events)
    return len(lists), n_items


def pandas_lists(events: pd.DataFrame) -> tuple[pd.Series, int]:
    """Give a list of item codes for each user, and the number of items."""
    item, items = pd.factorize(events["item"], sort=True)
    user, _ = pd.factorize(events["user"], sort=True)
    coded = pd.DataFrame({"user": user, "item": item, "time": events["time"]})
    ordered = coded.sort_values("time", kind="stable")
    return ordered.groupby("user")["item"].agg(list), len(items)


def check(events: pd.DataFrame) -> None:
    """Stop unless both ways give the same histories."""
    histories, (lists, _) = Sequences.from_events(events), pandas_lists(events)
    if lists.str.len().tolist() != histories.lengths.tolist():
        raise AssertionError("histories differ in length")
    if not np.array_equal(np.concatenate(lists.to_list()), histories.items):
        raise AssertionError("histories differ")


def load(path: Path) -> tuple[pd.DataFrame]:
    """Read a log into memory: the argument of what is measured."""
    return (pd.read_parquet(path),)


def row(kind: str, n: int, method: str, got: Measurement) -> dict[str, Any]:
    """Make a row of the table."""
    n_users, n_items = got.result
    return {
        "log": kind,
        "events": n,
        "users": n_users,
        "items": n_items,
        "method": method,
        "seconds": round(got.median_seconds, 3),
        "cpu_seconds": round(got.median_cpu_seconds, 3),
        "slowest_seconds": round(max(got.seconds), 3),
        "log_mb": round(got.start_bytes / 1e6),
        "peak_mb": round(got.peak_bytes / 1e6),
    }


def ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare the two ways at the largest size, and the largest size with the smallest."""
    table = pd.DataFrame(rows).set_index(["log", "events", "method"])
    small, large = min(SIZES), max(SIZES)
    compared = []
    for kind in dict.fromkeys(table.index.get_level_values("log")):
        ours, usual = (table.loc[(kind, large, method)] for method in ("Sequences", "pandas"))
        growth = ours["seconds"] / table.loc[(kind, small, "Sequences"), "seconds"]
        compared.append(
            {
                "log": kind,
                "times_faster_than_pandas": round(usual["seconds"] / ours["seconds"], 2),
                "peak_memory_of_pandas": round(usual["peak_mb"] / ours["peak_mb"], 2),
                "time_over_linear": round(growth / (large / small), 2),
            }
        )
    return compared


def main() -> None:
    """Measure, print the table and write it to ``results/sequences.json``."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        for kind in ("shuffled", "sorted", "text"):
            check(make_log(100_000, kind))
            for n in SIZES:
                make_log(n, kind).to_parquet(path)
                for method, function in (("Sequences", with_sequences), ("pandas", with_pandas)):
                    got = measured(function, path, prepare=load, runs=RUNS)
                    rows.append(row(kind, n, method, got))
                    print(rows[-1], flush=True)
    print(pd.DataFrame(rows).to_string(index=False))
    compared = ratios(rows)
    print(f"\nAt {max(SIZES):,} events:\n{pd.DataFrame(compared).to_string(index=False)}")
    print(write_result("sequences", rows, about=ABOUT, seed=SEED, runs=RUNS, ratios=compared).name)


if __name__ == "__main__":
    main()

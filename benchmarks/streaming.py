"""Memory and time of a training epoch from sharded Parquet beside one from memory, by size."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd

from behaviorseq import GRU4Rec, Sequences, Shards, Vocabulary, prepare, read_shards
from behaviorseq.training import SampledSoftmax, Training
from measure import LIBRARIES, Measurement, measured, write_result

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (1_000_000, 10_000_000)
SEED = 0
RUNS = 1
N_ITEMS = 50_000
EVENTS = 100  # of a user, on average
PART = 500_000  # events of a part, on average
MEMORY = "500MB"  # what DuckDB may hold before it writes to the disk
TRAINING = Training(epochs=1, batch_size=512, windows="last", seed=SEED, device="cpu")
LENGTH = 20  # events of a history that are trained, its last ones
ABOUT = (
    "Seconds (wall clock), processor seconds and resident memory at its peak and before, with "
    "interpreter and libraries, of one step each in a fresh process, one run. 'write': from a "
    f"Parquet file in no order to shards of {PART:,} events with DuckDB, which may hold {MEMORY}. "
    "'in memory': read that file with pandas, make Sequences of it, and train a GRU4Rec of width "
    f"8 (the last {LENGTH} inputs of each history, so that the run is short; sampled softmax with "
    "64 negatives) for one epoch on the CPU. "
    "'streamed': the same network from the shards, two parts held at a time, and the pass that "
    f"counts items before. The log: {EVENTS} events a user on average, heavy-tailed, {N_ITEMS:,} "
    "items by Zipf's law, independent of each other, so that nothing but their frequencies can "
    "be learned."
)


def write_log(n: int, path: Path) -> None:
    """Write a log of ``n`` events with codes, in no order."""
    rng = np.random.default_rng(SEED)
    shares = np.cumsum(1 / np.arange(1, N_ITEMS + 1))
    weights = rng.pareto(2, n // EVENTS) + 1
    log = pd.DataFrame(
        {
            "user_code": rng.choice(len(weights), size=n, p=weights / weights.sum()),
            "item_code": np.searchsorted(shares[:-1] / shares[-1], rng.random(n)),
            "time": np.datetime64("2024-01-01", "us") + rng.integers(0, 10**12, size=n) * 10,
        }
    )
    log.astype({"user_code": "int32", "item_code": "int32"}).to_parquet(path)


def write(path: Path, folder: Path, n: int) -> dict[str, Any]:
    """Write shards with DuckDB."""
    connection = duckdb.connect()
    connection.execute(f"SET memory_limit = '{MEMORY}'; SET enable_progress_bar = false")
    connection.execute(f"SET temp_directory = '{folder}.spill'")
    log = connection.read_parquet(str(path))
    shards = prepare.write_shards(
        log, folder, n_shards=n // PART, item_ids=Vocabulary(np.arange(N_ITEMS))
    )
    return {"parts": len(shards)}


def train(histories: Sequences | Shards) -> dict[str, Any]:
    """Train for one epoch."""
    loss = SampledSoftmax(negatives=64)
    model = GRU4Rec(width=8, length=LENGTH, dropout=0, loss=loss, training=TRAINING)
    model.fit(histories)
    return {"loss": round(float(model.history["loss"].iloc[-1]), 3)}


def in_memory(path: Path, folder: Path, n: int) -> dict[str, Any]:
    """Train on a log that is read whole."""
    log = pd.read_parquet(path).rename(columns={"user_code": "user", "item_code": "item"})
    histories = Sequences.from_events(log, item_ids=Vocabulary(np.arange(N_ITEMS)))
    del log
    return train(histories)


def streamed(path: Path, folder: Path, n: int) -> dict[str, Any]:
    """Train from the shards."""
    return train(read_shards(folder))


METHODS: dict[str, Callable[[Path, Path, int], dict[str, Any]]] = {
    "write": write,
    "in memory": in_memory,
    "streamed": streamed,
}


def row(n: int, method: str, got: Measurement) -> dict[str, Any]:
    """Make a row of the table."""
    return {
        "events": n,
        "method": method,
        "parts": got.result.get("parts"),
        "loss": got.result.get("loss"),
        "seconds": round(got.median_seconds, 2),
        "cpu_seconds": round(got.median_cpu_seconds, 2),
        "peak_mb": round(got.peak_bytes / 1e6),
        "start_mb": round(got.start_bytes / 1e6),
    }


def main() -> None:
    """Measure, print the table and write it to ``results/streaming.json``."""
    sizes = tuple(map(int, sys.argv[1:])) or SIZES
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        for n in sizes:
            write_log(n, path)
            for method, function in METHODS.items():
                got = measured(function, path, Path(folder) / f"shards-{n}", n, runs=RUNS)
                rows.append(row(n, method, got))
                print(rows[-1], flush=True)
    print(pd.DataFrame(rows).to_string(index=False))
    if sizes == SIZES:
        libraries = (*LIBRARIES, "duckdb", "torch")
        print(write_result("streaming", rows, about=ABOUT, seed=SEED, libraries=libraries))


if __name__ == "__main__":
    main()

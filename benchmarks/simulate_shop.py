"""Time and memory of the simulated shop by the size of its log."""

from __future__ import annotations

from typing import Any

import pandas as pd

from behaviorseq import simulate, validate
from measure import Measurement, measured, write_result

#: Users that make about 1, 3 and 10 million events in 90 days.
USERS = (1_700, 5_100, 17_000)
N_ITEMS = 10_000
DAYS = 90
SEED = 0
RUNS = 3
CHUNK_USERS = 2_048
ABOUT = (
    "Seconds (wall clock), processor seconds and peak resident memory (interpreter and libraries "
    "included) to make the event log of simulate.world('shop') with 10,000 items over 90 days, "
    "each run in a fresh process; medians of the runs, largest peak. 'log': the whole log as one "
    "dataframe, with one thread or two. 'chunks': the log of 2,048 users at a time, each counted "
    "and dropped. The catalogue is made within the measurement."
)


def whole_log(n_users: int, workers: int) -> int:
    """Make a log; return its number of events."""
    return len(_shop(n_users).log(workers=workers).events)


def in_chunks(n_users: int) -> int:
    """Make a log in chunks; return its number of events."""
    return sum(len(chunk) for chunk in _shop(n_users).chunks(CHUNK_USERS))


def _shop(n_users: int) -> Any:
    return simulate.world("shop", n_users=n_users, n_items=N_ITEMS, days=DAYS, seed=SEED)


def row(n_users: int, method: str, workers: int, got: Measurement) -> dict[str, Any]:
    """Make a row of the table."""
    return {
        "users": n_users,
        "events": got.result,
        "method": method,
        "workers": workers,
        "seconds": round(got.median_seconds, 2),
        "cpu_seconds": round(got.median_cpu_seconds, 2),
        "slowest_seconds": round(max(got.seconds), 2),
        "peak_mb": round(got.peak_bytes / 1e6),
    }


def ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare processor time per event of the largest log with that of the smallest."""
    table = pd.DataFrame(rows)
    compared = []
    for (method, workers), group in table.groupby(["method", "workers"], sort=False):
        per_event = (group["cpu_seconds"] / group["events"]).to_numpy()
        compared.append(
            {
                "method": method,
                "workers": workers,
                "time_over_linear": round(float(per_event[-1] / per_event[0]), 2),
                "events_a_second": round(group["events"].iloc[-1] / group["seconds"].iloc[-1]),
            }
        )
    return compared


def main() -> None:
    """Measure, print the table and write it to ``results/simulate_shop.json``."""
    print(validate(_shop(500).log().events))
    rows = []
    for n_users in USERS:
        for method, workers in (("log", 1), ("log", 2), ("chunks", 1)):
            function = whole_log if method == "log" else in_chunks
            arguments = (n_users, workers) if method == "log" else (n_users,)
            rows.append(row(n_users, method, workers, measured(function, *arguments, runs=RUNS)))
            print(rows[-1], flush=True)
    print(pd.DataFrame(rows).to_string(index=False))
    compared = ratios(rows)
    print(pd.DataFrame(compared).to_string(index=False))
    path = write_result("simulate_shop", rows, about=ABOUT, seed=SEED, runs=RUNS, ratios=compared)
    print(path.name)


if __name__ == "__main__":
    main()

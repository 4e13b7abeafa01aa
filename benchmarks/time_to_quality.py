"""Seconds of training until a quality: our SASRec beside those of RecBole and RecTools.

Run ``python benchmarks/time_to_quality.py``: our runs on Amazon Beauty, some twenty minutes of two
quiet cores. ``--recbole PYTHON`` and ``--rectools PYTHON`` name the Pythons of environments of
their own in which these libraries are, and run them too, each for at most ``--peer-seconds`` of
training:

- ``pip install torch recbole==1.2.1 numpy==1.26.4 pandas==2.3.3 'scipy<1.16' 'setuptools<81'``
- ``pip install torch 'rectools[torch]==0.19.0'``

A run that is done is stored and a later command goes on from there; one that was stopped starts
again. ``--again`` forgets the runs that are named by ``--only``, all of ours where none is.

Protocol: Amazon Beauty, S3-Rec's file; each user's last item is the test target, the last but one
the validation target; all items are ranked, those of the history left out. Each run trains in a
process of its own with as many threads as ``threads`` says; after each epoch NDCG@10 is measured on
all validation and all test targets. 'seconds' and 'cpu_seconds' are those of training until then;
evaluation does not count. Ours hold everything that ``fit`` does, the item vectors it starts from
included; those of the peers hold their training epochs alone. The settings of ours were chosen on
the validation targets of every n-th user, some 5,000 of them, with seed 0, in runs that did not
look at test targets ('tried'): those of the fewest processor seconds until validation NDCG@10 is
0.05, which is what RecBole's SASRec ends with. The peers have width 64, two layers, two heads,
length 50, and their own defaults otherwise; RecBole's batch is 256. A level is reached at the end
of the first epoch whose validation is not below it: seconds are of whole epochs. 'load' is the mean
number of waiting processes in the last minute, before and after a run: above the number of threads,
others were at work, 'seconds' are too many, and 'cpu_seconds' tell more.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from behaviorseq import (
    Holdout,
    SampledSoftmax,
    SASRec,
    Sequences,
    Split,
    Training,
    evaluate,
    leave_one_out,
    load,
)
from behaviorseq.features import cooccurrence_graph, graph_vectors
from behaviorseq.machine import machine
from measure import LIBRARIES, RESULTS, measured, write_result

NAME, DATA, METRIC = "time_to_quality", "amazon-beauty", "NDCG@10"
PEER = Path(__file__).with_name("time_to_quality_peer.py")
LEVELS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06)  # of validation
CHOOSE_AT, VALIDATE_ON = 0.05, 5000
GOALS = {0.0318: 90, 0.0405: 215}  # test quality, and the seconds in which it is to be reached
STEPS, DECAY = 10, 0.5  # items so many events apart go together, the less the farther


def sasrec(epochs: int, **options: Any) -> SASRec:
    """Make our model; the schedule falls to 0 with the last epoch."""
    training = Training(
        epochs=epochs,
        batch_size=options.pop("batch", 128),
        learning_rate=options.pop("rate", 3e-3),
        weight_decay=0.1,
        schedule="cosine",
        warmup=0.05,
        patience=epochs,
    )
    settings = {"width": 128, "dropout": 0.5, "loss": SampledSoftmax(512, correct=False)} | options
    return SASRec(training=training, **settings)


# Whether item vectors start from co-occurrence, and the model; the fastest of them is chosen.
CANDIDATES: list[tuple[bool, SASRec]] = [
    (False, sasrec(3)),
    *((True, sasrec(3, rate=rate)) for rate in (1e-3, 3e-3)),
    *((True, sasrec(3, layers=1, rate=rate)) for rate in (1e-3, 3e-3)),
    (True, sasrec(3, layers=1, width=64)),
    (True, sasrec(3, layers=1, batch=256)),
]
# Runs that go on until quality no longer rises, to say what the fast start costs in the end.
LONG = {
    "ours, long": (True, sasrec(20)),
    "ours, long, drawn start": (False, sasrec(40)),
}


def prepared(*arguments: Any) -> tuple[Any, ...]:
    """Make the arguments of ``trained`` in a fresh process."""
    threads, *others = arguments
    torch.set_num_threads(threads)
    return leave_one_out(Sequences.from_events(load(DATA).events)), *others


def clocks() -> np.ndarray:
    """Read the clock of the wall and that of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def trained(split: Split, start: bool, model: SASRec, test: bool) -> list[dict[str, float]]:
    """Train, and say after each epoch how long it took and how good the model is."""
    curve: list[dict[str, float]] = []
    held = {"validation": split.validation, "test": split.test}
    if not test:
        held = {"validation": every(split.validation, len(split.validation) // VALIDATE_ON)}
    spent = np.zeros(2)  # seconds, processor seconds
    mark = clocks()

    def validate(model: SASRec) -> float:
        nonlocal spent, mark
        spent = spent + clocks() - mark
        row = {"epoch": len(curve) + 1, "seconds": spent[0], "cpu_seconds": spent[1]}
        for name, part in held.items():
            row[name] = evaluate(model, part, [METRIC]).mean(METRIC)
        curve.append({key: round(float(value), 5) for key, value in row.items()})
        mark = clocks()
        return row["validation"]

    vectors = start_of(split.train, model.width) if start else None
    model.fit(split.train, start=vectors, validate=validate)
    return curve


def every(held: Holdout, n: int) -> Holdout:
    """Take every n-th user."""
    rows = np.arange(0, len(held), max(1, n))
    return Holdout(held.histories.take(rows), held.targets.take(rows))


def start_of(train: Sequences, width: int) -> np.ndarray:
    """Give the item vectors that training starts from."""
    return graph_vectors(cooccurrence_graph(train, DECAY ** np.arange(STEPS)), width)


def reached(curve: list[dict[str, float]], level: float, by: str = "validation") -> int | None:
    """Give the place in a curve of the first epoch that is as good as a level."""
    return next((i for i, row in enumerate(curve) if row[by] >= level), None)


def until(curve: list[dict[str, float]], level: float, key: str) -> float | None:
    """Give the seconds of training until validation reaches a level."""
    place = reached(curve, level)
    return None if place is None else curve[place][key]


def fastest(tried: list[dict[str, Any]]) -> dict[str, Any]:
    """Choose the run of the fewest processor seconds to the level that counts."""
    times = [until(row["curve"], CHOOSE_AT, "cpu_seconds") for row in tried]
    if all(t is None for t in times):
        raise ValueError(f"none of {len(tried)} settings reaches validation {METRIC} {CHOOSE_AT}")
    return tried[int(np.argmin([np.inf if t is None else t for t in times]))]


def ratios(ours: dict[str, Any], peer: dict[str, Any]) -> list[dict[str, Any]]:
    """Compare two runs at each level that both reach, and at the best of the peer."""
    best = max(row["validation"] for row in peer["curve"])
    rows = []
    for level in (*LEVELS, best):
        row: dict[str, Any] = {"peer": peer["who"], "threads": peer["threads"]}
        row["validation"] = level
        for key in ("seconds", "cpu_seconds"):
            own, other = (until(run["curve"], level, key) for run in (ours, peer))
            if own is None or other is None:
                break
            row |= {key: own, f"peer_{key}": other, f"{key}_ratio": round(other / own, 1)}
        else:
            rows.append(row)
    return rows


class Results:
    """What is stored: settings that were tried, and runs."""

    def __init__(self) -> None:
        self.read()

    def read(self) -> None:
        """Read the file."""
        path = RESULTS / f"{NAME}.json"
        stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.tried: list[dict[str, Any]] = stored.get("tried", [])
        self.rows: list[dict[str, Any]] = stored.get("rows", [])

    def forget(self, names: list[str]) -> None:
        """Leave out the runs of some names; with them, for ours, what was tried."""
        self.rows[:] = [row for row in self.rows if row["who"] not in names]
        if "ours" in names:
            self.tried.clear()

    def find(self, part: str, key: dict[str, Any]) -> dict[str, Any] | None:
        """Find a stored run."""
        rows = getattr(self, part)
        return next((row for row in rows if all(row.get(k) == v for k, v in key.items())), None)

    def ours(
        self, who: str, start: bool, model: SASRec, threads: int, *, test: bool
    ) -> dict[str, Any]:
        """Train ours in a fresh process, unless that is stored."""
        part = "rows" if test else "tried"
        key = {"who": who, "start": start, "settings": repr(model), "threads": threads}
        key["seed"] = model.training.seed
        if (found := self.find(part, key)) is None:
            before = os.getloadavg()[0]
            outcome = measured(trained, threads, start, model, test, prepare=prepared, runs=1)
            found = key | {"curve": outcome.result, "peak_mb": round(outcome.peak_bytes / 1e6)}
            found = self.add(part, found, before)
        return found

    def peer(self, who: str, python: str, threads: int, limit: float) -> dict[str, Any]:
        """Let another library train in its own environment, unless that is stored."""
        key = {"who": who, "threads": threads, "seed": 0, "limit": limit}
        if (found := self.find("rows", key)) is None:
            before = os.getloadavg()[0]
            found = self.add("rows", key | run_peer(who, python, threads, limit), before)
        return found

    def add(self, part: str, row: dict[str, Any], before: float) -> dict[str, Any]:
        """Store a run beside what there is, which another process may have added to."""
        load_average = [round(load, 2) for load in (before, os.getloadavg()[0])]
        row |= {"load": load_average, "processor": machine()["processor"]}
        print(described(row), flush=True)
        self.read()
        getattr(self, part).append(row)
        self.save()
        return row

    def save(self) -> None:
        """Write all there is, and the ratios."""
        write_result(
            NAME,
            self.rows,
            about=" ".join(__doc__.partition("Protocol: ")[2].split()),
            libraries=[*LIBRARIES, "torch"],
            data={file.name: file.sha256 for file in load(DATA).source.files},
            goals=[{"test": level, "seconds": limit} for level, limit in GOALS.items()],
            tried=self.tried,
            ratios=self.ratios(),
        )

    def ratios(self) -> list[dict[str, Any]]:
        """Compare each peer with our run of as many threads."""
        found = []
        for peer in (row for row in self.rows if "limit" in row):
            key = {"who": "ours", "seed": 0, "threads": peer["threads"]}
            if ours := self.find("rows", key):
                found += ratios(ours, peer)
        return found


def run_peer(who: str, python: str, threads: int, limit: float) -> dict[str, Any]:
    """Run the child process; give its curve, and what it says of itself."""
    histories = Sequences.from_events(load(DATA).events)
    with tempfile.TemporaryDirectory() as folder:
        log, curve = Path(folder) / "log.npz", Path(folder) / "curve.jsonl"
        arrays = {"items": histories.items, "offsets": histories.offsets}
        np.savez(log, n_items=histories.n_items, **arrays)
        command = [python, str(PEER), who, str(log), str(curve)]
        options = {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": ""}
        subprocess.run(
            [*command, "--threads", str(threads), "--seconds", str(limit)],
            env=os.environ | options,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        about, *rows = map(json.loads, curve.read_text(encoding="ascii").splitlines())
    return about | {"curve": rows}


def described(row: dict[str, Any]) -> str:
    """Say in a line how a run went."""
    best = max(row["curve"], key=lambda point: point["validation"])
    text = f"{row['who']}, seed {row['seed']}: validation {best['validation']:.4f}"
    text += f" after {best['seconds']:.0f} s ({best['cpu_seconds']:.0f} CPU s)"
    return text + (f", test {best['test']:.4f}" if "test" in best else "")


def report(results: Results) -> None:
    """Print how long the goals took, and the ratios."""
    for row in results.rows:
        for level, limit in GOALS.items():
            place = reached(row["curve"], level, by="test")
            if place is not None:
                point = row["curve"][place]
                print(
                    f"{row['who']}, seed {row['seed']}: test {level} after {point['seconds']:.0f} s"
                    f" ({point['cpu_seconds']:.0f} CPU s; goal {limit} s)"
                )
    for row in results.ratios():
        print(
            f"validation {row['validation']:.4f}: {row['seconds']:.0f} s, {row['peer']} "
            f"{row['peer_seconds']:.0f} s, {row['seconds_ratio']} times "
            f"(CPU {row['cpu_seconds_ratio']} times), threads {row['threads']}"
        )


def main() -> None:
    """Choose the settings, run ours and the peers that are named, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = ["ours", *LONG, "recbole", "rectools"]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--recbole", metavar="PYTHON", help="where RecBole is installed")
    parser.add_argument("--rectools", metavar="PYTHON", help="where RecTools is installed")
    parser.add_argument("--peer-seconds", type=float, default=1500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="forget what is stored of them")
    given = parser.parse_args()
    results = Results()
    if given.again:
        named = given.only if given.only != names else ["ours", *LONG]
        results.forget(named)
        results.save()
    if "ours" in given.only:
        tried = [
            results.ours("ours", start, model, given.threads, test=False)
            for start, model in CANDIDATES
        ]
        start, model = CANDIDATES[tried.index(fastest(tried))]
        for seed in range(given.seeds):
            seeded = replace(model, training=replace(model.training, seed=seed))
            results.ours("ours", start, seeded, given.threads, test=True)
    for who, (start, model) in LONG.items():
        if who in given.only:
            results.ours(who, start, model, given.threads, test=True)
    for who in ("recbole", "rectools"):
        if who in given.only and (python := getattr(given, who)):
            results.peer(who, python, given.threads, given.peer_seconds)
    results.save()
    report(results)


if __name__ == "__main__":
    sys.exit(main())

"""How well a Transformer predicts the next item, by its size and by the number of users it saw.

Run ``python benchmarks/scaling.py``; it takes some ten minutes of one core, keeps each run
in ``_build/benchmarks/scaling.jsonl`` and goes on from there. The data comes from a folder named
by ``BEHAVIORSEQ_DATA`` or is downloaded.

Protocol: users are dealt out at random, 70% to learn from, 10% for validation, 20% for the test; of
each of the latter up to ten last events are targets, each with the history before it. All items are
ranked; in the shop, where people click the same again, seen items stay in. Cross-entropy is in
nats, over the same items; each measure is a mean over users of the mean over their targets. SASRec,
2 layers, 2 heads, the last 50 events, full softmax, batches of 32 windows, Adam, at most 80 epochs,
stopped 3 epochs (MovieLens: 8, since its loss may rest before it falls on) after the best cross-
entropy on validation, the best epoch kept. Of two dropouts (none, and 0.3, at learning rate 0.01)
each point takes the better on validation with seed 0, (on MovieLens 0.3 from width 16 on, since it
wins at widths 4 and 8 already), and is run with two more seeds, which also deal the users and, in
the shop, make the world. Intervals are over users of all seeds. 'parameters': widths differ, all
training users. 'users': width 32, the first of the training users. 'train': the same measure on as
many training users as there are test users. MovieLens 100K: the last 60 ratings of each user, so
films rated before those are not left out of a ranking; its times are those at which ratings were
typed in, and most of them are tied; the order of ties is random.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from behaviorseq import (
    FullSoftmax,
    Oracle,
    Popularity,
    SASRec,
    Sequences,
    Training,
    bootstrap_interval,
    cross_entropy,
    evaluate,
    fit_scaling_curve,
    load,
    prefixes,
    simulate,
    user_groups,
)
from behaviorseq.split import Holdout
from measure import LIBRARIES, write_result

WIDTH = 32  # where the number of users differs
SETTINGS = ((0.01, 0.0), (0.01, 0.3))  # learning rate, dropout
SHOP = {"n_users": 800, "n_items": 500, "days": 60}
REAL = "movielens-100k"
WIDTHS = {"shop": (4, 8, 16, 32, 64), REAL: (4, 8, 16, 32)}
SHARES = {"shop": (1 / 16, 1 / 8, 1 / 4, 1 / 2), REAL: (1 / 8, 1 / 4, 1 / 2)}
SEEDS = (0, 1, 2)
PATIENCE = {"shop": 3, REAL: 8}  # MovieLens rests for some epochs before it gets better
KEPT = Path(__file__).parents[1] / "_build" / "benchmarks" / "scaling.jsonl"


@dataclass(frozen=True)
class Run:
    """One model to be trained."""

    data: str
    curve: str
    width: int
    share: float
    seed: int
    learning_rate: float
    dropout: float


@dataclass(frozen=True)
class Groups:
    """What there is to learn from and to predict."""

    train: Sequences
    known: Holdout  # of users who are in the training set
    validation: Holdout
    test: Holdout
    exclude_seen: bool
    truth: Any = None


@cache
def groups(data: str, seed: int) -> Groups:
    """Make or load a log and deal out its users."""
    if data == REAL:
        world, ratings = None, Sequences.from_events(load(data).events, ties="random", seed=seed)
        histories = ratings.last(60)
    else:
        world = simulate.world("shop", **SHOP, seed=seed)
        events = world.log().events
        histories = Sequences.from_events(events[events["behavior"] == "click"])
    train, validation, test = user_groups(histories, (0.1, 0.2), seed)
    known = prefixes(train.slice(0, len(test)))
    truth = None if world is None else world.truth
    return Groups(train, known, prefixes(validation), prefixes(test), world is None, truth)


def by_user(values: pd.Series) -> pd.Series:
    """Average the targets of each user."""
    return values.groupby(level=0).mean()


def costs(model: Any, holdout: Holdout, exclude_seen: bool) -> pd.Series:
    """Give the cross-entropy of each user."""
    return by_user(cross_entropy(model, holdout, exclude_seen=exclude_seen))


def trained(run: Run) -> dict[str, Any]:
    """Train one model and judge it."""
    there = groups(run.data, run.seed)
    train = there.train.slice(0, max(1, round(run.share * len(there.train))))
    model = SASRec(
        width=run.width,
        dropout=run.dropout,
        loss=FullSoftmax(),
        training=Training(
            epochs=80,
            batch_size=32,
            learning_rate=run.learning_rate,
            patience=PATIENCE[run.data],
            seed=run.seed,
            device="cpu",
        ),
    )
    start = time.process_time()
    model.fit(train, validate=lambda m: -costs(m, there.validation, there.exclude_seen).mean())
    seconds = time.process_time() - start
    test = costs(model, there.test, there.exclude_seen)
    ranked = evaluate(model, there.test, ["NDCG@10"], exclude_seen=there.exclude_seen)
    best = model.history.loc[model.history["validation"].idxmax()]
    return {
        **vars(run),
        "users": int((train.lengths > 1).sum()),
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "in_item_vectors": model.network.get_parameter("items.weight").numel(),
        "best_epoch": int(best["epoch"]),
        "cpu_s": round(seconds, 1),
        "validation": -float(best["validation"]),
        "train": float(costs(model, there.known, there.exclude_seen).mean()),
        "test_by_user": test.round(4).tolist(),
        "ndcg_by_user": by_user(ranked.per_user["NDCG@10"]).round(4).tolist(),
    }


def points() -> Iterator[tuple[str, str, int, float]]:
    """Give the data, the curve, the width and the share of users of each point."""
    for data in WIDTHS:
        yield from ((data, "parameters", width, 1.0) for width in WIDTHS[data])
        yield from ((data, "users", WIDTH, share) for share in SHARES[data])


class Kept:
    """Runs that are done, on disk as soon as they are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.done = {self._key(row): row for row in map(json.loads, lines)}
        self.seconds = 0.0  # of the runs that were asked for, done now or before

    def __call__(self, run: Run) -> dict[str, Any]:
        """Give the result of a run, done now or before."""
        key = self._key(vars(run))
        if key not in self.done:
            self.done[key] = trained(run)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(self.done[key]) + "\n")
            row = self.done[key]
            print(run, row["best_epoch"], f"{row['cpu_s']} s {row['validation']:.4f}", flush=True)
        self.seconds += self.done[key]["cpu_s"]
        return self.done[key]

    @staticmethod
    def _key(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in Run.__dataclass_fields__)


def chosen(kept: Kept, data: str, curve: str, width: int, share: float) -> list[dict[str, Any]]:
    """Choose the settings of a point on validation; give the chosen run of each seed."""
    first, *others = SEEDS
    settings = SETTINGS if data == "shop" or width <= 8 else SETTINGS[-1:]
    tried = [kept(Run(data, curve, width, share, first, *setting)) for setting in settings]
    best = min(tried, key=lambda row: row["validation"])
    run = Run(**{name: best[name] for name in Run.__dataclass_fields__})
    return [best, *(kept(replace(run, seed=seed)) for seed in others)]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Make a row of the table from the runs of a point."""
    first = rows[0]
    names = ("data", "curve", "width", "share", "learning_rate", "dropout")
    table: dict[str, Any] = {name: first[name] for name in names}
    for name in ("users", "parameters", "in_item_vectors", "best_epoch", "cpu_s"):
        table[name] = round(float(np.mean([row[name] for row in rows])), 1)
    for name in ("validation", "train"):
        table[name] = round(float(np.mean([row[name] for row in rows])), 4)
    if first["share"] < 1:
        table["train"] = None  # some of those users were not learned from
    for name in ("test", "ndcg"):
        each = [row[f"{name}_by_user"] for row in rows]
        value, low, high = bootstrap_interval(np.concatenate(each))
        table |= {
            name: round(value, 4),
            f"{name}_low": round(low, 4),
            f"{name}_high": round(high, 4),
        }
        table[f"{name}_by_seed"] = [round(float(np.mean(values)), 4) for values in each]
    return table


def fitted(curve: str, of_point: list[list[dict[str, Any]]], draws: int = 1000) -> dict[str, Any]:
    """Fit a curve to the points of one data set; intervals by drawing users of each seed again."""
    sizes = [float(np.mean([row[curve] for row in rows])) for rows in of_point]
    seeds = [
        np.array([rows[s]["test_by_user"] for rows in of_point]) for s in range(len(of_point[0]))
    ]
    whole = fit_scaling_curve(sizes, np.mean([each.mean(axis=1) for each in seeds], axis=0))
    plain = fit_scaling_curve(
        sizes, np.mean([each.mean(axis=1) for each in seeds], axis=0), floor=0.0
    )
    rng = np.random.default_rng(0)
    again = []
    for _ in range(draws):
        drawn = [each[:, rng.integers(0, each.shape[1], each.shape[1])] for each in seeds]
        losses = np.mean([each.mean(axis=1) for each in drawn], axis=0)
        again.append(fit_scaling_curve(sizes, losses))
    table = {
        "curve": curve,
        "sizes": sizes,
        "error": whole.error,
        "error_without_floor": plain.error,
    }
    for name in ("floor", "excess", "exponent"):
        low, high = np.quantile([getattr(fit, name) for fit in again], [0.025, 0.975])
        table |= {
            name: getattr(whole, name),
            f"{name}_low": float(low),
            f"{name}_high": float(high),
        }
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in table.items()}


def bounds(data: str) -> dict[str, Any]:
    """Measure what is below and above: popularity, and the oracle of the shop."""
    values: dict[str, list[pd.Series]] = {"popularity": [], "oracle": []}
    for seed in SEEDS:
        there = groups(data, seed)
        models = {"popularity": Popularity()}
        if there.truth is not None:
            models["oracle"] = Oracle(there.truth)
        for name, model in models.items():
            model.fit(there.train)
            got = evaluate(model, there.test, ["NDCG@10"], exclude_seen=there.exclude_seen)
            values[name].append(by_user(got.per_user["NDCG@10"]))
    rows: dict[str, Any] = {"data": data}
    for name, each in values.items():
        if each:
            ends = bootstrap_interval(np.concatenate(each))
            rows[f"{name}_ndcg"] = [round(end, 4) for end in ends]
    return rows


def main() -> None:
    """Train what is not yet trained, and write the tables."""
    torch.set_num_threads(1)
    kept = Kept(KEPT)
    runs: dict[tuple[str, str], list[list[dict[str, Any]]]] = {}
    for data, curve, width, share in points():
        runs.setdefault((data, curve), []).append(chosen(kept, data, curve, width, share))
    for data in WIDTHS:  # with all users: the point is already on the other curve
        runs[data, "users"].append(runs[data, "parameters"][WIDTHS[data].index(WIDTH)])
    rows = [summary(point) | {"curve": curve} for (_, curve), of in runs.items() for point in of]
    fits = [{"data": data} | fitted(curve, of) for (data, curve), of in runs.items()]
    write_result(
        "scaling",
        rows,
        about=" ".join(__doc__.partition("Protocol: ")[2].split()),
        seed=0,
        libraries=[*LIBRARIES, "torch"],
        seeds=SEEDS,
        shop=SHOP,
        fits=fits,
        bounds=[bounds(data) for data in WIDTHS],
        cpu_minutes=round(kept.seconds / 60, 1),
    )
    print(pd.DataFrame(rows).drop(columns=["in_item_vectors"]).to_string())
    print(pd.DataFrame(fits).drop(columns=["sizes"]).to_string())


if __name__ == "__main__":
    main()

"""Encoders and losses on one log: which of the two choices changes more.

Run ``python benchmarks/transformer_losses.py``; it takes some twenty minutes of one core.
``--patient`` trains only what ``patient`` holds, and leaves the rest as it is stored.

Protocol: simulated shops of one size, the clicks of their logs. Targets are the first click of each
user in the last tenth of the time (test) and in the tenth before (validation); all items are
ranked, those of the history too, since people click the same again. Each family has a grid of
settings, from which NDCG@10 on the validation targets of the shop of seed 0 chooses; no test target
is looked at for that. Then the chosen settings are trained once on each of three shops, seeds 0,
1 and 2, which are worlds of their own, and every figure is a mean over the users of all three.
Networks are judged by validation after each epoch, and the best epoch's weights are kept. ``pairs``
compares families on the same users, sign-flip test and bootstrap interval over users. ``lengths``
are SASRec with full softmax and its chosen settings, trained to read so many last clicks.
``patient`` are three losses of SASRec with their chosen settings again, but with a patience of ten
epochs and sixty at most, since a loss that starts slowly may be stopped too early by three;
``against`` compares each with the first of them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from behaviorseq import (
    GBCE,
    BERT4Rec,
    BinaryCrossEntropy,
    ESASRec,
    FullSoftmax,
    GRU4Rec,
    ItemKNN,
    Popularity,
    Recommender,
    SampledSoftmax,
    SASRec,
    SequenceNetwork,
    Sequences,
    SequentialRules,
    Split,
    Training,
    bootstrap_interval,
    evaluate,
    global_time_split,
    paired_test,
    simulate,
)
from behaviorseq.training.losses import Loss
from measure import LIBRARIES, RESULTS, write_result

ABOUT = __doc__.partition("Protocol: ")[2].strip()
NAME, METRIC, SEEDS = "transformer_losses", "NDCG@10", (0, 1, 2)
SHOP = {"n_users": 1500, "n_items": 800, "days": 60}
EPOCHS, BATCH, PATIENCE, WIDTH, LENGTH = 30, 64, 3, 32, 50
RATES, DROPOUTS = (0.005, 0.01), (0.1, 0.3)
REFERENCE, LENGTHS = "SASRec, softmax", (1, 2, 5, 10, 20, 50)
PATIENT = (REFERENCE, "SASRec, one negative", "SASRec, gBCE")


def networks(kind: type[SequenceNetwork], loss: Loss) -> list[Recommender]:
    """Make a network in every setting of the grid."""
    return [
        kind(
            width=WIDTH,
            length=LENGTH,
            dropout=dropout,
            loss=loss,
            training=Training(
                epochs=EPOCHS, batch_size=BATCH, learning_rate=rate, patience=PATIENCE
            ),
        )
        for rate, dropout in itertools.product(RATES, DROPOUTS)
    ]


FAMILIES: dict[str, list[Recommender]] = {
    "popularity": [Popularity()],
    "item-kNN": [ItemKNN(decay=d) for d in (0.9, 0.7, 0.5, 0.3, 0.1)],
    "sequential rules": [SequentialRules(decay=d) for d in (0.0, 0.3, 0.5, 0.7, 0.8)],
    "GRU4Rec, softmax": networks(GRU4Rec, FullSoftmax()),
    "SASRec, softmax": networks(SASRec, FullSoftmax()),
    "eSASRec, softmax": networks(ESASRec, FullSoftmax()),
    "BERT4Rec, softmax": networks(BERT4Rec, FullSoftmax()),
    "SASRec, one negative": networks(SASRec, BinaryCrossEntropy()),
    "SASRec, gBCE": networks(SASRec, GBCE(16)),
    "SASRec, uniform negatives": networks(SASRec, SampledSoftmax(256)),
    "SASRec, popular negatives, log-Q": networks(SASRec, SampledSoftmax(256, power=1.0)),
    "SASRec, popular negatives": networks(SASRec, SampledSoftmax(256, power=1.0, correct=False)),
    "GRU4Rec, one negative": networks(GRU4Rec, BinaryCrossEntropy()),
}


def shop_split(seed: int) -> Split:
    """Hold out the clicks of a shop by time."""
    log = simulate.world("shop", **SHOP, seed=seed).log().events
    clicks = Sequences.from_events(log[log["behavior"] == "click"])
    return global_time_split(clicks, target="next")


def fitted(model: Recommender, split: Split) -> dict[str, Any]:
    """Fit a model and judge it on validation."""
    start = time.process_time()

    def judged(model: Recommender) -> float:
        return evaluate(model, split.validation, [METRIC], exclude_seen=False).mean(METRIC)

    row: dict[str, Any] = {}
    if isinstance(model, SequenceNetwork):
        history = model.fit(split.train, validate=judged).history
        row["best_epoch"] = int(history["epoch"][history["validation"].idxmax()])
        row["validation"] = round(float(history["validation"].max()), 5)
    else:
        row["validation"] = round(judged(model.fit(split.train)), 5)
    return row | {"cpu_s": round(time.process_time() - start, 1)}


def settings(model: Recommender) -> dict[str, float]:
    """Name what a grid varies."""
    if isinstance(model, SequenceNetwork):
        return {"learning_rate": model.training.learning_rate, "dropout": model.dropout}
    return {"decay": model.decay} if isinstance(model, (ItemKNN, SequentialRules)) else {}


def seeded(model: Recommender, seed: int) -> Recommender:
    """Give a network its seed."""
    if isinstance(model, SequenceNetwork):
        return replace(model, training=replace(model.training, seed=seed))
    return model


def tested(model: Recommender, splits: dict[int, Split]) -> tuple[dict[str, Any], np.ndarray]:
    """Train a model on each shop; give its row and the metric of each user."""
    parts, costs = [], []
    for seed, split in splits.items():
        again = seeded(model, seed)
        costs.append(fitted(again, split))
        part = evaluate(again, split.test, [METRIC], exclude_seen=False)
        parts.append(part.per_user[METRIC].to_numpy())
    users = np.concatenate(parts)
    value, low, high = bootstrap_interval(users, seed=0)
    row = {METRIC: round(value, 5), "low": round(low, 5), "high": round(high, 5)}
    row["by_seed"] = [round(float(part.mean()), 5) for part in parts]
    row["cpu_s"] = round(sum(cost["cpu_s"] for cost in costs) / len(costs), 1)
    return row, users


def compared(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Compare two models on the same users."""
    test = paired_test(first, second, seed=0)
    figures = {"difference": test.difference, "low": test.low, "high": test.high, "p": test.p_value}
    return {name: round(value, 5) for name, value in figures.items()}


def patiently(best: dict[str, Recommender], splits: dict[int, Split]) -> list[dict[str, Any]]:
    """Train some families once more, with a patience of ten epochs and twice as many at most."""
    rows, reference = [], np.empty(0)
    for name in PATIENT:
        model = best[name]
        assert isinstance(model, SequenceNetwork)
        training = replace(model.training, patience=10, epochs=2 * EPOCHS)
        row, users = tested(replace(model, training=training), splits)
        reference = reference if rows else users
        rows.append({"family": name, **row, "against": compared(users, reference)})
        print(rows[-1], flush=True)
    return rows


def patient_only(splits: dict[int, Split]) -> None:
    """Make ``patient`` anew beside what is stored."""
    path = RESULTS / f"{NAME}.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    rows = stored.pop("rows")
    chosen = {row["family"]: row["settings"] for row in rows}
    best = {n: next(m for m in FAMILIES[n] if settings(m) == chosen[n]) for n in PATIENT}
    stored |= {"patient": patiently(best, splits), "rows": rows}
    stored["about"] = ABOUT
    path.write_text(json.dumps(stored, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def main() -> None:
    """Choose settings, train with them on each shop, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--patient", action="store_true", help="the more patient runs alone")
    torch.set_num_threads(1)
    splits = {seed: shop_split(seed) for seed in SEEDS}
    if parser.parse_args().patient:
        patient_only(splits)
        return
    tried, rows, per_user, best = [], [], {}, {}
    for name, grid in FAMILIES.items():
        outcomes = [fitted(model, splits[SEEDS[0]]) for model in grid]
        tried += [
            {"family": name, "settings": settings(model), **outcome}
            for model, outcome in zip(grid, outcomes, strict=True)
        ]
        best[name] = grid[int(np.argmax([outcome["validation"] for outcome in outcomes]))]
        row, per_user[name] = tested(best[name], splits)
        rows.append({"family": name, "settings": settings(best[name]), **row})
        print(rows[-1], flush=True)
    lengths = []
    for length in LENGTHS:
        model = replace(best[REFERENCE], length=length)  # type: ignore[type-var] # a dataclass
        lengths.append({"length": length, **tested(model, splits)[0]})
        print(lengths[-1], flush=True)
    pairs = []
    for first, second in itertools.combinations(per_user, 2):
        pairs.append(
            {"first": first, "second": second, **compared(per_user[first], per_user[second])}
        )
    write_result(
        NAME,
        rows,
        about=ABOUT,
        libraries=[*LIBRARIES, "torch"],
        shop=SHOP,
        seeds=list(SEEDS),
        network={"epochs": EPOCHS, "batch_size": BATCH, "patience": PATIENCE, "width": WIDTH},
        users=len(per_user[REFERENCE]),
        tried=tried,
        lengths=lengths,
        pairs=pairs,
        patient=patiently(best, splits),
    )


if __name__ == "__main__":
    main()

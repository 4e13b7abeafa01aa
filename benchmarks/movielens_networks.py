"""Autoencoder and graph networks on MovieLens 100K, beside neighbours and a linear model.

Run ``python benchmarks/movielens_networks.py``; it takes some six minutes on one core. The data
comes from a folder named by ``BEHAVIORSEQ_DATA`` or is downloaded.

Protocol: leave-one-out; models are fitted on ``split.train`` and judged by NDCG@10 on
``split.validation``, all films ranked, those of the history left out. No test target is looked
at. Networks are judged after each epoch, and the best epoch counts; that and the choice of
settings both take the best of several, so the figures of networks flatter them a little. Every
setting of each grid is a row. ``decay`` is the recency decay of the history that is read, null
where order is ignored. The values of the other settings are the models' defaults.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from behaviorseq import (
    EASE,
    BPRLoss,
    FullSoftmax,
    GCNRec,
    ItemKNN,
    LightGCN,
    MultVAE,
    Recommender,
    Sequences,
    Split,
    Training,
    evaluate,
    leave_one_out,
    load,
)
from behaviorseq.models import NetworkRecommender
from measure import LIBRARIES, write_result

DATA = "movielens-100k"
METRIC = "NDCG@10"
Grid = dict[str, tuple[Any, ...]]
Family = tuple[str, Callable[..., Recommender], Grid]

# No early stopping: validation of these falls and rises again, and would stop some too early.
VAE = Training(epochs=40, learning_rate=0.003, patience=40)
LIGHT = Training(epochs=60, learning_rate=0.03, patience=60)
GCN = Training(epochs=20, learning_rate=0.003, patience=20)
FAMILIES: tuple[Family, ...] = (
    ("item-kNN", partial(ItemKNN, shrink=0.0), {"decay": (1.0, 0.7)}),
    ("EASE", partial(EASE, regularization=500.0), {"decay": (None, 0.95)}),
    (
        "Mult-VAE",
        partial(MultVAE, training=VAE),
        {"beta": (0.1, 0.2, 0.5), "decay": (None, 0.9)},
    ),
    (
        "LightGCN",
        partial(LightGCN, training=LIGHT),
        {
            "loss": (FullSoftmax(),),
            "layers": (1, 2, 3),
            "free_users": (True, False),
            "decay": (None, 0.7),
        },
    ),
    (
        "LightGCN",
        partial(LightGCN, training=LIGHT),
        {"loss": (BPRLoss(),), "layers": (2,), "free_users": (True, False), "decay": (None, 0.7)},
    ),
    (
        "GCN, mean",
        partial(GCNRec, training=GCN, reader="mean"),
        {"layers": (0, 1, 2), "decay": (0.8,)},
    ),
    ("GCN, GRU", partial(GCNRec, training=GCN, reader="gru"), {"layers": (0, 1, 2)}),
)


def judged(model: Recommender, split: Split) -> float:
    """Give the metric on the validation targets."""
    return evaluate(model, split.validation, [METRIC]).mean(METRIC)


def fitted(model: Recommender, split: Split) -> dict[str, Any]:
    """Fit a model; give the processor seconds of fitting, and where there are epochs the best."""
    start = time.process_time()
    if not isinstance(model, NetworkRecommender):
        model.fit(split.train)
        return {"cpu_s": round(time.process_time() - start, 2)}
    judging = 0.0

    def validate(network: Recommender) -> float:
        nonlocal judging
        began = time.process_time()
        value = judged(network, split)
        judging += time.process_time() - began
        return value

    model.fit(split.train, validate=validate)
    seconds = time.process_time() - start - judging
    history = model.history
    best = history.loc[history["validation"].idxmax(), "epoch"]
    return {"cpu_s": round(seconds, 2), "best_epoch": int(best), "epochs": len(history)}


def tried(family: Family, split: Split) -> list[dict[str, Any]]:
    """Fit and judge every setting of a grid."""
    name, make, grid = family
    rows = []
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        model = make(**settings)
        cost = fitted(model, split)
        value, low, high = evaluate(model, split.validation, [METRIC]).interval(METRIC)
        if "loss" in settings:
            settings["loss"] = type(settings["loss"]).__name__
        figures = {METRIC: round(value, 5), "low": round(low, 5), "high": round(high, 5)}
        rows.append({"family": name, "settings": settings, **figures, **cost})
        print(f"{name:<10} {value:.4f}  {cost}  {settings}", flush=True)
    return rows


def main() -> None:
    """Try all grids and write the result."""
    data = load(DATA)
    split = leave_one_out(Sequences.from_events(data.events))
    rows = [row for family in FAMILIES for row in tried(family, split)]
    training = {"Mult-VAE": repr(VAE), "LightGCN": repr(LIGHT), "GCN": repr(GCN)}
    write_result(
        "movielens_networks",
        rows,
        about=__doc__.partition("Protocol: ")[2].strip(),
        seed=0,
        libraries=[*LIBRARIES, "torch"],
        data={"name": DATA, "files": {file.name: file.sha256 for file in data.source.files}},
        training=training,
    )


if __name__ == "__main__":
    main()

"""All families of sequence models on one task, settings chosen on validation.

Run ``python benchmarks/model_families.py``: the shop, some five minutes of one core. Each family is
stored when it is done, and a later run goes on from there; ``--again`` begins anew. Another log is
named by ``--data``; it comes from a folder named by ``BEHAVIORSEQ_DATA`` or is downloaded.
MovieLens 100K takes some twenty minutes; ``--families`` may name some. ``--graph`` makes the part
``graph`` anew, and nothing else.

Protocol: what comes next, all items ranked, NDCG@10. 'shop': clicks of the simulated shop; users
are dealt out, half to learn from, a tenth for validation, the rest for the test; of each the last
5 clicks are targets, one after another, and what was clicked before may come again.
'movielens-100k': leave-one-out, films of the history left out. All networks have width 32, read
the last 20 events, minimise the full softmax with batches of 32 (of MovieLens 128) histories, and
stop when three epochs in a row (of MovieLens ten, where validation falls and rises again) are no
better on the validation targets, or after 30 epochs (SR-GNN after eight). So do LightGCN and the
autoencoder, which adds its divergence, but they read whole histories, and after 120 epochs, since
theirs are cheap. The settings of each grid are compared on validation, with seed 0; test targets
are looked at for the best of them only (``chosen``), and intervals are over users. 'order_lost':
share of the metric, low and high, that the chosen model loses when the last 20 events of each test
history are shuffled; it is compared with itself on the last 20 events in their order.
'cpu_s': processor seconds of fitting without validation; 'memory_mb': how far fitting and
judging all settings of the family raised the memory of a fresh process. One thread. 'graph': what
the graph of items adds to the GRU, with the chosen settings, on the shop and on two more, which
are worlds of their own: difference of the metric on the same test users, and interval.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from behaviorseq import (
    SRGNN,
    Caser,
    FullSoftmax,
    GCNRec,
    GRU4Rec,
    Holdout,
    ItemKNN,
    LightGCN,
    LSTMRec,
    MultVAE,
    Popularity,
    Recommender,
    SASRec,
    Sequences,
    SequentialRules,
    Training,
    bootstrap_interval,
    evaluate,
    leave_one_out,
    load,
    paired_test,
    prefixes,
    simulate,
    user_groups,
)
from behaviorseq.models import NetworkRecommender
from measure import LIBRARIES, RESULTS, measured, write_result

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

NAME, METRIC = "model_families", "NDCG@10"
SHOP = {"n_users": 1000, "n_items": 400, "days": 60}
SHOPS = (0, 1, 2)  # their seeds
LOGS = {"shop": {"batch_size": 32}, "movielens-100k": {"batch_size": 128, "patience": 10}}
WIDTH, LENGTH, EPOCHS = 32, 20, 30


def networks(kind: Callable[..., Recommender], **options: Any) -> list[Recommender]:
    """Make a family's grid: less and more dropout."""
    training = Training(epochs=options.pop("epochs", EPOCHS), learning_rate=3e-3)
    fixed = {"width": WIDTH, "length": LENGTH, "loss": FullSoftmax(), "training": training}
    return [kind(dropout=d, **fixed, **options) for d in (0.2, 0.5)]


BAGS = Training(epochs=4 * EPOCHS, learning_rate=3e-3)  # an epoch takes a small part of theirs
FAMILIES: dict[str, list[Recommender]] = {
    "popularity": [Popularity()],
    "item-kNN": [ItemKNN(decay=d) for d in (0.5, 0.7, 0.9)],
    "rules": [SequentialRules(steps=s, decay=d) for s in (3, 10) for d in (0.3, 0.6, 0.9)],
    "RNN": networks(GRU4Rec, cell="rnn"),
    "LSTM": networks(LSTMRec),
    "GRU": networks(GRU4Rec),
    "Caser": networks(Caser),
    "SASRec": networks(SASRec),
    "GCN, mean": networks(GCNRec, layers=1),
    "GCN, GRU": networks(GCNRec, layers=1, reader="gru"),
    "no graph, mean": networks(GCNRec, layers=0),
    "no graph, GRU": networks(GCNRec, layers=0, reader="gru"),
    "LightGCN": [
        LightGCN(width=WIDTH, layers=n, decay=d, training=replace(BAGS, learning_rate=0.03))
        for n in (1, 2)
        for d in (0.5, 0.7, 0.9)
    ],
    "MultVAE, order ignored": [
        MultVAE(inner=64, latent=WIDTH, dropout=p, training=BAGS) for p in (0.2, 0.5)
    ],
    "MultVAE": [
        MultVAE(inner=64, latent=WIDTH, decay=d, dropout=p, training=BAGS)
        for d in (0.5, 0.7, 0.9)
        for p in (0.2, 0.5)
    ],
    "SR-GNN": networks(SRGNN, epochs=8)[:1],
}


def held_out(data: str, seed: int = 0) -> tuple[Sequences, Holdout, Holdout]:
    """Give training histories, validation and test."""
    if data == "shop":
        log = simulate.world("shop", **SHOP, seed=seed).log()
        clicks = Sequences.from_events(log.events[log.events["behavior"] == "click"])
        train, valid, test = user_groups(clicks, (0.1, 0.4), seed)
        return train, prefixes(valid, 5), prefixes(test, 5)
    split = leave_one_out(Sequences.from_events(load(data).events))
    return split.train, split.validation, split.test


def prepared(data: str, family: str) -> tuple[Any, ...]:
    """Make the arguments of ``tried`` in a fresh process."""
    torch.set_num_threads(1)
    models = [
        replace(model, training=replace(model.training, **LOGS[data]))
        if isinstance(model, NetworkRecommender)
        else model
        for model in FAMILIES[family]
    ]
    return (*held_out(data), models, data != "shop")


def per_user(model: Recommender, holdout: Holdout, exclude_seen: bool) -> pd.Series:
    """Judge a model; the targets of one user are averaged first."""
    found = evaluate(model, holdout, [METRIC], exclude_seen=exclude_seen).per_user[METRIC]
    return found.groupby(level=0).mean()


def order_lost(model: Recommender, holdout: Holdout, exclude_seen: bool) -> list[float]:
    """Shuffle what networks read of each history; give the share of the metric lost, low, high."""
    recent = holdout.histories.last(LENGTH)
    whole, mixed = (
        per_user(model, Holdout(histories, holdout.targets), exclude_seen)
        for histories in (recent, recent.shuffled(seed=0))
    )
    t = paired_test(whole, mixed, seed=0)
    return [round(float(part / whole.mean()), 5) for part in (t.difference, t.low, t.high)]


def choice(model: Recommender, models: list[Recommender]) -> dict[str, Any]:
    """Give the settings of a model that differ inside its grid."""
    assert is_dataclass(model)
    names = [f.name for f in fields(model) if f.init]
    values = {name: [repr(getattr(m, name)) for m in models] for name in names}
    return {name: getattr(model, name) for name in names if len(set(values[name])) > 1}


def fitted(
    model: Recommender, train: Sequences, validate: Callable[[Recommender], float]
) -> dict[str, Any]:
    """Fit a model; say what it took."""
    judging = 0.0

    def timed(model: Recommender) -> float:
        nonlocal judging
        began = time.process_time()
        value = validate(model)
        judging += time.process_time() - began
        return value

    start = time.process_time()
    if not isinstance(model, NetworkRecommender):
        model.fit(train)
        return {"cpu_s": round(time.process_time() - start, 2)}
    history = model.fit(train, validate=timed).history
    return {
        "cpu_s": round(time.process_time() - start - judging, 2),
        "epochs": len(history),
        "best_epoch": int(history["epoch"][history["validation"].idxmax()]),
        "parameters": sum(p.numel() for p in model.network.parameters()),
    }


def tried(
    train: Sequences,
    validation: Holdout,
    test: Holdout,
    models: list[Recommender],
    exclude_seen: bool,
) -> list[dict[str, Any]]:
    """Fit all settings of a family; judge the one that is best on validation on the test."""
    rows: list[dict[str, Any]] = []

    def validate(model: Recommender) -> float:
        return float(per_user(model, validation, exclude_seen).mean())

    for model in models:
        cost = fitted(model, train, validate)
        settings = {"choice": choice(model, models), "settings": repr(model)}
        rows.append(settings | {"validation": round(validate(model), 5)} | cost)
    best = int(np.argmax([row["validation"] for row in rows]))
    value, low, high = bootstrap_interval(per_user(models[best], test, exclude_seen))
    for row in rows:
        row["chosen"] = row is rows[best]
    rows[best] |= {"test": round(value, 5), "low": round(low, 5), "high": round(high, 5)}
    rows[best]["order_lost"] = order_lost(models[best], test, exclude_seen)
    return rows


def graph_by_shop(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Train the GRU with and without the graph on some shops, with the settings of the rows."""
    torch.set_num_threads(1)
    chosen = {r["family"]: r["choice"] for r in rows if r["data"] == "shop" and r["chosen"]}
    found = []
    for seed in SHOPS:
        train, validation, test = held_out("shop", seed)
        values = []
        for family in ("GCN, GRU", "no graph, GRU"):
            model = replace(FAMILIES[family][0], **chosen[family])
            assert isinstance(model, NetworkRecommender)
            model = replace(model, training=replace(model.training, **LOGS["shop"], seed=seed))
            model.fit(train, validate=lambda m, v=validation: float(per_user(m, v, False).mean()))
            values.append(per_user(model, test, False))
        t = paired_test(*values, seed=0)
        figures = {"without": values[1].mean(), "gain": t.difference, "low": t.low, "high": t.high}
        found.append({"seed": seed} | {k: round(float(v), 5) for k, v in figures.items()})
        print(found[-1], flush=True)
    return found


def main() -> None:
    """Try all families, going on from what is stored."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--again", action="store_true", help="forget what is stored")
    parser.add_argument("--data", choices=list(LOGS), nargs="+", default=["shop"])
    parser.add_argument("--families", choices=list(FAMILIES), nargs="+", default=list(FAMILIES))
    parser.add_argument("--graph", action="store_true", help="the graph on three shops alone")
    arguments = parser.parse_args()
    path = RESULTS / f"{NAME}.json"
    fresh = arguments.again or not path.exists()
    stored = {"rows": [], "graph": []} if fresh else json.loads(path.read_text(encoding="utf-8"))
    rows, graph = stored["rows"], stored.get("graph", [])
    if arguments.graph:
        store(rows, graph=graph_by_shop(rows))
        return
    for data in arguments.data:
        for family in arguments.families:
            if any(row["data"] == data and row["family"] == family for row in rows):
                continue
            outcome = measured(tried, data, family, prepare=prepared, runs=1)
            memory = round(max(0, outcome.peak_bytes - outcome.start_bytes) / 1e6)
            new = {"data": data, "family": family, "memory_mb": memory}
            rows += [new | row for row in outcome.result]
            store(rows, graph=graph)
            print(data, family, [r for r in outcome.result if r["chosen"]], flush=True)
    if fresh and "shop" in arguments.data:
        store(rows, graph=graph_by_shop(rows))


store = partial(
    write_result,
    NAME,
    about=" ".join(__doc__.partition("Protocol: ")[2].split()),
    seed=0,
    libraries=[*LIBRARIES, "torch"],
    shop=SHOP,
)


if __name__ == "__main__":
    main()

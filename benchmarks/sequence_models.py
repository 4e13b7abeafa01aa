"""Sequence models on one log after another, beside the figures that papers print.

Run ``python benchmarks/sequence_models.py``: Amazon Beauty, all models, some 14 hours of one core.
``--data`` names another log, ``--only`` some models, ``--seeds`` how many; ``--settings 0 2`` takes
the first and the third settings of each model and compares no others. Every setting that was tried
and every row is stored when it is done, and a later run goes on from there: stop it at will, or
start a second one beside it for other models. ``--again`` forgets what is stored of the models and
the log that are named. The data comes from a folder named by ``BEHAVIORSEQ_DATA`` or is downloaded.

Protocol: on the logs that are published without usable times (Amazon's, MovieLens-1M) each
user's last item is the test target and the last but one the validation target; on the others the
targets are the first item of each user in the last tenth of the time, and in the tenth before.
Models are fitted on ``split.train`` and never see the validation items, as in the printed figures;
the history of a test target holds them too. All items are ranked, those of the history left out
where the log has no repetitions. Settings, and the epoch whose weights are kept, are chosen by
NDCG@10 on the validation targets of every n-th user, some 5,000 of them, with the first seed. Each
run ranks the test targets as well; the choice does not read them. Number of epochs, batch and, but
for Amazon's logs, dropout and length of a log's networks were set beforehand: 'model' says them.
One thread. A model that takes more than half an hour of processor time gets one seed, and so
does one without chance. A row with a seed is one run; its intervals are over users, not over seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch

from amazon_beauty import ESASREC, METRICS, PUBLISHED, line
from behaviorseq import (
    EASE,
    GBCE,
    SRGNN,
    BERT4Rec,
    BinaryCrossEntropy,
    Caser,
    ESASRec,
    FullSoftmax,
    GRU4Rec,
    Holdout,
    ItemKNN,
    LightGCN,
    MultVAE,
    NextItNet,
    Popularity,
    Recommender,
    SampledSoftmax,
    SASRec,
    SequenceNetwork,
    Sequences,
    SequentialRules,
    Split,
    Training,
    evaluate,
    global_time_split,
    leave_one_out,
    load,
)
from behaviorseq.machine import machine
from behaviorseq.models import NetworkRecommender
from measure import LIBRARIES, RESULTS, measured, write_result

NAME, CHOOSE_BY, LONG, VALIDATE_ON = "sequence_models", "NDCG@10", 1800, 5000


@dataclass(frozen=True)
class Log:
    """How a log is held out and read, and what networks on it need that they do not elsewhere."""

    split: Callable[[Sequences], Split] = leave_one_out
    repeats: bool = False  # the same item may be the next one again
    behavior: str | None = None  # this one alone
    epochs: float = 1.0  # share of the epochs: fewer where a user has many events
    batch_size: int = 128  # histories, fewer where they are long
    networks: tuple[dict[str, Any], ...] = ({},)  # other fields of networks: these are compared

    def histories(self, data: str) -> Sequences:
        """Load the log of that name."""
        events = load(data).events
        if self.behavior is not None:
            events = events[events["behavior"] == self.behavior]
        return Sequences.from_events(events)

    def adapted(self, model: Recommender) -> list[Recommender]:
        """Set what follows the log; give each of its alternatives."""
        if isinstance(model, NetworkRecommender):
            epochs = round(model.training.epochs * self.epochs)
            training = replace(model.training, epochs=epochs, patience=epochs)
            model = replace(model, training=training)
        if not isinstance(model, SequenceNetwork):
            return [model]
        training = replace(model.training, batch_size=self.batch_size)
        return [replace(model, training=training, **fields) for fields in self.networks]


by_time = partial(global_time_split, target="next")
FILMS = {"length": 200, "dropout": 0.2}  # an item has many events: less dropout
AGAIN = {"repeats": True, "epochs": 0.25, "networks": ({"dropout": 0.2},)}
LOGS = {
    "amazon-beauty": Log(),
    "amazon-sports": Log(),
    "amazon-toys": Log(),
    "movielens-1m": Log(
        epochs=0.5, batch_size=32, networks=tuple(FILMS | {"width": w} for w in (64, 128))
    ),
    "movielens-100k": Log(by_time, batch_size=32, networks=(FILMS | {"width": 64},)),
    "complete-journey": Log(by_time, **AGAIN),
    "shop": Log(by_time, behavior="click", **AGAIN),
}


def network(
    kind: type[SequenceNetwork], decay: float, epochs: int = 40, rate: float = 3e-3, **options: Any
) -> SequenceNetwork:
    """Make a network; the schedule falls to 0 with the last epoch."""
    training = Training(
        epochs=epochs,
        learning_rate=rate,
        weight_decay=decay,
        schedule="cosine",
        warmup=0.05,
        patience=epochs,
    )
    settings = {"width": 128, "dropout": 0.5, "loss": SampledSoftmax(512, correct=False)} | options
    return kind(training=training, **settings)


# Models by name, each with the settings that validation chooses from.
MODELS: dict[str, list[Recommender]] = {
    "Popularity": [Popularity()],
    "Item-kNN": [ItemKNN(shrink=s, decay=d) for s in (10.0, 20.0) for d in (0.6, 0.7, 0.8)],
    "Sequential rules": [
        SequentialRules(steps=s, reverse=r, decay=d)
        for s in (3, 10)
        for r in (0.0, 0.5)
        for d in (0.3, 0.5, 0.7)
    ],
    "EASE": [EASE(regularization=r, decay=d) for r in (100.0, 200.0) for d in (None, 0.6, 0.7)],
    "Mult-VAE": [
        MultVAE(beta=b, decay=d, training=Training(epochs=40, learning_rate=3e-3, patience=40))
        for b in (0.1, 0.3)
        for d in (None, 0.7)
    ],
    "LightGCN": [  # with a vector for each user, as in the paper, and without
        LightGCN(
            layers=n,
            free_users=free,
            decay=0.7,
            training=Training(epochs=40, learning_rate=rate, patience=40),
        )
        for free, rate in ((True, 0.03), (False, 0.003))
        for n in (1, 2)
    ],
    "GRU4Rec": [network(GRU4Rec, d) for d in (0.1, 0.3)],
    "NextItNet": [network(NextItNet, d) for d in (0.1, 0.3)],
    "Caser": [network(Caser, d) for d in (0.1, 0.3)],
    "SASRec, one negative": [
        network(SASRec, d, loss=BinaryCrossEntropy()) for d in (0.1, 0.3, 0.5)
    ],
    "SASRec, gBCE": [
        network(SASRec, d, loss=GBCE(512, shared=True, prior=p))
        for p in (False, True)
        for d in (0.1, 0.3)
    ],
    "SASRec, sampled softmax": [network(SASRec, d) for d in (0.1, 0.3, 0.5)],
    "SASRec, softmax": [network(SASRec, d, loss=FullSoftmax()) for d in (0.1, 0.3, 0.5)],
    "eSASRec": [network(ESASRec, d, layers=n) for d in (0.3, 0.5) for n in (1, 2)],
    "BERT4Rec, sampled softmax": [network(BERT4Rec, d, epochs=80) for d in (0.1, 0.3)],
    "BERT4Rec, softmax": [network(BERT4Rec, d, epochs=80, loss=FullSoftmax()) for d in (0.1, 0.3)],
    "SR-GNN": [network(SRGNN, d, epochs=20) for d in (0.1, 0.3)],
}
# A published row that a model here answers to.
PRINTED_AS = {
    "Popularity": ("PopRec",),
    "GRU4Rec": ("GRU4Rec",),
    "Caser": ("Caser",),
    "SASRec, one negative": ("SASRec, one negative, BCE", "SASRec, BCE, tuned"),
    "SASRec, sampled softmax": ("SASRec, sampled softmax",),
    "SASRec, softmax": ("SASRec, cross-entropy",),
    "eSASRec": ("eSASRec",),
    "BERT4Rec, softmax": ("BERT4Rec",),
}


# MovieLens-1M, leave-one-out, all items ranked, length 200: model, source, how it was read (see
# ``PUBLISHED``), Recall@10, NDCG@10.
DROSS = "README of antklen/sasrec-bert4rec-recsys23 (arXiv 2309.07602)"
GSASREC = "README of asash/gSASRec-pytorch (arXiv 2308.07192)"
HSTU = "README of generative-recommenders (arXiv 2402.17152)"
PUBLISHED_MOVIELENS = [
    ("SASRec, one negative, BCE", GSASREC, "V", 0.2392, 0.1259),
    ("gSASRec", GSASREC, "V", 0.3003, 0.1726),
    ("SASRec, one negative, BCE", DROSS, "V", 0.2500, 0.1341),
    ("BERT4Rec", DROSS, "V", 0.2843, 0.1537),
    ("SASRec, cross-entropy", DROSS, "V", 0.3152, 0.1821),
    ("GRU4Rec, sampled softmax", HSTU, "V", 0.2811, 0.1648),
    ("SASRec, sampled softmax", HSTU, "V", 0.2853, 0.1603),
    ("HSTU-large", HSTU, "V", 0.3294, 0.1893),
    ("eSASRec", ESASREC, "V", 0.3133, 0.1772),
]


def prepared(data: str, model: Recommender) -> tuple[Log, Split, Recommender]:
    """Make the arguments of ``trained`` in a fresh process."""
    torch.set_num_threads(1)
    log = LOGS[data]
    return log, log.split(log.histories(data)), model


def trained(log: Log, split: Split, model: Recommender) -> dict[str, Any]:
    """Fit, and evaluate on some validation targets and on the test targets."""
    held = split.validation
    rows = np.arange(0, len(held), max(1, len(held) // VALIDATE_ON))
    part = Holdout(held.histories.take(rows), held.targets.take(rows))
    options: dict[str, Any] = {"exclude_seen": not log.repeats}

    def validate(model: Recommender) -> float:
        return evaluate(model, part, [CHOOSE_BY], **options).mean(CHOOSE_BY)

    row: dict[str, Any] = {}
    if isinstance(model, NetworkRecommender):
        history = model.fit(split.train, validate=validate).history
        row["validation"] = round(history["validation"].max(), 5)
        row["best_epoch"] = int(history["epoch"][history["validation"].idxmax()])
        row["train_seconds"] = round(history["seconds"].sum(), 1)
        row["curve"] = {
            "seconds": history["seconds"].cumsum().round(1).tolist(),
            "validation": history["validation"].round(5).tolist(),
        }
    else:
        row["validation"] = round(validate(model.fit(split.train)), 5)
    evaluation = evaluate(model, split.test, METRICS, **options)
    intervals = {m: evaluation.interval(m, seed=0) for m in METRICS}
    row |= {m: round(interval.value, 5) for m, interval in intervals.items()}
    row["intervals"] = {m: [round(i.low, 5), round(i.high, 5)] for m, i in intervals.items()}
    row["users"] = evaluation.counts["users"]
    return row


@cache
def files_of(data: str) -> dict[str, str | None]:
    """Give the files of a log with their SHA-256; loading takes seconds, so once."""
    return {file.name: file.sha256 for file in load(data).source.files}


class Results:
    """What is stored: settings that were tried, and rows."""

    def __init__(self) -> None:
        self.read()

    def read(self) -> None:
        """Read the file."""
        path = RESULTS / f"{NAME}.json"
        stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.tried: list[dict[str, Any]] = stored.get("tried", [])
        self.rows: list[dict[str, Any]] = stored.get("rows", [])

    def forget(self, data: str, names: list[str]) -> None:
        """Leave out what is stored of some models on a log."""
        for part in (self.tried, self.rows):
            part[:] = [x for x in part if x["data"] != data or x["name"] not in names]
        self.save()

    def run(self, data: str, name: str, model: Recommender) -> dict[str, Any]:
        """Train a model in a fresh process and store how it went, unless that is stored."""
        seed = model.training.seed if isinstance(model, NetworkRecommender) else 0
        key = {"data": data, "name": name, "model": repr(model), "seed": seed}
        for row in (*self.tried, *self.rows):
            if all(row[k] == v for k, v in key.items()):
                return row
        outcome = measured(trained, data, model, prepare=prepared, runs=1)
        row = key | outcome.result
        row |= {
            "seconds": round(outcome.median_seconds, 1),
            "cpu_seconds": round(outcome.median_cpu_seconds, 1),
            "peak_mb": round(outcome.peak_bytes / 1e6),
            "processor": machine()["processor"],
        }
        self.add("rows" if seed else "tried", row)
        return row

    def choose(self, row: dict[str, Any]) -> None:
        """Put the run of the best settings, with the first seed, among the rows.

        Rows of settings that were the best before are left out.
        """
        self.read()
        kept = [
            r
            for r in self.rows
            if (r["data"], r["name"]) != (row["data"], row["name"])
            or r["model"].replace(f"seed={r['seed']}", "seed=0") == row["model"]
        ]
        if row not in kept:
            kept.append(row)
        if kept != self.rows:
            self.rows = kept
            self.save()

    def add(self, part: str, row: dict[str, Any]) -> None:
        """Store a run beside what there is, which another process may have added to."""
        self.read()
        getattr(self, part).append(row)
        self.save()

    def save(self) -> None:
        """Write all there is."""
        logs = {row["data"] for row in [*self.tried, *self.rows]}
        write_result(
            NAME,
            self.rows,
            about=__doc__.partition("Protocol: ")[2].strip(),
            libraries=[*LIBRARIES, "torch"],
            data={name: files_of(name) for name in sorted(logs)},
            tried=self.tried,
            published=[
                {"model": name, "source": source, "read": read} | dict(zip(METRICS, v, strict=True))
                for name, source, read, *v in PUBLISHED
            ],
            published_movielens_1m=[
                dict(zip(("model", "source", "read", "Recall@10", "NDCG@10"), row, strict=True))
                for row in PUBLISHED_MOVIELENS
            ],
            printed_as=PRINTED_AS,
        )


def assess(
    results: Results, data: str, name: str, n_seeds: int, places: list[int] | None = None
) -> None:
    """Choose a model's settings on validation, then train the best with each seed."""
    models = [each for model in MODELS[name] for each in LOGS[data].adapted(model)]
    for place in range(len(models)) if places is None else places:
        results.run(data, name, models[place])
    tried = {r["model"]: r for r in results.tried if (r["data"], r["name"]) == (data, name)}
    known = [model for model in models if repr(model) in tried]  # those of earlier runs, too
    best = max(known, key=lambda model: float(tried[repr(model)]["validation"]))
    results.choose(tried[repr(best)])
    for seed in range(n_seeds):
        model = best
        if isinstance(best, NetworkRecommender):
            model = replace(best, training=replace(best.training, seed=seed))
        row = results.run(data, name, model)
        values = [row[m] for m in METRICS]
        print(line(f"{name}, seed {seed}", values, f"{row['cpu_seconds']} CPU s"), flush=True)
        if not isinstance(best, NetworkRecommender) or row["cpu_seconds"] > LONG:
            break


def main() -> None:
    """Assess the models that are named, and print the published rows beside them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", choices=sorted(LOGS), default="amazon-beauty")
    parser.add_argument("--only", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--settings", type=int, nargs="+", metavar="I", help="compare these only")
    parser.add_argument("--again", action="store_true", help="forget what is stored of them")
    arguments = parser.parse_args()
    results = Results()
    if arguments.again:
        results.forget(arguments.data, arguments.only)
    for name in arguments.only:
        assess(results, arguments.data, name, arguments.seeds, arguments.settings)
        for printed, source, _, *values in PUBLISHED if arguments.data == "amazon-beauty" else ():
            if printed in PRINTED_AS.get(name, ()):
                print(line(f"  printed: {printed}", values, source))


if __name__ == "__main__":
    main()

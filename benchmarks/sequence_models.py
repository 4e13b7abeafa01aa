"""Sequence networks on Amazon Beauty, beside the figures that papers print.

Run ``python benchmarks/sequence_models.py``: it trains the settings that did best on validation,
some minutes on one core. ``--choose`` first tries all settings of ``GRID`` again, which takes as
long for each of them. The data comes from a folder named by ``BEHAVIORSEQ_DATA`` or is downloaded.

Protocol, the one of the S3-Rec files: each user's last item is the test target, the last but one
the validation target; the network is trained on what remains (``split.train``) and never sees the
validation items, as in the printed figures; the history of a test target holds the validation item
too; all 12,101 items are ranked, those of the history left out. Settings, and the epoch whose
weights are kept, are chosen by NDCG@10 on the validation targets of every fourth user; test
targets are looked at once, for the settings chosen. One seed, one thread.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import torch

from amazon_beauty import DATA, ESASREC, METRICS, PUBLISHED, S3REC, beauty, line
from behaviorseq import (
    Holdout,
    Recommender,
    SampledSoftmax,
    SASRec,
    Split,
    Training,
    evaluate,
    load,
)
from measure import LIBRARIES, RESULTS, measured, write_result

NAME, CHOOSE_BY, SEED = "sequence_models", "NDCG@10", 0


def sasrec(width: int, dropout: float, rate: float, decay: float, epochs: int = 25) -> SASRec:
    """Make a model with sampled softmax; the cosine schedule ends with the last epoch."""
    training = Training(
        epochs=epochs,
        learning_rate=rate,
        weight_decay=decay,
        schedule="cosine",
        warmup=0.05,
        patience=epochs,
        seed=SEED,
    )
    loss = SampledSoftmax(negatives=512, correct=False)
    return SASRec(width=width, dropout=dropout, loss=loss, training=training)


GRID = (
    sasrec(64, 0.4, 4e-3, 0.0),
    sasrec(128, 0.5, 3e-3, 0.1),
    sasrec(128, 0.5, 3e-3, 0.3),
    sasrec(128, 0.5, 3e-3, 0.3, epochs=40),
)


def prepared(model: SASRec) -> tuple[Split, SASRec]:
    """Make the arguments of ``trained`` and ``assess`` in a fresh process."""
    torch.set_num_threads(1)
    return beauty(), model


def trained(split: Split, model: SASRec) -> dict[str, Any]:
    """Train, and tell how good the best epoch is on validation."""
    rows = np.arange(0, len(split.validation), 4)
    fourth = Holdout(split.validation.histories.take(rows), split.validation.targets.take(rows))

    def validate(model: Recommender) -> float:
        return evaluate(model, fourth, [CHOOSE_BY]).mean(CHOOSE_BY)

    history = model.fit(split.train, validate=validate).history
    return {
        "model": repr(model),
        "validation": round(history["validation"].max(), 5),
        "best_epoch": int(history["epoch"][history["validation"].idxmax()]),
        "train_seconds": round(history["seconds"].sum(), 1),
    }


def assess(split: Split, model: SASRec) -> dict[str, Any]:
    """Train, then evaluate on the test targets."""
    row = trained(split, model)
    evaluation = evaluate(model, split.test, METRICS)
    intervals = {m: evaluation.interval(m, seed=SEED) for m in METRICS}
    return row | {
        **{m: round(interval.value, 5) for m, interval in intervals.items()},
        "intervals": {m: [round(i.low, 5), round(i.high, 5)] for m, i in intervals.items()},
        "users": evaluation.counts["users"],
    }


def choose() -> list[dict[str, Any]]:
    """Try every setting on validation."""
    tried = []
    for model in GRID:
        outcome = measured(trained, model, prepare=prepared, runs=1)
        tried.append(outcome.result | {"cpu_seconds": round(outcome.median_cpu_seconds, 1)})
        print(f"  validation {tried[-1]['validation']:.4f} {model!r}", flush=True)
    return tried


def main() -> None:
    """Choose where asked, assess the best, print the table and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--choose", action="store_true", help="try all settings again")
    stored = RESULTS / f"{NAME}.json"
    if parser.parse_args().choose or not stored.exists():
        tried = choose()
    else:
        tried = json.loads(stored.read_text(encoding="utf-8"))["tried"]
    best = max(tried, key=lambda row: row["validation"])["model"]
    model = {repr(m): m for m in GRID}[best]
    outcome = measured(assess, model, prepare=prepared, runs=1)
    row = outcome.result | {
        "cpu_seconds": round(outcome.median_cpu_seconds, 1),
        "peak_mb": round(outcome.peak_bytes / 1e6),
    }
    print(
        line(
            "SASRec, sampled softmax, here", [row[m] for m in METRICS], f"{row['train_seconds']} s"
        )
    )
    for name, source, _, *values in PUBLISHED:
        if "SASRec" in name and source in (S3REC, ESASREC):
            print(line(name, values, source))
    file = load(DATA).source.files[0]
    write_result(
        NAME,
        [row],
        about=__doc__.partition("Protocol, ")[2].strip(),
        seed=SEED,
        libraries=[*LIBRARIES, "torch"],
        data={"name": DATA, "file": file.name, "sha256": file.sha256},
        tried=tried,
    )


if __name__ == "__main__":
    main()

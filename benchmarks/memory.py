"""Memory that training and evaluation take, at 12,101 items by 22,363 users and a million items.

Run ``python benchmarks/memory.py``; it takes some minutes of one core. The data, Amazon Beauty,
comes from a folder named by ``BEHAVIORSEQ_DATA`` or is downloaded.

Protocol: each row is one run in a fresh process of one thread. 'peak_mb' is the most resident
memory while fitting and evaluating, 'start_mb' that before, each with the interpreter, the
libraries and the histories. 'limit_mb' is what the row must stay below. Amazon Beauty: fitted on
``split.train``, networks for one epoch with a copy of the best weights, then all test targets
are ranked among all items. A million items: random histories, 40 steps of 128 histories of 50
events, for the peak of one step is that of all; then the items are ranked for 256 users. Networks
have width 64, and AdamW keeps two numbers for each weight.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from behaviorseq import (
    EASE,
    FullSoftmax,
    Holdout,
    ItemKNN,
    Recommender,
    SampledSoftmax,
    SASRec,
    Sequences,
    Training,
    Vocabulary,
    evaluate,
    leave_one_out,
    load,
)
from behaviorseq.models import NetworkRecommender
from measure import LIBRARIES, measured, write_result

SEED, STEPS, EVENTS, USERS = 0, 40, 51, 256
ONCE = Training(epochs=1, seed=SEED, device="cpu")
BEAUTY, MILLION = "amazon-beauty", "a million items"
LIMITS_MB = {BEAUTY: 2_000, MILLION: 8_000}
RUNS: list[tuple[str, Recommender]] = [
    (BEAUTY, ItemKNN()),
    (BEAUTY, EASE()),
    (BEAUTY, SASRec(loss=SampledSoftmax(), training=ONCE)),
    (BEAUTY, SASRec(loss=FullSoftmax(), training=ONCE)),
    (MILLION, SASRec(loss=SampledSoftmax(), training=ONCE)),
]


def random_histories(n_users: int, n_items: int) -> Sequences:
    """Make histories of random items, all of one length."""
    rng = np.random.default_rng(SEED)
    return Sequences(
        items=rng.integers(0, n_items, n_users * EVENTS, dtype=np.int32),
        offsets=np.arange(0, n_users * EVENTS + 1, EVENTS),
        users=np.arange(n_users, dtype=np.int32),
        user_ids=Vocabulary(np.arange(n_users)),
        item_ids=Vocabulary(np.arange(n_items)),
    )


def prepared(data: str, model: Recommender) -> tuple[Recommender, Sequences, Holdout]:
    """Make the model, the training histories and the test targets in a fresh process."""
    torch.set_num_threads(1)
    if data == BEAUTY:
        split = leave_one_out(Sequences.from_events(load(BEAUTY).events))
        return model, split.train, split.test
    train = random_histories(STEPS * ONCE.batch_size, 1_000_000)
    asked = train.slice(0, USERS)
    return model, train, Holdout(asked, asked.last(1))


def used(model: Recommender, train: Sequences, test: Holdout) -> dict[str, Any]:
    """Fit and evaluate."""
    if isinstance(model, NetworkRecommender):
        model.fit(train, validate=lambda _: 0.0)  # it keeps a copy of the weights
    else:
        model.fit(train)
    evaluation = evaluate(model, test, ["NDCG@10"], exclude_seen=False)
    return {"items": train.n_items, "users": len(train), "ranked": len(evaluation.per_user)}


def main() -> None:
    """Measure all runs and write the table."""
    rows = []
    for data, model in RUNS:
        outcome = measured(used, data, model, prepare=prepared, runs=1)
        rows.append(
            {"data": data, "model": repr(model)}
            | outcome.result
            | {
                "start_mb": round(outcome.start_bytes / 1e6),
                "peak_mb": round(outcome.peak_bytes / 1e6),
                "limit_mb": LIMITS_MB[data],
                "seconds": round(outcome.median_seconds, 1),
                "cpu_seconds": round(outcome.median_cpu_seconds, 1),
            }
        )
        print(rows[-1], flush=True)
    about = " ".join(__doc__.partition("Protocol: ")[2].split())
    write_result("memory", rows, about=about, seed=SEED, libraries=[*LIBRARIES, "torch"])


if __name__ == "__main__":
    main()

"""What the order of histories is worth on Amazon Beauty: the shuffle test of chapter 1.

Run ``python benchmarks/shuffle_beauty.py``; it takes some five minutes on one core. The data comes
from a folder named by ``BEHAVIORSEQ_DATA`` or is downloaded.

Protocol: leave-one-out, all 12,101 items ranked, those of the history left out; models are fitted
on ``split.train``. Each test history is cut to its last 50 events and shuffled three times, the
target kept. 'lost' is the share of NDCG@10 that the shuffle takes, with a 95% interval over users
(paired). Rules and item-kNN have the settings that ``benchmarks/amazon_beauty.py`` chose on
validation, for item-kNN the best without decay. SASRec: width 64, 2 layers, sampled softmax with
512 negatives, dropout 0.3, learning rate 0.003, at most 15 epochs, the best on the validation
targets of 4,000 users kept; not tuned further, as each model is compared with itself alone. The
files keep the order of reviews and not their times; how ties in time were ordered is not known.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from behaviorseq import (
    Holdout,
    ItemKNN,
    Recommender,
    SASRec,
    Sequences,
    SequentialRules,
    Training,
    evaluate,
    leave_one_out,
    load,
    shuffle_test,
)
from measure import LIBRARIES, write_result

DATA = "amazon-beauty"
SEED = 0
JUDGES = 4_000  # users whose validation targets stop the training


def main() -> None:
    """Fit, test and write the table."""
    torch.set_num_threads(1)
    data = load(DATA)
    split = leave_one_out(Sequences.from_events(data.events))
    judges = Holdout(*(part.slice(0, JUDGES) for part in vars(split.validation).values()))
    training = Training(epochs=15, batch_size=128, learning_rate=0.003, seed=SEED, device="cpu")
    sasrec = SASRec(width=64, dropout=0.3, training=training)
    start = time.process_time()
    sasrec.fit(split.train, validate=lambda m: evaluate(m, judges, ["NDCG@10"]).mean("NDCG@10"))
    print(sasrec.history, f"{time.process_time() - start:.0f} s", flush=True)
    models: dict[str, Recommender] = {
        "SASRec": sasrec,
        "sequential rules": SequentialRules(steps=50, decay=0.5).fit(split.train),
        "item-kNN": ItemKNN(shrink=50, decay=1).fit(split.train),
    }
    rows: list[dict[str, Any]] = []
    for name, model in models.items():
        found = shuffle_test(model, split.test, last=50, seed=SEED)
        lost, low, high = (round(x, 5) for x in found.lost)
        row = {"model": name, "NDCG@10": round(found.before, 5), "lost": lost, "low": low}
        row |= {"high": high, "p": found.test.p_value, "overlap": round(found.overlap, 4)}
        rows.append(row)
        print(row, flush=True)
    write_result(
        "shuffle_beauty",
        rows,
        about=" ".join(__doc__.partition("Protocol: ")[2].split()),
        seed=SEED,
        libraries=[*LIBRARIES, "torch"],
        data={"name": DATA, "files": {file.name: file.sha256 for file in data.source.files}},
        sasrec_epochs=len(sasrec.history),
    )


if __name__ == "__main__":
    main()

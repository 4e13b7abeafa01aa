"""What the order of histories is worth on Amazon Beauty: the shuffle test of chapter 1.

Run ``python benchmarks/shuffle_beauty.py``; it takes half a minute on one core. The data comes
from a folder named by ``BEHAVIORSEQ_DATA`` or is downloaded.

Protocol: leave-one-out, all 12,101 items ranked, those of the history left out; models are fitted
on ``split.train``. Each test history is cut to its last 50 events and shuffled three times, the
target kept; 'kept' events at its end stay in place. 'lost' is the share of NDCG@10 that the shuffle
takes, with a 95% interval over users (paired). All have the settings that
``benchmarks/amazon_beauty.py`` chose on validation, item-kNN also the best without decay. The files
keep the order of reviews and not their times; how ties in time were ordered is not known.
"""

from __future__ import annotations

from typing import Any

from behaviorseq import (
    ItemKNN,
    Recommender,
    Sequences,
    SequentialRules,
    leave_one_out,
    load,
    shuffle_test,
)
from measure import write_result

DATA = "amazon-beauty"
SEED = 0
MODELS: dict[str, Recommender] = {
    "sequential rules": SequentialRules(steps=50, decay=0.5),
    "item-kNN with decay": ItemKNN(shrink=50, decay=0.6),
    "item-kNN": ItemKNN(shrink=50, decay=1),
}


def main() -> None:
    """Fit, test and write the table."""
    data = load(DATA)
    split = leave_one_out(Sequences.from_events(data.events))
    rows: list[dict[str, Any]] = []
    for name, model in MODELS.items():
        model.fit(split.train)
        for keep in (0, 1):
            found = shuffle_test(model, split.test, last=50, keep=keep, seed=SEED)
            lost, low, high = (round(x, 5) for x in found.lost)
            row = {"model": name, "kept": keep, "NDCG@10": round(found.before, 5), "lost": lost}
            row |= {"low": low, "high": high, "p": found.test.p_value}
            rows.append(row | {"overlap": round(found.overlap, 4)})
            print(rows[-1], flush=True)
    write_result(
        "shuffle_beauty",
        rows,
        about=" ".join(__doc__.partition("Protocol: ")[2].split()),
        seed=SEED,
        data={"name": DATA, "files": {file.name: file.sha256 for file in data.source.files}},
    )


if __name__ == "__main__":
    main()

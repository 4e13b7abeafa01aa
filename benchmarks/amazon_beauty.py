"""Models without networks on Amazon Beauty, beside the figures that papers print.

Run ``python benchmarks/amazon_beauty.py``; it takes some twenty minutes on two cores, most of them
for EASE, ALS and BPR. The data comes from a folder named by ``BEHAVIORSEQ_DATA`` or is downloaded.
With ``--resume``, validation figures that are stored are not computed again; the chosen models are
always fitted, tested and timed anew. Set ``OMP_NUM_THREADS=1`` to time them on one thread.

Protocol, the one of the S3-Rec files: each user's last item is the test target, the last but one
the validation target; models are fitted on what remains (``split.train``); the history of a test
target holds the validation item too; all 12,101 items are ranked, those of the history left out.
Settings are chosen by NDCG@10 on the validation targets, from the grids below, before any test
target is looked at. Refitting the chosen settings on ``split.train_validation`` lifts every
figure; it is shown apart, since the printed figures come from models that never saw the
validation items.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from behaviorseq import (
    ALS,
    BPR,
    EASE,
    Holdout,
    ItemKNN,
    Popularity,
    Random,
    Recommender,
    Sequences,
    SequentialRules,
    Split,
    TextContent,
    UserKNN,
    evaluate,
    leave_one_out,
    load,
    stored_results,
)
from behaviorseq.evaluation.ranking import tie_groups
from behaviorseq.models.recommender import chunks
from measure import LIBRARIES, measured, write_result

DATA = "amazon-beauty"
METRICS = ("Recall@5", "NDCG@5", "Recall@10", "NDCG@10")
CHOOSE_BY = "NDCG@10"
SEED = 0

Kind = Callable[..., Recommender]


def attribute_content(weighting: Literal["tf-idf", "bag of words"], decay: float) -> TextContent:
    """Make the model that reads the attributes of the items, the description that is published."""
    items = load(DATA).items
    words = items["attributes"].map(lambda codes: " ".join(f"attribute{code}" for code in codes))
    table = pd.DataFrame({"item": items["item"], "attributes": words})
    return TextContent(table, ["attributes"], decay=decay, weighting=weighting)


# What is fitted, and how the history is weighed: decay plays no part in fitting. ALS and BPR know
# no order. A second grid looks further where the first one is too dear to be wide. ALS gains with
# the factors up to the 128 tried here, BPR with the epochs up to 80; more of either takes longer
# than all the rest, and both stay below the neighbors.
Grid = dict[str, tuple[Any, ...]]
GRIDS: dict[Kind, tuple[tuple[Grid, ...], tuple[float | None, ...]]] = {
    ItemKNN: (
        ({"shrink": (0.0, 10.0, 20.0, 50.0, 100.0, 200.0)},),
        (0.5, 0.6, 0.7, 0.8, 1.0),
    ),
    UserKNN: (
        ({"k": (20, 50, 100, 200, 500), "shrink": (0.0, 10.0, 30.0)},),
        (0.3, 0.5, 0.7, 1.0),
    ),
    SequentialRules: (
        ({"steps": (1, 3, 10, 50, 200), "reverse": (0.0, 0.5)},),
        (0.0, 0.3, 0.5, 0.7),
    ),
    EASE: (({"regularization": (20.0, 50.0, 100.0, 200.0)},), (None, 0.5, 0.6, 0.7, 0.8)),
    attribute_content: (({"weighting": ("tf-idf", "bag of words")},), (0.3, 0.5, 0.7, 1.0)),
    ALS: (
        (
            {"factors": (64,), "alpha": (5.0, 20.0, 50.0), "regularization": (3.0, 10.0, 30.0)},
            {"factors": (128,), "alpha": (20.0,), "regularization": (10.0, 30.0)},
        ),
        (),
    ),
    BPR: (
        (
            {"factors": (32,), "draw": ("uniform", "popular"), "epochs": (20, 40)},
            {"factors": (32,), "learning_rate": (0.2,), "epochs": (40, 80)},
        ),
        (),
    ),
}
# Named in advance, whatever validation prefers: floors, and what order in the history is worth.
FIXED = (Random(SEED), Popularity(), ItemKNN(shrink=10.0, decay=0.7))

S3REC = "S3-Rec repository, table all_rank.PNG (arXiv 2008.07873)"
TIGER = "TIGER, table 1 (arXiv 2305.05065)"
ESASREC = "eSASRec README (repository blondered/transformer_benchmark; arXiv 2508.06450)"
CORNAC = "cornac README of TIGER"
AUDIT = "community audit, 3 seeds, ties shuffled"
# Model, source, how it was read ("V": the authors' own repository or paper page; "V2": a
# transcription), and Recall@5, NDCG@5, Recall@10, NDCG@10.
PUBLISHED = (
    ("PopRec", S3REC, "V", 0.0080, 0.0044, 0.0152, 0.0068),
    ("GRU4Rec", S3REC, "V", 0.0164, 0.0099, 0.0283, 0.0137),
    ("Caser", S3REC, "V", 0.0205, 0.0131, 0.0347, 0.0176),
    ("BERT4Rec", S3REC, "V", 0.0203, 0.0124, 0.0347, 0.0170),
    ("SASRec, one negative, BCE", S3REC, "V", 0.0387, 0.0249, 0.0605, 0.0318),
    ("S3-Rec", S3REC, "V", 0.0387, 0.0244, 0.0647, 0.0327),
    ("P5", TIGER, "V2", 0.0163, 0.0107, 0.0254, 0.0136),
    ("TIGER", TIGER, "V2", 0.0454, 0.0321, 0.0648, 0.0384),
    ("HSTU, reported", ESASREC, "V", None, None, 0.0704, 0.0389),
    ("HSTU, recalculated", ESASREC, "V", None, None, 0.0788, 0.0439),
    ("ActionPiece", ESASREC, "V", None, None, 0.0775, 0.0424),
    ("COBRA", "COBRA (arXiv 2503.02453)", "V2", None, None, 0.0725, 0.0456),
    ("LC-Rec, third party", "phonism/genrec README", "V", None, None, 0.0791, 0.0438),
    ("RPG, rerun", "cornac pull request 715", "V", None, None, 0.0789, 0.0454),
    ("DuoRec, reported", ESASREC, "V", None, None, 0.0845, 0.0443),
    ("SASRec, BCE, tuned", CORNAC, "V", None, None, 0.0740, 0.0423),
    ("SASRec, cross-entropy", AUDIT, "V", None, None, 0.0859, 0.0503),
    ("SASRec, sampled softmax", ESASREC, "V", None, None, 0.0921, 0.0531),
    ("eSASRec", ESASREC, "V", None, None, 0.0928, 0.0523),
)


def beauty() -> Split:
    """Load the log and hold out two items a user."""
    return leave_one_out(Sequences.from_events(load(DATA).events))


def try_settings(kind: Kind, fitting: dict[str, Any]) -> list[dict[str, Any]]:
    """Fit one model on the training histories and score each decay on validation."""
    split = beauty()
    weighings = [{"decay": decay} for decay in GRIDS[kind][1]] or [{}]
    model = kind(**fitting, **weighings[0]).fit(split.train)
    tried = []
    for weighing in weighings:
        vars(model).update(weighing)
        value = evaluate(model, split.validation, [CHOOSE_BY]).mean(CHOOSE_BY)
        tried.append({"model": repr(model), "settings": fitting | weighing, "value": value})
    return tried


def choose(kind: Kind, known: dict[str, float]) -> tuple[list[Recommender], list[dict[str, Any]]]:
    """Choose a model's settings on validation; and, to tell what order adds, the best without.

    ``known`` holds validation figures that need not be computed again.
    """
    grids, decays = GRIDS[kind]
    tried = []
    for grid in grids:
        for values in itertools.product(*grid.values()):
            fitting = dict(zip(grid, values, strict=True))
            rows = recalled(kind, fitting, decays, known)
            tried += rows or measured(try_settings, kind, fitting, runs=1).result
            print(f"  validation {tried[-1]['model']} {tried[-1]['value']:.5f}", flush=True)
    best = max(tried, key=lambda row: row["value"])
    chosen = [kind(**best["settings"])]
    orderless = [row for row in tried if row["settings"].get("decay") in (None, 1.0)]
    if orderless and best not in orderless:
        chosen.append(kind(**max(orderless, key=lambda row: row["value"])["settings"]))
    return chosen, [{"model": row["model"], CHOOSE_BY: round(row["value"], 5)} for row in tried]


def recalled(
    kind: Kind, fitting: dict[str, Any], decays: Sequence[float | None], known: dict[str, float]
) -> list[dict[str, Any]]:
    """Give the rows of ``try_settings`` if all of them are known, or none."""
    settings = [fitting | {"decay": decay} for decay in decays] or [fitting]
    rows = [{"model": repr(kind(**s)), "settings": s} for s in settings]
    if not all(row["model"] in known for row in rows):
        return []
    return [row | {"value": known[row["model"]]} for row in rows]


def stored_validation() -> dict[str, float]:
    """Read the validation figures of the last run, by model."""
    validation = stored_results("amazon_beauty").attrs["validation"]
    return {row["model"]: row[CHOOSE_BY] for rows in validation.values() for row in rows}


def assess(split: Split, model: Recommender, fit_on: str) -> dict[str, Any]:
    """Fit, evaluate on the test targets, and time both."""
    start, cpu_start = time.perf_counter(), time.process_time()
    model.fit(getattr(split, fit_on))
    fitted, cpu_fitted = time.perf_counter(), time.process_time()
    evaluation = evaluate(model, split.test, METRICS)
    done = time.perf_counter()
    intervals = {m: evaluation.interval(m, seed=SEED) for m in METRICS}
    return {
        "model": repr(model),
        "fitted_on": fit_on,
        **{m: round(interval.value, 5) for m, interval in intervals.items()},
        "intervals": {m: [round(i.low, 5), round(i.high, 5)] for m, i in intervals.items()},
        "ties_won": ties_won(model, split.test),
        "fit_seconds": round(fitted - start, 2),
        "fit_cpu_seconds": round(cpu_fitted - cpu_start, 2),
        "evaluate_seconds": round(done - fitted, 2),
        "users": evaluation.counts["users"],
    }


def ties_won(model: Recommender, holdout: Holdout) -> dict[str, float]:
    """Give each target the best place among the items it ties with, as some evaluators do.

    ``evaluate`` takes the expectation over the orders of tied items instead. The two differ where
    many items tie, that is for popularity; this one flatters.
    """
    ranks = []
    for start, stop in chunks(len(holdout), 4 * holdout.histories.n_items):
        histories, targets = (
            part.slice(start, stop) for part in (holdout.histories, holdout.targets)
        )
        scores = model.score(histories)
        scores[histories.row_of_event, histories.items] = -np.inf
        groups = tie_groups(scores, targets.row_of_event, targets.items)
        rank = np.full(stop - start, np.inf)
        rank[groups.row] = groups.above + 1
        ranks.append(rank)
    rank = np.concatenate(ranks)
    hits = {f"Recall@{k}": rank <= k for k in (5, 10)}
    gains = {f"NDCG@{k}": (rank <= k) / np.log2(rank + 1) for k in (5, 10)}
    return {m: round(float((hits | gains)[m].mean()), 5) for m in METRICS}


def prepared(model: Recommender, fit_on: str) -> tuple[Split, Recommender, str]:
    """Make the arguments of ``assess`` in a fresh process."""
    return beauty(), model, fit_on


def main() -> None:
    """Choose settings, assess every model, print the table and write the result."""
    parser = argparse.ArgumentParser(description="Amazon Beauty without networks")
    parser.add_argument("--resume", action="store_true", help="trust stored validation figures")
    known = stored_validation() if parser.parse_args().resume else {}
    models, validation = list(FIXED), {}
    for kind in GRIDS:
        chosen, validation[kind.__name__] = choose(kind, known)
        models += [model for model in chosen if repr(model) not in map(repr, models)]
    runs = [(model, "train") for model in models]
    cheap = [m for m in models if not isinstance(m, ALS | BPR | EASE | Random)]
    runs += [(model, "train_validation") for model in cheap]
    rows = []
    for model, fit_on in runs:
        outcome = measured(assess, model, fit_on, prepare=prepared, runs=1)
        rows.append(outcome.result | {"peak_mb": round(outcome.peak_bytes / 1e6)})
        print(line(rows[-1]["model"], [rows[-1][m] for m in METRICS], fit_on), flush=True)
    published = [
        {"model": name, "source": source, "read": read, **dict(zip(METRICS, values, strict=True))}
        for name, source, read, *values in PUBLISHED
    ]
    print_table(rows, published)
    file = load(DATA).source.files[0]  # the histories; the others describe items
    write_result(
        "amazon_beauty",
        rows,
        about=__doc__.partition("Protocol, ")[2].strip(),
        seed=SEED,
        libraries=[*LIBRARIES, "scikit-learn"],
        data={"name": DATA, "file": file.name, "sha256": file.sha256},
        validation=validation,
        published=published,
    )


def line(name: str, values: Iterable[float | None], end: str) -> str:
    """Format one row of the table."""
    cells = "  ".join("     " if v is None else f"{v:.4f}"[1:] for v in values)
    return f"{name:<75} {cells}  {end}"


def print_table(rows: Sequence[dict[str, Any]], published: Sequence[dict[str, Any]]) -> None:
    """Print what was measured and what is printed elsewhere, best first."""
    print(f"\n{'':<75} R@5    N@5    R@10   N@10")
    for title, table in (("Measured here", rows), ("Published", published)):
        print(title)
        for row in sorted(table, key=lambda row: -row[CHOOSE_BY]):
            end = row.get("source") or (
                f"{row['fitted_on']}; fit {row['fit_seconds']} s ({row['fit_cpu_seconds']} s of "
                f"processor), evaluate {row['evaluate_seconds']} s, {row['peak_mb']} MB"
            )
            print(line(row["model"], [row[m] for m in METRICS], end))


if __name__ == "__main__":
    main()

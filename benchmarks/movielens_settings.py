"""Settings of the models of section 2.3, chosen on the validation targets of MovieLens 100K.

Run ``python benchmarks/movielens_settings.py``; it takes some ten minutes on two cores. The data
comes from a folder named by ``BEHAVIORSEQ_DATA`` or is downloaded.

Protocol: for each of two splits, leave-one-out and by time (the next event after a moment), models
are fitted on ``split.train`` and judged by NDCG@10 on ``split.validation``, all films ranked,
those of the history left out. No test target is looked at; a setting for the split by time is not
chosen on leave-one-out, whose targets lie after the moment. Every setting of each grid is a row;
the chapter takes the best row of each family. The values of the other settings are the models'
defaults. Grids were widened until the best row of leave-one-out lay inside, or its neighbors
differed by far less than its interval (ALS, BPR, the support vector machine), or what lies beyond
takes longer to fit than the chapter may (hidden units, drawn zeros of squared error).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from behaviorseq import (
    ALS,
    BPR,
    EASE,
    BiasedMF,
    Blend,
    FeatureModel,
    ItemKNN,
    Popularity,
    RecentPopularity,
    Recommender,
    Sequences,
    Split,
    Switch,
    TextContent,
    UserKNN,
    evaluate,
    global_time_split,
    leave_one_out,
    load,
)
from measure import LIBRARIES, write_result

DATA = "movielens-100k"
METRIC = "NDCG@10"
DECAYS = (0.3, 0.5, 0.7, 0.8, 0.9, 1.0)
SPLITS: dict[str, Callable[[Sequences], Split]] = {
    "leave-one-out": leave_one_out,
    "by time": global_time_split,
}
Grid = dict[str, tuple[Any, ...]]


def features(items: pd.DataFrame, decay: float) -> dict[str, Recommender]:
    """Make the feature models of the chapter; item-kNN with the decay chosen for it."""
    return {
        "popularity": Popularity(),
        "popularity, last 7 days": RecentPopularity(days=7),
        "item-kNN": ItemKNN(decay=decay),
        "item-kNN, order ignored": ItemKNN(decay=1.0),
        "content": TextContent(items, ["title", "genres"]),
    }


def families(items: pd.DataFrame) -> dict[str, tuple[Callable[..., Recommender], Grid]]:
    """Give the models that stand alone, each with its grid."""
    columns = ["title", "genres"]
    return {
        "recent popularity": (RecentPopularity, {"days": (1, 3, 7, 14, 30, 90)}),
        "bag of words": (
            lambda decay: TextContent(items, columns, decay=decay, weighting="bag of words"),
            {"decay": DECAYS},
        ),
        "TF-IDF": (lambda decay: TextContent(items, columns, decay=decay), {"decay": DECAYS}),
        "user-kNN": (UserKNN, {"k": (10, 20, 50, 100, 200), "decay": DECAYS}),
        "item-kNN": (ItemKNN, {"shrink": (0.0, 10.0, 50.0), "decay": DECAYS}),
        "EASE": (
            EASE,
            {"regularization": (200.0, 500.0, 1000.0, 2000.0), "decay": (0.8, 0.9, 0.95, None)},
        ),
        "ALS": (
            ALS,
            {
                "factors": (16, 32, 64),
                "alpha": (0.02, 0.1, 1.0),
                "regularization": (0.3, 1.0, 5.0),
            },
        ),
        "BPR": (
            BPR,
            {
                "draw": ("uniform", "popular"),
                "learning_rate": (0.05, 0.1, 0.2),
                "regularization": (0.005, 0.02),
            },
        ),
        "MF, ratings": (BiasedMF, {"regularization": (0.02, 0.05, 0.1), "epochs": (5, 10, 20)}),
        "MF, taken or not": (
            BiasedMF,
            {
                "negatives": (8,),
                "learning_rate": (0.05, 0.1, 0.2),
                "regularization": (0.003, 0.01, 0.03),
                "epochs": (10,),
            },
        ),
    }


def hybrids(
    items: pd.DataFrame, best: dict[str, dict[str, Any]]
) -> dict[str, tuple[Callable[..., Recommender], Grid]]:
    """Give the models that are made of others, these with the settings chosen for them."""
    knn, decay = best["item-kNN"], best["item-kNN"]["decay"]

    def learner(estimator: Any) -> Recommender:
        return FeatureModel(estimator, features(items, decay), positives=2)

    def blend(other: Callable[[], Recommender]) -> Callable[..., Recommender]:
        return lambda weight: Blend([ItemKNN(**knn), other()], [1, weight])

    weights: Grid = {"weight": (0.05, 0.1, 0.2, 0.5, 1.0)}
    return {
        "linear regression": (lambda: learner(LinearRegression()), {}),
        "decision tree": (
            lambda depth: learner(
                DecisionTreeClassifier(max_depth=depth, min_samples_leaf=50, random_state=0)
            ),
            {"depth": (2, 3, 4, 6, 8)},
        ),
        "support vector machine": (
            lambda C: learner(LinearSVC(C=C)),
            {"C": (0.001, 0.01, 0.1, 1.0)},
        ),
        "neural network": (
            lambda width: learner(MLPClassifier((width,), early_stopping=True, random_state=0)),
            {"width": (16, 32, 64)},
        ),
        "content + collaborative": (
            blend(lambda: TextContent(items, ["title", "genres"], **best["TF-IDF"])),
            weights,
        ),
        "model + collaborative": (blend(lambda: EASE(**best["EASE"])), weights),
        "rule": (
            lambda min_events: Switch(UserKNN(**best["user-kNN"]), ItemKNN(**knn), min_events),
            {"min_events": (30, 60, 120)},
        ),
    }


def tried(
    family: str, make: Callable[..., Recommender], grid: Grid, split: Split
) -> list[dict[str, Any]]:
    """Fit and judge every setting of a grid."""
    rows = []
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        start = time.process_time()
        model = make(**settings).fit(split.train)
        seconds = time.process_time() - start
        value, low, high = evaluate(model, split.validation, [METRIC]).interval(METRIC)
        row = {"family": family, "settings": settings, METRIC: round(value, 5)}
        rows.append(
            row | {"low": round(low, 5), "high": round(high, 5), "cpu_s": round(seconds, 2)}
        )
        print(f"  {family:<25} {value:.4f}  {settings}", flush=True)
    return rows


def all_tried(items: pd.DataFrame, split: Split) -> list[dict[str, Any]]:
    """Try all grids on one split: first the models that stand alone, then those made of them."""
    rows: list[dict[str, Any]] = []
    for family, (make, grid) in families(items).items():
        rows += tried(family, make, grid, split)
    best: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row[METRIC]):
        best[row["family"]] = row["settings"]
    for family, (make, grid) in hybrids(items, best).items():
        rows += tried(family, make, grid, split)
    return rows


def main() -> None:
    """Try all grids on both splits and write the result."""
    data = load(DATA)
    histories = Sequences.from_events(data.events)
    rows = []
    for name, split in SPLITS.items():
        print(name)
        rows += [{"split": name} | row for row in all_tried(data.items, split(histories))]
    write_result(
        "movielens_settings",
        rows,
        about=__doc__.partition("Protocol: ")[2].strip(),
        seed=0,
        libraries=[*LIBRARIES, "scikit-learn"],
        data={"name": DATA, "files": {file.name: file.sha256 for file in data.source.files}},
    )


if __name__ == "__main__":
    main()

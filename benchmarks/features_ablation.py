"""What each family of features adds to predicting whether a user buys in the next seven days.

Run ``python benchmarks/features_ablation.py``. The data of Complete Journey come from a folder
named by ``BEHAVIORSEQ_DATA`` or are downloaded; the shop is simulated.

Protocol: at each of some weekly moments every known user is described by features of what lies
before the moment, and the label says whether the user buys in the seven days from it on. Graph,
texts and networks are fitted at the first moment. Gradient boosting learns from the first moments;
number and size of its trees are chosen, for each set of families by itself, by the log loss at the
moments after them; then it learns from both and is tested at the last moments. Intervals are 95%
bootstrap intervals over users: all rows of a user are drawn together. They say nothing of the
chance in the choice of settings: a difference whose interval barely leaves out 0 is but a hint.

The leak: features computed one week too late, over the week that is to be predicted, as happens
where a table is grouped by user without a look at the time. Judged on a test table with the same
fault, and then as it would serve: on what is known at the moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss

from behaviorseq import (
    GRU4Rec,
    NextItNet,
    Training,
    auc_interval,
    auc_test,
    bootstrap_interval,
    load,
    simulate,
)
from behaviorseq.features import (
    Family,
    Features,
    GraphFeatures,
    LearnedFeatures,
    TableFeatures,
    TextFeatures,
    purchase_statistics,
    series_features,
    user_statistics,
    value_statistics,
)
from measure import LIBRARIES, write_result

SEED = 0
WEEK = pd.Timedelta(days=7)
LEAVES = (4, 15)
TREES = range(20, 401, 20)
N_BOOTSTRAP = 500
BASE = "statistics"  # what an analyst would count first
Families = dict[str, Family]


@dataclass(frozen=True)
class Task:
    """A log, its families of features, and the moments to learn, choose and test at."""

    name: str
    events: pd.DataFrame
    families: Families
    learn: pd.DatetimeIndex
    choose: pd.DatetimeIndex
    test: pd.DatetimeIndex


def moments(first: str, n_learn: int, n_choose: int, n_test: int) -> tuple[pd.DatetimeIndex, ...]:
    """Give weekly moments, in three groups one after the other."""
    every = pd.date_range(first, periods=n_learn + n_choose + n_test, freq=WEEK)
    return every[:n_learn], every[n_learn:-n_test], every[-n_test:]


def learned(behavior: str | None = None) -> Families:
    """Make the families of a recurrent and of a convolutional network."""
    training = Training(epochs=3, seed=SEED)
    return {
        "recurrent": LearnedFeatures(GRU4Rec(width=16, dropout=0.1, training=training), behavior),
        "convolutional": LearnedFeatures(
            NextItNet(width=16, dropout=0.1, training=training), behavior
        ),
    }


def complete_journey() -> Task:
    """Make the task of a year of supermarket baskets."""
    data = load("complete-journey")
    columns = ["user", "item", "time", "behavior", "value"]
    families: Families = {
        "statistics": TableFeatures(user_statistics, {"behaviors": ["purchase"]}),
        "amounts": TableFeatures(value_statistics),
        "purchases": TableFeatures(purchase_statistics),
        "series": TableFeatures(series_features, {"value": "value"}),
        "graph": GraphFeatures(),
        "text": TextFeatures(data.items, ["item", "department"]),
        **learned(),
    }
    return Task("complete-journey", data.events[columns], families, *moments("2017-08-07", 8, 3, 5))


def shop() -> Task:
    """Make the task of twelve weeks of the simulated shop; items are those that were clicked."""
    data = simulate.world("shop", n_users=3000, n_items=400, days=84, seed=SEED).log()
    families: Families = {
        "statistics": TableFeatures(user_statistics),
        "amounts": TableFeatures(value_statistics, {"value": "price"}, behavior="purchase"),
        "purchases": TableFeatures(purchase_statistics, {"value": "price"}),
        "series": TableFeatures(series_features, behavior="click"),
        "graph": GraphFeatures(behavior="click"),
        "text": TextFeatures(data.items, ["title", "category"], behavior="click"),
        **learned("click"),
    }
    return Task("shop", data.events, families, *moments("2024-01-29", 3, 1, 4))


def tables(task: Task) -> dict[pd.Timestamp, pd.DataFrame]:
    """Compute all features at all moments, and a week after the last one for the leak."""
    features = Features(task.families).fit(task.events, task.learn[0])
    every = [*task.learn, *task.choose, *task.test, task.test[-1] + WEEK]
    return {moment: features.at(task.events, moment) for moment in every}


def labels(task: Task, moment: pd.Timestamp, users: pd.Index) -> NDArray[np.int64]:
    """Say who buys in the seven days from the moment on."""
    bought = task.events[task.events["behavior"] == "purchase"]
    inside = (bought["time"] >= moment) & (bought["time"] < moment + WEEK)
    found: NDArray[np.int64] = users.isin(bought.loc[inside, "user"]).astype(np.int64)
    return found


def stacked(
    task: Task, made: dict[pd.Timestamp, pd.DataFrame], at: Sequence[pd.Timestamp], *, leak: bool
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Put users at several moments below each other; with the leak, as of a week later."""
    parts = [
        (made[moment + WEEK] if leak else made[moment]).loc[made[moment].index] for moment in at
    ]
    truth = [labels(task, moment, made[moment].index) for moment in at]
    return pd.concat(parts), np.concatenate(truth)


def chosen(
    columns: list[str], learn: tuple[Any, Any], choose: tuple[Any, Any]
) -> tuple[dict[str, int], HistGradientBoostingClassifier]:
    """Choose the settings of boosting for some columns, then learn from both groups."""
    best, least = {}, np.inf
    for leaves in LEAVES:
        model = boosting(leaves, max(TREES)).fit(learn[0][columns], learn[1])
        for trees, made in enumerate(model.staged_predict_proba(choose[0][columns]), start=1):
            if trees in TREES and (loss := log_loss(choose[1], made[:, 1])) < least:
                best, least = {"leaves": leaves, "trees": trees}, loss
    both = pd.concat([learn[0], choose[0]])[columns], np.concatenate([learn[1], choose[1]])
    return best, boosting(**best).fit(*both)


def boosting(leaves: int, trees: int) -> HistGradientBoostingClassifier:
    """Make the classifier."""
    return HistGradientBoostingClassifier(
        learning_rate=0.05, max_leaf_nodes=leaves, max_iter=trees, random_state=SEED
    )


def judged(
    scores: dict[str, NDArray[np.float64]], users: pd.Index, truth: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Measure every set of families, and its distance from the set that it is compared with."""
    of_user = pd.factorize(users)[0]
    drawn: dict[str, Any] = {"users": of_user, "n_bootstrap": N_BOOTSTRAP, "seed": SEED}
    losses = {name: losses_of_users(own, of_user, truth) for name, own in scores.items()}
    rows = []
    for name, own in scores.items():
        area = auc_interval(truth, own, **drawn)
        row = {"features": name, "auc": area.value, "auc_low": area.low, "auc_high": area.high}
        row["log_loss"] = losses[name].mean()
        if (other := compared_with(name)) is not None:
            test = auc_test(truth, own, scores[other], **drawn)
            loss = bootstrap_interval(losses[name] - losses[other], seed=SEED)
            row |= {"against": other, "auc_difference": test.difference}
            row |= {"auc_difference_low": test.low, "auc_difference_high": test.high}
            row |= {"log_loss_difference": loss.value, "log_loss_difference_low": loss.low}
            row["log_loss_difference_high"] = loss.high
        rows.append(row)
    return rows


def losses_of_users(
    scores: NDArray[np.float64], of_user: NDArray[np.intp], truth: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Give the mean log loss of each user."""
    own = -np.log(np.where(truth == 1, scores, 1 - scores))
    mean: NDArray[np.float64] = np.bincount(of_user, own) / np.bincount(of_user)
    return mean


def compared_with(name: str) -> str | None:
    """Say which set of families another one is judged against."""
    if name.startswith(f"{BASE} + ") or name == "all":
        return BASE
    return "all" if name.startswith(("all - ", "leak")) else None


def sets(families: Families) -> dict[str, list[str]]:
    """Name the sets of families: the base, one more, all, all but one."""
    others = [name for name in families if name != BASE]
    more = {f"{BASE} + {name}": [BASE, name] for name in others}
    less = {f"all - {name}": [n for n in families if n != name] for name in families}
    return {BASE: [BASE], **more, "all": list(families), **less}


def measured(task: Task) -> list[dict[str, Any]]:
    """Run one task."""
    started = time.process_time()
    made = tables(task)
    print(
        f"{task.name}: features in {time.process_time() - started:.0f} s of processor time",
        flush=True,
    )
    learn, choose, test = (
        stacked(task, made, at, leak=False) for at in (task.learn, task.choose, task.test)
    )
    share = np.concatenate([learn[1], choose[1]]).mean()
    scores = {"base rate": np.full(len(test[1]), share)}
    facts: dict[str, dict[str, Any]] = {"base rate": {"n_features": 0, "setting": {}}}
    # Boosting refuses a column without any entry, such as a rate of clicks in a log without them.
    useful = [c for c in learn[0] if learn[0][c].notna().any()]
    for name, families in sets(task.families).items():
        columns = [c for c in useful if c.partition(":")[0] in families]
        setting, model = chosen(columns, learn, choose)
        scores[name] = model.predict_proba(test[0][columns])[:, 1]
        facts[name] = {"n_features": len(columns), "setting": setting}
        print(f"{task.name}: {name}, {time.process_time() - started:.0f} s", flush=True)
    late = [stacked(task, made, at, leak=True) for at in (task.learn, task.choose, task.test)]
    setting, model = chosen(useful, late[0], late[1])
    for name, rows in (("leak, as judged", late[2]), ("leak, as served", test)):
        scores[name] = np.clip(model.predict_proba(rows[0][useful])[:, 1], 1e-6, 1 - 1e-6)
        facts[name] = {"n_features": len(useful), "setting": setting}
    users = test[0].index
    common = {"data": task.name, "users": users.nunique(), "rows": len(users)}
    common |= {"buyers": test[1].mean()}
    return [common | row | facts[row["features"]] for row in judged(scores, users, test[1])]


def main() -> None:
    """Run both tasks and store the table."""
    started = time.process_time()
    makers: tuple[Callable[[], Task], ...] = (complete_journey, shop)
    rows = [row for make in makers for row in measured(make())]
    numbers = [{k: round(v, 5) if isinstance(v, float) else v for k, v in r.items()} for r in rows]
    print(pd.DataFrame(numbers).drop(columns="setting").to_string(index=False))
    path = write_result(
        "features_ablation",
        numbers,
        about="Purchase in the next 7 days by gradient boosting on families of features: the base, "
        "the base and one more, all, all but one; with a leak. "
        "Tested at later weeks than learned and chosen at.",
        seed=SEED,
        libraries=(*LIBRARIES, "scikit-learn", "torch"),
        cpu_seconds=round(time.process_time() - started),
    )
    print(path)


if __name__ == "__main__":
    main()

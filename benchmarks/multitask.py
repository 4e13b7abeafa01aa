"""Several tasks in one network against one network a task; click, purchase and selection.

Run ``python benchmarks/multitask.py``: the simulated shop, MovieLens-100K and what the shop
showed, half an hour of one core. What is stored is not run again; ``--again`` begins anew.
``--census FOLDER`` adds Census-Income (KDD) from a folder that holds ``census-income.data`` and
``census-income.test`` of the UCI machine learning repository, data set 117; it is not part of the
stored results.

Protocol: users are dealt out by seed, half to learn from, 15% to validate, the rest to test; the
shop is another one for each seed. 'shop': after up to 20 events of each of 1,500 users the next
behavior, the next category, a purchase within 7 days, the household. 'movielens-100k': of up to 30
films of each user whether the rating is 4 or 5, the genres of the film rated next, the age group.
All networks read the last 20 events with a GRU of width 32 and have the same number of parameters
to 5%, so that the models of one task, 'single', together have as many times more as there are
tasks; 'single, small', of width 12, have that number together. Dropout, .1 or .3, is chosen for
each model by validation with seed 0. Training stops when three epochs in a row are no better on
validation: the mean over tasks of the loss over that of the base rate. 'shared, own stops': the
shared bottom trained for all 20 epochs, each task answered by the epoch that is best for it on
validation. 'auc': for several classes the mean of each against the rest. 'alone': mean of the
models 'against' which one of all tasks is compared. 'difference' from them: mean over five seeds
with a 95% t-interval; 'win' and 'loss' where the interval lies on one side of 0. 'impressions':
click and purchase of all that the shop showed, where the true rates are known for what was not
clicked, too. 'naive': purchases after clicks only. 'shared': the same beside the click, one reader.
'ESMM'. 'weighted, estimated' and 'weighted, true': naive, each click weighted by one over its
probability (at most 100), as the network 'shared' estimates it or as it is. 'all labels': what
nobody has, purchases drawn for all impressions. These train for four epochs with a rate that falls
to 0, dropout .1, and keep the epoch that is best on validation. 'ratio': mean stated over mean true
rate of all impressions; 'loss' and 'auc': expected under the true rates. One thread.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from behaviorseq import (
    ESMM,
    Examples,
    Head,
    MultiTask,
    Training,
    expected_auc,
    expected_losses,
    impression_examples,
    impressions,
    load,
    next_examples,
    of_size,
    rating_examples,
    simulate,
    task_auc,
    task_losses,
)
from measure import LIBRARIES, RESULTS, write_result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Parts = tuple[Examples, Examples, Examples]
    Row = dict[str, Any]

NAME, SEEDS, SHARES = "multitask", (0, 1, 2, 3, 4), (0.5, 0.15)
SHOP = {"n_users": 1500, "n_items": 400, "days": 60}
DATA = ("shop", "movielens-100k")
SIZES = {"shop": 29_000, "movielens-100k": 78_000, "census-income": 38_000}
MODELS = {
    "shared bottom": {},
    "MMoE": {"sharing": "mmoe"},
    "PLE": {"sharing": "ple"},
    "shared, uncertainty": {"weighting": "uncertainty"},
    "shared, scaled": {"weighting": "scaled"},
}
OWN_STOPS, SMALL, SMALL_WIDTH = "shared, own stops", "single, small", 12
DROPOUTS = (0.1, 0.3)
TRAINING = Training(epochs=20, learning_rate=2e-3, batch_size=128, patience=3)
BRIEF = Training(
    epochs=4, learning_rate=3e-3, schedule="cosine", warmup=0.05, batch_size=64, patience=4
)
CENSUS_NUMBERS = (0, 5, 16, 17, 18, 30, 39)  # columns that are numbers
CENSUS_WEIGHT, CENSUS_MARITAL, CENSUS_INCOME = 24, 7, 41


@cache
def examples_of(data: str, seed: int, folder: str = "") -> tuple[Parts, tuple[Head, ...]]:
    """Make training, validation and test examples, and the tasks."""
    if data == "census-income":
        train, test, heads = read_census(Path(folder))
        kept, held = train.deal((0.85,), seed)
        return (kept, held, test), heads
    if data == "shop":
        found, heads = next_examples(simulate.world("shop", **SHOP, seed=seed).log(), seed=seed)
    else:
        found, heads = rating_examples(load(data), per_user=30, seed=seed)
    train, validation, test = found.deal(SHARES, seed)
    return (train, validation, test), heads


def read_census(folder: Path) -> tuple[Examples, Examples, tuple[Head, ...]]:
    """Read Census-Income (KDD): training and test examples without a history, and two tasks.

    The tasks are those of the paper of MMoE: an income above 50,000 dollars, and never married.
    Neither column, nor the instance weight, is an input.
    """
    tables = [
        pd.read_csv(folder / f"census-income.{part}", header=None, skipinitialspace=True, dtype=str)
        for part in ("data", "test")
    ]
    for table in tables:
        if table.shape[1] != 42:
            raise ValueError(f"{folder}: a row of Census-Income has 42 columns: {table.shape}")
    both = pd.concat(tables, ignore_index=True)
    hidden = (CENSUS_WEIGHT, CENSUS_MARITAL, CENSUS_INCOME)
    named = [c for c in range(42) if c not in (*CENSUS_NUMBERS, *hidden)]
    coded = [pd.factorize(both[c], sort=True) for c in named]
    numbers = np.log1p(both[list(CENSUS_NUMBERS)].astype(float).to_numpy())
    numbers = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0).clip(1e-6)
    n, people = len(both), np.arange(len(both))
    every = Examples(
        sizes=tuple(len(names) for _, names in coded),
        codes=np.zeros((0, len(named)), dtype=np.int64),
        numbers=np.zeros((0, 0), dtype=np.float32),
        starts=np.zeros(n, dtype=np.int64),
        lengths=np.zeros(n, dtype=np.int64),
        row=people,
        asked_codes=np.column_stack([codes for codes, _ in coded]).astype(np.int64),
        asked_numbers=numbers.astype(np.float32),
        labels={
            "income": both[CENSUS_INCOME].str.startswith("50000+").to_numpy(dtype=np.float32),
            "never married": (both[CENSUS_MARITAL] == "Never married").to_numpy(np.float32),
        },
        users=people,
    )
    first = people < len(tables[0])
    return every.of(first), every.of(~first), (Head("income"), Head("never married"))


def trained(model: MultiTask, train: Examples, validation: Examples) -> tuple[MultiTask, Row]:
    """Fit a model; say what it took."""
    start = time.process_time()
    model.fit(train, validate=lambda m: -m.relative_loss(validation))
    history = model.history
    assert model.network is not None
    return model, {
        "dropout": model.dropout,
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "validation": round(float(history["validation"].max()), 5),
        "best_epoch": int(history["epoch"][history["validation"].idxmax()]),
        "epochs": len(history),
        "cpu_s": round(time.process_time() - start, 1),
    }


def judged(model: MultiTask, test: Examples) -> Iterator[Row]:
    """Judge each task of a model."""
    chances = model.predict(test)
    for head in model.heads:
        yield measures(head.name, chances[head.name], test)


def measures(task: str, chances: NDArray[Any], test: Examples) -> Row:
    """Give the mean log-loss and the area of what is said of a task."""
    labels = test.labels[task]
    loss = float(np.nanmean(task_losses(chances, labels)))
    return {"task": task, "loss": round(loss, 5), "auc": round(task_auc(chances, labels), 5)}


def variants(data: str, heads: tuple[Head, ...], examples: Examples) -> dict[str, list[MultiTask]]:
    """Make all models, those of one task as a list; each has the size, or the small ones have."""

    def made(size: int, **options: Any) -> MultiTask:
        return of_size(MultiTask(training=TRAINING, **options), examples, size)

    size = SIZES[data]
    small = {"size": size // len(heads), "width": SMALL_WIDTH}
    return {
        "single": [made(size, heads=(head,)) for head in heads],
        **{name: [made(size, heads=heads, **options)] for name, options in MODELS.items()},
        SMALL: [made(heads=(head,), **small) for head in heads],
    }


def tasks(
    data: str, seed: int, there: set[str], tried: list[Row], folder: str = ""
) -> Iterator[Row]:
    """Run the models that are not there, with one seed; dropout is chosen with the first seed."""
    (train, validation, test), heads = examples_of(data, seed, folder)
    for name, models in variants(data, heads, train).items():
        if name in there:
            continue
        for model in models:
            key = {"data": data, "model": name, "tasks": [head.name for head in model.heads]}
            seeded = replace(model, training=replace(TRAINING, seed=seed))
            outcomes = []
            for dropout in DROPOUTS if seed == SEEDS[0] else (chosen(tried, key),):
                outcomes.append(trained(replace(seeded, dropout=dropout), train, validation))
                if seed == SEEDS[0]:
                    tried.append(key | outcomes[-1][1])
            fitted, cost = max(outcomes, key=lambda outcome: outcome[1]["validation"])
            for row in judged(fitted, test):
                yield {"data": data, "model": name, "seed": seed, **row, **cost}
    if OWN_STOPS not in there:
        yield from own_stops(data, seed, tried, folder)


def own_stops(data: str, seed: int, tried: list[Row], folder: str = "") -> Iterator[Row]:
    """Train a shared bottom to the end; answer each task by the epoch that is best for it."""
    (train, validation, test), heads = examples_of(data, seed, folder)
    names = [head.name for head in heads]
    dropout = chosen(tried, {"data": data, "model": "shared bottom", "tasks": names})
    training = replace(TRAINING, seed=seed, patience=TRAINING.epochs)
    model = of_size(MultiTask(heads=heads, training=training), train, SIZES[data])
    least: dict[str, tuple[float, int, NDArray[Any]]] = {}
    epochs = iter(range(1, TRAINING.epochs + 1))

    def validate(m: MultiTask) -> float:
        epoch, said = next(epochs), m.predict(test)
        for name, loss in zip(names, m.losses_on(validation).tolist(), strict=True):
            if name not in least or loss < least[name][0]:
                least[name] = (loss, epoch, said[name])
        return -m.relative_loss(validation)

    fitted = replace(model, dropout=dropout).fit(train, validate=validate)
    assert fitted.network is not None
    size = sum(p.numel() for p in fitted.network.parameters())
    for name, (_, epoch, said) in least.items():
        found = {"data": data, "model": OWN_STOPS, "seed": seed, **measures(name, said, test)}
        yield found | {"dropout": dropout, "parameters": size, "best_epoch": epoch}


def chosen(tried: list[Row], key: Row) -> float:
    """Give the dropout that was best on validation for a model."""
    same = [t for t in tried if all(t[name] == value for name, value in key.items())]
    return float(max(same, key=lambda t: t["validation"])["dropout"])


def shown_examples(seed: int) -> tuple[Examples, NDArray[np.float64]]:
    """Give all impressions of a shop, and the true conversion rate of each."""
    shop = simulate.world("shop", **SHOP, seed=seed)
    shown = impressions(shop)
    found = impression_examples(shop.log(), shown)
    rate = shown["conversion_rate"].to_numpy()
    drawn = np.random.default_rng(seed).random(len(rate)) < rate
    drawn = np.where(shown["click"], shown["purchase"], drawn).astype(np.float32)
    numbers = {"all labels": drawn, "rate": rate.astype(np.float32)}
    click_rate = shown["click_rate"].to_numpy(dtype=np.float32)
    conversion = found.labels["conversion"]
    labels = {**found.labels, **numbers, "true": conversion, "estimated": conversion}
    weights = {"true": np.minimum(1 / click_rate, 100)}
    return replace(found, labels=labels, weights=weights), rate


def with_estimate(examples: Examples, model: MultiTask) -> Examples:
    """Weight clicks by one over the probability that a model gives them."""
    chance = np.maximum(model.predict(examples)["click"], 0.01)
    return replace(examples, weights={**examples.weights, "estimated": 1 / chance})


def conversions(seed: int) -> Iterator[Row]:
    """Run all models of click and conversion with one seed."""
    found, _ = shown_examples(seed)
    train, validation, test = found.deal(SHARES, seed)
    settings = {
        "inner": 64,
        "training": replace(BRIEF, seed=seed),
    }
    models = {
        "naive": MultiTask(heads=(Head("conversion"),), **settings),
        "shared": MultiTask(heads=(Head("click"), Head("conversion")), **settings),
        "ESMM": ESMM(**settings),
        "weighted, estimated": MultiTask(heads=(Head("estimated"),), **settings),
        "weighted, true": MultiTask(heads=(Head("true"),), **settings),
        "all labels": MultiTask(heads=(Head("all labels"),), **settings),
    }
    for name, model in models.items():
        asked = model.heads[-1].name
        known = [part.of(~np.isnan(part.labels[asked])) for part in (train, validation)]
        known = [train, validation] if len(model.heads) > 1 else known
        fitted, cost = trained(model, *known)
        if name == "shared":
            train, validation = (with_estimate(part, fitted) for part in (train, validation))
        row = judged_rate(test, fitted.predict(test)[asked])
        yield {"data": "impressions", "model": name, "seed": seed, **row, **cost}
    for name, chances in (("truth", test.labels["rate"]), ("base rate", base_rate(train, test))):
        yield {"data": "impressions", "model": name, "seed": seed, **judged_rate(test, chances)}


def base_rate(train: Examples, test: Examples) -> NDArray[np.float64]:
    """Give the share of clicks with a purchase, for all impressions."""
    return np.full(len(test), np.nanmean(train.labels["conversion"]))


def judged_rate(test: Examples, chances: NDArray[Any]) -> Row:
    """Judge a conversion rate by the truth: over all impressions, and over those clicked."""
    truth, clicked = test.labels["rate"].astype(float), test.labels["click"] == 1
    every = np.ones_like(clicked)
    found: Row = {}
    for suffix, part in (("", every), ("_clicked", clicked)):
        found |= {
            f"mean{suffix}": round(float(chances[part].mean()), 5),
            f"true{suffix}": round(float(truth[part].mean()), 5),
            f"ratio{suffix}": round(float(chances[part].mean() / truth[part].mean()), 4),
            f"loss{suffix}": round(float(expected_losses(truth[part], chances[part]).mean()), 5),
            f"auc{suffix}": round(expected_auc(truth[part], chances[part]), 5),
        }
    return found


def compared(rows: list[Row]) -> list[Row]:
    """Compare each model of all tasks with both kinds of models of one task, over the seeds."""
    table = pd.DataFrame([row for row in rows if row["data"] != "impressions"])
    found = []
    for (data, task), part in table.groupby(["data", "task"], sort=False):
        for metric, sign in (("auc", 1), ("loss", -1)):
            values = part.pivot_table(index="seed", columns="model", values=metric)
            for against, name in itertools.product(("single", SMALL), (*MODELS, OWN_STOPS)):
                if not {against, name} <= set(values.columns):
                    continue
                difference = (values[name] - values[against]).dropna()
                if len(difference) < 2:
                    continue
                half = stats.t.ppf(0.975, len(difference) - 1) * stats.sem(difference)
                mean = float(difference.mean())
                found.append(
                    {"data": data, "task": task, "model": name, "against": against}
                    | {"metric": metric, "alone": round(float(values[against].mean()), 5)}
                    | {"difference": round(mean, 5), "seeds": len(difference)}
                    | {"low": round(mean - half, 5), "high": round(mean + half, 5)}
                    | {"verdict": verdict(sign * mean, half)}
                )
    return found


def verdict(mean: float, half: float) -> str:
    """Say on which side of 0 an interval lies; higher is better."""
    if abs(mean) <= half:
        return "tie"
    return "win" if mean > 0 else "loss"


def main() -> None:
    """Run all seeds, going on from what is stored."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--again", action="store_true", help="forget what is stored")
    parser.add_argument("--census", default="", help="folder of Census-Income (KDD)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / f"{NAME}.json"
    stored = {} if arguments.again or not path.exists() else json.loads(path.read_text())
    rows, tried = stored.get("rows", []), stored.get("tried", [])
    data_sets = [*DATA, "impressions", *(["census-income"] if arguments.census else [])]
    for data, seed in itertools.product(data_sets, SEEDS):
        there = {row["model"] for row in rows if row["data"] == data and row["seed"] == seed}
        if data == "impressions":
            found = [] if there else list(conversions(seed))
        else:
            found = list(tasks(data, seed, there, tried, arguments.census))
        if not found:
            continue
        rows += found
        store(rows, tried=tried, compared=compared(rows))
        print(time.strftime("%H:%M:%S"), data, seed, flush=True)
    print(pd.DataFrame(compared(rows)).to_string())


store = partial(
    write_result,
    NAME,
    about=" ".join(__doc__.partition("Protocol: ")[2].split()),
    seed=0,
    libraries=[*LIBRARIES, "torch"],
    shop=SHOP,
    seeds=list(SEEDS),
)


if __name__ == "__main__":
    main()

"""The benchmark of several tasks: what it stored adds up, and what it reads of Census-Income."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from behaviorseq import MultiTask, Training

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
PATH = BENCHMARKS / "results/multitask.json"


@pytest.fixture(scope="module")
def stored():
    return json.loads(PATH.read_text(encoding="utf-8"))


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("multitask")
    sys.modules.pop("multitask")


def test_each_row_is_there_once_for_each_seed(stored):
    rows = pd.DataFrame(stored["rows"])
    assert not rows.duplicated(["data", "model", "seed", "task"]).any()
    counts = rows.fillna({"task": ""}).groupby(["data", "model", "task"]).size()
    assert (counts == len(stored["seeds"])).all()


def test_models_of_one_data_set_have_one_size_and_the_small_ones_together(stored):
    rows = pd.DataFrame(stored["rows"])
    rows = rows[rows["data"] != "impressions"]
    for _, part in rows.groupby("data"):
        small = part["model"] == "single, small"
        sizes = part.loc[~small, "parameters"]
        assert sizes.max() <= 1.1 * sizes.min()
        together = part[small].groupby("seed")["parameters"].sum()
        assert together.between(0.95 * sizes.min(), 1.05 * sizes.max()).all()


def test_validation_chose_the_dropout(stored):
    for row in stored["rows"]:
        if row["data"] == "impressions":
            continue
        tried = [
            t
            for t in stored["tried"]
            if t["data"] == row["data"]
            and t["model"] == row["model"].replace("shared, own stops", "shared bottom")
            and row["task"] in t["tasks"]
        ]
        assert row["dropout"] == max(tried, key=lambda t: t["validation"])["dropout"]
    assert not any("auc" in tried for tried in stored["tried"])


def test_comparisons_are_those_of_the_rows(stored, benchmark):
    assert stored["compared"] == benchmark.compared(stored["rows"])
    rows = pd.DataFrame(stored["rows"])
    assert {entry["against"] for entry in stored["compared"]} == {"single", "single, small"}
    for entry in stored["compared"][:32]:
        part = rows[(rows["data"] == entry["data"]) & (rows["task"] == entry["task"])]
        values = part.set_index(["model", "seed"])[entry["metric"]]
        difference = (values[entry["model"]] - values[entry["against"]]).to_numpy()
        half = 2.776 * difference.std(ddof=1) / np.sqrt(5)  # t of four degrees of freedom
        assert entry["difference"] == pytest.approx(difference.mean(), abs=1e-5)
        assert entry["high"] - entry["difference"] == pytest.approx(half, abs=2e-5)
        better = 1 if entry["metric"] == "auc" else -1
        beyond = abs(difference.mean()) > half
        sign = np.sign(better * difference.mean()) * beyond
        assert entry["verdict"] == {1: "win", 0: "tie", -1: "loss"}[int(sign)]


def test_the_truth_is_the_best_of_all_rates(stored):
    rows = pd.DataFrame(stored["rows"])
    rows = rows[rows["data"] == "impressions"]
    for _, part in rows.groupby("seed"):
        losses = part.set_index("model")["loss"]
        assert losses.idxmin() == "truth"
        assert part.set_index("model")["ratio"]["truth"] == 1


def census_line(age, marital, income):
    """Make a row of the form of Census-Income: 42 fields, seven of them numbers."""
    line = ["some words"] * 42
    for column, value in zip((0, 5, 16, 17, 18, 30, 39), (age, 0, 0, 0, 0, 2, 52), strict=True):
        line[column] = str(value)
    line[7], line[24], line[41] = marital, "1700.09", income
    return ", ".join(line)


def test_census_income_is_read(benchmark, tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        census_line(age, "Never married" if age < 30 else "Divorced", income)
        for age, income in zip(
            rng.integers(16, 80, 60), rng.choice(["- 50000.", "50000+."], 60), strict=True
        )
    ]
    for part, lines in (("data", rows[:40]), ("test", rows[40:])):
        (tmp_path / f"census-income.{part}").write_text("\n".join(lines) + "\n")
    train, test, heads = benchmark.read_census(tmp_path)
    assert (len(train), len(test)) == (40, 20)
    assert train.asked_codes.shape[1] == 42 - 7 - 3
    every = [line.split(", ") for line in rows]
    income = np.concatenate([train.labels["income"], test.labels["income"]])
    never = np.concatenate([train.labels["never married"], test.labels["never married"]])
    assert income.tolist() == [float(line[41].startswith("50000+")) for line in every]
    assert never.tolist() == [float(line[7] == "Never married") for line in every]
    ages = np.log1p([float(line[0]) for line in every])
    numbers = np.concatenate([train.asked_numbers, test.asked_numbers])
    np.testing.assert_allclose(numbers[:, 0], (ages - ages.mean()) / ages.std(), atol=1e-5)
    training = Training(epochs=40, batch_size=8, learning_rate=0.02)
    model = MultiTask(heads=heads, width=8, inner=12, dropout=0.0, training=training).fit(train)
    married = model.predict(test)["never married"] > 0.5
    assert (married == test.labels["never married"]).mean() > 0.8
    (tmp_path / "census-income.data").write_text("1, 2, 3\n")
    with pytest.raises(ValueError, match="42 columns"):
        benchmark.read_census(tmp_path)

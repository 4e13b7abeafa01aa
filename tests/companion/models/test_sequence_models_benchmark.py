"""The benchmark of sequence models, and its stored results: what chose what, what beats what."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
PATH = BENCHMARKS / "results/sequence_models.json"
METRICS = ("Recall@5", "NDCG@5", "Recall@10", "NDCG@10")


@pytest.fixture(scope="module")
def stored():
    return json.loads(PATH.read_text(encoding="utf-8"))


def test_validation_chose_what_was_tested(stored):
    for row in stored["rows"]:
        same = ("data", "name")
        tried = [t for t in stored["tried"] if all(t[k] == row[k] for k in same)]
        best = max(tried, key=lambda t: t["validation"])
        if row["seed"] == 0:
            assert row == best  # that very run
        else:  # another seed is all that differs
            assert row["model"] == best["model"].replace("seed=0", f"seed={row['seed']}")


def test_each_row_is_there_once_and_its_intervals_hold_its_values(stored):
    keys = [(row["data"], row["name"], row["seed"]) for row in stored["rows"]]
    assert len(set(keys)) == len(keys)
    for row in stored["rows"]:
        for metric in METRICS:
            low, high = row["intervals"][metric]
            assert low < row[metric] < high
        assert row["Recall@5"] <= row["Recall@10"]
        if row["data"] == "amazon-beauty":
            assert row["users"] == 22_363


def test_neighbours_beat_popularity_on_beauty(stored):
    best = {row["name"]: row for row in stored["rows"] if row["data"] == "amazon-beauty"}
    low, _ = best["Item-kNN"]["intervals"]["NDCG@10"]
    assert low > best["Popularity"]["intervals"]["NDCG@10"][1]
    # the other benchmark of this log fits and measures popularity alike
    other = json.loads(PATH.with_name("amazon_beauty.json").read_text(encoding="utf-8"))["rows"]
    twin = next(r for r in other if r["model"] == "Popularity()" and r["fitted_on"] == "train")
    assert best["Popularity"]["NDCG@10"] == twin["NDCG@10"]


def test_it_says_where_it_comes_from(stored):
    assert stored["command"] == "python benchmarks/sequence_models.py"
    assert stored["data"]["amazon-beauty"]["Beauty.txt"].startswith("226cce9c3105")
    printed = {row["model"] for row in stored["published"]}
    assert {name for names in stored["printed_as"].values() for name in names} <= printed


class StoppedError(Exception):
    """Stands for a killed process."""


@pytest.fixture
def benchmark(monkeypatch, tmp_path):
    """Give the script, with trainings that are written down and not done."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    script = importlib.import_module("sequence_models")
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    monkeypatch.setattr(importlib.import_module("measure"), "RESULTS", tmp_path)
    source = SimpleNamespace(files=[SimpleNamespace(name="log.txt", sha256="0")])
    monkeypatch.setattr(script, "load", lambda name: SimpleNamespace(source=source))
    script.done, script.stop_at = [], None

    def measured(function, data, model, **options):
        if len(script.done) == script.stop_at:
            raise StoppedError
        script.done.append(repr(model))
        result = {"validation": 1 - abs(model.training.weight_decay - 0.3), "train_seconds": 60}
        # What the test says is the other way round, and must not matter.
        result |= dict.fromkeys(METRICS, abs(model.training.weight_decay - 0.3))
        result = SimpleNamespace(result=result, median_seconds=1, median_cpu_seconds=1)
        result.peak_bytes = 0
        return result

    monkeypatch.setattr(script, "measured", measured)
    return script


NAME = "SASRec, sampled softmax"


@pytest.mark.parametrize("stop_at", [0, 1, 3, 4])
def test_a_stopped_benchmark_goes_on_with_the_next_row(benchmark, stop_at):
    whole = benchmark.Results()
    benchmark.assess(whole, "shop", NAME, 3)
    expected, file = list(benchmark.done), benchmark.RESULTS / "sequence_models.json"
    text = file.read_text(encoding="utf-8")
    file.unlink()
    benchmark.done.clear()
    benchmark.stop_at = stop_at
    with pytest.raises(StoppedError):
        benchmark.assess(benchmark.Results(), "shop", NAME, 3)
    assert len(benchmark.done) == stop_at
    benchmark.stop_at = None
    benchmark.assess(benchmark.Results(), "shop", NAME, 3)
    assert benchmark.done == expected  # each once
    assert file.read_text(encoding="utf-8") == text


def test_the_best_on_validation_is_trained_with_each_seed(benchmark):
    benchmark.assess(benchmark.Results(), "shop", NAME, 3)
    log, grid = benchmark.LOGS["shop"], benchmark.MODELS[NAME]
    tried = [repr(adapted) for model in grid for adapted in log.adapted(model)]
    (best,) = (model for model in tried if "weight_decay=0.3" in model)
    others = [best.replace("seed=0", f"seed={seed}") for seed in (1, 2)]
    assert benchmark.done == [*tried, *others]  # the first seed is not trained twice
    results = benchmark.Results()
    assert [row["model"] for row in results.rows] == [best, *others]
    results.forget("shop", [NAME])
    assert not results.rows
    assert not results.tried


def test_a_better_setting_that_is_tried_later_takes_the_place(benchmark):
    results = benchmark.Results()
    benchmark.assess(results, "shop", NAME, 2, [0])
    assert {row["seed"] for row in results.rows} == {0, 1}
    benchmark.assess(results, "shop", NAME, 1, [1])  # the decay of 0.3 is better
    assert ["weight_decay=0.3" in row["model"] for row in results.rows] == [True]
    benchmark.assess(results, "shop", NAME, 1, [2])  # and stays the best
    assert ["weight_decay=0.3" in row["model"] for row in results.rows] == [True]
    assert len(results.tried) == 3


def test_widths_of_a_log_are_compared(benchmark):
    benchmark.assess(benchmark.Results(), "movielens-1m", NAME, 1)
    widths = [f"width={w}" for _ in benchmark.MODELS[NAME] for w in (64, 128)]
    assert [next(w for w in widths if w in model) for model in benchmark.done] == widths
    assert all("length=200" in model and "epochs=20" in model for model in benchmark.done)

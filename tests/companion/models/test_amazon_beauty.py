"""The benchmark on Amazon Beauty: its numbers on the real file, and the stored result."""

import json
from pathlib import Path

import pytest

from behaviorseq import ItemKNN, Popularity, Sequences, evaluate, leave_one_out, load
from behaviorseq.datasets import FetchError

ROOT = Path(__file__).parents[3]
METRICS = ("Recall@10", "NDCG@10")
# Of another evaluator: popularity's are those of a target that wins its ties.
POPULARITY = {"Recall@10": 0.0120, "NDCG@10": 0.0056}
ITEM_KNN = {"Recall@10": 0.0726, "NDCG@10": 0.0431}
EASE = {"Recall@10": 0.0778, "NDCG@10": 0.0453}


@pytest.fixture(scope="module")
def split():
    try:
        data = load("amazon-beauty")
    except FetchError as error:
        pytest.skip(f"Beauty.txt is neither in BEHAVIORSEQ_DATA nor to be had: {error}")
    return leave_one_out(Sequences.from_events(data.events))


@pytest.fixture(scope="module")
def stored():
    return json.loads((ROOT / "benchmarks/results/amazon_beauty.json").read_text(encoding="utf-8"))


def ndcg(row):
    return row["NDCG@10"]


def row_of(stored, model, fitted_on="train"):
    (row,) = (r for r in stored["rows"] if (r["model"], r["fitted_on"]) == (model, fitted_on))
    return row


def test_item_knn_gives_the_figures(split):
    result = evaluate(ItemKNN(shrink=10, decay=0.7).fit(split.train), split.test, METRICS)
    assert result.counts["users"] == 22_363
    for metric, value in ITEM_KNN.items():
        assert result.mean(metric) == pytest.approx(value, abs=0.002)


def test_popularity_gives_the_figures(split):
    result = evaluate(Popularity().fit(split.train), split.test, METRICS)
    # The expectation over orders of tied items; a target that wins its ties has .0120.
    assert result.mean("Recall@10") == pytest.approx(0.01147, abs=0.0001)
    assert result.mean("NDCG@10") == pytest.approx(POPULARITY["NDCG@10"], abs=0.0005)


def test_the_stored_result_agrees(stored):
    knn = row_of(stored, "ItemKNN(k=None, shrink=10.0, decay=0.7, count=False)")
    popularity = row_of(stored, "Popularity()")
    for metric in METRICS:
        assert knn[metric] == pytest.approx(ITEM_KNN[metric], abs=0.002)
        ranked = popularity["ties_won"][metric]
        assert ranked == pytest.approx(POPULARITY[metric], abs=0.0005)
        low, high = knn["intervals"][metric]
        assert low < knn[metric] < high
    assert knn["users"] == 22_363
    assert knn["fit_cpu_seconds"] < 2
    ease = max((r for r in stored["rows"] if r["model"].startswith("EASE")), key=ndcg)
    for metric in METRICS:
        assert ease[metric] == pytest.approx(EASE[metric], abs=0.001)


def test_every_row_says_what_training_took(stored):
    for row in stored["rows"]:
        assert row["fit_cpu_seconds"] >= 0
        assert row["fit_seconds"] >= 0


def test_the_stored_result_is_what_the_models_give(split, stored):
    for model in (ItemKNN(shrink=10.0, decay=0.7), Popularity()):
        for fitted_on in ("train", "train_validation"):
            result = evaluate(model.fit(getattr(split, fitted_on)), split.test, METRICS)
            row = row_of(stored, repr(model), fitted_on)
            for metric in METRICS:
                assert result.mean(metric) == pytest.approx(row[metric], abs=2e-5)


def test_the_stored_result_says_where_it_comes_from(stored):
    assert stored["command"] == "python benchmarks/amazon_beauty.py"
    assert stored["data"]["sha256"].startswith("226cce9c3105")
    assert stored["environment"]["versions"]["numpy"]
    kinds = {"ItemKNN", "UserKNN", "SequentialRules", "EASE", "ALS", "BPR", "attribute_content"}
    assert set(stored["validation"]) == kinds
    assert all(row["source"] and row["read"] in ("V", "V2") for row in stored["published"])


def test_what_validation_chose_is_what_was_tested(stored):
    tested = {row["model"] for row in stored["rows"]}
    for tried in stored["validation"].values():
        assert max(tried, key=ndcg)["model"] in tested

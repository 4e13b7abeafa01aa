"""The stored result of the benchmark of sequence networks."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
METRICS = ("Recall@5", "NDCG@5", "Recall@10", "NDCG@10")


@pytest.fixture(scope="module")
def stored():
    path = ROOT / "benchmarks/results/sequence_models.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_what_validation_chose_is_what_was_tested(stored):
    (row,) = stored["rows"]
    best = max(stored["tried"], key=lambda tried: tried["validation"])
    assert row["model"] == best["model"]
    assert row["validation"] == pytest.approx(best["validation"], abs=1e-5)  # the same run again
    assert row["best_epoch"] == best["best_epoch"]


def test_the_intervals_hold_the_values_and_lists_grow(stored):
    (row,) = stored["rows"]
    for metric in METRICS:
        low, high = row["intervals"][metric]
        assert low < row[metric] < high
    assert row["Recall@5"] < row["Recall@10"]
    assert row["NDCG@5"] < row["NDCG@10"]
    assert row["users"] == 22_363


def test_it_beats_sasrec_as_it_is_usually_printed(stored):
    (row,) = stored["rows"]
    assert row["intervals"]["NDCG@10"][0] > 0.0318  # the S3-Rec table


def test_it_says_where_it_comes_from(stored):
    assert stored["command"] == "python benchmarks/sequence_models.py"
    assert stored["data"]["sha256"].startswith("226cce9c3105")
    assert stored["environment"]["versions"]["torch"]

"""The stored results of the benchmark of encoders and losses: what chose what, and what adds up."""

import json
from pathlib import Path

import pytest

PATH = Path(__file__).parents[3] / "benchmarks/results/transformer_losses.json"
METRIC = "NDCG@10"


@pytest.fixture(scope="module")
def stored():
    return json.loads(PATH.read_text(encoding="utf-8"))


def test_validation_chose_the_settings(stored):
    for row in stored["rows"]:
        tried = [t for t in stored["tried"] if t["family"] == row["family"]]
        best = max(tried, key=lambda t: t["validation"])
        assert row["settings"] == best["settings"]
    assert not any(METRIC in tried for tried in stored["tried"])


def test_a_row_is_the_mean_over_the_users_of_all_shops(stored):
    for row in [*stored["rows"], *stored["lengths"]]:
        assert row["low"] < row[METRIC] < row["high"]
        assert len(row["by_seed"]) == len(stored["seeds"])
        assert min(row["by_seed"]) <= row[METRIC] <= max(row["by_seed"])


def test_pairs_are_the_differences_of_their_rows(stored):
    value = {row["family"]: row[METRIC] for row in stored["rows"]}
    assert len(stored["pairs"]) == len(value) * (len(value) - 1) / 2
    for pair in stored["pairs"]:
        difference = value[pair["first"]] - value[pair["second"]]
        assert pair["difference"] == pytest.approx(difference, abs=2e-5)
        assert pair["low"] <= pair["difference"] <= pair["high"]


def test_patient_runs_are_compared_with_the_first_of_them(stored):
    first, *others = stored["patient"]
    assert first["family"] == "SASRec, softmax"
    assert first["against"]["difference"] == 0
    for row in others:
        difference = row[METRIC] - first[METRIC]
        assert row["against"]["difference"] == pytest.approx(difference, abs=2e-5)
        assert row["against"]["low"] <= difference <= row["against"]["high"]
    for row in stored["patient"]:
        assert len(row["by_seed"]) == len(stored["seeds"])

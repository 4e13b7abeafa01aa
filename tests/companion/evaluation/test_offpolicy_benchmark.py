"""The stored results of the benchmark of off-policy estimators."""

import json
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[3] / "benchmarks/results/offpolicy.json"


@pytest.fixture(scope="module")
def stored():
    return json.loads(PATH.read_text(encoding="utf-8"))


def test_errors_lie_within_the_spread_of_the_published_ones(stored):
    for row in stored["rows"]:
        assert len(row["runs"]) == 20
        assert row["mean"] == pytest.approx(np.mean(row["runs"]), abs=2e-6)
        assert row["std"] == pytest.approx(np.std(row["runs"], ddof=1), abs=2e-6)
        error = np.hypot(row["std"], row["published_std"]) / np.sqrt(20)
        assert abs(row["mean"] - row["published"]) < 2 * error


def test_coverage_adds_up(stored):
    assert {row["policy"] for row in stored["coverage"]} == {"mild", "sharp"}
    for row in stored["coverage"]:
        assert 0 <= row["coverage"] <= 1
        assert row["coverage"] + row["truth_below"] <= 1
        assert row["width"] > 0


def test_with_the_random_numbers_of_the_pipeline_the_printed_table_comes_out(stored):
    for row in stored["rows"]:
        assert row["repeated"] == pytest.approx(row["published"], rel=0.002)
        assert row["repeated_std"] == pytest.approx(row["published_std"], rel=0.003)


def test_gamma_intervals_keep_their_word(stored):
    kept = {
        (r["policy"], r["estimator"]): r for r in stored["coverage"] if r["interval"] == "gamma"
    }
    assert len(kept) == 6
    assert all(row["coverage"] >= 0.95 for row in kept.values())

"""The stored results of the benchmark of all families: what chose what, and what was tested."""

import json
from pathlib import Path

import pytest

PATH = Path(__file__).parents[3] / "benchmarks/results/model_families.json"


@pytest.fixture(scope="module")
def stored():
    return json.loads(PATH.read_text(encoding="utf-8"))


def test_validation_chose_the_one_setting_that_was_tested(stored):
    for data, family in {(row["data"], row["family"]) for row in stored["rows"]}:
        rows = [r for r in stored["rows"] if (r["data"], r["family"]) == (data, family)]
        best = max(rows, key=lambda row: row["validation"])
        assert [row for row in rows if "test" in row] == [best]
        assert [row for row in rows if row["chosen"]] == [best]
        assert best["low"] < best["test"] < best["high"]


def test_what_ignores_order_loses_nothing_by_a_shuffle_and_the_rest_does(stored):
    chosen = [row for row in stored["rows"] if row["chosen"]]
    blind = {"popularity", "MultVAE, order ignored"}
    assert {row["data"] for row in chosen} == {"shop", "movielens-100k"}
    for row in chosen:
        share, low, high = row["order_lost"]
        assert (share == low == high == 0) if row["family"] in blind else low < share < high


def test_the_graph_was_tried_on_several_shops(stored):
    assert [row["seed"] for row in stored["graph"]] == [0, 1, 2]
    for row in stored["graph"]:
        assert row["low"] < row["gain"] < row["high"]

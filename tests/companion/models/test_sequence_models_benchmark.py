"""The stored results of the benchmark of sequence models: what chose what, and what beats what."""

import json
from pathlib import Path

import pytest

PATH = Path(__file__).parents[3] / "benchmarks/results/sequence_models.json"
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
            assert row["settings"] == best["settings"]
            assert row["validation"] == best["validation"]  # the same run again
        else:  # another seed is all that differs
            assert row["settings"] == best["settings"].replace("seed=0", f"seed={row['seed']}")


def test_no_test_target_was_looked_at_to_choose(stored):
    assert stored["tried"]
    assert not any(metric in tried for tried in stored["tried"] for metric in METRICS)


def test_each_row_is_there_once_and_its_intervals_hold_its_values(stored):
    keys = [(row["data"], row["name"], row["seed"]) for row in stored["rows"]]
    assert len(set(keys)) == len(keys)
    for row in stored["rows"]:
        for metric in METRICS:
            low, high = row["intervals"][metric]
            assert low < row[metric] < high
        assert row["Recall@5"] < row["Recall@10"]
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

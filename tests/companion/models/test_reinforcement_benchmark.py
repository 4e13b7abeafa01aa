"""The stored results of the benchmark of policies for visits: what adds up."""

import json
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[3] / "benchmarks/results/reinforcement.json"


@pytest.fixture(scope="module")
def stored():
    return json.loads(PATH.read_text(encoding="utf-8"))


def test_rows_are_means_over_five_worlds(stored):
    assert len(stored["seeds"]) == 5
    assert stored["users"] == 5 * stored["shop"]["n_users"]
    for row in stored["rows"]:
        assert row["low"] < row["clicks"] < row["high"]
        assert row["clicks"] == pytest.approx(np.mean(row["by_seed"]), abs=1e-4)
        assert sum(row["by_step"]) == pytest.approx(row["clicks"], abs=2e-3)
        assert 1 <= row["length"] <= stored["world"]["steps"]


def test_pairs_are_the_differences_to_the_greedy_model(stored):
    value = {row["policy"]: row["clicks"] for row in stored["rows"]}
    assert {pair["policy"] for pair in stored["pairs"]} == set(value) - {"greedy"}
    for pair in stored["pairs"]:
        assert pair["difference"] == pytest.approx(value[pair["policy"]] - value["greedy"])
        assert pair["low"] <= pair["difference"] <= pair["high"]


@pytest.fixture(scope="module")
def online():
    return json.loads(PATH.with_name("online.json").read_text(encoding="utf-8"))


def test_learning_online_adds_up(online):
    sizes = np.diff([0, *online["served"]])
    runs = {row["policy"]: np.array(row["by_seed"]) for row in online["rows"]}
    best = (runs["oracle, ahead"] @ sizes) / sizes.sum()  # clicks a visit in each world
    for row in online["rows"]:
        worlds = runs[row["policy"]]
        assert worlds.shape == (5, len(sizes))
        assert row["clicks"] == pytest.approx(worlds.mean(axis=0), abs=1e-4)
        regret = ((best[:, None] - worlds) * sizes).cumsum(axis=1).mean(axis=0)
        assert row["regret"] == pytest.approx(regret, abs=0.5)
    learners = [runs[name][:, 0] for name in ("greedy", "SQN", "REINFORCE")]
    assert (np.diff(learners, axis=0) == 0).all()  # the same chance for all at first


def test_bandits_and_pages_add_up(online):
    for row in online["bandits"]:
        assert row["low"] < row["exponent"] < row["high"]
        assert len(row["regret"]) == 5
    for row in online["pages"]:
        assert row["any"] == pytest.approx(np.mean(row["by_seed"]), abs=1e-4)
        assert row["any"] < row["clicks"]

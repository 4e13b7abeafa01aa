"""Regret online: counted as stated, and its growth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from behaviorseq import simulate
from behaviorseq.evaluation.regret import growth_exponent, run_online
from behaviorseq.models.bandits import EpsilonGreedy


def test_growth_exponent() -> None:
    time = np.arange(1, 5001)
    rng = np.random.default_rng(0)
    runs = np.cumsum(time[None] ** -0.4 * rng.gamma(1, size=(8, 5000)), axis=1)
    _value, low, high = growth_exponent(runs)
    assert low < 0.6 < high
    assert high - low < 0.1
    assert growth_exponent([time, 3 * time]).value == pytest.approx(1)
    with pytest.raises(ValueError, match="2 runs at least"):
        growth_exponent([time])
    with pytest.raises(ValueError, match="above 0"):
        growth_exponent(np.zeros((2, 100)))


class Fixed:
    def __init__(self, arm: int) -> None:
        self.arm, self.learned = arm, 0

    def select(self, contexts: Any) -> Any:
        return np.full(len(contexts), self.arm)

    def update(self, contexts: Any, arms: Any, rewards: Any) -> None:
        self.learned += len(rewards)


@pytest.fixture(scope="module")
def world() -> Any:
    return simulate.world("shop", n_users=80, n_items=32, days=10, seed=0)


def test_clicks_and_regret_of_a_fixed_choice(world: Any) -> None:
    items, users = np.array([3, 20, 7]), np.arange(80)[:, None]
    now = np.datetime64("2024-01-11")
    chance = world.truth.click_probability(users, items, 0, now)
    environment = world.environment(400, steps=1, keep_log=False)
    for arm in range(3):
        chooser = Fixed(arm)
        run = run_online(chooser, environment, np.ones((80, 1)), items, chance, rounds=60, seed=1)
        assert run.clicks.mean() == pytest.approx(chance[:, arm].mean(), abs=0.01)
        lost = (chance.max(axis=1) - chance[:, arm]).mean()
        assert run.regret[-1] / (400 * 60) == pytest.approx(lost, rel=0.05, abs=1e-9)
        assert chooser.learned == 400 * 60
    again = run_online(Fixed(2), environment, np.ones((80, 1)), items, chance, rounds=60, seed=1)
    assert (again.clicks == run.clicks).all()


def test_without_learning_nothing_is_told(world: Any) -> None:
    chooser, environment = EpsilonGreedy(2, 1), world.environment(10, steps=1, keep_log=False)
    zeros = np.zeros((80, 2))
    run_online(chooser, environment, np.ones((80, 1)), [1, 2], zeros, rounds=3, learn=False)
    assert chooser.rounds == 0

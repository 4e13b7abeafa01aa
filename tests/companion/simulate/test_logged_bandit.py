"""The synthetic bandit: its policy and rewards are those that it states."""

from __future__ import annotations

import numpy as np
import pytest

from behaviorseq.simulate.logged_bandit import SyntheticBandit


def test_logits_have_mean_zero_and_deviation_one() -> None:
    for seed in range(3):
        world = SyntheticBandit(seed=seed)
        q = world.expected(np.random.default_rng(0).normal(size=(50_000, 5)))
        logits = np.log(q / (1 - q))
        assert logits.mean() == pytest.approx(0, abs=0.02)
        assert logits.std() == pytest.approx(1, abs=0.02)


def test_the_log_follows_policy_and_rewards() -> None:
    world = SyntheticBandit(n_actions=4, n_features=2, seed=1)
    log = world.log(40_000)
    assert log.contexts is not None
    policy, rounds = world.logging_policy(log.contexts), np.arange(len(log))
    assert policy.sum(axis=1) == pytest.approx(np.ones(len(log)))
    assert log.propensities == pytest.approx(policy[rounds, log.actions])
    shown = np.eye(4)[log.actions]
    assert shown.mean(axis=0) == pytest.approx(policy.mean(axis=0), abs=0.01)
    chance = world.expected(log.contexts)[rounds, log.actions]
    assert log.rewards.mean() == pytest.approx(chance.mean(), abs=0.01)
    assert np.corrcoef(log.rewards, chance)[0, 1] > 0.3
    worst_first = np.argsort(world.expected(log.contexts)[0])
    assert (np.diff(policy[0, worst_first]) < 0).all()  # a negative beta prefers the worse


def test_seeds_and_rarity() -> None:
    world = SyntheticBandit(shift=-5.5, seed=0)
    assert 20 < world.log(10_000).rewards.sum() < 150
    assert (world.log(100, seed=1).actions != world.log(100, seed=2).actions).any()
    assert (world.log(100, seed=1).actions == world.log(100, seed=1).actions).all()


def test_value_is_the_mean_of_expected_rewards() -> None:
    world, x = SyntheticBandit(n_actions=3, seed=0), np.zeros((2, 5))
    assert world.value([[1, 0, 0], [0, 0.5, 0.5]], x) == pytest.approx(
        (world.expected(x)[0, 0] + world.expected(x)[0, 1:].mean()) / 2
    )


def test_ranges() -> None:
    with pytest.raises(ValueError, match="n_actions must be a whole number of 2 or more"):
        SyntheticBandit(1)
    with pytest.raises(ValueError, match="n must be a whole number of 1 or more, got 0"):
        SyntheticBandit().log(0)

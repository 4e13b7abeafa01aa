"""Bandits against scikit-learn, by hand, and in a small world where they must learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from behaviorseq.models.bandits import EpsilonGreedy, LinearBandit, LinUCB, ThompsonSampling

KINDS = (EpsilonGreedy, LinUCB, ThompsonSampling)


def filled(kind: type[LinearBandit], n: int = 300, **options: float) -> tuple[LinearBandit, tuple]:  # type: ignore[type-arg]
    rng = np.random.default_rng(0)
    x, arms, rewards = rng.normal(size=(n, 3)), rng.integers(0, 4, n), rng.random(n)
    bandit = kind(4, 3, penalty=2.0, **options)  # type: ignore[arg-type]  # numbers
    for part in np.array_split(np.arange(n), 7):
        bandit.update(x[part], arms[part], rewards[part])
    return bandit, (x, arms, rewards)


@pytest.mark.parametrize("kind", KINDS)
def test_each_arm_is_a_ridge_regression(kind: type[LinearBandit]) -> None:
    bandit, (x, arms, rewards) = filled(kind)
    for arm in range(4):
        ridge = Ridge(alpha=2.0, fit_intercept=False).fit(x[arms == arm], rewards[arms == arm])
        assert bandit.coefficients[arm] == pytest.approx(ridge.coef_)
    assert bandit.rounds == 300
    assert bandit.predict(x[:5]) == pytest.approx(x[:5] @ bandit.coefficients.T)


def test_linucb_adds_deviations() -> None:
    bandit, (x, arms, _) = filled(LinUCB, alpha=0.7)
    for user in range(3):
        for arm in range(4):
            shown = x[arms == arm]
            inverse = np.linalg.inv(2 * np.eye(3) + shown.T @ shown)
            hope = x[user] @ bandit.coefficients[arm] + 0.7 * np.sqrt(x[user] @ inverse @ x[user])
            assert bandit.scores(x[[user]])[0, arm] == pytest.approx(hope)
    assert (bandit.select(x) == bandit.scores(x).argmax(axis=1)).all()


def test_thompson_draws_what_drawing_coefficients_would_give() -> None:
    bandit, (x, arms, _) = filled(ThompsonSampling, scale=0.5)
    scores = bandit.scores(np.repeat(x[:1], 40_000, axis=0))
    shown = x[arms == 2]
    inverse = np.linalg.inv(2 * np.eye(3) + shown.T @ shown)
    rng = np.random.default_rng(1)
    theta = rng.multivariate_normal(bandit.coefficients[2], 0.25 * inverse, 40_000)
    drawn = theta @ x[0]
    assert scores[:, 2].mean() == pytest.approx(drawn.mean(), abs=4 * drawn.std() / 200)
    assert scores[:, 2].std() == pytest.approx(drawn.std(), rel=0.02)
    assert abs(np.corrcoef(scores[:, 0], scores[:, 2])[0, 1]) < 0.02


def test_epsilon_greedy_explores_as_often_as_it_says() -> None:
    bandit = EpsilonGreedy(5, 1, epsilon=0.4, decay=1.0, horizon=100)
    one = np.ones((20_000, 1))
    bandit.update(one[:100], np.full(100, 3), np.ones(100))
    # After 100 rewards: 0.4 / 2, of which a fifth chooses the best anyway.
    assert (bandit.select(one) != 3).mean() == pytest.approx(0.2 * 4 / 5, abs=0.01)
    greedy = EpsilonGreedy(5, 1, epsilon=0.0)
    assert np.bincount(greedy.select(one), minlength=5).min() > 3500  # ties: any


@pytest.mark.parametrize(
    "bandit",
    [
        EpsilonGreedy(5, 2, epsilon=1.0, decay=0.5, horizon=200),
        LinUCB(5, 2, alpha=0.5),
        ThompsonSampling(5, 2, scale=0.5),
    ],
    ids=lambda bandit: type(bandit).__name__,
)
def test_it_learns_what_each_segment_likes(bandit: LinearBandit) -> None:
    rng = np.random.default_rng(0)
    chance = np.array([[0.1, 0.2, 0.3, 0.4, 0.6], [0.6, 0.4, 0.3, 0.2, 0.1]])
    late = []
    for step in range(400):
        segment = rng.integers(0, 2, 20)
        arms = bandit.select(np.eye(2)[segment])
        bandit.update(np.eye(2)[segment], arms, rng.random(20) < chance[segment, arms])
        if step >= 300:
            late.append(chance[segment, arms].mean())
    assert np.mean(late) > 0.52  # the best is 0.6, chance 0.32


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_choices(kind: type[LinearBandit]) -> None:
    one = np.ones((50, 1))
    first, again, other = kind(9, 1), kind(9, 1), kind(9, 1, seed=1)
    assert (first.select(one) == again.select(one)).all()
    assert (first.select(one) != other.select(one)).any()


def test_errors() -> None:
    bandit = LinUCB(3, 2)
    with pytest.raises(ValueError, match=r"contexts must have shape \(n_users, 2\), got \(1, 3\)"):
        bandit.select([[1, 2, 3]])
    with pytest.raises(ValueError, match="arms must be from 0 to 2, got 3"):
        bandit.update([[1, 2]], [3], [1])
    with pytest.raises(ValueError, match="arms must be from 0 to 2, got -1"):
        bandit.update([[1, 2], [1, 2]], [1, -1], [1, 1])
    with pytest.raises(ValueError, match="as many arms and rewards"):
        bandit.update([[1, 2]], [1, 1], [1])
    with pytest.raises(ValueError, match="epsilon must be a number from 0 to 1"):
        EpsilonGreedy(3, 2, epsilon=2)

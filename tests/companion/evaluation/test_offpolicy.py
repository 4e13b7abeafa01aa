"""Off-policy estimators: by hand, against loops, in expectation, and how often intervals hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from behaviorseq.bandit_log import BanditLog
from behaviorseq.evaluation.offpolicy import (
    Terms,
    cross_fitted_rewards,
    direct_method,
    doubly_robust,
    effective_rounds,
    importance_weights,
    ipw,
    snipw,
    tuned_shrinkage,
)
from behaviorseq.evaluation.offpolicy_intervals import (
    gamma_interval,
    normal_interval,
    resampled_interval,
)
from behaviorseq.simulate.logged_bandit import SyntheticBandit

# Two actions, shown with 1/4 and 3/4; the policy to judge shows them with 1/2 each.
LOG = BanditLog([0, 1, 1, 0], [1, 0, 1, 0], [0.25, 0.75, 0.75, 0.25], n_actions=2)
POLICY = np.full((4, 2), 0.5)
MODEL = np.tile([0.4, 0.2], (4, 1))


def test_by_hand() -> None:
    assert importance_weights(LOG, POLICY) == pytest.approx([2, 2 / 3, 2 / 3, 2])
    assert direct_method(POLICY, MODEL).value == pytest.approx(0.3)
    assert ipw(LOG, POLICY).value == pytest.approx((2 + 2 / 3) / 4)
    assert snipw(LOG, POLICY).value == pytest.approx((2 + 2 / 3) / (16 / 3))
    # 0.3 and the mean of 2 (1 - .4), 2/3 (0 - .2), 2/3 (1 - .2), 2 (0 - .4)
    assert doubly_robust(LOG, POLICY, MODEL).value == pytest.approx(0.3 + (1.2 + 0.4 - 0.8) / 4)
    # Switch leaves the two weights of 2/3.
    assert doubly_robust(LOG, POLICY, MODEL, switch=1).value == pytest.approx(0.3 + 0.4 / 4)
    # With lambda = 4 a weight of 2 becomes 1, one of 2/3 becomes 24/40.
    shrunk = 0.6 - 0.4 + (0.8 - 0.2) * 0.6
    assert doubly_robust(LOG, POLICY, MODEL, shrinkage=4).value == pytest.approx(0.3 + shrunk / 4)
    assert effective_rounds(LOG, POLICY) == pytest.approx((16 / 3) ** 2 / (8 + 8 / 9))


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_against_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(2, 20)), int(rng.integers(1, 5))
    pi, beta = rng.dirichlet(np.ones(k), n), rng.dirichlet(np.ones(k), n) * 0.9 + 0.1 / k
    q, actions, rewards = rng.random((n, k)), rng.integers(0, k, n), rng.random(n)
    log = BanditLog(actions, rewards, beta[np.arange(n), actions], k)
    total = weight = weighted = direct = 0.0
    for i in range(n):
        w = pi[i, actions[i]] / beta[i, actions[i]]
        direct += sum(pi[i, a] * q[i, a] for a in range(k))
        total += w * rewards[i]
        weight += w
        weighted += w * (rewards[i] - q[i, actions[i]])
    assert direct_method(pi, q).value == pytest.approx(direct / n)
    assert ipw(log, pi).value == pytest.approx(total / n)
    assert snipw(log, pi).value == pytest.approx(total / weight)
    assert doubly_robust(log, pi, q).value == pytest.approx((direct + weighted) / n)


def test_special_cases() -> None:
    own = np.tile([0.25, 0.75], (4, 1))  # the policy of the log: weights of 1
    for terms in (ipw(LOG, own), snipw(LOG, own), doubly_robust(LOG, own, np.zeros((4, 2)))):
        assert terms.value == pytest.approx(LOG.rewards.mean())
    nothing = doubly_robust(LOG, POLICY, MODEL, shrinkage=0)
    assert nothing.value == pytest.approx(direct_method(POLICY, MODEL).value)
    zeros = doubly_robust(LOG, POLICY, np.zeros((4, 2)))
    assert zeros.value == pytest.approx(ipw(LOG, POLICY).value)


@pytest.fixture(scope="module")
def worlds() -> dict[str, np.ndarray]:
    """Estimates of one policy from 400 logs of 300 rounds, with the truth of each."""
    world = SyntheticBandit(n_actions=5, beta=-3, seed=4)
    found: dict[str, list[float]] = {"ipw": [], "dr": [], "wrong": [], "truth": []}
    for seed in range(400):
        log = world.log(300, seed=seed)
        assert log.contexts is not None
        q = world.expected(log.contexts)
        policy = np.exp(3 * q) / np.exp(3 * q).sum(axis=1, keepdims=True)
        found["truth"].append(world.value(policy, log.contexts))
        found["ipw"].append(ipw(log, policy).value)
        found["dr"].append(doubly_robust(log, policy, q).value)
        found["wrong"].append(doubly_robust(log, policy, 1 - q).value)
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.parametrize("name", ["ipw", "dr", "wrong"])
def test_unbiased_over_many_logs(worlds: dict[str, np.ndarray], name: str) -> None:
    error = worlds[name] - worlds["truth"]
    assert abs(error.mean()) < 3.5 * error.std(ddof=1) / np.sqrt(len(error))
    assert error.std() > 0.005  # each alone is off: the mean above says something


def test_a_good_model_lowers_the_variance(worlds: dict[str, np.ndarray]) -> None:
    spread = {name: (worlds[name] - worlds["truth"]).std() for name in ("ipw", "dr", "wrong")}
    assert spread["dr"] < 0.8 * spread["ipw"] < spread["wrong"]


def test_normal_interval_is_that_of_a_mean_and_of_a_ratio() -> None:
    rng = np.random.default_rng(0)
    weights, rewards = rng.gamma(2, size=500), rng.random(500)
    value, low, high = normal_interval(Terms(rewards, np.ones(500)))
    expected = stats.norm.interval(0.95, rewards.mean(), stats.sem(rewards))
    assert (low, high) == pytest.approx(expected)
    # The delta method agrees with the jackknife.
    terms = Terms(weights * rewards, weights)
    top, bottom = terms.numerator.sum(), terms.denominator.sum()
    left_out = (top - terms.numerator) / (bottom - terms.denominator)
    jackknife = np.sqrt(499 / 500 * ((left_out - left_out.mean()) ** 2).sum())
    value, low, high = normal_interval(terms)
    assert (high - value) / stats.norm.ppf(0.975) == pytest.approx(jackknife, rel=0.01)


def test_resampling_of_rare_rounds_is_the_plain_bootstrap() -> None:
    rng = np.random.default_rng(1)
    numerator = np.where(rng.random(400) < 0.05, rng.gamma(2, size=400), 0)
    fast = resampled_interval(Terms(numerator, np.ones(400)), n_bootstrap=8000)
    drawn = numerator[rng.integers(0, 400, (8000, 400))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert fast.low == pytest.approx(low, abs=0.06 * (high - low))
    assert fast.high == pytest.approx(high, abs=0.06 * (high - low))
    assert resampled_interval(Terms(np.zeros(9), np.ones(9))) == (0, 0, 0)


def test_resampled_interval_of_a_ratio_agrees_with_the_delta_method() -> None:
    rng = np.random.default_rng(2)
    weights, rewards = rng.gamma(2, size=2000), rng.random(2000)
    terms = Terms(weights * rewards, weights)
    assert resampled_interval(terms) == pytest.approx(normal_interval(terms), abs=0.002)


def test_gamma_interval_of_equal_weights_is_exact() -> None:
    for clicks in (0, 3, 40):
        rewards = np.arange(10_000) < clicks
        log = BanditLog(np.zeros(10_000), rewards, np.ones(10_000), n_actions=1)
        value, low, high = gamma_interval(log, np.ones((10_000, 1)))
        exact = (stats.chi2.ppf(0.025, 2 * clicks) / 2, stats.chi2.ppf(0.975, 2 * clicks + 2) / 2)
        assert value == pytest.approx(clicks / 10_000)
        assert low * 10_000 == pytest.approx(0 if clicks == 0 else exact[0])
        assert high * 10_000 == pytest.approx(exact[1])


def test_gamma_interval_of_other_estimators_is_divided_or_moved() -> None:
    value, low, high = gamma_interval(LOG, POLICY)
    mean_weight = (2 + 2 / 3 + 2 / 3 + 2) / 4
    divided = gamma_interval(LOG, POLICY, snipw(LOG, POLICY))
    assert divided == pytest.approx((value / mean_weight, low / mean_weight, high / mean_weight))
    terms = doubly_robust(LOG, POLICY, MODEL)
    added = 0.3 - (2 * 0.4 + 2 / 3 * 0.2 + 2 / 3 * 0.2 + 2 * 0.4) / 4
    moved = (value + added, low + added, high + added)
    assert gamma_interval(LOG, POLICY, terms) == pytest.approx(moved)
    with pytest.raises(ValueError, match="the number of terms must be 4, got 3"):
        gamma_interval(LOG, POLICY, Terms(np.ones(3), np.ones(3)))


def test_with_few_clicks_the_gamma_interval_holds_where_others_do_not() -> None:
    """About ten clicks with unequal weights, in 600 logs."""
    rng = np.random.default_rng(0)
    kinds, rate, n = np.array([0.2, 1, 6]), np.array([0.008, 0.004, 0.002]), 2000
    policy = np.tile(kinds / kinds.sum(), (n, 1))
    truth, held = float(policy[0] @ rate), dict.fromkeys(("normal", "bootstrap"), 0)
    held |= dict.fromkeys(("ipw", "snipw", "dr"), 0)
    for seed in range(600):
        actions = rng.integers(0, 3, n)
        log = BanditLog(actions, rng.random(n) < rate[actions], np.full(n, 1 / 3), 3)
        terms = ipw(log, policy)
        found = {
            "normal": normal_interval(terms),
            "bootstrap": resampled_interval(terms, n_bootstrap=300, seed=seed),
            "ipw": gamma_interval(log, policy),
            "snipw": gamma_interval(log, policy, snipw(log, policy)),
            "dr": gamma_interval(log, policy, doubly_robust(log, policy, np.full((n, 3), 0.004))),
        }
        for name, interval in found.items():
            held[name] += interval.low <= truth <= interval.high
    assert min(held[name] for name in ("ipw", "snipw", "dr")) / 600 >= 0.95
    assert held["normal"] / 600 < 0.93
    assert held["bootstrap"] / 600 < 0.93


def test_cross_fitted_model_never_saw_the_round() -> None:
    """With rewards by coin, a model that had seen the round would be more often right."""
    rng = np.random.default_rng(0)
    log = BanditLog(rng.integers(0, 40, 400), rng.integers(0, 2, 400), np.full(400, 1 / 40), 40)
    predicted = cross_fitted_rewards(log, n_folds=4)[np.arange(400), log.actions]
    assert ((predicted > 0.5) == log.rewards).mean() < 0.55


def test_cross_fitted_model_is_near_the_truth() -> None:
    world = SyntheticBandit(n_actions=4, seed=2)
    log = world.log(4000)
    assert log.contexts is not None
    predicted, truth = cross_fitted_rewards(log), world.expected(log.contexts)
    assert np.corrcoef(predicted.ravel(), truth.ravel())[0, 1] > 0.6


def test_slope_takes_no_shrinkage_where_it_does_harm() -> None:
    world = SyntheticBandit(n_actions=10, beta=-8, seed=0)
    log = world.log(5000)
    assert log.contexts is not None
    policy = world.expected(log.contexts) ** 4
    policy /= policy.sum(axis=1, keepdims=True)
    bad = np.zeros(policy.shape)  # so all comes from the weights
    chosen = tuned_shrinkage(log, policy, bad, choices=[0.01, np.inf])
    assert chosen == np.inf
    good = world.expected(log.contexts)
    assert tuned_shrinkage(log, policy, good, choices=[0.01, np.inf]) == 0.01


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"actions": [0, 2, 1, 0]}, "actions must be below 2, got 2 in round 1"),
        ({"propensities": [0.5, 0.5, 0, 0.5]}, "propensities must be above 0 .* round 2"),
        ({"rewards": [0, np.nan, 0, 0]}, "rewards must be a finite number, got nan in round 1"),
        ({"rewards": [0, 1]}, "one entry a round"),
        ({"contexts": np.full((4, 1), np.inf)}, "contexts must be finite .* round 0"),
    ],
)
def test_bad_logs(change: dict[str, object], said: str) -> None:
    parts = {"actions": LOG.actions, "rewards": LOG.rewards, "propensities": LOG.propensities}
    with pytest.raises(ValueError, match=said):
        BanditLog(**(parts | change), n_actions=2)  # type: ignore[arg-type]  # wrong on purpose


def test_bad_policies() -> None:
    with pytest.raises(ValueError, match=r"the sum of row 0 is 0\.8"):
        ipw(LOG, np.full((4, 2), 0.4))
    with pytest.raises(ValueError, match=r"one row a round and one column an action, \(4, 2\)"):
        ipw(LOG, np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match="predicted must have the shape"):
        direct_method(POLICY, MODEL[:2])
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        normal_interval(ipw(LOG, POLICY), level=95)
    with pytest.raises(ValueError, match="0 or 1"):
        gamma_interval(BanditLog([0], [0.5], [1.0], 1), np.ones((1, 1)))
    with pytest.raises(ValueError, match="shrinkage must be a number from 0"):
        doubly_robust(LOG, POLICY, MODEL, shrinkage=-1)


def test_taking_rounds() -> None:
    part = LOG.take(LOG.actions == 1)
    assert part.rewards.tolist() == [0, 1]
    assert part.n_actions == 2

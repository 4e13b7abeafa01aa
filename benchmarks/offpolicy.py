"""Off-policy estimators where the truth is known: their errors, and what their intervals hold.

Run ``python benchmarks/offpolicy.py``; it takes some five minutes of one core.

Protocol: ``rows`` repeat the example of Open Bandit Pipeline (examples/synthetic, obp 0.5.5): 20
worlds of 30 actions and 5 features, each with a log of 10,000 rounds by a softmax policy of inverse
temperature -3; the policy to judge is a softmax over the probabilities of a logistic regression of
the action, weighted by reward over propensity, fitted on another log of 10,000 rounds; the reward
model is a logistic regression, cross-fitted in three folds; both with C = 100. The error is
|estimate - truth| / truth, truth on the contexts of the log. ``published`` are the means and
deviations that its README prints. ``repeated`` are ours for the same random numbers as the
pipeline's, drawn from NumPy's old generator in the order in which it draws them; ``mean``, ``std``
and ``runs`` are for others. ``coverage`` is the share of 400 logs whose 95% interval holds the
truth, of a world whose clicks are rare: 10,000 rounds with about 40 clicks, logged nearly at
random; the mild policy prefers what is clicked, the sharp one shows only the action that is clicked
most. ``truth_below`` is the share of the logs in which the truth lies below the interval, ``width``
the mean width over the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from behaviorseq.bandit_log import BanditLog
from behaviorseq.evaluation.offpolicy import (
    Terms,
    cross_fitted_rewards,
    direct_method,
    doubly_robust,
    ipw,
    snipw,
    tuned_shrinkage,
)
from behaviorseq.evaluation.offpolicy_intervals import (
    gamma_interval,
    normal_interval,
    resampled_interval,
)
from behaviorseq.evaluation.significance import Interval
from behaviorseq.simulate.logged_bandit import SyntheticBandit
from measure import LIBRARIES, write_result

NAME, RUNS, ROUNDS, LOGS = "offpolicy", 20, 10_000, 400
PUBLISHED = {
    "DM": (0.074390, 0.024525),
    "IPW": (0.009481, 0.006899),
    "SNIPW": (0.006665, 0.004541),
    "DR": (0.006175, 0.004245),
    "DRos": (0.021951, 0.013337),
}


def learned_policy(train: BanditLog, contexts: np.ndarray) -> np.ndarray:
    """Learn which action paid, and make a softmax of its probabilities."""
    model = LogisticRegression(C=100, max_iter=10_000)
    model.fit(train.contexts, train.actions, sample_weight=train.rewards / train.propensities)
    scores = np.zeros((len(contexts), train.n_actions))
    scores[:, model.classes_] = model.predict_proba(contexts)
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


Logs = tuple[BanditLog, BanditLog, np.ndarray]


def fresh(seed: int) -> Logs:
    """Give a log to learn from, one to judge by, and what is expected in the second."""
    world = SyntheticBandit(seed=seed)
    log = world.log(ROUNDS, seed=1)
    return world.log(ROUNDS, seed=0), log, world.expected(log.contexts)


def repeated(seed: int) -> Logs:
    """Give the same from the random numbers of Open Bandit Pipeline.

    It seeds anew for the coefficients and for the actions of each log, and standardises over the
    contexts of the log.
    """
    stream, logs, rounds = np.random.RandomState(seed), [], np.arange(ROUNDS)
    for _ in range(2):
        contexts = stream.normal(size=(ROUNDS, 5))
        anew = np.random.RandomState(seed)
        of_context, of_action = anew.uniform(-1, 1, (6, 1)), anew.uniform(-1, 1, 31)
        pairs = anew.uniform(-1, 1, (6, 31))
        logits = np.hstack([np.ones((ROUNDS, 1)), contexts]) @ (
            of_context + pairs[:, :1] + pairs[:, 1:]
        )
        logits += of_action[0] + of_action[1:]
        expected = 1 / (1 + np.exp(-(logits - logits.mean()) / logits.std()))
        policy = np.exp(-3 * expected)
        policy /= policy.sum(axis=1, keepdims=True)
        drawn = np.random.RandomState(seed).uniform(size=(ROUNDS, 1))
        actions = (policy.cumsum(axis=1) > drawn).argmax(axis=1)
        clicks = stream.binomial(1, expected[rounds, actions])
        logs.append(BanditLog(actions, clicks, policy[rounds, actions], 30, contexts))
    return logs[0], logs[1], expected


def errors(train: BanditLog, log: BanditLog, expected: np.ndarray, seed: int) -> dict[str, float]:
    """Judge one policy in one world by every estimator; the seed is that of the folds."""
    policy = learned_policy(train, log.contexts)
    predicted = cross_fitted_rewards(log, seed=seed)
    truth = float((policy * expected).sum(axis=1).mean())
    shrinkage = tuned_shrinkage(log, policy, predicted)
    terms = {
        "DM": direct_method(policy, predicted),
        "IPW": ipw(log, policy),
        "SNIPW": snipw(log, policy),
        "DR": doubly_robust(log, policy, predicted),
        "DRos": doubly_robust(log, policy, predicted, shrinkage=shrinkage),
    }
    return {name: abs(term.value - truth) / truth for name, term in terms.items()}


def rare_world() -> tuple[SyntheticBandit, dict[str, Callable[[np.ndarray], np.ndarray]]]:
    """Give a world with about 40 clicks in a log, and two policies to judge."""
    world = SyntheticBandit(shift=-6.0, seed=0)

    def mild(contexts: np.ndarray) -> np.ndarray:
        chance = world.expected(contexts)
        return chance / chance.sum(axis=1, keepdims=True)

    def sharp(contexts: np.ndarray) -> np.ndarray:
        return np.eye(world.n_actions)[world.expected(contexts).argmax(axis=1)]

    return world, {"mild": mild, "sharp": sharp}


def intervals(log: BanditLog, policy: np.ndarray, seed: int) -> dict[tuple[str, str], Interval]:
    """Give every interval of every estimator."""
    predicted = cross_fitted_rewards(log)
    terms: dict[str, Terms] = {
        "DM": direct_method(policy, predicted),
        "IPW": ipw(log, policy),
        "SNIPW": snipw(log, policy),
        "DR": doubly_robust(log, policy, predicted),
    }
    found = {}
    for name, term in terms.items():
        found[name, "normal"] = normal_interval(term)
        if name != "DM":
            found[name, "gamma"] = gamma_interval(log, policy, term)
        if name in ("IPW", "SNIPW"):
            found[name, "bootstrap"] = resampled_interval(term, n_bootstrap=200, seed=seed)
    return found


def coverage() -> list[dict[str, Any]]:
    """Count how often intervals hold the truth."""
    world, policies = rare_world()
    many = np.random.default_rng(0).normal(size=(200_000, world.n_features))
    rows, clicks = [], []
    for name, policy in policies.items():
        truth, found = world.value(policy(many), many), []
        for seed in range(LOGS):
            log = world.log(ROUNDS, seed=seed)
            clicks.append(log.rewards.sum())
            found.append(intervals(log, policy(log.contexts), seed))
        for key in found[0]:
            held = [each[key].low <= truth <= each[key].high for each in found]
            low = [truth < each[key].low for each in found]
            width = np.mean([each[key].high - each[key].low for each in found]) / truth
            row = {"policy": name, "estimator": key[0], "interval": key[1], "truth": truth}
            row |= {"coverage": float(np.mean(held)), "truth_below": float(np.mean(low))}
            rows.append(row | {"width": round(float(width), 4)})
            print(rows[-1], flush=True)
    print("clicks a log", np.mean(clicks))
    return rows


def main() -> None:
    """Measure errors and coverage, and store both."""
    runs = [errors(*fresh(seed), seed=0) for seed in range(RUNS)]
    again = [errors(*repeated(seed), seed=12345) for seed in range(RUNS)]
    rows = []
    for name, (mean, deviation) in PUBLISHED.items():
        found, same = (np.array([run[name] for run in each]) for each in (runs, again))
        rows.append(
            {
                "estimator": name,
                "mean": round(float(found.mean()), 6),
                "std": round(float(found.std(ddof=1)), 6),
                "runs": [round(float(each), 6) for each in found],
                "repeated": round(float(same.mean()), 6),
                "repeated_std": round(float(same.std(ddof=1)), 6),
                "published": mean,
                "published_std": deviation,
            }
        )
        print(rows[-1], flush=True)
    write_result(
        NAME,
        rows,
        about=__doc__.partition("Protocol: ")[2].strip(),
        seed=0,
        libraries=[*LIBRARIES, "scikit-learn"],
        coverage=coverage(),
    )


if __name__ == "__main__":
    main()

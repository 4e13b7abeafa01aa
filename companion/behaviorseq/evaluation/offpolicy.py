r"""What a policy would have earned, from the log of another one.

A policy :math:`\pi` to be judged is an array of shape (n_rounds, n_actions): with which
probability it would have shown each action in each round of the log. A reward model is an array
:math:`\hat q` of that shape: what each action would have earned. The importance weight of a round
is :math:`w_i = \pi(a_i \mid x_i) / \pi_0(a_i \mid x_i)`, :math:`\pi_0` the policy of the log.

Every estimator gives :class:`Terms`, a numerator and a denominator for each round; the estimate
is the ratio of their means, so that the intervals of
:mod:`behaviorseq.evaluation.offpolicy_intervals` serve all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from behaviorseq.arguments import number, require, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from behaviorseq.bandit_log import BanditLog

    Floats = NDArray[np.float64]

#: Values of the shrinkage among which :func:`tuned_shrinkage` chooses, those of Open Bandit
#: Pipeline's example.
SHRINKAGES = (10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10000.0, np.inf)


@dataclass(frozen=True, eq=False)
class Terms:
    """What each round adds to an estimate, the ratio of two means.

    Parameters
    ----------
    numerator, denominator : NDArray[float64]
        Shape (n_rounds,).
    """

    numerator: Floats
    denominator: Floats

    @property
    def value(self) -> float:
        """The estimate."""
        return float(self.numerator.mean() / self.denominator.mean())


def direct_method(policy: ArrayLike, predicted: ArrayLike) -> Terms:
    r"""Believe a reward model: :math:`\sum_a \pi(a \mid x_i)\, \hat q(x_i, a)`.

    As good as the model, and the interval does not know the model's errors.

    Parameters
    ----------
    policy, predicted : array-like
        The policy to judge and the reward model, shape (n_rounds, n_actions).

    Returns
    -------
    Terms
        One a round.

    Raises
    ------
    ValueError
        If the shapes differ, or a row of the policy is no distribution.

    Examples
    --------
    >>> direct_method([[0.5, 0.5]], [[0.25, 0.75]]).value
    0.5
    """
    pi, q = _policy(policy), np.asarray(predicted, dtype=np.float64)
    _same_shape("predicted", q, pi)
    return _mean_of((pi * q).sum(axis=1))


def ipw(log: BanditLog, policy: ArrayLike) -> Terms:
    r"""Weigh rewards by inverse propensities: :math:`w_i r_i`.

    Unbiased where the log can show whatever the policy shows.

    Parameters
    ----------
    log : BanditLog
        What another policy did and earned.
    policy : array-like
        The policy to judge, shape (n_rounds, n_actions).

    Returns
    -------
    Terms
        One a round.

    Raises
    ------
    ValueError
        If the policy has not one row a round and one column an action.

    References
    ----------
    Horvitz and Thompson, A generalization of sampling without replacement from a finite universe,
    Journal of the American Statistical Association 47(260), 1952.

    Examples
    --------
    >>> from behaviorseq.bandit_log import BanditLog
    >>> log = BanditLog([0, 1, 1, 0], [1, 0, 1, 0], [0.5, 0.5, 0.5, 0.5], n_actions=2)
    >>> ipw(log, [[0.75, 0.25]] * 4).value  # (1.5 + 0.5) / 4
    0.5
    """
    return _mean_of(importance_weights(log, policy) * log.rewards)


def snipw(log: BanditLog, policy: ArrayLike) -> Terms:
    r"""Divide :func:`ipw` by the mean weight: :math:`\sum_i w_i r_i / \sum_i w_i`.

    Never outside the range of the rewards, and biased a little, less with every round.

    Parameters
    ----------
    log, policy
        As :func:`ipw`.

    Returns
    -------
    Terms
        One a round.

    Raises
    ------
    ValueError
        As :func:`ipw`.

    References
    ----------
    Swaminathan and Joachims, The self-normalized estimator for counterfactual learning, NeurIPS
    2015.

    Examples
    --------
    >>> from behaviorseq.bandit_log import BanditLog
    >>> log = BanditLog([0, 1, 1], [1, 0, 1], [0.5, 0.5, 0.5], n_actions=2)
    >>> round(snipw(log, [[0.75, 0.25]] * 3).value, 3)  # (1.5 + 0.5) / (1.5 + 0.5 + 0.5)
    0.8
    """
    weights = importance_weights(log, policy)
    return Terms(weights * log.rewards, weights)


def doubly_robust(
    log: BanditLog,
    policy: ArrayLike,
    predicted: ArrayLike,
    *,
    shrinkage: float = np.inf,
    switch: float = np.inf,
) -> Terms:
    r"""Correct a reward model by its weighted errors on what was shown.

    .. math:: \sum_a \pi(a \mid x_i)\, \hat q(x_i, a) + w_i' \big(r_i - \hat q(x_i, a_i)\big)

    Unbiased with :math:`w' = w` whatever the model, as long as a round's model was not fitted on
    that round (:func:`cross_fitted_rewards`).

    Parameters
    ----------
    log : BanditLog
        What another policy did and earned.
    policy, predicted : array-like
        The policy to judge and the reward model, shape (n_rounds, n_actions).
    shrinkage : float
        :math:`\lambda` of :math:`w' = \lambda w / (w^2 + \lambda)`, DRos: less variance for some
        bias. Infinite: none.
    switch : float
        Weights above it count as 0, Switch-DR. Infinite: none do.

    Returns
    -------
    Terms
        One a round.

    Raises
    ------
    ValueError
        If a shape is wrong, or ``shrinkage`` or ``switch`` is negative.

    References
    ----------
    Dudík, Langford and Li, Doubly robust policy evaluation and learning, ICML 2011,
    arXiv:1103.4601. Su, Dimakopoulou, Krishnamurthy and Dudík, Doubly robust off-policy evaluation
    with shrinkage, ICML 2020, arXiv:1907.09623. Wang, Agarwal and Dudík, Optimal and adaptive
    off-policy evaluation in contextual bandits, ICML 2017, arXiv:1612.01205.

    Examples
    --------
    >>> from behaviorseq.bandit_log import BanditLog
    >>> log = BanditLog([0], [1], [0.5], n_actions=2)
    >>> doubly_robust(log, [[0.75, 0.25]], [[0.6, 0.2]]).value  # 0.5 + 1.5 (1 - 0.6)
    1.1
    """
    number("shrinkage", shrinkage, 0, np.inf)
    number("switch", switch, 0, np.inf)
    weights = importance_weights(log, policy)
    if np.isfinite(shrinkage):
        weights = shrinkage * weights / np.maximum(weights**2 + shrinkage, 1e-300)
    weights = np.where(weights > switch, 0.0, weights) if np.isfinite(switch) else weights
    q = np.asarray(predicted, dtype=np.float64)
    error = log.rewards - q[np.arange(len(log)), log.actions]
    return _mean_of(direct_method(policy, q).numerator + weights * error)


def importance_weights(log: BanditLog, policy: ArrayLike) -> Floats:
    """Give how much more probable the policy would have made what was shown, shape (n_rounds,)."""
    pi = _policy(policy)
    if pi.shape != (len(log), log.n_actions):
        raise ValueError(
            f"policy must have one row a round and one column an action, "
            f"{(len(log), log.n_actions)}, got {pi.shape}"
        )
    return np.asarray(pi[np.arange(len(log)), log.actions] / log.propensities)


def effective_rounds(log: BanditLog, policy: ArrayLike) -> float:
    r"""Say how many rounds of the policy's own the log is worth: :math:`(\sum w)^2 / \sum w^2`.

    Examples
    --------
    >>> from behaviorseq.bandit_log import BanditLog
    >>> log = BanditLog([0, 1], [1, 0], [0.5, 0.5], n_actions=2)
    >>> effective_rounds(log, [[1.0, 0.0]] * 2)
    1.0
    """
    weights = importance_weights(log, policy)
    return float(weights.sum() ** 2 / max((weights**2).sum(), 1e-300))


def tuned_shrinkage(
    log: BanditLog,
    policy: ArrayLike,
    predicted: ArrayLike,
    *,
    choices: Sequence[float] = SHRINKAGES,
    delta: float = 0.05,
) -> float:
    r"""Choose the shrinkage of :func:`doubly_robust` from the log alone, by SLOPE.

    Estimates are tried from the one with the widest interval to the narrowest, and the last is
    taken whose interval still agrees with all before it.

    Parameters
    ----------
    log, policy, predicted
        As in :func:`doubly_robust`.
    choices : sequence of float
        The values to choose from.
    delta : float
        Chance that an interval misses on one side, between 0 and 1.

    Returns
    -------
    float
        One of the choices.

    Raises
    ------
    ValueError
        If there is no choice.

    References
    ----------
    Su, Srinath and Krishnamurthy, Adaptive estimator selection for off-policy evaluation, ICML
    2020, arXiv:2002.07729; Tucker and Lee, Improved estimator selection for off-policy evaluation,
    2021, for the constant.

    Examples
    --------
    >>> from behaviorseq.bandit_log import BanditLog
    >>> log = BanditLog([0, 1] * 9, [1, 0] * 9, [0.5] * 18, n_actions=2)
    >>> tuned_shrinkage(log, [[0.9, 0.1]] * 18, [[0.5, 0.5]] * 18, choices=[np.inf])
    inf
    """
    require("choices", list(choices), len(choices) > 0, "one value or more")
    tried = []
    for choice in choices:
        terms = doubly_robust(log, policy, predicted, shrinkage=choice).numerator
        error = terms.std() / np.sqrt(len(terms) - 1)
        tried.append((error * stats.t(len(terms) - 1).ppf(1 - delta), terms.mean(), choice))
    tried.sort(key=lambda entry: -entry[0])
    for place, (reach, value, _) in enumerate(tried):
        for wider, before, _ in tried[:place]:
            if abs(value - before) > reach + (np.sqrt(6) - 1) * wider:
                return float(tried[place - 1][2])
    return float(tried[-1][2])


def cross_fitted_rewards(
    log: BanditLog, *, n_folds: int = 3, C: float = 100.0, seed: int = 0
) -> Floats:
    """Predict the chance of a click on every action, by a logistic regression of other rounds.

    Contexts and the action, one-hot, are what it reads. The rounds are cut into folds, and each
    fold is predicted by a model that did not see it.

    Parameters
    ----------
    log : BanditLog
        Rewards 0 and 1; contexts are used where there are some.
    n_folds : int
        Folds, 2 or more.
    C : float
        Inverse strength of the penalty.
    seed : int
        Seed of the folds.

    Returns
    -------
    NDArray[float64]
        Shape (n_rounds, n_actions).

    Raises
    ------
    ValueError
        If all rewards of a training part are equal, or there are fewer rounds than folds.

    Examples
    --------
    >>> from behaviorseq.simulate.logged_bandit import SyntheticBandit
    >>> log = SyntheticBandit(n_actions=3).log(300)
    >>> cross_fitted_rewards(log).shape
    (300, 3)
    """
    contexts = np.zeros((len(log), 0)) if log.contexts is None else log.contexts
    shown = np.hstack([contexts, np.eye(log.n_actions)[log.actions]])
    predicted = np.empty((len(log), log.n_actions))
    folds = KFold(whole("n_folds", n_folds, 2), shuffle=True, random_state=seed)
    for train, held in folds.split(shown):
        model = LogisticRegression(C=C, max_iter=10_000).fit(shown[train], log.rewards[train])
        of_context, of_action = np.split(model.coef_[0], [contexts.shape[1]])
        logits = model.intercept_ + (contexts[held] @ of_context)[:, None] + of_action
        predicted[held] = 1 / (1 + np.exp(-logits))
    return predicted


def _policy(policy: ArrayLike) -> Floats:
    pi = np.asarray(policy, dtype=np.float64)
    if pi.ndim != 2:
        raise ValueError(f"policy must have shape (n_rounds, n_actions), got {pi.shape}")
    fair = (pi >= 0).all(axis=1) & np.isclose(pi.sum(axis=1), 1, atol=1e-6)
    if not fair.all():
        row = int(np.argmin(fair))
        raise ValueError(
            f"each row of policy must be a distribution; the sum of row {row} is "
            f"{pi[row].sum():.6g}"
        )
    return pi


def _same_shape(name: str, array: Floats, pi: Floats) -> None:
    if array.shape != pi.shape:
        raise ValueError(f"{name} must have the shape of the policy, {pi.shape}, got {array.shape}")


def _mean_of(values: Floats) -> Terms:
    return Terms(values, np.ones(len(values)))

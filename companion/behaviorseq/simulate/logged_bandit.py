"""A world of single choices whose every expected reward is known, to judge estimators in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from behaviorseq.arguments import number, whole
from behaviorseq.bandit_log import BanditLog

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


class SyntheticBandit:
    r"""Contexts, actions, and a logistic chance of a click, logged by a softmax policy.

    A context :math:`x` is standard normal; the logit of a click on action :math:`a` is
    :math:`\text{shift} + z(c_a + w_a^\top x)`, with coefficients uniform in -1 to 1 and :math:`z`
    the standardisation to mean 0 and deviation 1 over contexts and actions. The log is made by
    :math:`\pi(a \mid x) \propto \exp(\beta\, q(x, a))`, with :math:`q` the chance of a click: a
    negative :math:`\beta` prefers what is worse.

    Parameters
    ----------
    n_actions, n_features : int
        Number of actions, and of numbers in a context.
    beta : float
        How much the logging policy looks at the chance of a click, -100 to 100.
    shift : float
        Added to all logits: -5.5 makes clicks rare. -20 to 20.
    seed : int
        Seed of the coefficients.

    References
    ----------
    Saito, Aihara, Matsutani and Narita, Open Bandit Dataset and Pipeline, arXiv:2008.07146: the
    ``SyntheticBanditDataset`` with ``logistic_reward_function`` of their package obp, version
    0.5.5. (Version 0.5.10 of its fork sb-obp subtracts mean/deviation instead, another setting.)

    Examples
    --------
    >>> world = SyntheticBandit(n_actions=3, seed=1)
    >>> log = world.log(1000, seed=0)
    >>> log.actions[:5], log.contexts.shape
    (array([0, 1, 0, 1, 1]), (1000, 5))
    """

    def __init__(
        self,
        n_actions: int = 30,
        n_features: int = 5,
        *,
        beta: float = -3.0,
        shift: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.n_actions = whole("n_actions", n_actions, 2)
        self.n_features = whole("n_features", n_features, 1)
        self.beta, self.shift = number("beta", beta, -100, 100), number("shift", shift, -20, 20)
        self.seed = whole("seed", seed, 0)
        rng = np.random.default_rng(self.seed)
        # A one of its own stands before the context and before the one-hot action, so that the
        # coefficients of contexts, of actions and of pairs add up.
        shared = rng.uniform(-1, 1, (self.n_features + 1, 1))
        action = rng.uniform(-1, 1, (1, self.n_actions + 1))
        pair = rng.uniform(-1, 1, (self.n_features + 1, self.n_actions + 1))
        weights = shared + pair[:, :1] + pair[:, 1:]
        weights[0] += action[0, 0] + action[0, 1:]
        slopes = (weights[1:] ** 2).sum(axis=0).mean()
        weights[0] -= weights[0].mean()
        self._weights = weights / np.sqrt(slopes + weights[0].var())

    def expected(self, contexts: ArrayLike) -> Floats:
        """Give the chance of a click on each action, shape (n, n_actions)."""
        x = np.asarray(contexts, dtype=np.float64)
        return np.asarray(
            1 / (1 + np.exp(-(self.shift + self._weights[0] + x @ self._weights[1:])))
        )

    def logging_policy(self, contexts: ArrayLike) -> Floats:
        """Give the chance with which the log shows each action, shape (n, n_actions)."""
        scores = self.beta * self.expected(contexts)
        likely = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(likely / likely.sum(axis=1, keepdims=True))

    def log(self, n: int, *, seed: int = 0) -> BanditLog:
        """Give ``n`` rounds of the logging policy; another seed, other rounds."""
        rng = np.random.default_rng([self.seed, whole("seed", seed, 0), 1])
        contexts = rng.normal(size=(whole("n", n, 1), self.n_features))
        policy, rounds = self.logging_policy(contexts), np.arange(n)
        drawn = (policy.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
        actions = np.minimum(drawn, self.n_actions - 1)
        clicks = rng.random(n) < self.expected(contexts)[rounds, actions]
        return BanditLog(actions, clicks, policy[rounds, actions], self.n_actions, contexts)

    def value(self, policy: ArrayLike, contexts: ArrayLike) -> float:
        """Give what a policy of shape (n, n_actions) truly earns a round in these contexts."""
        return float((np.asarray(policy) * self.expected(contexts)).sum(axis=1).mean())

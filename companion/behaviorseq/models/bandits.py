r"""Bandits: choose, see what it brings, learn, and choose again, for a batch of users at a time.

Each arm has a ridge regression of its own of the rewards on the context, as in the disjoint
LinUCB: with :math:`X_a` and :math:`r_a` the contexts in which arm :math:`a` was shown and what it
brought, :math:`A_a = \lambda I + X_a^\top X_a` and
:math:`\hat\theta_a = A_a^{-1} X_a^\top r_a`. What differs is how a bandit explores. A context of a
single 1 makes them bandits without a context, and a one-hot context gives every segment of users a
bandit of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from behaviorseq.arguments import number, whole

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


class LinearBandit(ABC):
    """What the bandits of this module share: a regression an arm, learned from batches.

    Parameters
    ----------
    n_arms, n_features : int
        What there is to choose from, and how many numbers a context has.
    penalty : float
        Strength of the ridge penalty, above 0.
    seed : int
        Seed of all that is drawn.

    Attributes
    ----------
    coefficients : NDArray[float64]
        Of each arm's regression, shape (n_arms, n_features).
    rounds : int
        Rewards seen.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> bandit = LinUCB(n_arms=2, n_features=1, alpha=0.1)
    >>> for _ in range(20):
    ...     arms = bandit.select([[1.0]] * 5)
    ...     bandit.update([[1.0]] * 5, arms, (arms == 1).astype(float))
    >>> bandit.select([[1.0]])
    array([1])
    """

    def __init__(
        self, n_arms: int, n_features: int, *, penalty: float = 1.0, seed: int = 0
    ) -> None:
        self.n_arms, self.n_features = (
            whole("n_arms", n_arms, 1),
            whole("n_features", n_features, 1),
        )
        self.penalty = number("penalty", penalty, 1e-12, 1e12)
        self.rng = np.random.default_rng(whole("seed", seed, 0))
        identity = np.eye(self.n_features)
        self._precision = np.repeat(penalty * identity[None], self.n_arms, axis=0)
        self._covariance = np.repeat(identity[None] / penalty, self.n_arms, axis=0)
        self._response = np.zeros((self.n_arms, self.n_features))
        self.coefficients = np.zeros((self.n_arms, self.n_features))
        self.rounds = 0

    @abstractmethod
    def scores(self, contexts: Floats) -> Floats:
        """Give what decides, higher is chosen, shape (n_users, n_arms)."""

    def select(self, contexts: ArrayLike) -> Ints:
        """Choose an arm for each user; of equal scores any.

        Parameters
        ----------
        contexts : array-like
            Shape (n_users, n_features).

        Returns
        -------
        NDArray[int64]
            Arms, shape (n_users,).

        Raises
        ------
        ValueError
            If the contexts have another shape.
        """
        scores = self.scores(self._checked(contexts))
        best = scores >= scores.max(axis=1, keepdims=True)
        return np.asarray((best * self.rng.random(scores.shape)).argmax(axis=1))

    def update(self, contexts: ArrayLike, arms: ArrayLike, rewards: ArrayLike) -> None:
        """Learn from what was shown and what it brought.

        Parameters
        ----------
        contexts : array-like
            Shape (n_users, n_features).
        arms : array-like of int
            What was shown, shape (n_users,).
        rewards : array-like
            Shape (n_users,).

        Raises
        ------
        ValueError
            If a length or an arm is wrong.
        """
        x, shown = self._checked(contexts), np.asarray(arms, dtype=np.int64)
        gained = np.asarray(rewards, dtype=np.float64)
        if shown.shape != (len(x),) or gained.shape != (len(x),):
            raise ValueError(
                f"{len(x)} contexts need as many arms and rewards, got "
                f"{shown.shape} and {gained.shape}"
            )
        if len(shown) and (shown.min() < 0 or shown.max() >= self.n_arms):
            wrong = shown[(shown < 0) | (shown >= self.n_arms)][0]
            raise ValueError(f"arms must be from 0 to {self.n_arms - 1}, got {wrong}")
        mine = np.eye(self.n_arms)[shown]  # (n_users, n_arms)
        parts = (mine[:, :, None] * x[:, None, :]).reshape(len(x), -1)  # x where the arm is
        self._precision += (parts.T @ x).reshape(self._precision.shape)
        self._response += (mine.T * gained) @ x
        touched = np.unique(shown)
        self._covariance[touched] = np.linalg.inv(self._precision[touched])
        solved = np.einsum("aij,aj->ai", self._covariance[touched], self._response[touched])
        self.coefficients[touched] = solved
        self.rounds += len(x)

    def predict(self, contexts: ArrayLike) -> Floats:
        """Give the expected reward of each arm, shape (n_users, n_arms)."""
        return np.asarray(self._checked(contexts) @ self.coefficients.T)

    def deviation(self, contexts: ArrayLike) -> Floats:
        r"""Give how unsure each expected reward is: :math:`\sqrt{x^\top A_a^{-1} x}`."""
        x = self._checked(contexts)
        return np.asarray(np.sqrt(((x @ self._covariance) * x).sum(axis=2).T))

    def _checked(self, contexts: ArrayLike) -> Floats:
        x = np.asarray(contexts, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.n_features:
            raise ValueError(
                f"contexts must have shape (n_users, {self.n_features}), got {x.shape}"
            )
        return x


class EpsilonGreedy(LinearBandit):
    r"""Choose what seems best, and with a small probability anything.

    Parameters
    ----------
    n_arms, n_features, penalty, seed
        See :class:`LinearBandit`.
    epsilon : float
        The probability of choosing anything, 0 to 1.
    decay : float
        After :math:`t` rewards it is :math:`\epsilon (1 + t / \text{horizon})^{-\text{decay}}`.
        With 0 it stays, and so does a share of the regret: it grows in proportion to time.
    horizon : int
        See ``decay``.

    References
    ----------
    Sutton and Barto, Reinforcement learning: an introduction, second edition, 2018, chapter 2.
    """

    def __init__(
        self,
        n_arms: int,
        n_features: int,
        *,
        epsilon: float = 0.1,
        decay: float = 0.0,
        horizon: int = 1000,
        penalty: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__(n_arms, n_features, penalty=penalty, seed=seed)
        self.epsilon = number("epsilon", epsilon, 0, 1)
        self.decay = number("decay", decay, 0, 10)
        self.horizon = whole("horizon", horizon, 1)

    def scores(self, contexts: Floats) -> Floats:
        """Give expected rewards, and to those who are explored with the same for all arms."""
        chance = self.epsilon * (1 + self.rounds / self.horizon) ** -self.decay
        explores = self.rng.random(len(contexts)) < chance
        return np.where(explores[:, None], 0.0, self.predict(contexts))


class LinUCB(LinearBandit):
    r"""Choose what could be best: :math:`x^\top \hat\theta_a + \alpha \sqrt{x^\top A_a^{-1} x}`.

    Parameters
    ----------
    n_arms, n_features, penalty, seed
        See :class:`LinearBandit`.
    alpha : float
        How many deviations of hope, 0 or more.

    References
    ----------
    Li, Chu, Langford and Schapire, A contextual-bandit approach to personalized news article
    recommendation, WWW 2010, arXiv:1003.0146, algorithm 1.
    """

    def __init__(
        self,
        n_arms: int,
        n_features: int,
        *,
        alpha: float = 1.0,
        penalty: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__(n_arms, n_features, penalty=penalty, seed=seed)
        self.alpha = number("alpha", alpha, 0, np.inf)

    def scores(self, contexts: Floats) -> Floats:
        """Give upper ends of intervals."""
        return self.predict(contexts) + self.alpha * self.deviation(contexts)


class ThompsonSampling(LinearBandit):
    r"""Choose what is best for one draw of the coefficients from what is believed of them.

    :math:`\theta_a \sim N(\hat\theta_a, v^2 A_a^{-1})`, drawn anew for each user. Since arms are
    drawn independently and a user has one context, drawing :math:`x^\top \theta_a` is the same.

    Parameters
    ----------
    n_arms, n_features, penalty, seed
        See :class:`LinearBandit`.
    scale : float
        :math:`v`, 0 or more: the deviation of a reward, if what is believed is to be true.

    References
    ----------
    Agrawal and Goyal, Thompson sampling for contextual bandits with linear payoffs,
    arXiv:1209.3352; there all arms share the coefficients.
    """

    def __init__(
        self,
        n_arms: int,
        n_features: int,
        *,
        scale: float = 1.0,
        penalty: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__(n_arms, n_features, penalty=penalty, seed=seed)
        self.scale = number("scale", scale, 0, np.inf)

    def scores(self, contexts: Floats) -> Floats:
        """Draw expected rewards."""
        mean, deviation = self.predict(contexts), self.deviation(contexts)
        return mean + self.scale * deviation * self.rng.normal(size=mean.shape)

"""Regret: what a learner earned less than the best choice would have, and how it grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import stats

from behaviorseq.arguments import whole
from behaviorseq.evaluation.significance import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


class Chooser(Protocol):
    """What chooses an arm for each user and may learn, such as a bandit."""

    def select(self, contexts: Any) -> Any:
        """Give an arm for each context."""

    def update(self, contexts: Any, arms: Any, rewards: Any) -> None:
        """Learn from rewards."""


@dataclass(frozen=True, eq=False)
class OnlineRun:
    """What happened to a chooser online.

    Parameters
    ----------
    regret : NDArray[float64]
        Expected clicks that the best arm would have brought more, summed over all users so far,
        after each round, shape (n_rounds,).
    clicks : NDArray[float64]
        Share of the users of each round who clicked, shape (n_rounds,).
    """

    regret: Floats
    clicks: Floats


def run_online(
    chooser: Chooser,
    environment: Any,
    contexts: Floats,
    items: Any,
    expected: Floats,
    *,
    rounds: int,
    seed: int = 0,
    learn: bool = True,
) -> OnlineRun:
    """Let a bandit choose, in a world, for one round of visitors after another.

    Parameters
    ----------
    chooser : Chooser
        Chooses arms and learns.
    environment : WorldVectorEnvironment
        Of ``steps=1``, so that everybody is equally often there, whoever pleases whom.
    contexts : NDArray[float64]
        What is known of each user, shape (n_users, n_features).
    items : array-like of int
        The item that each arm shows, shape (n_arms,).
    expected : NDArray[float64]
        The true chance of a click that regret is counted by, shape (n_users, n_arms).
    rounds : int
        How many.
    seed : int
        Of visitors and clicks.
    learn : bool
        Whether the chooser gets to know what happened.

    Returns
    -------
    OnlineRun
        Regret and clicks.

    Raises
    ------
    ValueError
        If ``rounds`` is not a whole number of 1 or more.
    """
    shown, (seen, _) = np.asarray(items), environment.reset(seed=seed)
    regret, clicks = np.zeros(whole("rounds", rounds, 1)), np.zeros(rounds)
    for number in range(rounds):
        users = seen["user"]
        arms = chooser.select(contexts[users])
        seen, rewards, *_ = environment.step(shown[arms])
        if learn:
            chooser.update(contexts[users], arms, rewards)
        best = expected[users].max(axis=1)
        regret[number] = (best - expected[users, arms]).sum()
        clicks[number] = rewards.mean()
    return OnlineRun(regret.cumsum(), clicks)


def growth_exponent(
    regrets: ArrayLike, *, start: float = 0.1, n_points: int = 50, level: float = 0.95
) -> Interval:
    r"""Fit :math:`R_t = c\, t^b` to cumulative regrets, and give :math:`b` with its interval.

    A line is fitted to the logarithms at times that are evenly spaced on the logarithmic scale,
    for each run alone; the interval is Student's over the runs. 1 is no learning, 0 is done.

    Parameters
    ----------
    regrets : array-like
        Cumulative regret of each run after each round, shape (n_runs, n_rounds), above 0 from
        ``start`` on; two runs at least.
    start : float
        Share of the rounds that is left out at the beginning, above 0 and below 1.
    n_points : int
        Times at which the line is fitted.
    level : float
        Confidence level, between 0 and 1.

    Returns
    -------
    Interval
        Mean exponent, low end, high end.

    Raises
    ------
    ValueError
        If there are fewer than two runs, a regret in use is not above 0, or ``start`` or ``level``
        is out of range.

    Examples
    --------
    >>> time = np.arange(1, 1001)
    >>> [round(number, 3) for number in growth_exponent([time**0.5, 2 * time**0.5])]
    [0.5, 0.5, 0.5]
    """
    runs = np.asarray(regrets, dtype=np.float64)
    if runs.ndim != 2 or len(runs) < 2:
        raise ValueError(
            f"regrets must have shape (n_runs, n_rounds), 2 runs at least: {runs.shape}"
        )
    if not (0 < start < 1 and 0 < level < 1):
        raise ValueError(f"start and level must lie between 0 and 1, got {start} and {level}")
    length = runs.shape[1]
    times = np.unique(np.geomspace(max(1, start * length), length, n_points).astype(np.int64))
    if (runs[:, times - 1] <= 0).any():
        raise ValueError("regrets must be above 0: cumulative, from the first round in use on")
    slopes = np.polyfit(np.log(times), np.log(runs[:, times - 1]).T, deg=1)[0]
    mean, error = slopes.mean(), slopes.std(ddof=1) / np.sqrt(len(slopes))
    reach = stats.t(len(slopes) - 1).ppf((1 + level) / 2) * error
    return Interval(float(mean), float(mean - reach), float(mean + reach))

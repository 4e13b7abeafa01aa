"""Regret: what a learner earned less than the best choice would have, and how it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from behaviorseq.evaluation.significance import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


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

"""How sure a difference is: intervals over users, and paired tests between models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from behaviorseq.evaluation.protocol import Evaluation

_BLOCK = 4_000_000  # resampled values held at a time


class Interval(NamedTuple):
    """An estimate with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedTest:
    """A mean difference between two models on the same users.

    Parameters
    ----------
    difference : float
        Mean of the first minus mean of the second.
    low, high : float
        Ends of its bootstrap interval.
    p_value : float
        Two-sided, by sign-flip permutation.
    """

    difference: float
    low: float
    high: float
    p_value: float


def bootstrap_interval(
    values: ArrayLike, *, level: float = 0.95, n_bootstrap: int = 2000, seed: int = 0
) -> Interval:
    """Give the mean of a per-user metric and its percentile bootstrap interval.

    The interval says how the mean would vary over other users of the same kind. It says nothing
    of other training seeds, other splits or later months.

    Parameters
    ----------
    values : array-like
        One value a user, shape (n_users,).
    level : float
        Confidence level, between 0 and 1.
    n_bootstrap : int
        Number of resamples.
    seed : int
        Seed of the resamples.

    Returns
    -------
    Interval
        Mean, low end, high end.

    Raises
    ------
    ValueError
        If there is no value, a value is not a number, or the level is not between 0 and 1.

    References
    ----------
    Efron and Tibshirani, An introduction to the bootstrap, 1993, chapter 13.

    Examples
    --------
    >>> value, low, high = bootstrap_interval([0, 1] * 500)
    >>> value, bool(0.45 < low < 0.5 < high < 0.55)
    (0.5, True)
    """
    values = _checked(values)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    rng = np.random.default_rng(seed)
    means = _blocks(
        n_bootstrap, len(values), lambda n: values[rng.integers(0, len(values), (n, len(values)))]
    )
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(values.mean()), float(low), float(high))


def paired_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> PairedTest:
    """Compare two models on the same users.

    If the models were equal, each user's difference could as well have the other sign: the
    p-value is the share of random sign flips with a mean difference at least as large
    (Fisher's randomisation test; Smucker, Allan and Carterette, CIKM 2007).

    Parameters
    ----------
    first, second : array-like
        A per-user metric of each model, users in the same order, shape (n_users,).
    level : float
        Confidence level of the interval of the difference.
    n_resamples : int
        Number of bootstrap resamples and of sign flips; the smallest possible p-value is
        ``1 / (n_resamples + 1)``.
    seed : int
        Seed of both.

    Returns
    -------
    PairedTest
        Difference, interval and p-value.

    Raises
    ------
    ValueError
        If the lengths differ, or for the reasons of ``bootstrap_interval``.

    Examples
    --------
    >>> test = paired_test([1, 1, 1, 0] * 20, [0, 1, 0, 0] * 20)
    >>> test.difference, test.p_value < 0.01
    (0.5, True)
    """
    first, second = _checked(first), _checked(second)
    if len(first) != len(second):
        raise ValueError(
            f"a paired test needs the same users twice, got {len(first)} and {len(second)} values"
        )
    difference = first - second
    value, low, high = bootstrap_interval(
        difference, level=level, n_bootstrap=n_resamples, seed=seed
    )
    rng = np.random.default_rng(seed)
    flipped = _blocks(
        n_resamples,
        len(difference),
        lambda n: difference * rng.choice([-1, 1], (n, len(difference))),
    )
    extreme = int((np.abs(flipped) >= abs(value) - 1e-12).sum())
    return PairedTest(value, low, high, (extreme + 1) / (n_resamples + 1))


def compare(
    evaluations: Mapping[str, Evaluation], metric: str, *, baseline: str, seed: int = 0
) -> pd.DataFrame:
    """Compare several models with one of them, on the same users.

    Parameters
    ----------
    evaluations : mapping of str to Evaluation
        Evaluations on the same holdout.
    metric : str
        A per-user metric that all of them hold.
    baseline : str
        Name of the model to compare with.
    seed : int
        Seed of the resamples.

    Returns
    -------
    pandas.DataFrame
        One row a model other than the baseline: mean, difference to the baseline with the ends
        of its interval, and the p-value corrected for the number of comparisons (Holm 1979).

    Raises
    ------
    ValueError
        If the baseline is not there, or the users differ.
    """
    if baseline not in evaluations:
        raise ValueError(f"no evaluation is named {baseline!r}; there are {list(evaluations)}")
    base = evaluations[baseline].per_user[metric]
    rows = {}
    for name, evaluation in evaluations.items():
        if name == baseline:
            continue
        values = evaluation.per_user[metric]
        if not values.index.equals(base.index):
            raise ValueError(f"{name!r} and {baseline!r} were evaluated on different users")
        test = paired_test(values, base, seed=seed)
        rows[name] = (values.mean(), test.difference, test.low, test.high, test.p_value)
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=[metric, "difference", "low", "high", "p_value"]
    )
    table["p_value"] = _holm(table["p_value"].to_numpy())
    return table


def _checked(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"expected one value a user, got shape {array.shape}")
    if np.isnan(array).any():
        raise ValueError(f"{int(np.isnan(array).sum())} of {len(array)} values are not numbers")
    return array


def _blocks(n: int, length: int, draw: Callable[[int], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Average the rows of ``n`` drawn vectors, a bounded number of values at a time."""
    size = max(1, _BLOCK // length)
    parts = [draw(min(size, n - start)).mean(axis=1) for start in range(0, n, size)]
    return np.concatenate(parts)


def _holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct p-values for their number (Holm 1979)."""
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected

"""Judging probabilities of an event that happens or not: the area under the ROC curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from behaviorseq.evaluation.significance import Interval, PairedTest

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


def auc_interval(
    happened: ArrayLike,
    scores: ArrayLike,
    *,
    users: ArrayLike | None = None,
    level: float = 0.95,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> Interval:
    r"""Give the area under the ROC curve and its percentile bootstrap interval.

    The area is the probability that somebody to whom it happened has a higher score than
    somebody to whom it did not, an equal score counting half: 0.5 is chance, 1 is perfect order.

    Parameters
    ----------
    happened : array-like of bool
        Whether it happened, shape (n_rows,).
    scores : array-like
        Higher is more probable, shape (n_rows,).
    users : array-like, optional
        Whose row it is, shape (n_rows,): rows of one user are drawn together. Without it each row
        is a user.
    level : float
        Confidence level, between 0 and 1.
    n_bootstrap : int
        Resamples of users; those without both kinds are left out.
    seed : int
        Seed of the resamples.

    Returns
    -------
    Interval
        Area, low end, high end.

    Raises
    ------
    ValueError
        If the lengths differ, a score is missing, or it happened to all or to nobody.

    References
    ----------
    Hanley and McNeil, The meaning and use of the area under a receiver operating characteristic
    (ROC) curve, Radiology 143(1), 1982.

    Examples
    --------
    >>> auc_interval([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value
    0.75
    """
    value, draws = _areas(happened, [scores], users, level, n_bootstrap, seed)
    low, high = _ends(draws[0], level)
    return Interval(float(value[0]), low, high)


def auc_test(
    happened: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    users: ArrayLike | None = None,
    level: float = 0.95,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> PairedTest:
    """Compare the areas of two scores on the same users, resampled together.

    Parameters
    ----------
    happened, users, level, n_bootstrap, seed
        As for :func:`auc_interval`.
    first, second : array-like
        The scores, shape (n_rows,).

    Returns
    -------
    PairedTest
        Area of the first minus that of the second, with the ends of its interval; the p-value is
        twice the share of resamples in which the difference has the other sign or none.

    Raises
    ------
    ValueError
        As for :func:`auc_interval`.

    Examples
    --------
    >>> test = auc_test([0, 1] * 30, [0.2, 0.8] * 30, [0.5, 0.5] * 30)
    >>> test.difference, test.p_value < 0.01
    (0.5, True)
    """
    value, draws = _areas(happened, [first, second], users, level, n_bootstrap, seed)
    difference = draws[0] - draws[1]
    low, high = _ends(difference, level)
    tails = ((difference <= 0).sum(), (difference >= 0).sum())
    p_value = min(1.0, 2 * (min(tails) + 1) / (len(difference) + 1))
    return PairedTest(float(value[0] - value[1]), low, high, float(p_value))


def _areas(
    happened: ArrayLike,
    scores: list[ArrayLike],
    users: ArrayLike | None,
    level: float,
    n_bootstrap: int,
    seed: int,
) -> tuple[Floats, Floats]:
    """Give the area of each score, (n_scores,), and in resamples, (n_scores, n_bootstrap)."""
    labels = np.asarray(happened).astype(bool)
    given = [np.asarray(each, dtype=np.float64) for each in scores]
    if labels.ndim != 1 or any(each.shape != labels.shape for each in given):
        shapes = [each.shape for each in given]
        raise ValueError(f"each user needs a label and a score, got {labels.shape} and {shapes}")
    of_row = np.arange(len(labels)) if users is None else np.unique(users, return_inverse=True)[1]
    if of_row.shape != labels.shape:
        raise ValueError(f"each label needs its user, got {labels.shape} and {of_row.shape}")
    if any(np.isnan(each).any() for each in given):
        raise ValueError("a score is not a number")
    if not labels.any() or labels.all():
        raise ValueError(f"it happened to {labels.sum()} of {len(labels)} users: no two to compare")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    rng = np.random.default_rng(seed)
    n = int(of_row.max()) + 1
    draws = rng.multinomial(n, np.full(n, 1 / n), n_bootstrap)  # how often each user is drawn
    draws = draws[:, of_row]
    draws = draws[((draws @ labels) > 0) & ((draws @ ~labels) > 0)]
    weights = np.vstack([np.ones(len(labels), dtype=draws.dtype), draws])
    areas = np.stack([_weighted_area(labels, each, weights) for each in given])
    return areas[:, 0], areas[:, 1:]


def _weighted_area(labels: NDArray[np.bool_], scores: Floats, weights: NDArray[np.int64]) -> Floats:
    """Give the area for each draw, (n_draws,), of weights of the rows, (n_draws, n_rows)."""
    order = np.argsort(scores, kind="stable")
    begins = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)  # of equal scores
    ordered = weights[:, order]
    yes = np.add.reduceat(ordered * labels[order], begins, axis=1)  # (n_draws, n_values)
    no = np.add.reduceat(ordered * ~labels[order], begins, axis=1)
    below = np.cumsum(no, axis=1) - no / 2
    area: Floats = (yes * below).sum(axis=1) / (yes.sum(axis=1) * no.sum(axis=1))
    return area


def _ends(draws: Floats, level: float) -> tuple[float, float]:
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)

"""Judging answers of several tasks: log-loss and area under the curve, of labels and of truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import roc_auc_score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

SMALLEST = 1e-7  # a probability of 0 that was wrong would have an infinite loss


def task_losses(chances: ArrayLike, labels: ArrayLike) -> Floats:
    """Give the log-loss of each answer, in nats; NaN where the right one is not known.

    Parameters
    ----------
    chances : array-like
        Probabilities: (n,) of yes, (n, k) of k classes, or (n, k) of yes to each of k labels.
    labels : array-like
        Right answers: 0 or 1, (n,); the number of the class, (n,); or 0 or 1, (n, k), whose mean
        loss is taken.

    Returns
    -------
    NDArray[float64]
        Shape (n,).

    Examples
    --------
    >>> task_losses([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], [1, np.nan]).round(3)
    array([1.386,   nan])
    """
    p = np.clip(np.asarray(chances, dtype=np.float64), SMALLEST, 1 - SMALLEST)
    y = np.asarray(labels, dtype=np.float64)
    if p.shape == y.shape:
        losses: Floats = -(y * np.log(p) + (1 - y) * np.log1p(-p))
        return losses if y.ndim == 1 else losses.mean(axis=1)
    _check(p, y)
    found = np.full(len(y), np.nan)
    known = ~np.isnan(y)
    found[known] = -np.log(p[known, y[known].astype(np.int64)])
    return found


def task_auc(chances: ArrayLike, labels: ArrayLike, *, least: int = 10) -> float:
    """Give the area under the ROC curve, for several classes or labels the mean of each alone.

    Parameters
    ----------
    chances, labels : array-like
        As for :func:`task_losses`.
    least : int
        Classes and labels with fewer answers of either kind are left out.

    Raises
    ------
    ValueError
        If none is left.

    Examples
    --------
    >>> task_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], least=1)
    0.75
    """
    p, y = np.asarray(chances, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if p.shape != y.shape:
        _check(p, y)
        y = np.where(np.isnan(y)[:, None], np.nan, y[:, None] == np.arange(p.shape[1]))
    p, y = p.reshape(len(p), -1), y.reshape(len(y), -1)
    known = ~np.isnan(y).any(axis=1)
    p, y = p[known], y[known]
    kept = [c for c in range(y.shape[1]) if min(y[:, c].sum(), (1 - y[:, c]).sum()) >= least]
    if not kept:
        raise ValueError(f"no class has {least} answers of both kinds")
    return float(np.mean([roc_auc_score(y[:, c], p[:, c]) for c in kept]))


def expected_losses(truth: ArrayLike, chances: ArrayLike) -> Floats:
    """Give the log-loss that each answer has on average, where the true probability is known.

    Parameters
    ----------
    truth, chances : array-like
        True and stated probabilities, (n,).

    Examples
    --------
    >>> expected_losses([0.5, 0.5], [0.5, 0.9]).round(3)  # the truth has the least
    array([0.693, 1.204])
    """
    p = np.asarray(truth, dtype=np.float64)
    q = np.clip(np.asarray(chances, dtype=np.float64), SMALLEST, 1 - SMALLEST)
    losses: Floats = -(p * np.log(q) + (1 - p) * np.log1p(-q))
    return losses


def expected_auc(truth: ArrayLike, scores: ArrayLike) -> float:
    """Give the area under the ROC curve that scores have on average over what could happen.

    Each row counts as a yes with its true probability, and as a no with the rest.

    Parameters
    ----------
    truth, scores : array-like
        True probabilities, and what is judged, (n,).

    Examples
    --------
    >>> round(expected_auc([0.0, 0.5, 1.0], [1, 2, 3]), 3)  # even the truth is not always right
    0.944
    """
    p, s = np.asarray(truth, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    yes = np.repeat([1, 0], len(p))
    return float(roc_auc_score(yes, np.tile(s, 2), sample_weight=np.concatenate([p, 1 - p])))


def _check(chances: Floats, labels: Floats) -> None:
    if chances.ndim != 2 or labels.shape != chances.shape[:1]:
        raise ValueError(
            f"probabilities {chances.shape} and labels {labels.shape} do not fit together"
        )

"""Intervals of off-policy estimates: normal, bootstrap, and one for rare weighted clicks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from behaviorseq.arguments import require, whole
from behaviorseq.evaluation.offpolicy import Terms, importance_weights, ipw
from behaviorseq.evaluation.significance import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from behaviorseq.bandit_log import BanditLog

_BLOCK = 4_000_000  # resampled values held at a time


def normal_interval(terms: Terms, *, level: float = 0.95) -> Interval:
    r"""Give the estimate and its normal interval, for a ratio by the delta method.

    It trusts the central limit theorem, which 40 clicks with unequal weights do not earn: see
    :func:`gamma_interval`.

    Parameters
    ----------
    terms : Terms
        Of an estimator, two rounds at least.
    level : float
        Confidence level, between 0 and 1.

    Returns
    -------
    Interval
        Estimate, low end, high end.

    Raises
    ------
    ValueError
        If there are fewer than two rounds, or the level is out of range.

    Examples
    --------
    >>> terms = Terms(np.array([0.0, 1.0] * 50), np.ones(100))
    >>> [round(number, 3) for number in normal_interval(terms)]
    [0.5, 0.402, 0.598]
    """
    n, value = len(terms.numerator), terms.value
    require("rounds", n, n > 1, "2 or more")
    residual = (terms.numerator - value * terms.denominator) / terms.denominator.mean()
    reach = stats.norm.ppf(_tail(level)) * residual.std(ddof=1) / np.sqrt(n)
    return Interval(value, float(value - reach), float(value + reach))


def resampled_interval(
    terms: Terms, *, level: float = 0.95, n_bootstrap: int = 1000, seed: int = 0
) -> Interval:
    """Give the estimate and its percentile bootstrap interval over rounds.

    Rounds that add nothing but to the number of rounds are not drawn one by one: how often the
    others occur is drawn first. With 40 clicks in 10,000 rounds that is 250 times less to draw.

    Parameters
    ----------
    terms : Terms
        Of an estimator.
    level : float
        Confidence level, between 0 and 1.
    n_bootstrap : int
        Number of resamples.
    seed : int
        Seed of the resamples.

    Returns
    -------
    Interval
        Estimate, low end, high end.

    Raises
    ------
    ValueError
        If the level is out of range, or ``n_bootstrap`` is not 1 or more.

    References
    ----------
    Efron and Tibshirani, An introduction to the bootstrap, 1993, chapter 13.

    Examples
    --------
    >>> terms = Terms(np.array([0.0, 1.0] * 50), np.ones(100))
    >>> value, low, high = resampled_interval(terms)
    >>> value, bool(0.37 < low < 0.43 and 0.57 < high < 0.63)
    (0.5, True)
    """
    tail, n = _tail(level), len(terms.numerator)
    rng = np.random.default_rng(seed)
    plain = bool((terms.denominator == 1).all())
    told = np.flatnonzero(terms.numerator) if plain else np.arange(n)
    numerator, denominator = terms.numerator[told], terms.denominator[told]
    ratios = []
    for start in range(0, whole("n_bootstrap", n_bootstrap, 1), max(1, _BLOCK // n)):
        size = min(max(1, _BLOCK // n), n_bootstrap - start)
        if plain:  # the others are one more kind, drawn as often as they come
            counts = rng.binomial(n, len(told) / n, size) if len(told) else np.zeros(size, int)
            drawn = rng.integers(0, max(1, len(told)), counts.sum())
            rows = np.repeat(np.arange(size), counts)
            sums = np.bincount(rows, numerator[drawn] if len(told) else None, minlength=size)
            ratios.append(sums / n)
        else:
            drawn = rng.integers(0, n, (size, n))
            ratios.append(numerator[drawn].sum(axis=1) / denominator[drawn].sum(axis=1))
    low, high = np.nanquantile(np.concatenate(ratios), [1 - tail, tail])
    return Interval(terms.value, float(low), float(high))


def gamma_interval(
    log: BanditLog, policy: ArrayLike, terms: Terms | None = None, *, level: float = 0.95
) -> Interval:
    r"""Give an estimate from clicks, with an interval made for rare ones.

    A sum of weights over rare clicks is a weighted sum of Poisson counts, as is an age-standardised
    death rate. Its distribution is matched by a gamma distribution with the same mean and
    variance; for the high end, one more click with the largest weight is added.

    That is the interval of :func:`ipw`. Once it is known what was shown, and the reward model is
    fixed, :func:`snipw` only divides it by the mean weight, and :func:`doubly_robust` only adds
    what the model says: their intervals are divided and moved in the same way. That takes what
    was shown, and the model, as given; with rare clicks little else varies. How often it holds is
    counted in ``benchmarks/offpolicy.py``.

    Parameters
    ----------
    log : BanditLog
        Rewards 0 and 1.
    policy : array-like
        The policy to judge, shape (n_rounds, n_actions).
    terms : Terms, optional
        Of :func:`snipw`, or of :func:`doubly_robust` without shrinkage or switch, for this log and
        policy; by default of :func:`ipw`.
    level : float
        Confidence level, between 0 and 1.

    Returns
    -------
    Interval
        Estimate, low end, high end; with no click the low end of IPW is 0.

    Raises
    ------
    ValueError
        If a reward is neither 0 nor 1, the terms are not one a round, or the level is out of range.

    References
    ----------
    Fay and Feuer, Confidence intervals for directly standardized rates: a method based on the gamma
    distribution, Statistics in Medicine 16(7), 1997. For SNIPW there is a lower bound that needs no
    rare clicks: Kuzborskij, Vernade, György and Szepesvári, Confident off-policy evaluation and
    selection through self-normalized importance weighting, AISTATS 2021, arXiv:2006.10460.

    Examples
    --------
    With equal weights it is the exact interval of a Poisson count, here of 4.

    >>> from behaviorseq.bandit_log import BanditLog
    >>> log = BanditLog([0] * 1000, [1] * 4 + [0] * 996, [1.0] * 1000, n_actions=1)
    >>> [round(1000 * number, 2) for number in gamma_interval(log, np.ones((1000, 1)))]
    [4.0, 1.09, 10.24]
    """
    require("rewards", "others", bool(np.isin(log.rewards, (0, 1)).all()), "0 or 1")
    terms = ipw(log, policy) if terms is None else terms
    tail, n = _tail(level), len(log)
    require("the number of terms", len(terms.numerator), len(terms.numerator) == n, f"{n}")
    weights = importance_weights(log, policy) / n
    clicked, most = weights * log.rewards, weights.max()
    value, variance = clicked.sum(), (clicked**2).sum()
    low = 0.0 if variance == 0 else _gamma_quantile(1 - tail, value, variance)
    high = _gamma_quantile(tail, value + most, variance + most**2)
    scale = 1 / terms.denominator.mean()
    moved = terms.value - scale * value
    return Interval(terms.value, float(moved + scale * low), float(moved + scale * high))


def _tail(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    return (1 + level) / 2


def _gamma_quantile(chance: float, mean: float, variance: float) -> float:
    return float(stats.gamma.ppf(chance, mean**2 / variance, scale=variance / mean))

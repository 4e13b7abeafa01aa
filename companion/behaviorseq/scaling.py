"""Scaling curves: how a loss falls as models or data grow, and where it stops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

EXPONENTS = np.geomspace(0.01, 5, 400)  # one per cent apart


@dataclass(frozen=True)
class ScalingCurve:
    r"""The curve :math:`L(n) = E + A\,(n / n_0)^{-b}`.

    Parameters
    ----------
    floor : float
        The loss E that no size gets below, as far as the sizes tell.
    excess : float
        How far the smallest size lies above it, A.
    exponent : float
        How fast the rest falls, b: each doubling of the size multiplies it by :math:`2^{-b}`.
    smallest : float
        The smallest size that was fitted, :math:`n_0`.
    error : float
        Root mean squared distance between points and curve.
    """

    floor: float
    excess: float
    exponent: float
    smallest: float
    error: float

    def __call__(self, sizes: ArrayLike) -> NDArray[np.float64]:
        """Give the loss of the curve at these sizes, same shape."""
        ratio = np.asarray(sizes, dtype=np.float64) / self.smallest
        loss: NDArray[np.float64] = self.floor + self.excess * ratio**-self.exponent
        return loss

    def size_for(self, share: float) -> float:
        """Give the size at which this share of the excess of the smallest one is left.

        Parameters
        ----------
        share : float
            Above 0; 0.1 asks where nine tenths of all that size can gain are gained.

        Returns
        -------
        float
            A size, perhaps beyond those that were fitted.

        Examples
        --------
        >>> round(ScalingCurve(2.0, 1.0, 0.5, 100.0, 0.0).size_for(0.1))
        10000
        """
        if not share > 0:
            raise ValueError(f"share must be above 0, got {share}")
        return float(self.smallest * share ** (-1 / self.exponent))


def fit_scaling_curve(
    sizes: ArrayLike, losses: ArrayLike, *, floor: float | None = None
) -> ScalingCurve:
    r"""Fit a power law above a floor to losses at several sizes, by least squares.

    What comes next is never certain, so a loss has a floor that no model gets below; without it,
    a power law would promise certainty to whoever is large enough. This is one term and the
    constant of the form that Hoffmann et al. fit to language models. For a given exponent the
    best floor and excess are those of a line, kept from being negative; exponents from 0.01 to 5
    are tried, one per cent apart. An exponent at the end of that range says that these losses do
    not show a curve.

    Parameters
    ----------
    sizes : array_like
        Parameters, users, events: positive, three different ones at least, in any order.
    losses : array_like
        The loss at each, same shape, 0 or more.
    floor : float, optional
        A floor that is known; 0 gives the plain power law. It is fitted where it is not given.

    Returns
    -------
    ScalingCurve
        The curve.

    Raises
    ------
    ValueError
        If a size is not positive, a number is not finite, a loss or floor is negative, or there
        are fewer than three sizes.

    References
    ----------
    - Hoffmann et al., Training compute-optimal large language models, NeurIPS 2022,
      arXiv 2203.15556, equation 2.

    Examples
    --------
    >>> sizes = [1_000, 4_000, 16_000, 64_000]
    >>> curve = fit_scaling_curve(sizes, [5.0, 4.0, 3.5, 3.25])
    >>> round(curve.floor, 2), round(curve.excess, 2), round(curve.exponent, 2)
    (3.0, 2.0, 0.5)
    """
    n, loss = _checked(sizes, losses, floor)
    ratio = n / n.min()
    rest = ratio ** -EXPONENTS[:, None]  # (n_exponents, n_sizes)
    if floor is None:
        spread = rest - rest.mean(axis=1, keepdims=True)
        excess = np.maximum(spread @ loss / (spread**2).sum(axis=1), 0.0)
        floors = loss.mean() - excess * rest.mean(axis=1)
        through_zero = rest @ loss / (rest**2).sum(axis=1)  # where the best floor is negative
        excess = np.where(floors < 0, through_zero, excess)
        floors = np.maximum(floors, 0.0)
    else:
        floors = np.full(len(EXPONENTS), float(floor))
        excess = np.maximum(rest @ (loss - floor) / (rest**2).sum(axis=1), 0.0)
    squares = ((floors[:, None] + excess[:, None] * rest - loss) ** 2).mean(axis=1)
    best = int(squares.argmin())
    chosen = (floors[best], excess[best], EXPONENTS[best], n.min(), np.sqrt(squares[best]))
    return ScalingCurve(*(float(value) for value in chosen))


def _checked(
    sizes: ArrayLike, losses: ArrayLike, floor: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n, loss = np.asarray(sizes, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if n.ndim != 1 or n.shape != loss.shape:
        raise ValueError(f"one loss a size is needed, got shapes {n.shape} and {loss.shape}")
    if not (np.isfinite(n).all() and (n > 0).all()):
        raise ValueError(f"sizes must be positive and finite, got {n}")
    if not (np.isfinite(loss).all() and (loss >= 0).all()):
        raise ValueError(f"losses must be 0 or more and finite, got {loss}")
    if floor is not None and not 0 <= floor < np.inf:
        raise ValueError(f"floor must be 0 or more, got {floor}")
    if len(np.unique(n)) < 3:
        raise ValueError(f"a curve needs three different sizes at least, got {np.unique(n)}")
    return n, loss

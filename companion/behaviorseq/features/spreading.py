"""Label spreading: classes known for a few nodes of a graph, passed on to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from behaviorseq.arguments import number, require, whole
from behaviorseq.features.graph import normalized

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import ArrayLike, NDArray


def spread_labels(
    graph: sp.csr_array,
    known: ArrayLike,
    targets: ArrayLike,
    *,
    alpha: float = 0.9,
    steps: int = 100,
) -> NDArray[np.float64]:
    r"""Spread the classes of a few nodes over a graph, without any training.

    .. math:: Z \leftarrow \alpha\, S Z + (1 - \alpha)\, Y, \qquad S = D^{-1/2} A D^{-1/2},

    again and again, from :math:`Z = Y`, the classes of the known nodes and zeros elsewhere. Each
    step makes the distance to the limit, :math:`(1 - \alpha)(I - \alpha S)^{-1} Y`, at least
    :math:`\alpha` times smaller. At the end rows are brought to sum 1.

    Parameters
    ----------
    graph : csr_array
        Weights of the edges, symmetric, 0 or more, shape (n, n).
    known : array-like of int
        Nodes whose class is known, shape (m,), each once.
    targets : array-like
        Their share of each class, shape (m, classes); a row of the identity for a known class.
    alpha : float
        How much a node takes from its neighbors, 0 or more and below 1.
    steps : int
        How often classes are passed on.

    Returns
    -------
    NDArray[float64]
        Shares of the classes of each node, rows with sum 1, shape (n, classes). A node that no
        known one can reach gets the mean of the targets.

    Raises
    ------
    ValueError
        If shapes do not fit, a target is below 0, or a number is out of its range.

    References
    ----------
    Zhou, Bousquet, Lal, Weston and Schölkopf, Learning with local and global consistency,
    Advances in Neural Information Processing Systems 16, 2004.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> path = sp.diags_array([1.0, 1.0, 1.0], offsets=1, shape=(4, 4)).tocsr()
    >>> spread_labels(path + path.T, [0, 3], np.eye(2)).round(2)
    array([[0.68, 0.32],
           [0.57, 0.43],
           [0.43, 0.57],
           [0.32, 0.68]])
    """
    number("alpha", alpha, 0, 1)
    require("alpha", alpha, alpha < 1, "below 1")
    steps = whole("steps", steps, 0)
    n, places, shares = graph.shape[0], np.asarray(known), np.asarray(targets, dtype=np.float64)
    fits = shares.ndim == 2 and places.shape == shares.shape[:1] and len(places) > 0
    require("the shape of targets", shares.shape, fits, f"{places.shape} and the classes")
    inside = len(np.unique(places)) == len(places) and places.min() >= 0 and places.max() < n
    require("known", known, bool(inside), f"numbers of nodes from 0 to {n - 1}, each once")
    require("targets", targets, bool((shares >= 0).all()), "0 or more")
    own: NDArray[np.float64] = np.zeros((n, shares.shape[1]))
    own[places] = shares
    matrix = normalized(graph, self_loops=False).astype(np.float64)
    spread: NDArray[Any] = own
    for _ in range(steps):
        spread = alpha * (matrix @ spread) + (1 - alpha) * own
    spread = np.where(spread.sum(axis=1, keepdims=True) > 0, spread, shares.mean(axis=0))
    result: NDArray[np.float64] = spread / spread.sum(axis=1, keepdims=True)
    return result

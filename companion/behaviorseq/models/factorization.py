"""Recommenders by linear models of the user-item matrix: factors, and item-to-item weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import get_lapack_funcs

from behaviorseq.arguments import check_counts, require
from behaviorseq.models.recommender import CHUNK_BYTES, Recommender, binary, decayed_counts

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences

BLOCK = 1024  # rows mirrored at a time


@dataclass(eq=False)
class ALS(Recommender):
    r"""Factorise the user-item matrix, weighting what happened more than what did not.

    Alternating least squares for implicit feedback (Hu, Koren and Volinsky, Collaborative
    filtering for implicit feedback datasets, ICDM 2008, equations 3 to 5): with :math:`r_{ui}`
    the number of events, preference :math:`p_{ui} = [r_{ui} > 0]` and confidence
    :math:`c_{ui} = 1 + \alpha r_{ui}`, minimise

    .. math:: \sum_{u,i} c_{ui} (p_{ui} - x_u^\top y_i)^2
              + \lambda \Big(\sum_u \|x_u\|^2 + \sum_i \|y_i\|^2\Big)

    by solving for all :math:`x_u`, then for all :math:`y_i`, exactly. A history, of a known user
    or not, is folded in: its :math:`x_u` is solved with the final :math:`y_i`, and
    :math:`s_i = x_u^\top y_i`. An empty history gets popularity.

    Parameters
    ----------
    factors : int
        Length of the vectors.
    regularization : float
        The term :math:`\lambda`, above 0.
    alpha : float
        Weight of an event, above 0.
    iterations : int
        Number of times that both sides are solved.
    seed : int
        Seed of the factors at the start.

    Attributes
    ----------
    item_factors : NDArray[float64]
        The vectors :math:`y_i`, shape (n_items, factors). After ``fit``.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import ALS, Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 2, 3, 3], "item": ["a", "b", "a", "c", "d"],
    ...                     "time": [0, 1, 0, 0, 1], "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> model = ALS(factors=2, regularization=0.1, alpha=10).fit(histories)
    >>> items, _ = model.recommend(histories, k=1)
    >>> histories.item_ids.decode(items[1]).tolist()  # a is like b
    ['b']
    """

    factors: int = 64
    regularization: float = 1.0
    alpha: float = 10.0
    iterations: int = 15
    seed: int = 0
    item_factors: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_counts(self, "factors", "iterations")
        for name in ("regularization", "alpha"):
            require(name, getattr(self, name), getattr(self, name) > 0, "above 0")

    def _fit(self, train: Sequences) -> None:
        counts = train.to_csr()
        by_item = counts.T.tocsr()
        rng = np.random.default_rng(self.seed)
        self.item_factors = rng.normal(scale=0.01, size=(train.n_items, self.factors))
        for _ in range(self.iterations):
            user_factors = self._solve(counts, self.item_factors)
            self.item_factors = self._solve(by_item, user_factors)

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        user_factors = self._solve(histories.to_csr(), self.item_factors)
        return user_factors.astype(np.float32) @ self.item_factors.T.astype(np.float32)

    def _solve(self, counts: sp.csr_array, other: NDArray[np.float64]) -> NDArray[np.float64]:
        r"""Solve one side: :math:`(Y^\top C^u Y + \lambda I)^{-1} Y^\top C^u p_u` for each row u.

        Rows of like length go together, padded with entries of weight 0.
        """
        lengths = np.diff(counts.indptr)
        order = np.argsort(lengths, kind="stable")
        base = other.T @ other + self.regularization * np.eye(self.factors)
        solved = np.empty((len(lengths), self.factors))
        for start, stop in row_batches(lengths[order], self.factors):
            rows = order[start:stop]
            columns, weights = padded_rows(counts, rows, lengths[rows])
            weights = self.alpha * weights
            vectors = other[columns]  # (n_rows, longest, factors)
            left = base + np.matmul(vectors.transpose(0, 2, 1) * weights[:, None, :], vectors)
            confidence = (weights + (weights > 0))[:, None, :]
            right = np.matmul(confidence, vectors)[:, 0, :, None]  # (n_rows, factors, 1)
            solved[rows] = np.linalg.solve(left, right)[:, :, 0]
        return solved


def row_batches(lengths: NDArray[np.integer[Any]], factors: int) -> list[tuple[int, int]]:
    """Cut rows, sorted by length, so that a batch's arrays fit in ``CHUNK_BYTES``."""
    batches, start = [], 0
    most = max(1, CHUNK_BYTES // (16 * factors**2))  # rows, if all were empty
    while start < len(lengths):
        longest = lengths[start : start + most].astype(np.int64)  # if the batch ended there
        needed = 16 * np.arange(1, len(longest) + 1) * (longest + factors) * factors
        stop = start + max(1, int(np.searchsorted(needed, CHUNK_BYTES, side="right")))
        batches.append((start, stop))
        start = stop
    return batches


def padded_rows(
    counts: sp.csr_array, rows: NDArray[np.int64], lengths: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Give columns and values of some rows as arrays (n_rows, longest), padded with value 0."""
    place = np.arange(lengths.max(initial=0))
    there = place < lengths[:, None]
    entries = (counts.indptr[rows][:, None] + place)[there]
    columns = np.zeros(there.shape, dtype=np.int64)
    values = np.zeros(there.shape)
    columns[there], values[there] = counts.indices[entries], counts.data[entries]
    return columns, values


@dataclass(eq=False)
class EASE(Recommender):
    r"""Score items by a linear model that predicts each item from all others.

    With :math:`X` the binary user-item matrix, the weights :math:`B` minimise
    :math:`\|X - XB\|_F^2 + \lambda \|B\|_F^2` under :math:`\mathrm{diag}(B) = 0`. In closed form
    (Steck, Embarrassingly shallow autoencoders for sparse data, WWW 2019, arXiv 1905.03375,
    equation 8),

    .. math:: P = (X^\top X + \lambda I)^{-1}, \qquad B_{ij} = -P_{ij} / P_{jj} \ (i \ne j),
              \qquad s = h B,

    where :math:`h` is the history: binary as in the paper, or with recency decay.

    Memory and time do not depend on the number of users once :math:`X^\top X` is there, but grow
    with the square and the cube of the number of items: 8 bytes for each pair of items. The 12,101
    items of Amazon Beauty took 1.7 GB in all.
    An empty history gets popularity.

    Parameters
    ----------
    regularization : float
        The term :math:`\lambda`, above 0.
    decay : float, optional
        Weight of an event in :math:`h` is ``decay ** position_from_end``, summed for an item that
        recurs. None: :math:`h` is binary, order does not count.

    Attributes
    ----------
    weights : NDArray[float32]
        The matrix :math:`B`, shape (n_items, n_items). After ``fit``.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import EASE, Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 2, 2, 3, 3], "item": ["a", "b", "a", "b", "b", "c"],
    ...                     "time": [0, 1, 0, 1, 0, 1], "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> EASE(regularization=1).fit(histories).weights.round(2)  # given b, a speaks against c
    array([[ 0.  ,  0.67, -0.25],
           [ 0.57,  0.  ,  0.38],
           [-0.29,  0.5 ,  0.  ]], dtype=float32)
    """

    regularization: float = 100.0
    decay: float | None = None
    weights: NDArray[np.float32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("regularization", self.regularization, self.regularization > 0, "above 0")
        ok = self.decay is None or 0 <= self.decay <= 1
        require("decay", self.decay, ok, "in [0, 1], or None")

    def _fit(self, train: Sequences) -> None:
        X = binary(train.to_csr()).astype(np.float64)
        gram = (X.T @ X).toarray(order="C")
        np.fill_diagonal(gram, gram.diagonal() + self.regularization)
        gram = _inverse_in_place(gram)
        self.weights = _narrowed(gram, -1 / gram.diagonal())
        np.fill_diagonal(self.weights, 0)

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        if self.decay is None:
            history = binary(histories.to_csr())
        else:
            history = decayed_counts(histories, self.decay)
        scores: NDArray[np.float32] = history @ self.weights
        return scores


def _inverse_in_place(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert a symmetric positive definite matrix by Cholesky, in its own memory."""
    factorize, invert = get_lapack_funcs(("potrf", "potri"), (matrix,))
    # LAPACK wants columns first; the transpose of a symmetric matrix is that without a copy.
    upper, failed = factorize(matrix.T, lower=False, overwrite_a=True, clean=False)
    upper, failed_too = invert(upper, lower=False, overwrite_c=True)
    if failed or failed_too:
        raise np.linalg.LinAlgError("the matrix is not positive definite; raise regularization")
    inverse: NDArray[np.float64] = upper.T  # rows first: the lower triangle holds the result
    for start in range(0, len(inverse), BLOCK):
        stop = start + BLOCK
        square = inverse[start:stop, start:stop]
        inverse[start:stop, start:stop] = np.tril(square) + np.tril(square, -1).T
        inverse[start:stop, stop:] = inverse[stop:, start:stop].T
    return inverse


def _narrowed(matrix: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float32]:
    """Multiply the columns of a square matrix and round to float32, in its own memory.

    The matrix is lost; the half of its memory that is left over stays unused, since a copy would
    need room for both.
    """
    n = len(matrix)
    narrow = matrix.reshape(-1).view(np.float32)[: n * n].reshape(n, n)
    for start in range(0, n, BLOCK):  # what is written never reaches what is still to be read
        narrow[start : start + BLOCK] = matrix[start : start + BLOCK] * times
    return narrow

"""Recommenders by neighbors: similar items, similar users, items that follow one another."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from behaviorseq.arguments import is_count, require
from behaviorseq.features.graph import nearest, transition_graph
from behaviorseq.models.recommender import CHUNK_BYTES, Recommender, binary, decayed_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences


@dataclass(eq=False)
class ItemKNN(Recommender):
    r"""Score items by their similarity to the items of the history, recent ones counting more.

    With :math:`x_i` the column of item :math:`i` in the user-item matrix of the training log,

    .. math:: \mathrm{sim}(i, j) = \frac{x_i \cdot x_j}{\|x_i\| \|x_j\| + \lambda}, \qquad
              s_i = \sum_{e} d^{\,\mathrm{position\ from\ end}_e} \, \mathrm{sim}(i, j_e),

    where the sum runs over the events :math:`e` of the history and :math:`\mathrm{sim}(i, i) = 0`.
    The shrink term :math:`\lambda` holds back similarities that rest on few users. The similarity
    and the sum are those of Deshpande and Karypis (Item-based top-N recommendation algorithms,
    TOIS 22(1), 2004); the decay makes the model sequential.

    Similarities are kept sparse: memory is that of the pairs of items that share a user. An empty
    history gets popularity.

    Parameters
    ----------
    k : int, optional
        Keep only the ``k`` most similar items of each item of the history; None keeps all.
    shrink : float
        The term :math:`\lambda`, 0 or more.
    decay : float
        The factor :math:`d` from 0 (the last event alone) to 1 (order does not count).
    count : bool
        Whether :math:`x` counts a user's events with the item, or is 1 if there is any.

    Attributes
    ----------
    similarity : scipy.sparse.csr_array
        Shape (n_items, n_items); row ``j`` holds the neighbors of item ``j``. After ``fit``.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import ItemKNN, Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 2, 2, 3], "item": ["a", "b", "a", "b", "c"],
    ...                     "time": [0, 1, 0, 1, 0], "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> model = ItemKNN(shrink=0, decay=0.5).fit(histories)
    >>> model.score(histories)[0].round(2)  # a, then b: sim(a, b) = 1
    array([1. , 0.5, 0. ], dtype=float32)
    """

    k: int | None = None
    shrink: float = 10.0
    decay: float = 0.7
    count: bool = False
    similarity: sp.csr_array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_neighbors(self.k, self.shrink, self.decay)

    def _fit(self, train: Sequences) -> None:
        counts = train.to_csr()
        columns = (counts if self.count else binary(counts)).T.tocsr()
        self.similarity = nearest(_cosine(columns, columns, self.shrink, drop_self=True), self.k)

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        return _sums(decayed_counts(histories, self.decay), self.similarity)


@dataclass(eq=False)
class UserKNN(Recommender):
    r"""Score items by how many users with a similar history took them.

    With :math:`h` the history and :math:`x_v` the binary row of training user :math:`v`,

    .. math:: \mathrm{sim}(h, v) = \frac{h \cdot x_v}{\|h\| \|x_v\| + \lambda}, \qquad
              s_i = \sum_{v \in N_k(h)} \mathrm{sim}(h, v) \, x_{vi},

    over the :math:`k` most similar users (vector similarity of Breese, Heckerman and Kadie,
    Empirical analysis of predictive algorithms for collaborative filtering, UAI 1998,
    arXiv 1301.7363, with binary votes). The model knows no user ids: where the owner of a history
    is in the training log, the own row is one of the neighbors, and adds only to own items.

    Parameters
    ----------
    k : int, optional
        Number of neighbors; None takes all users who share an item.
    shrink : float
        The term :math:`\lambda`, 0 or more.
    decay : float
        Weight of an event in :math:`h` is ``decay ** position_from_end``, summed for an item that
        recurs; with 1, :math:`h` is binary.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences, UserKNN
    >>> log = pd.DataFrame({"user": [1, 2, 2, 3], "item": ["a", "a", "b", "c"],
    ...                     "time": [0, 0, 1, 0], "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> UserKNN(k=2, shrink=0).fit(histories).score(histories)[0].round(2)
    array([1.71, 0.71, 0.  ], dtype=float32)
    """

    k: int | None = 100
    shrink: float = 10.0
    decay: float = 1.0
    _rows: sp.csr_array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_neighbors(self.k, self.shrink, self.decay)

    def _fit(self, train: Sequences) -> None:
        self._rows = binary(train.to_csr())

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        weights = decayed_counts(histories, self.decay)
        profiles = binary(weights) if self.decay == 1 else weights
        users = nearest(_cosine(profiles, self._rows, self.shrink), self.k)
        return _sums(users, self._rows)


@dataclass(eq=False)
class SequentialRules(Recommender):
    r"""Score items by how often, and how soon, they followed the last items of the history.

    Over all pairs of events of one training history, item :math:`j` at position :math:`p` and
    item :math:`i` at a later position :math:`q`,

    .. math:: r_{ji} = \sum_{q - p \le \mathrm{steps}} \frac{1}{q - p}, \qquad
              s_i = \sum_{e} d^{\,\mathrm{position\ from\ end}_e} (r_{j_e i} + \rho\, r_{i j_e}).

    Kamehkhosh, Jannach and Ludewig (A comparison of frequent pattern techniques and a deep
    learning method for session-based recommendation, TempRec at RecSys 2017, CEUR vol. 1922)
    and Ludewig and Jannach (Evaluation of session-based recommendation algorithms, UMUAI 28,
    2018, arXiv 1803.09587) read the last event alone, ``decay=0``; their normalisation by the
    frequency of that item does not change its ranking and is left out. Reverse rules
    :math:`\rho` and the decay are additions. An empty history gets popularity.

    Parameters
    ----------
    steps : int
        Longest distance of a rule.
    reverse : float
        The share :math:`\rho` in [0, 1] that a rule lends to its reverse: useful where the order
        of events is partly arbitrary.
    decay : float
        The factor :math:`d` from 0 (the last event alone) to 1.

    Attributes
    ----------
    rules : scipy.sparse.csr_array
        Shape (n_items, n_items); row ``j`` holds what follows item ``j``. After ``fit``.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import SequentialRules, Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 1, 2], "item": ["a", "b", "c", "a"],
    ...                     "time": [0, 1, 2, 0], "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> SequentialRules().fit(histories).score(histories)[1]  # b follows a at once, c later
    array([0. , 1. , 0.5], dtype=float32)
    """

    steps: int = 10
    reverse: float = 0.0
    decay: float = 0.0
    rules: sp.csr_array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("steps", self.steps, is_count(self.steps), "a whole number of 1 or more")
        require("reverse", self.reverse, 0 <= self.reverse <= 1, "in [0, 1]")
        require("decay", self.decay, 0 <= self.decay <= 1, "in [0, 1]")

    def _fit(self, train: Sequences) -> None:
        rules = transition_graph(train, 1 / np.arange(1, self.steps + 1))
        self.rules = (rules + self.reverse * rules.T).tocsr().astype(np.float32)

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        return _sums(decayed_counts(histories, self.decay), self.rules)


def _check_neighbors(k: int | None, shrink: float, decay: float) -> None:
    require("k", k, k is None or is_count(k), "a whole number of 1 or more, or None")
    require("shrink", shrink, shrink >= 0, "0 or more")
    require("decay", decay, 0 <= decay <= 1, "in [0, 1]")


def _cosine(
    left: sp.csr_array, right: sp.csr_array, shrink: float, *, drop_self: bool = False
) -> sp.csr_array:
    """Compare the rows of two sparse matrices: cosine with a shrink term, zeros left out."""
    dots = (left @ right.T).tocoo()
    row, col, data = dots.row, dots.col, dots.data
    if drop_self:
        row, col, data = (part[dots.row != dots.col] for part in (row, col, data))
    data = data / (_norms(left)[row] * _norms(right)[col] + shrink)
    return sp.coo_array((data.astype(np.float32), (row, col)), shape=dots.shape).tocsr()


def _norms(matrix: sp.csr_array) -> NDArray[np.float64]:
    norms: NDArray[np.float64] = np.sqrt(matrix.power(2).sum(axis=1, dtype=np.float64))
    return norms


def _sums(weights: sp.csr_array, table: sp.csr_array) -> NDArray[np.float32]:
    """Add up rows of a table by the weights of each history, as a dense float32 array.

    A small table that is well filled goes in dense, which is some three times faster.
    """
    n_cells = math.prod(table.shape)
    dense = table.nnz > n_cells / 10 and 4 * n_cells <= CHUNK_BYTES
    sums: Any = weights @ (table.toarray() if dense else table)
    scores: NDArray[np.float32] = (sums if dense else sums.toarray()).astype(np.float32, copy=False)
    return scores

"""Matrix factorisation by stochastic gradient steps: on pairs of items, or on single cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy.sparse as sp
from scipy.special import expit

from behaviorseq.arguments import check_counts, is_count, require
from behaviorseq.models.factorization import padded_rows, row_batches
from behaviorseq.models.gradient import Adam, Factors, add_rows, among, cells_of, shuffled
from behaviorseq.models.recommender import Recommender, binary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences

FOLD_STEPS = 60  # gradient steps of BPR's fold-in
FOLD_RATE = 0.15  # the first of them, per coordinate; it falls to zero


@dataclass(eq=False)
class BPR(Recommender):
    r"""Factorise so that each user's own items score above items the user did not take.

    Bayesian personalised ranking (Rendle, Freudenthaler, Gantner and Schmidt-Thieme, BPR:
    Bayesian personalized ranking from implicit feedback, UAI 2009, arXiv 1205.2618, section 4).
    With :math:`s_{ui} = p_u^\top q_i + b_i` and the set :math:`D` of triples of a user, an item
    :math:`i` of the user and an item :math:`j` that is none, minimise

    .. math:: \sum_{(u,i,j) \in D} \Big( -\ln \sigma(s_{ui} - s_{uj}) + \frac{\lambda}{2}
              \big(\|p_u\|^2 + \|q_i\|^2 + \|q_j\|^2 + b_i^2 + b_j^2\big) \Big)

    by stochastic gradient steps: an epoch goes once through the pairs of a user and an own item in
    random order and draws :math:`j`; a draw that is one of the user's items is skipped.
    How often an item was taken does not count, nor does the order.

    A history, of a known user or not, is folded in: with all :math:`q` and :math:`b` held, its
    vector minimises the mean of the same loss over its own triples. That is a convex problem; some
    dozens of gradient steps (Adam) with negatives drawn anew for each come close to its solution.
    The draw depends on the item and the step alone, so a row's scores do not depend on the
    other rows. An empty history gets popularity.

    Parameters
    ----------
    factors : int
        Length of the vectors.
    learning_rate : float
        Length of a step, above 0.
    regularization : float
        The term :math:`\lambda`, 0 or more.
    epochs : int
        How often all pairs are gone through.
    batch_size : int
        Triples whose steps are taken together, from the same vectors.
    draw : {"uniform", "popular"}
        Whether all items are drawn alike, as in the paper, or by their number of users, as in the
        library implicit (https://github.com/benfred/implicit/issues/255), which makes popular
        items less of a safe guess.
    seed : int
        Seed of the start, the order and the draws.

    Attributes
    ----------
    learned : Factors
        What training ended with, one user a training row; ``score`` reads the items' part. After
        ``fit``.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import BPR, Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 2, 3, 3], "item": ["a", "b", "a", "c", "d"],
    ...                     "time": [0, 1, 0, 0, 1], "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> model = BPR(factors=2, epochs=300).fit(histories)
    >>> items, _ = model.recommend(histories, k=1)
    >>> histories.item_ids.decode(items[1]).tolist()  # a is like b
    ['b']
    """

    factors: int = 32
    learning_rate: float = 0.1
    regularization: float = 0.01
    epochs: int = 40
    batch_size: int = 4000
    draw: Literal["uniform", "popular"] = "uniform"
    seed: int = 0
    learned: Factors = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_sgd(self)
        known = self.draw in ("uniform", "popular")
        require("draw", self.draw, known, "'uniform' or 'popular'")

    def _fit(self, train: Sequences) -> None:
        taken = binary(train.to_csr())
        cells = cells_of(taken)
        self._pool = np.arange(train.n_items) if self.draw == "uniform" else taken.indices
        rng = np.random.default_rng(self.seed)
        self.learned = Factors.at_random(len(train), train.n_items, self.factors, rng)
        for _ in range(self.epochs):
            for batch in shuffled(taken.nnz, self.batch_size, rng):
                users, own = np.divmod(cells[batch], train.n_items)
                other = rng.choice(self._pool, len(batch))
                ok = ~among(cells, users * train.n_items + other)
                bpr_step(
                    self.learned, users[ok], own[ok], other[ok],
                    rate=self.learning_rate, regularization=self.regularization,
                )  # fmt: skip
            self.learned.check(self)

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        users = self._fold_in(binary(histories.to_csr()))
        scores: NDArray[np.float32] = users.astype(np.float32) @ self.learned.items.T.astype(
            np.float32
        )
        scores += self.learned.item_bias.astype(np.float32)
        return scores

    def _fold_in(self, taken: sp.csr_array) -> NDArray[np.float64]:
        """Find the vectors of some histories, shape (n_rows, factors)."""
        n_items = taken.shape[1]
        cells = cells_of(taken)
        row, own = np.divmod(cells, n_items)
        items, bias = self.learned.items, self.learned.item_bias
        users = np.zeros((taken.shape[0], self.factors))
        adam = Adam(users.shape)
        rng = np.random.default_rng(self.seed)
        for step in range(FOLD_STEPS):
            other = rng.choice(self._pool, n_items)[own]
            difference = items[own] - items[other]
            margin = (users[row] * difference).sum(axis=1) + bias[own] - bias[other]
            ok = ~among(cells, row * n_items + other)
            triples = (expit(-margin) * ok, np.arange(len(own)), taken.indptr)
            pull = sp.csr_array(triples, shape=(len(users), len(own))) @ difference
            pull /= np.maximum(np.bincount(row, ok, len(users)), 1)[:, None]
            users += FOLD_RATE * (1 - step / FOLD_STEPS) * adam(pull - self.regularization * users)
        return users


def bpr_step(
    learned: Factors,
    users: NDArray[np.int64],
    own: NDArray[np.int64],
    other: NDArray[np.int64],
    *,
    rate: float,
    regularization: float,
) -> None:
    r"""Take the gradient steps of some triples at once, in place.

    With :math:`e = 1 - \sigma(s_{ui} - s_{uj})` (Rendle et al. 2009, figure 4 and section 4.3.1),

    .. math:: p_u \mathrel{+}= \eta\,(e\,(q_i - q_j) - \lambda p_u), \quad
              q_i \mathrel{+}= \eta\,(e\,p_u - \lambda q_i), \quad
              q_j \mathrel{+}= \eta\,(-e\,p_u - \lambda q_j),

    and the same for the biases.

    Parameters
    ----------
    learned : Factors
        Changed in place.
    users, own, other : NDArray[int64]
        The triples :math:`u, i, j`, shape (n_triples,).
    rate, regularization : float
        The terms :math:`\eta` and :math:`\lambda`.

    Examples
    --------
    >>> learned = Factors.at_random(1, 2, 4, np.random.default_rng(0))
    >>> one = np.zeros(1, dtype=np.int64)  # user 0 took item 0, not item 1
    >>> before = learned.items @ learned.users[0]
    >>> bpr_step(learned, one, one, one + 1, rate=0.1, regularization=0)
    >>> after = learned.items @ learned.users[0]
    >>> bool(after[0] - after[1] > before[0] - before[1])
    True
    """
    p, q_own, q_other = learned.users[users], learned.items[own], learned.items[other]
    b_own, b_other = learned.item_bias[own], learned.item_bias[other]
    error = expit(-((p * (q_own - q_other)).sum(axis=1) + b_own - b_other))
    e = error[:, None]
    add_rows(learned.users, users, rate * (e * (q_own - q_other) - regularization * p))
    steps = (e * p - regularization * q_own, -e * p - regularization * q_other)
    add_rows(learned.items, np.concatenate([own, other]), rate * np.concatenate(steps))
    np.add.at(learned.item_bias, own, rate * (error - regularization * b_own))
    np.add.at(learned.item_bias, other, rate * (-error - regularization * b_other))


@dataclass(eq=False)
class BiasedMF(Recommender):
    r"""Factorise the ratings, or the pattern of what was taken, by squared errors of single cells.

    The model and the gradient steps of Koren, Bell and Volinsky (Matrix factorization techniques
    for recommender systems, IEEE Computer 42(8), 2009, equations 4 and 5). A cell is estimated as

    .. math:: \hat r_{ui} = \mu + b_u + b_i + p_u^\top q_i,

    and the steps go down :math:`(r_{ui} - \hat r_{ui})^2 + \lambda (b_u^2 + b_i^2 + \|p_u\|^2
    + \|q_i\|^2)`, cell after cell. Which cells is the choice that matters:

    - ``negatives=0``: the cells that hold a rating, with the event's ``value`` as :math:`r` (the
      mean, where a user rated an item more than once). This predicts unknown ratings.
    - ``negatives=n``: every cell that was taken, with 1, and for each of them ``n`` cells drawn
      from those that were not, with 0, anew in each epoch. This predicts what is taken.

    A history, of a known user or not, is folded in: with items and mean held, its :math:`p_u`
    and :math:`b_u` are the exact solution of the same least squares problem (with zeros, of its
    expectation over all draws). An empty history gets popularity.

    Parameters
    ----------
    factors : int
        Length of the vectors.
    learning_rate : float
        Length of a step, above 0.
    regularization : float
        The term :math:`\lambda`, above 0.
    epochs : int
        How often all cells are gone through.
    negatives : int
        Cells of 0 for each cell of 1; 0 fits ratings.
    batch_size : int
        Cells whose steps are taken together, from the same vectors.
    seed : int
        Seed of the start, the order and the draws.

    Attributes
    ----------
    learned : Factors
        What training ended with, one user a training row. After ``fit``.
    mean : float
        The term :math:`\mu`. After ``fit``.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import BiasedMF, Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 2, 2, 3], "item": ["a", "b", "a", "b", "a"],
    ...                     "time": [0, 1, 0, 1, 0], "behavior": "rate", "value": [5, 1, 4, 2, 5]})
    >>> histories = Sequences.from_events(log)
    >>> model = BiasedMF(factors=1, epochs=500, learning_rate=0.05).fit(histories)
    >>> estimates = model.score(histories)[2]  # b, unrated, will not please user 3 either
    >>> bool(estimates[0] > estimates[1] + 1)
    True
    """

    factors: int = 32
    learning_rate: float = 0.02
    regularization: float = 0.05
    epochs: int = 30
    negatives: int = 0
    batch_size: int = 1000
    seed: int = 0
    learned: Factors = field(init=False, repr=False)
    mean: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_sgd(self)
        require("regularization", self.regularization, self.regularization > 0, "above 0")
        ok = self.negatives == 0 or is_count(self.negatives)
        require("negatives", self.negatives, ok, "a whole number of 0 or more")

    def _fit(self, train: Sequences) -> None:
        known = self._known(train)
        cells, values = cells_of(known), known.data.astype(np.float64)
        self.mean = float(values.sum() / (len(values) * (1 + self.negatives)))
        rng = np.random.default_rng(self.seed)
        self.learned = Factors.at_random(len(train), train.n_items, self.factors, rng)
        for _ in range(self.epochs):
            chosen, targets = self._with_zeros(cells, values, train.n_items, rng)
            for batch in shuffled(len(chosen), self.batch_size, rng):
                self._step(*np.divmod(chosen[batch], train.n_items), targets[batch])
            self.learned.check(self)

    def _known(self, sequences: Sequences) -> sp.csr_array:
        """Give the cells that are known: 1 where there is an event, or the mean rating."""
        counts = sequences.to_csr()
        if self.negatives:
            return binary(counts)
        if sequences.values is None:
            raise ValueError(
                "BiasedMF(negatives=0) fits ratings, but these sequences keep no values; "
                "choose negatives=4, say, to fit what was taken"
            )
        known = sequences.to_csr(sequences.values)
        known.data /= counts.data
        return known

    def _with_zeros(
        self,
        cells: NDArray[np.int64],
        values: NDArray[np.float64],
        n_items: int,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Add drawn cells of 0; a draw that hits a known cell is dropped."""
        if not self.negatives:
            return cells, values
        rows = np.repeat(cells // n_items, self.negatives)
        drawn = rows * n_items + rng.integers(0, n_items, len(rows))
        drawn = drawn[~among(cells, drawn)]
        return np.concatenate([cells, drawn]), np.concatenate([values, np.zeros(len(drawn))])

    def _step(
        self, users: NDArray[np.int64], items: NDArray[np.int64], values: NDArray[np.float64]
    ) -> None:
        """Take the gradient steps of some cells at once (equation 5)."""
        p, q = self.learned.users[users], self.learned.items[items]
        b_user, b_item = self.learned.user_bias[users], self.learned.item_bias[items]
        error = values - (self.mean + b_user + b_item + (p * q).sum(axis=1))
        rate, decay, e = self.learning_rate, self.regularization, error[:, None]
        add_rows(self.learned.users, users, rate * (e * q - decay * p))
        add_rows(self.learned.items, items, rate * (e * p - decay * q))
        np.add.at(self.learned.user_bias, users, rate * (error - decay * b_user))
        np.add.at(self.learned.item_bias, items, rate * (error - decay * b_item))

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        users, bias = self._fold_in(self._known(histories))
        scores = users.astype(np.float32) @ self.learned.items.T.astype(np.float32)
        scores += (bias[:, None] + self.learned.item_bias + self.mean).astype(np.float32)
        return scores

    def _fold_in(self, known: sp.csr_array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        r"""Solve :math:`(A^\top A + \lambda n I) (p_u, b_u) = A^\top y` for each row.

        Rows of :math:`A` are the vectors of the known items with a 1 for the bias, :math:`y` what
        the item alone leaves of the values; zeros enter by their expected number for each item.
        """
        vectors = np.column_stack([self.learned.items, np.ones(known.shape[1])])
        rest = -(self.mean + self.learned.item_bias)  # what a 0 leaves
        solved = np.zeros((known.shape[0], vectors.shape[1]))
        lengths = np.diff(known.indptr)
        order = np.argsort(lengths, kind="stable")
        gram, pull = vectors.T @ vectors, vectors.T @ rest
        for start, stop in row_batches(lengths[order], vectors.shape[1]):
            rows = order[start:stop]
            n = lengths[rows].astype(np.float64)
            columns, values = padded_rows(known, rows, lengths[rows])
            there = np.arange(columns.shape[1]) < n[:, None]
            own = vectors[columns] * there[:, :, None]  # (n_rows, longest, factors + 1)
            share = self.negatives * n / known.shape[1]  # expected zeros an item
            left = share[:, None, None] * gram
            left = left + own.transpose(0, 2, 1) @ own * (1 - share)[:, None, None]
            zeros = share[:, None] * (pull - (rest[columns][:, None, :] @ own)[:, 0])
            right = zeros + ((values + rest[columns])[:, None, :] @ own)[:, 0]
            weight = np.maximum(n + share * (known.shape[1] - n), 1)
            left += (self.regularization * weight)[:, None, None] * np.eye(left.shape[1])
            solved[rows] = np.linalg.solve(left, right[:, :, None])[:, :, 0]
        return solved[:, :-1], solved[:, -1]


def _check_sgd(model: BPR | BiasedMF) -> None:
    check_counts(model, "factors", "epochs", "batch_size")
    require("learning_rate", model.learning_rate, model.learning_rate > 0, "above 0")
    require("regularization", model.regularization, model.regularization >= 0, "0 or more")

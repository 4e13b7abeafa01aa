"""The Markov chain of items: what comes next depends on the last item alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from behaviorseq.arguments import require
from behaviorseq.features.graph import transition_graph
from behaviorseq.models.drawn import checked_lengths, new_histories
from behaviorseq.models.recommender import Recommender

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences

    Floats = NDArray[np.float64]


@dataclass(eq=False)
class MarkovChain(Recommender):
    r"""Score items by how often they came right after the last item of the history.

    With :math:`N_{ji}` the times that item :math:`i` came right after :math:`j`, and
    :math:`\pi_i` the share of all events that item :math:`i` has,

    .. math:: P(i \mid j) = \frac{N_{ji} + a \, \pi_i}{\sum_k N_{jk} + a}.

    It is the first-order, not personalised chain that Rendle, Freudenthaler and Schmidt-Thieme
    (Factorizing personalized Markov chains for next-basket recommendation, WWW 2010) start from;
    to add popularity is a choice made here, so that no item is impossible. :meth:`sample` writes
    histories, as the variational autoencoders do: the first item by how often histories begin
    with it, smoothed alike. A large :math:`a` makes draws by popularity of it. An empty history
    gets popularity. Takes ``16 * n_items ** 2`` bytes when it writes, for all chances at once.

    Parameters
    ----------
    smoothing : float
        The number :math:`a`, above 0: how many events by popularity are added for each item.

    Attributes
    ----------
    chances : NDArray[float32]
        :math:`P(i \mid j)`, row ``j``, shape (n_items, n_items). After ``fit``.
    start : NDArray[float64]
        Chance of each item to come first, shape (n_items,). After ``fit``.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import MarkovChain, Sequences
    >>> log = pd.DataFrame({"user": 1, "item": list("abcabcab"), "time": range(8),
    ...                     "behavior": "view"})
    >>> chain = MarkovChain(smoothing=1e-9).fit(Sequences.from_events(log))
    >>> drawn = chain.sample(1, length=5)
    >>> "".join(drawn.item_ids.decode(drawn[0]))
    'abcab'
    """

    smoothing: float = 1.0
    chances: NDArray[np.float32] = field(init=False, repr=False)
    start: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the range."""
        ok = 0 < self.smoothing < np.inf
        require("smoothing", self.smoothing, ok, "a number above 0")

    def _fit(self, train: Sequences) -> None:
        popularity = train.item_counts / train.n_events
        follows = transition_graph(train).toarray().astype(np.float64)
        self.chances = self._smoothed(follows, popularity).astype(np.float32)
        begins = train.items[train.offsets[:-1][train.lengths > 0]]
        first = np.bincount(begins, minlength=train.n_items).astype(np.float64)
        self.start = self._smoothed(first, popularity)

    def _smoothed(self, counts: Floats, popularity: Floats) -> Floats:
        total = counts.sum(axis=-1, keepdims=True)
        smoothed: Floats = (counts + self.smoothing * popularity) / (total + self.smoothing)
        return smoothed

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        scores = np.zeros((len(histories), histories.n_items), dtype=np.float32)
        last = histories.items[histories.position_from_end == 0]
        scores[histories.lengths > 0] = self.chances[last]
        return scores

    def sample(self, n: int, length: int | NDArray[np.int64], *, seed: int = 0) -> Sequences:
        """Write histories of users who do not exist, each event by the one before it.

        Parameters
        ----------
        n : int
            Number of histories.
        length : int or NDArray[int64]
            Number of events of every history, or of each, shape (n,).
        seed : int
            Seed of the draws.

        Returns
        -------
        Sequences
            With ``n`` rows, users 0 to n - 1, and the item vocabulary of the training log.

        Raises
        ------
        ValueError
            If the model is not fitted, or an argument is out of range.
        """
        if self.item_ids is None:
            raise ValueError(f"{self!r} is not fitted: call fit(train) first")
        lengths = checked_lengths(n, length, None)
        rng = np.random.default_rng(seed)
        below = np.cumsum(self.chances.astype(np.float64), axis=1)
        written = np.zeros((n, int(lengths.max())), dtype=np.int32)
        ends = np.cumsum(self.start)[None]  # of the intervals that the next draw falls into
        for place in range(written.shape[1]):
            drawn = rng.random((n, 1)) * ends[:, -1:]
            written[:, place] = (ends <= drawn).sum(axis=1)
            ends = below[written[:, place]]
        items = written[np.arange(written.shape[1]) < lengths[:, None]]
        return new_histories(items, lengths, self.item_ids)

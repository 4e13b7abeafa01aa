"""The contract that every recommender of this package keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from behaviorseq.arguments import is_count, require
from behaviorseq.features.histories import binary as binary  # models read them from here
from behaviorseq.features.histories import decayed_counts as decayed_counts
from behaviorseq.shards import Shards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences, Vocabulary

CHUNK_BYTES = 64_000_000


class Recommender(ABC):
    """Learn from histories, then score every item for any history.

    A subclass writes ``_fit`` and ``_score``; the checks that all models need are here.
    A model sees histories only, never who they belong to, so it serves users who were not in
    the training log, as long as their histories are encoded with its item vocabulary.

    An empty history is legal. A model whose scores mean nothing without a history (class
    attribute ``needs_history``) then gives each item its number of events in the training log,
    that is, it recommends what is popular.

    A model that can learn from a part of the log at a time (class attribute ``streams``) takes
    ``Shards`` for training too.

    Attributes
    ----------
    item_ids : Vocabulary or None
        The items of the training log; column ``j`` of the scores belongs to item code ``j``.
        None before ``fit``.

    Examples
    --------
    A model of one's own: the items that follow the code of the last item.

    >>> import numpy as np, pandas as pd
    >>> from behaviorseq import Recommender, Sequences
    >>> class Following(Recommender):
    ...     def _fit(self, train):
    ...         self.n_items = train.n_items
    ...     def _score(self, histories):
    ...         last = histories.items[histories.position_from_end == 0]
    ...         distance = np.abs(np.arange(self.n_items) - (last[:, None] + 1))
    ...         return -distance.astype(np.float32)
    >>> log = pd.DataFrame({"user": [1, 1, 2], "item": ["a", "b", "c"], "time": [0, 1, 0],
    ...                     "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> items, scores = Following().fit(histories).recommend(histories, k=1)
    >>> histories.item_ids.decode(items[:, 0]).tolist()
    ['c', 'b']
    """

    needs_history: ClassVar[bool] = True
    streams: ClassVar[bool] = False
    item_ids: Vocabulary | None = None
    _popularity: NDArray[np.float32]

    @abstractmethod
    def _fit(self, train: Sequences) -> None:
        """Learn from the training histories, at least one event."""

    @abstractmethod
    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        """Score every item for each history, shape (n_histories, n_items)."""

    def fit(self, train: Sequences | Shards) -> Self:
        """Learn from the histories in ``train``.

        Parameters
        ----------
        train : Sequences or Shards
            Training histories, with at least one event.

        Returns
        -------
        Self
            The same model, so that ``model = Model().fit(train)`` works.

        Raises
        ------
        ValueError
            If ``train`` has no event, or is on disk and the model needs all of it at once.
        """
        if isinstance(train, Shards) and not self.streams:
            raise ValueError(
                f"{self!r} needs all training histories at once: fit it on "
                f"train.in_memory(), {train.n_events:,} events. Popularity and the networks that "
                "read histories in order, such as GRU4Rec and SASRec, can be fitted on shards"
            )
        if train.n_events == 0:
            raise ValueError(f"cannot fit {self!r}: the training histories hold no event")
        self._popularity = item_counts(train)
        self._fit(train)  # type: ignore[arg-type]  # shards only where they stream
        self.item_ids = train.item_ids
        return self

    def score(self, histories: Sequences) -> NDArray[np.float32]:
        """Score every item for each history; higher is better.

        The result takes ``4 * n_histories * n_items`` bytes: pass histories in chunks
        (``histories.slice(start, stop)``) where that is too much, as ``recommend`` and
        ``evaluate`` do. The scores of a history do not depend on the others in the chunk.

        Parameters
        ----------
        histories : Sequences
            Histories with the item vocabulary of the training log. They may be empty.

        Returns
        -------
        NDArray[float32]
            Shape (n_histories, n_items).

        Raises
        ------
        ValueError
            If the model is not fitted, or the histories use another item vocabulary.
        """
        self._check_histories(histories)
        scores = self._score(histories)
        if self.needs_history:
            scores[histories.lengths == 0] = self._popularity
        return scores

    def recommend(
        self, histories: Sequences, k: int, *, exclude_seen: bool = True
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Give the ``k`` best items for each history, best first.

        Equal scores are ordered by item code, lowest first. Works through the histories in
        chunks, so memory does not grow with their number.

        Parameters
        ----------
        histories : Sequences
            Histories with the item vocabulary of the training log.
        k : int
            Length of each list.
        exclude_seen : bool
            Leave out the items of the history itself.

        Returns
        -------
        items : NDArray[int32]
            Item codes, shape (n_histories, k). A place that no item can take has code -1.
        scores : NDArray[float32]
            Their scores, shape (n_histories, k); -inf where the code is -1.

        Raises
        ------
        ValueError
            If ``k`` is not a whole number of 1 or more, if a score is not a number, or for the
            reasons that ``score`` has.
        """
        require("k", k, is_count(k), "a whole number of 1 or more")
        self._check_histories(histories)
        items = np.full((len(histories), k), -1, dtype=np.int32)
        scores = np.full((len(histories), k), -np.inf, dtype=np.float32)
        for start, stop in chunks(len(histories), 4 * histories.n_items):
            part = histories.slice(start, stop)
            part_scores = self.score(part)
            if np.isnan(part_scores).any():
                row = start + int(np.isnan(part_scores).any(axis=1).argmax())
                raise ValueError(f"{self!r} gave scores that are not numbers, first in row {row}")
            if exclude_seen:
                part_scores[part.row_of_event, part.items] = -np.inf
            best = top_k(part_scores, min(k, histories.n_items))
            items[start:stop, : best.shape[1]] = best
            scores[start:stop, : best.shape[1]] = np.take_along_axis(part_scores, best, axis=1)
        items[scores == -np.inf] = -1
        return items, scores

    def _check_histories(self, histories: Sequences) -> None:
        if self.item_ids is None:
            raise ValueError(f"{self!r} is not fitted: call fit(train) first")
        theirs = histories.item_ids
        if theirs is not self.item_ids and not np.array_equal(theirs.ids, self.item_ids.ids):
            raise ValueError(
                f"the histories use another item vocabulary ({len(theirs)} items) than the one "
                f"{self!r} was fitted on ({len(self.item_ids)} items); make them with "
                "Sequences.from_events(events, item_ids=model.item_ids)"
            )


def item_counts(sequences: Sequences | Shards) -> NDArray[np.float32]:
    """Count the events of each item, shape (n_items,)."""
    return sequences.item_counts.astype(np.float32)


def chunks(n_rows: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    """Cut rows into ranges that take at most ``CHUNK_BYTES``, one row at least.

    Examples
    --------
    >>> list(chunks(5, row_bytes=CHUNK_BYTES // 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    size = max(1, CHUNK_BYTES // max(1, row_bytes))
    for start in range(0, n_rows, size):
        yield start, min(start + size, n_rows)


def top_k(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Find the columns of the k largest scores of each row, best first, ties by lowest column.

    Partitioning alone would pick any of the items that tie at place k. So the score, as an
    integer of the same order, and the column are packed into one number, unique in its row.

    Parameters
    ----------
    scores : NDArray[float32]
        Shape (n_rows, n_columns), without NaN.
    k : int
        From 1 to n_columns.

    Returns
    -------
    NDArray[int64]
        Columns, shape (n_rows, k).

    Examples
    --------
    >>> top_k(np.array([[0.5, 2.0, -1.0, 2.0]], dtype=np.float32), k=3)
    array([[1, 3, 0]])
    """
    bits = scores.view(np.int32).astype(np.int64)
    bits = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)  # negative floats: sign and magnitude
    keys = np.arange(scores.shape[1]) - (bits << 32)
    if k < scores.shape[1]:
        keys = np.partition(keys, k - 1, axis=1)[:, :k]
    return np.sort(keys, axis=1) & 0xFFFFFFFF

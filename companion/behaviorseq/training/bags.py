"""Batches of whole histories as bags: which items a history holds, not in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences


@dataclass(frozen=True)
class Bag:
    """Some histories, each a set of items.

    Parameters
    ----------
    rows : Tensor
        Which rows of the log they are, int64, shape (n_rows,).
    items : Tensor
        Item codes, each once in a row, row after row, int64, shape (n_pairs,).
    offsets : Tensor
        Where each row begins in ``items``, and the end of the last, int64, shape (n_rows + 1,).
    weights : Tensor
        How much each item counts in its row, float32, shape (n_pairs,).
    """

    rows: torch.Tensor
    items: torch.Tensor
    offsets: torch.Tensor
    weights: torch.Tensor

    @property
    def lengths(self) -> torch.Tensor:
        """Number of items of each row, shape (n_rows,)."""
        return self.offsets.diff()

    @property
    def owners(self) -> torch.Tensor:
        """Place in the batch, 0 to n_rows - 1, of the row of each item, shape (n_pairs,)."""
        places = torch.arange(len(self.rows), device=self.items.device)
        return places.repeat_interleave(self.lengths, output_size=len(self.items))

    def to(self, device: torch.device) -> Bag:
        """Copy to a device, without waiting for it."""
        parts = (self.rows, self.items, self.offsets, self.weights)
        return Bag(*(part.to(device, non_blocking=True) for part in parts))


class Bags:
    """One epoch after another of batches of bags.

    Parameters
    ----------
    sequences : Sequences
        Histories. Rows without an event are left out.
    batch_size : int
        Number of rows in a batch; the last of an epoch may have fewer.
    seed : int
        The order of rows depends on it and on the number of the epoch, on nothing else.
    decay : float, optional
        An event weighs ``decay ** position_from_end``, and an item the sum of its events. None:
        every item weighs 1.

    Raises
    ------
    ValueError
        If no row has an event, or ``batch_size`` is out of range.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 1, 2, 2], "item": list("abaca"),
    ...                     "time": [0, 1, 2, 0, 1], "behavior": "view"})
    >>> bags = Bags(Sequences.from_events(log), batch_size=2)
    >>> bag = bags.of(np.array([0, 1]))
    >>> bag.items, bag.offsets
    (tensor([0, 1, 0, 2]), tensor([0, 2, 4]))
    """

    def __init__(
        self,
        sequences: Sequences,
        *,
        batch_size: int = 128,
        seed: int = 0,
        decay: float | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more: {batch_size}")
        back = sequences.position_from_end
        matrix = sequences.to_csr(None if decay is None else np.power(float(decay), back))
        self._items, self._offsets = matrix.indices, matrix.indptr.astype(np.int64)
        self._weights = np.ones_like(matrix.data) if decay is None else matrix.data
        self.rows: NDArray[np.int64] = np.flatnonzero(np.diff(self._offsets))
        if not len(self.rows):
            raise ValueError("no history has an event: there is nothing to learn from")
        self.batch_size, self.seed = batch_size, seed

    @property
    def n_pairs(self) -> int:
        """Number of pairs of a row and one of its items, in all rows."""
        return len(self._items)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.rows) // self.batch_size)

    def epoch(self, number: int) -> Iterator[Bag]:
        """Go once through all rows, in the order of this epoch."""
        order = np.random.default_rng([self.seed, number]).permutation(self.rows)
        for start in range(0, len(order), self.batch_size):
            yield self.of(order[start : start + self.batch_size])

    def of(self, rows: NDArray[np.int64]) -> Bag:
        """Give some rows as a batch."""
        starts, stops = self._offsets[rows], self._offsets[rows + 1]
        offsets = np.concatenate([[0], np.cumsum(stops - starts)])
        index = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], stops - starts)
        parts = (rows, self._items[index].astype(np.int64), offsets, self._weights[index])
        return Bag(*(torch.from_numpy(part) for part in parts))


def bag_cross_entropy(scores: torch.Tensor, bag: Bag) -> torch.Tensor:
    r"""Give the cross-entropy of each bag, :math:`-\sum_{i \in u} \log \pi_i`.

    With :math:`\pi` the softmax of the scores: a bag is taken as draws from one distribution
    over all items (multinomial), so items compete for a total chance of 1.

    Parameters
    ----------
    scores : torch.Tensor
        Shape (n_rows, n_items).
    bag : Bag
        The items that should score high.

    Returns
    -------
    torch.Tensor
        Shape (n_rows,).
    """
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))  # sums are long
    found = scores[bag.owners, bag.items]  # (n_pairs,)
    total = scores.new_zeros(len(scores)).index_add(0, bag.owners, found)
    return bag.lengths * scores.logsumexp(dim=1) - total

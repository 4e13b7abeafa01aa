"""Batches of histories whose events have labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from behaviorseq.training.batches import padded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences

NUMBERS = 3  # of each event, see event_numbers


def event_numbers(histories: Sequences) -> NDArray[np.float32]:
    """Give what the times and the items of a history say of each event, besides the item itself.

    Parameters
    ----------
    histories : Sequences
        Histories, with datetimes or without.

    Returns
    -------
    NDArray[float32]
        Shape (n_events, 3): log(1 + hours since the event before), 0 where there is none or the
        log keeps no times; log(1 + how often the history held the item before); and 1 for
        the first event of a history, else 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": 1, "item": ["a", "b", "a"], "behavior": "view",
    ...     "time": pd.to_datetime(["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 01:00"])})
    >>> event_numbers(Sequences.from_events(log)).round(2)
    array([[0.  , 0.  , 1.  ],
           [0.69, 0.  , 0.  ],
           [0.  , 0.69, 0.  ]], dtype=float32)
    """
    first = np.zeros(histories.n_events, dtype=bool)
    first[histories.offsets[:-1][histories.lengths > 0]] = True
    hours = np.zeros(histories.n_events)
    if histories.times is not None and histories.times.dtype.kind == "M":
        hours[1:] = np.diff(histories.times) / np.timedelta64(1, "h")
    key = histories.row_of_event * histories.n_items + histories.items
    order = np.argsort(key, kind="stable")
    new = np.flatnonzero(np.diff(key[order], prepend=-1))
    earlier = np.empty(histories.n_events, dtype=np.int64)
    earlier[order] = np.arange(len(key)) - np.repeat(new, np.diff(new, append=len(key)))
    parts = (np.log1p(np.where(first, 0, hours)), np.log1p(earlier), first)
    return np.column_stack(parts).astype(np.float32)


@dataclass(frozen=True)
class Tagged:
    """Events in padded rows, (n_rows, longest): inputs, what is no padding, and labels."""

    items: torch.Tensor
    behaviors: torch.Tensor
    numbers: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor

    def to(self, device: torch.device) -> Tagged:
        """Copy to a device."""
        parts = (self.items, self.behaviors, self.numbers, self.mask, self.labels)
        return Tagged(*(part.to(device, non_blocking=True) for part in parts))


class TaggedBatches:
    """One epoch after another of histories, cut into pieces of at most ``length`` events.

    Parameters
    ----------
    histories : Sequences
        Histories.
    labels : NDArray[int64]
        Label of each event, shape (n_events,).
    batch_size : int
        Pieces in a batch.
    length : int
        Most events of a piece.
    seed : int
        Seed of the order.
    """

    def __init__(
        self,
        histories: Sequences,
        labels: NDArray[np.int64],
        *,
        batch_size: int,
        length: int,
        seed: int = 0,
    ) -> None:
        n_pieces = -(-histories.lengths // length)
        row = np.repeat(np.arange(len(histories)), n_pieces)
        place = np.arange(len(row)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
        self.starts = histories.offsets[row] + place * length
        self.lengths = np.minimum(histories.offsets[row + 1] - self.starts, length)
        behaviors = histories.behaviors
        self.items, self.labels = histories.items, labels
        self.behaviors = np.zeros_like(histories.items) if behaviors is None else behaviors
        self.numbers = event_numbers(histories)
        self.batch_size, self.seed = batch_size, seed

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.starts) // self.batch_size)

    def epoch(self, number: int) -> Iterator[Tagged]:
        """Go once through all pieces, those of like lengths together, batches in random order."""
        rng = np.random.default_rng([self.seed, number])
        order = np.lexsort((rng.random(len(self.starts)), self.lengths))
        for batch in rng.permutation(len(self)):
            yield self.of(order[batch * self.batch_size : (batch + 1) * self.batch_size])[1]

    def of(self, pieces: NDArray[np.int64]) -> tuple[torch.Tensor, Tagged]:
        """Give pieces as a batch, and the place of each of its cells in the flat arrays."""
        place = np.arange(len(self.items), dtype=np.int32)
        index, mask = padded(place, self.starts[pieces], self.lengths[pieces])
        whole = (self.items, self.behaviors, self.numbers)
        inputs = (torch.from_numpy(np.asarray(array)[index]) for array in whole)
        items, behaviors, numbers = inputs
        labels = torch.from_numpy(self.labels[index])
        cells = torch.from_numpy(mask)
        return torch.from_numpy(index), Tagged(
            items.long(), behaviors.long(), numbers, cells, labels
        )

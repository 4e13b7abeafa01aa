"""Batches of histories: rows of like lengths together, little padding.

Padding stands on the right. A causal encoder then needs no mask, since no event sees what comes
after it, and a recurrent network reads each history from its first event on. A padded cell holds
item code 0, and what tells it from an event is the mask alone, everywhere in this package: the
embedding table needs no row for it, so the table is also the output layer, without a copy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences

Windows = Literal["all", "last"]
POOL = 32  # batches whose rows are sorted by length together
NOTHING = "no history has two events: there is no next item to learn from"


@dataclass(frozen=True)
class Batch:
    """Inputs, where in them something is asked, and the right answers.

    Parameters
    ----------
    items : Tensor
        Item codes, int64, shape (n_rows, longest), padded on the right with 0.
    mask : Tensor
        True where there is an event, shape (n_rows, longest).
    asked : Tensor
        True where the network is asked for an item, shape (n_rows, longest).
    targets : Tensor
        The items asked for, row after row, int64, shape (n_targets,): they belong to
        ``hidden[asked]`` of an encoder.
    """

    items: torch.Tensor
    mask: torch.Tensor
    asked: torch.Tensor
    targets: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Copy to a device, without waiting for it."""
        parts = (self.items, self.mask, self.asked, self.targets)
        return Batch(*(part.to(device, non_blocking=True) for part in parts))


class Task(ABC):
    """What of a history is input, and what target.

    A history is cut into windows: window i begins with event ``starts[i]`` of the flat array of
    all events, and ``lengths[i]`` events follow its first one, so it holds ``lengths[i] + 1``.
    """

    def cut(
        self, offsets: NDArray[np.int64], length: int, windows: Windows
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give the starts and lengths of the windows; ``length`` is the most of the latter."""
        return _cut(offsets, length, windows)

    def count(self, lengths: NDArray[np.int64], length: int, windows: Windows) -> NDArray[np.int64]:
        """Give how many windows :meth:`cut` makes of histories of these lengths."""
        return count_windows(lengths, length, windows)

    def weights(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give how many targets each window has, up to a common factor."""
        return lengths

    @abstractmethod
    def batch(
        self,
        items: NDArray[np.int32],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Batch:
        """Make a batch of some windows; what is random in it comes from ``rng``."""

    def ask(self, items: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn padded histories into inputs at whose last event the next item is asked for."""
        return items, mask


@dataclass(frozen=True)
class NextItem(Task):
    """After each event, which item comes next; for networks that cannot look ahead."""

    def batch(
        self,
        items: NDArray[np.int32],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Batch:
        """Show all events of a window but the last, ask for all but the first."""
        rows, mask = padded(items, starts, lengths)
        index = (starts[:, None] + 1 + np.arange(rows.shape[1]))[mask]
        shown = torch.from_numpy(mask)
        targets = torch.from_numpy(items[index].astype(np.int64))
        return Batch(torch.from_numpy(rows), shown, shown, targets)


class Batches:
    """One epoch after another of training batches.

    Each event but the last of a history is an input, each but the first a target, and all of them
    are trained at once, unless ``task`` says otherwise. A history of more than ``length`` inputs
    is cut into windows, counted from its end, so that each event is a target once; or only its
    last window is kept.

    Rows are shuffled, sorted by length inside pools of some batches, and cut into batches that
    hold about the same number of targets: every target weighs alike in the mean loss of its step,
    steps take the same time, and the little padding left is what lengths differ by in a batch.

    Parameters
    ----------
    sequences : Sequences
        Training histories. Rows of fewer than two events hold nothing to predict.
    batch_size : int
        Mean number of rows (windows) in a batch.
    length : int
        Most inputs in a row.
    windows : {"all", "last"}
        What becomes of a longer history.
    task : Task, optional
        What is input and what target: :class:`NextItem` if None.
    seed : int
        The order of rows depends on it and on the number of the epoch, on nothing else.

    Raises
    ------
    ValueError
        If no row has two events, or a number is out of range.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 1, 2, 2], "item": list("abcca"),
    ...                     "time": [0, 1, 2, 0, 1], "behavior": "view"})
    >>> batches = Batches(Sequences.from_events(log), batch_size=2, length=50)
    >>> batch = next(batches.epoch(0))
    >>> batch.mask.sum(), batch.targets.shape
    (tensor(3), torch.Size([3]))
    """

    def __init__(
        self,
        sequences: Sequences,
        *,
        batch_size: int = 128,
        length: int = 50,
        windows: Windows = "all",
        task: Task | None = None,
        seed: int = 0,
    ) -> None:
        check_options(batch_size, length, windows)
        self.items, self.task = sequences.items, task or NextItem()
        self.starts, self.lengths = self.task.cut(sequences.offsets, length, windows)
        if not len(self.starts):
            raise ValueError(NOTHING)
        self.weights = self.task.weights(self.lengths)
        self.batch_size, self.seed = batch_size, seed

    @property
    def n_events(self) -> int:
        """Number of events that may be asked for in an epoch."""
        return int(self.weights.sum())

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.starts) // self.batch_size)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Go once through all windows, in the order of this epoch."""
        rng = np.random.default_rng([self.seed, number])
        order, bounds = self._plan(rng)
        for batch in rng.permutation(len(bounds) - 1):
            rows = order[bounds[batch] : bounds[batch + 1]]
            yield self.task.batch(self.items, self.starts[rows], self.lengths[rows], rng)

    def _plan(self, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give an order of the windows, and where in it each batch begins."""
        shuffled = rng.permutation(len(self.starts))
        pool = np.arange(len(shuffled)) // (self.batch_size * POOL)
        # Rising lengths in one pool, falling in the next: no batch spans a jump.
        key = np.where(pool % 2, -1, 1) * self.lengths[shuffled]
        order = shuffled[np.lexsort((key, pool))]
        before = np.cumsum(self.weights[order]) - self.weights[order]
        batch = before * len(self) // self.n_events  # about equal numbers of targets
        bounds = np.flatnonzero(np.diff(batch, prepend=-1, append=len(self)))
        return order, bounds


def padded(
    items: NDArray[np.int32], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Lay pieces of a flat array out as rows, padded on the right with code 0.

    Parameters
    ----------
    items : NDArray[int32]
        Item codes, shape (n_events,).
    starts, lengths : NDArray[int64]
        Where each piece begins and how long it is, shape (n_rows,).

    Returns
    -------
    items : NDArray[int64]
        Shape (n_rows, longest).
    mask : NDArray[bool]
        True where there is an event, same shape.

    Examples
    --------
    >>> padded(np.array([5, 6, 7], dtype=np.int32), np.array([0, 2]), np.array([2, 1]))
    (array([[5, 6],
           [7, 0]]), array([[ True,  True],
           [ True, False]]))
    """
    place = np.arange(lengths.max(initial=0))
    mask = place < lengths[:, None]
    rows = np.zeros(mask.shape, dtype=np.int64)
    rows[mask] = items[(starts[:, None] + place)[mask]]
    return rows, mask


def check_options(batch_size: int, length: int, windows: Windows) -> None:
    """Refuse options of batches that are out of range."""
    if windows not in get_args(Windows):
        raise ValueError(f"windows must be one of {get_args(Windows)}, got {windows!r}")
    if batch_size < 1 or length < 1:
        raise ValueError(f"batch_size and length must be 1 or more: {batch_size}, {length}")


def count_windows(lengths: NDArray[np.int64], length: int, windows: Windows) -> NDArray[np.int64]:
    """Count the windows that histories of these lengths are cut into, shape (n_rows,).

    Examples
    --------
    >>> count_windows(np.array([0, 1, 2, 4, 6]), 3, "all")
    array([0, 0, 1, 1, 2])
    """
    n_windows = -(-np.maximum(lengths - 1, 0) // length)
    return np.minimum(n_windows, 1) if windows == "last" else n_windows


def _cut(
    offsets: NDArray[np.int64], length: int, windows: Windows
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the first input and the number of inputs of each window, one row's after another's."""
    inputs = np.maximum(np.diff(offsets) - 1, 0)
    n_windows = count_windows(np.diff(offsets), length, windows)
    row = np.repeat(np.arange(len(inputs)), n_windows)
    from_end = np.arange(len(row)) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
    stop = offsets[row] + inputs[row] - from_end * length
    start = np.maximum(stop - length, offsets[row])
    return start, stop - start

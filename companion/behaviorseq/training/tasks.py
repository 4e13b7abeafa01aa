"""Other things to ask of a history than what comes next after each event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from behaviorseq.arguments import number
from behaviorseq.training.batches import Batch, Task, padded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from behaviorseq.training.batches import Windows

MASKED = -1  # stands in an input for an item that is not shown


@dataclass(frozen=True)
class MaskedItems(Task):
    """Which items were hidden in a history; for networks that look both ways (the Cloze task).

    The task of BERT4Rec (Sun et al., CIKM 2019, arXiv 1904.06690). A hidden event always leaves a
    mask, and never another item. The next item is asked for by a hidden event after the last one.

    Parameters
    ----------
    share : float
        Chance of each event to be hidden. In a row where that hides none, the last event is.
    last : float
        Share of rows in which the last event alone is hidden, as it is when the next is asked for.

    Examples
    --------
    >>> items, mask = torch.tensor([[5, 6], [7, 0]]), torch.tensor([[True, True], [True, False]])
    >>> MaskedItems().ask(items, mask)[0]
    tensor([[ 5,  6, -1],
            [ 7, -1,  0]])
    """

    share: float = 0.2
    last: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges."""
        number("share", self.share, 0, 1)
        number("last", self.last, 0, 1)

    def weights(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the numbers of events: the first may be asked for too."""
        return lengths + 1

    def batch(
        self,
        items: NDArray[np.int32],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Batch:
        """Show the events of a window that are not hidden, ask for those that are."""
        rows, mask = padded(items, starts, lengths + 1)
        last = np.arange(rows.shape[1]) == lengths[:, None]
        asked = mask & (rng.random(rows.shape) < self.share)
        alone = (rng.random(len(rows)) < self.last) | ~asked.any(axis=1)
        asked = np.where(alone[:, None], last, asked)
        targets = rows[asked]
        rows[asked] = MASKED
        return Batch(*(torch.from_numpy(part) for part in (rows, mask, asked, targets)))

    def ask(self, items: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add a hidden event after the last of each row."""
        items, mask = (torch.nn.functional.pad(part, (0, 1)) for part in (items, mask))
        rows, places = torch.arange(len(items)), mask.sum(dim=1)
        items[rows, places], mask[rows, places] = MASKED, True
        return items, mask


@dataclass(frozen=True)
class Prefixes(Task):
    """Which item came after the beginning of a history, for each beginning in a row of its own.

    For networks that read a history as a whole, and give one state for it. An epoch then holds
    a row an event, so it takes longer than one of :class:`NextItem`, in proportion to the length
    of histories.
    """

    def cut(
        self, offsets: NDArray[np.int64], length: int, windows: Windows
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give a window for each target, with up to ``length`` events before it."""
        n_targets = self.count(np.diff(offsets), length, windows)
        row = np.repeat(np.arange(len(n_targets)), n_targets)
        back = np.arange(len(row)) - np.repeat(np.cumsum(n_targets) - n_targets, n_targets)
        target = offsets[row + 1] - 1 - back
        starts = np.maximum(target - length, offsets[row])
        return starts, target - starts

    def count(self, lengths: NDArray[np.int64], length: int, windows: Windows) -> NDArray[np.int64]:
        """Give the number of targets, all but the first event; of ``length`` with "last"."""
        n_targets = np.maximum(lengths - 1, 0)
        return np.minimum(n_targets, length) if windows == "last" else n_targets

    def weights(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give 1 for each window."""
        return np.ones_like(lengths)

    def batch(
        self,
        items: NDArray[np.int32],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Batch:
        """Show the events of a window but its last, and ask for that."""
        rows, mask = padded(items, starts, lengths)
        asked = np.arange(rows.shape[1]) == lengths[:, None] - 1
        targets = items[starts + lengths].astype(np.int64)
        return Batch(*(torch.from_numpy(part) for part in (rows, mask, asked, targets)))

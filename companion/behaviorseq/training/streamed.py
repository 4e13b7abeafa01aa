"""Batches of histories that lie in parts on disk, of which two are held at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from behaviorseq.shards import Shards
from behaviorseq.training.batches import NOTHING, Batches, NextItem, check_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from behaviorseq.sequences import Sequences
    from behaviorseq.training.batches import Batch, Task, Windows


class StreamedBatches:
    """One epoch after another of training batches, the parts of a log one after another.

    In each epoch the parts come in another order, and the histories of a part as in
    :class:`Batches`; while one part is trained, a thread reads the next. A batch holds users of
    one part alone. So where the codes of users tell something, the date of their first visit for
    example, give users codes in random order before the log is written.

    Parameters
    ----------
    shards : Shards
        Training histories. A log in one part gives the batches that it gives in memory.
    batch_size, length, windows, task
        As for :class:`Batches`.
    seed : int
        The order of parts depends on it and on the number of the epoch, and that inside part
        ``i`` is the one that ``seed + i`` has in :class:`Batches`.

    Raises
    ------
    ValueError
        If no row has two events, or a number is out of range.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from behaviorseq import prepare
    >>> log = pd.DataFrame({"user_code": [0, 0, 0, 1, 1], "item_code": [0, 1, 2, 2, 0],
    ...                     "time": [0, 1, 2, 0, 1]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     batches = StreamedBatches(prepare.write_shards(log, folder, n_shards=2))
    ...     sorted(batch.targets.tolist() for batch in batches.epoch(0))
    [[0], [1, 2]]
    """

    def __init__(
        self,
        shards: Shards,
        *,
        batch_size: int = 128,
        length: int = 50,
        windows: Windows = "all",
        task: Task | None = None,
        seed: int = 0,
    ) -> None:
        check_options(batch_size, length, windows)
        self.shards, self.seed, self.task = shards, seed, task or NextItem()
        self._options = (batch_size, length, windows)
        n_windows = [
            int(n_rows @ self.task.count(lengths, length, windows))
            for lengths, n_rows in shards.history_lengths
        ]
        self._n_batches = [-(-n // batch_size) for n in n_windows]
        if not len(self):
            raise ValueError(NOTHING)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return sum(self._n_batches)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Go once through all parts, in the order of this epoch."""
        rng = np.random.default_rng([self.seed, number, len(self.shards)])
        order = rng.permutation(np.flatnonzero(self._n_batches))
        batch_size, length, windows = self._options
        for index, part in ahead(self.shards, order.tolist()):
            batches = Batches(
                part,
                batch_size=batch_size,
                length=length,
                windows=windows,
                task=self.task,
                seed=self.seed + index,
            )
            del part
            yield from batches.epoch(number)
            del batches  # before the part after the next is read


def ahead(shards: Shards, order: Sequence[int]) -> Iterator[tuple[int, Sequences]]:
    """Read parts in an order, each while the one before is in use; give number and part."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(shards.__getitem__, order[0])
        for place, index in enumerate(order, 1):
            part = coming.result()
            if place < len(order):
                coming = thread.submit(shards.__getitem__, order[place])
            else:
                del coming
            yield index, part


def batches_of(train: Sequences | Shards, **options: Any) -> Batches | StreamedBatches:
    """Make batches of histories, wherever they are; the options are those of :class:`Batches`."""
    return (
        StreamedBatches(train, **options)
        if isinstance(train, Shards)
        else Batches(train, **options)
    )

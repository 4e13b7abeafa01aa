"""Several processes that train one network, each on a device of its own, through Accelerate.

``accelerate launch --multi_gpu script.py`` starts a script once for each GPU. All of them make the
same network and go through the same epochs; of the batches each takes its own, and before a step
they average their gradients, so the weights stay the same in all. A step is then that of one
process with as many times the batch size.
"""

from __future__ import annotations

import functools
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    T = TypeVar("T")


class Processes:
    """What the processes of a run share, and what each does alone.

    A process by itself shares nothing, and needs no Accelerate.

    Attributes
    ----------
    count, rank : int
        How many processes there are, and the number of this one, from 0.

    Raises
    ------
    ImportError
        If there are several and Accelerate is not installed.
    """

    def __init__(self) -> None:
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank, self._device = 0, None
        if self.count == 1:
            return
        if find_spec("accelerate") is None:
            raise ImportError(
                "several processes need accelerate: pip install 'behaviorseq[distributed]'"
            )
        from accelerate import PartialState

        state = PartialState(cpu=not torch.cuda.is_available())
        self.rank, self._device = state.process_index, state.device

    @property
    def device(self) -> torch.device | None:
        """Device of this process; None where it is by itself and may choose."""
        return self._device

    @property
    def first(self) -> bool:
        """Whether this is the process that validates, logs and saves."""
        return self.rank == 0

    def own(self, batches: Iterable[T]) -> Iterator[T]:
        """Give every so many-th batch; the last round is filled up with batches of the first.

        Examples
        --------
        >>> team = Processes()
        >>> team.count, team.rank = 3, 2
        >>> list(team.own("abcdefg"))
        ['c', 'f', 'b']
        """
        start: list[T] = []
        place = -1
        for place, batch in enumerate(batches):
            if place < self.count - 1:
                start.append(batch)
            if place % self.count == self.rank:
                yield batch
        late = self.rank + -(place + 1) % self.count - self.count  # 0 or more: without a batch
        if late >= 0 and start:
            yield start[late % len(start)]

    def average_gradients(self, network: torch.nn.Module) -> None:
        """Give all processes the mean of their gradients, in one message."""
        if self.count == 1:
            return
        from accelerate.utils import reduce

        parameters = [p for p in network.parameters() if p.requires_grad]
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        mean = reduce(torch.cat([part.flatten() for part in parts]), "mean")
        sizes = [part.numel() for part in parts]
        for parameter, part in zip(parameters, mean.split(sizes), strict=True):
            parameter.grad = part.view_as(parameter)

    def sum(self, *numbers: float) -> list[float]:
        """Add up numbers over all processes."""
        if self.count == 1:
            return list(numbers)
        from accelerate.utils import reduce

        total: torch.Tensor = reduce(torch.tensor(numbers, device=self.device), "sum")
        return total.tolist()

    def from_first(self, thing: T) -> T:
        """Give all processes what the first one has."""
        if self.count > 1:
            from accelerate.utils import broadcast_object_list

            (thing,) = broadcast_object_list([thing])
        return thing

    def same_weights(self, network: torch.nn.Module) -> None:
        """Give the networks of all processes the weights of the first one's."""
        if self.count > 1:
            from accelerate.utils import broadcast

            broadcast([p.data for p in network.parameters()])


@functools.cache
def processes() -> Processes:
    """Return the processes of this run; the first call makes them known to each other."""
    return Processes()

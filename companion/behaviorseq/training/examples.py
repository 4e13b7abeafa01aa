"""Examples of several tasks: a history, a question about it, and an answer for each task."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from behaviorseq.training.batches import padded
from behaviorseq.vocabulary import check_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Examples:
    """Histories as windows of one flat log, questions about them, and answers for each task.

    Several questions may be about one history, which is then read once: the items shown on a
    visit, say. A question may say no more than which history it is about.

    Parameters
    ----------
    sizes : tuple of int
        How many values each column of ``codes`` has.
    codes : NDArray[int64]
        What each event of the log was, such as item, category, behavior; (n_events, n_columns).
    numbers : NDArray[float32]
        What else describes each event, (n_events, n_numbers).
    starts, lengths : NDArray[int64]
        Where in the log each history begins, and how many events it has, 0 or more, (n_rows,).
    row : NDArray[int64]
        Which history each question is about, (n,).
    asked_codes : NDArray[int64]
        What is asked about, in values of the first columns of ``codes``, (n, 0) or more.
    asked_numbers : NDArray[float32]
        What else describes the question, (n, 0) or more.
    labels : mapping of str to NDArray[float32]
        Answers of each task, (n,), or (n, k) where a task has k of them. NaN: not known.
    weights : mapping of str to NDArray[float32]
        What an answer counts in training, (n,); 1 for tasks that are not named.
    users : NDArray[int64]
        Who each question is about, (n,).

    Raises
    ------
    ValueError
        If the parts do not fit together, or a code stands for nothing.

    Examples
    --------
    >>> import numpy as np
    >>> log = np.array([[0], [2], [1]])  # three events, each of one code
    >>> examples = Examples(sizes=(3,), codes=log, numbers=np.zeros((3, 0), np.float32),
    ...     starts=np.array([0, 1]), lengths=np.array([2, 2]), row=np.array([0, 1, 1]),
    ...     asked_codes=np.array([[1], [0], [2]]), asked_numbers=np.zeros((3, 0), np.float32),
    ...     labels={"liked": np.array([1, 0, np.nan], np.float32)}, users=np.array([7, 8, 8]))
    >>> len(examples), examples.of(examples.users == 8).row
    (3, array([1, 1]))
    """

    sizes: tuple[int, ...]
    codes: Ints
    numbers: Floats
    starts: Ints
    lengths: Ints
    row: Ints
    asked_codes: Ints
    asked_numbers: Floats
    labels: Mapping[str, Floats]
    users: Ints
    weights: Mapping[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        if self.codes.ndim != 2 or self.codes.shape[1] != len(self.sizes):
            raise ValueError(f"{len(self.sizes)} sizes need as many codes: {self.codes.shape}")
        for column, size in enumerate(self.sizes):
            check_codes(f"codes, column {column}", self.codes[:, column], size)
        for column in range(self.asked_codes.shape[1]):
            part = self.asked_codes[:, column]
            check_codes(f"asked_codes, column {column}", part, self.sizes[column])
        check_codes("row", self.row, len(self.starts))
        stops = self.starts + self.lengths
        if ((self.starts < 0) | (self.lengths < 0) | (stops > len(self.codes))).any():
            raise ValueError(f"a history reaches out of the log of {len(self.codes)} events")
        of_questions: dict[str, NDArray[Any]] = {"asked_codes": self.asked_codes}
        of_questions |= {"asked_numbers": self.asked_numbers, "users": self.users}
        for named in (self.labels, self.weights, of_questions):
            for name, array in named.items():
                if len(array) != len(self):
                    raise ValueError(f"{name} has {len(array)} entries for {len(self)} questions")

    def __len__(self) -> int:
        """Return the number of questions."""
        return len(self.row)

    def of(self, chosen: NDArray[Any]) -> Self:
        """Give some questions only, by index or by mask; the log stays whole."""
        rows = np.arange(len(self))[chosen]
        labels, weights = (
            {name: array[rows] for name, array in part.items()}
            for part in (self.labels, self.weights)
        )
        return replace(
            self,
            row=self.row[rows],
            asked_codes=self.asked_codes[rows],
            asked_numbers=self.asked_numbers[rows],
            users=self.users[rows],
            labels=labels,
            weights=weights,
        )

    def deal(self, shares: tuple[float, ...], seed: int = 0) -> list[Self]:
        """Deal out the users: a part for each share of them, and one for those who are left.

        Parameters
        ----------
        shares : tuple of float
            Above 0, with a sum below 1.
        seed : int
            Of the order in which they are dealt.
        """
        if not (min(shares) > 0 and sum(shares) < 1):
            raise ValueError(f"shares must be above 0 with a sum below 1, got {shares}")
        people = np.random.default_rng(seed).permutation(np.unique(self.users))
        cuts = np.round(np.cumsum(shares) * len(people)).astype(np.int64)
        groups = np.split(people, cuts)
        return [self.of(np.isin(self.users, group)) for group in groups]

    @property
    def fingerprint(self) -> list[int]:
        """Numbers that tell these examples from others, for checkpoints."""
        parts: list[NDArray[Any]] = [self.codes, self.starts, self.lengths, self.row]
        parts += [*self.labels.values(), *self.weights.values()]
        return [len(self), *(zlib.crc32(part.tobytes()) for part in parts)]


@dataclass(frozen=True)
class ExampleBatch:
    """Some histories, padded on the right, and all questions about them.

    Parameters
    ----------
    codes : Tensor
        (B, L, n_columns), int64.
    numbers : Tensor
        (B, L, n_numbers).
    mask : Tensor
        True where there is an event, (B, L).
    row : Tensor
        Which of the B histories each question is about, (n,).
    asked_codes, asked_numbers : Tensor
        (n, ...), as those of :class:`Examples`.
    labels, weights : dict of str to Tensor
        (n,) or (n, k), as those of :class:`Examples`.
    """

    codes: torch.Tensor
    numbers: torch.Tensor
    mask: torch.Tensor
    row: torch.Tensor
    asked_codes: torch.Tensor
    asked_numbers: torch.Tensor
    labels: dict[str, torch.Tensor]
    weights: dict[str, torch.Tensor]

    def to(self, device: torch.device) -> ExampleBatch:
        """Copy to a device."""

        def there(part: Any) -> Any:
            if isinstance(part, dict):
                return {name: there(tensor) for name, tensor in part.items()}
            return part.to(device, non_blocking=True)

        return ExampleBatch(*(there(part) for part in self.__dict__.values()))


class ExampleBatches:
    """One epoch after another of histories in random order, with the questions about them.

    Parameters
    ----------
    examples : Examples
        What to go through; histories that no question is about are left out.
    batch_size : int
        Histories in a batch.
    seed : int
        Seed of the order.
    """

    def __init__(self, examples: Examples, *, batch_size: int, seed: int = 0) -> None:
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self.order = np.argsort(examples.row, kind="stable")  # questions by history
        self.rows, self.first, self.count = np.unique(
            examples.row[self.order], return_index=True, return_counts=True
        )

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.rows) // self.batch_size)

    def epoch(self, number: int) -> Iterator[ExampleBatch]:
        """Go once through all histories, in the order of this epoch."""
        order = np.random.default_rng([self.seed, number]).permutation(len(self.rows))
        for start in range(0, len(order), self.batch_size):
            yield self.of(order[start : start + self.batch_size])[1]

    def of(self, chosen: Ints) -> tuple[Ints, ExampleBatch]:
        """Give some of ``rows`` as a batch, and the indices of its questions, (n,)."""
        data, count = self.examples, self.count[chosen]
        row = np.repeat(np.arange(len(chosen)), count)
        inside = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        asked = self.order[self.first[chosen][row] + inside]
        rows = self.rows[chosen]
        place = np.arange(len(data.codes), dtype=np.int32)
        index, mask = padded(place, data.starts[rows], data.lengths[rows])
        if not mask.shape[1]:  # all histories are empty: one column of padding
            index, mask = np.zeros((len(rows), 1), np.int64), np.zeros((len(rows), 1), bool)
        labels, weights = (
            {name: torch.from_numpy(array[asked]) for name, array in part.items()}
            for part in (data.labels, data.weights)
        )
        inputs = {
            "codes": _cells(data.codes, index),
            "numbers": _cells(data.numbers, index),
            "mask": mask,
            "row": row,
            "asked_codes": data.asked_codes[asked],
            "asked_numbers": data.asked_numbers[asked],
        }
        parts: dict[str, Any] = {name: torch.from_numpy(part) for name, part in inputs.items()}
        return asked, ExampleBatch(**parts, labels=labels, weights=weights)


def _cells(log: NDArray[Any], index: Ints) -> NDArray[Any]:
    """Give the events at these places of a log, zeros where the log is empty."""
    return log[index] if len(log) else np.zeros((*index.shape, *log.shape[1:]), log.dtype)

"""The network of several tasks: a reader of histories, a layer between, a tower for each task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor, nn

from behaviorseq.arguments import check_counts, require
from behaviorseq.models.network import Dropout, last_of
from behaviorseq.models.recurrent import CELLS, Cell
from behaviorseq.training.weighting import Kind

if TYPE_CHECKING:
    from behaviorseq.training.examples import ExampleBatch


@dataclass(frozen=True)
class Head:
    """A task: what is asked, and what an answer looks like.

    Parameters
    ----------
    name : str
        Name of the labels that it learns from.
    kind : {"binary", "class", "labels"}
        Whether the answer is yes or no, one of several classes, or yes or no to each of several
        labels.
    size : int
        Number of classes or of labels; 1 for yes or no.

    Examples
    --------
    >>> Head("household", "class", 3).size
    3
    """

    name: str
    kind: Kind = "binary"
    size: int = 1

    def __post_init__(self) -> None:
        """Check the range."""
        require("kind", self.kind, self.kind in get_args(Kind), f"one of {get_args(Kind)}")
        check_counts(self, "size")
        fits = (self.size == 1) == (self.kind == "binary")
        require("size", self.size, fits, "1 for a binary head, 2 or more for another")


class EventReader(nn.Module):
    """Reads histories of events that have several codes and numbers, with a recurrent network.

    Parameters
    ----------
    sizes : tuple of int
        How many values each code of an event has; each has a table of vectors.
    n_numbers, n_asked : int
        Numbers of an event, and of a question.
    width : int
        Length of vectors and of the state.
    cell : {"rnn", "lstm", "gru"}
        How a state is made of the one before and an event.
    dropout : float
        Share of values set to 0 in training.
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        n_numbers: int,
        n_asked: int,
        *,
        width: int,
        cell: Cell,
        dropout: float,
    ) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        self.numbers = nn.Linear(n_numbers, width) if n_numbers else None
        self.asked_numbers = nn.Linear(n_asked, width) if n_asked else None
        self.drop = Dropout(dropout)
        self.recurrent = CELLS[cell](width, width, batch_first=True)
        for table in self.tables:
            nn.init.normal_(table.weight, std=width**-0.5)  # type: ignore[arg-type] # embeddings

    def vectors(self, codes: Tensor, numbers: Tensor, linear: nn.Module | None) -> Tensor:
        """Add the vectors of codes, (..., C), and what a map makes of numbers: (..., width)."""
        columns = zip(self.tables, codes.unbind(dim=-1), strict=False)  # a question has fewer
        parts = [table(column) for table, column in columns]
        if linear is not None:
            parts.append(linear(numbers))
        return torch.stack(parts).sum(dim=0)

    def forward(self, batch: ExampleBatch) -> Tensor:
        """Read histories; give the state after the last event of each, 0 for an empty one."""
        x = self.drop(self.vectors(batch.codes, batch.numbers, self.numbers))  # (B, L, width)
        states = self.recurrent(x)[0]  # (B, L, width)
        state = last_of(states, batch.mask)  # (B, width)
        return state * batch.mask.any(dim=1, keepdim=True)

    def question(self, batch: ExampleBatch) -> Tensor:
        """Give what is asked about, (n, width)."""
        return self.vectors(batch.asked_codes, batch.asked_numbers, self.asked_numbers)


class MultiTaskNetwork(nn.Module):
    """A reader of histories, what the tasks share, and a small tower for each task.

    Parameters
    ----------
    reader : EventReader
        Reads the histories.
    between : nn.Module
        A layer of :mod:`behaviorseq.models.sharing`.
    heads : tuple of Head
        The tasks.
    view, tower : int
        What each task gets of ``between``, and the size of the hidden layer above it.
    dropout : float
        Share of values set to 0 in training.
    asks : bool
        Whether a question says something besides which history it is about.
    """

    def __init__(
        self,
        reader: EventReader,
        between: nn.Module,
        heads: tuple[Head, ...],
        *,
        view: int,
        tower: int,
        dropout: float,
        asks: bool,
    ) -> None:
        super().__init__()
        self.reader, self.between, self.asks = reader, between, asks
        self.drop = Dropout(dropout)
        self.towers = nn.ModuleList(
            nn.Sequential(nn.Linear(view, tower), nn.ReLU(), nn.Linear(tower, head.size))
            for head in heads
        )

    def inputs(self, batch: ExampleBatch) -> Tensor:
        """Put the state of the history and the question side by side, with their product."""
        state = self.reader(batch)[batch.row]  # (B, width) to (n, width)
        if not self.asks:
            return self.drop(state)  # type: ignore[no-any-return]
        asked = self.reader.question(batch)  # (n, width)
        x: Tensor = self.drop(torch.cat([state, asked, state * asked], dim=1))  # (n, 3 width)
        return x

    def forward(self, batch: ExampleBatch) -> list[Tensor]:
        """Give the logits of each task, (n, size of its head)."""
        views = self.drop(self.between(self.inputs(batch)))  # (n, K, view)
        return [tower(views[:, k]) for k, tower in enumerate(self.towers)]

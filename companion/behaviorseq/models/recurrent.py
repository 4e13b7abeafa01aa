"""Recurrent networks over histories: RNN, LSTM and GRU, and the recommenders made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor, nn

from behaviorseq.arguments import is_count, require
from behaviorseq.models.network import Dropout, SequenceNetwork

Cell = Literal["rnn", "lstm", "gru"]
CELLS: dict[str, type[nn.RNN | nn.LSTM | nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Recurrent(nn.Module):
    """Item vectors, a recurrent network, and a map back to the length of item vectors.

    Parameters
    ----------
    n_items : int
        Number of items.
    width : int
        Length of item vectors and hidden states.
    cell : {"rnn", "lstm", "gru"}
        How a state is made of the one before and an item.
    layers : int
        Recurrent layers, one above the other.
    inner : int
        Length of the recurrent state.
    dropout : float
        Share of values set to 0 in training: of item vectors, of states between layers and after.
    """

    def __init__(
        self,
        n_items: int,
        *,
        width: int = 64,
        cell: Cell = "gru",
        layers: int = 1,
        inner: int = 64,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items, width)
        self.drop = Dropout(dropout)
        between = dropout if layers > 1 else 0.0
        self.recurrent = CELLS[cell](width, inner, layers, batch_first=True, dropout=between)
        self.out = nn.Linear(inner, width)
        nn.init.normal_(self.items.weight, std=width**-0.5)

    def forward(self, items: Tensor, mask: Tensor) -> Tensor:
        """Encode rows of item codes.

        Padding stands on the right: it is read after the last event, and changes no state before.
        """
        x = self.drop(self.items(items))  # (B, L, width)
        states, _ = self.recurrent(x)  # (B, L, inner)
        hidden: Tensor = self.out(self.drop(states))  # (B, L, width)
        return hidden


@dataclass(eq=False, kw_only=True)
class GRU4Rec(SequenceNetwork):
    """A recurrent network over histories, with gated recurrent units unless said otherwise.

    Hidasi et al., Session-based recommendations with recurrent neural networks, ICLR 2016, arXiv
    1511.06939. Different: item vectors are shared between input and output, histories are
    batched by length and not in parallel sessions, and the loss is free.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
        How a state is made of the one before and an item.
    layers : int
        Recurrent layers, one above the other.
    inner : int, optional
        Length of the recurrent state; ``width`` if None.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import GRU4Rec, Sequences
    >>> from behaviorseq.training import FullSoftmax, Training
    >>> log = pd.DataFrame({"user": [1] * 6 + [2] * 6, "item": list("abcabcbcabca"),
    ...                     "time": [*range(6)] * 2, "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> training = Training(epochs=60, learning_rate=0.01)
    >>> model = GRU4Rec(width=8, dropout=0, loss=FullSoftmax(), training=training).fit(histories)
    >>> items, _ = model.recommend(histories, k=1, exclude_seen=False)
    >>> histories.item_ids.decode(items[:, 0]).tolist()  # what comes after c, and after a
    ['a', 'b']
    """

    cell: Cell = "gru"
    layers: int = 1
    inner: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require("cell", self.cell, self.cell in get_args(Cell), f"one of {get_args(Cell)}")
        require("layers", self.layers, is_count(self.layers), "a whole number of 1 or more")
        inner = self.inner
        require("inner", inner, inner is None or is_count(inner), "1 or more, or None")

    def encoder(self, n_items: int) -> nn.Module:
        """Make the recurrent network, untrained."""
        return Recurrent(
            n_items,
            width=self.width,
            cell=self.cell,
            layers=self.layers,
            inner=self.inner or self.width,
            dropout=self.dropout,
        )


@dataclass(eq=False, kw_only=True)
class LSTMRec(GRU4Rec):
    """The same with long short-term memory (Hochreiter and Schmidhuber, 1997)."""

    cell: Cell = "lstm"

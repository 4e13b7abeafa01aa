"""The graph that a history is itself, and the recommender SR-GNN that reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's users know

from behaviorseq.arguments import is_count, require
from behaviorseq.models.network import Dropout, SequenceNetwork
from behaviorseq.training.tasks import Prefixes

if TYPE_CHECKING:
    from behaviorseq.training.batches import Task


def session_graphs(items: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the graph of each row: items are its nodes, each event leads by an edge to the next.

    The node of an item stands at the place of its first event in the row.

    Parameters
    ----------
    items, mask : Tensor
        Item codes, and what of them is no padding, shape (B, L).

    Returns
    -------
    node : Tensor
        The node of each event, shape (B, L); 0 for padding.
    incoming : Tensor
        Shape (B, L, L): at (v, u) the share of the edges into node v that come from node u. Rows
        without an edge are 0.
    outgoing : Tensor
        The same, of the edges out of node v that lead to node u.

    Examples
    --------
    >>> items, mask = torch.tensor([[7, 8, 7, 9]]), torch.ones(1, 4, dtype=torch.bool)
    >>> node, _, outgoing = session_graphs(items, mask)  # 7 leads to 8 and to 9, and 8 to 7
    >>> node, outgoing
    (tensor([[0, 1, 0, 3]]), tensor([[[0.0000, 0.5000, 0.0000, 0.5000],
             [1.0000, 0.0000, 0.0000, 0.0000],
             [0.0000, 0.0000, 0.0000, 0.0000],
             [0.0000, 0.0000, 0.0000, 0.0000]]]))
    """
    same = (items[:, :, None] == items[:, None, :]) & mask[:, :, None] & mask[:, None, :]
    node = same.int().argmax(dim=2)  # (B, L): the first event with the same item
    place = F.one_hot(node, items.shape[1]) * mask[:, :, None]  # (B, L, L): event i is of node j
    place = place.to(torch.get_default_dtype())
    edges = place[:, :-1].transpose(1, 2) @ place[:, 1:]  # (B, L, L): times that u leads to v
    outgoing = edges / edges.sum(dim=2, keepdim=True).clamp(min=1)
    incoming = edges.transpose(1, 2) / edges.sum(dim=1)[:, :, None].clamp(min=1)
    return node, incoming, outgoing


class SessionGraph(nn.Module):
    """Gated messages along the edges of each history's graph, then attention over its events.

    Parameters
    ----------
    n_items : int
        Number of items.
    width : int
        Length of item vectors and hidden states.
    steps : int
        How many edges far a message travels.
    dropout : float
        Share of values of item vectors set to 0 in training.
    """

    def __init__(
        self, n_items: int, *, width: int = 64, steps: int = 1, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items, width)
        self.drop = Dropout(dropout)
        self.steps = steps
        self.from_before, self.from_after = nn.Linear(width, width), nn.Linear(width, width)
        self.update = nn.GRUCell(2 * width, width)
        self.of_last, self.of_each = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.weigh = nn.Linear(width, 1, bias=False)
        self.out = nn.Linear(2 * width, width)
        nn.init.normal_(self.items.weight, std=width**-0.5)

    def nodes(self, items: Tensor, incoming: Tensor, outgoing: Tensor) -> Tensor:
        """Give the states of all nodes after the messages, shape (B, L, width)."""
        x: Tensor = self.drop(self.items(items))  # (B, L, width)
        for _ in range(self.steps):
            before = incoming @ self.from_before(x)  # (B, L, width): mean over edges into a node
            after = outgoing @ self.from_after(x)  # the same over edges out of it
            message = torch.cat([before, after], dim=2)  # (B, L, 2 * width)
            x = self.update(message.flatten(0, 1), x.flatten(0, 1)).view_as(x)
        return x

    def forward(self, items: Tensor, mask: Tensor) -> Tensor:
        """Encode rows of item codes: one state for a whole row, repeated at each of its events."""
        node, incoming, outgoing = session_graphs(items, mask)
        x = self.nodes(items, incoming, outgoing)  # (B, L, width)
        x = x.gather(1, node[:, :, None].expand_as(x))  # (B, L, width): of the item of each event
        ends = mask.sum(dim=1) - 1
        last = x[torch.arange(len(x), device=x.device), ends]  # (B, width)
        weights = self.weigh(torch.sigmoid(self.of_last(last)[:, None] + self.of_each(x)))
        whole = (weights * mask[:, :, None] * x).sum(dim=1)  # (B, width)
        hidden: Tensor = self.out(torch.cat([whole, last], dim=1))  # (B, width)
        return hidden[:, None].expand_as(x)  # (B, L, width)


@dataclass(eq=False, kw_only=True)
class SRGNN(SequenceNetwork):
    """A graph network over the graph that each history makes of its own items.

    Wu et al., Session-based recommendation with graph neural networks, AAAI 2019, arXiv 1811.00855.
    The state after a history depends on all its events, so each beginning of a history is
    trained as a row of its own. Different: dropout of item vectors, and the loss is free, where
    the paper has :class:`FullSoftmax`.

    Parameters
    ----------
    steps : int
        How many edges far a message travels.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import SRGNN, Sequences
    >>> from behaviorseq.training import FullSoftmax, Training
    >>> log = pd.DataFrame({"user": [1] * 6 + [2] * 6, "item": list("abcabcbcabca"),
    ...                     "time": [*range(6)] * 2, "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> training = Training(epochs=60, learning_rate=0.01)
    >>> model = SRGNN(width=8, dropout=0, loss=FullSoftmax(), training=training).fit(histories)
    >>> items, _ = model.recommend(histories, k=1, exclude_seen=False)
    >>> histories.item_ids.decode(items[:, 0]).tolist()  # what comes after c, and after a
    ['a', 'b']
    """

    steps: int = 1

    def __post_init__(self) -> None:
        """Check the range."""
        super().__post_init__()
        require("steps", self.steps, is_count(self.steps), "a whole number of 1 or more")

    def task(self) -> Task:
        """Ask for what came after each beginning of a history."""
        return Prefixes()

    def encoder(self, n_items: int) -> nn.Module:
        """Make the graph network, untrained."""
        return SessionGraph(n_items, width=self.width, steps=self.steps, dropout=self.dropout)

"""A graph of items, graph convolutions over it, and the recommender GCNRec made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's users know

from behaviorseq.arguments import is_count, require
from behaviorseq.features.graph import item_graph, normalized
from behaviorseq.models.network import Dropout, SequenceNetwork
from behaviorseq.shards import Shards

if TYPE_CHECKING:
    import pandas as pd

    from behaviorseq.sequences import Sequences

Reader = Literal["mean", "gru"]


class Graph(nn.Module):
    """A symmetric sparse matrix that vectors of nodes are multiplied by.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array
        Symmetric, shape (n, n).
    """

    offsets: Tensor
    ends: Tensor
    weights: Tensor

    def __init__(self, matrix: sp.csr_array) -> None:
        super().__init__()
        for name, part in (
            ("offsets", matrix.indptr.astype(np.int64)),
            ("ends", matrix.indices.astype(np.int64)),
            ("weights", matrix.data.astype(np.float32)),
        ):
            self.register_buffer(name, torch.from_numpy(part))

    def forward(self, x: Tensor) -> Tensor:
        """Give each node the weighted sum of its neighbors' vectors, (n, d) in and out."""
        # torch's Function is not annotated.
        summed: Tensor = _Propagate.apply(
            x.to(self.weights.dtype), self.offsets, self.ends, self.weights
        )  # type: ignore[no-untyped-call]
        return summed

    def degrees(self) -> Tensor:
        """Count the edges of each node, shape (n,)."""
        return self.offsets.diff()

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take up a graph of any number of edges."""
        for name in ("offsets", "ends", "weights"):
            here = getattr(self, name).device
            setattr(self, name, torch.empty_like(state[prefix + name], device=here))
        super()._load_from_state_dict(state, prefix, *args)


class _Propagate(torch.autograd.Function):
    """The product of a symmetric sparse matrix and a dense one.

    The matrix is its own transpose, so the gradient goes back by the same product: several times
    faster than autograd's scatter.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *matrix: Tensor) -> Tensor:
        """Multiply."""
        ctx.matrix = matrix
        return _product(x, *matrix)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """Multiply the gradient."""
        return _product(gradient.contiguous(), *ctx.matrix), None, None, None


def _product(x: Tensor, offsets: Tensor, ends: Tensor, weights: Tensor) -> Tensor:
    """Sum weighted rows of x, shape (n, d), one sum for each row of a sparse matrix."""
    return F.embedding_bag(
        ends,
        x,
        offsets,
        per_sample_weights=weights,
        mode="sum",
        include_last_offset=True,
    )


class GraphConvolution(nn.Module):
    r"""One layer of a graph convolutional network, :math:`\hat A H W + b`.

    Parameters
    ----------
    width, out : int
        Length of vectors before and after.
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, out))
        self.bias = nn.Parameter(torch.zeros(out))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, graph: Graph, x: Tensor) -> Tensor:
        """Transform and mix vectors of nodes, (n, width) in, (n, out) out."""
        mixed: Tensor = graph(x @ self.weight) + self.bias
        return mixed


class GraphEncoder(nn.Module):
    """Item vectors that pass over a graph of items, and a reader of histories of them.

    Parameters
    ----------
    n_items : int
        Number of items.
    width : int
        Length of item vectors and hidden states.
    layers : int
        Number of graph convolutions.
    reader : {"mean", "gru"}
        How a history is read.
    decay : float
        Of the mean: an event weighs so many times the one after it.
    dropout : float
        Share of values set to 0 in training.
    """

    def __init__(
        self,
        n_items: int,
        *,
        width: int = 64,
        layers: int = 2,
        reader: Reader = "mean",
        decay: float = 0.8,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items, width)
        self.graph = Graph(sp.eye_array(n_items, format="csr"))  # no edges, until fitted
        self.convolutions = nn.ModuleList(GraphConvolution(width, width) for _ in range(layers))
        self.drop = Dropout(dropout)
        self.recurrent = nn.GRU(width, width, batch_first=True) if reader == "gru" else None
        self.out = nn.Linear(width, width)
        self.decay = decay
        nn.init.normal_(self.items.weight, std=width**-0.5)

    def item_vectors(self) -> Tensor:
        """Give each item its own vector plus what comes to it over the graph, (n_items, width)."""
        own = x = self.items.weight
        for place, convolution in enumerate(self.convolutions):
            x = convolution(self.graph, F.relu(x) if place else x)  # (n_items, width)
        return own + x if len(self.convolutions) else own

    def forward(self, items: Tensor, mask: Tensor) -> Tensor:
        """Encode rows of item codes.

        Padding stands on the right: it is read after the last event, and changes no state before.
        """
        x = self.drop(F.embedding(items, self.item_vectors()))  # (B, L, width)
        states = decayed_mean(x, self.decay) if self.recurrent is None else self.recurrent(x)[0]
        hidden: Tensor = self.out(states)  # (B, L, width)
        return hidden


def decayed_mean(x: Tensor, decay: float) -> Tensor:
    """Average each event's vector with those before it, the older the less.

    Parameters
    ----------
    x : Tensor
        Shape (B, L, d).
    decay : float
        The event that is s places back weighs ``decay ** s``.

    Returns
    -------
    Tensor
        Shape (B, L, d).

    Examples
    --------
    >>> decayed_mean(torch.tensor([[[1.0], [4.0]]]), 0.5)
    tensor([[[1.],
             [3.]]])
    """
    place = torch.arange(x.shape[1], device=x.device)
    back = place[:, None] - place  # (L, L)
    weights = torch.where(back >= 0, decay ** back.clamp(min=0).to(x.dtype), 0)
    return (weights / weights.sum(dim=1, keepdim=True)) @ x


@dataclass(eq=False, kw_only=True)
class GCNRec(SequenceNetwork):
    r"""Item vectors that pass over a graph of items by graph convolutions, then are read in order.

    The graph is that of :func:`item_graph` on the training log. The vectors of all items are the
    rows of

    .. math:: V = E + \hat A\, \mathrm{ReLU}\big(\hat A E W_1 + b_1\big) W_2 + b_2

    (two layers; Kipf and Welling, ICLR 2017, arXiv 1609.02907; that each item keeps its own
    vector :math:`E` beside what the graph brings is an addition). A history is read as the mean
    of its items' vectors, the older the less, or by a GRU, a linear map follows, and items are
    scored by their rows of :math:`V`. It is no published model, but a plain one that uses the
    graph.

    A state depends on its own event and earlier ones of its history, as in every network here,
    and on the graph, that is, on the whole training log.

    Parameters
    ----------
    layers : int
        Number of graph convolutions; 0 leaves the graph out.
    steps : int
        Longest distance in a history that makes an edge.
    neighbors : int, optional
        Strongest edges of an item that are kept; all if None.
    reader : {"mean", "gru"}
        How a history is read.
    decay : float
        Of the mean, above 0 and at most 1.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import GCNRec, Sequences
    >>> from behaviorseq.training import FullSoftmax, Training
    >>> log = pd.DataFrame({"user": [1] * 6 + [2] * 6, "item": list("abcabcbcabca"),
    ...                     "time": [*range(6)] * 2, "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> training = Training(epochs=60, learning_rate=0.01)
    >>> model = GCNRec(width=8, dropout=0, loss=FullSoftmax(), training=training).fit(histories)
    >>> items, _ = model.recommend(histories, k=1, exclude_seen=False)
    >>> histories.item_ids.decode(items[:, 0]).tolist()  # what comes after c, and after a
    ['a', 'b']
    """

    streams: ClassVar[bool] = False  # its graph is of the whole log

    layers: int = 2
    steps: int = 3
    neighbors: int | None = 20
    reader: Reader = "mean"
    decay: float = 0.8

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        ok = self.layers == 0 or is_count(self.layers)
        require("layers", self.layers, ok, "a whole number of 0 or more")
        require("steps", self.steps, is_count(self.steps), "a whole number of 1 or more")
        ok = self.neighbors is None or is_count(self.neighbors)
        require("neighbors", self.neighbors, ok, "a whole number of 1 or more, or None")
        known = self.reader in get_args(Reader)
        require("reader", self.reader, known, f"one of {get_args(Reader)}")
        require("decay", self.decay, 0 < self.decay <= 1, "above 0 and at most 1")

    def encoder(self, n_items: int) -> GraphEncoder:
        """Make the network, untrained, over a graph without edges."""
        return GraphEncoder(
            n_items,
            width=self.width,
            layers=self.layers,
            reader=self.reader,
            decay=self.decay,
            dropout=self.dropout,
        )

    def _train(self, train: Sequences | Shards, **options: Any) -> pd.DataFrame:
        assert isinstance(self.network, GraphEncoder)
        assert not isinstance(train, Shards)
        graph = item_graph(train, steps=self.steps, neighbors=self.neighbors)
        self.network.graph = Graph(normalized(graph))
        return super()._train(train, **options)

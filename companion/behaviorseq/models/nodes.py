"""Recognising the class of each node of a graph, such as the interest that an item belongs to."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's users know

from behaviorseq.arguments import check_counts, require
from behaviorseq.features.graph import normalized
from behaviorseq.models.graph import Graph, GraphConvolution
from behaviorseq.training.fit import Training, run_epochs, seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from behaviorseq.training.fit import Progress

    Nodes: TypeAlias = ArrayLike | sp.csr_array


@dataclass(frozen=True)
class NodeBatch:
    """A whole graph, its nodes and what is known of them: one example, and one batch.

    Parameters
    ----------
    graph : Graph
        Of n nodes, normalised.
    x : Tensor
        What describes a node, dense or sparse, (n, features).
    known : Tensor
        Nodes whose class is known, (m,).
    targets : Tensor
        Their share of each class, (m, classes).
    """

    graph: Graph
    x: Tensor
    known: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> NodeBatch:
        """Copy to a device."""
        parts = (part.to(device) for part in (self.x, self.known, self.targets))
        return NodeBatch(self.graph.to(device), *parts)

    def __len__(self) -> int:
        """Return the number of batches in an epoch: one."""
        return 1

    def epoch(self, number: int) -> Iterator[NodeBatch]:
        """Go once through all there is."""
        yield self


class NodeNetwork(nn.Module):
    r"""Graph convolutions, one on top of the other, with a ReLU and dropout between them.

    Parameters
    ----------
    features, inner, classes : int
        Numbers that describe a node, length of the vectors between layers, classes.
    layers : int
        Number of convolutions.
    dropout : float
        Share of values set to 0 before each convolution but the first, in training.
    residual : bool
        Whether the convolutions between the first and the last add to what they got.
    """

    def __init__(
        self,
        features: int,
        inner: int,
        classes: int,
        *,
        layers: int = 2,
        dropout: float = 0.5,
        residual: bool = False,
    ) -> None:
        super().__init__()
        widths = [features, *[inner] * (layers - 1), classes]
        self.convolutions = nn.ModuleList(
            GraphConvolution(before, after) for before, after in pairwise(widths)
        )
        self.drop = nn.Dropout(dropout)
        self.residual = residual

    def steps(self, graph: Graph, x: Tensor) -> list[Tensor]:
        """Give what comes out of each convolution, (n, inner) each, the last (n, classes)."""
        found: list[Tensor] = []
        for convolution in self.convolutions:
            h = self.drop(F.relu(found[-1])) if found else x
            out = convolution(graph, h)
            between = 0 < len(found) < len(self.convolutions) - 1
            found.append(out + h if self.residual and between else out)
        return found

    def forward(self, graph: Graph, x: Tensor) -> Tensor:
        """Give the logits of the classes of each node, (n, features) in, (n, classes) out."""
        return self.steps(graph, x)[-1]


@dataclass(eq=False, kw_only=True)
class NodeClassifier:
    r"""A graph convolutional network that tells the class of each node from those of a few.

    Two layers, the usual number, are

    .. math:: Z = \mathrm{softmax}\big(\hat A\, \mathrm{ReLU}(\hat A X W_1 + b_1)\, W_2 + b_2\big)

    with :math:`\hat A` of :func:`behaviorseq.features.normalized`. The cross-entropy is taken
    over the nodes whose class is known; the other nodes take part as neighbors.

    Different from the paper: its dropout of the input is left out, and weights decay as in
    AdamW, all alike.

    Parameters
    ----------
    layers : int
        Number of convolutions: how many edges away a node can look.
    inner : int
        Length of the vectors between layers.
    dropout : float
        Between layers, in training.
    residual : bool
        Whether layers between the first and the last add to what they got (an addition).
    training : Training
        Settings of the loop; a graph is one batch, so an epoch is one step.

    Attributes
    ----------
    network : NodeNetwork
        After ``fit``.
    history : pandas.DataFrame
        One row an epoch. After ``fit``.

    References
    ----------
    Kipf and Welling, Semi-supervised classification with graph convolutional networks, ICLR 2017,
    arXiv 1609.02907, equation 9.

    Examples
    --------
    Two triangles, joined by an edge; one node of each is known.

    >>> import numpy as np, scipy.sparse as sp
    >>> from behaviorseq import NodeClassifier
    >>> ends = np.array([[0, 0, 1, 3, 3, 4, 2], [1, 2, 2, 4, 5, 5, 3]])
    >>> half = sp.coo_array((np.ones(7), ends), shape=(6, 6)).tocsr()
    >>> known = NodeClassifier(inner=4).fit(half + half.T, np.eye(6), [0, 5], [0, 1])
    >>> known.predict().argmax(axis=1).tolist()
    [0, 0, 0, 1, 1, 1]
    """

    layers: int = 2
    inner: int = 64
    dropout: float = 0.5
    residual: bool = False
    training: Training = field(
        default_factory=lambda: Training(epochs=100, learning_rate=0.01, patience=100)
    )
    network: NodeNetwork | None = field(init=False, repr=False, default=None)
    history: pd.DataFrame = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_counts(self, "layers", "inner")
        require("dropout", self.dropout, 0 <= self.dropout < 1, "0 or more and below 1")

    def fit(
        self,
        graph: sp.csr_array,
        x: Nodes,
        known: ArrayLike,
        targets: ArrayLike,
        *,
        validate: Callable[[Self], float] | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from the nodes whose class is known.

        Parameters
        ----------
        graph : csr_array
            Weights of the edges, symmetric, shape (n, n).
        x : array-like or csr_array
            What describes a node, shape (n, features). Where nothing does, a sparse identity:
            each node is then described by its number alone.
        known : array-like of int
            Nodes whose class is known, shape (m,).
        targets : array-like
            Their classes, whole numbers from 0, shape (m,), or their share of each class,
            shape (m, classes).
        validate : callable, optional
            Gives how good the model is, higher is better; the best epoch is kept.
        progress : callable, optional
            Such as :func:`behaviorseq.notebook.progress`.

        Returns
        -------
        Self
            The same model.

        Raises
        ------
        ValueError
            If the graph is not symmetric, shapes do not fit, a number is missing, or a known
            node is none of the graph's.
        """
        batch = _batch(graph, x, known, targets)
        n_features, n_classes = batch.x.shape[1], batch.targets.shape[1]
        with seeded(self.training.seed):
            network = NodeNetwork(
                n_features,
                self.inner,
                n_classes,
                layers=self.layers,
                dropout=self.dropout,
                residual=self.residual,
            )
        self.network, self._asked = network, batch

        def step(given: NodeBatch, _: float) -> tuple[Tensor, int]:
            logits = network(given.graph, given.x)[given.known]  # (m, classes)
            return F.cross_entropy(logits, given.targets), len(given.known)

        edges = batch.graph.weights.cpu().numpy().tobytes()
        self.history = run_epochs(
            network,
            step,
            batch,
            self.training,
            identity={"data": [*batch.x.shape, n_classes, zlib.crc32(edges)]},
            validate=validate and partial(validate, self),
            progress=progress,
        )
        return self

    def predict(
        self, graph: sp.csr_array | None = None, x: Nodes | None = None
    ) -> NDArray[np.float32]:
        """Give the probability of each class for each node, shape (n, classes).

        Parameters
        ----------
        graph, x : optional
            Another graph and its nodes, described by as many numbers; those of ``fit`` if None.

        Returns
        -------
        NDArray[float32]
            Rows with sum 1.

        Raises
        ------
        ValueError
            If the model is not fitted, or shapes do not fit.
        """
        probabilities: NDArray[np.float32] = F.softmax(self._steps(graph, x)[-1], dim=1).numpy()
        return probabilities

    def vectors(
        self, graph: sp.csr_array | None = None, x: Nodes | None = None
    ) -> list[NDArray[np.float32]]:
        """Give the vectors of the nodes after each layer, the last those of the classes.

        Parameters
        ----------
        graph, x : optional
            As for :meth:`predict`.

        Returns
        -------
        list of NDArray[float32]
            One a layer: shape (n, inner), the last (n, classes).

        Raises
        ------
        ValueError
            As :meth:`predict`.
        """
        return [step.numpy() for step in self._steps(graph, x)]

    @torch.no_grad()
    def _steps(self, graph: sp.csr_array | None, x: Nodes | None) -> list[Tensor]:
        if self.network is None:
            raise ValueError(f"{self!r} is not fitted: call fit(graph, x, known, targets) first")
        network, asked = self.network.eval(), self._asked
        edges = asked.graph if graph is None else _graph(graph)
        nodes = asked.x if x is None else _features(x)
        wanted = (len(edges.degrees()), asked.x.shape[1])
        require("the shape of x", tuple(nodes.shape), tuple(nodes.shape) == wanted, f"{wanted}")
        device = next(network.parameters()).device
        return [step.cpu() for step in network.steps(edges.to(device), nodes.to(device))]


def _batch(graph: sp.csr_array, x: Nodes, known: ArrayLike, targets: ArrayLike) -> NodeBatch:
    """Check what a model is to learn from, and turn it into tensors."""
    edges, nodes = _graph(graph), _features(x)
    n = len(edges.degrees())
    require("the rows of x", nodes.shape[0], nodes.shape[0] == n, f"{n}, the nodes of the graph")
    places: NDArray[Any] = np.asarray(known)
    ok = places.ndim == 1 and places.dtype.kind in "iu" and len(places) > 0
    require("known", known, ok, "a list of the numbers of nodes, one at least")
    require("known", known, bool(places.min() >= 0 and places.max() < n), f"from 0 to {n - 1}")
    shares: NDArray[Any] = np.asarray(targets)
    if shares.ndim == 1 and shares.dtype.kind in "iu":
        require("targets", targets, bool((shares >= 0).all()), "0 or more")
        shares = np.eye(shares.max() + 1)[shares]
    fits = shares.ndim == 2 and len(shares) == len(places)
    require("the shape of targets", shares.shape, fits, f"({len(places)}, ...), one a known node")
    sums = bool(np.isfinite(shares).all() and np.allclose(shares.sum(axis=1), 1, atol=1e-5))
    require("targets", targets, sums, "classes, or shares of classes with sum 1")
    places_, shares_ = torch.from_numpy(places.astype(np.int64)), torch.from_numpy(shares)
    return NodeBatch(edges, nodes, places_, shares_.float())


def _graph(graph: sp.csr_array) -> Graph:
    """Normalise a graph, after checking that it is symmetric."""
    edges = sp.csr_array(graph, dtype=np.float32)
    square = edges.shape[0] == edges.shape[1]
    require("the shape of graph", edges.shape, square, "square")
    apart = abs(edges - edges.T)
    require("graph", graph, apart.max() <= 1e-5 * max(edges.max(), 1e-30), "symmetric")
    return Graph(normalized(edges))


def _features(x: Nodes) -> Tensor:
    """Turn what describes nodes into a tensor, sparse if it was."""
    if sp.issparse(x):
        cells = sp.coo_array(x)
        places = torch.from_numpy(np.stack([cells.row, cells.col]).astype(np.int64))
        values = torch.from_numpy(cells.data.astype(np.float32))
        nodes = torch.sparse_coo_tensor(places, values, cells.shape, check_invariants=True)
        nodes = nodes.coalesce()
    else:
        values = nodes = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
    require("the dimensions of x", nodes.ndim, nodes.ndim == 2, "2, nodes and features")
    require("x", x, bool(torch.isfinite(values).all()), "numbers, none missing")
    return nodes

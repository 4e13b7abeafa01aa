"""LightGCN: vectors of users and items, averaged over the graph of who took what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from behaviorseq.arguments import check_counts, require
from behaviorseq.features.graph import normalized
from behaviorseq.models.graph import Graph
from behaviorseq.models.network import NetworkRecommender
from behaviorseq.models.recommender import binary, decayed_counts
from behaviorseq.training.bags import Bag, Bags, bag_cross_entropy
from behaviorseq.training.checkpoint import fingerprint
from behaviorseq.training.fit import prepare_loss, run_epochs
from behaviorseq.training.losses import FullSoftmax, Loss

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences


class LightGraph(nn.Module):
    """Vectors of users and items, and the graph between them.

    Parameters
    ----------
    n_users, n_items : int
        Number of training histories, and of items.
    width : int
        Length of vectors.
    layers : int
        How many steps a vector goes through the graph.
    free_users : bool
        Whether each training user has a vector to learn, or starts from zeros.
    """

    def __init__(
        self,
        n_users: int,
        n_items: int,
        *,
        width: int = 64,
        layers: int = 3,
        free_users: bool = True,
    ) -> None:
        super().__init__()
        self.n_users, self.layers = n_users, layers
        self.users = nn.Embedding(n_users, width) if free_users else None
        self.items = nn.Embedding(n_items, width)
        self.graph = Graph(sp.csr_array((n_users + n_items, n_users + n_items)))  # until fitted
        for table in (self.users, self.items):
            if table is not None:
                nn.init.normal_(table.weight, std=0.1)

    def steps(self) -> Tensor:
        """Give the vectors of all nodes, users first, after 0, 1, ... steps.

        Shape (layers + 1, n_users + n_items, width).
        """
        items = self.items.weight
        users = items.new_zeros(self.n_users, items.shape[1])
        x = torch.cat([users if self.users is None else self.users.weight, items])
        steps = [x]
        for _ in range(self.layers):
            steps.append(self.graph(steps[-1]))  # (n_users + n_items, width)
        return torch.stack(steps)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Give the vectors of users, (n_users, width), and items, (n_items, width)."""
        mean = self.steps().mean(dim=0)
        return mean[: self.n_users], mean[self.n_users :]


def user_item_graph(train: Sequences) -> sp.csr_array:
    """Connect each history with its items, once, whatever the number of events.

    Parameters
    ----------
    train : Sequences
        Histories.

    Returns
    -------
    scipy.sparse.csr_array
        Symmetric, shape (n_rows + n_items, n_rows + n_items): histories first, then items.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 2], "item": list("abb"), "time": 0, "behavior": "view"})
    >>> user_item_graph(Sequences.from_events(log)).toarray()
    array([[0., 0., 1., 1.],
           [0., 0., 0., 1.],
           [1., 0., 0., 0.],
           [1., 1., 0., 0.]], dtype=float32)
    """
    taken = binary(train.to_csr())
    return sp.block_array([[None, taken], [taken.T, None]], format="csr")


@dataclass(eq=False, kw_only=True)
class LightGCN(NetworkRecommender):
    r"""Vectors of users and items, averaged over the graph of who took what.

    He, Deng, Wang, Li, Zhang and Wang, LightGCN: Simplifying and powering graph convolution
    network for recommendation, SIGIR 2020, arXiv 2002.02126. With :math:`N_u` the items of user
    u and :math:`N_i` the users of item i, a step through the graph is

    .. math:: e_u^{(k+1)} = \sum_{i \in N_u} \frac{e_i^{(k)}}{\sqrt{|N_u| |N_i|}}, \qquad
              e_i^{(k+1)} = \sum_{u \in N_i} \frac{e_u^{(k)}}{\sqrt{|N_i| |N_u|}},

    a node's vector is the mean of its vectors after 0 to K steps, :math:`e = \frac{1}{K+1}
    \sum_k e^{(k)}`, and the score is :math:`e_u^\top e_i`. What is learned is :math:`e^{(0)}`.

    The score reads a history, not a user. Every term of :math:`e_u` but the one of step 0 is a
    function of the user's items and of item vectors:

    .. math:: e_u = \frac{e_u^{(0)}}{K+1} + \sum_{i \in N_u}
              \frac{1}{\sqrt{|N_u| |N_i|}} \cdot \frac{1}{K+1} \sum_{k=0}^{K-1} e_i^{(k)} .

    A history, of a known user or not, gets the second part; :math:`N_i` and the item vectors stay
    those of training. So for a training user with the training history the score differs from
    the paper's by exactly :math:`e_u^{(0)\top} e_i / (K + 1)`, and with ``free_users=False``,
    where :math:`e_u^{(0)} = 0` in training too, not at all. An item without a training user adds
    nothing to a history but its share of :math:`|N_u|`. With recency decay, an addition, an item
    of a history that is read counts by its weight, and :math:`|N_u|` is the sum of weights. An
    empty history gets popularity.

    Different from the paper: the loss is free, softmax over all items unless said otherwise,
    where the paper takes one negative (:class:`BPRLoss`); a batch holds some users with all
    their items; and ``weight_decay`` stands for the penalty on :math:`e^{(0)}`.

    Parameters
    ----------
    width : int
        Length of vectors.
    layers : int
        The number K of steps through the graph, 1 or more.
    free_users : bool
        Whether training users have vectors :math:`e_u^{(0)}` of their own, as in the paper.
    decay : float, optional
        Weight of an event of the history that is read is ``decay ** position_from_end``, summed
        for an item that recurs. None: order does not count.
    loss : Loss
        What to minimise.
    training : Training
        Settings of the loop, the seed among them; ``batch_size`` histories in a step,
        ``windows`` is not used.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import LightGCN, Sequences
    >>> from behaviorseq.training import Training
    >>> log = pd.DataFrame({"user": np.repeat(range(6), 3), "item": list("abcbcacabxyzyzxzxy"),
    ...                     "time": list(range(3)) * 6, "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> model = LightGCN(width=4, training=Training(epochs=50, learning_rate=0.05)).fit(histories)
    >>> items, _ = model.recommend(histories.last(2), k=1)
    >>> histories.item_ids.decode(items[[0, 5], 0]).tolist()  # a goes with b, c; z with x, y
    ['a', 'z']
    """

    width: int = 64
    layers: int = 3
    free_users: bool = True
    decay: float | None = None
    loss: Loss = field(default_factory=FullSoftmax)

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_counts(self, "width", "layers")
        ok = self.decay is None or 0 < self.decay <= 1
        require("decay", self.decay, ok, "above 0 and at most 1, or None")

    def new_network(self, n_items: int, n_rows: int) -> LightGraph:
        """Make the network, untrained, over a graph without edges."""
        return LightGraph(
            n_rows, n_items, width=self.width, layers=self.layers, free_users=self.free_users
        )

    def _train(self, train: Sequences, **options: Any) -> pd.DataFrame:
        network = self._graph_network()
        network.graph = Graph(normalized(user_item_graph(train), self_loops=False))
        bags = Bags(train, batch_size=self.training.batch_size, seed=self.training.seed)
        prepare_loss(self.loss, train, self.training)

        def step(bag: Bag, done: float) -> tuple[Tensor, int]:
            users, items = network()
            return bag_loss(self.loss, users[bag.rows], items, bag), len(bag.items)

        options["identity"] = {"data": fingerprint(train), **options["identity"]}
        return run_epochs(network, step, bags, self.training, **options)

    def _graph_network(self) -> LightGraph:
        assert isinstance(self.network, LightGraph)
        return self.network

    def encode(self, histories: Sequences) -> NDArray[np.float32]:
        """Give the vector of each history, as above.

        Parameters
        ----------
        histories : Sequences
            Histories with the item vocabulary of the training log.

        Returns
        -------
        NDArray[float32]
            Shape (n_histories, width); zeros for an empty history.

        Raises
        ------
        ValueError
            If the model is not fitted, or the histories use another item vocabulary.
        """
        self._check_histories(histories)
        return self._folded_in(histories, self._steps())

    def _folded_in(self, histories: Sequences, steps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Read histories with the item vectors after each number of steps."""
        network = self._graph_network()
        degree = network.graph.degrees()[network.n_users :].cpu().numpy()
        sent = steps[:-1].sum(axis=0) / (len(steps) * np.sqrt(np.maximum(degree, 1)))[:, None]
        sent[degree == 0] = 0
        if self.decay is None:
            taken = binary(histories.to_csr())
        else:
            taken = decayed_counts(histories, self.decay)
        total = np.asarray(taken.sum(axis=1))
        root = np.sqrt(np.where(total > 0, total, 1))
        vectors: NDArray[np.float32] = (taken @ sent / root[:, None]).astype(np.float32)
        return vectors

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        steps = self._steps()
        scores: NDArray[np.float32] = self._folded_in(histories, steps) @ steps.mean(axis=0).T
        return scores

    @torch.no_grad()
    def _steps(self) -> NDArray[np.float32]:
        """Give the item vectors after each number of steps, shape (layers + 1, n_items, width)."""
        network = self._graph_network()
        steps: NDArray[np.float32] = network.steps()[:, network.n_users :].cpu().numpy()
        return steps

    @torch.no_grad()
    def training_vectors(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Give the vectors of the training users and of all items, as in the paper.

        Returns
        -------
        users : NDArray[float32]
            One row a training history, shape (n_rows, width), the term of step 0 included.
        items : NDArray[float32]
            Shape (n_items, width).

        Raises
        ------
        ValueError
            If the model is not fitted.
        """
        if self.item_ids is None:
            raise ValueError(f"{self!r} is not fitted: call fit(train) first")
        users, items = self._graph_network()()
        return users.cpu().numpy(), items.cpu().numpy()


def bag_loss(loss: Loss, users: Tensor, weight: Tensor, bag: Bag) -> Tensor:
    """Compare each row of a bag with each of its items.

    Parameters
    ----------
    loss : Loss
        What to minimise.
    users : Tensor
        Vectors of the rows, shape (n_rows, d).
    weight : Tensor
        Item vectors, shape (n_items, d).
    bag : Bag
        The items of the rows.

    Returns
    -------
    Tensor
        Mean over the n_pairs pairs of a row and one of its items.
    """
    if isinstance(loss, FullSoftmax):  # the same value, and a row's scores are computed once
        return bag_cross_entropy(users @ weight.T, bag).sum() / len(bag.items)
    return loss(users[bag.owners], weight, bag.items)

"""A variational autoencoder of histories as bags of items, and the recommender Mult-VAE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's users know

from behaviorseq.arguments import check_counts, require
from behaviorseq.models.drawn import checked_lengths, new_histories
from behaviorseq.models.network import ROWS, Dropout, NetworkRecommender
from behaviorseq.training.bags import Bag, Bags, bag_cross_entropy
from behaviorseq.training.checkpoint import fingerprint
from behaviorseq.training.fit import run_epochs

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences


class BagAutoencoder(nn.Module):
    """Map a bag of items to a normal distribution over a short vector, and back to all items.

    Parameters
    ----------
    n_items : int
        Number of items.
    inner : int
        Width of the hidden layer, the same in encoder and decoder.
    latent : int
        Length of the short vector.
    dropout : float
        Share of a bag's items that the encoder does not see in training.
    """

    def __init__(
        self, n_items: int, *, inner: int = 600, latent: int = 200, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.read = nn.Embedding(n_items, inner)  # a linear layer on a sparse input
        self.read_bias = nn.Parameter(torch.zeros(inner))
        self.drop = Dropout(dropout)
        self.posterior = nn.Linear(inner, 2 * latent)
        self.expand = nn.Linear(latent, inner)
        self.out = nn.Linear(inner, n_items)
        for layer in (self.read, self.posterior, self.expand, self.out):
            nn.init.xavier_uniform_(layer.weight)
        for bias in (self.posterior.bias, self.expand.bias, self.out.bias):
            nn.init.zeros_(bias)

    def encode(self, bag: Bag) -> tuple[Tensor, Tensor]:
        """Give mean and logarithm of the variance of each row's vector, both (n_rows, latent).

        A bag enters as a vector of length 1: n items that weigh alike as n times 1 / sqrt(n).
        """
        weights = bag.weights.to(self.read_bias.dtype)  # (n_pairs,)
        squares = weights.new_zeros(len(bag.rows)).index_add(0, bag.owners, weights.square())
        values = self.drop(weights * squares.rsqrt()[bag.owners])  # (n_pairs,)
        read = F.embedding_bag(
            bag.items,
            self.read.weight,
            bag.offsets,
            per_sample_weights=values,
            mode="sum",
            include_last_offset=True,
        )  # (n_rows, inner)
        mean, log_variance = self.posterior(torch.tanh(read + self.read_bias)).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """Score all items, (n_rows, n_items), for vectors (n_rows, latent)."""
        scores: Tensor = self.out(torch.tanh(self.expand(z)))  # (n_rows, inner) in between
        return scores

    def forward(self, bag: Bag) -> tuple[Tensor, Tensor, Tensor]:
        """Give scores, (n_rows, n_items), and the mean and log-variance they come from.

        In training the vector is drawn: mean plus noise times the standard deviation, so that
        both have a gradient.
        """
        mean, log_variance = self.encode(bag)
        z = mean
        if self.training:
            z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decode(z), mean, log_variance


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""Give the Kullback-Leibler divergence of normal distributions from the standard normal.

    .. math:: \mathrm{KL} = \frac{1}{2} \sum_d \big(\sigma_d^2 + \mu_d^2 - 1 - \log \sigma_d^2\big)

    Parameters
    ----------
    mean, log_variance : Tensor
        Shape (n_rows, latent).

    Returns
    -------
    Tensor
        Shape (n_rows,).

    Examples
    --------
    >>> divergence(torch.zeros(1, 3), torch.zeros(1, 3))
    tensor([0.])
    """
    return 0.5 * (log_variance.exp() + mean.square() - 1 - log_variance).sum(dim=1)


def annealed(beta: float, share: float, done: float) -> float:
    """Give the weight of the divergence when the share ``done`` of all training steps is behind.

    Parameters
    ----------
    beta : float
        The weight in the end.
    share : float
        Share of all steps over which it rises from 0.
    done : float
        From 0 to 1.

    Returns
    -------
    float
        The weight.

    Examples
    --------
    >>> [annealed(0.2, 0.5, done) for done in (0.0, 0.25, 0.5, 1.0)]
    [0.0, 0.1, 0.2, 0.2]
    """
    return beta if done >= share else beta * done / share


@dataclass(eq=False, kw_only=True)
class MultVAE(NetworkRecommender):
    r"""A variational autoencoder of histories with a multinomial likelihood.

    Liang, Krishnan, Hoffman and Jebara, Variational autoencoders for collaborative filtering, WWW
    2018, arXiv 1802.05814. An encoder maps the set of items of a history to a normal distribution
    over a vector :math:`z`, a decoder maps :math:`z` to a score for each item, and training
    minimises

    .. math:: -\mathbb{E}_{q(z|u)} \sum_{i \in u} \log \pi_i(z)
              + \beta\, \mathrm{KL}\big(q(z|u) \,\|\, \mathcal{N}(0, I)\big).

    The first term wants the history back, the second wants all histories together to fill one
    round cloud, from which :meth:`sample` draws new ones. As there: items are binary, the input
    has length 1 and half of it is dropped in training, tanh, :math:`\beta` rises from 0 during
    training. Different: the loss is divided by the number of items of the batch, which changes
    the length of steps only.

    The score is the decoder's at the posterior's mean. Training knows neither the order nor the
    number of events of one item; the history that is scored may be read with recency decay, an
    addition. An empty history gets popularity.

    Parameters
    ----------
    inner : int
        Width of the hidden layer of encoder and decoder.
    latent : int
        Length of the vector.
    dropout : float
        Share of a history's items that the encoder does not see in training.
    beta : float
        Weight of the divergence in the end, 0 or more; 1 is the evidence lower bound.
    anneal : float
        Share of all training steps over which the weight rises from 0; 0 starts with ``beta``.
    decay : float, optional
        Weight of an event of the history that is read is ``decay ** position_from_end``, summed
        for an item that recurs. None: order does not count.
    training : Training
        Settings of the loop, the seed among them; ``batch_size`` histories in a step,
        ``windows`` is not used.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import MultVAE, Sequences
    >>> from behaviorseq.training import Training
    >>> log = pd.DataFrame({"user": np.repeat(range(6), 3), "item": list("abcbcacabxyzyzxzxy"),
    ...                     "time": list(range(3)) * 6, "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> model = MultVAE(inner=16, latent=4, training=Training(epochs=100, learning_rate=0.01))
    >>> items, _ = model.fit(histories).recommend(histories.last(2), k=1)
    >>> histories.item_ids.decode(items[[0, 5], 0]).tolist()  # a goes with b, c; z with x, y
    ['a', 'z']
    """

    inner: int = 600
    latent: int = 200
    dropout: float = 0.5
    beta: float = 0.2
    anneal: float = 0.5
    decay: float | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_counts(self, "inner", "latent")
        require("dropout", self.dropout, 0 <= self.dropout < 1, "0 or more and below 1")
        require("beta", self.beta, 0 <= self.beta < np.inf, "0 or more")
        require("anneal", self.anneal, 0 <= self.anneal <= 1, "in [0, 1]")
        ok = self.decay is None or 0 < self.decay <= 1
        require("decay", self.decay, ok, "above 0 and at most 1, or None")

    def new_network(self, n_items: int, n_rows: int) -> BagAutoencoder:
        """Make the autoencoder, untrained."""
        return BagAutoencoder(n_items, inner=self.inner, latent=self.latent, dropout=self.dropout)

    def _train(self, train: Sequences, **options: Any) -> pd.DataFrame:
        bags = Bags(train, batch_size=self.training.batch_size, seed=self.training.seed)

        def step(bag: Bag, done: float) -> tuple[Tensor, int]:
            scores, mean, log_variance = self.network(bag)
            kl = divergence(mean, log_variance)  # (n_rows,)
            loss = bag_cross_entropy(scores, bag) + annealed(self.beta, self.anneal, done) * kl
            return loss.sum() / len(bag.items), len(bag.items)

        options["identity"] = {"data": fingerprint(train), **options["identity"]}
        return run_epochs(self.network, step, bags, self.training, **options)

    def encode(self, histories: Sequences) -> NDArray[np.float32]:
        """Give the mean of each history's vector.

        Parameters
        ----------
        histories : Sequences
            Histories with the item vocabulary of the training log.

        Returns
        -------
        NDArray[float32]
            Shape (n_histories, latent); zeros, the mean of all, for an empty history.

        Raises
        ------
        ValueError
            If the model is not fitted, or the histories use another item vocabulary.
        """
        self._check_histories(histories)
        means = np.zeros((len(histories), self.latent), dtype=np.float32)
        for rows, mean in self._means(histories):
            means[rows] = mean.cpu().numpy()
        return means

    @torch.no_grad()
    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        scores = np.zeros((len(histories), histories.n_items), dtype=np.float32)
        for rows, mean in self._means(histories):
            scores[rows] = self._autoencoder().decode(mean).cpu().numpy()
        return scores

    @torch.no_grad()
    def _means(self, histories: Sequences) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Encode some histories at a time; give their rows and (n_rows, latent)."""
        if not histories.n_events:
            return
        network = self._autoencoder()
        bags = Bags(histories, decay=self.decay)
        for start in range(0, len(bags.rows), ROWS):
            rows = bags.rows[start : start + ROWS]
            mean, _ = network.encode(bags.of(rows).to(network.read_bias.device))
            yield rows, mean

    def _autoencoder(self) -> BagAutoencoder:
        assert isinstance(self.network, BagAutoencoder)
        self.network.eval()
        return self.network

    @torch.no_grad()
    def sample(self, n: int, length: int | NDArray[np.int64], seed: int = 0) -> Sequences:
        """Draw histories of users who do not exist.

        For each a vector is drawn from the standard normal distribution, and then items, one
        after another without repetition, by the chances that the decoder gives. The order of the
        items of a row says nothing.

        Parameters
        ----------
        n : int
            Number of histories.
        length : int or NDArray[int64]
            Number of items of every history, or of each, shape (n,); at most all items.
        seed : int
            Seed of the draws.

        Returns
        -------
        Sequences
            With ``n`` rows, users 0 to n - 1, and the item vocabulary of the training log.

        Raises
        ------
        ValueError
            If the model is not fitted, or an argument is out of range.
        """
        if self.item_ids is None:
            raise ValueError(f"{self!r} is not fitted: call fit(train) first")
        lengths = checked_lengths(n, length, len(self.item_ids))
        network, rng = self._autoencoder(), np.random.default_rng(seed)
        device, parts = network.read_bias.device, []
        for start in range(0, n, ROWS):
            part = lengths[start : start + ROWS]
            z = torch.from_numpy(rng.standard_normal((len(part), self.latent), dtype=np.float32))
            scores = network.decode(z.to(device)).cpu().numpy()
            parts.append(draw_items(scores, part, rng))
        return new_histories(np.concatenate(parts), lengths, self.item_ids)


def draw_items(
    scores: NDArray[np.float32], lengths: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int32]:
    """Draw items without repetition, each in proportion to the exponential of its score.

    The largest scores, each with Gumbel noise added, are such a draw (Kool, van Hoof and Welling,
    Stochastic beams and where to find them, ICML 2019, arXiv 1903.06059).

    Parameters
    ----------
    scores : NDArray[float32]
        Shape (n_rows, n_items).
    lengths : NDArray[int64]
        Number of items to draw in each row, shape (n_rows,).
    rng : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    NDArray[int32]
        Item codes in the order of the draws, row after row.
    """
    noisy = scores + rng.gumbel(size=scores.shape)
    order = np.argsort(-noisy, axis=1, kind="stable")
    drawn: NDArray[np.int32] = order[np.arange(scores.shape[1]) < lengths[:, None]].astype(np.int32)
    return drawn

"""A variational autoencoder of histories in their order, which writes new ones event by event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from behaviorseq.arguments import check_counts, is_count, require
from behaviorseq.models.autoencoder import annealed, divergence
from behaviorseq.models.drawn import checked_lengths, new_histories
from behaviorseq.models.network import ROWS, Dropout, NetworkRecommender, by_length, last_of
from behaviorseq.training.batches import Batch, Batches
from behaviorseq.training.checkpoint import fingerprint
from behaviorseq.training.fit import prepare_loss, run_epochs
from behaviorseq.training.losses import FullSoftmax, Loss

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences


class SequenceAutoencoder(nn.Module):
    """One GRU reads a history into a short vector, another writes the history from it.

    Parameters
    ----------
    n_items : int
        Number of items.
    width : int
        Length of item vectors and states.
    latent : int
        Length of the short vector.
    dropout : float
        Share of values set to 0 in training.
    word_dropout : float
        Share of events that the writer does not see of what it has written, in training.
    """

    def __init__(
        self,
        n_items: int,
        *,
        width: int = 64,
        latent: int = 16,
        dropout: float = 0.2,
        word_dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items, width)
        self.start = nn.Parameter(torch.zeros(width))  # stands before the first event
        self.drop = Dropout(dropout)
        self.word_dropout = word_dropout
        self.reader = nn.GRU(width, width, batch_first=True)
        self.posterior = nn.Linear(width, 2 * latent)
        self.writer = nn.GRU(width + latent, width, batch_first=True)
        self.out = nn.Linear(width, width)
        nn.init.normal_(self.items.weight, std=width**-0.5)

    def encode(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Give mean and log-variance of each row's vector, (B, latent), from (B, L) items."""
        states, _ = self.reader(self.drop(self.items(items)))  # (B, L, width)
        mean, log_variance = self.posterior(self.drop(last_of(states, mask))).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor, items: Tensor) -> Tensor:
        """Give the states that events are drawn from, (B, L + 1, width).

        The state at place t has seen the vector z, (B, latent), and the items before place t of
        (B, L); the last one has seen all.
        """
        x = self.items(items)  # (B, L, width)
        if self.training:
            seen = torch.rand(items.shape, device=items.device) >= self.word_dropout
            x = x * seen[:, :, None]
        x = torch.cat([self.start.expand(len(items), 1, -1), x], dim=1)  # (B, L + 1, width)
        states, _ = self.writer(self.beside(self.drop(x), z))  # (B, L + 1, width)
        hidden: Tensor = self.out(self.drop(states))
        return hidden

    def write(self, z: Tensor, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Take one step of ``decode``: vectors of the event before, (B, width), and the state.

        Gives what the next event is drawn from, (B, width), and the state after, (1, B, width).
        """
        states, state = self.writer(self.beside(x[:, None], z), state)
        return self.out(states[:, 0]), state

    def beside(self, x: Tensor, z: Tensor) -> Tensor:
        """Put z, (B, latent), beside each event's vector, (B, L, width)."""
        return torch.cat([x, z[:, None].expand(-1, x.shape[1], -1)], dim=2)

    def forward(self, items: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read and write again; give states (B, L, width), mean and log-variance (B, latent).

        The state at place t is what the event at place t is drawn from. In training the vector
        is drawn: mean plus noise times the standard deviation.
        """
        mean, log_variance = self.encode(items, mask)
        z = mean
        if self.training:
            z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decode(z, items[:, :-1]), mean, log_variance


@dataclass(eq=False, kw_only=True)
class SequenceVAE(NetworkRecommender):
    r"""A variational autoencoder of histories in their order.

    As of sentences in Bowman, Vilnis, Vinyals, Dai, Jozefowicz and Bengio, Generating sentences
    from a continuous space, CoNLL 2016, arXiv 1511.06349, with items for words: one recurrent
    network reads a history into a normal distribution over a vector :math:`z`, another writes
    the history from :math:`z`, each event from those before it, and training minimises

    .. math:: -\mathbb{E}_{q(z|x)} \sum_t \log p(x_t \mid x_1, \dots, x_{t-1}, z)
              + \beta\, \mathrm{KL}\big(q(z|x) \,\|\, \mathcal{N}(0, I)\big)

    divided by the number of events of the batch. A writer that sees all earlier events can do
    without :math:`z`, and then the divergence falls to 0 and :math:`z` says nothing (posterior
    collapse). Against that, as there, :math:`\beta` rises from 0, and the writer is not shown a
    share of the earlier events in training; here :math:`\beta` may also stay below 1, and
    :math:`z` enters at every step. :meth:`divergence` tells how much :math:`z` says.

    The score of an item is that of being written next, after the history, with the mean of
    :math:`z` that the history gives. An empty history gets popularity.

    Parameters
    ----------
    width : int
        Length of item vectors and states.
    latent : int
        Length of :math:`z`.
    length : int
        Most events of a history that are read, its last ones; 2 or more.
    dropout : float
        Share of values set to 0 in training.
    word_dropout : float
        Share of earlier events that the writer does not see in training.
    beta : float
        Weight of the divergence in the end, 0 or more; 1 is the evidence lower bound.
    anneal : float
        Share of all training steps over which the weight rises from 0; 0 starts with ``beta``.
    loss : Loss
        Stands for the first term; softmax over all items is that term.
    training : Training
        Settings of the loop, the seed among them.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences, SequenceVAE
    >>> from behaviorseq.training import Training
    >>> log = pd.DataFrame({"user": [1] * 6 + [2] * 6, "item": list("abcabcbcabca"),
    ...                     "time": [*range(6)] * 2, "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> training = Training(epochs=100, learning_rate=0.02)
    >>> model = SequenceVAE(width=16, latent=2, dropout=0, training=training).fit(histories)
    >>> drawn = model.sample(1, length=4)
    >>> "".join(drawn.item_ids.decode(drawn[0])) in "abcabcabc"
    True
    """

    width: int = 64
    latent: int = 16
    length: int = 50
    dropout: float = 0.2
    word_dropout: float = 0.5
    beta: float = 0.2
    anneal: float = 0.5
    loss: Loss = field(default_factory=FullSoftmax)

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_counts(self, "width", "latent")
        long = is_count(self.length) and self.length >= 2
        require("length", self.length, long, "a whole number of 2 or more")
        require("dropout", self.dropout, 0 <= self.dropout < 1, "0 or more and below 1")
        require("word_dropout", self.word_dropout, 0 <= self.word_dropout <= 1, "in [0, 1]")
        require("beta", self.beta, 0 <= self.beta < np.inf, "0 or more")
        require("anneal", self.anneal, 0 <= self.anneal <= 1, "in [0, 1]")

    def new_network(self, n_items: int, n_rows: int) -> SequenceAutoencoder:
        """Make the autoencoder, untrained."""
        return SequenceAutoencoder(
            n_items,
            width=self.width,
            latent=self.latent,
            dropout=self.dropout,
            word_dropout=self.word_dropout,
        )

    def _train(self, train: Sequences, **options: Any) -> pd.DataFrame:
        batches = Batches(
            train,
            batch_size=self.training.batch_size,
            length=self.length - 1,  # inputs: all events but the last
            windows=self.training.windows,
            seed=self.training.seed,
        )
        prepare_loss(self.loss, train, self.training)
        network = self._autoencoder()

        def step(batch: Batch, done: float) -> tuple[Tensor, int]:
            items, mask = whole_rows(batch)
            hidden, mean, log_variance = network(items, mask)
            value = self.loss(hidden[mask], network.items.weight, items[mask])
            n = len(batch.targets) + len(items)
            kl = divergence(mean, log_variance).sum() / n
            return value + annealed(self.beta, self.anneal, done) * kl, n

        options["identity"] = {"data": fingerprint(train), **options["identity"]}
        return run_epochs(network, step, batches, self.training, **options)

    def _autoencoder(self) -> SequenceAutoencoder:
        assert isinstance(self.network, SequenceAutoencoder)
        return self.network

    @torch.no_grad()
    def _posteriors(
        self, histories: Sequences
    ) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor, tuple[Tensor, Tensor]]]:
        """Read histories; give rows, items, mask, and the mean and log-variance."""
        network = self._autoencoder().eval()
        for rows, items, mask in by_length(histories, self.length):
            there = items.to(network.start.device), mask.to(network.start.device)
            yield rows, *there, network.encode(*there)

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
        for rows, _, _, (mean, _) in self._posteriors(histories):
            means[rows] = mean.cpu().numpy()
        return means

    def divergence(self, histories: Sequences) -> NDArray[np.float32]:
        """Give how far each history's distribution is from the standard normal, in nats.

        It bounds what the vector can say of the history; near 0 for all histories, the writer
        does without the vector.

        Parameters
        ----------
        histories : Sequences
            Histories with the item vocabulary of the training log.

        Returns
        -------
        NDArray[float32]
            Shape (n_histories,); 0 for an empty history.

        Raises
        ------
        ValueError
            If the model is not fitted, or the histories use another item vocabulary.
        """
        self._check_histories(histories)
        values = np.zeros(len(histories), dtype=np.float32)
        for rows, _, _, posterior in self._posteriors(histories):
            values[rows] = divergence(*posterior).cpu().numpy()
        return values

    @torch.no_grad()
    def bound(self, histories: Sequences, *, seed: int = 0) -> NDArray[np.float32]:
        """Give an estimate of each history's negative evidence lower bound, in nats.

        It is the cost of the history's last ``length`` events by softmax, with one vector drawn
        from the history's distribution, plus the divergence (with weight 1, whatever ``beta`` was):
        on average no less than minus the logarithm of the history's chance under the model.

        Parameters
        ----------
        histories : Sequences
            Histories with the item vocabulary of the training log.
        seed : int
            Seed of the draws.

        Returns
        -------
        NDArray[float32]
            Shape (n_histories,); 0 for an empty history.

        Raises
        ------
        ValueError
            If the model is not fitted, or the histories use another item vocabulary.
        """
        self._check_histories(histories)
        values, network = np.zeros(len(histories), dtype=np.float32), self._autoencoder()
        noise = torch.Generator().manual_seed(seed)
        for rows, items, mask, (mean, log_variance) in self._posteriors(histories):
            drawn = torch.randn(mean.shape, generator=noise).to(mean.device)
            hidden = network.decode(mean + drawn * (0.5 * log_variance).exp(), items[:, :-1])
            chances = (hidden @ network.items.weight.T).log_softmax(dim=2)  # (B, L, n_items)
            cost = -chances.gather(2, items[:, :, None])[:, :, 0] * mask
            kl = divergence(mean, log_variance)
            values[rows] = (cost.sum(dim=1) + kl).cpu().numpy()
        return values

    @torch.no_grad()
    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        scores = np.zeros((len(histories), histories.n_items), dtype=np.float32)
        network = self._autoencoder()
        for rows, items, mask, (mean, _) in self._posteriors(histories):
            hidden = network.decode(mean, items)[:, 1:]  # what follows each event
            scores[rows] = (last_of(hidden, mask) @ network.items.weight.T).cpu().numpy()
        return scores

    @torch.no_grad()
    def sample(
        self, n: int, length: int | NDArray[np.int64], *, repeat: bool = True, seed: int = 0
    ) -> Sequences:
        """Write histories of users who do not exist.

        For each a vector is drawn from the standard normal distribution, and then event after
        event by the chances that the writer gives.

        Parameters
        ----------
        n : int
            Number of histories.
        length : int or NDArray[int64]
            Number of events of every history, or of each, shape (n,).
        repeat : bool
            Whether an item may come back; if not, ``length`` is at most the number of items.
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
        lengths = checked_lengths(n, length, None if repeat else len(self.item_ids))
        rng, parts = np.random.default_rng(seed), []
        for start in range(0, n, ROWS):
            part = lengths[start : start + ROWS]
            written = self._write(len(part), int(part.max()), repeat, rng)
            parts.append(written[np.arange(written.shape[1]) < part[:, None]])
        return new_histories(np.concatenate(parts), lengths, self.item_ids)

    def _write(
        self, n: int, steps: int, repeat: bool, rng: np.random.Generator
    ) -> NDArray[np.int32]:
        """Write n histories of so many events, shape (n, steps)."""
        network = self._autoencoder().eval()
        device = network.start.device
        z = torch.from_numpy(rng.standard_normal((n, self.latent), dtype=np.float32)).to(device)
        x, state = network.start.expand(n, -1), None
        written = np.zeros((n, steps), dtype=np.int32)
        barred = np.zeros((n, len(network.items.weight)), dtype=bool)
        for place in range(steps):
            hidden, state = network.write(z, x, state)
            scores = (hidden @ network.items.weight.T).cpu().numpy()  # (n, n_items)
            scores = np.where(barred, -np.inf, scores)
            item = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)  # a draw by softmax
            written[:, place] = item
            barred[np.arange(n), item] = not repeat
            x = network.items(torch.from_numpy(item).to(device))
        return written


def whole_rows(batch: Batch) -> tuple[Tensor, Tensor]:
    """Give the rows of a batch with the event after their inputs; items and mask (B, L + 1)."""
    after = torch.zeros_like(batch.items)
    after[batch.mask] = batch.targets
    items = torch.cat([batch.items[:, :1], after], dim=1)
    return items, torch.cat([batch.mask[:, :1], batch.mask], dim=1)

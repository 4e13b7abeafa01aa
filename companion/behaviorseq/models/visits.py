"""What models of visits share: a network that reads them, and how it is trained and used.

A visit is a sequence of steps: a state (what is known of the user, what was shown and clicked so
far in the visit), an action (the topic shown), a reward (a click or not), until the visitor
leaves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's users know

from behaviorseq.arguments import number, require, whole
from behaviorseq.training.fit import seeded

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from behaviorseq.simulate.topics import TopicVisits, Visits


class VisitNetwork(torch.nn.Module):
    """A GRU over a visit, what is known of each topic, and two heads that judge the topics.

    Each topic is judged by the same weights, from its share in the user's past, how often it was
    shown and clicked so far in the visit, a vector of its own, and the state of the visit.

    Parameters
    ----------
    n_topics : int
        Actions.
    width : int
        Length of a state, and of what describes a topic in it.
    """

    def __init__(self, n_topics: int, width: int = 16) -> None:
        super().__init__()
        self.n_topics = n_topics
        self.start = torch.nn.Linear(n_topics, width)
        self.events = torch.nn.Embedding(2 * n_topics, width)
        self.gru = torch.nn.GRU(width, width, batch_first=True)
        self.known = torch.nn.Linear(4, width)
        self.state = torch.nn.Linear(width, width)
        self.topics = torch.nn.Parameter(torch.randn(n_topics, width) / width)
        self.value = torch.nn.Linear(width, 1)
        self.policy = torch.nn.Linear(width, 1)

    def forward(self, past: Tensor, topics: Tensor, clicks: Tensor) -> Tensor:
        """Describe each topic before each step and after the last.

        Parameters
        ----------
        past : Tensor
            Shape (n, n_topics).
        topics, clicks : Tensor
            Shape (n, steps).

        Returns
        -------
        Tensor
            Shape (n, steps + 1, n_topics, width).
        """
        first = torch.tanh(self.start(past))  # (n, width)
        events = self.events(topics + self.n_topics * clicks.long())  # (n, steps, width)
        after, _ = self.gru(events, first[None])  # (n, steps, width)
        states = torch.cat([first[:, None], after], dim=1)  # (n, steps + 1, width)
        shown = F.one_hot(topics, self.n_topics).float()  # (n, steps, n_topics)
        counts = [F.pad(c.cumsum(1), (0, 0, 1, 0)) for c in (shown, shown * clicks[:, :, None])]
        shares = past[:, None].expand_as(counts[0])
        known = torch.stack([shares, shares.sqrt(), *counts], dim=3)  # (n, steps + 1, n_topics, 4)
        return F.relu(self.known(known) + self.state(states)[:, :, None] + self.topics)


@dataclass(frozen=True)
class Steps:
    """A batch of visits as tensors; see :class:`behaviorseq.simulate.topics.Visits`."""

    past: Tensor
    topics: Tensor
    clicks: Tensor
    chances: Tensor
    mask: Tensor

    @classmethod
    def of(cls, visits: Visits) -> Steps:
        """Copy visits."""
        return cls(
            torch.as_tensor(visits.past, dtype=torch.float32),
            torch.as_tensor(visits.topics),
            torch.as_tensor(visits.clicks, dtype=torch.float32),
            torch.as_tensor(visits.chances, dtype=torch.float32),
            torch.as_tensor(visits.mask),
        )

    def rows(self, rows: Tensor) -> Steps:
        """Give some of the visits, no longer than the longest of them."""
        longest = int(self.mask[rows].sum(dim=1).max())
        parts = (self.topics, self.clicks, self.chances, self.mask)
        return Steps(self.past[rows], *(part[rows, :longest] for part in parts))


@dataclass(eq=False, kw_only=True)
class VisitModel(ABC):
    """What models of visits share: the network, the loop, and choosing in an environment.

    Parameters
    ----------
    width : int
        Length of the network's state.
    discount : float
        What a click one step later is worth, 0 to 1.
    epochs, batch_size : int
        How often all visits are seen, and how many at a time.
    least_steps : int
        Steps of training at least: with few visits there are more epochs.
    learning_rate : float
        Of Adam.
    seed : int
        Of weights and batches.

    Attributes
    ----------
    network : VisitNetwork
        After ``fit``.
    losses : list of float
        Mean loss of each epoch.
    """

    width: int = 16
    discount: float = 0.95
    epochs: int = 10
    batch_size: int = 128
    least_steps: int = 0
    learning_rate: float = 0.003
    seed: int = 0
    network: VisitNetwork = field(init=False, repr=False)
    losses: list[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("width", "epochs", "batch_size"):
            whole(name, getattr(self, name), 1)
        whole("least_steps", self.least_steps, 0)
        number("discount", self.discount, 0, 1)

    @abstractmethod
    def loss(self, steps: Steps) -> Tensor:
        """Give the loss of a batch of visits."""

    @abstractmethod
    def scores(self, states: Tensor) -> Tensor:
        """Give how good each topic is, from (n, n_topics, width) to (n, n_topics)."""

    def begin(self) -> None:  # noqa: B027 - not every model needs something
        """Make what training needs beside the network."""

    def fit(self, visits: Visits) -> Self:
        """Learn from logged visits.

        Parameters
        ----------
        visits : Visits
            What some policy showed, with which chances, and what was clicked.

        Returns
        -------
        Self
            The same model.

        Raises
        ------
        ValueError
            If there is no visit.
        """
        require("visits", len(visits.users), len(visits.users) > 0, "one or more")
        data = Steps.of(visits)
        with seeded(self.seed):
            self.network = VisitNetwork(visits.past.shape[1], self.width)
            self.begin()
            optimiser = torch.optim.Adam(self.network.parameters(), lr=self.learning_rate)
            batches = -(-len(data.past) // self.batch_size)
            epochs = max(self.epochs, -(-self.least_steps // batches))
            self.losses = [self._epoch(data, optimiser) for _ in range(epochs)]
        return self

    def _epoch(self, data: Steps, optimiser: torch.optim.Optimizer) -> float:
        total = 0.0
        for rows in torch.split(torch.randperm(len(data.past)), self.batch_size):
            loss = self.loss(data.rows(rows))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # torch does not annotate it
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            optimiser.step()
            total += float(loss.detach()) * len(rows)
        return total / len(data.past)

    def score_visits(self, visits: TopicVisits) -> NDArray[np.float32]:
        """Score each topic on each seat, as the visit stands, shape (n_seats, n_topics)."""
        longest = max(1, int(visits.step.max()))
        with torch.no_grad():
            states = self.network(
                torch.as_tensor(visits.past, dtype=torch.float32),
                torch.as_tensor(visits.topics[:, :longest]),
                torch.as_tensor(visits.clicks[:, :longest], dtype=torch.float32),
            )  # (n_seats, steps + 1, n_topics, width)
            now = states[torch.arange(visits.n_seats), torch.as_tensor(visits.step)]
            return np.asarray(self.scores(now).numpy())

    def __call__(self, visits: TopicVisits) -> NDArray[np.int64]:
        """Choose the topic with the highest score on each seat, shape (n_seats,)."""
        return np.asarray(self.score_visits(visits).argmax(axis=1))

    def shares(self, visits: TopicVisits) -> NDArray[np.float64]:
        """Give the probability of each topic on each seat, all on the one with the highest score.

        Returns
        -------
        NDArray[float64]
            Shape (n_seats, n_topics).
        """
        return np.eye(visits.n_topics)[self(visits)]

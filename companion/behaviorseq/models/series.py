"""Predicting whether something happens from a window of a time series, with an LSTM or a GRU."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's users know

from behaviorseq.arguments import is_count, require
from behaviorseq.models.recurrent import CELLS
from behaviorseq.training.fit import Training, run_epochs, seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from behaviorseq.training.fit import Progress

Cell = Literal["rnn", "lstm", "gru"]
ROWS = 4096  # windows read at a time


@dataclass(frozen=True)
class WindowBatch:
    """Windows, float32, (B, T, F), and what came after each, 0 or 1, (B,)."""

    windows: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> WindowBatch:
        """Copy to a device."""
        return WindowBatch(self.windows.to(device), self.labels.to(device))


@dataclass(frozen=True)
class WindowBatches:
    """One epoch after another of windows in random order."""

    windows: Tensor
    labels: Tensor
    batch_size: int
    seed: int

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.labels) // self.batch_size)

    def epoch(self, number: int) -> Iterator[WindowBatch]:
        """Go once through all windows."""
        order = np.random.default_rng([self.seed, number]).permutation(len(self.labels))
        for start in range(0, len(order), self.batch_size):
            rows = torch.from_numpy(order[start : start + self.batch_size])
            yield WindowBatch(self.windows[rows], self.labels[rows])


class WindowNetwork(nn.Module):
    """A recurrent network over the days of a window, and the log odds of what comes after.

    Parameters
    ----------
    n_series : int
        Numbers a day.
    cell : {"rnn", "lstm", "gru"}
        How a state is made of the one before and a day.
    inner : int
        Length of the state.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, n_series: int, *, cell: Cell = "gru", inner: int = 16) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(n_series))
        self.register_buffer("scale", torch.ones(n_series))
        self.recurrent = CELLS[cell](n_series, inner, batch_first=True)
        self.out = nn.Linear(inner, 1)

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Give the state after the last day, (B, inner), and the log odds, (B,)."""
        days = (windows.log1p() - self.center) / self.scale  # (B, T, F)
        state = self.recurrent(days)[0][:, -1]  # (B, inner)
        return state, self.out(state)[:, 0]


@dataclass(eq=False, kw_only=True)
class WindowClassifier:
    """Read a window of counts day by day, and tell how probable an event after it is.

    Counts enter as log(1 + count), brought to mean 0 and deviation 1 over all training windows.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
        The recurrent network.
    inner : int
        Length of its state.
    training : Training
        Settings of the loop; ``batch_size`` windows in a step.

    Attributes
    ----------
    network : WindowNetwork
        After ``fit``.
    history : pandas.DataFrame
        One row an epoch. After ``fit``.

    Examples
    --------
    >>> from behaviorseq import Training, WindowClassifier
    >>> counts = np.random.default_rng(0).poisson(0.5, (400, 6, 1))
    >>> recent = counts[:, -1, 0] > 0  # what happened on the last day happens again
    >>> training = Training(epochs=20, learning_rate=0.03)
    >>> model = WindowClassifier(inner=4, training=training).fit(counts, recent)
    >>> bool(model.predict(counts)[recent].min() > 0.9)
    True
    """

    cell: Cell = "gru"
    inner: int = 16
    training: Training = field(default_factory=Training)
    network: WindowNetwork | None = field(init=False, repr=False, default=None)
    history: pd.DataFrame = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("cell", self.cell, self.cell in get_args(Cell), f"one of {get_args(Cell)}")
        require("inner", self.inner, is_count(self.inner), "a whole number of 1 or more")

    def fit(
        self,
        windows: ArrayLike,
        labels: ArrayLike,
        *,
        validate: Callable[[Self], float] | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from windows and what came after them.

        Parameters
        ----------
        windows : array-like
            Counts, 0 or more, shape (n_windows, n_days, n_series).
        labels : array-like of bool
            Whether it happened, shape (n_windows,).
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
            If the shapes do not fit, a count is negative or missing, or a label is neither 0
            nor 1.
        """
        x = _checked(windows)
        y = torch.from_numpy(np.asarray(labels, dtype=np.float32))
        if y.shape != x.shape[:1] or not len(y):
            raise ValueError(f"{len(x)} windows need as many labels, got {tuple(y.shape)}")
        require("labels", labels, bool(((y == 0) | (y == 1)).all()), "0 or 1, or booleans")
        with seeded(self.training.seed):
            network = WindowNetwork(x.shape[2], cell=self.cell, inner=self.inner)
        logs = x.log1p().flatten(end_dim=1)
        network.center.copy_(logs.mean(dim=0))
        network.scale.copy_(logs.std(dim=0).clamp(min=1e-3))
        self.network = network

        def step(batch: WindowBatch, _: float) -> tuple[Tensor, int]:
            odds = network(batch.windows)[1]
            return F.binary_cross_entropy_with_logits(odds, batch.labels), len(odds)

        seed, size = self.training.seed, self.training.batch_size
        self.history = run_epochs(
            network,
            step,
            WindowBatches(x, y, size, seed),
            self.training,
            identity={"data": [*x.shape, zlib.crc32(x.numpy().tobytes())]},
            validate=validate and partial(validate, self),
            progress=progress,
        )
        return self

    def encode(self, windows: ArrayLike) -> NDArray[np.float32]:
        """Give the state after the last day of each window, (n_windows, inner)."""
        return self._read(windows)[0].numpy()

    def predict(self, windows: ArrayLike) -> NDArray[np.float32]:
        """Give the probability of the event after each window, (n_windows,)."""
        return self._read(windows)[1].sigmoid().numpy()

    @torch.no_grad()
    def _read(self, windows: ArrayLike) -> tuple[Tensor, Tensor]:
        if self.network is None:
            raise ValueError(f"{self!r} is not fitted: call fit(windows, labels) first")
        x = _checked(windows)
        network = self.network.eval()
        n_series = len(network.center)
        require("windows", tuple(x.shape), x.shape[2] == n_series, f"of {n_series} numbers a day")
        parts = (x[start : start + ROWS] for start in range(0, len(x), ROWS))
        read = [network(part.to(network.center.device)) for part in parts]
        states, odds = (torch.cat([pair[i] for pair in read]).cpu() for i in range(2))
        return states, odds


def _checked(windows: ArrayLike) -> Tensor:
    """Turn windows of counts into a tensor."""
    x = torch.from_numpy(np.ascontiguousarray(windows, dtype=np.float32))
    shape = tuple(x.shape)
    require("windows", shape, x.ndim == 3 and min(shape[1:]) > 0, "(windows, days, numbers a day)")
    if not bool((x >= 0).all()):  # false for a missing value, too
        raise ValueError("windows must hold counts, 0 or more, and none missing")
    return x

"""One network for several tasks: it reads a history once and answers a question for each task."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Self, get_args

import numpy as np
import torch
from torch import Tensor, nn

from behaviorseq.arguments import check_counts, require
from behaviorseq.models.heads import EventReader, Head, MultiTaskNetwork
from behaviorseq.models.recurrent import Cell
from behaviorseq.models.sharing import Sharing, make_sharing, n_banks
from behaviorseq.training.examples import ExampleBatches
from behaviorseq.training.fit import Training, run_epochs, seeded
from behaviorseq.training.weighting import LossWeights, Weighting, answer_losses

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from behaviorseq.training.examples import ExampleBatch, Examples
    from behaviorseq.training.fit import Progress

    Floats = NDArray[np.float32]

ROWS = 256  # histories read at a time


@dataclass(eq=False, kw_only=True)
class MultiTask:
    """Learn several tasks at once over one reader of histories.

    With one head it is a model of one task.

    Parameters
    ----------
    heads : tuple of Head
        The tasks.
    sharing : {"shared", "mmoe", "ple"}
        What stands between the reader and the towers of the tasks; see
        :class:`~behaviorseq.models.sharing.SharedBottom`, :class:`~behaviorseq.models.sharing.MMoE`
        and :class:`~behaviorseq.models.sharing.PLE`.
    weighting : {"equal", "uncertainty", "scaled"}
        How the losses are added; see :class:`~behaviorseq.training.weighting.LossWeights`.
    width : int
        Length of the reader's vectors and state.
    inner : int
        Numbers that all experts together give.
    experts : int
        Number of experts of an MMoE or a PLE.
    tower : int
        Hidden numbers of each task's tower.
    cell : {"rnn", "lstm", "gru"}
        Of the reader.
    dropout : float
        Share of values set to 0 in training.
    training : Training
        Settings of the loop; ``batch_size`` histories in a step.

    Attributes
    ----------
    network : MultiTaskNetwork
        After ``fit``.
    history : pandas.DataFrame
        One row an epoch. After ``fit``.

    Examples
    --------
    >>> from behaviorseq import Examples, Head, MultiTask, Training
    >>> rng = np.random.default_rng(0)
    >>> log = rng.integers(0, 4, (1200, 1))  # 300 histories of four events
    >>> last, first = log[3::4, 0], log[::4, 0]
    >>> none = np.zeros((300, 0), np.float32)
    >>> examples = Examples(sizes=(4,), codes=log, numbers=np.zeros((1200, 0), np.float32),
    ...     starts=np.arange(0, 1200, 4), lengths=np.full(300, 4), row=np.arange(300),
    ...     asked_codes=none.astype(int), asked_numbers=none, users=np.arange(300), labels={
    ...         "last": last.astype(np.float32), "began low": (first < 2).astype(np.float32)})
    >>> model = MultiTask(heads=(Head("last", "class", 4), Head("began low")), dropout=0.0,
    ...     training=Training(epochs=20, batch_size=16, learning_rate=0.01)).fit(examples)
    >>> bool((model.predict(examples)["last"].argmax(axis=1) == last).mean() > 0.95)
    True
    """

    heads: tuple[Head, ...]
    sharing: Sharing = "shared"
    weighting: Weighting = "equal"
    width: int = 32
    inner: int = 96
    experts: int = 6
    tower: int = 16
    cell: Cell = "gru"
    dropout: float = 0.1
    training: Training = field(default_factory=Training)
    network: MultiTaskNetwork | None = field(init=False, repr=False, default=None)
    weights: LossWeights = field(init=False, repr=False)
    history: pd.DataFrame = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_counts(self, "width", "inner", "experts", "tower")
        require("dropout", self.dropout, 0 <= self.dropout < 1, "0 or more and below 1")
        for name, kinds in (("sharing", Sharing), ("weighting", Weighting), ("cell", Cell)):
            value = getattr(self, name)
            require(name, value, value in get_args(kinds), f"one of {get_args(kinds)}")
        names = [head.name for head in self.heads]
        require(
            "heads", names, 0 < len(names) == len(set(names)), "one or more, of different names"
        )
        enough = self.inner >= n_banks(self.sharing, len(self.heads), self.experts)
        require("inner", self.inner, enough, "one or more for each expert")

    def new_network(self, examples: Examples) -> MultiTaskNetwork:
        """Make the network, untrained."""
        n_columns, n_asked = examples.asked_codes.shape[1], examples.asked_numbers.shape[1]
        asks, n_tasks = n_columns + n_asked > 0, len(self.heads)
        reader = EventReader(
            examples.sizes,
            examples.numbers.shape[1],
            n_asked,
            width=self.width,
            cell=self.cell,
            dropout=self.dropout,
        )
        inputs = self.width * (3 if asks else 1)
        options = (n_tasks, self.experts)
        return MultiTaskNetwork(
            reader,
            make_sharing(self.sharing, inputs, self.inner, *options),
            self.heads,
            view=self.inner // n_banks(self.sharing, *options),
            tower=self.tower,
            dropout=self.dropout,
            asks=asks,
        )

    def fit(
        self,
        train: Examples,
        *,
        validate: Callable[[Self], float] | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from examples.

        Parameters
        ----------
        train : Examples
            With the labels that the heads name.
        validate : callable, optional
            Gives how good the model is, higher is better; called after each epoch, and the best
            epoch is kept.
        progress : callable, optional
            Such as :func:`behaviorseq.notebook.progress`.

        Returns
        -------
        Self
            The same model.

        Raises
        ------
        ValueError
            If a head has no labels, or labels that do not fit it.
        """
        self._check_labels(train)
        with seeded(self.training.seed):
            network = self.network = self.new_network(train)
        self.weights = LossWeights(self.weighting, self.base_losses(train))
        both = nn.ModuleDict({"network": network, "weights": self.weights})

        def step(batch: ExampleBatch, _: float) -> tuple[Tensor, int]:
            return self.weights(self.losses(batch)), len(batch.row)

        settings = self.training
        self.history = run_epochs(
            both,
            step,
            ExampleBatches(train, batch_size=settings.batch_size, seed=settings.seed),
            settings,
            identity={"model": repr(self), "data": train.fingerprint},
            validate=validate and partial(validate, self),
            progress=progress,
        )
        return self

    def losses(self, batch: ExampleBatch) -> Tensor:
        """Give the mean loss of each task over the answers that are known, (K,), in nats."""
        return self._losses(self._fitted()(batch), batch.labels, batch.weights)

    def losses_on(self, examples: Examples) -> Tensor:
        """Give the same over all examples, the network not training."""
        labels, weights = (
            {name: torch.from_numpy(array) for name, array in part.items()}
            for part in (examples.labels, examples.weights)
        )
        return self._losses(self._read(examples), labels, weights)

    def relative_loss(self, examples: Examples) -> float:
        """Give the mean over tasks of the loss over that of the base rate of these examples.

        It is 1 for a model that has learned nothing, and weighs tasks alike whatever they measure;
        ``validate=lambda model: -model.relative_loss(held_out)`` keeps the epoch where it is least.
        """
        return float((self.losses_on(examples) / self.base_losses(examples)).mean())

    def _losses(
        self, logits: list[Tensor], labels: dict[str, Tensor], weights: dict[str, Tensor]
    ) -> Tensor:
        found = []
        for head, answers in zip(self.heads, logits, strict=True):
            of_head = labels[head.name]
            losses = answer_losses(head.kind, answers, of_head)  # (n,)
            counts = (~of_head.isnan()).reshape(len(of_head), -1).any(dim=1).to(losses.dtype)
            if head.name in weights:
                counts = counts * weights[head.name]
            found.append((counts * losses).sum() / counts.sum().clamp(min=1e-6))
        return torch.stack(found)

    def base_losses(self, examples: Examples) -> Tensor:
        """Give the loss of answering with the base rate, for each head, (K,)."""
        found = []
        for head in self.heads:
            labels = examples.labels[head.name]
            missing = np.isnan(labels).reshape(len(labels), -1)
            known = labels[~missing.all(axis=1)]  # as the losses count: of several, some known
            if head.kind == "class":
                shares = np.bincount(known.astype(np.int64), minlength=head.size) / len(known)
                found.append(-(shares * np.log(np.maximum(shares, 1e-12))).sum())
                continue
            there = ~np.isnan(known)
            rate = np.nansum(known, axis=0) / np.maximum(there.sum(axis=0), 1)
            p = np.clip(rate.astype(np.float32), 1e-6, 1 - 1e-6)
            entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
            found.append((there.mean(axis=0, dtype=np.float32) * entropy).mean())
        return torch.tensor(np.maximum(found, 1e-6), dtype=torch.float32)

    def predict(self, examples: Examples) -> dict[str, Floats]:
        """Give the probabilities of answers, (n,) for a binary head, else (n, size).

        Parameters
        ----------
        examples : Examples
            Made as those of ``fit``; their labels are not read.

        Raises
        ------
        ValueError
            If the model is not fitted.
        """
        logits = self._read(examples)
        found = {}
        for head, values in zip(self.heads, logits, strict=True):
            chances = values.softmax(dim=1) if head.kind == "class" else values.sigmoid()
            found[head.name] = (chances[:, 0] if head.kind == "binary" else chances).numpy()
        return found

    @torch.no_grad()
    def _read(self, examples: Examples) -> list[Tensor]:
        """Give the logits of each head for all examples, in their order."""
        network = self._fitted().eval()
        device = next(network.parameters()).device
        found = [torch.zeros(len(examples), head.size) for head in self.heads]
        batches = ExampleBatches(examples, batch_size=ROWS)
        order = np.argsort(examples.lengths[batches.rows], kind="stable")
        for start in range(0, len(order), ROWS):
            asked, batch = batches.of(order[start : start + ROWS])
            for whole, part in zip(found, network(batch.to(device)), strict=True):
                whole[torch.from_numpy(asked)] = part.float().cpu()
        return found

    def _fitted(self) -> MultiTaskNetwork:
        if self.network is None:
            raise ValueError(f"{self!r} is not fitted: call fit(train) first")
        return self.network

    def _check_labels(self, examples: Examples) -> None:
        for head in self.heads:
            if head.name not in examples.labels:
                raise ValueError(f"no labels for {head.name!r}; there are {list(examples.labels)}")
            labels = examples.labels[head.name]
            shape = (len(examples), head.size) if head.kind == "labels" else (len(examples),)
            if labels.shape != shape:
                raise ValueError(f"labels of {head.name!r} must be {shape}, got {labels.shape}")
            known = labels[~np.isnan(labels)]
            most = head.size - 1 if head.kind == "class" else 1
            fits = known.size and (np.isin(known, np.arange(most + 1))).all()
            if not fits:
                raise ValueError(f"labels of {head.name!r} must be whole, 0 to {most}, or NaN")


def of_size(model: MultiTask, examples: Examples, n_parameters: int) -> MultiTask:
    """Give the model with the ``inner`` that brings its network nearest to a size.

    Models of one task and of several are to be compared at one size, and what they share or have
    for themselves takes different numbers of parameters.

    Parameters
    ----------
    model : MultiTask
        Settings.
    examples : Examples
        What it will learn from; it sets the size of the reader.
    n_parameters : int
        The size asked for.

    Raises
    ------
    ValueError
        If the nearest is more than a twentieth off.

    Examples
    --------
    >>> from behaviorseq import Head, MultiTask, next_examples, simulate
    >>> log = simulate.world("shop", n_users=40, n_items=160, days=20).log()
    >>> examples, heads = next_examples(log)
    >>> models = [MultiTask(heads=heads, sharing=kind) for kind in ("shared", "mmoe", "ple")]
    >>> sized = [of_size(model, examples, 20_000) for model in models]
    >>> [model.inner for model in sized]
    [104, 216, 228]
    """
    n = n_banks(model.sharing, len(model.heads), model.experts)
    step = n * -(-4 // n)  # 4 or more, so that there are few to try
    sizes = {}
    for inner in range(step, 600, step):
        network = replace(model, inner=inner).new_network(examples)
        sizes[inner] = sum(p.numel() for p in network.parameters())
    best = min(sizes, key=lambda inner: abs(sizes[inner] - n_parameters))
    near = abs(sizes[best] - n_parameters) <= 0.05 * n_parameters
    require("n_parameters", n_parameters, near, f"from {min(sizes.values())} to about the largest")
    return replace(model, inner=best)

"""The training loop: epochs, schedule, early stopping, checkpoints that resume bit for bit."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
import pandas as pd
import torch

from behaviorseq.training.batches import Windows
from behaviorseq.training.checkpoint import Run, fingerprint
from behaviorseq.training.distributed import processes
from behaviorseq.training.streamed import batches_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from behaviorseq.sequences import Sequences
    from behaviorseq.shards import Shards
    from behaviorseq.training.batches import Batch, Task
    from behaviorseq.training.losses import Loss

    Progress = Callable[[Iterable[int], str], Iterable[int]]
    Log = Callable[[dict[str, Any]], None]

Schedule = Literal["constant", "cosine"]


class Epochs(Protocol):
    """Batches, one epoch after another."""

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""

    def epoch(self, number: int) -> Iterator[Any]:
        """Go once through the data, in an order that depends on the number of the epoch alone."""


@dataclass(frozen=True)
class Training:
    """Settings of the loop.

    Parameters
    ----------
    epochs : int
        Most passes over the data.
    batch_size : int
        Mean number of histories in a step; see :class:`Batches`.
    windows : {"all", "last"}
        Whether a history longer than the network reads is cut into windows or loses its beginning.
    learning_rate, weight_decay : float
        Of AdamW; with weight decay 0 it is Adam.
    schedule : {"constant", "cosine"}
        How the learning rate goes on after the warm-up: it stays, or falls to 0 over all epochs.
    warmup : float
        Share of all steps over which the learning rate rises from 0.
    clip : float
        Largest norm of the gradient.
    patience : int
        Epochs without a better validation after which training stops.
    seed : int
        Of everything random: first weights, order of batches, negatives, dropout.
    device : str
        ``"auto"``, or what PyTorch calls a device.
    bf16 : bool
        Compute in bfloat16 (weights stay float32) where the device is a GPU that has it.
    """

    epochs: int = 30
    batch_size: int = 128
    windows: Windows = "all"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    warmup: float = 0.0
    clip: float = 1.0
    patience: int = 3
    seed: int = 0
    device: str = "auto"
    bf16: bool = True

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.schedule not in get_args(Schedule):
            raise ValueError(f"schedule must be one of {get_args(Schedule)}: {self.schedule!r}")
        for name, high in (("learning_rate", math.inf), ("clip", math.inf), ("warmup", 1.0)):
            value, low = getattr(self, name), "0 or more" if name == "warmup" else "above 0"
            if not (0 <= value <= high and (value > 0 or name == "warmup")):
                raise ValueError(f"{name} must be {low} and at most {high}, got {value}")

    def rate(self, done: float) -> float:
        """Give the learning rate when the share ``done`` of all steps is behind.

        Examples
        --------
        >>> half_way = Training(learning_rate=0.2, schedule="cosine").rate(0.5)
        >>> round(half_way, 3)
        0.1
        """
        if done < self.warmup:
            return self.learning_rate * done / self.warmup
        if self.schedule == "constant":
            return self.learning_rate
        left = (1 - done) / (1 - self.warmup)
        return self.learning_rate * 0.5 * (1 - math.cos(math.pi * left))


def fit_network(
    network: torch.nn.Module,
    loss: Loss,
    train: Sequences | Shards,
    training: Training,
    *,
    length: int = 50,
    task: Task | None = None,
    identity: dict[str, Any] | None = None,
    validate: Callable[[], float] | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
    log: Log | None = None,
) -> pd.DataFrame:
    """Train a network to predict items of histories; see :func:`run_epochs`.

    Parameters
    ----------
    network : torch.nn.Module
        ``network(items, mask)`` gives hidden states, shape (n_rows, longest, d); the item vectors
        they are compared with are ``network.item_vectors()`` where there is such a method, else
        ``network.items.weight``, shape (n_items, d).
    loss : Loss
        What to minimise.
    train : Sequences or Shards
        Training histories, in memory or on disk; see :class:`StreamedBatches`.
    training : Training
        Settings of the loop.
    length : int
        Most events that the network reads.
    task : Task, optional
        What of a history is input and what target: the next item after every event if None.
    identity : dict, optional
        What else must be the same for a checkpoint to be taken up, as JSON.
    validate : callable, optional
        Called after each epoch, the network not training; higher is better. The best epoch's
        weights are kept in the end, and training stops ``patience`` epochs after it.
    checkpoint : path, optional
        Folder to keep the state of the run in.
    progress : callable, optional
        Such as :func:`behaviorseq.notebook.progress`.
    log : callable, optional
        Gets the row of each epoch when it is over, as a dict; such as :class:`TensorBoard`.

    Returns
    -------
    pandas.DataFrame
        One row an epoch: ``epoch`` (from 1), ``loss`` (mean over its steps), ``validation``
        (where there is one), ``seconds`` and ``validation_seconds``.

    Raises
    ------
    ValueError
        If the checkpoint is of another run (other settings, data, or network), there is nothing
        to learn from, or a validation is not a number.
    FloatingPointError
        If the loss is no longer a finite number.
    """
    batches = batches_of(
        train,
        batch_size=training.batch_size,
        length=length,
        windows=training.windows,
        task=task,
        seed=training.seed,
    )
    prepare_loss(loss, train, training)

    def step(batch: Batch, done: float) -> tuple[torch.Tensor, int]:
        hidden = network(batch.items, batch.mask)  # (n_rows, longest, d)
        value = loss(hidden[batch.asked], item_vectors(network), batch.targets)  # of (n, d)
        return value, len(batch.targets)

    return run_epochs(
        network,
        step,
        batches,
        training,
        identity={
            "loss": repr(loss),
            "length": length,
            "task": repr(batches.task),
            "data": fingerprint(train),
        }
        | (identity or {}),
        validate=validate,
        checkpoint=checkpoint,
        progress=progress,
        log=log,
    )


def prepare_loss(loss: Loss, train: Sequences | Shards, training: Training) -> None:
    """Tell a loss how often each item occurs, on the device where training will be."""
    counts = torch.from_numpy(train.item_counts)
    loss.prepare(counts.to(choose_device(training.device)))


def item_vectors(network: torch.nn.Module) -> torch.Tensor:
    """Give the vectors that hidden states are compared with, shape (n_items, d).

    They are what the network's method ``item_vectors`` gives, and where it has none
    ``network.items.weight``.
    """
    own: Callable[[], torch.Tensor] | None = getattr(network, "item_vectors", None)
    return network.get_parameter("items.weight") if own is None else own()


def run_epochs(
    network: torch.nn.Module,
    step: Callable[[Any, float], tuple[torch.Tensor, int]],
    batches: Epochs,
    training: Training,
    *,
    identity: dict[str, Any],
    validate: Callable[[], float] | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
    log: Log | None = None,
) -> pd.DataFrame:
    """Train any network on any batches: the loop under :func:`fit_network`.

    Started by ``accelerate launch`` in several processes, they train together, each on its own
    GPU; see :mod:`behaviorseq.training.distributed`. The first alone validates, logs and saves.

    What happens in an epoch depends on the weights, the seed and the number of the epoch alone.
    So a run that is stopped, at any moment, and started again with the same ``checkpoint``
    repeats what it lost of the unfinished epoch and ends like one that was left alone.

    Parameters
    ----------
    network : torch.nn.Module
        What is trained.
    step : callable
        ``step(batch, done)`` gives the mean loss of a batch and the number of things that it is
        the mean of; ``done`` is the share of all steps that are behind.
    batches : Epochs
        What an epoch goes through; each batch has a method ``to(device)``.
    training : Training
        Settings of the loop; ``windows`` is the business of ``batches``.
    identity : dict
        What else must be the same for a checkpoint to be taken up, as JSON.
    validate, checkpoint, progress, log
        As for :func:`fit_network`.

    Returns
    -------
    pandas.DataFrame
        As that of :func:`fit_network`.

    Raises
    ------
    ValueError
        If the checkpoint is of another run, or a validation is not a number.
    FloatingPointError
        If the loss is no longer a finite number.
    """
    device, team = choose_device(training.device), processes()
    network.to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(), training.learning_rate, weight_decay=training.weight_decay, fused=True
    )
    identity = {"training": asdict(training), "processes": team.count, **identity}
    run = Run(network, optimizer, identity)
    if checkpoint is not None:
        run.restore(Path(checkpoint), validated=validate is not None)
    team.same_weights(network)
    epochs: Iterable[int] = range(len(run.history), training.epochs)
    for epoch in progress(epochs, "Epochs") if progress and team.first else epochs:
        if run.stale() >= training.patience:
            break
        start = time.perf_counter()
        with seeded(training.seed, epoch, team.rank):  # each its own dropout and negatives
            mean = _one_epoch(network, step, optimizer, batches, training, epoch, device)
        row = {"epoch": epoch + 1, "loss": mean, "seconds": time.perf_counter() - start}
        if validate is not None and team.first:
            network.eval()
            start = time.perf_counter()
            row["validation"] = float(validate())
            row["validation_seconds"] = time.perf_counter() - start
        run.add(team.from_first(row))
        if log is not None and team.first:  # before saving: a run stopped in between logs again
            log(row)
        if checkpoint is not None and team.first:
            run.save(Path(checkpoint))
    if run.best:
        network.load_state_dict(run.best)
    network.eval()
    return pd.DataFrame(run.history)


def _one_epoch(
    network: torch.nn.Module,
    step: Callable[[Any, float], tuple[torch.Tensor, int]],
    optimizer: torch.optim.Optimizer,
    batches: Epochs,
    training: Training,
    epoch: int,
    device: torch.device,
) -> float:
    """Go through all batches once; return the mean loss."""
    network.train()
    team, total, count = processes(), torch.zeros((), device=device), 0
    autocast = training.bf16 and has_bf16(device)
    for place, batch in enumerate(team.own(batches.epoch(epoch))):
        done = (epoch + place * team.count / len(batches)) / training.epochs
        for group in optimizer.param_groups:
            group["lr"] = training.rate(done)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=autocast):
            value, n = step(batch.to(device), done)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        team.average_gradients(network)
        torch.nn.utils.clip_grad_norm_(network.parameters(), training.clip)
        optimizer.step()
        total += value.detach() * n
        count += n
    sums = team.sum(total.item(), count)
    mean = sums[0] / sums[1]
    if not math.isfinite(mean):
        raise FloatingPointError(
            f"the loss of epoch {epoch + 1} is {mean}; lower learning_rate or clip"
        )
    return mean


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of that name; with "auto" a GPU (CUDA, then Apple's) where there is one.

    With "auto" each of several processes has its own.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name != "auto":
        return torch.device(name)
    if own := processes().device:
        return own
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def has_bf16(device: torch.device) -> bool:
    """Tell whether a device is a GPU made for bfloat16; older ones emulate it, and lose time."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


@contextlib.contextmanager
def seeded(*seeds: int) -> Iterator[None]:
    """Seed PyTorch inside the block, and leave its random state outside as it was.

    Examples
    --------
    >>> with seeded(3, 1):
    ...     first = torch.rand(2)
    >>> with seeded(3, 1):
    ...     again = torch.rand(2)
    >>> bool((first == again).all())
    True
    """
    with torch.random.fork_rng():
        torch.manual_seed(int(np.random.SeedSequence(seeds).generate_state(1)[0]))
        yield

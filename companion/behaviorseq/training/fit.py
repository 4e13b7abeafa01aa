"""The training loop: epochs, schedule, early stopping, checkpoints that resume bit for bit."""

from __future__ import annotations

import contextlib
import json
import math
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from behaviorseq.training.batches import Batches, Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from behaviorseq.sequences import Sequences
    from behaviorseq.training.losses import Loss

    Progress = Callable[[Iterable[int], str], Iterable[int]]

Schedule = Literal["constant", "cosine"]
CHECKPOINT = "checkpoint.safetensors"


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
    train: Sequences,
    training: Training,
    *,
    length: int = 50,
    validate: Callable[[], float] | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Train a network to predict the next item after every event.

    What happens in an epoch depends on the weights, the seed and the number of the epoch alone.
    So a run that is stopped, at any moment, and started again with the same ``checkpoint``
    repeats what it lost of the unfinished epoch and ends like one that was left alone.

    Parameters
    ----------
    network : torch.nn.Module
        ``network(items, mask)`` gives hidden states, shape (n_rows, longest, d);
        ``network.items.weight`` are the item vectors, shape (n_items, d).
    loss : Loss
        What to minimise.
    train : Sequences
        Training histories.
    training : Training
        Settings of the loop.
    length : int
        Most events that the network reads.
    validate : callable, optional
        Called after each epoch, the network not training; higher is better. The best epoch's
        weights are kept in the end, and training stops ``patience`` epochs after it.
    checkpoint : path, optional
        Folder to keep the state of the run in.
    progress : callable, optional
        Such as :func:`behaviorseq.notebook.progress`.

    Returns
    -------
    pandas.DataFrame
        One row an epoch: ``epoch`` (from 1), ``loss`` (mean over its steps), ``validation``
        (where there is one), ``seconds`` and ``validation_seconds``.

    Raises
    ------
    ValueError
        If the checkpoint is of another run (other settings, data, or network), or there is
        nothing to learn from.
    FloatingPointError
        If the loss is no longer a finite number.
    """
    device = choose_device(training.device)
    network.to(device)
    batches = Batches(
        train,
        batch_size=training.batch_size,
        length=length,
        windows=training.windows,
        seed=training.seed,
    )
    loss.prepare(torch.from_numpy(np.bincount(train.items, minlength=train.n_items)).to(device))
    optimizer = torch.optim.AdamW(
        network.parameters(), training.learning_rate, weight_decay=training.weight_decay, fused=True
    )
    run = _Run(network, optimizer, _identity(training, loss, train, length))
    if checkpoint is not None:
        run.restore(Path(checkpoint))
    epochs: Iterable[int] = range(len(run.history), training.epochs)
    for epoch in epochs if progress is None else progress(epochs, "Epochs"):
        if run.stale() >= training.patience:
            break
        start = time.perf_counter()
        with seeded(training.seed, epoch):
            mean = _one_epoch(network, loss, optimizer, batches, training, epoch, device)
        row = {"epoch": epoch + 1, "loss": mean, "seconds": time.perf_counter() - start}
        if validate is not None:
            network.eval()
            start = time.perf_counter()
            row["validation"] = validate()
            row["validation_seconds"] = time.perf_counter() - start
        run.add(row)  # a logger such as TensorBoard's belongs here
        if checkpoint is not None:
            run.save(Path(checkpoint))
    if run.best:
        network.load_state_dict(run.best)
    network.eval()
    return pd.DataFrame(run.history)


def _one_epoch(
    network: torch.nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    batches: Batches,
    training: Training,
    epoch: int,
    device: torch.device,
) -> float:
    """Go through all batches once; return the mean loss of an event."""
    network.train()
    weight = network.get_parameter("items.weight")
    total = torch.zeros((), device=device)
    autocast = training.bf16 and device.type == "cuda" and torch.cuda.is_bf16_supported()
    for step, host_batch in enumerate(batches.epoch(epoch)):
        batch = host_batch.to(device)
        for group in optimizer.param_groups:
            group["lr"] = training.rate((epoch + step / len(batches)) / training.epochs)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=autocast):
            hidden = network(batch.items, batch.mask)  # (n_rows, longest, d)
            value = loss(hidden[batch.mask], weight, batch.targets)  # of (n_events, d)
        optimizer.zero_grad()
        # Several devices would average their gradients here. (torch does not annotate it.)
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), training.clip)
        optimizer.step()
        total += value.detach() * len(batch.targets)
    mean = total.item() / batches.n_events
    if not math.isfinite(mean):
        raise FloatingPointError(
            f"the loss of epoch {epoch + 1} is {mean}; lower learning_rate or clip"
        )
    return mean


@dataclass
class _Run:
    """The state of a run, all that a checkpoint holds."""

    network: torch.nn.Module
    optimizer: torch.optim.Optimizer
    identity: dict[str, Any]

    def __post_init__(self) -> None:
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, torch.Tensor] = {}

    def best_epoch(self) -> int:
        """Return the first epoch with the best validation."""
        return max(self.history, key=lambda row: row["validation"])["epoch"]  # type: ignore[no-any-return]

    def stale(self) -> int:
        """Count the epochs since the best validation, 0 where there is none."""
        return len(self.history) - self.best_epoch() if self.best else 0

    def add(self, row: dict[str, Any]) -> None:
        """Add an epoch, and keep its weights if it is the best."""
        self.history.append(row)
        if "validation" in row and self.best_epoch() == row["epoch"]:
            self.best = {name: t.clone() for name, t in self.network.state_dict().items()}

    def save(self, folder: Path) -> None:
        """Write the state to a file beside the earlier one, then put it in its place."""
        states = self.optimizer.state_dict()["state"]
        moments = {f"{i}.{name}": t for i, state in states.items() for name, t in state.items()}
        parts = {"weights": self.network.state_dict(), "optimizer": moments, "best": self.best}
        tensors = {f"{part}:{name}": t for part, ts in parts.items() for name, t in ts.items()}
        scalars = {"identity": self.identity, "history": self.history}
        write_tensors(folder / CHECKPOINT, tensors, scalars)

    def restore(self, folder: Path) -> None:
        """Take the state up again, if the folder has one."""
        if not (folder / CHECKPOINT).exists():
            return
        tensors, scalars = read_tensors(folder / CHECKPOINT)
        for name, value in self.identity.items():
            if scalars["identity"].get(name) != value:
                raise ValueError(
                    f"{folder} holds a run with {name} {scalars['identity'].get(name)}, "
                    f"not {value}; name another folder, or delete it to start anew"
                )
        parts: dict[str, dict[str, Any]] = {"weights": {}, "optimizer": {}, "best": {}}
        for key, tensor in tensors.items():
            part, _, name = key.partition(":")
            parts[part][name] = tensor
        try:
            self.network.load_state_dict(parts["weights"])
        except RuntimeError as error:
            raise ValueError(f"{folder} holds a run of another network: {error}") from error
        self._restore_optimizer(parts["optimizer"])
        self.history, self.best = scalars["history"], parts["best"]

    def _restore_optimizer(self, moments: dict[str, torch.Tensor]) -> None:
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in moments.items():
            index, _, name = key.partition(".")
            state.setdefault(int(index), {})[name] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def _identity(training: Training, loss: Loss, train: Sequences, length: int) -> dict[str, Any]:
    """Describe what must be the same for a run to go on."""
    events = zlib.crc32(train.offsets.tobytes(), zlib.crc32(train.items.tobytes()))
    settings = {"training": asdict(training), "loss": repr(loss), "length": length}
    return settings | {"data": [len(train), train.n_items, train.n_events, events]}


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], scalars: dict[str, Any]) -> None:
    """Write tensors and JSON to one safetensors file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    contiguous = {name: t.detach().contiguous() for name, t in tensors.items()}
    save_file(contiguous, part, metadata={"json": json.dumps(scalars)})
    part.replace(path)


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what ``write_tensors`` wrote, onto the CPU."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return tensors, json.loads(file.metadata()["json"])


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of that name; with "auto" a GPU (CUDA, then Apple's) where there is one.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


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

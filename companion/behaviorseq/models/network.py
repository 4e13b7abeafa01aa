"""Recommenders made of an encoder, a loss and the training loop."""

from __future__ import annotations

import json
from abc import abstractmethod
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from zlib import crc32

import numpy as np
import torch

from behaviorseq.arguments import check_counts, require
from behaviorseq.models.recommender import Recommender
from behaviorseq.shards import Shards
from behaviorseq.training import losses
from behaviorseq.training.batches import NextItem, Task, padded
from behaviorseq.training.checkpoint import read_tensors, write_tensors
from behaviorseq.training.fit import Training, choose_device, fit_network, item_vectors, seeded
from behaviorseq.training.losses import Loss, SampledSoftmax
from behaviorseq.training.start import begin_with
from behaviorseq.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences
    from behaviorseq.training.fit import Log, Progress

ROWS = 256  # histories encoded at a time
WEIGHTS, SETTINGS = "weights.safetensors", "settings.json"


class Dropout(torch.nn.Module):
    """Dropout as PyTorch's, with chances drawn four at a time on a CPU, 16 bits each.

    There PyTorch draws one at a time, and that is a quarter of a training step.

    Parameters
    ----------
    p : float
        Share of values set to 0 in training, to the nearest of 65,536 steps; the others grow
        to keep the mean.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = round(p * 2**16) / 2**16

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop values, any shape."""
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return torch.nn.functional.dropout(x, self.p)
        n = x.numel()
        words = torch.empty((n + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        bits = words.view(torch.int16)[:n].view(x.shape)  # -2**15 to 2**15 - 1, all alike
        kept = (bits >= self.p * 2**16 - 2**15).to(x.dtype)
        return x * kept.mul_(1 / (1 - self.p))


@dataclass(eq=False, kw_only=True)
class NetworkRecommender(Recommender):
    """What recommenders made of a network share: validation in training, saving, loading.

    Parameters
    ----------
    training : Training
        Settings of the loop, the seed among them.

    Attributes
    ----------
    network : torch.nn.Module
        After ``fit``.
    history : pandas.DataFrame
        One row an epoch: loss, validation, seconds. After ``fit``.
    """

    training: Training = field(default_factory=Training)
    network: torch.nn.Module = field(init=False, repr=False)
    history: pd.DataFrame = field(init=False, repr=False)

    @abstractmethod
    def new_network(self, n_items: int, n_rows: int) -> torch.nn.Module:
        """Make the network, untrained, for a log of ``n_rows`` histories."""

    @abstractmethod
    def _train(self, train: Sequences, **options: Any) -> pd.DataFrame:
        """Train ``self.network``; the options are for :func:`run_epochs`."""

    def fit(
        self,
        train: Sequences | Shards,
        *,
        start: NDArray[np.floating] | None = None,
        validate: Callable[[Self], float] | None = None,
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
        log: Log | None = None,
    ) -> Self:
        """Learn from the histories in ``train``.

        Parameters
        ----------
        train : Sequences or Shards
            Training histories; to learn what comes next, one at least has two events.
        start : array-like, optional
            Vectors that the items begin with, in place of drawn ones, shape (n_items, width), in
            the order of ``train.item_ids``; such as those of :func:`graph_vectors`. Each is
            scaled to the length of the drawn one, which a row of zeros leaves as it is.
        validate : callable, optional
            Gives how good the model is, higher is better; called after each epoch. The best
            epoch is kept. For example
            ``lambda model: evaluate(model, split.validation).mean("NDCG@10")``.
        checkpoint : path, optional
            Folder from which a stopped run goes on; see :func:`fit_network`.
        progress : callable, optional
            Such as :func:`behaviorseq.notebook.progress`.
        log : callable, optional
            Gets the row of ``history`` of each epoch, as a dict; such as
            :class:`behaviorseq.training.TensorBoard`.

        Returns
        -------
        Self
            The same model.

        Raises
        ------
        ValueError
            If there is nothing to learn from, the checkpoint is of another run, the histories are
            on disk and the model needs all of them at once, or ``start`` has another shape.
        """
        self._extras: tuple[Any, ...] = (start, validate, checkpoint, progress, log)
        try:
            return super().fit(train)
        except BaseException:
            self.item_ids = None  # half trained is not fitted
            raise
        finally:
            del self._extras

    def _fit(self, train: Sequences | Shards) -> None:
        start, validate, checkpoint, progress, log = self._extras
        identity: dict[str, Any] = {"model": repr(self), "start": None}
        self._n_rows = train.n_users if isinstance(train, Shards) else len(train)
        with seeded(self.training.seed):
            self.network = self.new_network(train.n_items, self._n_rows)
        if start is not None:
            vectors = np.asarray(start, dtype=np.float32)
            begin_with(self.network, vectors)
            identity["start"] = crc32(vectors.tobytes())
        self.item_ids = train.item_ids  # validation scores before fitting is over
        self.history = self._train(
            train,  # type: ignore[arg-type]  # shards only where they stream
            identity=identity,
            validate=validate and partial(validate, self),
            checkpoint=checkpoint,
            progress=progress,
            log=log,
        )

    def save(self, folder: str | Path) -> None:
        """Write the fitted model: tensors as safetensors, everything else as JSON.

        Parameters
        ----------
        folder : path
            Made if it is not there.

        Raises
        ------
        ValueError
            If the model is not fitted, or its item ids are neither numbers nor text.
        """
        if self.item_ids is None:
            raise ValueError(f"{self!r} is not fitted: call fit(train) first")
        ids = self.item_ids.ids
        if not (ids.dtype.kind in "iufU" or all(isinstance(x, str) for x in ids)):
            raise ValueError(f"item ids must be numbers or text to be saved, got {ids.dtype}")
        settings = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        settings["training"] = asdict(self.training)
        if "loss" in settings:
            loss = settings["loss"]
            chosen = {f.name: getattr(loss, f.name) for f in fields(loss) if f.init}
            settings["loss"] = {"name": type(loss).__name__, **chosen}
        text = {
            "model": type(self).__name__,
            "settings": settings,
            "n_rows": self._n_rows,
            "item_dtype": ids.dtype.str,
            "item_ids": ids.tolist(),
        }
        tensors = {f"network:{name}": t for name, t in self.network.state_dict().items()}
        tensors["popularity"] = torch.from_numpy(self._popularity)
        write_tensors(Path(folder) / WEIGHTS, tensors, {})
        (Path(folder) / SETTINGS).write_text(json.dumps(text, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model that ``save`` wrote.

        Parameters
        ----------
        folder : path
            Where it was saved.

        Returns
        -------
        Self
            The fitted model, without its ``history``.

        Raises
        ------
        ValueError
            If the folder holds a model of another class.
        """
        text = json.loads((Path(folder) / SETTINGS).read_text(encoding="utf-8"))
        kinds = {kind.__name__: kind for kind in _with_subclasses(cls)}
        if text["model"] not in kinds:
            raise ValueError(f"{folder} holds a {text['model']}: use {text['model']}.load")
        settings = text["settings"]
        if "loss" in settings:
            loss = settings["loss"]
            names = {kind.__name__: kind for kind in _with_subclasses(losses.Loss)}
            settings["loss"] = names[loss.pop("name")](**loss)
        settings["training"] = Training(**settings["training"])
        model: Self = kinds[text["model"]](**settings)
        tensors, _ = read_tensors(Path(folder) / WEIGHTS)
        model._popularity = tensors.pop("popularity").numpy()
        model.item_ids = Vocabulary(np.array(text["item_ids"], dtype=text["item_dtype"]))
        model._n_rows = text["n_rows"]
        model.network = model.new_network(len(model.item_ids), model._n_rows)
        model.network.load_state_dict({k.removeprefix("network:"): t for k, t in tensors.items()})
        model.network.to(choose_device(model.training.device)).eval()
        return model


@dataclass(eq=False, kw_only=True)
class SequenceNetwork(NetworkRecommender):
    r"""A network that reads a history and scores each item by its product with what it read.

    A subclass writes :meth:`encoder`; loss and training are free to choose. The score of item j
    is :math:`h^\top w_j`, with h the hidden state after the last event and :math:`w_j` the same
    vector that stands for item j in a history. An empty history gets popularity.

    Parameters
    ----------
    width : int
        Length of item vectors and hidden states.
    length : int
        Most events of a history that are read, its last ones.
    dropout : float
        Share of values set to 0 in training.
    loss : Loss
        What to minimise.
    training : Training
        Settings of the loop, the seed among them.

    Attributes
    ----------
    network : torch.nn.Module
        The encoder. After ``fit``.
    history : pandas.DataFrame
        One row an epoch: loss, validation, seconds. After ``fit``.
    """

    streams: ClassVar[bool] = True

    width: int = 64
    length: int = 50
    dropout: float = 0.2
    loss: Loss = field(default_factory=SampledSoftmax)

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_counts(self, "width", "length")
        require("dropout", self.dropout, 0 <= self.dropout < 1, "0 or more and below 1")

    @abstractmethod
    def encoder(self, n_items: int) -> torch.nn.Module:
        """Make the network, untrained.

        It holds item vectors, ``items = nn.Embedding(n_items, width)``, and its
        ``forward(items, mask)`` takes item codes and what of them is no padding, both
        (n_rows, longest), and gives hidden states, (n_rows, longest, width). Unless :meth:`task`
        says otherwise, each of them depends on its own event and earlier ones alone. Where it has
        a method ``item_vectors()``, that gives the vectors that items are scored by,
        (n_items, width), in place of the rows of ``items``.
        """

    def task(self) -> Task:
        """Say what the encoder is asked in training, and how it is asked for the next item."""
        return NextItem()

    def new_network(self, n_items: int, n_rows: int) -> torch.nn.Module:
        """Make the encoder, untrained."""
        return self.encoder(n_items)

    def _train(self, train: Sequences | Shards, **options: Any) -> pd.DataFrame:
        options = {"length": self.length, "task": self.task(), **options}
        return fit_network(self.network, self.loss, train, self.training, **options)

    def encode(self, histories: Sequences) -> NDArray[np.float32]:
        """Give the hidden state after the last event of each history.

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
        states = np.zeros((len(histories), self.width), dtype=np.float32)
        for rows, hidden in self._last_states(histories):
            states[rows] = hidden.float().cpu().numpy()
        return states

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        scores = np.zeros((len(histories), histories.n_items), dtype=np.float32)
        self.network.eval()
        with torch.no_grad():
            weight = item_vectors(self.network).detach()  # (n_items, width)
        for rows, hidden in self._last_states(histories):
            scores[rows] = (hidden @ weight.T).float().cpu().numpy()  # (rows, n_items)
        return scores

    @torch.no_grad()
    def _last_states(
        self, histories: Sequences
    ) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
        """Encode histories of like lengths together; give their rows and (n_rows, width)."""
        self.network.eval()
        task, device = self.task(), self.network.get_parameter("items.weight").device
        for rows, *history in by_length(histories, self.length):
            items, mask = task.ask(*history)
            there = mask.to(device)
            hidden = self.network(items.to(device), there)  # (n_rows, longest, width)
            yield rows, last_of(hidden, there)


def by_length(
    histories: Sequences, length: int
) -> Iterator[tuple[NDArray[np.int64], torch.Tensor, torch.Tensor]]:
    """Lay out the last events of histories, those of like lengths together, for reading.

    Parameters
    ----------
    histories : Sequences
        Histories; empty ones are left out.
    length : int
        Most events of a history, its last ones.

    Yields
    ------
    rows : NDArray[int64]
        Which histories, shape (n_rows,).
    items, mask : Tensor
        Item codes, and what of them is no padding, shape (n_rows, longest).
    """
    stops = histories.offsets[1:]
    lengths = np.minimum(histories.lengths, length)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    for start in range(0, len(order), ROWS):
        rows = order[start : start + ROWS]
        items, mask = padded(histories.items, stops[rows] - lengths[rows], lengths[rows])
        yield rows, torch.from_numpy(items), torch.from_numpy(mask)


def last_of(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Take the state of each row's last event: (n_rows, longest, d) in, (n_rows, d) out."""
    return states[torch.arange(len(states), device=states.device), mask.sum(dim=1) - 1]


def _with_subclasses(cls: type[Any]) -> list[type[Any]]:
    """List a class and all its subclasses."""
    return [cls, *(kind for sub in cls.__subclasses__() for kind in _with_subclasses(sub))]

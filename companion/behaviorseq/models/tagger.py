"""Labelling every event of a history: a two-sided LSTM, a CRF, both, or neither."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's users know
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from behaviorseq.arguments import check_counts, require
from behaviorseq.models.crf import LinearChainCRF
from behaviorseq.models.network import ROWS, Dropout
from behaviorseq.training.checkpoint import fingerprint
from behaviorseq.training.fit import Training, run_epochs, seeded
from behaviorseq.training.tagged import NUMBERS, Tagged, TaggedBatches
from behaviorseq.vocabulary import check_codes

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from behaviorseq.sequences import Sequences
    from behaviorseq.training.fit import Progress
    from behaviorseq.vocabulary import Vocabulary

Context = Literal["bilstm", "none"]


class TaggerNetwork(nn.Module):
    """Score each label at each event, from the event alone or from all of its history.

    Parameters
    ----------
    n_items, n_behaviors, n_labels : int
        Numbers of items, behaviors and labels.
    context : {"bilstm", "none"}
        Whether an LSTM reads the history in both directions, or one hidden layer each event.
    crf : bool
        Whether ``chain`` holds a conditional random field for the scores.
    width, inner : int
        Length of item vectors, and of the hidden state of each direction.
    dropout : float
        Share of values set to 0 in training.
    """

    def __init__(
        self,
        n_items: int,
        n_behaviors: int,
        n_labels: int,
        *,
        context: Context = "bilstm",
        crf: bool = True,
        width: int = 16,
        inner: int = 32,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items, width)
        self.behaviors = nn.Embedding(n_behaviors, width)
        self.drop = Dropout(dropout)
        size = 2 * width + NUMBERS
        self.lstm = (
            nn.LSTM(size, inner, batch_first=True, bidirectional=True)
            if context == "bilstm"
            else None
        )
        self.alone = nn.Linear(size, 2 * inner) if context == "none" else None
        self.out = nn.Linear(2 * inner, n_labels)
        self.chain = LinearChainCRF(n_labels) if crf else None
        for table in (self.items, self.behaviors):
            nn.init.normal_(table.weight, std=width**-0.5)

    def forward(self, batch: Tagged) -> Tensor:
        """Give the emissions, (B, T, n_labels)."""
        parts = (self.items(batch.items), self.behaviors(batch.behaviors), batch.numbers)
        x = self.drop(torch.cat(parts, dim=2))  # (B, T, 2 width + 3)
        hidden = self._read(x, batch.mask) if self.lstm else F.relu(self.alone(x))  # type: ignore[misc] # one of both is there
        emissions: Tensor = self.out(self.drop(hidden))  # of (B, T, 2 inner)
        return emissions

    def _read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Read rows in both directions, each as long as it is: padding must not come first."""
        assert self.lstm is not None
        lengths = mask.sum(dim=1).cpu()
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=x.shape[1]
        )
        return states  # (B, T, 2 inner)

    def loss(self, batch: Tagged) -> Tensor:
        """Give the mean negative log-likelihood of a label."""
        emissions = self(batch)
        if self.chain is None:
            return F.cross_entropy(emissions[batch.mask], batch.labels[batch.mask])
        return -self.chain.log_likelihood(emissions, batch.labels, batch.mask).sum() / (
            batch.mask.sum()
        )

    def decode(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Choose the labels of each row, (B, T)."""
        chain = self.chain
        return emissions.argmax(dim=2) if chain is None else chain.decode(emissions, mask)

    def marginals(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Give the probability of each label at each event, (B, T, n_labels)."""
        chain = self.chain
        return emissions.softmax(dim=2) if chain is None else chain.marginals(emissions, mask)


@dataclass(eq=False, kw_only=True)
class SequenceTagger:
    """Give each event of a history a label, learned from histories whose labels are known.

    What is read of an event: its item, its behavior, and the numbers of :func:`event_numbers`.
    ``context="bilstm"`` lets the label depend on all other events of the history, earlier and
    later; ``crf=True`` lets it depend on the labels beside it. With both this is the BiLSTM-CRF
    (Huang, Xu and Yu, Bidirectional LSTM-CRF models for sequence tagging, 2015, arXiv 1508.01991);
    with neither, a classifier of single events. Different: no hand-made features of words, and
    pieces of at most ``length`` events in training.

    A label that depends on later events explains a history after the fact. To say what is known
    at a moment, give only the events before it.

    Parameters
    ----------
    label_names : tuple of str
        What the labels 0, 1, ... stand for.
    context : {"bilstm", "none"}
        Whether other events of the history are read.
    crf : bool
        Whether neighboring labels are chosen together.
    width, inner : int
        Length of item vectors, and of the hidden state of each direction.
    dropout : float
        Share of values set to 0 in training.
    length : int
        Most events of a piece in training; what is to be labelled is read whole.
    training : Training
        Settings of the loop; ``batch_size`` pieces in a step.

    Attributes
    ----------
    network : TaggerNetwork
        After ``fit``; ``network.chain`` is the CRF.
    history : pandas.DataFrame
        One row an epoch, as that of :func:`behaviorseq.training.fit_network`. After ``fit``.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences, SequenceTagger, Training
    >>> log = pd.DataFrame({"user": np.repeat(range(8), 6), "item": list("abbabb") * 8,
    ...                     "time": list(range(6)) * 8, "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> after_a = np.tile([0, 1, 0, 0, 1, 0], 8)  # the event before tells, not the event
    >>> tagger = SequenceTagger(label_names=("other", "after a"), training=Training(
    ...     epochs=60, learning_rate=0.02)).fit(histories, after_a)
    >>> tagger.predict(histories)[:6]
    array([0, 1, 0, 0, 1, 0])
    """

    label_names: tuple[str, ...]
    context: Context = "bilstm"
    crf: bool = True
    width: int = 16
    inner: int = 32
    dropout: float = 0.2
    length: int = 100
    training: Training = field(default_factory=Training)
    network: TaggerNetwork = field(init=False, repr=False)
    history: pd.DataFrame = field(init=False, repr=False)
    item_ids: Vocabulary | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_counts(self, "width", "inner", "length")
        require("dropout", self.dropout, 0 <= self.dropout < 1, "0 or more and below 1")
        known = self.context in get_args(Context)
        require("context", self.context, known, f"one of {get_args(Context)}")
        require("label_names", self.label_names, len(self.label_names) > 0, "one name or more")

    def fit(
        self,
        train: Sequences,
        labels: ArrayLike,
        *,
        validate: Callable[[Self], float] | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from histories whose labels are known.

        Parameters
        ----------
        train : Sequences
            Training histories.
        labels : array-like of int
            Label of each event, an index into ``label_names``, shape (n_events,).
        validate : callable, optional
            Gives how good the tagger is, higher is better; called after each epoch, and the best
            epoch is kept.
        progress : callable, optional
            Such as :func:`behaviorseq.notebook.progress`.

        Returns
        -------
        Self
            The same tagger.

        Raises
        ------
        ValueError
            If there is no event, not one label an event, or a label has no name.
        """
        codes = np.asarray(labels)
        if codes.shape != (train.n_events,) or not train.n_events:
            raise ValueError(f"{train.n_events} events need as many labels, got {codes.shape}")
        if codes.dtype.kind not in "iu":
            raise ValueError(f"labels must be whole numbers, got {codes.dtype}")
        check_codes("labels", codes, len(self.label_names))
        codes = codes.astype(np.int64)
        self.item_ids, self._behaviors = train.item_ids, train.behavior_names
        with seeded(self.training.seed):
            self.network = TaggerNetwork(
                train.n_items,
                max(len(train.behavior_names), 1),
                len(self.label_names),
                context=self.context,
                crf=self.crf,
                width=self.width,
                inner=self.inner,
                dropout=self.dropout,
            )

        def step(batch: Tagged, _: float) -> tuple[Tensor, int]:
            return self.network.loss(batch), int(batch.mask.sum())

        sizes = {"batch_size": self.training.batch_size, "length": self.length}
        batches = TaggedBatches(train, codes, seed=self.training.seed, **sizes)
        identity = {"data": fingerprint(train), "labels": zlib.crc32(codes.tobytes()), **sizes}
        self.history = run_epochs(
            self.network,
            step,
            batches,
            self.training,
            identity=identity,
            validate=validate and partial(validate, self),
            progress=progress,
        )
        return self

    def predict(self, histories: Sequences) -> NDArray[np.int64]:
        """Give the label of each event, (n_events,): the most probable path of labels.

        Without a CRF it is the most probable label of each event.

        Parameters
        ----------
        histories : Sequences
            Histories with the vocabulary and the behaviors of the training log.

        Raises
        ------
        ValueError
            If the tagger is not fitted, or the histories use other items or behaviors.
        """
        self._check_histories(histories)
        found = np.zeros(histories.n_events, dtype=np.int64)
        self._fill(found, histories, self.network.decode)
        return found

    def probabilities(self, histories: Sequences) -> NDArray[np.float32]:
        """Give the probability of each label at each event, (n_events, n_labels).

        With a CRF these are the marginals over all paths. As for :meth:`predict`.
        """
        self._check_histories(histories)
        found = np.zeros((histories.n_events, len(self.label_names)), dtype=np.float32)
        self._fill(found, histories, self.network.marginals)
        return found

    def _fill(
        self,
        found: NDArray[Any],
        histories: Sequences,
        what: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        """Read histories of like lengths together, each whole, and write what they give."""
        self.network.eval()
        device = self.network.out.weight.device
        longest = max(int(histories.lengths.max(initial=0)), 1)
        unknown = np.zeros(histories.n_events, dtype=np.int64)
        batches = TaggedBatches(histories, unknown, batch_size=ROWS, length=longest)
        order = np.argsort(batches.lengths, kind="stable")
        for start in range(0, len(order), ROWS):
            place, batch = batches.of(order[start : start + ROWS])
            there = batch.to(device)
            with torch.no_grad():
                given = what(self.network(there), there.mask).cpu()
            found[place[batch.mask].numpy()] = given[batch.mask].numpy()

    def _check_histories(self, histories: Sequences) -> None:
        if self.item_ids is None:
            raise ValueError(f"{self!r} is not fitted: call fit(train, labels) first")
        same = np.array_equal(self.item_ids.ids, histories.item_ids.ids)
        if not same or histories.behavior_names != self._behaviors:
            raise ValueError("histories must use the items and behaviors of the training log")

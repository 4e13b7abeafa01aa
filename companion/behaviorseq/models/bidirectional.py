"""A Transformer that looks both ways, and the recommender BERT4Rec made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from behaviorseq.models.transformer import SASRec, Transformer
from behaviorseq.training.tasks import MASKED, MaskedItems

if TYPE_CHECKING:
    from behaviorseq.training.batches import Task


class Bidirectional(Transformer):
    """The Transformer whose events look at all others, with a vector for those that are hidden.

    Parameters
    ----------
    n_items : int
        Number of items.
    width : int
        Length of item vectors and hidden states.
    **options
        As those of :class:`Transformer`.
    """

    def __init__(self, n_items: int, *, width: int = 64, **options: int | float | str) -> None:
        super().__init__(n_items, width=width, **options)  # type: ignore[arg-type] # as it checks
        self.hidden_item = nn.Parameter(torch.randn(width) * width**-0.5)

    def vectors(self, items: Tensor) -> Tensor:
        """Give the vectors of items, and the one of all hidden items, shape (B, L, width)."""
        hidden = (items == MASKED)[:, :, None]  # (B, L, 1)
        return torch.where(hidden, self.hidden_item, self.items(items.clamp(min=0)))

    def shown(self, mask: Tensor) -> Tensor:
        """Show each event all that is no padding."""
        return mask


@dataclass(eq=False, kw_only=True)
class BERT4Rec(SASRec):
    """A Transformer that learns to fill in hidden items from what is before and after them.

    Sun et al., BERT4Rec: Sequential recommendation with bidirectional encoder representations from
    Transformer, CIKM 2019, arXiv 1904.06690. A hidden event is added to the end of a history to
    ask for the next item. Different: normalisation before each part; no layer and no item
    biases between the last state and the item vectors; and the loss is free, where the paper has
    :class:`FullSoftmax`.

    Parameters
    ----------
    share : float
        Chance of each event to be hidden in training.
    last : float
        Share of rows in which the last event alone is hidden.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import BERT4Rec, Sequences
    >>> from behaviorseq.training import FullSoftmax, Training
    >>> log = pd.DataFrame({"user": [1] * 6 + [2] * 6, "item": list("abcabcbcabca"),
    ...                     "time": [*range(6)] * 2, "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> training = Training(epochs=60, learning_rate=0.01)
    >>> model = BERT4Rec(width=8, length=2, dropout=0, loss=FullSoftmax(), training=training)
    >>> items, _ = model.fit(histories).recommend(histories, k=1, exclude_seen=False)
    >>> histories.item_ids.decode(items[:, 0]).tolist()  # what comes after c, and after a
    ['a', 'b']
    """

    share: float = 0.2
    last: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        self.task()

    def task(self) -> Task:
        """Hide items and ask for them."""
        return MaskedItems(self.share, self.last)

    def encoder(self, n_items: int) -> nn.Module:
        """Make the Transformer, untrained: it reads a hidden event after ``length`` others."""
        return Bidirectional(
            n_items,
            width=self.width,
            length=self.length + 1,
            layers=self.layers,
            heads=self.heads,
            inner=self.inner_width,
            dropout=self.dropout,
            block=self.block,
        )

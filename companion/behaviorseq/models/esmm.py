"""Click and conversion rate of what is shown, learned from all impressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from behaviorseq.arguments import require
from behaviorseq.models.heads import Head
from behaviorseq.models.multitask import MultiTask
from behaviorseq.training.weighting import esmm_losses

if TYPE_CHECKING:
    from torch import Tensor

    from behaviorseq.training.examples import Examples


@dataclass(eq=False, kw_only=True)
class ESMM(MultiTask):
    """Click and conversion rate of what is shown, learned from all impressions.

    Ma et al., Entire space multi-task model: An effective approach for estimating post-click
    conversion rate, SIGIR 2018, arXiv 1804.07931. Different: a sequence of events is read, and the
    two towers stand on what ``sharing`` says, where the paper shares the vectors alone.

    ``predict`` gives the probability of a click, and that of a purchase after a click, for all
    impressions. The labels ``click`` and ``purchase`` (that of a click *and* a purchase) must be
    known for all of them.

    Parameters
    ----------
    heads : tuple of Head
        Left as it is: a click, and a purchase given the click.

    Examples
    --------
    >>> [head.name for head in ESMM().heads]
    ['click', 'purchase']
    """

    heads: tuple[Head, ...] = (Head("click"), Head("purchase"))

    def _losses(
        self, logits: list[Tensor], labels: dict[str, Tensor], weights: dict[str, Tensor]
    ) -> Tensor:
        click, conversion = (each[:, 0] for each in logits)
        losses = esmm_losses(click, conversion, labels["click"], labels["purchase"])  # (n, 2)
        one = torch.ones_like(labels["click"])
        counts = torch.stack([weights.get(head.name, one) for head in self.heads], dim=1)
        return (counts * losses).sum(dim=0) / counts.sum(dim=0).clamp(min=1e-6)

    def __post_init__(self) -> None:
        """Check the heads too."""
        super().__post_init__()
        names = tuple((head.name, head.kind) for head in self.heads)
        rule = "a click and a purchase, both binary"
        require("heads", names, names == (("click", "binary"), ("purchase", "binary")), rule)

    def _check_labels(self, examples: Examples) -> None:
        super()._check_labels(examples)
        click, bought = (examples.labels[head.name] for head in self.heads)
        if not (bought <= click).all():  # false where one is missing, too
            raise ValueError("each impression needs both labels, and no purchase without a click")

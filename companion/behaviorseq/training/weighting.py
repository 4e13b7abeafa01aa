"""Losses of several tasks: of one, of a chain from click to purchase, and how they are added."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's users know

Kind = Literal["binary", "class", "labels"]
Weighting = Literal["equal", "uncertainty", "scaled"]


def answer_losses(kind: Kind, logits: Tensor, labels: Tensor) -> Tensor:
    r"""Give the negative log-likelihood of each answer, 0 where it is not known.

    Parameters
    ----------
    kind : {"binary", "class", "labels"}
        Whether the answer is yes or no, one of several classes, or yes or no to each of several
        labels (their mean is taken).
    logits : Tensor
        (n, 1), or (n, k).
    labels : Tensor
        (n,); for "labels" (n, k). NaN: not known.

    Returns
    -------
    Tensor
        (n,), in nats.

    Examples
    --------
    >>> labels = torch.tensor([1.0, torch.nan])
    >>> answer_losses("binary", torch.zeros(2, 1), labels)
    tensor([0.6931, 0.0000])
    """
    known = ~labels.isnan()
    filled = torch.where(known, labels, 0.0)
    if kind == "class":
        losses = F.cross_entropy(logits, filled.long(), reduction="none")  # (n,)
        return losses * known
    if kind == "binary":
        logits = logits[:, 0]  # (n,)
    losses = F.binary_cross_entropy_with_logits(logits, filled, reduction="none") * known
    return losses if kind == "binary" else losses.mean(dim=1)  # of (n, k)


def chain_log_chances(first: Tensor, then: Tensor) -> tuple[Tensor, Tensor]:
    r"""Give the logarithms of :math:`pq` and of :math:`1 - pq` from the log odds of p and q.

    The second is taken as :math:`\log\left((1 - p) + p (1 - q)\right)`, which loses no digits where
    p and q are near 0 or 1.

    Parameters
    ----------
    first, then : Tensor
        Log odds of the first event, and of the second given the first, (n,).

    Examples
    --------
    >>> both, not_both = chain_log_chances(torch.zeros(1), torch.zeros(1))
    >>> both.exp(), not_both.exp()
    (tensor([0.2500]), tensor([0.7500]))
    """
    both = F.logsigmoid(first) + F.logsigmoid(then)
    without = F.logsigmoid(first) + F.logsigmoid(-then)  # the first alone
    return both, torch.logaddexp(F.logsigmoid(-first), without)


def esmm_losses(click: Tensor, conversion: Tensor, clicked: Tensor, bought: Tensor) -> Tensor:
    """Give the two losses of ESMM of each impression: of the click, and of click and purchase.

    Ma et al., Entire space multi-task model: An effective approach for estimating post-click
    conversion rate, SIGIR 2018, arXiv 1804.07931, equation 3. What the conversion rate is trained
    by is its product with the click rate, which is observed for all impressions.

    Parameters
    ----------
    click, conversion : Tensor
        Log odds of a click, and of a purchase after it, (n,).
    clicked, bought : Tensor
        What happened, 0 or 1, (n,); nothing is bought that was not clicked.

    Returns
    -------
    Tensor
        (n, 2), in nats.

    Examples
    --------
    >>> yes, no = torch.ones(1), torch.zeros(1)
    >>> esmm_losses(no, no, yes, yes).exp()  # 1 over chances of a half and of a quarter
    tensor([[2., 4.]])
    """
    of_click = F.binary_cross_entropy_with_logits(click, clicked, reduction="none")
    both, not_both = chain_log_chances(click, conversion)
    of_both = -(bought * both + (1 - bought) * not_both)
    return torch.stack([of_click, of_both], dim=1)  # (n, 2)


class LossWeights(nn.Module):
    r"""Adds the losses of tasks.

    Parameters
    ----------
    weighting : {"equal", "uncertainty", "scaled"}
        "equal": the sum. "uncertainty": :math:`\sum_k e^{-s_k} L_k + s_k / 2` with trained
        :math:`s_k` (Kendall, Gal and Cipolla, Multi-task learning using uncertainty to weigh
        losses for scene geometry and semantics, CVPR 2018, arXiv 1705.07115, equation 10, for
        classification; :math:`s_k = \log \sigma_k^2`). "scaled": each loss over that of a model
        which answers with the base rate.
    scales : Tensor
        Loss of the base rate of each task, (K,), above 0.

    Examples
    --------
    >>> losses = torch.tensor([1.0, 3.0])
    >>> LossWeights("equal", torch.tensor([1.0, 6.0]))(losses)
    tensor(4.)
    >>> LossWeights("scaled", torch.tensor([1.0, 6.0]))(losses)
    tensor(1.5000)
    """

    scales: Tensor

    def __init__(self, weighting: Weighting, scales: Tensor) -> None:
        super().__init__()
        self.weighting = weighting
        self.register_buffer("scales", scales)
        learned = weighting == "uncertainty"
        self.log_variance = nn.Parameter(torch.zeros(len(scales))) if learned else None

    def weights(self) -> Tensor:
        """Give what each loss is multiplied by, (K,)."""
        if self.log_variance is not None:
            return (-self.log_variance).exp()
        return 1 / self.scales if self.weighting == "scaled" else torch.ones_like(self.scales)

    def forward(self, losses: Tensor) -> Tensor:
        """Add losses, (K,)."""
        total = (self.weights() * losses).sum()
        return total if self.log_variance is None else total + self.log_variance.sum() / 2

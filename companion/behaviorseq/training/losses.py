r"""Losses for next-item models, free to combine with any encoder.

Each takes the hidden states of n events, the item vectors and the item that followed each event,
and scores item j after event i by :math:`s_{ij} = h_i^\top w_j`. What they differ in is what else
each target is compared with: one other item, some hundred drawn, or the whole catalogue.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's users know

CHUNK_BYTES = 64_000_000  # logits held at a time
# On a CPU so few that they stay in its cache, from which they are read five times; but never of
# fewer rows than these, for each chunk adds to the gradient of all item vectors.
CPU_CHUNK_BYTES, CPU_ROWS = 4_000_000, 16


def generalised_bce(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    negatives: Tensor,
    t: float = 0.0,
    prior: bool = False,
) -> Tensor:
    r"""Binary cross-entropy against drawn negatives, calibrated for how few they are.

    With k negatives out of the :math:`|I| - 1` other items, sampling rate
    :math:`\alpha = k / (|I| - 1)` and :math:`\beta = \alpha (t (1 - 1/\alpha) + 1/\alpha)`,

    .. math:: L = -\frac{1}{k + 1} \Big( \beta \log \sigma(s^+)
                  + \sum_{j=1}^{k} \log(1 - \sigma(s_j^-)) \Big).

    With :math:`t = 0`, :math:`\beta = 1`: plain binary cross-entropy, whose probabilities are too
    high by far, because it sees one positive for k negatives and not for :math:`|I| - 1`. With
    :math:`t = 1`, :math:`\beta = \alpha` undoes that.

    With ``prior``, :math:`s + \log(\beta / k)` stands for each score s. That changes no order of
    items, only where training begins: an untrained network scores all items about 0, says one
    half of each, and its first steps push the vectors of all items together, away from whatever
    history; with the constant, 0 is the best score for a network that knows nothing.

    Parameters
    ----------
    hidden : Tensor
        Shape (n, d).
    weight : Tensor
        Item vectors, shape (n_items, d).
    targets : Tensor
        Item codes, shape (n,).
    negatives : Tensor
        Item codes, shape (n, k), or (k,) to compare all targets with the same. A negative that is
        the target counts as nothing.
    t : float
        Calibration, 0 to 1.
    prior : bool
        Whether training begins at what is best without knowing anything.

    Returns
    -------
    Tensor
        Mean over the n events.

    References
    ----------
    - Petrov and Macdonald, gSASRec: Reducing overconfidence in sequential recommendation trained
      with negative sampling, RecSys 2023, arXiv 2308.07192; as in the authors' code, ``gbce.py``
      of asash/gSASRec-pytorch.
    - Lin, Goyal, Girshick, He and Dollar, Focal loss for dense object detection, ICCV 2017, arXiv
      1708.02002, sections 3.3 and 4.1: a prior in the bias, where one class is rare.
    """
    k, n_items = negatives.shape[-1], len(weight)
    alpha = k / max(1, n_items - 1)
    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    start = math.log(beta / k) if prior else 0.0
    add = hidden.new_full(negatives.shape, start)
    positive, negative = _logits(hidden, weight, targets, negatives, add)  # (n,), (n, k)
    loss = beta * F.softplus(-positive - start) + F.softplus(negative).sum(dim=1)
    return loss.mean() / (k + 1)


def sampled_softmax(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    negatives: Tensor,
    log_q: Tensor | None = None,
) -> Tensor:
    r"""Cross-entropy over the target and drawn negatives, in place of all items.

    .. math:: L = -s^+ + \log\Big( e^{s^+} + \sum_{j=1}^{m} [j \ne +]\, e^{s_j - \log(m q_j)} \Big)

    With the correction :math:`\log(m q_j)`, where :math:`q_j` is the chance of drawing item j,
    the sum inside the logarithm is an unbiased estimate of the full softmax's. The target is
    there for certain, so it takes no correction, and a draw of it counts as nothing. Without
    ``log_q`` the scores that fit best are lower by :math:`\log q_j`: the same order of items where
    all are drawn alike, one that favours rare items otherwise.

    Parameters
    ----------
    hidden : Tensor
        Shape (n, d).
    weight : Tensor
        Item vectors, shape (n_items, d).
    targets : Tensor
        Item codes, shape (n,).
    negatives : Tensor
        Item codes drawn with replacement, shape (m,): the same for all events, so that scoring
        them is one product of matrices; or (n, m).
    log_q : Tensor, optional
        Logarithm of each item's chance in one draw, shape (n_items,).

    Returns
    -------
    Tensor
        Mean over the n events.

    References
    ----------
    - Bengio and Senécal, Adaptive importance sampling to accelerate training of a neural
      probabilistic language model, IEEE Transactions on Neural Networks 2008.
    - Khrylchenko et al., Correcting the logQ correction, RecSys 2025, arXiv 2507.09331, on why the
      target takes no correction.
    """
    add = hidden.new_zeros(negatives.shape)
    if log_q is not None:
        add = -(log_q[negatives] + math.log(negatives.shape[-1])).to(hidden.dtype)
    positive, negative = _logits(hidden, weight, targets, negatives, add)  # (n,), (n, m)
    return F.softplus(negative.logsumexp(dim=1) - positive).mean()  # log(1 + sum / e^positive)


def _logits(
    hidden: Tensor, weight: Tensor, targets: Tensor, negatives: Tensor, add: Tensor
) -> tuple[Tensor, Tensor]:
    """Score targets, (n,), and negatives, (n, k), very low where a negative is the target.

    What comes after gives so low a score a gradient of 0, so masking may bypass autograd, which
    would copy the scores twice. (-inf will not do: a row of nothing else has no gradient.)
    """
    positive = (hidden * F.embedding(targets, weight)).sum(dim=1)
    vectors = F.embedding(negatives, weight)  # (k, d) or (n, k, d)
    if negatives.dim() == 1:
        negative = torch.addmm(add, hidden, vectors.T)  # (n, k)
    else:
        negative = torch.baddbmm(add[:, :, None], vectors, hidden[:, :, None])[:, :, 0]
    with torch.no_grad():
        lowest = torch.finfo(negative.dtype).min / 2
        negative.masked_fill_(negatives == targets[:, None], lowest)
    return positive, negative


def full_softmax(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy over all items, with the scores of a few events held at a time.

    The same value and gradient as ``cross_entropy(hidden @ weight.T, targets)``. The gradient is
    worked out with the value, chunk by chunk, so memory does not grow with n times n_items and
    nothing is computed twice.

    Parameters
    ----------
    hidden : Tensor
        Shape (n, d).
    weight : Tensor
        Item vectors, shape (n_items, d).
    targets : Tensor
        Item codes, shape (n,).

    Returns
    -------
    Tensor
        Mean over the n events.
    """
    # torch's Function is not annotated.
    loss: Tensor = _ChunkedCrossEntropy.apply(hidden, weight, targets)  # type: ignore[no-untyped-call]
    return loss


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Cross-entropy of a linear layer, never holding all logits."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """Compute the mean loss, and its gradients while the softmax is at hand."""
        rows = _rows_held(len(weight) * weight.element_size(), weight.device)
        ctx.for_hidden, ctx.for_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        total = weight.new_zeros(())
        parts = (x.split(rows) for x in (hidden, targets, ctx.for_hidden))
        for h, target, for_h in zip(*parts, strict=True):
            logits = (h @ weight.T).to(weight.dtype)  # (rows, n_items)
            logits -= logits.amax(dim=1, keepdim=True)
            own = logits.gather(1, target[:, None])
            softmax = logits.exp_()  # once: the sum serves the value and the gradient
            z = softmax.sum(dim=1, keepdim=True)
            total += (z.log() - own).sum()
            softmax /= z
            softmax.scatter_add_(1, target[:, None], -torch.ones_like(z))  # less the truth
            for_h.copy_(softmax @ weight)
            ctx.for_weight += softmax.T @ h
        return total / len(targets)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, Tensor, None]:
        """Hand out the gradients."""
        scale = scale / len(ctx.for_hidden)
        return ctx.for_hidden * scale, ctx.for_weight * scale, None


def _rows_held(row_bytes: int, device: torch.device) -> int:
    """Say of how many events the logits are held at a time."""
    rows = CPU_CHUNK_BYTES // row_bytes
    if device.type == "cpu" and rows >= CPU_ROWS:
        return rows
    return max(1, CHUNK_BYTES // row_bytes)


class Loss(ABC):
    """A loss with its settings. ``prepare`` is called once before training.

    A subclass is a dataclass: checkpoints and saved models tell losses by their fields.
    """

    def prepare(self, counts: Tensor) -> None:  # noqa: B027 - most losses need no preparation
        """Learn how often each item occurs in training, shape (n_items,)."""

    @abstractmethod
    def __call__(self, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """Compute the mean loss from (n, d), (n_items, d) and (n,)."""


@dataclass
class BinaryCrossEntropy(Loss):
    """Binary cross-entropy with one uniform negative an event, that of SASRec.

    The negative is any item but the target. SASRec also leaves out the other items of the
    history, which matters in small catalogues only.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> hidden, weight = torch.randn(5, 4), torch.randn(9, 4)
    >>> BinaryCrossEntropy()(hidden, weight, torch.tensor([0, 1, 2, 3, 4])).shape
    torch.Size([])
    """

    def __call__(self, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """Draw one negative for each event and compare."""
        return 2 * generalised_bce(hidden, weight, targets, draw_others(targets, len(weight), 1))


@dataclass
class BPRLoss(Loss):
    r"""Bayesian personalised ranking with one uniform negative an event.

    .. math:: L = -\log \sigma(s^+ - s^-)

    Rendle, Freudenthaler, Gantner and Schmidt-Thieme, BPR: Bayesian personalized ranking from
    implicit feedback, UAI 2009, arXiv 1205.2618, section 4, without the regularisation, which is
    the optimiser's. The negative is any item but the target; BPR also leaves out the user's other
    items, which matters in small catalogues only.
    """

    def __call__(self, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """Draw one negative for each event and compare."""
        other = draw_others(targets, len(weight), 1)[:, 0]
        difference = F.embedding(targets, weight) - F.embedding(other, weight)  # (n, d)
        return F.softplus(-(hidden * difference).sum(dim=1)).mean()


@dataclass
class GBCE(Loss):
    """Generalised binary cross-entropy, that of gSASRec; see :func:`generalised_bce`.

    Parameters
    ----------
    negatives : int
        Uniform negatives of an event.
    t : float
        Calibration, 0 to 1.
    shared : bool
        Draw the negatives once a step, for all its events: much faster, since vectors are read
        once, at the price of steps that differ more from each other.
    prior : bool
        Begin at what is best without knowing anything: worth most where catalogues are large and
        training is short.
    """

    negatives: int = 256
    t: float = 0.75
    shared: bool = False
    prior: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        _require_negatives(self.negatives)
        if not 0 <= self.t <= 1:
            raise ValueError(f"t must be 0 to 1, got {self.t}")

    def __call__(self, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """Draw negatives and compare."""
        if self.shared:
            drawn = torch.randint(len(weight), (self.negatives,), device=targets.device)
        else:
            drawn = draw_others(targets, len(weight), self.negatives)
        return generalised_bce(hidden, weight, targets, drawn, self.t, self.prior)


@dataclass
class SampledSoftmax(Loss):
    r"""Softmax over the target and shared negatives; see :func:`sampled_softmax`.

    Parameters
    ----------
    negatives : int
        Draws of a step, shared by all its events.
    power : float
        Items are drawn in proportion to :math:`(1 + \text{events})^{power}`: 0 is uniform.
    correct : bool
        Whether to correct for the chance of being drawn.
    """

    negatives: int = 512
    power: float = 0.0
    correct: bool = True
    _cumulated: Tensor = field(init=False, repr=False, compare=False)
    _log_q: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the range."""
        _require_negatives(self.negatives)

    def prepare(self, counts: Tensor) -> None:
        """Turn counts into chances."""
        weights = (counts.cpu().double() + 1) ** self.power
        self._cumulated = weights.cumsum(0) / weights.sum()
        self._log_q = (weights / weights.sum()).log().float().to(counts.device)

    def draw(self) -> Tensor:
        """Draw the negatives of a step, shape (negatives,), on the CPU: so few are quick there."""
        chance = torch.rand(self.negatives, dtype=torch.float64)
        found = torch.searchsorted(self._cumulated, chance, right=True)
        return found.clamp_(max=len(self._cumulated) - 1)  # the last sum may fall short of 1

    def __call__(self, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """Draw negatives and compare."""
        log_q = self._log_q if self.correct else None
        drawn = self.draw().to(targets.device, non_blocking=True)
        return sampled_softmax(hidden, weight, targets, drawn, log_q)


@dataclass
class FullSoftmax(Loss):
    """Softmax over all items; see :func:`full_softmax`."""

    def __call__(self, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """Compare with every item."""
        return full_softmax(hidden, weight, targets)


def _require_negatives(negatives: int) -> None:
    if negatives < 1:
        raise ValueError(f"negatives must be 1 or more, got {negatives}")


def draw_others(targets: Tensor, n_items: int, k: int) -> Tensor:
    """Draw k items for each target, each item but the target alike, shape (n, k)."""
    if n_items < 2:
        raise ValueError("a catalogue of 1 item has no other to draw: use FullSoftmax")
    drawn = torch.randint(n_items - 1, (len(targets), k), device=targets.device)
    return drawn + (drawn >= targets[:, None])

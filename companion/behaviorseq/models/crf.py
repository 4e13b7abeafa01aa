"""A linear-chain conditional random field: labels of a whole sequence, chosen together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from behaviorseq.arguments import is_count, require


class LinearChainCRF(nn.Module):
    r"""The probability of a path of labels, given a score for each label at each event.

    With emissions :math:`e_{t,k}` (what an event says for label k, from whatever network), the
    score of a path :math:`y = (y_1, \dots, y_n)` is

    .. math:: s(y) = a_{y_1} + \sum_t e_{t,y_t} + \sum_{t>1} T_{y_{t-1},y_t} + b_{y_n} , \qquad
              P(y) = \frac{\exp s(y)}{\sum_{y'} \exp s(y')} .

    The sum over all paths, :math:`Z`, is taken event by event (forward algorithm), in time
    proportional to the length and to the square of the number of labels. With :math:`a`,
    :math:`b` and :math:`T` all 0, as they are at first, each event is labelled by itself.

    Lafferty, McCallum and Pereira, Conditional random fields: probabilistic models for segmenting
    and labeling sequence data, ICML 2001, section 3.

    Every method takes padded rows: ``emissions`` (B, T, K), and ``mask`` (B, T), True where there
    is an event. Padding stands on the right, and every row has an event.

    Parameters
    ----------
    n_labels : int
        Number of labels, K.

    Examples
    --------
    >>> crf = LinearChainCRF(2)
    >>> emissions = torch.tensor([[[2.0, 0.0], [0.0, 0.5], [2.0, 0.0]]])
    >>> mask = torch.ones(1, 3, dtype=torch.bool)
    >>> crf.decode(emissions, mask)
    tensor([[0, 1, 0]])
    >>> _ = crf.transition.data.copy_(torch.eye(2))  # now it costs something to change
    >>> crf.decode(emissions, mask)
    tensor([[0, 0, 0]])
    """

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        require("n_labels", n_labels, is_count(n_labels), "a whole number of 1 or more")
        self.start = nn.Parameter(torch.zeros(n_labels))
        self.end = nn.Parameter(torch.zeros(n_labels))
        self.transition = nn.Parameter(torch.zeros(n_labels, n_labels))  # from row to column

    def path_score(self, emissions: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        """Give the score of one path of labels (B, T) a row, (B,). Padded labels may be any."""
        _check(emissions, mask, len(self.start))
        labels = labels.where(mask, 0)
        emitted = emissions.gather(2, labels[:, :, None])[:, :, 0]  # (B, T)
        moved = self.transition[labels[:, :-1], labels[:, 1:]]  # (B, T - 1)
        last = labels.gather(1, mask.sum(dim=1, keepdim=True) - 1)[:, 0]  # (B,)
        inside = emitted.where(mask, 0).sum(dim=1) + moved.where(mask[:, 1:], 0).sum(dim=1)
        return self.start[labels[:, 0]] + inside + self.end[last]

    def log_partition(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Give log Z, the logarithm of the sum over all paths, (B,), by the forward algorithm."""
        _check(emissions, mask, len(self.start))
        alpha = self.start + emissions[:, 0]  # (B, K): log-sum of all paths that end in k here
        for t in range(1, emissions.shape[1]):
            reached = alpha[:, :, None] + self.transition  # (B, from, to)
            longer = reached.logsumexp(dim=1) + emissions[:, t]  # (B, K)
            alpha = longer.where(mask[:, t, None], alpha)
        return (alpha + self.end).logsumexp(dim=1)

    def log_likelihood(self, emissions: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        """Give the log-probability of one path of labels (B, T) a row, (B,)."""
        return self.path_score(emissions, labels, mask) - self.log_partition(emissions, mask)

    def marginals(self, emissions: Tensor, mask: Tensor) -> Tensor:
        r"""Give the probability of each label at each event, all paths considered, (B, T, K).

        It is :math:`\partial \log Z / \partial e_{t,k}`: differentiating the forward algorithm
        is the backward algorithm. Padded cells hold 0.
        """
        with torch.enable_grad():
            free = emissions.detach().requires_grad_()
            total = self.log_partition(free, mask).sum()
            (gradient,) = torch.autograd.grad(total, free)
        return gradient

    @torch.no_grad()
    def decode(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Give the most probable path, (B, T), by the Viterbi algorithm. Padded cells hold 0."""
        _check(emissions, mask, len(self.start))
        n = emissions.shape[1]
        best = self.start + emissions[:, 0]  # (B, K): score of the best path that ends in k here
        came = []
        for t in range(1, n):
            value, before = (best[:, :, None] + self.transition).max(dim=1)  # (B, K) each
            best = (value + emissions[:, t]).where(mask[:, t, None], best)
            came.append(before)
        label = (best + self.end).argmax(dim=1)  # (B,): of the last event, wherever it stands
        path = [label]
        for t in range(n - 1, 0, -1):
            label = came[t - 1].gather(1, label[:, None])[:, 0].where(mask[:, t], label)
            path.append(label)
        return torch.stack(path[::-1], dim=1).where(mask, 0)


def _check(emissions: Tensor, mask: Tensor, n_labels: int) -> None:
    if emissions.ndim != 3 or emissions.shape[2] != n_labels or mask.shape != emissions.shape[:2]:
        raise ValueError(
            f"emissions must be (rows, events, {n_labels}) and the mask (rows, events), got "
            f"{tuple(emissions.shape)} and {tuple(mask.shape)}"
        )
    if not bool(mask[:, 0].all()) or bool((mask[:, 1:] & ~mask[:, :-1]).any()):
        raise ValueError(
            "every row of the mask must begin with an event and be padded on the right"
        )

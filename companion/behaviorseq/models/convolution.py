"""Convolutions over histories, and the recommenders NextItNet and Caser made of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's users know

from behaviorseq.arguments import check_counts, require
from behaviorseq.models.network import Dropout, SequenceNetwork


class CausalConvolution(nn.Module):
    """Mixes each event with some earlier ones, ``dilation`` events apart.

    Before the first event there are zeros.
    """

    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.before = (kernel - 1) * dilation
        self.convolution = nn.Conv1d(width, width, kernel, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        """Mix events, shape (B, L, width) in and out."""
        x = F.pad(x.transpose(1, 2), (self.before, 0))  # (B, width, before + L)
        mixed: Tensor = self.convolution(x).transpose(1, 2)  # (B, L, width)
        return mixed


class DilatedBlock(nn.Module):
    """Two dilated convolutions, each normalised and rectified, that add to what is there.

    The residual block (b) of NextItNet. The second convolution reaches twice as
    far back as the first.
    """

    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.near = CausalConvolution(width, kernel, dilation)
        self.far = CausalConvolution(width, kernel, 2 * dilation)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Transform events, shape (B, L, width) in and out."""
        inside = F.relu(self.norm1(self.near(x)))  # (B, L, width)
        return x + F.relu(self.norm2(self.far(inside)))


class DilatedConvolutions(nn.Module):
    """Blocks of dilated convolutions, whose dilations double from one to the next: 1, 2, 4, 8...

    With kernels of 3 two blocks see the last 31 events, three the last 127.

    Parameters
    ----------
    n_items : int
        Number of items.
    width : int
        Length of item vectors and hidden states.
    layers, kernel : int
        Number of blocks, and of events that a convolution mixes.
    dropout : float
        Share of values set to 0 in training: of item vectors, and of the last block's.
    """

    def __init__(
        self,
        n_items: int,
        *,
        width: int = 64,
        layers: int = 2,
        kernel: int = 3,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items, width)
        self.drop = Dropout(dropout)
        self.blocks = nn.Sequential(*(DilatedBlock(width, kernel, 4**i) for i in range(layers)))
        self.out = nn.Linear(width, width)
        nn.init.normal_(self.items.weight, std=width**-0.5)

    def forward(self, items: Tensor, mask: Tensor) -> Tensor:
        """Encode rows of item codes; padding, on the right, is never looked back at."""
        x = self.drop(self.items(items))  # (B, L, width)
        x = self.blocks(x)  # (B, L, width)
        hidden: Tensor = self.out(self.drop(x))  # (B, L, width)
        return hidden


@dataclass(eq=False, kw_only=True)
class NextItNet(SequenceNetwork):
    """Dilated causal convolutions over histories.

    Yuan et al., A simple convolutional generative network for next item recommendation, WSDM 2019,
    arXiv 1808.05163. Different: item vectors are shared between input and output, there is
    dropout, and the loss is free, where the paper has :class:`FullSoftmax`.

    Parameters
    ----------
    layers : int
        Number of blocks of two convolutions.
    kernel : int
        Number of events that a convolution mixes.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import NextItNet, Sequences
    >>> from behaviorseq.training import FullSoftmax, Training
    >>> log = pd.DataFrame({"user": [1] * 6 + [2] * 6, "item": list("abcabcbcabca"),
    ...                     "time": [*range(6)] * 2, "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> training = Training(epochs=60, learning_rate=0.01)
    >>> model = NextItNet(width=8, dropout=0, loss=FullSoftmax(), training=training).fit(histories)
    >>> items, _ = model.recommend(histories, k=1, exclude_seen=False)
    >>> histories.item_ids.decode(items[:, 0]).tolist()  # what comes after c, and after a
    ['a', 'b']
    """

    layers: int = 2
    kernel: int = 3

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        check_counts(self, "layers", "kernel")

    def encoder(self, n_items: int) -> nn.Module:
        """Make the convolutions, untrained."""
        return DilatedConvolutions(
            n_items,
            width=self.width,
            layers=self.layers,
            kernel=self.kernel,
            dropout=self.dropout,
        )


class WindowConvolutions(nn.Module):
    """Convolutions over the last few events, taken as a picture of events by features.

    Horizontal filters look for patterns of some events in a row, and keep where each fits best;
    vertical ones are weighted sums of the events, feature by feature.

    Parameters
    ----------
    n_items : int
        Number of items.
    width : int
        Length of item vectors and hidden states.
    window : int
        Number of last events that are seen; before the first there are zeros.
    horizontal, vertical : int
        Number of horizontal filters of each height, 1 to ``window``, and of vertical filters.
    dropout : float
        Share of values set to 0 in training: of item vectors, and of what the filters find.
    """

    def __init__(
        self,
        n_items: int,
        *,
        width: int = 64,
        window: int = 5,
        horizontal: int = 16,
        vertical: int = 4,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.window = window
        self.items = nn.Embedding(n_items, width)
        self.drop = Dropout(dropout)
        heights = range(1, window + 1)
        self.horizontal = nn.ModuleList(nn.Conv1d(width, horizontal, height) for height in heights)
        self.vertical = nn.Linear(window, vertical)
        self.out = nn.Linear(window * horizontal + width * vertical, width)
        nn.init.normal_(self.items.weight, std=width**-0.5)

    def forward(self, items: Tensor, mask: Tensor) -> Tensor:
        """Encode rows of item codes; padding, on the right, is in no event's window."""
        x = self.drop(self.items(items)).transpose(1, 2)  # (B, width, L)
        x = F.pad(x, (self.window - 1, 0))  # (B, width, window - 1 + L)
        sums = self.vertical(x.unfold(2, self.window, 1))  # (B, width, L, vertical)
        found = [sums.permute(0, 2, 1, 3).flatten(2)]  # (B, L, width * vertical)
        for height, filters in enumerate(self.horizontal, start=1):
            fits = F.relu(filters(x))  # (B, horizontal, window - height + L)
            best = F.max_pool1d(fits, self.window - height + 1, stride=1)  # (B, horizontal, L)
            found.append(best.transpose(1, 2))
        hidden: Tensor = self.out(self.drop(torch.cat(found, dim=2)))  # (B, L, width)
        return hidden


@dataclass(eq=False, kw_only=True)
class Caser(SequenceNetwork):
    """Convolutional filters over the last few events.

    Tang and Wang, Personalized top-N sequential recommendation via convolutional sequence
    embedding, WSDM 2018, arXiv 1809.07426. Different: no vector of the user, since a history alone
    is scored; item vectors are shared between input and output, so the state they are
    multiplied with is not rectified; all events of a history are targets; and the loss is free.

    Parameters
    ----------
    window : int
        Number of last events that are seen, at most ``length``.
    horizontal, vertical : int
        Number of horizontal filters of each height, and of vertical filters.
    """

    window: int = 5
    horizontal: int = 16
    vertical: int = 4

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        check_counts(self, "window", "horizontal", "vertical")
        fits = self.window <= self.length
        require("window", self.window, fits, f"at most the length, {self.length}")

    def encoder(self, n_items: int) -> nn.Module:
        """Make the filters, untrained."""
        return WindowConvolutions(
            n_items,
            width=self.width,
            window=self.window,
            horizontal=self.horizontal,
            vertical=self.vertical,
            dropout=self.dropout,
        )

"""A causal Transformer over histories, and the recommenders SASRec and eSASRec made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's users know

from behaviorseq.arguments import check_counts, is_count, require
from behaviorseq.models.network import Dropout, SequenceNetwork

BlockKind = Literal["plain", "ligr"]


class SelfAttention(nn.Module):
    """Attention: each event looks at itself and at earlier ones, or at all that are shown."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, shown: Tensor | None = None) -> Tensor:
        """Mix events, shape (B, L, width) in and out; causal unless ``shown``, (B, L), is given."""
        q, k, v = self.split(x)  # each (B, heads, L, width / heads)
        seen = None if shown is None else shown[:, None, None, :]  # (B, 1, 1, L)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=seen is None)
        mixed = mixed.transpose(1, 2).flatten(2)  # (B, L, width)
        out: Tensor = self.out(mixed)
        return out

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Make queries, keys and values of all heads."""
        b, length, _ = x.shape  # h heads, each width / h = e
        parts = self.project(x).view(b, length, 3, self.heads, -1)  # (B, L, 3, h, e)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # each (B, h, L, e)
        return q, k, v

    def map(self, x: Tensor, shown: Tensor | None = None) -> Tensor:
        """Give how much event i looks at event j, rows summing to 1, shape (B, heads, L, L)."""
        q, k, _ = self.split(x)
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5  # (B, heads, L, L)
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
        unseen = later if shown is None else ~shown[:, None, None, :]
        weights: Tensor = scores.masked_fill(unseen, -torch.inf).softmax(dim=-1)
        return weights


class Block(nn.Module):
    """Attention between events, then a small network on each: both add to what is there."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.feed_forward: nn.Module = nn.Sequential(
            nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width)
        )
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, shown: Tensor | None = None) -> Tensor:
        """Transform events, shape (B, L, width) in and out."""
        x = x + self.drop(self.attention(self.norm1(x), shown))  # (B, L, width)
        out: Tensor = x + self.drop(self.feed_forward(self.norm2(x)))  # (B, L, inner) in between
        return out

    def attention_map(self, x: Tensor, shown: Tensor | None = None) -> Tensor:
        """Give the attention that ``forward`` pays, shape (B, heads, L, L)."""
        return self.attention.map(self.norm1(x), shown)


class SwiGLU(nn.Module):
    """A small network on each event, one half of whose inner values opens or shuts the other.

    Shazeer, GLU variants improve Transformer, arXiv 2002.05202, equation 6.
    """

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.gate, self.up = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, width, bias=False)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Transform events, shape (B, L, width) in and out."""
        inside = F.silu(self.gate(x)) * self.up(x)  # (B, L, inner)
        out: Tensor = self.down(self.drop(inside))
        return out


class LiGRBlock(Block):
    """A block whose two parts each add through a gate, which reads what is there.

    Borisyuk et al., From features to Transformers: Redefining ranking for scalable impact, arXiv
    2502.03417; with SwiGLU inside, as in the authors' code of eSASRec.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__(width, heads, inner, dropout)
        self.feed_forward = SwiGLU(width, inner, dropout)
        self.gate1, self.gate2 = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor, shown: Tensor | None = None) -> Tensor:
        """Transform events, shape (B, L, width) in and out."""
        mixed = self.drop(self.attention(self.norm1(x), shown))  # (B, L, width)
        x = x + torch.sigmoid(self.gate1(x)) * mixed
        added = self.drop(self.feed_forward(self.norm2(x)))  # (B, L, width)
        out: Tensor = x + torch.sigmoid(self.gate2(x)) * added
        return out


BLOCKS: dict[str, type[Block]] = {"plain": Block, "ligr": LiGRBlock}


class Transformer(nn.Module):
    """Causal Transformer with learned positions and normalisation before each part.

    Parameters
    ----------
    n_items : int
        Number of items.
    width : int
        Length of item vectors and hidden states.
    length : int
        Most events in a row.
    layers, heads, inner : int
        Number of blocks, of attention heads, and width of the network inside a block.
    dropout : float
        Share of values set to 0 in training.
    block : {"plain", "ligr"}
        Kind of the blocks: :class:`Block` or :class:`LiGRBlock`.
    """

    def __init__(
        self,
        n_items: int,
        *,
        width: int = 64,
        length: int = 50,
        layers: int = 2,
        heads: int = 2,
        inner: int = 64,
        dropout: float = 0.2,
        block: BlockKind = "plain",
    ) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items, width)
        self.positions = nn.Embedding(length, width)
        self.drop = Dropout(dropout)
        kind = BLOCKS[block]
        self.blocks = nn.ModuleList(kind(width, heads, inner, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.items.weight, std=width**-0.5)
        nn.init.normal_(self.positions.weight, std=width**-0.5)

    def vectors(self, items: Tensor) -> Tensor:
        """Give the vectors of items, shape (B, L, width)."""
        found: Tensor = self.items(items)
        return found

    def embed(self, items: Tensor, mask: Tensor) -> Tensor:
        """Add the vectors of items and positions, counted back from the row's last event."""
        back = mask.sum(dim=1, keepdim=True) - mask.cumsum(dim=1)  # (B, L): 0 at the last event
        x = self.vectors(items) + self.positions(back)  # (B, L, width)
        dropped: Tensor = self.drop(x)
        return dropped

    def shown(self, mask: Tensor) -> Tensor | None:
        """Tell which events all others see, (B, L); None where attention is causal.

        Padding stands on the right, where no event sees it, so causal attention needs no mask.
        """
        return None

    def forward(self, items: Tensor, mask: Tensor) -> Tensor:
        """Encode rows of item codes."""
        x, shown = self.embed(items, mask), self.shown(mask)  # (B, L, width)
        for block in self.blocks:
            x = block(x, shown)  # (B, L, width)
        hidden: Tensor = self.norm(x)  # (B, L, width)
        return hidden

    def attention_maps(self, items: Tensor, mask: Tensor) -> list[Tensor]:
        """Give the attention of each block, shape (B, heads, L, L) each, for figures."""
        x, shown, maps = self.embed(items, mask), self.shown(mask), []
        for block in self.blocks:
            assert isinstance(block, Block)
            maps.append(block.attention_map(x, shown))
            x = block(x, shown)
        return maps


@dataclass(eq=False, kw_only=True)
class SASRec(SequenceNetwork):
    """Self-attentive sequential recommendation, a causal Transformer over histories.

    Kang and McAuley, Self-attentive sequential recommendation, ICDM 2018, arXiv 1808.09781.
    As there: learned positions, item vectors shared between input and output, a feed-forward
    network as wide as the rest. Different: normalisation before each part and not of the queries
    alone; no dropout of attention weights; and the loss is free, sampled softmax unless said
    otherwise, where the paper compares with one negative (:class:`BinaryCrossEntropy`).

    Parameters
    ----------
    layers : int
        Number of Transformer blocks.
    heads : int
        Number of attention heads, a divisor of ``width``.
    inner : int, optional
        Width of the network inside a block. If None ``width``, in LiGR blocks four times that.
    block : {"plain", "ligr"}
        Kind of the blocks; :class:`ESASRec` has the latter.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import SASRec, Sequences
    >>> from behaviorseq.training import FullSoftmax, Training
    >>> log = pd.DataFrame({"user": [1] * 6 + [2] * 6, "item": list("abcabcbcabca"),
    ...                     "time": [*range(6)] * 2, "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> training = Training(epochs=60, learning_rate=0.01)
    >>> model = SASRec(width=8, dropout=0, loss=FullSoftmax(), training=training).fit(histories)
    >>> items, _ = model.recommend(histories, k=1, exclude_seen=False)
    >>> histories.item_ids.decode(items[:, 0]).tolist()  # what comes after c, and after a
    ['a', 'b']
    """

    layers: int = 2
    heads: int = 2
    inner: int | None = None
    block: BlockKind = "plain"

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        check_counts(self, "layers", "heads")
        inner = self.inner
        require("inner", inner, inner is None or is_count(inner), "1 or more, or None")
        divides = self.width % self.heads == 0
        require("heads", self.heads, divides, f"a divisor of the width, {self.width}")
        kinds = get_args(BlockKind)
        require("block", self.block, self.block in kinds, f"one of {kinds}")

    @property
    def inner_width(self) -> int:
        """Width of the network inside a block."""
        return self.inner or self.width * (4 if self.block == "ligr" else 1)

    def encoder(self, n_items: int) -> nn.Module:
        """Make the Transformer, untrained."""
        return Transformer(
            n_items,
            width=self.width,
            length=self.length,
            layers=self.layers,
            heads=self.heads,
            inner=self.inner_width,
            dropout=self.dropout,
            block=self.block,
        )


@dataclass(eq=False, kw_only=True)
class ESASRec(SASRec):
    """SASRec with LiGR blocks and sampled softmax.

    Tikhonovich et al., eSASRec: Enhancing Transformer-based recommendations in a modular fashion,
    RecSys 2025, arXiv 2508.06450. Different: states are normalised once more after the last
    block, attention weights have no dropout, and negatives are shared by a step.
    """

    block: BlockKind = "ligr"

"""Where training starts: item vectors that are not drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from behaviorseq.arguments import require

if TYPE_CHECKING:
    from numpy.typing import NDArray


def begin_with(network: torch.nn.Module, vectors: NDArray[np.float32]) -> None:
    """Let the item vectors of a network begin with these directions, and keep their lengths.

    Parameters
    ----------
    network : torch.nn.Module
        With a table ``items.weight``, shape (n_items, d).
    vectors : NDArray[float32]
        Shape (n_items, d); a row of zeros leaves the network's.

    Raises
    ------
    ValueError
        If the network has no such table, the shape is another, or a number is not finite.
    """
    table = dict(network.named_parameters()).get("items.weight")
    if table is None:
        raise ValueError("this network has no table of item vectors: leave start out")
    shape = tuple(table.shape)
    require("the shape of start", vectors.shape, vectors.shape == shape, f"{shape}")
    require("start", vectors, bool(np.isfinite(vectors).all()), "finite numbers")
    new = torch.from_numpy(vectors).to(table.device)
    size = new.norm(dim=1, keepdim=True)
    with torch.no_grad():
        scaled = new / size.clamp(min=1e-12) * table.norm(dim=1, keepdim=True)
        table.copy_(torch.where(size > 0, scaled, table))

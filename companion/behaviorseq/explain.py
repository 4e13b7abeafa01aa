"""What a network's answer hangs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def gradient_norms(network: torch.nn.Module, items: torch.Tensor) -> NDArray[Any]:
    r"""Give how strongly the last state of a network hangs on each event, by distance.

    With :math:`x_t` the vector of event t and :math:`h_L` the state after the last one, it is the
    Frobenius norm of the matrix of derivatives :math:`\partial h_L / \partial x_{L-d}` for d = 0,
    1, ..., L - 1: how far the state moves for a small move of the vector of the event d places
    back, over that small size, in the root of the sum of squares over all directions. Training
    goes by these derivatives: where they vanish, next to nothing is learned from events so far
    back (Bengio, Simard and Frasconi, Learning long-term dependencies with gradient descent is
    difficult, IEEE Transactions on Neural Networks, 1994).

    Parameters
    ----------
    network : torch.nn.Module
        An encoder: ``network(items, mask)`` gives states, (n_rows, L, width), and reads the
        vectors of items by its embedding ``network.items``, once. It is put into evaluation mode.
    items : Tensor
        Item codes without padding, shape (n_rows, L).

    Returns
    -------
    NDArray
        Shape (n_rows, L): column d belongs to distance d.

    Raises
    ------
    ValueError
        If the network does not read its items by one call of ``network.items``.

    Examples
    --------
    >>> from behaviorseq import NextItNet
    >>> network = NextItNet(width=8, layers=1).encoder(5)  # sees seven events
    >>> norms = gradient_norms(network, torch.arange(20).reshape(2, 10) % 5)
    >>> (norms > 0).all(axis=0).astype(int).tolist()
    [1, 1, 1, 1, 1, 1, 1, 0, 0, 0]
    """
    network.eval()
    read: list[torch.Tensor] = []
    hook = network.get_submodule("items").register_forward_hook(lambda m, i, out: read.append(out))
    try:
        states = network(items, torch.ones_like(items, dtype=torch.bool))  # (n_rows, L, width)
    finally:
        hook.remove()
    if len(read) != 1 or read[0].shape[:2] != items.shape:
        raise ValueError("the network must read its items by one call of its embedding 'items'")
    squares = torch.zeros(items.shape, dtype=states.dtype, device=states.device)
    for number in states[:, -1].sum(dim=0):  # rows do not touch each other: their sum tells all
        (slope,) = torch.autograd.grad(number, read[0], retain_graph=True)  # (n_rows, L, width)
        squares += slope.square().sum(dim=2)
    norms: NDArray[Any] = squares.sqrt().flip(1).cpu().numpy()
    return norms


def gradient_cosines(
    losses: torch.Tensor, parameters: Iterable[torch.nn.Parameter]
) -> NDArray[np.float64]:
    r"""Give the cosines between the gradients of several losses on parameters that they share.

    Where a cosine is below 0, a small step down one of the two losses leads up the other: their
    gradients conflict (Yu et al., Gradient surgery for multi-task learning, NeurIPS 2020, arXiv
    2001.06782, definition 1).

    Parameters
    ----------
    losses : Tensor
        Of each task, (K,), with their graph.
    parameters : iterable of Parameter
        What the tasks share.

    Returns
    -------
    NDArray[float64]
        Shape (K, K), symmetric, 1 on the diagonal; NaN for a loss without a gradient.

    Examples
    --------
    >>> w = torch.nn.Parameter(torch.tensor([1.0, 0.0]))
    >>> losses = torch.stack([w.sum(), -w[0], w[1]])
    >>> gradient_cosines(losses, [w]).round(2).tolist()
    [[1.0, -0.71, 0.71], [-0.71, 1.0, 0.0], [0.71, 0.0, 1.0]]
    """
    shared = list(parameters)
    rows = []
    for loss in losses:
        found = torch.autograd.grad(
            loss, shared, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        rows.append(torch.cat([part.flatten() for part in found]).double())
    slopes = torch.stack(rows)  # (K, n_parameters)
    slopes = slopes / slopes.norm(dim=1, keepdim=True)
    cosines: NDArray[np.float64] = (slopes @ slopes.T).cpu().numpy() + 0.0  # no -0
    return cosines

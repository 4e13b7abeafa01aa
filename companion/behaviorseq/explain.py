"""What a network's answer hangs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
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

"""Gradients by distance: equal to products of matrices, and zero where a network cannot look."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from behaviorseq import Caser, GCNRec, GRU4Rec, LSTMRec, SASRec
from behaviorseq.explain import gradient_cosines, gradient_norms
from behaviorseq.training.fit import seeded

ITEMS = torch.from_numpy(np.random.default_rng(0).integers(0, 30, (3, 12)))


def made(model: GRU4Rec | SASRec | Caser) -> nn.Module:
    with seeded(0):
        return model.encoder(30).double()


def test_same_as_the_product_of_the_steps_of_an_rnn() -> None:
    network = made(GRU4Rec(cell="rnn", width=6))
    norms = gradient_norms(network, ITEMS)
    cell = network.get_submodule("recurrent")
    assert isinstance(cell, nn.RNN)
    states, _ = cell(network.get_submodule("items")(ITEMS))
    for row, h in enumerate(states.detach()):
        back = network.get_submodule("out").weight.detach()
        for distance in range(ITEMS.shape[1]):
            back = back * (1 - h[-1 - distance] ** 2)  # through tanh
            expected = (back @ cell.weight_ih_l0.detach()).norm().item()
            assert norms[row, distance] == pytest.approx(expected, rel=1e-9)
            back = back @ cell.weight_hh_l0.detach()


@pytest.mark.parametrize("model", [LSTMRec(width=6), SASRec(width=6, length=12)])
def test_same_as_finite_differences(model: GRU4Rec | SASRec) -> None:
    network = made(model)
    norms = gradient_norms(network, ITEMS)
    mask = torch.ones_like(ITEMS, dtype=torch.bool)
    step, place, squares = 1e-6, 4, np.zeros(len(ITEMS))
    for number in range(6):
        states = []
        for sign in (1, -1):

            def nudged(m: nn.Module, i: object, out: torch.Tensor, move: float = sign * step):  # type: ignore[no-untyped-def]
                moved = out.clone()
                moved[:, place, number] += move  # noqa: B023 - called before the next number
                return moved

            hook = network.get_submodule("items").register_forward_hook(nudged)
            states.append(network(ITEMS, mask)[:, -1].detach())
            hook.remove()
        squares += ((states[0] - states[1]) / (2 * step)).square().sum(dim=1).numpy()
    assert norms[:, ITEMS.shape[1] - 1 - place] == pytest.approx(np.sqrt(squares), rel=1e-5)


def test_nothing_comes_from_outside_a_window() -> None:
    norms = gradient_norms(made(Caser(width=6, window=4)), ITEMS)
    assert (norms[:, :4] > 0).all()
    assert (norms[:, 4:] == 0).all()


def test_dropout_is_off_and_the_network_unharmed() -> None:
    network = made(GRU4Rec(width=6, dropout=0.5)).train()
    first, again = gradient_norms(network, ITEMS), gradient_norms(network, ITEMS)
    assert (first == again).all()
    assert all(p.grad is None for p in network.parameters())
    assert not network.get_submodule("items")._forward_hooks


@pytest.mark.parametrize("model", [GCNRec(width=6)])
def test_a_network_that_reads_otherwise_is_refused(model: GCNRec) -> None:
    with pytest.raises(ValueError, match="one call"):
        gradient_norms(model.encoder(30), ITEMS)


def test_cosines_are_those_of_gradients_by_hand() -> None:
    """Of three losses of one linear map, whose gradients can be written down."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 4)), rng.normal(size=(3, 20))
    w = torch.nn.Parameter(torch.from_numpy(rng.normal(size=4)))
    unused = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    errors = torch.from_numpy(x) @ w - torch.from_numpy(y)
    found = gradient_cosines(errors.square().mean(dim=1), [w, unused])
    slopes = [2 * x.T @ (x @ w.detach().numpy() - row) / 20 for row in y]
    for i in range(3):
        for j in range(3):
            lengths = np.linalg.norm(slopes[i]) * np.linalg.norm(slopes[j])
            assert found[i, j] == pytest.approx(slopes[i] @ slopes[j] / lengths, rel=1e-9)
    assert w.grad is None

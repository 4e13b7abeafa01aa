"""Recurrent networks against the equations, one event at a time."""

import pytest
import torch

from behaviorseq.models.recurrent import Recurrent


def gates(cell, x, state, names=("weight_ih_l0", "bias_ih_l0", "weight_hh_l0", "bias_hh_l0")):
    w, b, u, c = (getattr(cell, name) for name in names)
    return w @ x + b, u @ state + c


def rnn(cell, x, state):
    a, b = gates(cell, x, state[0])
    return (torch.tanh(a + b),)


def gru(cell, x, state):
    (h,) = state
    a, b = (part.chunk(3) for part in gates(cell, x, h))
    reset, update = (torch.sigmoid(a[i] + b[i]) for i in (0, 1))
    new = torch.tanh(a[2] + reset * b[2])
    return ((1 - update) * new + update * h,)


def lstm(cell, x, state):
    h, c = state
    a, b = gates(cell, x, h)
    i, f, g, o = (a + b).chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


@pytest.mark.parametrize(
    ("name", "step", "n"), [("rnn", rnn, 1), ("gru", gru, 1), ("lstm", lstm, 2)]
)
def test_each_cell_equals_its_equations_in_value_and_gradient(name, step, n):
    torch.manual_seed(0)
    net = Recurrent(9, width=4, cell=name, inner=5, dropout=0.0).double()
    items = torch.tensor([[1, 5, 2, 8], [3, 3, 0, 0]])
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    expected = []
    for row, length in enumerate(mask.sum(dim=1)):
        state = tuple(torch.zeros(5, dtype=torch.float64) for _ in range(n))
        for place in range(length):
            state = step(net.recurrent, net.items.weight[items[row, place]], state)
            expected.append(net.out(state[0]))
    ours, expected = net(items, mask)[mask], torch.stack(expected)
    torch.testing.assert_close(ours, expected)
    direction = torch.randn_like(ours)
    gradients = [
        torch.autograd.grad((value * direction).sum(), list(net.parameters()))
        for value in (ours, expected)
    ]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_layers_and_states_have_the_sizes_asked_for():
    net = Recurrent(9, width=4, cell="lstm", layers=3, inner=7)
    assert net.recurrent.num_layers == 3
    assert net.recurrent.hidden_size == 7
    assert net(torch.zeros(2, 5, dtype=torch.long), torch.ones(2, 5)).shape == (2, 5, 4)


def test_dropout_is_of_item_vectors_and_of_states():
    net = Recurrent(9, width=4, cell="gru", inner=7, dropout=0.5)
    dropped = []
    net.drop.register_forward_hook(lambda _, given, out: dropped.append((given[0].shape, out)))
    torch.manual_seed(0)
    net(torch.zeros(20, 5, dtype=torch.long), torch.ones(20, 5))
    assert [shape for shape, _ in dropped] == [(20, 5, 4), (20, 5, 7)]
    assert all(0.3 < (out == 0).float().mean() < 0.7 for _, out in dropped)

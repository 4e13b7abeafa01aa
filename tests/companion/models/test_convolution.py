"""Convolutions against loops over events, filters and heights, in value and gradient."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from behaviorseq.models.convolution import (
    CausalConvolution,
    DilatedConvolutions,
    WindowConvolutions,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


ITEMS = torch.tensor([[1, 5, 2, 8, 0, 3, 5], [3, 3, 7, 0, 0, 0, 0]])
MASK = torch.tensor([[True] * 7, [True] * 3 + [False] * 4])


def assert_same(net, ours, expected):
    """Compare values, and gradients of all parameters."""
    torch.testing.assert_close(ours, expected)
    direction = torch.randn_like(ours)
    gradients = [
        torch.autograd.grad((value * direction).sum(), list(net.parameters()))
        for value in (ours, expected)
    ]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs)


def convolved(layer, rows):
    """Mix a list of vectors: event t with events t - dilation, t - 2 * dilation ..."""
    weight, bias = layer.convolution.weight, layer.convolution.bias  # (out, in, kernel), (out,)
    kernel, (dilation,) = weight.shape[2], layer.convolution.dilation
    out = []
    for t in range(len(rows)):
        total = bias
        for back in range(kernel):
            if t - back * dilation >= 0:
                total = total + weight[:, :, kernel - 1 - back] @ rows[t - back * dilation]
        out.append(total)
    return out


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (2, 1), (3, 2), (3, 8)])
def test_a_causal_convolution_equals_a_loop(kernel, dilation):
    layer = CausalConvolution(4, kernel, dilation).double()
    x = torch.randn(1, 7, 4, dtype=torch.float64)
    assert_same(layer, layer(x)[0], torch.stack(convolved(layer, list(x[0]))))


def norm(layer, x):
    spread = (x - x.mean()) / torch.sqrt(((x - x.mean()) ** 2).mean() + layer.eps)
    return spread * layer.weight + layer.bias


def test_dilated_blocks_equal_the_equations():
    net = DilatedConvolutions(9, width=4, layers=2, kernel=3, dropout=0.0).double()
    dilations = [b.convolution.dilation[0] for block in net.blocks for b in (block.near, block.far)]
    assert dilations == [1, 2, 4, 8]
    for block in net.blocks:
        block.norm1.weight.data.uniform_(0.5, 1.5)
    expected = []
    for items, mask in zip(ITEMS, MASK, strict=True):
        x = [net.items.weight[i] for i in items[mask]]
        for block in net.blocks:
            inside = [torch.relu(norm(block.norm1, v)) for v in convolved(block.near, x)]
            added = [torch.relu(norm(block.norm2, v)) for v in convolved(block.far, inside)]
            x = [a + b for a, b in zip(x, added, strict=True)]
        expected += [net.out(v) for v in x]
    assert_same(net, net(ITEMS, MASK)[MASK], torch.stack(expected))


def test_window_filters_equal_the_equations():
    net = WindowConvolutions(9, width=4, window=3, horizontal=2, vertical=2, dropout=0.0).double()
    expected = []
    for items, mask in zip(ITEMS, MASK, strict=True):
        vectors = [torch.zeros(4, dtype=torch.float64)] * 2
        vectors += [net.items.weight[i] for i in items[mask]]
        for t in range(int(mask.sum())):
            picture = torch.stack(vectors[t : t + 3])  # (window, width)
            found = [(net.vertical.weight @ picture + net.vertical.bias[:, None]).T.flatten()]
            for height, filters in enumerate(net.horizontal, start=1):
                for weight, bias in zip(filters.weight, filters.bias, strict=True):
                    fits = [
                        F.relu((picture[i : i + height] * weight.T).sum() + bias)
                        for i in range(3 - height + 1)
                    ]
                    found.append(torch.stack(fits).max()[None])
            expected.append(net.out(torch.cat(found)))
    assert_same(net, net(ITEMS, MASK)[MASK], torch.stack(expected))


def test_a_window_sees_its_events_and_no_others():
    net = WindowConvolutions(20, width=8, window=3).eval()
    before = net(torch.arange(8)[None], torch.ones(1, 8, dtype=torch.bool))
    items = torch.arange(8)[None].clone()
    items[0, 2] = 19
    after = net(items, torch.ones(1, 8, dtype=torch.bool))
    changed = (after != before).any(dim=2)[0]
    assert changed.tolist() == [False, False, True, True, True, False, False, False]


@pytest.mark.parametrize(("layers", "reach"), [(1, 7), (2, 31)])
def test_blocks_reach_as_far_back_as_said(layers, reach):
    net = DilatedConvolutions(40, width=16, layers=layers, dropout=0.0).eval()
    hidden = net(torch.arange(40)[None], torch.ones(1, 40, dtype=torch.bool))
    (hidden[0, -1] @ torch.randn(16)).backward()
    reached = net.items.weight.grad.abs().sum(dim=1) > 0
    assert not reached[: 40 - reach].any()
    assert reached[40 - reach]

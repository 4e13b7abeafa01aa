"""Graphs of histories and the network over them, against dictionaries and loops."""

import itertools

import numpy as np
import torch

from behaviorseq.models.session_graph import SessionGraph, session_graphs

ITEMS = torch.tensor([[1, 5, 1, 8, 5, 1, 8], [3, 3, 7, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0]])
MASK = torch.arange(7) < torch.tensor([[7], [3], [1]])


def graph(events):
    """Count how often each item leads to each other one."""
    edges = {}
    for a, b in itertools.pairwise(events):
        edges[a, b] = edges.get((a, b), 0) + 1
    return edges


def test_graphs_equal_counts_in_dictionaries():
    node, incoming, outgoing = session_graphs(ITEMS, MASK)
    for row in range(len(ITEMS)):
        events = ITEMS[row][MASK[row]].tolist()
        assert node[row][MASK[row]].tolist() == [events.index(i) for i in events]
        assert not node[row][~MASK[row]].any()
        edges = graph(events)
        expected = np.zeros((2, 7, 7))
        for (a, b), times in edges.items():
            out = sum(t for (x, _), t in edges.items() if x == a)
            into = sum(t for (_, y), t in edges.items() if y == b)
            expected[0, events.index(b), events.index(a)] = times / into
            expected[1, events.index(a), events.index(b)] = times / out
        np.testing.assert_allclose(incoming[row], expected[0], atol=1e-7)
        np.testing.assert_allclose(outgoing[row], expected[1], atol=1e-7)


def gru(cell, message, state):
    w, b, u, c = cell.weight_ih, cell.bias_ih, cell.weight_hh, cell.bias_hh
    a, h = (w @ message + b).chunk(3), (u @ state + c).chunk(3)
    reset, keep = torch.sigmoid(a[0] + h[0]), torch.sigmoid(a[1] + h[1])
    return (1 - keep) * torch.tanh(a[2] + reset * h[2]) + keep * state


def encoded(net, events):
    """Read one history, item by item and edge by edge."""
    edges = graph(events)
    state = {i: net.items.weight[i] for i in events}
    none = torch.zeros(net.items.embedding_dim, dtype=torch.float64)
    for _ in range(net.steps):
        new = {}
        for i in state:
            before, after = none, none
            into = sum(t for (_, b), t in edges.items() if b == i)
            out = sum(t for (a, _), t in edges.items() if a == i)
            for (a, b), times in edges.items():
                if b == i:
                    before = before + times / into * net.from_before(state[a])
                if a == i:
                    after = after + times / out * net.from_after(state[b])
            new[i] = gru(net.update, torch.cat([before, after]), state[i])
        state = new
    last = state[events[-1]]
    whole = none
    for i in events:  # an item that comes twice counts twice
        weight = net.weigh(torch.sigmoid(net.of_last(last) + net.of_each(state[i])))
        whole = whole + weight * state[i]
    return net.out(torch.cat([whole, last]))


def test_the_network_equals_the_equations_in_value_and_gradient():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    try:
        net = SessionGraph(9, width=4, steps=2, dropout=0.0)
        hidden = net(ITEMS, MASK)
    finally:
        torch.set_default_dtype(torch.float32)
    expected = torch.stack([encoded(net, i[m].tolist()) for i, m in zip(ITEMS, MASK, strict=True)])
    assert torch.equal(hidden, hidden[:, :1].expand_as(hidden))
    torch.testing.assert_close(hidden[:, 0], expected)
    direction = torch.randn_like(expected)
    gradients = [
        torch.autograd.grad((value * direction).sum(), list(net.parameters()))
        for value in (hidden[:, 0], expected)
    ]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs)

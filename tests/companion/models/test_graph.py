"""Graphs and graph convolutions against dense float64 products, loops and PyTorch Geometric."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from behaviorseq import GCNRec, item_graph
from behaviorseq.models.graph import (
    Graph,
    GraphConvolution,
    GraphEncoder,
    decayed_mean,
    normalized,
)
from behaviorseq.training import FullSoftmax, Training, padded
from behaviorseq.training.fit import item_vectors

SHORT = Training(epochs=2, batch_size=4, learning_rate=0.01)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def weighted_graph(n=7, seed=0):
    """Give a random symmetric weighted graph; its last node has no edge."""
    rng = np.random.default_rng(seed)
    dense = rng.random((n, n)) * (rng.random((n, n)) < 0.4)
    dense = np.triu(dense, 1)
    dense[:, -1] = 0
    return sp.csr_array(dense + dense.T)


def test_propagation_equals_a_dense_product_in_value_and_gradient():
    matrix = normalized(weighted_graph())
    graph = Graph(matrix).double()
    x = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    dense = torch.from_numpy(matrix.toarray().astype(np.float64))
    torch.testing.assert_close(graph(x), dense @ x)
    assert torch.autograd.gradcheck(graph, x)
    assert Graph(matrix)(x.float()).dtype == torch.float32
    assert graph.degrees().tolist() == np.diff(matrix.indptr).tolist()


def gcn_conv(graph):
    """Give PyTorch Geometric's layer and the edges and weights it takes."""
    geometric = pytest.importorskip("torch_geometric.nn")
    edges = graph.tocoo()
    index = torch.from_numpy(np.stack([edges.row, edges.col]).astype(np.int64))
    return geometric.GCNConv(4, 5).double(), index, torch.from_numpy(edges.data)


def test_a_convolution_equals_pytorch_geometrics_in_value_and_gradient():
    graph = weighted_graph()
    theirs, index, weights = gcn_conv(graph)
    ours = GraphConvolution(4, 5).double()
    with torch.no_grad():
        theirs.bias.normal_()
        ours.weight.copy_(theirs.lin.weight.T)
        ours.bias.copy_(theirs.bias)
    own = Graph(normalized(graph)).double()
    own.weights.copy_(torch.from_numpy(in_float64(graph).data))
    x = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    a, b = ours(own, x), theirs(x, index, weights)
    torch.testing.assert_close(a, b)
    direction = torch.randn_like(a)
    mine = torch.autograd.grad((a * direction).sum(), (x, ours.weight, ours.bias))
    other = torch.autograd.grad((b * direction).sum(), (x, theirs.lin.weight, theirs.bias))
    torch.testing.assert_close(mine, (other[0], other[1].T, other[2]))


def in_float64(graph):
    """Normalise with self loops without rounding to float32."""
    dense = graph.toarray() + np.eye(graph.shape[0])
    root = 1 / np.sqrt(dense.sum(axis=1))
    return sp.csr_array(root[:, None] * dense * root)


def test_item_vectors_equal_the_equation(make_log):
    log = make_log(2)
    for layers in (0, 1, 2, 3):
        model = GCNRec(width=4, layers=layers, neighbors=2, training=SHORT).fit(log)
        matrix = normalized(item_graph(log, neighbors=2)).toarray().astype(np.float64)
        own = model.network.items.weight.detach().double().numpy()
        x = own
        for place, layer in enumerate(model.network.convolutions):
            x = np.maximum(x, 0) if place else x
            weight, bias = (p.detach().double().numpy() for p in (layer.weight, layer.bias))
            x = matrix @ (x @ weight) + bias
        expected = own + x if layers else own
        ours = item_vectors(model.network).detach().numpy()
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def faded(x, decay):
    """Average the vectors of a row up to each place, one after the other."""
    out = []
    for place in range(len(x)):
        weights = [decay ** (place - s) for s in range(place + 1)]
        out.append(sum(w * x[s] for s, w in enumerate(weights)) / sum(weights))
    return torch.stack(out)


@pytest.mark.parametrize("reader", ["mean", "gru"])
def test_the_encoder_equals_dense_products_in_value_and_gradient(reader):
    matrix = in_float64(weighted_graph(9))
    net = GraphEncoder(9, width=4, layers=2, reader=reader, decay=0.7, dropout=0.0).double()
    net.graph = Graph(matrix).double()
    net.graph.weights.copy_(torch.from_numpy(matrix.data))
    items, mask = torch.tensor([[1, 5, 2, 8], [3, 7, 0, 0]]), torch.tensor([[True] * 4, [True] * 4])
    mask[1, 2:] = False
    hat, own, (one, two) = torch.from_numpy(matrix.toarray()), net.items.weight, net.convolutions
    inside = torch.relu(hat @ (own @ one.weight) + one.bias)
    vectors = own + hat @ (inside @ two.weight) + two.bias
    rows = [vectors[row[real]] for row, real in zip(items, mask, strict=True)]
    states = [faded(x, 0.7) if reader == "mean" else net.recurrent(x[None])[0][0] for x in rows]
    theirs = torch.cat(states) @ net.out.weight.T + net.out.bias
    ours = net(items, mask)[mask]
    torch.testing.assert_close(ours, theirs)
    direction = torch.randn_like(ours)
    gradients = [
        torch.autograd.grad((value * direction).sum(), list(net.parameters()))
        for value in (ours, theirs)
    ]
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other)


def test_the_decayed_mean_equals_a_loop_and_needs_no_later_event():
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    for decay in (0.5, 1.0):
        ours = decayed_mean(x, decay)
        torch.testing.assert_close(ours, torch.stack([faded(row, decay) for row in x]))


@pytest.mark.parametrize("reader", ["mean", "gru"])
def test_over_a_real_graph_too_a_later_item_changes_no_earlier_state(reader, make_log):
    log = make_log(4, n_users=30)
    network = GCNRec(width=8, reader=reader, training=SHORT).fit(log).network
    assert network.graph.degrees().max() > 1
    items, mask = torch.randint(log.n_items, (3, 6)), torch.ones(3, 6, dtype=torch.bool)
    before = network(items, mask)
    for place in range(6):
        changed = items.clone()
        changed[:, place] = (items[:, place] + 1) % log.n_items
        after = network(changed, mask)
        torch.testing.assert_close(after[:, :place], before[:, :place], rtol=0, atol=1e-6)
        assert (after[:, place:] != before[:, place:]).any(dim=2).all()


def test_the_gradient_of_an_item_reaches_its_neighbours_and_no_further(make_log):
    log = make_log(4, n_users=8, n_items=30)
    network = GCNRec(width=4, layers=1, neighbors=1, training=SHORT).fit(log).network
    network.zero_grad()
    items, mask = padded(np.array([2], dtype=np.int32), np.array([0]), np.array([1]))
    network(torch.from_numpy(items), torch.from_numpy(mask)).square().sum().backward()
    reached = network.items.weight.grad.abs().sum(dim=1) > 0
    neighbours = item_graph(log, neighbors=1).toarray()[2] > 0
    assert 0 < neighbours.sum() < 29
    np.testing.assert_array_equal(reached.numpy(), neighbours | (np.arange(30) == 2))


def test_a_checkpoint_and_a_saved_model_hold_their_graph(make_log, tmp_path):
    log = make_log(5, n_users=30)
    model = GCNRec(width=8, training=SHORT).fit(log)
    model.save(tmp_path)
    loaded = GCNRec.load(tmp_path)
    assert torch.equal(loaded.network.graph.ends, model.network.graph.ends)
    np.testing.assert_array_equal(loaded.score(log), model.score(log))


def test_finds_planted_clusters(clusters):
    log, own = clusters
    training = Training(epochs=40, batch_size=32, learning_rate=0.01)
    model = GCNRec(width=16, loss=FullSoftmax(), training=training).fit(log)
    items, _ = model.recommend(log.last(2), k=5)
    assert (items % 4 == own[:, None]).mean() > 0.98


def test_the_graph_tells_of_items_that_were_never_a_target(clusters):
    """Untrained vectors that pass over the graph already tell the clusters; without it, not."""
    log, _ = clusters
    barely = Training(epochs=1, batch_size=1000, learning_rate=1e-6)
    model = GCNRec(width=64, layers=1, training=barely, dropout=0)
    shares = []
    for layers in (0, 1):
        network = replace(model, layers=layers).fit(log).network
        if layers:
            with torch.no_grad():
                network.convolutions[0].weight.copy_(torch.eye(64))
        vectors = torch.nn.functional.normalize(item_vectors(network).detach())
        nearest = (vectors @ vectors.T - 2 * torch.eye(40)).argmax(dim=1).numpy()
        shares.append((nearest % 4 == np.arange(40) % 4).mean())
    assert shares[0] < 0.5
    assert shares[1] > 0.9

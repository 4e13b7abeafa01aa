"""Node classification against PyTorch Geometric, loops in float64 and laws."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from behaviorseq import NodeClassifier, Training
from behaviorseq.features import normalized
from behaviorseq.models.graph import Graph
from behaviorseq.models.nodes import NodeNetwork

SHORT = Training(epochs=30, learning_rate=0.02, patience=30)


def two_groups(n=20, seed=0):
    """Give a graph of two groups with many edges inside and few between, and their numbers."""
    rng = np.random.default_rng(seed)
    group = np.repeat([0, 1], n)
    chance = np.where(group[:, None] == group, 0.4, 0.02)
    edges = np.triu(rng.random((2 * n, 2 * n)) < chance, 1)
    return sp.csr_array((edges | edges.T) * rng.uniform(0.5, 2, (2 * n, 1))), group


def symmetric(graph):
    return sp.csr_array((graph + graph.T) / 2)


GRAPH, GROUP = two_groups()
GRAPH = symmetric(GRAPH)


def double(network):
    graph = Graph(normalized(GRAPH)).double()
    dense = GRAPH.toarray() + np.eye(40)
    root = 1 / np.sqrt(dense.sum(axis=1))
    graph.weights.copy_(torch.from_numpy(sp.csr_array(root[:, None] * dense * root).data))
    return network.double().eval(), graph


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_network_equals_pytorch_geometrics_in_value_and_gradient(layers):
    geometric = pytest.importorskip("torch_geometric.nn")
    torch.manual_seed(layers)
    ours, graph = double(NodeNetwork(5, 6, 3, layers=layers))
    theirs = geometric.GCN(5, 6 if layers > 1 else 3, layers, out_channels=3).double()
    with torch.no_grad():
        for mine, other in zip(ours.convolutions, theirs.convs, strict=True):
            mine.bias.normal_()
            other.lin.weight.copy_(mine.weight.T)
            other.bias.copy_(mine.bias)
    edges = GRAPH.tocoo()
    index = torch.from_numpy(np.stack([edges.row, edges.col]).astype(np.int64))
    x = torch.randn(40, 5, dtype=torch.float64, requires_grad=True)
    a, b = ours(graph, x), theirs(x, index, torch.from_numpy(edges.data))
    torch.testing.assert_close(a, b)
    direction = torch.randn_like(a)
    mine = torch.autograd.grad((a * direction).sum(), [x, *ours.parameters()])
    other = torch.autograd.grad((b * direction).sum(), [x, *theirs.parameters()])
    named = {n: g for (n, _), g in zip(theirs.named_parameters(), other[1:], strict=True)}
    torch.testing.assert_close(mine[0], other[0])
    for place in range(layers):
        weight, bias = mine[1 + 2 * place : 3 + 2 * place]
        torch.testing.assert_close(bias, named[f"convs.{place}.bias"])
        torch.testing.assert_close(weight, named[f"convs.{place}.lin.weight"].T)


@pytest.mark.parametrize("residual", [False, True])
def test_the_network_equals_a_dense_loop(residual):
    torch.manual_seed(0)
    ours, graph = double(NodeNetwork(5, 6, 3, layers=4, residual=residual))
    dense = GRAPH.toarray() + np.eye(40)
    root = 1 / np.sqrt(dense.sum(axis=1))
    hat = root[:, None] * dense * root
    x = torch.randn(40, 5, dtype=torch.float64)
    h, expected = x.numpy(), []
    for place, convolution in enumerate(ours.convolutions):
        weight, bias = (p.detach().numpy() for p in (convolution.weight, convolution.bias))
        if place:
            h = np.maximum(expected[-1], 0)
        out = hat @ h @ weight + bias
        expected.append(out + h if residual and place in (1, 2) else out)
    for found, wanted in zip(ours.steps(graph, x), expected, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), wanted, atol=1e-12)


def test_a_node_sees_as_many_edges_away_as_there_are_layers():
    path = sp.diags_array([1.0], offsets=1, shape=(7, 7)).tocsr()
    path = path + path.T
    for layers in (1, 2, 3):
        model = NodeClassifier(layers=layers, inner=8, training=SHORT)
        model.fit(path, np.eye(7), [0, 6], [0, 1])
        x = np.eye(7, dtype=np.float32)
        x[0, 0] = 3
        changed = np.abs(model.vectors(x=x)[-1] - model.vectors()[-1]).max(axis=1) > 0
        assert changed.tolist() == [place <= layers for place in range(7)]


def test_two_groups_are_told_apart_from_one_node_each():
    model = NodeClassifier(inner=8).fit(GRAPH, sp.eye_array(40, format="csr"), [0, 39], [0, 1])
    chance = model.predict()
    np.testing.assert_allclose(chance.sum(axis=1), 1, rtol=1e-5)
    assert (chance.argmax(axis=1) == GROUP).mean() > 0.9
    alone = sp.csr_array((40, 40))
    without = NodeClassifier(inner=8).fit(alone, np.eye(40), [0, 39], [0, 1]).predict()
    assert (without.argmax(axis=1) == GROUP)[1:-1].mean() < 0.8  # no edges, nothing to go by


def test_sparse_and_dense_descriptions_and_both_forms_of_targets_give_the_same():
    x = np.random.default_rng(0).random((40, 6)) * (np.random.default_rng(1).random((40, 6)) < 0.3)
    known, classes = np.array([0, 5, 25, 39]), np.array([0, 0, 1, 1])
    dense = NodeClassifier(training=SHORT).fit(GRAPH, x, known, classes).predict()
    sparse = NodeClassifier(training=SHORT).fit(GRAPH, sp.csr_array(x), known, classes).predict()
    shares = NodeClassifier(training=SHORT).fit(GRAPH, x, known, np.eye(2)[classes]).predict()
    np.testing.assert_allclose(sparse, dense, atol=1e-5)
    np.testing.assert_array_equal(shares, dense)


def test_another_graph_may_be_asked_and_the_numbering_of_nodes_plays_no_part():
    x = np.random.default_rng(0).random((40, 6))
    model = NodeClassifier(training=SHORT).fit(GRAPH, x, [0, 39], [0, 1])
    order = np.random.default_rng(2).permutation(40)
    mixed = sp.csr_array(GRAPH.toarray()[order][:, order])
    np.testing.assert_allclose(model.predict(mixed, x[order]), model.predict()[order], atol=1e-5)
    part = sp.csr_array(GRAPH.toarray()[:20, :20])
    assert model.predict(part, x[:20]).shape == (20, 2)


def test_a_fit_depends_on_the_seed_alone_and_the_best_epoch_is_kept():
    def fit(seed, **options):
        training = Training(epochs=20, learning_rate=0.02, patience=20, seed=seed)
        return NodeClassifier(training=training).fit(GRAPH, np.eye(40), [0, 39], [0, 1], **options)

    first, again, other = fit(0).predict(), fit(0).predict(), fit(1).predict()
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    told = iter(range(20, 0, -1))  # the first epoch is the best
    best = fit(0, validate=lambda model: next(told))
    assert best.history["validation"].idxmax() == 0
    assert (best.predict() != first).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"graph": sp.csr_array(np.triu(np.ones((40, 40))))}, "symmetric"),
        ({"graph": sp.csr_array((40, 30))}, "square"),
        ({"x": np.eye(39)}, "the rows of x"),
        ({"x": np.ones(40)}, "2, nodes and features"),
        ({"x": np.full((40, 2), np.nan)}, "none missing"),
        ({"known": [0, 40]}, "from 0 to 39"),
        ({"known": []}, "one at least"),
        ({"targets": [0]}, "the shape of targets"),
        ({"targets": [0, -1]}, "0 or more"),
        ({"targets": [[0.5, 0.4], [0, 1]]}, "sum 1"),
    ],
)
def test_bad_input_is_named(change, message):
    given = {"graph": GRAPH, "x": np.eye(40), "known": [0, 39], "targets": [0, 1], **change}
    with pytest.raises(ValueError, match=message):
        NodeClassifier(training=SHORT).fit(**given)


def test_asking_needs_a_fit_and_fitting_shapes():
    with pytest.raises(ValueError, match="not fitted"):
        NodeClassifier().predict()
    model = NodeClassifier(training=SHORT).fit(GRAPH, np.eye(40), [0, 39], [0, 1])
    with pytest.raises(ValueError, match="the shape of x"):
        model.predict(x=np.ones((40, 3)))
    for options in ({"layers": 0}, {"inner": 0}, {"dropout": 1}):
        with pytest.raises(ValueError, match=next(iter(options))):
            NodeClassifier(**options)

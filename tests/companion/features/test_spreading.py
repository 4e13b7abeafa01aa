"""Label spreading against its closed form, scikit-learn, and PyTorch Geometric."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.semi_supervised import LabelSpreading

from behaviorseq.features import normalized, spread_labels, strongest


def random_graph(n=30, seed=0):
    rng = np.random.default_rng(seed)
    dense = np.triu(rng.random((n, n)) * (rng.random((n, n)) < 0.3), 1)
    return sp.csr_array(dense + dense.T)


def test_many_steps_reach_the_closed_form():
    graph, known = random_graph(), [0, 4, 9, 20]
    targets = np.eye(3)[[0, 1, 2, 1]]
    own = np.zeros((30, 3))
    own[known] = targets
    for alpha in (0.2, 0.9):
        ours = spread_labels(graph, known, targets, alpha=alpha, steps=400)
        dense = graph.toarray()
        root = 1 / np.sqrt(dense.sum(axis=1))
        limit = np.linalg.inv(np.eye(30) - alpha * root[:, None] * dense * root) @ own
        np.testing.assert_allclose(ours, limit / limit.sum(axis=1, keepdims=True), atol=1e-6)


def test_it_equals_scikit_learns():
    graph, known, classes = random_graph(seed=3), np.array([1, 5, 7, 11]), np.array([0, 1, 1, 2])
    labels = np.full(30, -1)
    labels[known] = classes
    with np.errstate(all="ignore"):
        theirs = LabelSpreading(
            kernel=lambda a, b: graph.toarray(), alpha=0.7, max_iter=2000, tol=1e-12
        ).fit(np.zeros((30, 1)), labels)
    ours = spread_labels(graph, known, np.eye(3)[classes], alpha=0.7, steps=300)
    np.testing.assert_allclose(ours, theirs.label_distributions_, atol=1e-6)


def test_a_few_steps_equal_pytorch_geometrics():
    models = pytest.importorskip("torch_geometric.nn.models")
    torch = pytest.importorskip("torch")
    graph, known, classes = random_graph(seed=5), np.array([2, 3, 8]), np.array([0, 1, 2])
    edges = normalized(graph, self_loops=False).tocoo()  # theirs takes given weights as they are
    index = torch.from_numpy(np.stack([edges.row, edges.col]).astype(np.int64))
    labels = torch.zeros(30, dtype=torch.long)
    labels[known] = torch.from_numpy(classes)
    spread = models.LabelPropagation(num_layers=4, alpha=0.6)
    theirs = spread(
        labels,
        index,
        mask=torch.from_numpy(known),
        edge_weight=torch.from_numpy(edges.data),
        post_step=lambda y: y,
    ).numpy()
    theirs = theirs / theirs.sum(axis=1, keepdims=True)
    ours = spread_labels(graph, known, np.eye(3)[classes], alpha=0.6, steps=4)
    reached = np.isfinite(theirs[:, 0])
    assert reached.sum() > 20
    np.testing.assert_allclose(ours[reached], theirs[reached], atol=1e-5)


def test_alpha_zero_keeps_labels_and_what_is_out_of_reach_gets_the_mean():
    graph = sp.block_diag([np.ones((2, 2)) - np.eye(2)] * 2, format="csr")  # two pairs
    targets = np.array([[1.0, 0.0], [0.25, 0.75]])
    kept = spread_labels(graph, [0, 1], targets, alpha=0)
    np.testing.assert_allclose(kept[:2], targets)
    np.testing.assert_allclose(kept[2:], [targets.mean(axis=0)] * 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 1}, "alpha"),
        ({"steps": -1}, "steps"),
        ({"known": [0, 0]}, "each once"),
        ({"known": [0, 30]}, "from 0 to 29"),
        ({"targets": np.eye(3)}, "the shape of targets"),
        ({"targets": -np.eye(2)}, "0 or more"),
    ],
)
def test_bad_arguments_are_named(change, message):
    given = {"known": [0, 1], "targets": np.eye(2), **change}
    with pytest.raises(ValueError, match=message):
        spread_labels(random_graph(), **given)


def test_strongest_edges_equal_a_loop():
    graph = random_graph(12, seed=2)
    dense = graph.toarray()
    degree = dense.sum(axis=1)
    cosine = dense / np.sqrt(np.outer(degree, degree))
    kept = np.zeros_like(dense)
    for row in range(12):
        best = sorted(range(12), key=lambda j: (-cosine[row, j], j))[:2]
        for other in best:
            kept[row, other] = kept[other, row] = dense[row, other]
    np.testing.assert_allclose(strongest(graph, 2).toarray(), kept, rtol=1e-6)
    with pytest.raises(ValueError, match="neighbors"):
        strongest(graph, 0)

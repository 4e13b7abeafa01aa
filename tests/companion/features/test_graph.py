"""Graphs of items against loops over pairs, PageRank against an eigenvector and networkx."""

import networkx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviorseq import Sequences
from behaviorseq.features import (
    cooccurrence_graph,
    graph_vectors,
    item_features,
    item_graph,
    normalized,
    pagerank,
    transition_graph,
)

seeds = st.integers(0, 10_000)
some_weights = st.sampled_from([[1.0], [1, 0.5, 0.25], 1 / np.arange(1, 11), np.ones(40)])


def random_log(seed, n_users=6, n_items=7):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    log = pd.DataFrame(
        {"user": rng.integers(0, n_users, n), "item": rng.integers(0, n_items, n), "time": range(n)}
    )
    return log, Sequences.from_events(log)


def random_graph(seed, n=9, share=0.25):
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 5, (n, n)) * (rng.random((n, n)) < share)
    return sp.csr_array(weights.astype(np.float32))


@given(seed=seeds, weights=some_weights)
@settings(max_examples=40)
def test_transitions_equal_the_loop_over_pairs(seed, weights):
    _, histories = random_log(seed)
    expected = np.zeros((histories.n_items, histories.n_items))
    for row in range(len(histories)):
        items = histories[row]
        for p in range(len(items)):
            for q in range(p + 1, min(p + len(weights), len(items) - 1) + 1):
                expected[items[p], items[q]] += weights[q - p - 1]
    graph = transition_graph(histories, weights)
    np.testing.assert_allclose(graph.toarray(), expected, rtol=1e-5)
    both = expected + expected.T
    np.fill_diagonal(both, 0)
    np.testing.assert_allclose(cooccurrence_graph(histories, weights).toarray(), both, rtol=1e-5)


@given(seed=seeds)
@settings(max_examples=30)
def test_cooccurrence_counts_histories_with_both_items(seed):
    log, histories = random_log(seed)
    owners = log.groupby("item")["user"].agg(set)
    expected = [[0 if i == j else len(a & b) for j, b in owners.items()] for i, a in owners.items()]
    np.testing.assert_array_equal(cooccurrence_graph(histories).toarray(), expected)


@given(seed=seeds)
@settings(max_examples=20)
def test_graphs_do_not_depend_on_the_order_of_users(seed):
    _, histories = random_log(seed)
    mixed = histories.take(np.random.default_rng(seed).permutation(len(histories)))
    for make in (transition_graph, cooccurrence_graph, item_graph):
        np.testing.assert_array_equal(make(histories).toarray(), make(mixed).toarray())


def test_histories_without_a_pair_make_a_graph_without_edges():
    log = pd.DataFrame({"user": [1, 2], "item": ["a", "b"], "time": [0, 0]})
    histories = Sequences.from_events(log)
    for graph in (transition_graph(histories, [1, 1]), cooccurrence_graph(histories)):
        assert graph.shape == (2, 2)
        assert graph.nnz == 0


@given(seed=seeds, damping=st.sampled_from([0.0, 0.5, 0.85, 0.99]))
@settings(max_examples=30)
def test_pagerank_is_the_eigenvector_and_that_of_networkx(seed, damping):
    graph = random_graph(seed)
    rank = pagerank(graph, damping=damping, steps=5000)
    dense, n = graph.toarray().astype(np.float64), graph.shape[0]
    total = dense.sum(axis=1, keepdims=True)
    walk = np.where(total > 0, dense / np.where(total > 0, total, 1), 1 / n)
    values, vectors = np.linalg.eig((damping * walk + (1 - damping) / n).T)
    main = np.real(vectors[:, np.argmax(np.real(values))])
    np.testing.assert_allclose(rank, main / main.sum(), atol=1e-8)
    other = networkx.pagerank(
        networkx.from_scipy_sparse_array(graph, create_using=networkx.DiGraph),
        alpha=damping,
        tol=1e-12,
        max_iter=5000,
    )
    np.testing.assert_allclose(rank, [other[i] for i in range(n)], atol=1e-8)


def test_item_features_equal_the_dense_sums():
    graph = random_graph(3)
    before = graph.copy()
    table, dense = item_features(graph), graph.toarray()
    np.testing.assert_array_equal(table["degree_out"], (dense > 0).sum(axis=1))
    np.testing.assert_array_equal(table["degree_in"], (dense > 0).sum(axis=0))
    np.testing.assert_array_equal(table["strength_out"], dense.sum(axis=1))
    np.testing.assert_array_equal(table["strength_in"], dense.sum(axis=0))
    assert table["pagerank"].mean() == pytest.approx(1)
    assert (graph != before).nnz == 0


def test_a_stored_zero_is_no_edge():
    graph = sp.csr_array((np.array([0.0, 1.0]), ([0, 1], [1, 0])), shape=(2, 2))
    assert item_features(graph)["degree_out"].tolist() == [0, 1]
    assert graph.nnz == 2


@pytest.mark.parametrize("weights", [[], [0.0], [1, -1], [np.inf], [np.nan], [[1.0]]])
def test_weights_are_checked(weights):
    with pytest.raises(ValueError, match="weights must be numbers above 0"):
        transition_graph(random_log(0)[1], weights)


def test_pagerank_checks_its_arguments():
    graph = random_graph(0)
    with pytest.raises(ValueError, match="damping must be 0 or more and below 1"):
        pagerank(graph, damping=1)
    with pytest.raises(ValueError, match="least weight of graph must be 0 or more, got -4"):
        pagerank(-graph)
    with pytest.raises(ValueError, match="square, not empty"):
        pagerank(graph[:3])
    with pytest.raises(ValueError, match="after 2 steps of PageRank"):
        pagerank(graph, steps=2)


@given(seed=seeds, steps=st.integers(1, 4), neighbors=st.sampled_from([None, 1, 2]))
@settings(max_examples=30)
def test_an_item_graph_keeps_the_strongest_edges_of_either_end(seed, steps, neighbors):
    _, histories = random_log(seed)
    every = cooccurrence_graph(histories, 1 / np.arange(1, steps + 1)).toarray()
    graph = item_graph(histories, steps=steps, neighbors=neighbors).toarray()
    np.testing.assert_array_equal(graph, graph.T)
    if neighbors is None:
        np.testing.assert_array_equal(graph, every)
        return
    degree = every.sum(axis=1)
    scale = np.sqrt(np.outer(degree, degree))
    strength = np.divide(every, scale, out=np.zeros_like(every), where=scale > 0).astype(np.float32)
    chosen = np.zeros(every.shape, dtype=bool)
    for i, row in enumerate(strength):
        chosen[i, np.lexsort((np.arange(len(row)), -row))[:neighbors]] = True
    np.testing.assert_array_equal(graph, np.where(chosen | chosen.T, every, 0))


def test_an_item_graph_may_be_empty_and_refuses_nonsense():
    _, histories = random_log(5)
    assert item_graph(histories.slice(0, 0)).nnz == 0
    with pytest.raises(ValueError, match="steps must be"):
        item_graph(histories, steps=0)
    with pytest.raises(ValueError, match="neighbors must be"):
        item_graph(histories, neighbors=0)


@pytest.mark.parametrize("self_loops", [True, False])
def test_normalized_edges_equal_the_dense_formula(self_loops):
    directed = random_graph(1).toarray()
    edges = np.triu(directed, 1) + np.triu(directed, 1).T
    edges[-1] = edges[:, -1] = 0  # a node without an edge
    dense = edges.astype(np.float64) + self_loops * np.eye(len(edges))
    degree = dense.sum(axis=1)
    root = np.diag(np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1e-30)), 0))
    ours = normalized(sp.csr_array(edges), self_loops=self_loops).toarray()
    np.testing.assert_allclose(ours, root @ dense @ root, rtol=1e-6)
    eigenvalues = np.linalg.eigvalsh(ours.astype(np.float64))
    assert eigenvalues.max() == pytest.approx(1, abs=1e-6)
    assert eigenvalues.min() >= -1 - 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_graph_vectors_are_those_of_the_whole_decomposition(seed):
    n, width = 12, 5
    edges = np.triu(random_graph(seed, n, share=0.5).toarray(), 1)
    edges = edges + edges.T
    edges[-1] = edges[:, -1] = 0  # a node without an edge
    vectors = graph_vectors(sp.csr_array(edges), width, seed=seed)
    assert vectors.shape == (n, width)
    assert vectors.dtype == np.float32
    assert not vectors[-1].any()
    np.testing.assert_allclose(np.linalg.norm(vectors[:-1], axis=1), 1, rtol=1e-6)
    whole = edges.astype(np.float64) + np.eye(n)
    root = 1 / np.sqrt(whole.sum(axis=1))
    left, sizes, _ = np.linalg.svd(root[:, None] * whole * root)
    rows = left[:-1, :width] * np.sqrt(sizes[:width])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = vectors[:-1] @ vectors[:-1].T  # whatever the signs of the directions
    np.testing.assert_allclose(cosines, rows @ rows.T, atol=1e-4)


def test_graph_vectors_of_items_that_go_together_are_near():
    groups = [[0, 1, 2], [3, 4, 5]]
    edges = np.zeros((6, 6))
    for group in groups:
        edges[np.ix_(group, group)] = 1
    edges[2, 3] = edges[3, 2] = 0.1
    np.fill_diagonal(edges, 0)
    vectors = graph_vectors(sp.csr_array(edges), 2)
    cosines = vectors @ vectors.T
    assert cosines[:3, :3].min() > 0.9
    assert cosines[3:, 3:].min() > 0.9
    assert cosines[:3, 3:].max() < 0.5


@pytest.mark.parametrize("width", [0, 6, 2.5])
def test_graph_vectors_refuse_another_width(width):
    with pytest.raises(ValueError, match="width must be 1 or more and below the 6 nodes"):
        graph_vectors(sp.csr_array(np.ones((6, 6))), width)

"""LightGCN against dense float64 products and PyTorch Geometric; what fold-in keeps and loses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from behaviorseq import LightGCN
from behaviorseq.models.graph import Graph, normalized
from behaviorseq.models.lightgcn import LightGraph, bag_loss, user_item_graph
from behaviorseq.models.network import NetworkRecommender
from behaviorseq.models.recommender import binary
from behaviorseq.training import (
    Bags,
    BPRLoss,
    FullSoftmax,
    SampledSoftmax,
    Training,
    full_softmax,
)

SHORT = Training(epochs=3, batch_size=4, learning_rate=0.05)
LEARN = Training(epochs=40, batch_size=32, learning_rate=0.03)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def by_products(model, log):
    """Compute the vectors after each number of steps with dense float64 matrices, layer by layer.

    Equation 3 of the paper, written for users and items apart.
    """
    taken = binary(log.to_csr()).toarray().astype(np.float64)
    of_user, of_item = taken.sum(axis=1), taken.sum(axis=0)
    scale = np.sqrt(np.outer(np.maximum(of_user, 1), np.maximum(of_item, 1)))
    matrix = taken / scale
    items = model.network.items.weight.detach().double().numpy()
    users = np.zeros((len(log), items.shape[1]))
    if model.free_users:
        users = model.network.users.weight.detach().double().numpy()
    steps = [(users, items)]
    for _ in range(model.layers):
        users, items = matrix @ steps[-1][1], matrix.T @ steps[-1][0]
        steps.append((users, items))
    return steps


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("free_users", [True, False])
def test_training_vectors_equal_dense_products(layers, free_users, make_log):
    log = make_log(1)
    model = LightGCN(width=4, layers=layers, free_users=free_users, training=SHORT).fit(log)
    steps = by_products(model, log)
    users, items = model.training_vectors()
    np.testing.assert_allclose(users, np.mean([u for u, _ in steps], axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(items, np.mean([i for _, i in steps], axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_training_user_s_score_lacks_exactly_the_term_of_step_0(layers, make_log):
    log = make_log(2)
    model = LightGCN(width=4, layers=layers, training=SHORT).fit(log)
    steps = by_products(model, log)
    paper = np.mean([u for u, _ in steps], axis=0)
    items = np.mean([i for _, i in steps], axis=0)
    free = steps[0][0] / (layers + 1)
    there = log.lengths > 0
    np.testing.assert_allclose(
        model.encode(log)[there], (paper - free)[there], rtol=1e-4, atol=1e-6
    )
    expected = paper @ items.T - free @ items.T
    np.testing.assert_allclose(model.score(log)[there], expected[there], rtol=1e-4, atol=1e-6)
    assert np.abs(free @ items.T).max() > 0.01


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_without_vectors_of_users_fold_in_is_exact(layers, make_log):
    log = make_log(2)
    model = LightGCN(width=4, layers=layers, free_users=False, training=SHORT).fit(log)
    users, items = model.training_vectors()
    there = log.lengths > 0
    assert np.abs(users).max() > 0.01
    np.testing.assert_allclose(model.encode(log), users, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        model.score(log)[there], (users @ items.T)[there], rtol=1e-4, atol=1e-6
    )


def test_the_network_equals_pytorch_geometrics_in_value_and_gradient(make_log):
    geometric = pytest.importorskip("torch_geometric.nn")
    log = make_log(3)
    edges = user_item_graph(log).tocoo()
    index = torch.from_numpy(np.stack([edges.row, edges.col]).astype(np.int64))
    n = len(log)
    ours = LightGraph(n, log.n_items, width=4, layers=3).double()
    ours.graph = Graph(normalized(user_item_graph(log), self_loops=False)).double()
    rows = np.repeat(np.arange(n + log.n_items), np.diff(edges.tocsr().indptr))
    degree = ours.graph.degrees().double()
    ours.graph.weights.copy_((degree[rows] * degree[ours.graph.ends]).rsqrt())  # in float64
    theirs = geometric.LightGCN(n + log.n_items, 4, num_layers=3).double()
    with torch.no_grad():
        theirs.embedding.weight.copy_(torch.cat([ours.users.weight, ours.items.weight]))
    mine, other = torch.cat(ours()), theirs.get_embedding(index)
    torch.testing.assert_close(mine, other)
    step = geometric.LGConv()(theirs.embedding.weight, index)
    torch.testing.assert_close(ours.steps()[1], step)
    direction = torch.randn_like(mine)
    (mine * direction).sum().backward()
    (other * direction).sum().backward()
    gradient = torch.cat([ours.users.weight.grad, ours.items.weight.grad])
    torch.testing.assert_close(gradient, theirs.embedding.weight.grad)


def test_softmax_of_a_bag_equals_softmax_of_its_pairs_in_value_and_gradient(make_log):
    bags = Bags(make_log(4))
    bag = bags.of(bags.rows[::-1].copy())
    users = torch.randn(len(bag.rows), 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(9, 4, dtype=torch.float64, requires_grad=True)
    ours = bag_loss(FullSoftmax(), users, weight, bag)
    theirs = full_softmax(users[bag.owners], weight, bag.items)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours, (users, weight)), torch.autograd.grad(theirs, (users, weight))
    )


@pytest.mark.parametrize("free_users", [True, False])
@pytest.mark.parametrize("loss", [FullSoftmax(), SampledSoftmax(20), BPRLoss()], ids=repr)
def test_finds_planted_clusters(loss, free_users, clusters):
    log, own = clusters
    model = LightGCN(width=8, layers=2, free_users=free_users, loss=loss, training=LEARN).fit(log)
    items, _ = model.recommend(log.last(2), k=5)
    assert (items % 4 == own[:, None]).mean() > 0.95


def test_users_who_were_not_in_training_are_served_alike(clusters):
    log, own = clusters
    model = LightGCN(width=8, layers=2, training=LEARN).fit(log.slice(0, 150))
    items, _ = model.recommend(log.slice(150, 200).last(2), k=5)
    assert (items % 4 == own[150:, None]).mean() > 0.98


def test_an_item_without_a_training_user_adds_nothing(make_log):
    log = make_log(5)
    unseen = log.n_items - 1
    model = LightGCN(width=4, training=SHORT).fit(log)
    assert not (log.items == unseen).any()
    row = int(log.lengths.argmax())
    alone = log.take([row])
    items = np.append(alone.items, np.int32(unseen))
    offsets = np.array([0, len(items)])
    more = replace(alone, items=items, offsets=offsets, times=None)
    n = len(np.unique(alone.items))
    expected = model.encode(alone) * np.sqrt(n / (n + 1))
    np.testing.assert_allclose(model.encode(more), expected, rtol=1e-5)


def test_recency_counts_only_where_asked(make_log):
    log = make_log(6, longest=12)
    model = LightGCN(width=4, training=SHORT).fit(log)
    scores = model.score(log)
    np.testing.assert_allclose(model.score(log.shuffled()), scores, rtol=1e-5, atol=1e-7)
    model.decay = 0.5
    decayed = model.score(log)
    assert not np.allclose(model.score(log.shuffled()), decayed)
    model.decay = 1e-9  # the last event alone
    last = model.score(log)
    model.decay = None
    np.testing.assert_allclose(last, model.score(log.last(1)), rtol=1e-4, atol=1e-6)


def test_fitting_follows_the_seed_and_resumes(make_log, tmp_path):
    log = make_log(7)
    model = LightGCN(width=4, loss=SampledSoftmax(3), training=SHORT)
    first = model.fit(log).score(log)
    np.testing.assert_array_equal(model.fit(log).score(log), first)
    other = replace(model, training=replace(SHORT, seed=1)).fit(log).score(log)
    assert not np.allclose(first, other)
    calls = []

    def killed(model):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return 0.0

    with pytest.raises(KeyboardInterrupt):
        model.fit(log, validate=killed, checkpoint=tmp_path)
    values = iter([1.0, 2.0])
    resumed = model.fit(log, validate=lambda model: next(values), checkpoint=tmp_path)
    assert resumed.history["validation"].tolist() == [0.0, 1.0, 2.0]
    np.testing.assert_array_equal(resumed.score(log), first)


@pytest.mark.parametrize("free_users", [True, False])
def test_a_saved_model_scores_the_same(free_users, make_log, tmp_path):
    log = make_log(8)
    model = LightGCN(width=4, free_users=free_users, loss=BPRLoss(), training=SHORT).fit(log)
    model.save(tmp_path)
    for kind in (LightGCN, NetworkRecommender):
        loaded = kind.load(tmp_path)
        assert repr(loaded) == repr(model)
        np.testing.assert_array_equal(loaded.score(log), model.score(log))
    np.testing.assert_array_equal(loaded.training_vectors()[0], model.training_vectors()[0])


def test_refuses_before_fit(make_log):
    with pytest.raises(ValueError, match="not fitted"):
        LightGCN().training_vectors()
    with pytest.raises(ValueError, match="not fitted"):
        LightGCN().encode(make_log())

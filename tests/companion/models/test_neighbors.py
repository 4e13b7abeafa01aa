"""Neighbor models against plain loops in double precision, scikit-learn and implicit."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.nearest_neighbours import CosineRecommender
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors

from behaviorseq import ItemKNN, Sequences, SequentialRules, UserKNN
from behaviorseq.models import neighbors

seeds = st.integers(0, 200)
decays = st.sampled_from([0.0, 0.3, 0.7, 1.0])


def matrix(log, *, count):
    """Build the user-item matrix cell by cell."""
    x = np.zeros((len(log), log.n_items))
    for row in range(len(log)):
        for item in log[row]:
            x[row, item] = x[row, item] + 1 if count else 1
    return x


def popularity(log):
    return matrix(log, count=True).sum(axis=0)


def keep_k(similarity, k):
    """Keep the k largest positive values of each row, the lowest column first where they tie."""
    if k is None:
        return similarity
    kept = np.zeros_like(similarity)
    for row, values in enumerate(similarity):
        best = sorted(range(len(values)), key=lambda j: (-np.float32(values[j]), j))[:k]
        kept[row, best] = values[best]
    return kept


def item_similarity(x, shrink):
    n = x.shape[1]
    similarity = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j and (dot := x[:, i] @ x[:, j]) > 0:
                similarity[i, j] = dot / (
                    np.linalg.norm(x[:, i]) * np.linalg.norm(x[:, j]) + shrink
                )
    return similarity


def sum_over_history(log, weights, decay):
    """Score by a loop over each history's events."""
    scores = np.zeros((len(log), log.n_items))
    for row in range(len(log)):
        history = log[row]
        for position, item in enumerate(history):
            scores[row] += decay ** (len(history) - 1 - position) * weights[item]
        if not len(history):
            scores[row] = popularity(log)
    return scores


@given(
    seed=seeds,
    k=st.sampled_from([None, 1, 3]),
    shrink=st.sampled_from([0, 2.5, 10]),
    decay=decays,
    count=st.booleans(),
)
@settings(max_examples=60)
def test_item_knn_equals_the_loop(seed, k, shrink, decay, count, make_log):
    log = make_log(seed)
    model = ItemKNN(k=k, shrink=shrink, decay=decay, count=count).fit(log)
    similarity = keep_k(item_similarity(matrix(log, count=count), shrink), k)
    np.testing.assert_allclose(model.similarity.toarray(), similarity, rtol=1e-5)
    scores = sum_over_history(log, similarity, decay)
    np.testing.assert_allclose(model.score(log), scores, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("count", [False, True])
def test_item_similarity_is_scikit_learns_cosine(count, make_log):
    log = make_log(5, n_users=80, n_items=30)
    x = matrix(log, count=count)
    expected = cosine_similarity(x.T)
    np.fill_diagonal(expected, 0)
    similarity = ItemKNN(shrink=0, count=count).fit(log).similarity
    np.testing.assert_allclose(similarity.toarray(), expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Method expects CSR")  # implicit converts its own transpose
def test_item_knn_scores_what_implicit_scores(make_log):
    """Similarities and scores; a decay and a shrink term are what implicit does not have."""
    log = make_log(6, n_users=80, n_items=30)
    x = sp.csr_matrix(matrix(log, count=False))
    theirs = CosineRecommender(K=log.n_items, num_threads=1)
    theirs.fit(x, show_progress=False)
    similarity = theirs.similarity.toarray()
    np.fill_diagonal(similarity, 0)
    # Each item once: implicit reads a row of the matrix, ours every event.
    once = Sequences(
        items=x.indices,
        offsets=x.indptr.astype(np.int64),
        users=log.users,
        user_ids=log.user_ids,
        item_ids=log.item_ids,
    )
    ours = ItemKNN(shrink=0, decay=1).fit(log)
    np.testing.assert_allclose(ours.similarity.toarray(), similarity, atol=1e-6)
    scores = ours.score(once)
    for row in np.flatnonzero(log.lengths):
        items, values = theirs.recommend(
            row, x[row], N=log.n_items, filter_already_liked_items=True
        )
        there = values > 0  # the places of own items are filled up with 0
        np.testing.assert_allclose(values[there], scores[row, items[there]], rtol=1e-5, atol=1e-6)
        unseen = x[row].toarray()[0] == 0
        assert set(np.flatnonzero(unseen & (scores[row] > 0))) <= set(items[there])


def test_user_knn_adds_up_scikit_learns_neighbors(make_log):
    train, log = make_log(7, n_users=90, n_items=40, longest=25), make_log(8, n_items=40)
    x, h = matrix(train, count=False), matrix(log, count=False)
    own = log.lengths > 0
    filled = x[train.lengths > 0]  # scikit-learn gives an empty row a similarity of 0, a neighbor
    nearest = NearestNeighbors(n_neighbors=11, metric="cosine", algorithm="brute").fit(filled)
    distance, neighbors = nearest.kneighbors(h[own])
    similarity = 1 - distance
    clear = similarity[:, 9] > similarity[:, 10] + 1e-9  # no tie at the tenth place
    assert clear.sum() >= 3
    expected = np.einsum("rk,rki->ri", similarity[:, :10], filled[neighbors[:, :10]])
    scores = UserKNN(k=10, shrink=0).fit(train).score(log)[own]
    np.testing.assert_allclose(scores[clear], expected[clear], rtol=1e-5, atol=1e-6)


@given(
    seed=seeds, k=st.sampled_from([None, 1, 4]), shrink=st.sampled_from([0, 2.5, 10]), decay=decays
)
@settings(max_examples=60)
def test_user_knn_equals_the_loop(seed, k, shrink, decay, make_log):
    train, log = make_log(seed), make_log(seed + 1000, n_users=7)
    x = matrix(train, count=False)
    profiles = sum_over_history(log, np.eye(log.n_items), decay)
    if decay == 1:
        profiles = (profiles > 0).astype(float)
    scores = np.zeros((len(log), log.n_items))
    for row, profile in enumerate(profiles):
        similarity = np.zeros(len(x))
        for v, other in enumerate(x):
            if (dot := profile @ other) > 0:
                norms = np.linalg.norm(profile) * np.linalg.norm(other)
                similarity[v] = dot / (norms + shrink)
        scores[row] = keep_k(similarity[None], k)[0] @ x
        if not len(log[row]):
            scores[row] = popularity(train)
    model = UserKNN(k=k, shrink=shrink, decay=decay).fit(train)
    np.testing.assert_allclose(model.score(log), scores, rtol=1e-4, atol=1e-6)


@given(
    seed=seeds,
    steps=st.sampled_from([1, 2, 5, 50]),
    reverse=st.sampled_from([0, 0.5, 1]),
    decay=decays,
)
@settings(max_examples=60)
def test_sequential_rules_equal_the_loop(seed, steps, reverse, decay, make_log):
    log = make_log(seed)
    rules = np.zeros((log.n_items, log.n_items))
    for row in range(len(log)):
        history = log[row]
        for q in range(len(history)):
            for p in range(max(0, q - steps), q):
                rules[history[p], history[q]] += 1 / (q - p)
                rules[history[q], history[p]] += reverse / (q - p)
    model = SequentialRules(steps=steps, reverse=reverse, decay=decay).fit(log)
    np.testing.assert_allclose(model.rules.toarray(), rules, rtol=1e-5)
    scores = sum_over_history(log, rules, decay)
    np.testing.assert_allclose(model.score(log), scores, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [ItemKNN, UserKNN, SequentialRules])
def test_without_decay_order_does_not_count_and_with_decay_0_only_the_last_does(kind, make_log):
    log = make_log(9)
    shuffled = Sequences(
        items=np.concatenate([np.sort(log[row]) for row in range(len(log))]),
        offsets=log.offsets,
        users=log.users,
        user_ids=log.user_ids,
        item_ids=log.item_ids,
    )
    model = kind(decay=1).fit(log)
    np.testing.assert_allclose(model.score(shuffled), model.score(log), rtol=1e-5)
    model = kind(decay=0).fit(log)
    np.testing.assert_allclose(model.score(log), model.score(log.last(1)), rtol=1e-5)
    assert not np.allclose(model.score(shuffled), model.score(log))


def test_a_table_goes_in_dense_or_sparse_with_the_same_sums(make_log, monkeypatch):
    log = make_log(3, n_users=60, n_items=30)
    models = [kind().fit(log) for kind in (ItemKNN, SequentialRules, UserKNN)]
    tables = [models[0].similarity, models[1].rules, models[2]._rows]
    assert all(table.nnz > table.shape[0] * table.shape[1] / 10 for table in tables)
    dense = [model.score(log) for model in models]
    monkeypatch.setattr(neighbors, "CHUNK_BYTES", 0)
    for model, expected in zip(models, dense, strict=True):
        np.testing.assert_allclose(model.score(log), expected, rtol=1e-5, atol=1e-7)


def test_shrinking_holds_back_pairs_with_few_users(make_log):
    log = make_log(2)
    free = ItemKNN(shrink=0).fit(log).similarity.toarray()
    shrunk = ItemKNN(shrink=10).fit(log).similarity.toarray()
    there = free > 0
    dots = matrix(log, count=False).T @ matrix(log, count=False)
    few, many = there & (dots == 1), there & (dots >= 4)
    assert few.any()
    assert many.any()
    assert (shrunk[few] / free[few]).max() < (shrunk[many] / free[many]).min()

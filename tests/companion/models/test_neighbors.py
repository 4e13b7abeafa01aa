"""Neighbor models against plain loops in double precision, and scikit-learn's cosine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from behaviorseq import ItemKNN, Sequences, SequentialRules, UserKNN

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
@settings(max_examples=60, deadline=None)
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


@given(
    seed=seeds, k=st.sampled_from([None, 1, 4]), shrink=st.sampled_from([0, 2.5, 10]), decay=decays
)
@settings(max_examples=60, deadline=None)
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
@settings(max_examples=60, deadline=None)
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

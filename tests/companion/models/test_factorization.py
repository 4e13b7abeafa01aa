"""ALS against row-by-row solving and the library implicit; EASE against ridge regressions."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from behaviorseq import ALS, EASE
from behaviorseq.models import factorization

seeds = st.integers(0, 200)


def counts_of(log):
    counts = np.zeros((len(log), log.n_items))
    for row in range(len(log)):
        for item in log[row]:
            counts[row, item] += 1
    return counts


def solve_one_by_one(counts, other, regularization, alpha):
    """Solve equation 4 of Hu, Koren and Volinsky for each row, written with full matrices."""
    solved = np.zeros((len(counts), other.shape[1]))
    for row, r in enumerate(counts):
        confidence = np.diag(1 + alpha * r)
        left = other.T @ confidence @ other + regularization * np.eye(other.shape[1])
        solved[row] = np.linalg.solve(left, other.T @ confidence @ (r > 0))
    return solved


def loss(counts, users, items, regularization, alpha):
    """Equation 3, over every cell."""
    errors = (1 + alpha * counts) * ((counts > 0) - users @ items.T) ** 2
    return errors.sum() + regularization * ((users**2).sum() + (items**2).sum())


def start_of(model, n_items):
    """Give the factors that the model starts from."""
    return np.random.default_rng(model.seed).normal(scale=0.01, size=(n_items, model.factors))


@given(
    seed=seeds,
    factors=st.sampled_from([1, 3, 8]),
    regularization=st.sampled_from([0.1, 5]),
    alpha=st.sampled_from([0.5, 40]),
)
@settings(max_examples=30)
def test_als_equals_solving_rows_one_by_one(seed, factors, regularization, alpha, make_log):
    train, log = make_log(seed), make_log(seed + 1000, n_users=7)
    model = ALS(factors, regularization, alpha, iterations=3, seed=seed).fit(train)
    counts, items = counts_of(train), start_of(model, train.n_items)
    losses = []
    for _ in range(3):
        users = solve_one_by_one(counts, items, regularization, alpha)
        items = solve_one_by_one(counts.T, users, regularization, alpha)
        losses.append(loss(counts, users, items, regularization, alpha))
    assert losses == sorted(losses, reverse=True)
    np.testing.assert_allclose(model.item_factors, items, rtol=1e-5, atol=1e-8)
    expected = solve_one_by_one(counts_of(log), items, regularization, alpha) @ items.T
    expected[log.lengths == 0] = counts.sum(axis=0)
    np.testing.assert_allclose(model.score(log), expected, rtol=1e-3, atol=1e-5)


def test_als_equals_implicit_from_the_same_start(make_log):
    log = make_log(1, n_users=200, n_items=60, longest=30)
    model = ALS(factors=8, regularization=2.0, alpha=5.0, iterations=10).fit(log)
    start = start_of(model, log.n_items)
    with threadpool_limits(1, "blas"):
        theirs = AlternatingLeastSquares(
            factors=8,
            regularization=2.0,
            alpha=1.0,
            iterations=10,
            use_cg=False,
            num_threads=1,
            dtype=np.float64,
        )
        theirs.item_factors = start
        theirs.user_factors = np.zeros((len(log), 8))  # solved first, so never read
        # implicit takes the confidence of what happened; ours is 1 + alpha * count
        confidence = sp.csr_matrix(log.to_csr())
        confidence.data = 1 + 5.0 * confidence.data
        theirs.fit(confidence, show_progress=False)
        folded = theirs.recalculate_user(np.arange(len(log)), confidence)
    np.testing.assert_allclose(model.item_factors, theirs.item_factors, rtol=1e-3, atol=1e-4)
    rows = log.lengths > 0
    scores = folded[rows] @ theirs.item_factors.T
    np.testing.assert_allclose(model.score(log)[rows], scores, rtol=1e-3, atol=1e-4)


def test_als_does_not_depend_on_the_size_of_its_batches(make_log, monkeypatch):
    log = make_log(3, n_users=60)
    whole = ALS(factors=4, iterations=2).fit(log).item_factors
    monkeypatch.setattr(factorization, "CHUNK_BYTES", 5000)
    assert len(factorization.row_batches(np.sort(log.lengths), 4)) > 5
    np.testing.assert_allclose(ALS(factors=4, iterations=2).fit(log).item_factors, whole)


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 20), st.integers(1, 40_000))
def test_batches_hold_every_row_once_and_keep_to_their_size(lengths, factors, size):
    lengths = np.sort(np.array(lengths, dtype=np.int64))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factorization, "CHUNK_BYTES", size)
        batches = factorization.row_batches(lengths, factors)
    assert [row for a, b in batches for row in range(a, b)] == list(range(len(lengths)))
    for a, b in batches:
        assert b - a == 1 or 16 * (b - a) * (lengths[b - 1] + factors) * factors <= size


def test_als_follows_its_seed(make_log):
    log = make_log(4)
    first, again = (ALS(factors=3, iterations=2, seed=1).fit(log).score(log) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, ALS(factors=3, iterations=2, seed=2).fit(log).score(log))


def ease_by_regression(x, regularization):
    """Predict each item from all others by ridge regression, one item at a time."""
    n = x.shape[1]
    weights = np.zeros((n, n))
    for j in range(n):
        others = [i for i in range(n) if i != j]
        part = x[:, others]
        left = part.T @ part + regularization * np.eye(n - 1)
        weights[others, j] = np.linalg.solve(left, part.T @ x[:, j])
    return weights


@given(
    seed=seeds,
    regularization=st.sampled_from([0.5, 10, 500]),
    decay=st.sampled_from([None, 0.0, 0.6, 1.0]),
)
@settings(max_examples=40)
def test_ease_equals_ridge_regressions(seed, regularization, decay, make_log):
    train, log = make_log(seed), make_log(seed + 1000, n_users=7)
    x = (counts_of(train) > 0).astype(float)
    weights = ease_by_regression(x, regularization)
    model = EASE(regularization, decay).fit(train)
    np.testing.assert_allclose(model.weights, weights, rtol=1e-4, atol=1e-7)
    history = np.zeros((len(log), log.n_items))
    for row in range(len(log)):
        for position, item in enumerate(log[row]):
            away = len(log[row]) - 1 - position
            history[row, item] = 1 if decay is None else history[row, item] + decay**away
    expected = history @ weights
    expected[log.lengths == 0] = counts_of(train).sum(axis=0)
    np.testing.assert_allclose(model.score(log), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("n", [1, 5, 7, 8, 9, 30])
def test_the_inverse_is_right_across_blocks(n, monkeypatch):
    monkeypatch.setattr(factorization, "BLOCK", 8)
    rng = np.random.default_rng(n)
    root = sp.random_array((50, n), density=0.2, rng=rng).toarray()
    matrix = root.T @ root + np.diag(rng.uniform(1, 2, n))
    inverse = factorization._inverse_in_place(matrix.copy())
    np.testing.assert_array_equal(inverse, inverse.T)
    np.testing.assert_allclose(matrix @ inverse, np.eye(n), atol=1e-10)


def test_the_inverse_needs_no_memory_of_its_own():
    matrix = np.diag([1.0, 2.0, 4.0])
    assert np.shares_memory(factorization._inverse_in_place(matrix), matrix)


def test_a_matrix_that_is_not_positive_is_refused():
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        factorization._inverse_in_place(np.diag([1.0, -1.0]))


def test_ease_works_in_the_memory_of_one_matrix(make_log, monkeypatch):
    seen = []

    def watched(matrix):
        seen.append(matrix)
        return in_place(matrix)

    in_place = factorization._inverse_in_place
    monkeypatch.setattr(factorization, "_inverse_in_place", watched)
    model = EASE().fit(make_log())
    assert np.shares_memory(model.weights, seen[0])


@pytest.mark.parametrize("n", [1, 5, 7, 8, 9, 30])
def test_narrowing_reads_each_row_before_it_is_written_over(n, monkeypatch):
    monkeypatch.setattr(factorization, "BLOCK", 8)
    rng = np.random.default_rng(n)
    matrix, times = rng.normal(size=(n, n)), rng.normal(size=n)
    expected = (matrix * times).astype(np.float32)
    np.testing.assert_array_equal(factorization._narrowed(matrix, times), expected)

"""BPR and squared-error factorisation against loops, exact optima, and the library implicit."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.cpu.bpr import BayesianPersonalizedRanking
from scipy.optimize import minimize
from scipy.stats import spearmanr

from behaviorseq import BPR, BiasedMF, Recommender, Sequences, evaluate, leave_one_out, load
from behaviorseq.models import matrix_factorization
from behaviorseq.models.gradient import Adam, Factors, add_rows, among, cells_of, shuffled
from behaviorseq.models.matrix_factorization import bpr_step
from behaviorseq.models.recommender import binary

seeds = st.integers(0, 200)


def copied(learned):
    return Factors(*(part.copy() for part in learned))


def started(seed, n_users=5, n_items=7):
    """Factors with biases that are not zero, so that a step that forgot them would show."""
    rng = np.random.default_rng(seed)
    learned = Factors.at_random(n_users, n_items, 3, rng)
    learned.user_bias[:], learned.item_bias[:] = rng.normal(size=n_users), rng.normal(size=n_items)
    return learned, rng


@given(seeds)
@settings(max_examples=20)
def test_a_bpr_step_is_the_gradient_of_its_loss(seed):
    learned, rng = started(seed)
    users, own, other = (rng.integers(0, n, 6) for n in (5, 7, 7))
    rate, regularization = 0.1, 0.3

    def loss(parts):
        p, q, _, b = parts
        total = 0.0
        for u, i, j in zip(users, own, other, strict=True):
            margin = p[u] @ (q[i] - q[j]) + b[i] - b[j]
            squares = p[u] @ p[u] + q[i] @ q[i] + q[j] @ q[j] + b[i] ** 2 + b[j] ** 2
            total += math.log1p(math.exp(-margin)) + regularization / 2 * squares
        return total

    stepped = copied(learned)
    bpr_step(stepped, users, own, other, rate=rate, regularization=regularization)
    for place in (0, 1, 3):
        for index in np.ndindex(learned[place].shape):
            high, low = copied(learned), copied(learned)
            high[place][index] += 1e-5
            low[place][index] -= 1e-5
            slope = (loss(high) - loss(low)) / 2e-5
            moved = stepped[place][index] - learned[place][index]
            assert moved == pytest.approx(-rate * slope, abs=1e-6)


@pytest.mark.parametrize("negatives", [0, 1])
def test_a_squared_error_step_is_half_the_gradient_of_its_loss(negatives):
    learned, rng = started(1)
    users, items, values = rng.integers(0, 5, 6), rng.integers(0, 7, 6), rng.normal(size=6)
    model = BiasedMF(learning_rate=0.1, regularization=0.3, negatives=negatives)
    model.learned, model.mean = copied(learned), 0.7

    def loss(parts):
        p, q, a, b = parts
        total = 0.0
        for u, i, r in zip(users, items, values, strict=True):
            squares = p[u] @ p[u] + q[i] @ q[i] + a[u] ** 2 + b[i] ** 2
            total += (r - 0.7 - a[u] - b[i] - p[u] @ q[i]) ** 2 + 0.3 * squares
        return total

    model._step(users, items, values)
    for place in range(4):
        for index in np.ndindex(learned[place].shape):
            high, low = copied(learned), copied(learned)
            high[place][index] += 1e-5
            low[place][index] -= 1e-5
            slope = (loss(high) - loss(low)) / 2e-5
            moved = model.learned[place][index] - learned[place][index]
            assert moved == pytest.approx(-0.1 / 2 * slope, abs=1e-6)


def test_folding_in_goes_to_the_optimum_over_all_triples_of_a_history(make_log, monkeypatch):
    """What drawn triples leave of the loss over all triples, against a general optimiser."""
    monkeypatch.setattr(matrix_factorization, "FOLD_STEPS", 3000)
    train, log = make_log(1, n_users=60, n_items=30), make_log(5, n_users=20, n_items=30)
    model = BPR(factors=4, epochs=60, regularization=0.05).fit(train)
    taken = binary(log.to_csr())
    users = model._fold_in(taken)
    items, bias = model.learned.items, model.learned.item_bias
    there = taken.toarray() > 0
    for row in np.flatnonzero(log.lengths):
        own, other = np.flatnonzero(there[row]), np.flatnonzero(~there[row])
        difference = (items[own][:, None] - items[other]).reshape(-1, 4)
        offset = (bias[own][:, None] - bias[other]).ravel()

        def loss(p, difference=difference, offset=offset):
            return np.logaddexp(0, -(difference @ p + offset)).mean() + 0.05 / 2 * p @ p

        start, least = loss(np.zeros(4)), minimize(loss, np.zeros(4)).fun
        assert loss(users[row]) - least < 0.05 * (start - least)


@pytest.mark.parametrize("regularization", [0.02, 0.3])
def test_folding_in_ratings_equals_least_squares(regularization, make_log):
    log = make_log(2)
    log = replace(log, values=np.arange(log.n_events, dtype=np.float32) % 5)
    model = BiasedMF(factors=3, epochs=4, regularization=regularization).fit(log)
    users, bias = model._fold_in(model._known(log))
    values = [log.values[a:b] for a, b in zip(log.offsets[:-1], log.offsets[1:], strict=True)]
    for row in np.flatnonzero(log.lengths):
        own = np.unique(log[row])
        rating = np.array([values[row][log[row] == item].mean() for item in own])
        rest = rating - model.mean - model.learned.item_bias[own]
        a = np.column_stack([model.learned.items[own], np.ones(len(own))])
        left = a.T @ a + regularization * len(own) * np.eye(4)
        expected = np.linalg.solve(left, a.T @ rest)
        np.testing.assert_allclose([*users[row], bias[row]], expected, rtol=1e-5, atol=1e-8)


def test_folding_in_zeros_equals_weighted_least_squares(make_log):
    log = make_log(3)
    model = BiasedMF(factors=3, epochs=4, regularization=0.1, negatives=2).fit(log)
    users, bias = model._fold_in(model._known(log))
    a = np.column_stack([model.learned.items, np.ones(log.n_items)])
    for row in np.flatnonzero(log.lengths):
        own = np.isin(np.arange(log.n_items), log[row])
        weight = np.where(own, 1, 2 * own.sum() / log.n_items)  # zeros, drawn uniformly
        rest = own - model.mean - model.learned.item_bias
        left = (a.T * weight) @ a + 0.1 * weight.sum() * np.eye(4)
        expected = np.linalg.solve(left, (a.T * weight) @ rest)
        np.testing.assert_allclose([*users[row], bias[row]], expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("kind", [BPR, BiasedMF])
def test_a_model_follows_its_seed(kind, make_log):
    log = make_log(4)
    more = {"negatives": 2} if kind is BiasedMF else {}
    models = [kind(factors=3, epochs=3, seed=s, **more).fit(log) for s in (1, 1, 2)]
    first, again, other = (model.score(log) for model in models)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_ratings_are_learned_and_needed(make_log):
    log = make_log(6, n_users=40, n_items=12, longest=12)
    rng = np.random.default_rng(0)
    taste, kind = rng.normal(size=40), rng.normal(size=12)
    rating = 3 + taste[log.row_of_event] * kind[log.items]
    log = replace(log, values=np.clip(rating, 0, None).astype(np.float32))
    model = BiasedMF(factors=2, epochs=300, regularization=0.001).fit(log)
    error = model.score(log)[log.row_of_event, log.items] - log.values
    assert np.sqrt(np.mean(error**2)) < 0.2 * log.values.std()
    with pytest.raises(ValueError, match=r"these sequences keep no values; choose negatives=4"):
        BiasedMF().fit(replace(log, values=None))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("model", [BPR(learning_rate=1e200), BiasedMF(40, 1e4, negatives=3)])
def test_steps_that_run_away_are_reported(model, make_log):
    with pytest.raises(ValueError, match="diverged: lower its learning_rate or its batch_size"):
        model.fit(make_log(1, n_users=40))


def test_numbers_too_large_for_scores_are_reported_before_they_are_infinite():
    learned = Factors.at_random(3, 4, 2, np.random.default_rng(0))
    learned.check(BPR())
    learned.items[1, 0] = 1e20  # finite, but its square does not fit in float32
    with pytest.raises(ValueError, match="diverged"):
        learned.check(BPR())


@given(seeds)
def test_adding_rows_equals_adding_one_by_one(seed):
    rng = np.random.default_rng(seed)
    rows, steps = rng.integers(0, 4, seed % 9), rng.normal(size=(seed % 9, 2))
    target, expected = np.ones((5, 2)), np.ones((5, 2))
    add_rows(target, rows, steps)
    for row, step in zip(rows, steps, strict=True):
        expected[row] += step
    np.testing.assert_allclose(target, expected)


@given(seeds)
def test_cells_are_found(seed):
    rng = np.random.default_rng(seed)
    matrix = sp.random_array((4, 5), density=0.3, rng=rng, format="csr")
    cells = cells_of(matrix)
    expected = (matrix.toarray() != 0).ravel()
    np.testing.assert_array_equal(among(cells, np.arange(20)), expected)
    assert sorted(np.concatenate([*shuffled(20, 6, rng)])) == list(range(20))
    assert not among(cells[:0], np.arange(3)).any()


def test_adam_goes_to_the_bottom_of_a_bowl():
    place, adam = np.array([[5.0, -3.0]]), Adam((1, 2))
    for step in range(400):
        place -= 0.3 * (1 - step / 400) * adam(place * [1, 20])
    np.testing.assert_allclose(place, 0, atol=1e-3)


class Trained(Recommender):
    """The scores of the vectors that training ended with, not of folded-in ones."""

    def __init__(self, learned):
        self.learned = learned

    def _fit(self, train):
        pass

    def _score(self, histories):
        p, q, _, b = self.learned
        return (p[histories.users] @ q.T + b).astype(np.float32)


@pytest.fixture(scope="module")
def movielens():
    return leave_one_out(Sequences.from_events(load("movielens-100k").events))


@pytest.fixture(scope="module")
def fitted(movielens):
    return BPR(epochs=20).fit(movielens.train)


def test_folding_in_a_training_history_gives_the_ranking_of_its_trained_vector(movielens, fitted):
    rows = np.arange(0, 943, 10)
    histories = movielens.train.take(rows)
    trained = Trained(fitted.learned).fit(movielens.train)
    ours, theirs = fitted.score(histories), trained.score(histories)
    agreement = [spearmanr(a, b).statistic for a, b in zip(ours, theirs, strict=True)]
    assert np.mean(agreement) > 0.95
    first, second = (
        evaluate(m, movielens.validation).interval("NDCG@10") for m in (fitted, trained)
    )
    assert first.low < second.value < first.high


def test_bpr_agrees_with_implicit_within_intervals(movielens):
    train = movielens.train
    theirs = BayesianPersonalizedRanking(
        factors=32, learning_rate=0.1, regularization=0.01, iterations=40, num_threads=1,
        random_state=0,
    )  # fmt: skip
    theirs.fit(sp.csr_matrix(binary(train.to_csr())), show_progress=False)
    q, p = np.asarray(theirs.item_factors), np.asarray(theirs.user_factors)
    bias = p[:, -1:] * q[:, -1]  # implicit keeps the item bias as a last factor, of 1 for users
    learned = Factors(p[:, :-1], q[:, :-1], np.zeros(len(p)), bias[0])
    reference = Trained(learned).fit(train)
    ours = evaluate(BPR(draw="popular").fit(train), movielens.validation).interval("NDCG@10")
    other = evaluate(reference, movielens.validation).interval("NDCG@10")
    assert ours.low < other.value < ours.high
    assert other.low < ours.value < other.high


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BPR(factors=0), "factors must be a whole number of 1 or more, got 0"),
        (lambda: BPR(learning_rate=0), "learning_rate must be above 0, got 0"),
        (lambda: BPR(regularization=-1), "regularization must be 0 or more, got -1"),
        (lambda: BPR(draw="no"), "draw must be 'uniform' or 'popular', got 'no'"),
        (lambda: BiasedMF(regularization=0), "regularization must be above 0, got 0"),
        (lambda: BiasedMF(negatives=-1), "negatives must be a whole number of 0 or more, got -1"),
    ],
)
def test_settings_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()

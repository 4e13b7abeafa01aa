"""What every model must keep, and recommend against sorting."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.linear_model import LinearRegression

from behaviorseq import (
    ALS,
    BPR,
    EASE,
    BiasedMF,
    Blend,
    FeatureModel,
    ItemKNN,
    LightGCN,
    MultVAE,
    Popularity,
    Random,
    RecentPopularity,
    Recommender,
    SequentialRules,
    Switch,
    TextContent,
    UserFrequency,
    UserKNN,
    Vocabulary,
)
from behaviorseq.models import recommender
from behaviorseq.models.recommender import chunks, top_k
from behaviorseq.training import BPRLoss, Training

ITEMS = pd.DataFrame(
    {
        "item": range(10, 19),
        "title": ["a red car", "red bus", "old car", "sea", None] + ["b us"] * 4,
    }
)
SHORT = Training(epochs=2, batch_size=4, learning_rate=0.01)
MODELS = [
    Random(seed=3),
    Popularity(),
    RecentPopularity(days=5),
    UserFrequency(),
    UserFrequency(half_life_days=2.5),
    UserFrequency(decay=0.8),
    ItemKNN(),
    ItemKNN(k=2, count=True),
    UserKNN(),
    UserKNN(k=3, decay=0.5),
    SequentialRules(reverse=0.5, decay=0.5),
    ALS(factors=4, iterations=3),
    EASE(),
    EASE(decay=0.5),
    TextContent(ITEMS, columns=["title"]),
    TextContent(ITEMS, columns=["title"], weighting="bag of words"),
    MultVAE(inner=6, latent=3, training=SHORT),
    MultVAE(inner=6, latent=3, decay=0.8, training=SHORT),
    LightGCN(width=4, training=SHORT),
    LightGCN(width=4, free_users=False, decay=0.8, loss=BPRLoss(), training=SHORT),
    BPR(factors=4, epochs=5),
    BPR(factors=4, epochs=5, draw="popular"),
    BiasedMF(factors=4, epochs=5, negatives=2),
    FeatureModel(LinearRegression(), {"item-kNN": ItemKNN(), "popularity": Popularity()}),
    Blend([ItemKNN(), Popularity()], weights=[0.7, 0.3]),
    Switch(short=Popularity(), long=EASE(), min_events=3),
]
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: repr(m)[:60])


class Fixed(Recommender):
    """Scores given from outside, row by row of the histories it is asked for."""

    def __init__(self, scores):
        self.table = scores

    def _fit(self, train):
        pass

    def _score(self, histories):
        return self.table[histories.users].copy()


@every_model
def test_scores_are_finite_float32_for_every_item(model, make_log):
    log = make_log()
    scores = model.fit(log).score(log)
    assert scores.dtype == np.float32
    assert scores.shape == (len(log), log.n_items)
    assert np.isfinite(scores).all()


@every_model
def test_a_row_is_scored_alike_in_any_chunk_and_for_any_user(model, make_log):
    log = make_log(1)
    whole = model.fit(log).score(log)
    parts = np.concatenate([model.score(log.slice(i, i + 1)) for i in range(len(log))])
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
    other_users = replace(log, users=log.users[::-1].copy())
    np.testing.assert_array_equal(model.score(other_users), whole)


@every_model
def test_scoring_changes_neither_model_nor_histories(model, make_log):
    log, copy = make_log(2), make_log(2)
    first = model.fit(log).score(log)
    first_copy = first.copy()
    first[:] = -1  # evaluate masks in place: a model must not hand out its own memory
    np.testing.assert_array_equal(model.score(log), first_copy)
    np.testing.assert_array_equal(log.items, copy.items)


@every_model
def test_histories_without_any_row_are_legal(model, make_log):
    log = make_log(3)
    assert model.fit(log).score(log.slice(0, 0)).shape == (0, log.n_items)


@pytest.mark.parametrize(
    "model", [m for m in MODELS if not isinstance(m, Random | RecentPopularity)], ids=repr
)
def test_an_empty_history_gets_the_order_of_popularity(model, make_log):
    log = make_log(4)
    empty = log.take([0])
    assert empty.n_events == 0
    expected, _ = Popularity().fit(log).recommend(empty, k=log.n_items)
    items, _ = model.fit(log).recommend(empty, k=log.n_items)
    np.testing.assert_array_equal(items, expected)


@every_model
def test_refuses_to_score_before_fit(model, make_log):
    fresh = replace(model)
    with pytest.raises(ValueError, match=r"is not fitted: call fit\(train\) first"):
        fresh.score(make_log())
    with pytest.raises(ValueError, match="is not fitted"):
        fresh.recommend(make_log(), k=2)


@every_model
def test_refuses_another_item_vocabulary(model, make_log):
    log = make_log()
    other = replace(log, item_ids=Vocabulary(np.arange(20, 20 + log.n_items)))
    with pytest.raises(ValueError, match="another item vocabulary"):
        model.fit(log).score(other)
    same = replace(log, item_ids=Vocabulary(log.item_ids.ids.copy()))
    assert model.score(same).shape == (len(log), log.n_items)


def test_a_fit_that_fails_leaves_the_model_unfitted_or_as_it_was(make_log):
    log = make_log()
    model = RecentPopularity(days=3)
    with pytest.raises(ValueError, match="needs the time"):
        model.fit(replace(log, times=None))
    with pytest.raises(ValueError, match="is not fitted"):
        model.score(log)


def test_refuses_a_log_without_events(make_log):
    log = make_log()
    with pytest.raises(ValueError, match=r"cannot fit Popularity\(\): .* no event"):
        Popularity().fit(log.slice(0, 1))


def test_repr_shows_the_hyper_parameters(make_log):
    model = ItemKNN(k=5, decay=0.9)
    assert repr(model) == "ItemKNN(k=5, shrink=10.0, decay=0.9, count=False)"
    assert repr(model.fit(make_log())) == "ItemKNN(k=5, shrink=10.0, decay=0.9, count=False)"
    assert repr(Blend([EASE(), Popularity()])) == (
        "Blend(models=[EASE(regularization=100.0, decay=None), Popularity()], weights=None)"
    )
    assert "DataFrame" not in repr(TextContent(ITEMS, columns=["title"]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Random(seed=-1), "seed must be a whole number of 0 or more, got -1"),
        (lambda: RecentPopularity(days=0), "days must be .* above 0, got 0"),
        (lambda: RecentPopularity(days=float("nan")), "days must be"),
        (lambda: UserFrequency(half_life_days=-2), "half_life_days must be"),
        (lambda: UserFrequency(decay=0), r"decay must be in \(0, 1\], or None, got 0"),
        (lambda: UserFrequency(half_life_days=3, decay=0.5), "not both"),
        (lambda: ItemKNN(k=0), "k must be a whole number of 1 or more, or None, got 0"),
        (lambda: ItemKNN(k=2.5), "k must be"),
        (lambda: ItemKNN(k=True), "k must be"),
        (lambda: ItemKNN(shrink=-1), "shrink must be 0 or more, got -1"),
        (lambda: ItemKNN(decay=1.1), r"decay must be in \[0, 1\], got 1.1"),
        (lambda: UserKNN(k=0), "k must be"),
        (lambda: UserKNN(shrink=float("nan")), "shrink must be"),
        (lambda: UserKNN(decay=-0.1), "decay must be"),
        (lambda: SequentialRules(steps=0), "steps must be"),
        (lambda: SequentialRules(reverse=1.5), "reverse must be"),
        (lambda: SequentialRules(decay=2), "decay must be"),
        (lambda: ALS(factors=0), "factors must be"),
        (lambda: ALS(iterations=0), "iterations must be"),
        (lambda: ALS(regularization=0), "regularization must be above 0, got 0"),
        (lambda: ALS(alpha=-1), "alpha must be"),
        (lambda: EASE(regularization=-3), "regularization must be"),
        (lambda: EASE(decay=1.2), r"decay must be in \[0, 1\], or None"),
        (lambda: TextContent(ITEMS, columns=["title"], decay=3), "decay must be"),
        (lambda: TextContent(ITEMS, columns="title"), "columns must list"),
        (lambda: TextContent(ITEMS, columns=["plot"]), r"no column \['plot'\]; its columns are"),
        (lambda: MultVAE(inner=0), "inner must be"),
        (lambda: MultVAE(latent=2.5), "latent must be"),
        (lambda: MultVAE(dropout=1), "dropout must be"),
        (lambda: MultVAE(beta=-1), "beta must be 0 or more"),
        (lambda: MultVAE(beta=float("nan")), "beta must be"),
        (lambda: MultVAE(anneal=1.1), "anneal must be"),
        (lambda: MultVAE(decay=0), "decay must be above 0"),
        (lambda: LightGCN(width=0), "width must be"),
        (lambda: LightGCN(layers=0), "layers must be"),
        (lambda: LightGCN(decay=1.2), "decay must be"),
        (lambda: Blend([]), "models must hold one model or more"),
        (lambda: Blend([Popularity()], weights=[1, 2]), "weights must be 1 numbers"),
        (lambda: Blend([Popularity()], weights=[float("inf")]), "weights must be"),
        (lambda: Switch(Popularity(), ItemKNN(), min_events=0), "min_events must be"),
    ],
)
def test_refuses_hyper_parameters_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def by_sorting(scores, seen, k):
    """Rank in the slow way: sort all items by falling score, then rising code."""
    items = np.full((len(scores), k), -1)
    values = np.full((len(scores), k), -np.inf, dtype=np.float32)
    for row, row_scores in enumerate(scores):
        left = [j for j in range(len(row_scores)) if j not in seen[row] and row_scores[j] > -np.inf]
        for place, j in enumerate(sorted(left, key=lambda j: (-row_scores[j], j))[:k]):
            items[row, place], values[row, place] = j, row_scores[j]
    return items, values


@settings(max_examples=60)
@given(data=st.data(), k=st.integers(1, 12), exclude=st.booleans(), seed=st.integers(0, 50))
def test_recommend_equals_sorting_every_row(data, k, exclude, seed, make_log):
    log = make_log(seed)
    few = st.sampled_from([-np.inf, -2.0, -0.0, 0.0, 1e-30, 0.5, 3.0])  # so that many tie
    table = data.draw(arrays(np.float32, (len(log), log.n_items), elements=few))
    model = Fixed(table).fit(log)
    expected = model.score(log)
    seen = [set(log[i].tolist()) if exclude else set() for i in range(len(log))]
    items, scores = model.recommend(log, k, exclude_seen=exclude)
    assert items.dtype == np.int32
    assert scores.dtype == np.float32
    expected_items, expected_scores = by_sorting(expected, seen, k)
    np.testing.assert_array_equal(items, expected_items)
    np.testing.assert_array_equal(scores, expected_scores)


def test_recommend_works_through_chunks(make_log, monkeypatch):
    log = make_log(5, n_users=40)
    model = ItemKNN().fit(log)
    whole = model.recommend(log, k=4)
    asked = []
    monkeypatch.setattr(recommender, "CHUNK_BYTES", 4 * log.n_items * 7)
    monkeypatch.setattr(
        model, "_score", lambda part: (asked.append(len(part)), ItemKNN._score(model, part))[1]
    )
    in_chunks = model.recommend(log, k=4)
    assert asked == [7, 7, 7, 7, 7, 5]
    for a, b in zip(whole, in_chunks, strict=True):
        np.testing.assert_array_equal(a, b)


def test_recommend_refuses_scores_that_are_not_numbers(make_log):
    log = make_log()
    table = np.ones((len(log), log.n_items), dtype=np.float32)
    table[5, 2] = np.nan
    with pytest.raises(ValueError, match="not numbers, first in row 5"):
        Fixed(table).fit(log).recommend(log, k=2)


@pytest.mark.parametrize("k", [0, -1, 2.0, True])
def test_recommend_refuses_a_length_that_is_not_a_count(k, make_log):
    log = make_log()
    with pytest.raises(ValueError, match="k must be a whole number of 1 or more"):
        Popularity().fit(log).recommend(log, k)


@settings(max_examples=100)
@given(st.data())
def test_top_k_equals_a_stable_sort(data):
    floats = st.floats(width=32, allow_nan=False)
    shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8)
    scores = data.draw(arrays(np.float32, shapes, elements=floats))
    k = data.draw(st.integers(1, scores.shape[1]))
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(top_k(scores, k), expected)


@given(st.integers(0, 50), st.integers(0, 10**9))
def test_chunks_cover_every_row_once(n_rows, row_bytes):
    rows = [row for start, stop in chunks(n_rows, row_bytes) for row in range(start, stop)]
    assert rows == list(range(n_rows))
    assert all(
        stop - start == 1 or (stop - start) * row_bytes <= recommender.CHUNK_BYTES
        for start, stop in chunks(n_rows, row_bytes)
    )

"""Hybrids against their parts."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from behaviorseq import Blend, ItemKNN, Popularity, Recommender, SequentialRules, Switch


@dataclass(eq=False)
class Table(Recommender):
    """Scores given from outside."""

    table: np.ndarray = field(repr=False)
    needs_history = False

    def _fit(self, train):
        pass

    def _score(self, histories):
        return self.table[histories.users].copy()


def standardized(scores):
    """Standardise each row's finite scores in double precision."""
    result = np.zeros(scores.shape)
    for row, values in enumerate(scores):
        kept = np.isfinite(values)
        mean, deviation = values[kept].mean(), values[kept].std()
        if deviation > 0:
            result[row, kept] = (values[kept] - mean) / deviation
    return result


@pytest.mark.parametrize("weights", [None, [2.0, 0.5]])
def test_blend_adds_standardised_scores(weights, make_log):
    log = make_log(1)
    parts = [ItemKNN(), SequentialRules(decay=0.5)]
    expected = np.zeros((len(log), log.n_items))
    for weight, part in zip(weights or [1, 1], parts, strict=True):
        expected += weight * standardized(part.fit(log).score(log).astype(float))
    model = Blend([ItemKNN(), SequentialRules(decay=0.5)], weights).fit(log)
    np.testing.assert_allclose(model.score(log), expected, rtol=1e-4, atol=1e-5)


def test_neither_unit_nor_offset_of_a_part_counts(make_log):
    log = make_log(2)
    table = np.random.default_rng(0).normal(size=(len(log), log.n_items)).astype(np.float32)
    plain = Blend([Table(table), ItemKNN()]).fit(log).score(log)
    scaled = Blend([Table(1000 * table + 7), ItemKNN()]).fit(log).score(log)
    np.testing.assert_allclose(plain, scaled, atol=1e-3)


def test_a_blend_of_one_model_ranks_as_that_model(make_log):
    log = make_log(3)
    alone, _ = ItemKNN().fit(log).recommend(log, k=log.n_items)
    blended, _ = Blend([ItemKNN()]).fit(log).recommend(log, k=log.n_items)
    np.testing.assert_array_equal(alone, blended)


def test_a_part_that_scores_all_alike_adds_nothing(make_log):
    log = make_log(4)
    flat = Table(np.full((len(log), log.n_items), 0.1, dtype=np.float32))
    with_flat = Blend([flat, Popularity()]).fit(log).score(log)
    np.testing.assert_array_equal(with_flat, Blend([Popularity()]).fit(log).score(log))


def test_never_stays_never_and_the_rest_is_standardised_without_it(make_log):
    log = make_log(5)
    table = np.random.default_rng(1).normal(size=(len(log), log.n_items)).astype(np.float32)
    table[:, 2] = -np.inf
    table[4] = -np.inf
    scores = Blend([Table(table), Popularity()]).fit(log).score(log)
    assert (scores[:, 2] == -np.inf).all()
    assert (scores[4] == -np.inf).all()
    finite = np.isfinite(table)
    finite[4] = False
    table[4] = 0  # the reference cannot standardise nothing
    popular = np.tile(np.bincount(log.items, minlength=log.n_items), (len(log), 1)).astype(float)
    expected = standardized(table.astype(float)) + standardized(popular)
    np.testing.assert_allclose(scores[finite], expected[finite], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("min_events", [1, 4, 100])
def test_switch_asks_one_model_for_each_row(min_events, make_log):
    log = make_log(6)
    short, long = Popularity().fit(log).score(log), ItemKNN().fit(log).score(log)
    model = Switch(short=Popularity(), long=ItemKNN(), min_events=min_events).fit(log)
    scores = model.score(log)
    for row in range(len(log)):
        expected = long if len(log[row]) >= min_events else short
        np.testing.assert_array_equal(scores[row], expected[row])


def test_fitting_a_hybrid_fits_its_parts(make_log):
    log = make_log()
    parts = [Popularity(), ItemKNN()]
    Blend(parts).fit(log)
    assert all(part.item_ids is log.item_ids for part in parts)

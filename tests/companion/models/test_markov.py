"""The Markov chain against a loop over pairs of events, and what it writes."""

import itertools

import numpy as np
import pytest

from behaviorseq import MarkovChain, SequentialRules


def chances_by_loop(log, smoothing):
    counts = np.zeros((log.n_items, log.n_items))
    first = np.zeros(log.n_items)
    for row in range(len(log)):
        items = log[row].tolist()
        for before, after in itertools.pairwise(items):
            counts[before, after] += 1
        if items:
            first[items[0]] += 1
    popularity = np.bincount(log.items, minlength=log.n_items) / log.n_events
    rows = [(c + smoothing * popularity) / (c.sum() + smoothing) for c in (*counts, first)]
    return np.array(rows[:-1]), rows[-1]


@pytest.mark.parametrize("smoothing", [0.01, 1.0, 30.0])
def test_chances_equal_a_loop(make_log, smoothing):
    log = make_log(2)
    chain = MarkovChain(smoothing=smoothing).fit(log)
    expected, start = chances_by_loop(log, smoothing)
    np.testing.assert_allclose(chain.chances, expected, rtol=1e-5)
    np.testing.assert_allclose(chain.start, start)
    np.testing.assert_allclose(chain.chances.sum(axis=1), 1, rtol=1e-5)
    scores = chain.score(log)
    for row in np.flatnonzero(log.lengths):
        np.testing.assert_allclose(scores[row], expected[log[row][-1]], rtol=1e-5)
    assert (scores[log.lengths == 0] == log.item_counts).all()  # popularity


def test_without_smoothing_it_orders_as_rules_of_one_step(make_log):
    log = make_log(3, n_users=60)
    chain = MarkovChain(smoothing=1e-6).fit(log).score(log)
    rules = SequentialRules(steps=1).fit(log).score(log)
    for own, other in zip(chain, rules, strict=True):
        assert np.corrcoef(own, other)[0, 1] > 0.999


def test_written_histories_have_its_chances(make_log):
    log = make_log(4, n_users=40)
    chain = MarkovChain(smoothing=2.0).fit(log)
    written = chain.sample(4000, 12, seed=1)
    again, start = chances_by_loop(written, 1e-12)
    often = np.bincount(written.items, minlength=log.n_items) > 2000
    assert often.sum() > 3
    np.testing.assert_allclose(again[often], chain.chances[often], atol=0.04)
    np.testing.assert_allclose(start, chain.start, atol=0.03)
    np.testing.assert_array_equal(chain.sample(4000, 12, seed=1).items, written.items)
    assert not np.array_equal(chain.sample(4000, 12, seed=2).items, written.items)


def test_lengths_are_those_asked_for(make_log):
    log = make_log()
    chain = MarkovChain().fit(log)
    assert chain.sample(3, np.array([0, 5, 2])).lengths.tolist() == [0, 5, 2]
    assert chain.sample(2, 0).n_events == 0
    assert chain.sample(2, 3).item_ids is log.item_ids
    for length in (-1, 1.5, np.array([1, 2, 3])):
        with pytest.raises(ValueError, match="length must be a whole number of 0 or more"):
            chain.sample(2, length)
    with pytest.raises(ValueError, match="n must be"):
        chain.sample(0, 2)
    with pytest.raises(ValueError, match="not fitted"):
        MarkovChain().sample(2, 2)
    for smoothing in (0, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match="smoothing must be a number above 0"):
            MarkovChain(smoothing=smoothing)

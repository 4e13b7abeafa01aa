"""Models without learning, against plain loops."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviorseq import Popularity, Random, RecentPopularity, UserFrequency

DAY = np.timedelta64(1, "D")
seeds = st.integers(0, 200)


def test_random_scores_are_uniform_and_follow_the_seed(make_log):
    log = make_log(0, n_users=60, n_items=500)
    log = log.take(log.lengths > 5)  # long enough to differ from one another
    scores = Random(seed=1).fit(log).score(log)
    assert scores.min() >= 0
    assert scores.max() < 1
    counts, _ = np.histogram(scores, bins=10, range=(0, 1))
    expected = scores.size / 10
    assert ((counts - expected) ** 2 / expected).sum() < 27.9  # chi-square, 9 degrees, p = .001
    rows = np.corrcoef(scores)
    assert np.abs(rows[~np.eye(len(rows), dtype=bool)]).max() < 0.25
    other = Random(seed=2).fit(log).score(log)
    assert abs(np.corrcoef(scores.ravel(), other.ravel())[0, 1]) < 0.03


def test_random_scores_depend_on_the_history_alone(make_log):
    log = make_log(7)
    model = Random(seed=5).fit(log)
    row = log.take([5])
    reversed_row = replace(row, items=row.items[::-1].copy())
    assert not np.array_equal(row.items, reversed_row.items)
    assert not np.array_equal(model.score(row), model.score(reversed_row))
    twice = model.score(log.take([5, 5, 0, 3]))  # rows 0 and 3 are empty
    np.testing.assert_array_equal(twice[0], twice[1])
    np.testing.assert_array_equal(twice[2], twice[3])


@given(seed=seeds)
@settings(max_examples=20)
def test_popularity_counts_events(seed, make_log):
    log = make_log(seed)
    expected = [sum(int(i == j) for i in log.items) for j in range(log.n_items)]
    np.testing.assert_array_equal(Popularity().fit(log).score(log), [expected] * len(log))


@given(seed=seeds, days=st.sampled_from([0.5, 3, 17.25, 1000]))
@settings(max_examples=30)
def test_recent_popularity_counts_events_of_the_last_days(seed, days, make_log):
    log = make_log(seed)
    end = log.times.max()
    expected = np.zeros(log.n_items)
    for item, time in zip(log.items, log.times, strict=True):
        expected[item] += (end - time) / DAY < days
    scores = RecentPopularity(days).fit(log).score(log)
    np.testing.assert_array_equal(scores, [expected] * len(log))


def test_recent_popularity_over_all_time_is_popularity(make_log):
    log = make_log()
    np.testing.assert_array_equal(
        RecentPopularity(days=1e6).fit(log).score(log), Popularity().fit(log).score(log)
    )


@pytest.mark.parametrize(
    ("times", "kept"), [(None, "no times"), (np.arange, "integer positions, not dates")]
)
@pytest.mark.parametrize(
    "model", [RecentPopularity(days=3), UserFrequency(half_life_days=3)], ids=repr
)
def test_models_of_time_refuse_a_log_without_dates(times, kept, model, make_log):
    log = make_log()
    bare = replace(log, times=None if times is None else times(log.n_events))
    who = type(model).__name__
    with pytest.raises(ValueError, match=rf"{who}.* needs the time of each event .* keep {kept}"):
        model.fit(bare).score(bare)


def frequencies(log, weight):
    """Sum each history's weights by item in double precision; weight(row, position)."""
    expected = np.zeros((len(log), log.n_items))
    for row in range(len(log)):
        for position, item in enumerate(log[row]):
            expected[row, item] += weight(row, position)
    return expected


def slow_order(own, popularity):
    """Sort items by own frequency, then popularity, then code."""
    items = range(len(own))
    return sorted(items, key=lambda j: (-np.float32(own[j]), -popularity[j], j))


MODELS = {
    "plain": UserFrequency(),
    "decay": UserFrequency(decay=0.6),
    "half-life": UserFrequency(half_life_days=4),
}


@pytest.mark.parametrize("kind", MODELS)
@given(seed=seeds)
@settings(max_examples=30)
def test_user_frequency_equals_the_loop_and_breaks_ties_by_popularity(kind, seed, make_log):
    log = make_log(seed)

    def weight(row, position):
        last = log.offsets[row + 1] - 1
        event = log.offsets[row] + position
        age = (log.times[last] - log.times[event]) / DAY
        return {"plain": 1, "decay": 0.6 ** (last - event), "half-life": 2 ** (-age / 4)}[kind]

    own = frequencies(log, weight)
    model = MODELS[kind].fit(log)
    scores = model.score(log)
    seen = own > 0
    np.testing.assert_allclose(scores[seen], own[seen], rtol=1e-5)
    assert (scores[~seen] < 0).all()
    assert (scores[~seen] >= -1).all()
    popularity = np.bincount(log.items, minlength=log.n_items)
    if kind == "plain":  # whole numbers tie exactly
        items, _ = model.recommend(log, k=log.n_items, exclude_seen=False)
        for row in range(len(log)):
            assert items[row].tolist() == slow_order(own[row], popularity)


def test_ties_are_broken_by_popularity_and_nothing_else(make_log):
    log = make_log()
    popularity = np.bincount(log.items, minlength=log.n_items)
    a, b = (int(j) for j in np.argsort(popularity)[[2, -1]])
    assert popularity[a] < popularity[b]
    row = log.take([0])
    twice = replace(
        row, items=np.array([a, b], dtype=np.int32), offsets=np.array([0, 2]), times=log.times[:2]
    )
    scores = UserFrequency().fit(log).score(twice)[0]
    assert scores[a] == 1
    assert scores[b] == np.nextafter(np.float32(1), np.float32(2))


def test_a_half_life_is_measured_from_the_last_event_of_the_history(make_log):
    log = make_log(3)
    model = UserFrequency(half_life_days=3).fit(log)
    later = replace(log, times=log.times + 500 * DAY)
    np.testing.assert_array_equal(model.score(log), model.score(later))

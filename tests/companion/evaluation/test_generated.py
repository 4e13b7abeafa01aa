"""Judging generated histories, against loops over histories and sets."""

import itertools
from dataclasses import replace

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from behaviorseq import Sequences, Vocabulary
from behaviorseq.evaluation import generated as generated_module
from behaviorseq.evaluation import (
    history_distances,
    history_marks,
    nearest_overlap,
    shared_runs,
    total_variation,
)

GROUPS = np.array([0, 0, 1, 1, 2])


def log_of(rows, n_items=5):
    offsets = np.cumsum([0, *map(len, rows)])
    return Sequences(
        items=np.array(list(itertools.chain(*rows)), dtype=np.int32),
        offsets=offsets,
        users=np.arange(len(rows), dtype=np.int32),
        user_ids=Vocabulary(np.arange(len(rows))),
        item_ids=Vocabulary(np.arange(n_items)),
    )


def random_log(seed, n=30, n_items=5):
    rng = np.random.default_rng(seed)
    return log_of([rng.integers(0, n_items, rng.integers(0, 9)).tolist() for _ in range(n)])


COUNTS = hnp.arrays(np.int64, 6, elements=st.integers(0, 50)).filter(lambda a: a.sum() > 0)


@given(COUNTS, COUNTS, COUNTS)
def test_total_variation_is_a_distance_that_no_event_exceeds(a, b, c):
    between = total_variation(a, b)
    assert total_variation(b, a) == between
    assert total_variation(a, 3 * a) == pytest.approx(0, abs=1e-12)
    assert between <= total_variation(a, c) + total_variation(c, b) + 1e-12
    p, q = a / a.sum(), b / b.sum()
    events = itertools.chain.from_iterable(itertools.combinations(range(6), n) for n in range(7))
    largest = max(abs(p[list(e)].sum() - q[list(e)].sum()) for e in events)
    assert between == pytest.approx(largest, abs=1e-12)
    # Lin (1991): the Jensen-Shannon divergence in bits is at most the total variation.
    assert jensenshannon(p, q, base=2) ** 2 <= between + 1e-9


def test_total_variation_refuses_what_are_no_counts():
    with pytest.raises(ValueError, match="outcomes must be the same"):
        total_variation([1, 2], [1, 2, 3])
    for bad in ([0, 0], [-1, 2], [np.nan, 1]):
        with pytest.raises(ValueError, match="second must be counts"):
            total_variation([1, 1], bad)


def share(values):
    return np.mean(values) if len(values) else np.nan


@pytest.mark.parametrize("lag", [1, 3, 20])
def test_marks_equal_a_loop(lag):
    log = random_log(1)
    marks = history_marks(log, GROUPS, lag=lag)
    assert len(marks) == len(log)
    for i, mark in enumerate(marks.to_numpy()):
        items = log[i].tolist()
        group = GROUPS[items]
        expected = [
            share([item in items[:t] for t, item in enumerate(items)][1:]),
            share([a == b for a, b in itertools.pairwise(group)]),
            share([a == b for a, b in zip(group, group[lag:], strict=False)]),
        ]
        np.testing.assert_allclose(mark, expected)


def test_distances_equal_counts_by_loop():
    first, second = random_log(2), random_log(3)
    found = history_distances(first, second, GROUPS)
    counted = []
    for log in (first, second):
        items, groups, lengths = np.zeros((5, 5)), np.zeros((3, 3)), np.zeros(10)
        for i in range(len(log)):
            lengths[len(log[i])] += 1
            for a, b in itertools.pairwise(log[i].tolist()):
                items[a, b] += 1
                groups[GROUPS[a], GROUPS[b]] += 1
        counted.append((lengths, np.bincount(log.items, minlength=5), items, groups))
    expected = [total_variation(a, b) for a, b in zip(*counted, strict=True)]
    assert list(found) == ["lengths", "items", "item steps", "group steps"]
    np.testing.assert_allclose(list(found.values()), expected)
    assert set(history_distances(first, first, GROUPS).values()) == {0.0}


def test_overlap_equals_sets(monkeypatch):
    first, second = random_log(4), random_log(5)
    monkeypatch.setattr(generated_module, "_ROWS", 7)
    found = nearest_overlap(first, second)
    sets = [[set(log[i].tolist()) for i in range(len(log))] for log in (first, second)]
    for own, value in zip(sets[0], found, strict=True):
        every = [len(own & other) / max(len(own | other), 1) for other in sets[1]]
        assert value == pytest.approx(max(every))
    np.testing.assert_array_equal(nearest_overlap(first, first)[first.lengths > 0], 1)
    with pytest.raises(ValueError, match="hold no event"):
        nearest_overlap(first, second.last(0))


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_runs_equal_a_loop(length):
    first, second = random_log(6), random_log(7, n=20)

    def runs(row):
        return [tuple(row[i : i + length]) for i in range(len(row) - length + 1)]

    others = {run for i in range(len(second)) for run in runs(second[i].tolist())}
    expected = [share([r in others for r in runs(first[i].tolist())]) for i in range(len(first))]
    np.testing.assert_allclose(shared_runs(first, second, length), expected)
    long = first.lengths >= length
    assert (shared_runs(first, first, length)[long] == 1).all()


def test_a_run_does_not_cross_from_one_history_to_the_next():
    assert shared_runs(log_of([[1, 2]]), log_of([[0, 1], [2, 3]]), 2).tolist() == [0.0]
    assert shared_runs(log_of([[0, 1], [2, 3]]), log_of([[1, 2]]), 2).tolist() == [0.0, 0.0]


def test_refuses_what_does_not_fit():
    log = random_log(8)
    other = replace(log, item_ids=Vocabulary(np.arange(10, 15)))
    for call in (
        lambda: history_distances(log, other, GROUPS),
        lambda: nearest_overlap(log, other),
        lambda: shared_runs(log, other, 2),
    ):
        with pytest.raises(ValueError, match="the same item vocabulary"):
            call()
    for groups in (GROUPS[:4], GROUPS - 1, GROUPS / 2):
        with pytest.raises(ValueError, match="groups must be a number of 0 or more for each of 5"):
            history_marks(log, groups)
    with pytest.raises(ValueError, match="lag must be"):
        history_marks(log, GROUPS, lag=0)
    with pytest.raises(ValueError, match="length must be"):
        shared_runs(log, log, 0)

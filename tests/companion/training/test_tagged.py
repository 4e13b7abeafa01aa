"""Batches of labelled histories, and what is said of each event."""

import numpy as np
import pytest

from behaviorseq import Sequences, Vocabulary
from behaviorseq.training.tagged import TaggedBatches, event_numbers


@pytest.fixture(scope="module")
def histories():
    """Make histories of 0 to 24 events."""
    rng = np.random.default_rng(0)
    lengths = np.append(rng.integers(0, 25, 19), 0)
    n = lengths.sum()
    return Sequences(
        items=rng.integers(0, 4, n).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        users=np.arange(20, dtype=np.int32),
        user_ids=Vocabulary(np.arange(20)),
        item_ids=Vocabulary(np.arange(4)),
        times=np.datetime64("2024-01-01", "s") + np.cumsum(rng.integers(0, 9999, n)),
        behaviors=rng.integers(0, 2, n).astype(np.int8),
        behavior_names=("click", "view"),
    )


def test_each_event_is_in_one_piece(histories):
    state = np.arange(histories.n_events)
    batches = TaggedBatches(histories, state, batch_size=4, length=7)
    seen = np.zeros(histories.n_events, dtype=int)
    for start in range(0, len(batches.starts), 5):
        pieces = np.arange(start, min(start + 5, len(batches.starts)))
        place, batch = batches.of(pieces)
        cells = place[batch.mask].numpy()
        seen[cells] += 1
        assert (batch.items[batch.mask].numpy() == histories.items[cells]).all()
        assert (batch.labels[batch.mask].numpy() == state[cells]).all()
        assert (
            histories.row_of_event[cells]
            == np.repeat(histories.row_of_event[batches.starts[pieces]], batches.lengths[pieces])
        ).all()
    assert (seen == 1).all()
    assert batches.lengths.max() <= 7
    epoch = list(batches.epoch(0))
    assert len(epoch) == len(batches)
    assert sum(int(batch.mask.sum()) for batch in epoch) == histories.n_events


def test_numbers_of_events_by_a_loop(histories):
    found = event_numbers(histories)
    for row in range(len(histories)):
        begin = histories.offsets[row]
        items = histories[row].tolist()
        for place, item in enumerate(items):
            at = begin + place
            gap = (histories.times[at] - histories.times[at - 1]) / np.timedelta64(1, "h")
            expected = [np.log1p(gap) if place else 0, np.log1p(items[:place].count(item))]
            np.testing.assert_allclose(found[at], [*expected, place == 0], rtol=1e-5)


def test_an_order_belongs_to_an_epoch(histories):
    state = np.arange(histories.n_events)
    batches = TaggedBatches(histories, state, batch_size=4, length=7, seed=1)
    orders = [[b.labels[b.mask].tolist() for b in batches.epoch(number)] for number in (0, 0, 1)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]

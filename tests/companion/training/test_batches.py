"""Batches: every next item once, little padding, an order that follows seed and epoch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviorseq import Sequences, Vocabulary
from behaviorseq.training import Batches, batches, padded


def sequences(lengths, seed=0, n_items=50):
    rng = np.random.default_rng(seed)
    return Sequences(
        items=rng.integers(0, n_items, sum(lengths)).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        users=np.arange(len(lengths), dtype=np.int32),
        user_ids=Vocabulary(np.arange(len(lengths))),
        item_ids=Vocabulary(np.arange(n_items)),
    )


def pieces(epoch):
    """List the (inputs, targets) of each row of an epoch."""
    rows = []
    for batch in epoch:
        lengths = batch.mask.sum(dim=1).tolist()
        parts = batch.targets.split(lengths)
        for items, target, length in zip(batch.items, parts, lengths, strict=True):
            rows.append((items[:length].tolist(), target.tolist()))
    return rows


def windows_by_loop(histories, length, windows):
    """Cut each history from its end, one window at a time."""
    expected = []
    for row in range(len(histories)):
        events = histories[row].tolist()
        while len(events) > 1:
            piece = events[-length - 1 :]
            expected.append((piece[:-1], piece[1:]))
            events = events[: max(0, len(events) - length)] if windows == "all" else []
    return expected


lists_of_lengths = st.lists(st.integers(0, 30), min_size=1, max_size=40).filter(
    lambda x: max(x) > 1
)


@given(
    lengths=lists_of_lengths,
    length=st.integers(1, 12),
    windows=st.sampled_from(["all", "last"]),
    batch_size=st.integers(1, 9),
    epoch=st.integers(0, 5),
)
@settings(max_examples=150)
def test_an_epoch_holds_every_window_once(lengths, length, windows, batch_size, epoch):
    histories = sequences(lengths)
    got = Batches(histories, batch_size=batch_size, length=length, windows=windows)
    expected = windows_by_loop(histories, length, windows)
    rows = pieces(got.epoch(epoch))
    assert sorted(rows) == sorted(expected)
    assert got.n_events == sum(len(inputs) for inputs, _ in expected)


@given(lengths=lists_of_lengths, length=st.integers(1, 12))
@settings(max_examples=50)
def test_cut_into_windows_every_event_but_the_first_is_a_target_once(lengths, length):
    histories = sequences(lengths)
    rows = pieces(Batches(histories, length=length).epoch(0))
    first = histories.offsets[:-1][histories.lengths > 0]
    expected = np.delete(histories.items, first).tolist()
    assert sorted(t for _, target in rows for t in target) == sorted(expected)


def test_padding_is_code_0_on_the_right_to_the_longest_only():
    items, mask = padded(np.arange(1, 8, dtype=np.int32), np.array([0, 3, 6]), np.array([3, 1, 0]))
    np.testing.assert_array_equal(items, [[1, 2, 3], [4, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(mask, [[1, 1, 1], [1, 0, 0], [0, 0, 0]])


def test_little_is_padding_and_batches_hold_like_numbers_of_events():
    lengths = np.random.default_rng(0).geometric(0.15, 3000) + 1
    histories = sequences(lengths.tolist())
    cells, events = [], []
    for batch in Batches(histories, batch_size=64).epoch(0):
        cells.append(batch.mask.numel())
        events.append(int(batch.mask.sum()))
    assert sum(events) / sum(cells) > 0.9
    assert max(events) < 1.3 * np.mean(events)
    # rows as they come would hold less than half
    shuffled = np.random.default_rng(1).permutation(np.minimum(lengths - 1, 50))
    blocks = [shuffled[i : i + 64] for i in range(0, 3000, 64)]
    assert sum(b.sum() for b in blocks) / sum(len(b) * b.max() for b in blocks) < 0.5


def test_the_order_follows_seed_and_epoch():
    histories = sequences([5, 6, 7, 8] * 20)
    one = Batches(histories, batch_size=8, seed=1)
    order = pieces(one.epoch(3))
    assert (
        order == pieces(one.epoch(3)) == pieces(Batches(histories, batch_size=8, seed=1).epoch(3))
    )
    assert order != pieces(one.epoch(4))
    assert order != pieces(Batches(histories, batch_size=8, seed=2).epoch(3))


def test_batches_are_shuffled_and_so_is_who_is_together():
    histories = sequences([10] * 64)
    plan = Batches(histories, batch_size=4)
    firsts = [tuple(int(b.items[0, 0]) for b in plan.epoch(e)) for e in range(3)]
    assert len(set(firsts)) == 3
    lengths = [
        b.items.shape[1] for b in Batches(sequences([*range(2, 60)] * 5), batch_size=4).epoch(0)
    ]
    assert lengths != sorted(lengths)
    assert batches.POOL * 4 < 290  # more than one pool, or the test says little


def test_a_batch_moves_to_a_device():
    batch = next(Batches(sequences([4, 4])).epoch(0)).to(torch.device("meta"))
    parts = (batch.items, batch.mask, batch.asked, batch.targets)
    assert all(part.device.type == "meta" for part in parts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"windows": "first"}, "windows must be one of"),
        ({"batch_size": 0}, "must be 1 or more"),
        ({"length": 0}, "must be 1 or more"),
    ],
)
def test_refuses_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Batches(sequences([3]), **options)


def test_refuses_histories_without_a_next_item():
    with pytest.raises(ValueError, match="no history has two events"):
        Batches(sequences([1, 0, 1]))

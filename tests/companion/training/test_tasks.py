"""What is input and what target: hidden items and prefixes against slow loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviorseq import Sequences, Vocabulary
from behaviorseq.training import MASKED, Batches, MaskedItems, NextItem, Prefixes, padded


def sequences(lengths):
    """Give each event an item of its own."""
    n = sum(lengths)
    return Sequences(
        items=np.arange(n, dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        users=np.arange(len(lengths), dtype=np.int32),
        user_ids=Vocabulary(np.arange(len(lengths))),
        item_ids=Vocabulary(np.arange(n)),
    )


lists_of_lengths = st.lists(st.integers(0, 12), min_size=1, max_size=20).filter(
    lambda x: max(x) > 1
)


@given(
    lengths=lists_of_lengths,
    length=st.integers(1, 8),
    windows=st.sampled_from(["all", "last"]),
    batch_size=st.integers(1, 9),
)
@settings(max_examples=60)
def test_prefixes_ask_once_for_each_event_that_others_precede(lengths, length, windows, batch_size):
    histories = sequences(lengths)
    expected = []
    for row in range(len(histories)):
        events = histories[row].tolist()
        first = 1 if windows == "all" else max(1, len(events) - length)
        expected += [(events[max(0, i - length) : i], events[i]) for i in range(first, len(events))]
    batches = Batches(
        histories, batch_size=batch_size, length=length, windows=windows, task=Prefixes()
    )
    got = []
    for batch in batches.epoch(0):
        ends = batch.mask.sum(dim=1) - 1
        assert (batch.asked.sum(dim=1) == 1).all()
        assert batch.asked[torch.arange(len(ends)), ends].all()
        for items, mask, target in zip(batch.items, batch.mask, batch.targets, strict=True):
            got.append((items[mask].tolist(), target.item()))
    assert sorted(got) == sorted(expected)
    assert batches.n_events == len(expected)


@given(
    lengths=lists_of_lengths,
    length=st.integers(1, 8),
    share=st.floats(0, 1),
    last=st.floats(0, 1),
)
@settings(max_examples=60)
def test_hidden_items_put_back_give_the_windows(lengths, length, share, last):
    histories = sequences(lengths)
    task = MaskedItems(share, last)
    plain = Batches(histories, length=length).epoch(0)
    windows = []
    for batch in plain:  # the same windows, of which the next item is asked
        targets = batch.targets.split(batch.mask.sum(dim=1).tolist())
        for items, mask, target in zip(batch.items, batch.mask, targets, strict=True):
            windows.append([*items[mask].tolist(), target[-1].item()])
    got = []
    for batch in Batches(histories, length=length, task=task).epoch(0):
        assert (batch.asked == ((batch.items == MASKED) & batch.mask)).all()
        assert batch.asked.any(dim=1).all()
        items = batch.items.clone()
        items[batch.asked] = batch.targets
        got += [row[mask].tolist() for row, mask in zip(items, batch.mask, strict=True)]
    assert sorted(got) == sorted(windows)


def shares(task, n_rows=4000, length=9):
    batches = Batches(sequences([length + 1] * n_rows), batch_size=n_rows, task=task)
    (batch,) = batches.epoch(0)
    only_last = batch.asked[:, -1] & (batch.asked.sum(dim=1) == 1)
    return batch.asked.double().mean(dim=0), only_last.double().mean().item()


def test_items_are_hidden_by_chance_and_sometimes_the_last_alone():
    by_place, only_last = shares(MaskedItems(share=0.3, last=0.0))
    np.testing.assert_allclose(by_place[:-1], 0.3, atol=0.03)
    none = 0.7**10  # then the last is
    assert by_place[-1] == pytest.approx(0.3 + none, abs=0.03)
    assert only_last == pytest.approx(0.3 * 0.7**9 + none, abs=0.02)
    _, only_last = shares(MaskedItems(share=0.3, last=0.5))
    assert only_last == pytest.approx(0.5 + 0.5 * (0.3 * 0.7**9 + none), abs=0.03)
    by_place, _ = shares(MaskedItems(share=1.0, last=0.0))
    assert (by_place == 1).all()
    by_place, only_last = shares(MaskedItems(share=0.0, last=0.0))
    assert only_last == 1
    assert by_place.sum() == 1


def test_what_is_hidden_follows_seed_and_epoch():
    histories = sequences([8] * 50)

    def hidden(seed, epoch):
        batches = Batches(histories, batch_size=50, task=MaskedItems(), seed=seed)
        (batch,) = batches.epoch(epoch)
        return sorted(batch.targets.tolist())

    assert hidden(0, 2) == hidden(0, 2)
    assert hidden(0, 2) != hidden(0, 3)
    assert hidden(0, 2) != hidden(1, 2)


def test_the_next_item_is_asked_for_by_a_hidden_event_or_by_the_last():
    events = padded(np.arange(1, 6, dtype=np.int32), np.array([0, 2]), np.array([2, 3]))
    items, mask = (torch.from_numpy(part) for part in events)
    asked, shown = MaskedItems().ask(items, mask)
    np.testing.assert_array_equal(asked, [[1, 2, MASKED, 0], [3, 4, 5, MASKED]])
    np.testing.assert_array_equal(shown, [[1, 1, 1, 0], [1, 1, 1, 1]])
    for task in (NextItem(), Prefixes()):
        same = task.ask(items, mask)
        assert same[0] is items
        assert same[1] is mask


@pytest.mark.parametrize("name", ["share", "last"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_refuses_shares_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a number from 0 to 1"):
        MaskedItems(**{name: value})

"""Batches of whole histories, and the cross-entropy of a bag."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviorseq import Sequences, Vocabulary
from behaviorseq.training import Bags, bag_cross_entropy


def log_of(rows, n_items=7):
    """Give histories from plain lists of codes."""
    return Sequences(
        items=np.array([i for row in rows for i in row], dtype=np.int32),
        offsets=np.cumsum([0, *map(len, rows)]),
        users=np.arange(len(rows), dtype=np.int32),
        user_ids=Vocabulary(np.arange(len(rows))),
        item_ids=Vocabulary(np.arange(n_items)),
    )


rows_strategy = st.lists(st.lists(st.integers(0, 6), max_size=6), min_size=1, max_size=9).filter(
    lambda rows: any(rows)
)


@settings(max_examples=60)
@given(rows=rows_strategy, size=st.integers(1, 4), number=st.integers(0, 3))
def test_an_epoch_holds_every_pair_once(rows, size, number):
    bags = Bags(log_of(rows), batch_size=size, seed=1)
    batches = list(bags.epoch(number))
    assert len(batches) == len(bags)
    assert all(len(bag.rows) <= size for bag in batches)
    seen = {}
    for bag in batches:
        np.testing.assert_array_equal(bag.lengths.sum(), len(bag.items))
        for place, row in enumerate(bag.rows.tolist()):
            assert row not in seen
            seen[row] = bag.items[bag.offsets[place] : bag.offsets[place + 1]].tolist()
            assert seen[row] == bag.items[bag.owners == place].tolist()
        assert (bag.weights == 1).all()
    expected = {row: sorted(set(items)) for row, items in enumerate(rows) if items}
    assert {row: sorted(items) for row, items in seen.items()} == expected
    assert bags.n_pairs == sum(map(len, expected.values()))


def test_the_order_follows_seed_and_epoch():
    log = log_of([[i % 7] for i in range(50)])
    first = [bag.rows.tolist() for bag in Bags(log, batch_size=8, seed=3).epoch(2)]
    assert first == [bag.rows.tolist() for bag in Bags(log, batch_size=8, seed=3).epoch(2)]
    assert first != [bag.rows.tolist() for bag in Bags(log, batch_size=8, seed=3).epoch(1)]
    assert first != [bag.rows.tolist() for bag in Bags(log, batch_size=8, seed=4).epoch(2)]


def test_decay_weighs_by_the_distance_from_the_end():
    bag = Bags(log_of([[2, 5, 2, 1], [3]]), decay=0.5).of(np.array([1, 0]))
    assert bag.items.tolist() == [3, 1, 2, 5]
    assert bag.weights.tolist() == [1, 1, 0.5 + 0.125, 0.25]
    assert bag.weights.dtype == torch.float32


def test_refuses_a_log_without_events_and_a_batch_without_rows():
    with pytest.raises(ValueError, match="no history has an event"):
        Bags(log_of([[], []]))
    with pytest.raises(ValueError, match="batch_size must be 1 or more: 0"):
        Bags(log_of([[1]]), batch_size=0)


def test_cross_entropy_equals_a_float64_loop_and_the_multinomial():
    torch.manual_seed(0)
    bag = Bags(log_of([[0, 1, 4], [2], [5, 6]])).of(np.array([2, 0, 1]))
    scores = torch.randn(3, 7, dtype=torch.float64, requires_grad=True)
    ours = bag_cross_entropy(scores, bag)
    for place, items in enumerate([[5, 6], [0, 1, 4], [2]]):
        chances = [math.exp(s) for s in scores[place].tolist()]
        expected = -sum(math.log(chances[i] / sum(chances)) for i in items)
        assert ours[place].item() == pytest.approx(expected, rel=1e-12)
        counts = torch.zeros(7, dtype=torch.float64)
        counts[items] = 1
        multinomial = torch.distributions.Multinomial(len(items), logits=scores[place])
        orders = math.lgamma(len(items) + 1)  # in how many orders the items can be drawn
        assert orders - multinomial.log_prob(counts).item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(lambda s: bag_cross_entropy(s, bag), scores)

"""Examples of several tasks: batches equal a slow loop, users are dealt out, bad parts refused."""

import dataclasses

import numpy as np
import pytest
import torch

from behaviorseq.training import ExampleBatches, Examples


def make(n_rows=9, n=30, seed=0):
    rng = np.random.default_rng(seed)
    n_events = 40
    starts = rng.integers(0, 30, n_rows)
    lengths = rng.integers(0, 9, n_rows)
    lengths[2] = 0
    return Examples(
        sizes=(7, 3),
        codes=np.column_stack([rng.integers(0, 7, n_events), rng.integers(0, 3, n_events)]),
        numbers=rng.normal(size=(n_events, 2)).astype(np.float32),
        starts=starts,
        lengths=lengths,
        row=rng.integers(0, n_rows, n),
        asked_codes=rng.integers(0, 7, (n, 1)),
        asked_numbers=rng.normal(size=(n, 1)).astype(np.float32),
        labels={"a": rng.integers(0, 2, n).astype(np.float32)},
        weights={"a": rng.random(n).astype(np.float32)},
        users=rng.integers(0, 6, n),
    )


def test_an_epoch_holds_each_question_once_with_its_history():
    examples = make()
    batches = ExampleBatches(examples, batch_size=4)
    seen = []
    for start in range(0, len(batches.rows), 4):
        asked, batch = batches.of(np.arange(start, min(start + 4, len(batches.rows))))
        for place, question in enumerate(asked):
            history = examples.row[question]
            first, length = examples.starts[history], examples.lengths[history]
            b = batch.row[place]
            assert batch.mask[b].sum() == length
            codes = batch.codes[b][batch.mask[b]].numpy()
            np.testing.assert_array_equal(codes, examples.codes[first : first + length])
            numbers = batch.numbers[b][batch.mask[b]].numpy()
            np.testing.assert_array_equal(numbers, examples.numbers[first : first + length])
            for name in ("asked_codes", "asked_numbers"):
                mine = getattr(batch, name)[place].numpy()
                np.testing.assert_array_equal(mine, getattr(examples, name)[question])
            assert batch.labels["a"][place] == examples.labels["a"][question]
            assert batch.weights["a"][place] == examples.weights["a"][question]
        seen += asked.tolist()
    assert sorted(seen) == list(range(len(examples)))


def test_epochs_have_orders_of_their_own_that_depend_on_the_seed():
    examples = make()
    orders = [
        [batch.asked_numbers.ravel().tolist() for batch in batches.epoch(number)]
        for batches in (ExampleBatches(examples, batch_size=3, seed=s) for s in (0, 0, 1))
        for number in (0, 1)
    ]
    assert orders[0] == orders[2]
    assert orders[1] == orders[3]
    assert orders[0] != orders[1]
    assert orders[0] != orders[4]
    assert sum(map(len, orders[0])) == len(examples)


def test_an_empty_log_gives_rows_of_padding():
    examples = make()
    emptied = dataclasses.replace(
        examples,
        codes=examples.codes[:0],
        numbers=examples.numbers[:0],
        starts=np.zeros(9, dtype=int),
        lengths=np.zeros(9, dtype=int),
    )
    batch = next(ExampleBatches(emptied, batch_size=4).epoch(0))
    assert not batch.mask.any()
    assert batch.codes.shape == (4, 1, 2)
    assert batch.to(torch.device("cpu")).labels["a"].shape == batch.row.shape


def test_users_are_dealt_out_whole():
    examples = make(n=200)
    parts = examples.deal((0.5, 0.2), seed=3)
    people = [set(part.users.tolist()) for part in parts]
    assert [len(group) for group in people] == [3, 1, 2]
    assert len(set.union(*people)) == 6
    assert sum(map(len, parts)) == 200
    same = [part.users.tolist() for part in examples.deal((0.5, 0.2), seed=3)]
    assert same == [part.users.tolist() for part in parts]


def test_fingerprints_tell_examples_apart():
    examples = make()
    other = dataclasses.replace(examples, labels={"a": 1 - examples.labels["a"]})
    assert examples.fingerprint == make().fingerprint
    assert examples.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": (7,)}, "as many codes"),
        ({"sizes": (3, 3)}, "codes, column 0"),
        ({"row": np.full(30, 9)}, "row must be"),
        ({"lengths": np.full(9, 20)}, "reaches out"),
        ({"asked_codes": np.full((30, 1), 7)}, "asked_codes, column 0"),
        ({"labels": {"a": np.zeros(29, np.float32)}}, "29 entries for 30"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(make(), **change)


def test_shares_out_of_range_are_refused():
    with pytest.raises(ValueError, match="shares must be"):
        make().deal((0.5, 0.5))

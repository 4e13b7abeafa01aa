"""The tagger: what it reads, that it learns, that padding and batches do not matter."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from behaviorseq import Sequences, SequenceTagger, Training
from behaviorseq.training.tagged import TaggedBatches

NAMES = ("calm", "busy")
FAST = Training(epochs=6, batch_size=16, learning_rate=0.01)


def make(n_users=80, seed=0):
    """Make histories of a hidden state that stays, with items that hint at it."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 25, n_users)
    n = lengths.sum()
    first = np.zeros(n, dtype=bool)
    first[np.cumsum(lengths) - lengths] = True
    flips = (rng.random(n) < 0.1) | first & (rng.random(n) < 0.5)
    state = np.cumsum(flips) % 2
    item = np.where(rng.random(n) < 0.7, state, 1 - state) + 2 * rng.integers(0, 2, n)
    start = np.datetime64("2024-01-01", "s")
    log = pd.DataFrame(
        {
            "user": np.repeat(np.arange(n_users), lengths),
            "item": item,
            "time": start + np.cumsum(rng.integers(1, 99, n)).astype("timedelta64[m]"),
            "behavior": rng.choice(["view", "click"], n),
        }
    )
    return Sequences.from_events(log), state


def accuracy(tagger, histories, state):
    return float((tagger.predict(histories) == state).mean())


@pytest.fixture(scope="module")
def data():
    return make(300), make(300, seed=1)


@pytest.fixture(scope="module")
def taggers(data):
    (train, state), _ = data
    return {
        (context, crf): SequenceTagger(
            label_names=NAMES, context=context, crf=crf, training=FAST
        ).fit(train, state)
        for context in ("none", "bilstm")
        for crf in (False, True)
    }


def test_what_stands_around_an_event_helps(taggers, data):
    _, (histories, state) = data
    found = {kind: accuracy(tagger, histories, state) for kind, tagger in taggers.items()}
    # The item alone is right in 70% of the events, and no model of single events can do better.
    assert 0.64 < found["none", False] < 0.76
    for kind in (("none", True), ("bilstm", False), ("bilstm", True)):
        assert found[kind] > found["none", False] + 0.03


def test_a_crf_finds_that_labels_stay(taggers):
    moved = taggers["none", True].network.chain.transition.detach()
    assert (moved.diagonal() > moved.flip(1).diagonal() + 1).all()


@pytest.mark.parametrize("kind", [("none", False), ("none", True), ("bilstm", True)])
def test_probabilities(taggers, data, kind):
    _, (histories, _) = data
    tagger = taggers[kind]
    chances = tagger.probabilities(histories)
    assert chances.shape == (histories.n_events, 2)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)
    if kind == ("none", False):
        assert (chances.argmax(axis=1) == tagger.predict(histories)).all()


@pytest.mark.parametrize("kind", [("none", False), ("none", True), ("bilstm", True)])
def test_the_other_histories_of_a_batch_do_not_matter(taggers, data, kind):
    _, (histories, _) = data
    tagger = taggers[kind]
    together = tagger.probabilities(histories)
    for row in (0, int(histories.lengths.argmin()), int(histories.lengths.argmax())):
        one = histories.slice(row, row + 1)
        part = slice(histories.offsets[row], histories.offsets[row + 1])
        np.testing.assert_allclose(tagger.probabilities(one), together[part], atol=1e-5)
        assert (tagger.predict(one) == tagger.predict(histories)[part]).all()


def test_only_context_reads_other_events(taggers, data):
    _, (histories, _) = data
    whole = histories.slice(int(histories.lengths.argmax()), int(histories.lengths.argmax()) + 1)
    turned = whole.items.copy()
    turned[-1] = (turned[-1] + 1) % 4
    other = dataclasses.replace(whole, items=turned)
    # The count of earlier events of an item would be another one too: compare from the network.
    for kind, changes in ((("none", False), False), (("bilstm", False), True)):
        network = taggers[kind].network
        outputs = []
        for histories_ in (whole, other):
            batches = TaggedBatches(
                histories_, np.zeros(whole.n_events, np.int64), batch_size=1, length=99
            )
            with torch.no_grad():
                outputs.append(network(batches.of(np.array([0]))[1])[0, :-1])
        assert torch.allclose(*outputs) != changes


def test_a_fit_can_be_repeated():
    train, state = make(40)
    few = dataclasses.replace(FAST, epochs=2)
    one, two = (SequenceTagger(label_names=NAMES, training=few).fit(train, state) for _ in "ab")
    other = SequenceTagger(label_names=NAMES, training=dataclasses.replace(few, seed=1))
    other.fit(train, state)
    assert (one.probabilities(train) == two.probabilities(train)).all()
    assert (one.probabilities(train) != other.probabilities(train)).any()


def test_the_best_epoch_is_kept():
    train, state = make(40)
    values = iter([0.1, 0.9, 0.3, 0.2])
    training = dataclasses.replace(FAST, epochs=4, patience=2)
    kept = SequenceTagger(label_names=NAMES, training=training)
    kept.fit(train, state, validate=lambda _: next(values))
    assert kept.history["epoch"].tolist() == [1, 2, 3, 4]
    same = SequenceTagger(label_names=NAMES, training=dataclasses.replace(FAST, epochs=2))
    assert (kept.probabilities(train) == same.fit(train, state).probabilities(train)).all()


def test_an_empty_history_and_a_log_without_times_or_behaviors():
    histories, state = make(20)
    plain = dataclasses.replace(histories, times=None, behaviors=None, behavior_names=())
    emptied = plain.keep(plain.row_of_event != 3)
    labels = state[plain.row_of_event != 3]
    few = dataclasses.replace(FAST, epochs=1)
    tagger = SequenceTagger(label_names=NAMES, training=few).fit(emptied, labels)
    assert tagger.predict(emptied).shape == (emptied.n_events,)
    nobody = emptied.keep(np.zeros(emptied.n_events, dtype=bool))
    assert tagger.probabilities(nobody).shape == (0, 2)


def test_what_does_not_fit_is_refused(data, taggers):
    (train, state), _ = data
    tagger = SequenceTagger(label_names=NAMES)
    with pytest.raises(ValueError, match="not fitted"):
        tagger.predict(train)
    with pytest.raises(ValueError, match="need as many labels"):
        tagger.fit(train, state[:-1])
    with pytest.raises(ValueError, match="labels"):
        tagger.fit(train, state + 1)
    with pytest.raises(ValueError, match="whole numbers"):
        tagger.fit(train, state.astype(float))
    other = dataclasses.replace(train, behavior_names=("view", "cart"))
    with pytest.raises(ValueError, match="items and behaviors"):
        taggers["none", True].predict(other)


@pytest.mark.parametrize(
    "change", [{"width": 0}, {"dropout": 1.0}, {"context": "gru"}, {"label_names": ()}]
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        SequenceTagger(**{"label_names": NAMES, **change})

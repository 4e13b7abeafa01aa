"""The shuffle test: nothing for a model without order, everything for one that needs it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from behaviorseq import (
    Holdout,
    ItemKNN,
    Sequences,
    SequentialRules,
    Split,
    evaluate,
    leave_one_out,
    shuffle_test,
)


@pytest.fixture(scope="module")
def split() -> Split:
    """Histories that run through a ring of 40 items, each from a place of its own."""
    starts = np.random.default_rng(0).integers(0, 40, 120)
    log = pd.DataFrame({"user": np.repeat(np.arange(120), 12), "behavior": "view"})
    log["time"] = np.tile(np.arange(12), 120)
    log["item"] = (starts[log["user"]] + log["time"]) % 40
    return leave_one_out(Sequences.from_events(log))


def test_a_model_that_needs_order_loses_most(split: Split) -> None:
    rules = SequentialRules(steps=1).fit(split.train)
    found = shuffle_test(rules, split.test, "HR@1", exclude_seen=False)
    assert found.before == 1
    share, low, high = found.lost
    assert low <= share <= high
    assert share == pytest.approx(10 / 11, abs=0.05)  # the last of 11 stays last once in 11
    assert found.test.p_value < 0.01
    assert found.overlap < 1


def test_a_model_without_order_loses_nothing(split: Split) -> None:
    found = shuffle_test(ItemKNN(decay=1).fit(split.train), split.test)
    assert found.lost == (0, 0, 0)
    assert found.overlap == 1


def test_a_model_that_reads_the_last_event_alone_loses_nothing_if_it_stays(split: Split) -> None:
    rules = SequentialRules(steps=1, decay=0).fit(split.train)
    assert shuffle_test(rules, split.test, keep=1, exclude_seen=False).lost == (0, 0, 0)
    decayed = SequentialRules(steps=1, decay=0.9).fit(split.train)  # it reads the others too
    with_order = decayed.score(split.test.histories)
    mixed = split.test.histories.shuffled(0, keep=1)
    assert not np.allclose(with_order, decayed.score(mixed))


def test_same_as_by_hand(split: Split) -> None:
    rules = SequentialRules(steps=3, decay=0.5).fit(split.train)
    found = shuffle_test(rules, split.test, last=4, shuffles=2, seed=5)
    histories = split.test.histories.last(4)
    mean = [
        evaluate(rules, Holdout(h, split.test.targets), ["NDCG@10"]).mean("NDCG@10")
        for h in (histories, histories.shuffled(5), histories.shuffled(6))
    ]
    assert found.before == pytest.approx(mean[0])
    assert found.test.difference == pytest.approx(mean[0] - np.mean(mean[1:]))


def test_overlap_counts_no_missing_place() -> None:
    log = pd.DataFrame({"user": [0] * 4 + [1] * 4, "item": [*"abcdabce"], "behavior": "view"})
    split = leave_one_out(Sequences.from_events(log.assign(time=[*range(4)] * 2)))
    model = ItemKNN(decay=1).fit(split.train)  # five items: most places of a list stay empty
    assert (model.recommend(split.test.histories, 10)[0] == -1).any()
    assert shuffle_test(model, split.test).overlap == 1


def test_refusal(split: Split) -> None:
    with pytest.raises(ValueError, match="shuffles"):
        shuffle_test(ItemKNN().fit(split.train), split.test, shuffles=0)

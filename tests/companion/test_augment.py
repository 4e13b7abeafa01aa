"""Training logs with histories added."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from behaviorseq import ItemKNN, Sequences, Vocabulary, with_histories


def random_log(seed: int, n_users: int = 12) -> Sequences:
    rng = np.random.default_rng(seed)
    log = pd.DataFrame({"user": rng.integers(0, n_users, 60), "item": rng.integers(0, 9, 60)})
    everyone, items = Vocabulary(np.arange(n_users + 1)), Vocabulary(np.arange(9))
    return Sequences.from_events(
        log.assign(time=range(60), behavior="view"), user_ids=everyone, item_ids=items
    )


def test_rows_stand_one_after_another() -> None:
    first, second = random_log(0), random_log(1, n_users=5)
    both = with_histories(first, second)
    rows = [first[i] for i in range(13)] + [second[i] for i in range(6)]
    assert len(both) == 19
    for i, row in enumerate(rows):
        np.testing.assert_array_equal(both[i], row)
    assert len(np.unique(both.users)) == 19  # users of the second are others
    assert both.times is None


def test_a_log_and_itself_leaves_similarities_as_they_were() -> None:
    log = random_log(2)
    once = ItemKNN(shrink=0).fit(log)
    twice = ItemKNN(shrink=0).fit(with_histories(log, log))
    np.testing.assert_allclose(twice.score(log)[:-1], once.score(log)[:-1], rtol=1e-5)


def test_refuses_other_items() -> None:
    log = random_log(3)
    other = replace(log, item_ids=Vocabulary(np.arange(1, 10)))
    with pytest.raises(ValueError, match="different item vocabularies, of 9 and 9 items"):
        with_histories(log, other)

"""The oracle: it asks the truth about the right user, moment and item."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from behaviorseq import Sequences
from behaviorseq.models import Oracle
from behaviorseq.simulate.base import START

LOG = pd.DataFrame(
    {
        "user": [7, 7, 3],
        "item": [4, 2, 9],
        "time": START + np.array([0, 60, 30], dtype="timedelta64[s]"),
    }
)


class Truth:
    """Notes what it is asked; the score of an item is its id, plus 100 times the user."""

    def next_click_scores(self, users: Any, times: Any, last_items: Any) -> np.ndarray:
        self.asked = (users.tolist(), times.astype(str).tolist(), last_items.tolist())
        return users[:, None] * 100.0 + np.arange(12)


def test_it_asks_about_the_last_event() -> None:
    truth = Truth()
    histories = Sequences.from_events(LOG)
    scores = Oracle(truth).fit(histories).score(histories)
    times = ["2024-01-01T00:00:30", "2024-01-01T00:01:00"]
    assert truth.asked == ([3, 7], times, [9, 2])
    assert scores.tolist() == [[302, 304, 309], [702, 704, 709]]  # items 2, 4 and 9


def test_a_user_without_history() -> None:
    truth = Truth()
    histories = Sequences.from_events(LOG)
    Oracle(truth).fit(histories).score(histories.last(0))
    assert truth.asked == ([3, 7], ["2024-01-01T00:00:00"] * 2, [-1, -1])


def test_positions_are_no_times() -> None:
    histories = Sequences.from_events(LOG.assign(time=[0, 1, 0]))
    with pytest.raises(ValueError, match="the oracle needs the times"):
        Oracle(Truth()).fit(histories).score(histories)

"""Counts of days against a loop over events."""

import numpy as np
import pandas as pd
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from behaviorseq import daily_counts, simulate

BEHAVIORS = ("click", "view", "purchase")


@pytest.fixture(scope="module")
def events():
    return simulate.world("shop", n_users=40, n_items=30, days=12).log().events


def test_each_cell_is_what_a_loop_counts(events):
    users = [7, 3, 39, 1000, 12]
    start = pd.Timestamp("2024-01-03 06:00")
    found = daily_counts(events, users, start, 5, behaviors=BEHAVIORS)
    expected = np.zeros((5, 5, 3))
    for event in events.itertuples():
        hours = (event.time - start) / pd.Timedelta(hours=1)
        if event.user in users and 0 <= hours < 120 and event.behavior in BEHAVIORS:
            cell = users.index(event.user), int(hours // 24), BEHAVIORS.index(event.behavior)
            expected[cell] += 1
    assert expected.sum() > 100
    np.testing.assert_array_equal(found, expected)


def test_windows_are_views_of_the_counts(events):
    counts = daily_counts(events, range(40), "2024-01-01", 12, behaviors=BEHAVIORS)
    windows = sliding_window_view(counts, 7, axis=1)
    assert windows.base is not None
    np.testing.assert_array_equal(windows[:, 2].swapaxes(1, 2), counts[:, 2:9])


def test_later_events_change_no_earlier_day(events):
    early = events[events["time"] < "2024-01-08"]
    whole = daily_counts(events, range(40), "2024-01-01", 12)
    np.testing.assert_array_equal(
        daily_counts(early, range(40), "2024-01-01", 12)[:, :7], whole[:, :7]
    )


def test_what_makes_no_sense_is_refused(events):
    with pytest.raises(ValueError, match="named once"):
        daily_counts(events, [1, 1], "2024-01-01", 3)
    with pytest.raises(ValueError, match="n_days"):
        daily_counts(events, [1], "2024-01-01", 0)

"""Splits by user: no event of a held-out user is learned from, no history knows its target."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from behaviorseq import Sequences, first_events, prefixes, user_groups

QUICK = settings(max_examples=40)
LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=8)


def histories_of(lengths: list[int]) -> Sequences:
    """Make histories of these lengths, in which each item occurs once: it names its event."""
    user = np.repeat(np.arange(len(lengths)), lengths)
    log = pd.DataFrame({"user": user, "item": np.arange(len(user)), "behavior": "view"})
    return Sequences.from_events(log.assign(time=log.groupby("user").cumcount()))


@QUICK
@given(LENGTHS, st.integers(1, 8))
def test_prefixes_are_what_a_loop_would_cut(lengths: list[int], targets: int) -> None:
    histories = histories_of(lengths)
    assume(max(lengths) > 1)
    holdout = prefixes(histories, targets)
    expected = [
        (row, histories[row][:place].tolist(), int(histories[row][place]))
        for row, length in enumerate(lengths)
        for place in range(max(1, length - targets), length)
    ]
    found = [
        (int(user), holdout.histories[i].tolist(), int(holdout.targets.items[i]))
        for i, user in enumerate(holdout.histories.users)
    ]
    assert found == expected
    assert (holdout.targets.lengths == 1).all()


def test_prefixes_keep_times() -> None:
    holdout = prefixes(histories_of([4]), 2)
    assert holdout.histories.times is not None
    assert holdout.histories.times.tolist() == [0, 1, 0, 1, 2]


def test_prefixes_refuse_what_has_no_target() -> None:
    with pytest.raises(ValueError, match="no row has two events"):
        prefixes(histories_of([1, 1]))
    with pytest.raises(ValueError, match="targets must be"):
        prefixes(histories_of([3]), 0)


@QUICK
@given(st.integers(10, 60), st.integers(0, 5))
def test_groups_hold_every_user_once(n_users: int, seed: int) -> None:
    groups = user_groups(histories_of([2] * n_users), (0.1, 0.25), seed)
    assert [len(group) for group in groups[1:]] == [int(0.1 * n_users), int(0.25 * n_users)]
    users = np.concatenate([group.users for group in groups])
    assert sorted(users.tolist()) == list(range(n_users))
    for group in groups:
        assert all((group[i] == [2 * u, 2 * u + 1]).all() for i, u in enumerate(group.users))


def test_groups_follow_the_seed() -> None:
    histories = histories_of([1] * 40)
    first, again, other = (user_groups(histories, (0.5,), seed)[1].users for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    assert (np.diff(first) < 0).any()  # the first rows of a group are no special users


@pytest.mark.parametrize("shares", [(0.0,), (0.5, 0.5), (-0.1,), (0.01,)])
def test_groups_refuse_shares(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="shares"):
        user_groups(histories_of([1] * 10), shares)


@QUICK
@given(LENGTHS, st.integers(0, 8))
def test_first_events_are_what_a_loop_would_cut(lengths: list[int], known: int) -> None:
    histories = histories_of(lengths)
    assume(max(lengths) > known)
    holdout = first_events(histories, known)
    rows = [i for i, length in enumerate(lengths) if length > known]
    assert holdout.histories.users.tolist() == rows
    for place, i in enumerate(rows):
        assert holdout.histories[place].tolist() == histories[i][:known].tolist()
        assert holdout.targets[place].tolist() == [histories[i][known]]


def test_first_events_refuses_what_it_cannot_ask() -> None:
    histories = histories_of([2, 3])
    with pytest.raises(ValueError, match="no row has more than 3 events"):
        first_events(histories, 3)
    with pytest.raises(ValueError, match="known must be a whole number of 0 or more, got -1"):
        first_events(histories, -1)

"""Splits: every event has one place, and no history knows its future."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from behaviorseq import Holdout, Sequences, Split, Vocabulary, global_time_split, leave_one_out

QUICK = settings(max_examples=40)
ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=8, max_size=40)
DAY = pd.Timestamp("2024-01-01")


def histories_of(rows: list[tuple[int, int]], days: list[int] | None = None) -> Sequences:
    """Make histories of (user, item) on the given days, else on days of their own, not in order."""
    shuffled = np.random.default_rng(0).permutation(len(rows))
    frame = pd.DataFrame(rows, columns=["user", "item"])
    frame["time"] = DAY + pd.to_timedelta(shuffled if days is None else days, unit="D")
    return Sequences.from_events(frame.assign(behavior="view", value=np.arange(len(rows))))


def by_user(sequences: Sequences) -> dict[int, list[int]]:
    """Give the events of each user, each named by its value, its row in the log."""
    assert sequences.values is not None
    parts = np.split(sequences.values.astype(int), sequences.offsets[1:-1])
    return {int(user): part.tolist() for user, part in zip(sequences.users, parts, strict=True)}


def time_split(sequences: Sequences, **options) -> Split:
    """Split by time; what cannot be split for want of users is not a case."""
    try:
        return global_time_split(sequences, **options)
    except ValueError as error:
        assume("no user has" not in str(error) and "must lie in this order" not in str(error))
        raise


@QUICK
@given(ROWS)
def test_leave_one_out_gives_each_event_one_place(rows: list[tuple[int, int]]) -> None:
    histories = histories_of(rows)
    assume((histories.lengths >= 3).any())
    split = leave_one_out(histories)
    everything, train = by_user(histories), by_user(split.train)
    validation, test = by_user(split.validation.targets), by_user(split.test.targets)
    for user, events in everything.items():
        assert train[user] + validation.get(user, []) + test.get(user, []) == events
        assert (user in test) == (user in validation) == (len(events) >= 3)
    assert by_user(split.validation.histories) == {u: everything[u][:-2] for u in test}
    assert by_user(split.test.histories) == {u: everything[u][:-1] for u in test}
    assert by_user(split.train_validation) == {
        u: events[:-1] if u in test else events for u, events in everything.items()
    }
    report = split.report
    short = sum(len(events) < 3 for events in everything.values())
    assert report.test.users_without_target == report.validation.users_without_target == short
    assert report.events == len(rows) == report.train_events + 2 * len(test)
    assert report.test.left_out_users == report.test.new_users == 0


@QUICK
@given(
    ROWS, st.sampled_from(["next", "last", "all"]), st.integers(0, 3), st.integers(1, 12), st.data()
)
def test_global_time_split_equals_a_plain_one(
    rows: list[tuple[int, int]], target: str, min_history: int, n_days: int, data: st.DataObject
) -> None:
    """Compare with lists, on logs where many events share their time."""
    length = len(rows)
    days = data.draw(st.lists(st.integers(0, n_days), min_size=length, max_size=length))
    opens, closes = sorted(data.draw(st.sets(st.integers(1, n_days + 1), min_size=2, max_size=2)))
    histories = histories_of(rows, days)
    split = time_split(
        histories,
        validation_start=DAY + pd.Timedelta(opens, unit="D"),
        test_start=str((DAY + pd.Timedelta(closes, unit="D")).date()),
        target=target,
        min_history=min_history,
    )
    everything = by_user(histories)
    windows = [
        (split.validation, split.train, split.report.validation, opens, closes),
        (split.test, split.train_validation, split.report.test, closes, n_days + 1),
    ]
    for holdout, train, report, start, stop in windows:
        known, targets = by_user(holdout.histories), by_user(holdout.targets)
        assert known.keys() == targets.keys()
        users = new = left_out = events = 0
        for user, mine in everything.items():
            before = [e for e in mine if days[e] < start]
            inside = [e for e in mine if start <= days[e] < stop]
            chosen = {"next": inside[:1], "last": inside[-1:], "all": inside}[target]
            history = mine[: mine.index(chosen[0])] if chosen else []
            kept = bool(inside) and len(history) >= min_history
            assert by_user(train)[user] == before
            assert targets.get(user, []) == (chosen if kept else [])
            assert known.get(user, []) == (history if kept else [])
            assert all(days[e] <= days[chosen[0]] for e in known.get(user, []))
            assert target == "last" or all(days[e] < start for e in known.get(user, []))
            users, events = users + bool(inside), events + len(inside)
            new += bool(inside) and not before
            left_out += bool(inside) and not kept
        assert (report.users, report.new_users, report.left_out_users) == (users, new, left_out)
        assert report.users_without_target == len(everything) - users
        assert report.events == events
        assert report.targets == sum(map(len, targets.values()))
        learned = set(train.items.tolist())
        assert report.cold_targets == sum(i not in learned for i in holdout.targets.items)
    report = split.report
    assert len(rows) == report.train_events + report.validation.events + report.test.events
    assert report.train_users == sum(bool(events) for events in by_user(split.train).values())


def assert_same_parts(one: Split, other: Split) -> None:
    assert one.report == other.report
    for first, second in [
        (one.train, other.train),
        (one.train_validation, other.train_validation),
        (one.validation.histories, other.validation.histories),
        (one.validation.targets, other.validation.targets),
        (one.test.histories, other.test.histories),
        (one.test.targets, other.test.targets),
    ]:
        assert by_user(first) == by_user(second)


@QUICK
@given(ROWS, st.randoms())
def test_order_of_users_only_orders_the_rows(rows: list[tuple[int, int]], random) -> None:
    histories = histories_of(rows)
    order = list(range(len(histories)))
    random.shuffle(order)
    other = histories.take(order)
    split, permuted = time_split(histories), time_split(other)
    assert_same_parts(split, permuted)
    expected = [u for u in other.users if u in split.test.histories.users]
    assert permuted.test.histories.users.tolist() == expected
    assume((histories.lengths >= 3).any())
    split, permuted = leave_one_out(histories), leave_one_out(other)
    assert_same_parts(split, permuted)
    assert permuted.train.users.tolist() == other.users.tolist()


def test_shares_of_events_come_before_the_moments() -> None:
    split = global_time_split(histories_of([(0, 0), (1, 0), (2, 1), (3, 1)] * 25))
    assert split.train.n_events == 80
    assert split.train_validation.n_events == 90


def test_events_of_one_time_stay_together() -> None:
    days = [0] * 4 + [1] * 4 + [2] * 4
    histories = histories_of([(user, item) for item in range(3) for user in range(4)], days)
    split = global_time_split(histories, validation_start=0.4, test_start=0.75)
    assert split.train.n_events == 4
    assert split.train_validation.n_events == 8


def test_report_counts_what_a_reader_would_count() -> None:
    rows = [(1, 0), (1, 1), (2, 0), (1, 2), (2, 1), (1, 3), (3, 0), (2, 0), (2, 0), (4, 0)]
    histories = histories_of(rows, [1, 2, 3, 6, 7, 9, 9, 9, 10, 4])
    split = global_time_split(histories, validation_start="2024-01-06", test_start="2024-01-10")
    assert split.report.counts() == {
        "events": 10,
        "users": 4,
        "train_events": 4,
        "train_users": 3,
        "validation_events": 2,
        "validation_targets": 2,
        "validation_cold_targets": 1,  # item 2; item 1 was seen
        "validation_users": 2,
        "validation_new_users": 0,
        "validation_left_out_users": 0,
        "validation_users_without_target": 2,
        "test_events": 4,
        "test_targets": 2,  # of the other two, one follows a target, one is the new user's
        "test_cold_targets": 1,  # item 3
        "test_users": 3,
        "test_new_users": 1,  # user 3
        "test_left_out_users": 1,
        "test_users_without_target": 1,
    }


def test_a_moment_between_two_ticks_is_not_rounded() -> None:
    histories = histories_of([(0, 0)] * 6, list(range(6)))
    assert histories.times is not None
    seconds = Sequences(
        histories.items,
        histories.offsets,
        histories.users,
        histories.user_ids,
        histories.item_ids,
        times=histories.times.astype("datetime64[s]"),
    )
    split = global_time_split(
        seconds, validation_start="2024-01-03 00:00:00.5", test_start="2024-01-05"
    )
    assert split.train.n_events == 3


def test_what_cannot_be_split_is_refused() -> None:
    log = pd.DataFrame({"user": [0, 0], "item": [1, 2], "time": [0, 1], "behavior": "view"})
    positions = Sequences.from_events(log)
    with pytest.raises(ValueError, match=r"not their times.*use leave_one_out"):
        global_time_split(positions)
    with pytest.raises(ValueError, match="no user has three events"):
        leave_one_out(positions)
    empty = Sequences.from_events(log.assign(time=DAY).iloc[:0])
    with pytest.raises(ValueError, match="nothing to split"):
        global_time_split(empty)
    with pytest.raises(ValueError, match="no user has three events"):
        leave_one_out(empty)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_start": 0.9, "test_start": 0.5}, "must lie in this order inside the log"),
        ({"test_start": "2030-01-01"}, r"2030-01-01.* must lie in this order inside the log"),
        ({"validation_start": 1.5}, "between 0 and 1, got 1.5"),
        ({"validation_start": 1700000000}, "between 0 and 1, got 1700000000"),
        ({"target": "first"}, "target must be one of"),
        ({"min_history": -1}, "min_history must be 0 or more"),
        ({"min_history": 9}, "no user has an event in the validation window and a history of 9"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        global_time_split(histories_of([(0, i) for i in range(9)]), **options)


def test_a_holdout_holds_the_same_users_and_items() -> None:
    histories = histories_of([(0, 0), (1, 1), (1, 2)])
    with pytest.raises(ValueError, match="same users in the same rows"):
        Holdout(histories, histories.take([1, 0]))
    other = Sequences(
        histories.items,
        histories.offsets,
        histories.users,
        histories.user_ids,
        Vocabulary(np.array([5, 6, 7])),
    )
    with pytest.raises(ValueError, match="same item vocabulary"):
        Holdout(histories, other)

"""Sequences against plain lists."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from behaviorseq import Sequences, Vocabulary

EVENTS = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from("abcde"), st.integers(0, 6), st.sampled_from("vw")
    ),
    min_size=1,
)

QUICK = settings(max_examples=40)


def log(rows: list[tuple]) -> pd.DataFrame:
    """Make a log of (user, item, day) or (user, item, day, behavior); value is the row's number."""
    rows = [row if len(row) == 4 else (*row, "view") for row in rows]
    frame = pd.DataFrame(rows, columns=["user", "item", "time", "behavior"])
    frame["time"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(frame["time"], unit="D")
    return frame.assign(value=np.arange(len(rows), dtype=float))


def as_lists(histories: Sequences) -> dict[int, list[str]]:
    users = histories.user_ids.decode(histories.users).tolist()
    return {
        user: histories.item_ids.decode(histories[row]).tolist() for row, user in enumerate(users)
    }


def expected_lists(events: pd.DataFrame, by: list[str]) -> dict[int, list[str]]:
    ordered = events.sort_values(by, kind="stable")
    return {int(user): group["item"].tolist() for user, group in ordered.groupby("user")}


def assert_same(one: Sequences, other: Sequences) -> None:
    for name in ("items", "offsets", "users", "times", "behaviors", "values"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@QUICK
@given(EVENTS)
def test_equals_sorting_and_grouping(rows: list[tuple]) -> None:
    events = log(rows)
    assert as_lists(Sequences.from_events(events)) == expected_lists(events, ["time"])
    by_item = Sequences.from_events(events, ties="item")
    assert as_lists(by_item) == expected_lists(events, ["time", "item"])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("spread", [3, 2**20, 2**62])
def test_any_unit_and_any_span_of_time_is_sorted(unit: str, spread: int) -> None:
    generator = np.random.default_rng(spread)
    ticks = generator.integers(-spread // 2, spread // 2, 2000)
    frame = pd.DataFrame({"user": generator.integers(0, 9, 2000), "item": np.arange(2000)})
    for time in (ticks, ticks.astype(f"datetime64[{unit}]")):
        events = frame.assign(time=time)
        assert as_lists(Sequences.from_events(events)) == expected_lists(events, ["time"])


@QUICK
@given(EVENTS)
def test_every_event_keeps_its_time_behavior_and_value(rows: list[tuple]) -> None:
    events = log(rows)
    histories = Sequences.from_events(events, ties="random", seed=3)
    back = pd.DataFrame(
        {
            "user": histories.user_ids.decode(histories.users)[histories.row_of_event],
            "item": histories.item_ids.decode(histories.items),
            "time": histories.times,
            "behavior": np.array(histories.behavior_names)[histories.behaviors],
            "value": histories.values,
        }
    ).sort_values("value", ignore_index=True)
    pd.testing.assert_frame_equal(back, events, check_dtype=False)


@QUICK
@given(EVENTS, st.integers(0, 2**32 - 1), st.sampled_from(["item", "random"]))
def test_order_of_the_log_does_not_matter(rows: list[tuple], seed: int, ties: str) -> None:
    events = log(rows)
    shuffled = events.sample(frac=1, random_state=seed)
    assert_same(
        Sequences.from_events(events, ties=ties, seed=seed),
        Sequences.from_events(shuffled, ties=ties, seed=seed),
    )


@QUICK
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abc")), min_size=1), st.randoms())
def test_order_of_the_log_does_not_matter_without_ties(rows: list[tuple], random) -> None:
    events = log([(user, item, day) for day, (user, item) in enumerate(rows)])
    order = list(range(len(rows)))
    random.shuffle(order)
    assert_same(Sequences.from_events(events), Sequences.from_events(events.iloc[order]))


def test_ties_at_random_are_a_fair_shuffle_inside_each_time() -> None:
    events = log([(user, item, 0) for user in range(6000) for item in "abc"])
    blocks = Sequences.from_events(events, ties="random", seed=0).items.reshape(-1, 3)
    assert (np.sort(blocks) == [0, 1, 2]).all()
    orders = np.unique(blocks, axis=0, return_counts=True)[1]
    assert len(orders) == 6
    assert abs(orders - 1000).max() < 5 * np.sqrt(1000 * 5 / 6)  # five standard deviations
    again = Sequences.from_events(events, ties="random", seed=0)
    other = Sequences.from_events(events, ties="random", seed=1)
    assert (again.items == blocks.ravel()).all()
    agreement = (other.items.reshape(-1, 3) == blocks).all(axis=1).mean()
    assert abs(agreement - 1 / 6) < 0.03


def test_ties_by_item_are_ordered_by_behavior_then_value() -> None:
    events = log([(0, "a", 0, "w"), (0, "a", 0, "v"), (0, "a", 0, "v"), (0, "b", 0), (0, "a", 1)])
    histories = Sequences.from_events(events, ties="item")
    assert histories.values is not None
    assert histories.values.tolist() == [1, 2, 0, 3, 4]


def test_ties_can_be_refused() -> None:
    with pytest.raises(ValueError, match=r"1 events share their time.*users \[7\]"):
        Sequences.from_events(log([(6, "a", 1), (7, "a", 1), (7, "b", 1)]), ties="error")
    distinct = log([(6, "a", 1), (7, "a", 1), (7, "b", 2)])
    assert_same(Sequences.from_events(distinct, ties="error"), Sequences.from_events(distinct))
    with pytest.raises(ValueError, match="ties must be one of"):
        Sequences.from_events(log([(6, "a", 0)]), ties="first")


@QUICK
@given(EVENTS, st.data())
def test_rows_and_events_are_chosen_as_in_lists(rows: list[tuple], data: st.DataObject) -> None:
    histories = Sequences.from_events(log(rows))
    lists = [histories[i].tolist() for i in range(len(histories))]
    chosen = data.draw(st.lists(st.integers(0, len(lists) - 1)))
    start, stop = data.draw(st.tuples(st.integers(-6, 6), st.integers(-6, 6)))
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    n = data.draw(st.integers(0, 3))

    def listed(some: Sequences) -> list[list[int]]:
        assert len(some.users) == len(some) == len(some.lengths)
        return [some[i].tolist() for i in range(len(some))]

    assert listed(histories.take(chosen)) == [lists[i] for i in chosen]
    assert listed(histories.take(histories.lengths > 1)) == [row for row in lists if len(row) > 1]
    assert listed(histories.slice(start, stop)) == lists[start:stop]
    assert listed(histories.last(n)) == [row[max(len(row) - n, 0) :] for row in lists]
    of_rows = np.split(flags, histories.offsets[1:-1])
    assert listed(histories.keep(flags)) == [
        [item for item, flag in zip(row, kept, strict=True) if flag]
        for row, kept in zip(lists, of_rows, strict=True)
    ]
    dense = histories.to_csr().toarray()
    assert dense.tolist() == [np.bincount(r, minlength=histories.n_items).tolist() for r in lists]
    places = histories.position_from_end
    assert places.tolist() == [len(row) - 1 - i for row in lists for i in range(len(row))]
    assert histories.row_of_event.tolist() == [i for i, row in enumerate(lists) for _ in row]
    assert histories[-1].tolist() == lists[-1]


def test_to_csr_sums_weights_and_leaves_the_sequences_alone() -> None:
    histories = Sequences.from_events(log([(0, "b", 0), (0, "a", 1), (0, "b", 2)]))
    weights = np.array([1.0, 2.0, 4.0])
    matrix = histories.to_csr(weights)
    assert matrix.toarray().tolist() == [[2.0, 5.0]]
    assert matrix.dtype == np.float32
    assert matrix.nnz == 2
    assert histories.items.tolist() == [1, 0, 1]
    assert weights.tolist() == [1.0, 2.0, 4.0]
    with pytest.raises(ValueError, match="weights must hold 3 numbers"):
        histories.to_csr(weights[:2])


def test_slice_shares_memory_and_nothing_can_be_written_to() -> None:
    histories = Sequences.from_events(log([(u, "a", t) for u in range(3) for t in range(4)]))
    assert np.shares_memory(histories.slice(1, 3).items, histories.items)
    with pytest.raises(ValueError, match="read-only"):
        histories.items[0] = 1


def test_known_vocabularies_keep_absent_users_and_refuse_new_items() -> None:
    events = log([(2, "a", 0)])
    users, items = Vocabulary(np.array([1, 2, 3])), Vocabulary(np.array(["a", "b"]))
    histories = Sequences.from_events(events, user_ids=users, item_ids=items)
    assert histories.lengths.tolist() == [0, 1, 0]
    assert histories.n_items == 2
    with pytest.raises(ValueError, match=r"1 values are not in the vocabulary.*'z'"):
        Sequences.from_events(log([(2, "z", 0)]), item_ids=items)


@pytest.mark.parametrize("ties", ["stable", "item", "random", "error"])
def test_a_log_without_events_has_no_rows(ties: str) -> None:
    histories = Sequences.from_events(log([(0, "a", 0)]).iloc[:0], ties=ties)
    assert (len(histories), histories.n_events, histories.n_items) == (0, 0, 0)
    assert histories.to_csr().shape == (0, 0)
    assert len(histories.take([])) == len(histories.slice(0, 5)) == len(histories.last(2)) == 0
    users = Vocabulary(np.array([0, 1]))
    rows = Sequences.from_events(log([(0, "a", 0)]).iloc[:0], user_ids=users, ties=ties)
    assert rows.lengths.tolist() == [0, 0]


PARTS = {
    "items": np.array([0, 1, 0], dtype=np.int32),
    "offsets": np.array([0, 0, 2, 3]),
    "users": np.array([0, 1, 2], dtype=np.int32),
    "user_ids": Vocabulary(np.arange(3)),
    "item_ids": Vocabulary(np.arange(2)),
    "times": np.array([4, 5, 1]),
    "behaviors": np.array([0, 0, 0], dtype=np.int8),
    "behavior_names": ("view",),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offsets": np.array([0, 2, 3])}, "3 rows need 4 offsets"),
        ({"offsets": np.array([0, 2, 1, 3])}, "offsets must rise from 0 to the number of events"),
        ({"offsets": np.array([1, 1, 2, 3])}, "offsets must rise"),
        ({"offsets": np.array([0, 1, 2, 2])}, "offsets must rise"),
        ({"times": np.array([1])}, "times has 1 entries for 3 events"),
        ({"times": np.array([5, 4, 1])}, "times must not fall inside a row, but they do in row 1"),
        ({"times": np.array([4.0, 5, 1])}, "times must be datetime64 or int64, got float64"),
        ({"items": np.array([0, 1, 0])}, "items must be int32, got int64"),
        ({"items": [0, 1, 0]}, "items must be a numpy array of one dimension"),
        (
            {"items": np.array([0, 2, 0], dtype=np.int32)},
            r"items must be 0 or more and below 2.*\[2\]",
        ),
        (
            {"users": np.array([0, 1, -1], dtype=np.int32)},
            r"users must be 0 or more and below 3.*\[-1\]",
        ),
        ({"behavior_names": ()}, r"behaviors must be 0 or more and below 0.*\[0, 0, 0\]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    assert Sequences(**PARTS).lengths.tolist() == [0, 2, 1]
    with pytest.raises(ValueError, match=message):
        Sequences(**{**PARTS, **change})


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda h: h.take([-1]), r"rows must be 0 or more and below 3, but there are \[-1\]"),
        (lambda h: h.take([0.0]), "rows must be indices or a mask, got float64"),
        (lambda h: h.take([True]), "a mask over rows needs 3 booleans"),
        (lambda h: h.keep(np.array([True])), "a mask over events needs 3 booleans"),
        (lambda h: h.keep(np.array([0, 1, 1])), "a mask over events needs 3 booleans, got int64"),
        (lambda h: h.last(-1), "n must be 0 or more"),
    ],
)
def test_choices_that_make_no_sense_are_refused(choose, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose(Sequences(**PARTS))


def test_a_row_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError, match="row 3 of 3"):
        Sequences(**PARTS)[3]


def test_shuffled_rows_hold_the_same_events_in_another_order() -> None:
    log = pd.DataFrame({"user": [1] * 30 + [2] * 20, "item": range(50), "time": range(50)})
    log["value"] = log["item"] * 2.0
    histories = Sequences.from_events(log)
    mixed = histories.shuffled(seed=3)
    assert mixed.times is None
    for row in range(2):
        assert sorted(mixed[row]) == sorted(histories[row])
        assert list(mixed[row]) != list(histories[row])
    assert np.array_equal(mixed.values, mixed.items * 2.0)
    assert np.array_equal(mixed.items, histories.shuffled(seed=3).items)
    assert not np.array_equal(mixed.items, histories.shuffled(seed=4).items)


@QUICK
@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(0, 4))
def test_last_events_stay_where_they_are(lengths: list[int], keep: int) -> None:
    assume(sum(lengths) > 0)
    user = np.repeat(np.arange(len(lengths)), lengths)
    log = pd.DataFrame({"user": user, "item": np.arange(len(user)), "time": np.arange(len(user))})
    histories = Sequences.from_events(log)
    mixed = histories.shuffled(seed=1, keep=keep)
    for row in range(len(histories)):
        length = len(histories[row])
        assert sorted(mixed[row]) == sorted(histories[row])
        assert list(mixed[row][max(0, length - keep) :]) == list(
            histories[row][max(0, length - keep) :]
        )

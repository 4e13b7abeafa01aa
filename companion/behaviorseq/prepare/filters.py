"""Which events stay: users and items with enough of them, and the parts before and after a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd

from behaviorseq.arguments import whole
from behaviorseq.event_checks import EMPTY, one_row

from .frames import (
    is_position,
    missing,
    moment,
    naive,
    open_frame,
    refuse_missing,
    settle,
    ticks,
    unused,
)
from .report import Change, CleaningReport

if TYPE_CHECKING:
    from datetime import datetime

    from narwhals.typing import IntoFrameT


STRETCHES = 4096


def keep_frequent(
    events: IntoFrameT, *, user: int = 5, item: int = 5, rounds: int | None = None
) -> tuple[IntoFrameT, CleaningReport]:
    """Keep users and items with enough events among those that are kept: the k-core.

    Dropping an item takes events from users, which may then have too few, and so on: the steps
    are repeated until nothing changes.

    Parameters
    ----------
    events : dataframe
        pandas, Polars (eager or lazy), DuckDB or Spark, with ``user`` and ``item``. A lazy one is
        run.
    user, item : int
        The least number of events of a user and of an item.
    rounds : int, optional
        Stop after so many rounds, in each of which users go first and then items. After 1 some
        users may have too few events again.

    Returns
    -------
    events : dataframe
        The same kind. Events without user or item are dropped, and counted.
    report : CleaningReport
        How many events were dropped.

    Raises
    ------
    ValueError
        If the log is empty, a column is not there, or a number is below 1.

    Examples
    --------
    >>> log = pd.DataFrame({"user": [1, 1, 2, 2, 3], "item": ["a", "b", "a", "b", "c"]})
    >>> core, report = keep_frequent(log, user=2, item=2)
    >>> core["user"].tolist()
    [1, 1, 2, 2]
    >>> print(report)
    4 of 5 events kept
    core: 1 `user` dropped: a user with fewer than 2 events
    """
    least = {"user": whole("user", user, 1), "item": whole("item", item, 1)}
    if rounds is not None:
        whole("rounds", rounds, 1)
    frame: Any = open_frame(events, "user", "item")
    kept, n_events, changes = _drop_missing(frame)
    n_kept = n_events - sum(change.count for change in changes)
    kept, dropped = _core(kept, n_kept, least, rounds)
    for name, count in dropped.items():
        reason = f"{'a' if name == 'user' else 'an'} {name} with fewer than {least[name]} events"
        changes.append(Change("core", "dropped", name, reason, count))
    native = kept.to_native()
    if kept.implementation.is_pandas():
        native = native.reset_index(drop=True)
    n_kept -= sum(dropped.values())
    return native, CleaningReport(n_events, n_kept, tuple(changes))


def _drop_missing(frame: Any) -> tuple[Any, int, list[Change]]:
    """Drop events without user or item, and count: all events, and those dropped."""
    no_user, no_item = missing(frame, "user"), missing(frame, "item")
    masks = {"user": no_user, "item": no_item & ~no_user}
    sums = [mask.cast(nw.Int64).sum().alias(name) for name, mask in masks.items()]
    found = one_row(frame, nw.len().alias("events"), *sums)
    if not found["events"]:
        raise ValueError(EMPTY)
    changes = [
        Change("core", "dropped", name, f"the {name} is missing", int(found[name]))
        for name in masks
    ]
    return frame.filter(~(no_user | no_item)), int(found["events"]), changes


def _core(
    frame: Any, n_events: int, least: dict[str, int], rounds: int | None
) -> tuple[Any, dict[str, int]]:
    """Drop users, then items, with too few events, until nothing changes; count the events."""
    dropped = dict.fromkeys(least, 0)
    kept, listed, left, done = frame, {}, n_events, 0
    while rounds is None or done < rounds:
        before = left
        for name, number in least.items():
            if isinstance(frame, nw.DataFrame):
                kept = _frequent_rows(kept, name, number)
                now = len(kept)
            else:
                listed[name], now = _frequent(kept, name, number)
                kept = frame
                for key, names in listed.items():
                    kept = kept.join(names, on=key, how="semi")
            dropped[name] += left - now
            left = now
        done += 1
        if left == before:
            break
    return kept, dropped


def _frequent_rows(frame: Any, name: str, least: int) -> Any:
    """Keep the rows of a dataframe in memory whose entry is frequent, in their order."""
    return frame.filter(nw.len().over(name) >= least)


def _frequent(frame: Any, name: str, least: int) -> tuple[Any, int]:
    """List the frequent entries of a column, and count their rows."""
    (n,) = unused(frame, "n")
    sizes = settle(frame.group_by(name).agg(nw.len().alias(n)).filter(nw.col(n) >= least))
    rows = one_row(sizes, nw.col(n).sum().alias("rows"))["rows"]
    return sizes.select(name), int(rows or 0)


class TimeSplit(NamedTuple):
    """The parts of a log before and after two moments.

    Parameters
    ----------
    train, validation, test : dataframe
        The events before the first moment, from there to the second, and from there on.
    validation_start, test_start : pandas.Timestamp
        The two moments.
    """

    train: Any
    validation: Any
    test: Any
    validation_start: pd.Timestamp
    test_start: pd.Timestamp


def split_by_time(
    events: Any,
    *,
    validation_start: float | str | datetime = 0.8,
    test_start: float | str | datetime = 0.9,
) -> TimeSplit:
    """Cut a log at two moments, as `behaviorseq.split.global_time_split` does with histories.

    What is fitted (codes, scales, fillings, features) is fitted on ``train``.

    Parameters
    ----------
    events : dataframe
        pandas, Polars (eager or lazy), DuckDB or Spark, with ``time``. A lazy one is read
        through, for missing times and for the moments.
    validation_start, test_start : float, str or datetime
        The two moments, or the shares of events (0 to 1) that come before them. Events at the
        very moment belong to the later part.

    Returns
    -------
    TimeSplit
        Three dataframes of the same kind, and the moments.

    Raises
    ------
    ValueError
        If a time is missing, times are positions, or the moments do not lie in order inside the
        log.

    Examples
    --------
    >>> log = pd.DataFrame({"time": pd.date_range("2024-05-01", periods=10)})
    >>> parts = split_by_time(log)
    >>> len(parts.train), len(parts.validation), parts.test_start
    (8, 1, Timestamp('2024-05-10 00:00:00'))
    """
    frame: Any = open_frame(events, "time")
    if is_position(frame):
        raise ValueError(
            "the log has positions as times, and the positions of two users cannot be compared: "
            "there is no moment to split at; use behaviorseq.leave_one_out"
        )
    refuse_missing(frame, "time")
    time = nw.col("time")
    ends = one_row(frame, nw.len().alias("n"), time.min().alias("a"), time.max().alias("b"))
    if not ends["n"]:
        raise ValueError("the log has no event: there is nothing to split")
    first, second = (_moment(frame, at, ends["n"]) for at in (validation_start, test_start))
    start, end = (pd.Timestamp(naive(ends[name])) for name in "ab")
    if not start < first < second <= end:
        raise ValueError(
            f"the moments {first} and {second} must lie in this order inside the log, which runs "
            f"from {start} to {end}"
        )
    one, two = (moment(frame, at.to_pydatetime()) for at in (first, second))
    masks = (time < one, (time >= one) & (time < two), time >= two)
    parts = [frame.filter(mask).to_native() for mask in masks]
    if frame.implementation.is_pandas():
        parts = [part.reset_index(drop=True) for part in parts]
    train, validation, test = parts
    return TimeSplit(train, validation, test, first, second)


def _moment(frame: Any, at: float | str | datetime, n: int) -> pd.Timestamp:
    """Give a moment that was named, or the time that comes after a share of the events."""
    if not isinstance(at, int | float | np.number):
        return pd.Timestamp(naive(at))
    if not 0 < at < 1:
        raise ValueError(f"a share of events lies between 0 and 1, got {at}")
    return pd.Timestamp(naive(_kth_time(frame, int(at * n))))


def _kth_time(frame: Any, k: int) -> datetime:
    """Find the time that has place k, from 0, in the order of times.

    The times are counted in equal stretches first, and only one of these is put into order: to
    sort all of a long log would take memory or disk.
    """
    at = ticks(frame)
    ends = one_row(frame, at.min().alias("first"), at.max().alias("last"))
    first, last = ends["first"], ends["last"]
    stretch = ((at - first) * (STRETCHES / (last - first + 1.0))).floor().cast(nw.Int64)
    parts: Any = frame.select(nw.col("time"), stretch.alias("stretch"))
    counts = parts.group_by("stretch").agg(nw.len().alias("n")).lazy().collect().sort("stretch")
    passed = np.cumsum(counts["n"].to_numpy())
    place = int(np.searchsorted(passed, k, side="right"))
    inside = parts.filter(nw.col("stretch") == counts["stretch"].to_list()[place])
    times = inside.select("time").lazy().collect()["time"].sort()
    return times[int(k - (passed[place - 1] if place else 0))]  # type: ignore[no-any-return]  # the kind of the frame

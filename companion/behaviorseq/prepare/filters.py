"""Which events stay: users and items with enough of them, and the parts before and after a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd

from behaviorseq.arguments import whole
from behaviorseq.event_checks import one_row

from .frames import is_position, moment, naive, open_frame, refuse_missing, settle, unused
from .report import cleaned

if TYPE_CHECKING:
    from datetime import datetime

    from narwhals.typing import IntoFrameT

    from .report import CleaningReport, Marked


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
    step = partial(_core, user=user, item=item, rounds=rounds)
    return cleaned(events, step, columns=("user", "item"))


def _core(log: Marked, *, user: int, item: int, rounds: int | None) -> Marked:
    """Mark the events that are not in the core."""
    least = {"user": whole("user", user, 1), "item": whole("item", item, 1)}
    if rounds is not None:
        whole("rounds", rounds, 1)
    n, size = unused(log.frame, "n", "size")
    both = ~nw.col("user").is_null() & ~nw.col("item").is_null()
    counted = log.frame.filter(both).group_by("user", "item").agg(nw.len().alias(n))
    pairs: Any = settle(counted)
    left, kept, done = pairs, {}, 0
    before = None
    while rounds is None or done < rounds:
        for name in ("user", "item"):
            sizes = left.group_by(name).agg(nw.col(n).sum().alias(size))
            kept[name] = settle(sizes.filter(nw.col(size) >= least[name]).select(name))
            left = pairs
            for known, names in kept.items():
                left = left.join(names, on=known, how="semi")
        done += 1
        total = one_row(left, nw.len().alias("n"))["n"]
        if total == before:
            break
        before = total
    for name, names in kept.items():
        log = _drop_others(log, name, names, least[name])
    return log


def _drop_others(log: Marked, name: str, names: Any, least: int) -> Marked:
    """Drop the events of users or items that are not listed."""
    key, there = unused(log.frame, "key", "there")
    listed = names.select(nw.col(name).alias(key), nw.lit(1).alias(there))
    frame: Any = log.frame
    joined = frame.join(listed, left_on=name, right_on=key, how="left")
    log = log.on(joined)
    reason = f"{'a' if name == 'user' else 'an'} {name} with fewer than {least} events"
    log = log.drop(nw.col(there).is_null(), "core", name, reason)
    return log.on(log.frame.drop(*({there, key} & set(joined.collect_schema().names()))))


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
    counts = frame.select("time").group_by("time").agg(nw.len().alias("n"))
    passed = counts.with_columns(nw.col("n").cum_sum().over(order_by="time").alias("n"))
    later = passed.filter(nw.col("n") > int(at * n))
    return pd.Timestamp(naive(one_row(later, nw.col("time").min())["time"]))

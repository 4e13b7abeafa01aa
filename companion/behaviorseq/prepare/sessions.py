"""Sessions: what a user did in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np

from behaviorseq.columns import group_numbers
from behaviorseq.sequences import history_order

from .frames import (
    in_ticks,
    open_frame,
    refuse_missing,
    refuse_present,
    span,
    ticks,
    unused,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from narwhals.typing import IntoFrameT


def sessionise(
    events: IntoFrameT, gap: str | timedelta | int = "30min", *, column: str = "session"
) -> IntoFrameT:
    """Count the sessions of each user: one ends where nothing happens for longer than a gap.

    Parameters
    ----------
    events : dataframe
        pandas, Polars (eager or lazy), DuckDB or Spark, with ``user`` and ``time``, in any order.
        A lazy one is read through once, for missing users and times.
    gap : str or timedelta, int for positions
        The longest pause inside a session.
    column : str
        The name of the new column.

    Returns
    -------
    dataframe
        The same kind with one more column, whole numbers: 0 for the first session of each user.
        Two users may have sessions of one number: user and number together name a session.

    Raises
    ------
    ValueError
        If a user or time is missing, there is such a column already, or the gap is no span of
        time.

    Notes
    -----
    The result does not depend on the order of events that share their time, so that it is the
    same on all engines.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame(
    ...     {
    ...         "user": ["ann", "ann", "ann", "bob"],
    ...         "time": pd.to_datetime(["2024-05-01"] * 4)
    ...         + pd.to_timedelta([0, 20, 60, 60], unit="min"),
    ...     }
    ... )
    >>> sessionise(log, "30min")["session"].tolist()
    [0, 0, 1, 0]
    """
    frame = open_frame(events, "user", "time")
    longest = span("gap", gap, frame)
    refuse_present(frame, [column], "column='...'")
    refuse_missing(frame, "user", "time")
    number = _numbered if isinstance(frame, nw.DataFrame) else _numbered_in_sql
    return number(frame, longest, column).to_native()  # type: ignore[no-any-return]  # the kind that came in


def _numbered(frame: Any, longest: timedelta | int, column: str) -> Any:
    """Count sessions in memory, where one sort serves all steps."""
    user = group_numbers(frame["user"])
    at = frame.select(ticks(frame).alias("at"))["at"].to_numpy()
    order = history_order(user.astype(np.int32), at, int(user.max(initial=-1)) + 1)
    user, at = user[order], at[order]
    same = user[1:] == user[:-1]
    passed = np.zeros(len(user), dtype=np.int64)
    np.cumsum(same & (np.diff(at) > in_ticks(longest)), out=passed[1:])
    # What was counted before the first event of a user belongs to others.
    first = np.concatenate([[True], ~same])
    before = np.maximum.accumulate(np.where(first, passed, 0))
    sessions = np.empty_like(passed)
    sessions[order] = passed - before
    return frame.with_columns(
        nw.new_series(column, sessions, nw.Int64(), backend=frame.implementation)
    )


def _numbered_in_sql(frame: Any, longest: timedelta | int, column: str) -> Any:
    """Count sessions where rows have no order of their own."""
    before, opens = unused(frame, "before", "opens")
    previous = nw.col("time").shift(1).over("user", order_by="time")
    pause = nw.col("time") - nw.col(before)
    # Of events at one time the one that opens a session has the earliest event before it.
    number = nw.col(opens).cum_sum().over("user", order_by=["time", before])
    return (
        frame.with_columns(previous.alias(before))
        .with_columns(_opens(pause, longest).alias(opens))
        .with_columns(number.alias(column))
        .drop(before, opens)
    )


def _opens(pause: nw.Expr, longest: timedelta | int) -> nw.Expr:
    """Say with 0 or 1 whether a pause ends a session; the first event has no pause before it."""
    return (pause > nw.lit(longest)).fill_null(value=False).cast(nw.Int64)

"""Times that cannot be: later than now, before there were such logs, before the user was there."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import narwhals as nw

from .frames import is_position, moment, naive, open_frame, settle, unused
from .report import cleaned

if TYPE_CHECKING:
    from narwhals.typing import IntoFrameT

    from .report import CleaningReport, Marked

EARLIEST = "1990-01-01"


def drop_clock_errors(
    events: IntoFrameT,
    *,
    now: datetime | str | None = None,
    earliest: datetime | str = EARLIEST,
    users: Any = None,
    registered: str = "registered",
) -> tuple[IntoFrameT, CleaningReport]:
    """Drop events whose time cannot be right.

    What cannot be seen this way: a clock that is wrong by hours, as with a wrong time zone,
    unless the events come to lie before the user's registration or in the future.

    Parameters
    ----------
    events : dataframe
        An event log: pandas, Polars (eager or lazy), DuckDB or Spark.
    now : datetime or str, optional
        Later times are wrong. The present by default; better the moment when the log was written.
    earliest : datetime or str
        Earlier times are wrong. A clock that lost its battery says 1970.
    users : dataframe, optional
        Of the same kind, with ``user`` and the moment when each of them came, the earliest one
        where a user is listed twice. An event before that moment is wrong; a user who is not
        listed is not looked at.
    registered : str
        The column of ``users`` with that moment.

    Returns
    -------
    events : dataframe
        The same kind.
    report : CleaningReport
        How many events were dropped, for each reason.

    Raises
    ------
    ValueError
        If the log is empty or has positions as times, a column is not there or ``registered``
        holds no times as those of the log, or a moment cannot be read.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame(
    ...     {
    ...         "user": [1, 1, 1],
    ...         "item": [5, 6, 7],
    ...         "time": pd.to_datetime(["1970-01-02", "2024-05-01", "2124-05-01"]),
    ...         "behavior": "view",
    ...     }
    ... )
    >>> possible, report = drop_clock_errors(log, now="2024-06-01")
    >>> print(report)
    1 of 3 events kept
    clock: 1 `time` dropped: later than 2024-06-01 00:00
    clock: 1 `time` dropped: earlier than 1990-01-01 00:00
    """
    options = {"now": now, "earliest": earliest, "users": users, "registered": registered}
    return cleaned(events, partial(mark_clock_errors, **options))


def mark_clock_errors(
    log: Marked,
    *,
    now: datetime | str | None = None,
    earliest: datetime | str = EARLIEST,
    users: Any = None,
    registered: str = "registered",
) -> Marked:
    """Do what `drop_clock_errors` does, on a marked log."""
    if is_position(log.frame):
        raise ValueError(
            "the log has positions as times: it has no clock that could be wrong; leave out the "
            "step `clock`"
        )
    latest, first = naive(now or datetime.now(UTC)), naive(earliest)
    time = nw.col("time")
    later, earlier = time > moment(log.frame, latest), time < moment(log.frame, first)
    log = log.drop(later, "clock", "time", f"later than {latest:%Y-%m-%d %H:%M}")
    log = log.drop(earlier, "clock", "time", f"earlier than {first:%Y-%m-%d %H:%M}")
    return log if users is None else _before_registration(log, users, registered)


def _before_registration(log: Marked, users: Any, registered: str) -> Marked:
    """Drop events that lie before the user came."""
    known = open_frame(users, "user", registered)
    given, wanted = (f.collect_schema()[c] for f, c in ((known, registered), (log.frame, "time")))
    zones = [getattr(kind, "time_zone", None) is None for kind in (given, wanted)]
    if given != nw.Datetime or zones[0] != zones[1]:
        raise ValueError(
            f"column `{registered}` of users has type {given}, and the times of the log {wanted}: "
            "make them moments in UTC as those, in pandas with "
            "pd.to_datetime(users['...'], utc=True).dt.tz_localize(None)"
        )
    came, user = unused(log.frame, "came", "user")
    table: Any = known.select(nw.col("user").alias(user), nw.col(registered).alias(came))
    table = settle(table.group_by(user).agg(nw.col(came).min()))
    frame: Any = log.frame
    joined = frame.join(table, left_on="user", right_on=user, how="left")
    log = log.on(joined)
    log = log.drop(nw.col("time") < nw.col(came), "clock", "time", "before the user's registration")
    there = {came, user} & set(joined.collect_schema().names())
    return log.on(log.frame.drop(*there))

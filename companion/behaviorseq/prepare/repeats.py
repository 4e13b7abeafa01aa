"""Events that are logged twice, and users that are programs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import narwhals as nw

from behaviorseq.arguments import number, whole

from .frames import is_position, missing, open_frame, renumbered, settle, span, ticks, unused
from .report import cleaned

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from narwhals.typing import IntoFrameT

    from behaviorseq.event_checks import Frame

    from .report import CleaningReport, Marked

NEAR = 0.1  # of the median pause: how far a regular pause is from it
HOUR = 3_600_000_000  # microseconds
SAME = ("user", "item", "behavior", "value", "price")


def drop_duplicates(
    events: IntoFrameT, *, within: str | timedelta | int = 0, same: Sequence[str] | None = None
) -> tuple[IntoFrameT, CleaningReport]:
    """Drop events that repeat an earlier one.

    Parameters
    ----------
    events : dataframe
        An event log: pandas, Polars (eager or lazy), DuckDB or Spark.
    within : str or timedelta, int for positions
        An event goes if the event before it that is equal in ``same`` lies at most this far back
        in time. 0: at the same time. A page that is loaded twice, or a message that is sent
        again, comes seconds later; but so may a second wish.
    same : sequence of str, optional
        The columns that have to be equal, ``time`` not among them; missing entries are equal to
        each other. By default ``user``, ``item``, ``behavior``, and ``value`` and ``price`` where
        they are there. Of events that are equal in these and in time the first one stays where
        the dataframe has an order (pandas, Polars); elsewhere any one of them.

    Returns
    -------
    events : dataframe
        The same kind.
    report : CleaningReport
        How many were dropped, those at the same time and later ones.

    Raises
    ------
    ValueError
        If the log is empty, a column is not there, or ``within`` is no span of time.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame(
    ...     {
    ...         "user": 1,
    ...         "item": "tea",
    ...         "time": pd.to_datetime(["2024-05-01 10:00:00"] * 2 + ["2024-05-01 10:00:03"]),
    ...         "behavior": "view",
    ...     }
    ... )
    >>> print(drop_duplicates(log, within="5s")[1])
    1 of 3 events kept
    duplicates: 1 dropped: the same at the same time
    duplicates: 1 dropped: the same shortly before
    """
    return cleaned(events, partial(mark_duplicates, within=within, same=same))


def mark_duplicates(
    log: Marked, *, within: str | timedelta | int = 0, same: Sequence[str] | None = None
) -> Marked:
    """Do what `drop_duplicates` does, on a marked log."""
    keys = tuple(same) if same is not None else tuple(c for c in SAME if c in log.columns)
    for name in keys:
        if name not in log.columns or name == "time":
            raise ValueError(f"same={keys!r}: `{name}` is not a column of the log beside `time`")
    length = span("within", within, log.frame)
    alive, tied, soon = unused(log.frame, "alive", "tied", "soon")
    # Events that are gone already, and those without a time, are a group of their own.
    living = log.frame.with_columns((log.kept & ~nw.col("time").is_null()).alias(alive))
    log = log.on(_repeats(living, (*keys, alive), log.order, length, tied, soon))
    again = nw.col(alive) & nw.col(tied)
    log = log.drop(again, "duplicates", "", "the same at the same time")
    if length:
        again = nw.col(alive) & nw.col(soon)
        log = log.drop(again, "duplicates", "", "the same shortly before")
    return log.on(log.frame.drop(alive, tied, soon))


def _repeats(
    frame: Any,
    keys: tuple[str, ...],
    order: list[str],
    length: timedelta | int,
    tied: str,
    soon: str,
) -> Any:
    """Say of each event whether the one before that is equal in the keys is tied, or soon before.

    Most events are equal to no other. pandas and Polars take their time for a group of one, so
    that in these only the rest is put into order.
    """
    time = nw.col("time")
    before, n, place = unused(frame, "before", "n", "place")

    def marked(events: Any) -> Any:
        events = events.with_columns(time.shift(1).over(*keys, order_by=order).alias(before))
        same, near = time == nw.col(before), time - nw.col(before) <= nw.lit(length)
        marks = [m.fill_null(value=False).alias(c) for c, m in ((tied, same), (soon, near))]
        return events.with_columns(*marks).drop(before)

    if not (frame.implementation.is_pandas() or frame.implementation.is_polars()):
        return marked(frame)
    no = {tied: nw.lit(value=False), soon: nw.lit(value=False)}
    if isinstance(frame, nw.DataFrame):
        counts = frame.select(nw.len().over(*keys).alias(n))[n]
        some = frame.with_row_index(place).select(place, "time", *keys, *order[1:])
        some = marked(renumbered(some.filter(counts > 1)))
        frame = frame.with_columns(**no)
        return frame.with_columns(frame[c].scatter(some[place], some[c]) for c in no)
    counted = frame.with_columns(nw.len().over(*keys).alias(n))
    alone = counted.filter(nw.col(n) == 1).drop(n).with_columns(**no)
    return nw.concat([alone, marked(counted.filter(nw.col(n) > 1).drop(n))])


def robot_signs(events: IntoFrameT) -> IntoFrameT:
    """Measure by what programs can be told from people.

    Parameters
    ----------
    events : dataframe
        An event log with times: pandas, Polars (eager or lazy), DuckDB or Spark. Events without
        user or time are left out.

    Returns
    -------
    dataframe
        The same kind, one row for each user: ``user``; ``events``, how many; ``per_hour``, events
        an hour from the first to the last (missing where both are at one time); ``regular``, the
        share of the pauses between events that differ from the user's median pause by a tenth of
        it at most (missing where there is one event); ``one_behavior``, the share of the
        commonest behavior.

    Raises
    ------
    ValueError
        If a column is not there, or the log has positions as times.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame(
    ...     {
    ...         "user": ["bot"] * 4,
    ...         "time": pd.date_range("2024-05-01", periods=4, freq="2s"),
    ...         "behavior": "view",
    ...     }
    ... )
    >>> print(robot_signs(log).to_string(index=False))
    user  events  per_hour  regular  one_behavior
     bot       4    1800.0      1.0           1.0
    """
    frame = open_frame(events, "user", "time", "behavior")
    known = ~(missing(frame, "user") | missing(frame, "time"))
    signs: Any = _signs(renumbered(frame.filter(known)))
    return signs.to_native()  # type: ignore[no-any-return]  # the kind that came in


def _signs(frame: Any) -> Any:
    """Measure each user by events whose user and time are known."""
    _refuse_positions(frame)
    events = frame.select("user", "behavior", ticks(frame).alias("at"))
    before = nw.col("at").shift(1).over("user", order_by="at")
    events = events.with_columns((nw.col("at") - before).alias("pause"))
    events = events.with_columns(
        nw.col("pause").median().over("user").alias("median"),
        nw.len().over("user", "behavior").alias("same"),
    )
    off = (nw.col("pause") - nw.col("median")).abs()
    events = events.with_columns(
        (off <= nw.col("median") * NEAR).fill_null(value=False).cast(nw.Int64).alias("near")
    )
    users = events.group_by("user").agg(
        nw.len().alias("events"),
        nw.col("pause").sum().alias("span"),
        nw.col("near").sum().alias("near"),
        nw.col("same").max().alias("same"),
    )
    pauses = nw.col("events") - 1
    some, long = nw.when(nw.col("events") > 1), nw.when(nw.col("span") > 0)
    return users.select(
        "user",
        "events",
        long.then(_rate(pauses, nw.col("span"))).alias("per_hour"),
        some.then(nw.col("near").cast(nw.Float64) / pauses.cast(nw.Float64)).alias("regular"),
        (nw.col("same").cast(nw.Float64) / nw.col("events")).alias("one_behavior"),
    )


def drop_robots(
    events: IntoFrameT,
    *,
    least_events: int = 100,
    per_hour: float = 300,
    regular: float = 0.95,
    one_behavior: float = 0.99,
    signs: int = 3,
) -> tuple[IntoFrameT, CleaningReport]:
    """Drop all events of users that work like programs.

    `robot_signs` measures the three signs: speed, regularity, and doing one thing only. A user
    with fewer than ``least_events`` is never taken for one.

    Parameters
    ----------
    events : dataframe
        An event log with times: pandas, Polars (eager or lazy), DuckDB or Spark. Duplicates
        should be gone: a copy a second later spoils regularity.
    least_events : int
        A user with fewer events stays.
    per_hour, regular, one_behavior : float
        From which value on each is a sign of a program.
    signs : int
        How many of the three signs a program shows at least, 1 to 3.

    Returns
    -------
    events : dataframe
        The same kind.
    report : CleaningReport
        How many events were dropped.

    Raises
    ------
    ValueError
        If the log is empty or has positions as times, a column is not there, or an argument is
        out of range.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame(
    ...     {
    ...         "user": ["bot"] * 200 + ["ann"],
    ...         "item": "tea",
    ...         "time": pd.date_range("2024-05-01", periods=201, freq="2s"),
    ...         "behavior": "view",
    ...     }
    ... )
    >>> print(drop_robots(log)[1])
    1 of 201 events kept
    robots: 200 `user` dropped: works like a program
    """
    options: dict[str, Any] = {
        "least_events": least_events,
        "per_hour": per_hour,
        "regular": regular,
        "one_behavior": one_behavior,
        "signs": signs,
    }
    return cleaned(events, partial(mark_robots, **options))


def mark_robots(
    log: Marked,
    *,
    least_events: int = 100,
    per_hour: float = 300,
    regular: float = 0.95,
    one_behavior: float = 0.99,
    signs: int = 3,
) -> Marked:
    """Do what `drop_robots` does, on a marked log."""
    whole("least_events", least_events, 2)
    whole("signs", signs, 1, 3)
    number("per_hour", per_hour, 0, float("inf"))
    limits = {"per_hour": float(per_hour)}
    limits |= {
        name: number(name, value, 0, 1)
        for name, value in (("regular", regular), ("one_behavior", one_behavior))
    }
    known = ~(missing(log.frame, "user") | missing(log.frame, "time"))
    slim: Any = log.frame.select("user", "time", "behavior", log.why)
    events = _busy(slim.filter(log.kept & known), least_events, per_hour if signs == 3 else 0)
    shown = [
        (nw.col(name) >= limit).fill_null(value=False).cast(nw.Int64)
        for name, limit in limits.items()
    ]
    robots = _signs(events).filter(sum(shown[1:], start=shown[0]) >= signs)
    user, robot = unused(log.frame, "user", "robot")
    robots = settle(robots.select(nw.col("user").alias(user), nw.lit(1).alias(robot)))
    reason = "works like a program"
    if isinstance(robots, nw.DataFrame):
        return log.drop(nw.col("user").is_in(robots[user].to_list()), "robots", "user", reason)
    frame: Any = log.frame
    joined = frame.join(robots, left_on="user", right_on=user, how="left")
    log = log.on(joined).drop(nw.col(robot) == 1, "robots", "user", reason)
    return log.on(log.frame.drop(*({robot, user} & set(joined.collect_schema().names()))))


def _busy(events: Any, least_events: int, per_hour: float) -> Any:
    """Keep the events of users that have enough of them, and so many an hour."""
    _refuse_positions(events)
    at = ticks(events)
    users = events.select("user", first=at, last=at).group_by("user")
    counts = users.agg(nw.len().alias("n"), nw.col("first").min(), nw.col("last").max())
    passed, pauses = nw.col("last") - nw.col("first"), nw.col("n") - 1
    enough = nw.col("n") >= least_events
    if per_hour:
        enough = enough & (passed > 0) & (_rate(pauses, passed) >= per_hour)
    busy = settle(counts.filter(enough).select("user"))
    return renumbered(events.join(busy, on="user", how="semi"))


def _rate(pauses: nw.Expr, passed: nw.Expr) -> nw.Expr:
    """Give events an hour, of the number of pauses and their length in microseconds."""
    return pauses.cast(nw.Float64) * HOUR / passed.cast(nw.Float64)


def _refuse_positions(frame: Frame) -> None:
    """Refuse a log that does not say when."""
    if is_position(frame):
        raise ValueError(
            "the log has positions as times: speed and regularity cannot be seen; leave out the "
            "step `robots`"
        )

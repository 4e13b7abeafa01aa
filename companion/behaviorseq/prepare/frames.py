"""What the functions of this layer need of a dataframe, on any of the four engines."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd

from behaviorseq.event_checks import check_time, near, one_row, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from behaviorseq.event_checks import Frame

TABLE = "behaviorseq_"  # what the names of our temporary tables in DuckDB begin with
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # times of a log are UTC, without a zone


def open_frame(events: Any, *columns: str) -> Frame:
    """Wrap a dataframe, after a check that the columns are there.

    Parameters
    ----------
    events : dataframe
        pandas, Polars (eager or lazy), DuckDB relation or Spark.
    *columns : str
        The columns that are needed. ``time`` must hold times or positions.

    Returns
    -------
    narwhals.DataFrame or narwhals.LazyFrame
        The rows of a pandas frame are numbered from 0.

    Raises
    ------
    ValueError
        If the library is not one of the four, a column is not there, or ``time`` has a type that
        is no time.
    """
    if isinstance(events, pd.DataFrame):
        events = events.reset_index(drop=True)
    frame = _wrap(events)
    engine = frame.implementation
    if not (
        engine.is_pandas() or engine.is_polars() or engine.is_duckdb() or engine.is_spark_like()
    ):
        raise ValueError(
            f"a frame of {engine} cannot be prepared: hand it over to pandas, "
            "Polars, DuckDB or Spark"
        )
    names = frame.collect_schema().names()
    for name in columns:
        if name not in names:
            raise ValueError(
                f"there is no column `{name}`{near(name, names)}; there are {', '.join(names)}. "
                "Rename the column, or name another one"
            )
    if "time" in columns:
        # The times of Spark are moments, which it shows in the zone of its session.
        check_time(frame, zones=engine.is_spark_like())
    return frame


def missing(frame: Frame, name: str) -> nw.Expr:
    """Say where a column is missing: null, or in a column of fractions not a number."""
    column = nw.col(name)
    if frame.collect_schema()[name].is_float():
        return column.is_null() | column.is_nan().fill_null(value=True)
    return column.is_null()


def refuse_missing(frame: Frame, *columns: str) -> None:
    """Raise the error that shows rows without an entry in a column.

    A lazy frame is read through once for it.
    """
    masks = {name: missing(frame, name) for name in columns}
    counts = one_row(frame, *(mask.cast(nw.Int64).sum().alias(c) for c, mask in masks.items()))
    for name, mask in masks.items():
        if count := counts[name]:
            remedy = "drop or fill them first, with behaviorseq.prepare.clean"
            refuse(frame, name, mask, int(count), f"the {name} is missing", remedy)


def is_position(frame: Frame) -> bool:
    """Tell whether the log has positions in the place of times."""
    return frame.collect_schema()["time"].is_integer()


def span(name: str, given: Any, frame: Frame) -> timedelta | int:
    """Read a span of time: of a clock, or a number of positions.

    Raises
    ------
    ValueError
        If it cannot be read, is below 0, or does not fit the times of the log.
    """
    if is_position(frame):
        if not isinstance(given, int) or isinstance(given, bool) or given < 0:
            raise ValueError(
                f"{name} must be a whole number of 0 or more, since the log has positions as "
                f"times, got {given!r}"
            )
        return given
    try:
        if isinstance(given, int | float) and given != 0:
            raise ValueError("a number has no unit")
        read = pd.Timedelta(given)
        if not read >= pd.Timedelta(0):
            raise ValueError("it is below 0")
    except ValueError as error:
        raise ValueError(f"{name} must be a span of time such as '30min', got {given!r}") from error
    length: timedelta = read.to_pytimedelta()
    return length


def moment(frame: Frame, when: datetime) -> nw.Expr:
    """Make a literal of a moment in UTC, as the times of the frame are."""
    _refuse_local(frame, "time")
    zoned = getattr(frame.collect_schema()["time"], "time_zone", None) is not None
    return nw.lit(when.replace(tzinfo=UTC) if zoned else when)


def naive(when: Any) -> datetime:
    """Read a moment as UTC, and drop its zone."""
    read = pd.Timestamp(when)
    if read is pd.NaT:
        raise ValueError(f"{when!r} is no moment")
    utc: datetime = (read.tz_convert(None) if read.tzinfo else read).to_pydatetime(warn=False)
    return utc


def ticks(frame: Frame, name: str = "time") -> nw.Expr:
    """Give times as whole numbers, microseconds since 1970 or positions; missing ones stay so."""
    column = nw.col(name)
    if frame.collect_schema()[name].is_integer():
        return column
    _refuse_local(frame, name)
    if frame.implementation.is_spark_like():
        return (column.cast(nw.Float64) * 1_000_000).round().cast(nw.Int64)
    if frame.implementation.is_duckdb():
        return (column - nw.lit(EPOCH)).dt.total_microseconds()
    return column.dt.timestamp("us")


def _refuse_local(frame: Frame, name: str) -> None:
    """Raise the error for times of Spark that are no moments; it makes them of Parquet files."""
    zone = getattr(frame.collect_schema()[name], "time_zone", None)
    if frame.implementation.is_spark_like() and zone is None:
        raise ValueError(
            f"column `{name}` has Spark's type timestamp_ntz, a time without a zone: set the "
            "session's spark.sql.session.timeZone to UTC, and cast the column to timestamp, or "
            "read Parquet with spark.sql.parquet.inferTimestampNTZ.enabled set to false"
        )


def in_ticks(length: timedelta | int) -> int:
    """Give a span of time in the unit of `ticks`."""
    return length if isinstance(length, int) else length // timedelta(microseconds=1)


def integers(frame: Frame, first: int, last: int, name: str) -> Frame:
    """Make a lazy frame of the same kind with one column, whole numbers from first to last."""
    native: Any = frame.to_native()
    if frame.implementation.is_spark_like():
        return _wrap(native.sparkSession.range(first, last + 1).toDF(name))
    if frame.implementation.is_duckdb():
        query = f'SELECT unnest(range({int(first)}, {int(last) + 1})) AS "{name}"'
        return _wrap(native.query("any", query))
    numbers = np.arange(first, last + 1)
    return nw.new_series(name, numbers, nw.Int64(), backend=frame.implementation).to_frame().lazy()


def settle(frame: Any, first: Any = None) -> Any:
    """Compute a lazy frame, so that what is made of it does not carry its past along.

    Without this a log that is joined with a summary of itself stands for two runs of all that
    made it, after ten such joins for a thousand. In DuckDB the frame becomes a temporary table
    of the connection, which goes to its ``temp_directory`` where memory is short; in Spark a
    local checkpoint; in Polars a frame in memory. With the ``first`` of the frames that it was
    made of, DuckDB needs none of those between.
    """
    if isinstance(frame, nw.DataFrame):
        return frame
    native: Any = frame.to_native()
    if frame.implementation.is_polars():
        return _wrap(native.collect().lazy())
    if frame.implementation.is_spark_like():
        return _wrap(native.localCheckpoint())
    table = f"{TABLE}{uuid.uuid4().hex}"
    make, read = f"CREATE TEMP TABLE {table} AS SELECT * FROM made", f"SELECT * FROM {table}"  # noqa: S608  # the name is ours
    native.query("made", make)
    origin = native if first is None else first.to_native()
    return _wrap(origin.query("made", read).set_alias(table))


def as_kind(held: Any, frame: Any) -> Any:
    """Hand a frame in memory back as the kind that another one, perhaps lazy, is of."""
    if isinstance(frame, nw.DataFrame):
        return held
    native, engine = held.to_native(), frame.to_native()
    if frame.implementation.is_polars():
        return held.lazy()
    if frame.implementation.is_spark_like():
        return _wrap(engine.sparkSession.createDataFrame(native))
    return settle(_wrap(engine.query("any", "SELECT * FROM native")))  # the variable


def forget(frame: Any) -> None:
    """Free the room of a settled frame that nothing is made of any more."""
    if frame.implementation.is_duckdb() and frame.to_native().alias.startswith(TABLE):
        frame.to_native().query("it", f"DROP TABLE {frame.to_native().alias}")


def _wrap(native: Any) -> Frame:
    frame: Frame = nw.from_native(native)
    return frame


def renumbered(frame: Any) -> Any:
    """Give the rows of a pandas frame numbers from 0; with gaps it cannot shift every type."""
    if not frame.implementation.is_pandas():
        return frame
    return _wrap(frame.to_native().reset_index(drop=True))


def unused(frame: Frame, *names: str) -> tuple[str, ...]:
    """Give names for columns of ours that no column of the frame has, in capitals neither."""
    there = {name.lower() for name in frame.collect_schema().names()}
    found = []
    for name in names:
        candidate = f"_{name}"
        while candidate in there:
            candidate = f"_{candidate}"
        there.add(candidate)
        found.append(candidate)
    return tuple(found)


def refuse_present(frame: Frame, names: Iterable[str], argument: str) -> None:
    """Raise an error where a column that is to be made is there already."""
    there = set(frame.collect_schema().names())
    for name in names:
        if name in there:
            raise ValueError(
                f"there is a column `{name}` already: drop or rename it, or choose another name "
                f"with {argument}"
            )

"""Series on a regular grid, and the gaps in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import numpy as np
from scipy.linalg import solve_banded

from behaviorseq.arguments import require, whole
from behaviorseq.columns import group_numbers
from behaviorseq.event_checks import one_row, refuse

from .frames import (
    as_kind,
    integers,
    missing,
    open_frame,
    refuse_missing,
    settle,
    ticks,
    unused,
)
from .transform import window

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from narwhals.typing import IntoFrameT
    from numpy.typing import NDArray

    from behaviorseq.event_checks import Frame

    Floats = NDArray[np.float64]

How = Literal["count", "sum", "mean"]


def resample(
    events: IntoFrameT,
    every: str | timedelta | int,
    *,
    how: How = "count",
    value: str = "value",
    by: str = "user",
    start: str | datetime | int = 0,
) -> IntoFrameT:
    """Sum events up on a regular grid of time: one row for each series and window.

    Parameters
    ----------
    events : dataframe
        pandas, Polars (eager or lazy), DuckDB or Spark, with ``time``. A lazy one is run.
    every : str or timedelta, int for positions
        The length of a window.
    how : {"count", "sum", "mean"}
        Count the events of each window, or sum or average their ``value`` where it is there.
    value : str
        The column of amounts.
    by : str
        What has a series of its own: ``user``, ``item``, ...
    start : str or datetime, int for positions
        Where a window begins, from which all others are reckoned.

    Returns
    -------
    dataframe
        The same kind: ``by``; ``window``, the number of the window from ``start``; ``n``, ``sum``
        or ``mean``. Each series runs from its first event to its last. Where nothing happened the
        count and the sum are 0, which is a fact; a mean is missing, and to fill it is a guess.
        Rows stand in no order that could be relied on.

    Raises
    ------
    ValueError
        If an entry of ``by`` or a time is missing, a column is not there, or a span or moment
        cannot be read.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame(
    ...     {"user": "ann", "time": pd.to_datetime(["2024-05-01", "2024-05-01", "2024-05-04"])}
    ... )
    >>> resample(log, "1D", start="2024-05-01").sort_values("window").to_dict("list")
    {'user': ['ann', 'ann', 'ann', 'ann'], 'window': [0, 1, 2, 3], 'n': [2, 0, 0, 1]}
    """
    require("how", how, how in ("count", "sum", "mean"), "count, sum or mean")
    frame: Any = open_frame(events, "time", by, *([] if how == "count" else [value]))
    if by in ("window", "n", "sum", "mean", "first", "last"):
        raise ValueError(f"by={by!r}: rename that column, since one of this name is made here")
    refuse_missing(frame, "time", by)
    name = "n" if how == "count" else how
    own: Any = frame.with_columns(window(frame, every, start).alias("window"))
    if how == "count":
        summed = own.group_by(by, "window").agg(nw.len().alias(name))
    else:
        amount = nw.when(~missing(frame, value)).then(nw.col(value).cast(nw.Float64))
        own = own.with_columns(amount.otherwise(nw.lit(None, nw.Float64)).alias(name))
        column = nw.col(name)
        summed = own.group_by(by, "window").agg(column.sum() if how == "sum" else column.mean())
    sums = settle(summed)
    grid: Any = _grid(sums, by)
    gridded = grid.join(sums, on=[by, "window"], how="left")
    filled = nw.col(name) if how == "mean" else nw.col(name).fill_null(0)
    kind = nw.Int64() if how == "count" else nw.Float64()
    return gridded.select(by, "window", filled.cast(kind).alias(name)).to_native()  # type: ignore[no-any-return]  # the kind that came in


def _grid(summed: Any, by: str) -> Any:
    """Make all windows of each series, from its first to its last."""
    ends = summed.group_by(by).agg(
        nw.col("window").min().alias("first"), nw.col("window").max().alias("last")
    )
    if isinstance(ends, nw.DataFrame):  # in memory the product with all windows could be too much
        first, last = ends["first"].to_numpy(), ends["last"].to_numpy()
        lengths = last - first + 1
        begins = np.cumsum(lengths) - lengths
        windows = np.arange(lengths.sum()) - np.repeat(begins - first, lengths)
        series = ends[np.repeat(np.arange(len(lengths)), lengths).tolist()].select(by)
        made = nw.new_series("window", windows, nw.Int64(), backend=summed.implementation)
        if summed.implementation.is_pandas():
            series = nw.from_native(series.to_native().reset_index(drop=True))
        return series.with_columns(made)
    found = one_row(ends, nw.col("first").min(), nw.col("last").max())
    grid = integers(summed, found["first"] or 0, found["last"] or 0, "window")
    inside = (nw.col("window") >= nw.col("first")) & (nw.col("window") <= nw.col("last"))
    return settle(ends).join(grid, how="cross").filter(inside).select(by, "window")


def fill_forward(
    series: IntoFrameT,
    column: str,
    *,
    by: str = "user",
    time: str = "time",
    limit: int | None = None,
) -> IntoFrameT:
    """Fill missing entries with the last known one of the series.

    Right for what lasts until it is changed, as a price or a membership; wrong for what happens
    at a moment, as a purchase: it would be repeated for ever.

    Parameters
    ----------
    series : dataframe
        pandas, Polars (eager or lazy), DuckDB or Spark; one row for each series and time. A lazy
        one is read through once, to check that.
    column : str
        What to fill; before the first known entry it stays missing.
    by, time : str
        What has a series of its own, and what orders it: times, or whole numbers such as the
        ``window`` of `resample`.
    limit : int, optional
        How many missing entries after a known one are filled, at most; all by default.

    Returns
    -------
    dataframe
        The same kind, the column filled.

    Raises
    ------
    ValueError
        If a column is not there, a series has two rows for a time, or a series or time is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> price = pd.DataFrame({"item": 1, "window": range(4), "mean": [2.0, None, None, 3.0]})
    >>> fill_forward(price, "mean", by="item", time="window")["mean"].tolist()
    [2.0, 2.0, 2.0, 3.0]
    """
    if limit is not None:
        whole("limit", limit, 1)
    frame: Any = _series(series, column, by, time)
    known = nw.when(~missing(frame, column)).then(nw.col(column))
    frame = frame.with_columns(known.alias(column))
    filled = nw.col(column).fill_null(strategy="forward", limit=limit).over(by, order_by=time)
    return frame.with_columns(filled.alias(column)).to_native()  # type: ignore[no-any-return]  # the kind that came in


def interpolate(
    series: IntoFrameT,
    column: str,
    *,
    method: Literal["linear", "spline"] = "linear",
    by: str = "user",
    time: str = "time",
) -> IntoFrameT:
    """Fill missing numbers between known ones of the series, by their distance in time.

    It looks ahead: a filled number depends on the next known one. What predicts the future must
    not be filled this way across the moment of prediction.

    Parameters
    ----------
    series : dataframe
        pandas, Polars (eager or lazy), DuckDB or Spark; one row for each series and time. A lazy
        one is read through once, to check that.
    column : str
        Numbers; before the first known one and after the last one they stay missing.
    method : {"linear", "spline"}
        A straight line between neighbours, or a natural cubic spline through all known numbers:
        smooth, and able to swing beyond them. For the spline all series are held in memory, those
        of a lazy frame too.
    by, time : str
        What has a series of its own, and what orders it: times, or whole numbers such as the
        ``window`` of `resample`.

    Returns
    -------
    dataframe
        The same kind, the column filled, as fractions.

    Raises
    ------
    ValueError
        If a column is not there or no number, a series has two rows for a time, or a series or
        time is missing.

    References
    ----------
    - Carl de Boor (2001). A Practical Guide to Splines, revised edition. Springer. Chapter IV.

    Examples
    --------
    >>> import pandas as pd
    >>> stars = pd.DataFrame({"user": 1, "time": [0, 1, 4], "mean": [1.0, None, 5.0]})
    >>> interpolate(stars, "mean")["mean"].tolist()
    [1.0, 2.0, 5.0]
    """
    require("method", method, method in ("linear", "spline"), "linear or spline")
    frame: Any = _series(series, column, by, time)
    dtype = frame.collect_schema()[column]
    if not dtype.is_numeric():
        raise ValueError(f"column `{column}` has type {dtype}: it has to be a number")
    known = nw.when(~missing(frame, column)).then(nw.col(column).cast(nw.Float64))
    frame = frame.with_columns(known.otherwise(nw.lit(None, nw.Float64)).alias(column))
    if method == "linear":
        return _linear(frame, column, by, time).to_native()  # type: ignore[no-any-return]  # the kind that came in
    return _spline(frame, column, by, time).to_native()  # type: ignore[no-any-return]  # the kind that came in


def _series(series: Any, column: str, by: str, time: str) -> Frame:
    """Open a frame of series, and refuse one with two rows for a time."""
    frame: Any = open_frame(series, column, by, time)
    refuse_missing(frame, by, time)
    (n,) = unused(frame, "n")
    counts = frame.group_by(by, time).agg(nw.len().alias(n))
    twice = nw.col(n) > 1
    if count := one_row(counts, twice.cast(nw.Int64).sum().alias("n"))["n"]:
        remedy = "sum them up first, with behaviorseq.prepare.resample"
        fault = f"there are several rows for one `{by}` and time"
        refuse(counts, time, twice, int(count), fault, remedy)
    opened: Frame = frame
    return opened


def _linear(frame: Any, column: str, by: str, time: str) -> Any:
    """Fill along straight lines."""
    names = unused(frame, "at", "known", "left", "right", "before", "after")
    at, known, left, right, before, after = (nw.col(name) for name in names)
    x = ticks(frame, time).cast(nw.Float64)
    y = nw.col(column)
    frame = frame.with_columns(x.alias(names[0]))
    frame = frame.with_columns(nw.when(~y.is_null()).then(at).alias(names[1]))

    def near(what: nw.Expr, strategy: Literal["forward", "backward"]) -> nw.Expr:
        return what.fill_null(strategy=strategy).over(by, order_by=time)

    frame = frame.with_columns(
        near(known, "forward").alias(names[2]),
        near(known, "backward").alias(names[3]),
        near(y, "forward").alias(names[4]),
        near(y, "backward").alias(names[5]),
    )
    line = before + (after - before) * ((at - left) / (right - left))
    filled = nw.when(y.is_null()).then(line).otherwise(y)
    return frame.with_columns(filled.alias(column)).drop(*names)


def _spline(frame: Any, column: str, by: str, time: str) -> Any:
    """Fill along natural cubic splines, those of all series at once."""
    held = frame if isinstance(frame, nw.DataFrame) else frame.collect()
    codes = group_numbers(held[by])
    x = held.select(ticks(held, time).alias("x"))["x"].to_numpy().astype(np.float64)
    y = held[column].to_numpy().astype(np.float64)
    order = np.lexsort((x, codes))
    filled = np.empty_like(y)
    filled[order] = natural_splines(codes[order], x[order], y[order])
    filled_column = nw.new_series(
        column,
        [None if np.isnan(number) else number for number in filled.tolist()],
        nw.Float64(),
        backend=held.implementation,
    )
    return as_kind(held.with_columns(filled_column), frame)


def natural_splines(series: NDArray[Any], x: Floats, y: Floats) -> Floats:
    """Fill NaN between known numbers along the natural cubic spline of each series.

    The second derivatives at the known points solve one system of three diagonals for all series
    together: at the ends of a series they are 0, which keeps the series apart.

    Parameters
    ----------
    series : NDArray
        Which series each point belongs to, shape (n,); the points of a series stand together.
    x, y : NDArray[float64]
        Places, rising in each series, and numbers, NaN where one is missing, shape (n,).

    Returns
    -------
    NDArray[float64]
        The numbers, NaN where there is no known one before or after in the series.

    Examples
    --------
    >>> cubic = np.array([0.0, 1.0, np.nan, 1.0, 0.0])
    >>> natural_splines(np.zeros(5), np.arange(5.0), cubic).round(3).tolist()
    [0.0, 1.0, 1.375, 1.0, 0.0]
    """
    known = np.flatnonzero(~np.isnan(y))
    filled = y.copy()
    if len(known) < 2:
        return filled
    group, xs, ys = series[known], x[known], y[known]
    same = group[1:] == group[:-1]
    step = np.where(same, np.diff(xs), 1.0)
    curve = _second_derivatives(same, step, np.diff(ys) / step)
    gaps = np.flatnonzero(np.isnan(y))
    right = np.searchsorted(known, gaps)
    inside = (right > 0) & (right < len(known))
    gaps, right = gaps[inside], right[inside]
    inside = (group[right - 1] == series[gaps]) & (group[right] == series[gaps])
    gaps, right = gaps[inside], right[inside]
    left, h = right - 1, step[right - 1]
    a, b = (xs[right] - x[gaps]) / h, (x[gaps] - xs[left]) / h
    bend = (a**3 - a) * curve[left] + (b**3 - b) * curve[right]
    filled[gaps] = a * ys[left] + b * ys[right] + bend * h**2 / 6
    return filled


def _second_derivatives(same: NDArray[np.bool_], step: Floats, slope: Floats) -> Floats:
    """Solve for the second derivatives at all known points; 0 at the ends of each series."""
    inner = np.zeros(len(same) + 1, dtype=bool)
    inner[1:-1] = same[1:] & same[:-1]
    bands = np.zeros((3, len(inner)))
    bands[1] = 1.0
    wanted = np.zeros(len(inner))
    i = np.flatnonzero(inner)
    bands[0, i + 1] = step[i] / 6
    bands[1, i] = (step[i - 1] + step[i]) / 3
    bands[2, i - 1] = step[i - 1] / 6
    wanted[i] = slope[i] - slope[i - 1]
    solved: Floats = solve_banded((1, 1), bands, wanted)
    return solved

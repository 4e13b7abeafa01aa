"""Histories as regular series: what each user did in each of the last days, weeks or hours.

Each function takes a pandas, Polars (eager or lazy), DuckDB or Spark dataframe and gives the same
kind back, rows in no particular order; where there is one row a user, users are the index of a
pandas frame, in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw

from behaviorseq.arguments import is_count, require
from behaviorseq.prepare.frames import (
    in_ticks,
    integers,
    missing,
    open_frame,
    refuse_missing,
    span,
    ticks,
)

from .frames import before, distinct, moment_ticks
from .rhythm import check_lags

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from narwhals.typing import IntoFrameT


LONGEST = 900  # half-lives of a series: a weight of 2**900 still is a number
LN2 = 0.6931471805599453


def regular_series(
    events: IntoFrameT,
    moment: Any,
    every: str | timedelta | int = "1D",
    steps: int = 28,
    *,
    by: str = "user",
    value: str | None = None,
) -> IntoFrameT:
    """Count what each user did in each of the last steps of time before a moment.

    Nothing at or after the moment is read. Where nothing happened stands 0, before a user's first
    event too; who has no event before the moment is left out.

    Parameters
    ----------
    events : dataframe
        pandas, Polars (eager or lazy), DuckDB or Spark, with ``time``, the column ``by`` and the
        column ``value``. A lazy one is read through once for missing entries.
    moment : datetime, str, or int for positions
        The end of the series, exclusive.
    every : str or timedelta, int for positions
        The length of a step.
    steps : int
        How many steps back from the moment.
    by : str
        Whose series: "user", "item", or another column.
    value : str, optional
        A column of amounts to sum, where missing ones count 0. Without it events are counted.

    Returns
    -------
    dataframe
        Columns ``by``, ``step`` (0 is the oldest, ``steps - 1`` ends at the moment) and ``amount``;
        one row a user and step.

    Raises
    ------
    ValueError
        If a column is not there, a time or a name is missing, or an argument is out of its range.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"user": ["ann", "ann", "bob"],
    ...                     "time": pd.to_datetime(["2024-05-01", "2024-05-03", "2024-05-03"])})
    >>> series = regular_series(log, "2024-05-04", "1D", steps=3)
    >>> series.sort_values(["user", "step"])["amount"].tolist()
    [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    """
    frame, sums = step_sums(events, moment, every, steps, by=by, value=value)
    numbers: Any = integers(frame, 0, steps - 1, "step")
    numbers = numbers.collect() if isinstance(frame, nw.DataFrame) else numbers
    grid = distinct(before(frame, moment), by).join(numbers, how="cross")
    filled = grid.join(sums, on=[by, "step"], how="left")
    result: IntoFrameT = filled.with_columns(nw.col("amount").fill_null(0.0)).to_native()
    return result


def step_sums(
    events: Any,
    moment: Any,
    every: str | timedelta | int,
    steps: int,
    *,
    by: str,
    value: str | None,
) -> tuple[Any, Any]:
    """Check a log, and sum up those steps of :func:`regular_series` in which something happened.

    Returns
    -------
    frame : narwhals frame
        The log.
    sums : narwhals frame
        Columns ``by``, ``step`` and ``amount``.
    """
    require("steps", steps, is_count(steps), "a whole number of 1 or more")
    require("by", by, by not in ("step", "amount"), "another column, since these two are made here")
    frame: Any = open_frame(events, "time", by, *([value] if value else []))
    length = in_ticks(span("every", every, frame))
    require("every", every, length > 0, "longer than 0")
    refuse_missing(frame, by, "time")
    ago = (nw.lit(moment_ticks(frame, moment)) - 1 - ticks(frame)) // nw.lit(length)
    amount = nw.lit(1.0)
    if value:
        amount = nw.when(~missing(frame, value)).then(nw.col(value)).otherwise(0)
    parts = (
        before(frame, moment)
        .select(by, (nw.lit(steps - 1) - ago).cast(nw.Int64).alias("step"), amount=amount)
        .filter(nw.col("step") >= 0)
        .with_columns(nw.col("amount").cast(nw.Float64))
    )
    return frame, parts.group_by(by, "step").agg(nw.col("amount").sum())


def moving_average(
    series: IntoFrameT, window: int, *, by: str = "user", column: str = "amount"
) -> IntoFrameT:
    """Add the mean of the last steps, that of the row itself among them.

    Parameters
    ----------
    series : dataframe
        Of :func:`regular_series`.
    window : int
        How many steps; the first ones of a series have fewer, and take the mean of these.
    by, column : str
        Whose series, and the column to average.

    Returns
    -------
    dataframe
        The same with one more column, ``amount_mean7`` for a window of 7.

    Raises
    ------
    ValueError
        If a column is not there, or the window is not a whole number of 1 or more.

    Examples
    --------
    >>> import pandas as pd
    >>> series = pd.DataFrame({"user": "ann", "step": [0, 1, 2], "amount": [3.0, 1.0, 2.0]})
    >>> moving_average(series, 2)["amount_mean2"].tolist()
    [3.0, 2.0, 1.5]
    """
    require("window", window, is_count(window), "a whole number of 1 or more")
    frame: Any = open_frame(series, by, "step", column)
    mean = nw.col(column).rolling_mean(window, min_samples=1).over(by, order_by="step")
    result: IntoFrameT = frame.with_columns(mean.alias(f"{column}_mean{window}")).to_native()
    return result


def exponential_average(
    series: IntoFrameT, half_life: float, *, by: str = "user", column: str = "amount"
) -> IntoFrameT:
    r"""Add the mean of all steps so far, in which a step counts half after each half-life.

    .. math:: y_t = \frac{\sum_{s \le t} 2^{-(t - s)/h} x_s}{\sum_{s \le t} 2^{-(t - s)/h}}

    Parameters
    ----------
    series : dataframe
        Of :func:`regular_series`. A lazy one is read through once for its length.
    half_life : float
        The half-life :math:`h` in steps.
    by, column : str
        Whose series, and the column to average.

    Returns
    -------
    dataframe
        The same with one more column, ``amount_half7`` for a half-life of 7.

    Raises
    ------
    ValueError
        If a column is not there, the half-life is not above 0, or the series has more than 900
        half-lives.

    Examples
    --------
    >>> import pandas as pd
    >>> series = pd.DataFrame({"user": "ann", "step": [0, 1, 2], "amount": [7.0, 0.0, 0.0]})
    >>> exponential_average(series, 1)["amount_half1"].round(2).tolist()
    [7.0, 2.33, 1.0]
    """
    require("half_life", half_life, half_life > 0, "above 0")
    frame: Any = open_frame(series, by, "step", column)
    last = frame.lazy().select(nw.col("step").max()).collect()["step"][0] or 0
    if last / half_life > LONGEST:
        raise ValueError(
            f"a series of {last + 1} steps has more than {LONGEST} half-lives of {half_life} "
            "steps: give a longer half-life, longer steps or fewer"
        )
    # The same factor in numerator and denominator: 2^(s/h) in the place of 2^((s-t)/h).
    weight = (nw.col("step").cast(nw.Float64) * (LN2 / half_life)).exp()
    parts = {"_weight": weight, "_weighted": weight * nw.col(column)}
    sums = [nw.col(name).cum_sum().over(by, order_by="step").alias(name) for name in parts]
    made = frame.with_columns(**parts).with_columns(*sums)
    mean = (nw.col("_weighted") / nw.col("_weight")).alias(f"{column}_half{half_life:g}")
    result: IntoFrameT = made.with_columns(mean).drop(*parts).to_native()
    return result


def lagged(
    series: IntoFrameT, lags: Sequence[int], *, by: str = "user", column: str = "amount"
) -> IntoFrameT:
    """Add what stood some steps before.

    Parameters
    ----------
    series : dataframe
        Of :func:`regular_series`.
    lags : sequence of int
        How many steps before, each 1 or more.
    by, column : str
        Whose series, and the column to read.

    Returns
    -------
    dataframe
        The same with one more column a lag, such as ``amount_lag7``; missing where the series had
        not begun.

    Raises
    ------
    ValueError
        If a column is not there, or a lag is not a whole number of 1 or more.

    Examples
    --------
    >>> import pandas as pd
    >>> series = pd.DataFrame({"user": "ann", "step": [0, 1, 2], "amount": [3.0, 1.0, 2.0]})
    >>> lagged(series, [1])["amount_lag1"].tolist()
    [nan, 3.0, 1.0]
    """
    check_lags(lags)
    frame: Any = open_frame(series, by, "step", column)
    before = [
        nw.col(column).shift(lag).over(by, order_by="step").alias(f"{column}_lag{lag}")
        for lag in lags
    ]
    result: IntoFrameT = frame.with_columns(*before).to_native()
    return result

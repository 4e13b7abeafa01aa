"""The rhythm of series and events: what comes back, how restless it is, how long the pauses are.

As in :mod:`behaviorseq.features.timeseries`, each function takes a pandas, Polars (eager or lazy),
DuckDB or Spark dataframe and gives the same kind back: a pandas one in the order of the users,
which are its index; any other in no particular order, with users in a column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw

from behaviorseq.arguments import is_count, require
from behaviorseq.prepare.frames import open_frame, refuse_missing, ticks

from .frames import as_table, before, divided, unit_of_days

if TYPE_CHECKING:
    from collections.abc import Sequence

    from narwhals.typing import IntoFrameT


def autocorrelation(
    series: IntoFrameT, lags: Sequence[int], *, by: str = "user", column: str = "amount"
) -> IntoFrameT:
    r"""Measure how each series goes together with itself some steps before.

    .. math:: r_k = \frac{\sum_{t = k + 1}^{N} (x_t - \bar x)(x_{t - k} - \bar x)}
                         {\sum_{t = 1}^{N} (x_t - \bar x)^2}

    (Box, Jenkins, Reinsel and Ljung, Time series analysis: forecasting and control, 5th edition,
    2015, section 2.1). It lies between -1 and 1; of a series without any pattern it is about 0,
    within :math:`\pm 2 / \sqrt N` 19 times out of 20.

    Parameters
    ----------
    series : dataframe
        Of :func:`~behaviorseq.features.timeseries.regular_series`.
    lags : sequence of int
        The lags :math:`k`, each 1 or more.
    by, column : str
        Whose series, and the column to read.

    Returns
    -------
    dataframe
        One row a user and a column a lag, such as ``autocorrelation_7``; missing where a
        series never changes.

    Raises
    ------
    ValueError
        If a column is not there, or a lag is not a whole number of 1 or more.

    Examples
    --------
    >>> import pandas as pd
    >>> series = pd.DataFrame({"user": "ann", "step": range(6), "amount": [1.0, 0, 0, 1, 0, 0]})
    >>> autocorrelation(series, [1, 3]).round(2)
          autocorrelation_1  autocorrelation_3
    user
    ann               -0.33                0.5
    """
    check_lags(lags)
    frame: Any = open_frame(series, by, "step", column)
    own = nw.col(column).cast(nw.Float64)
    apart = frame.with_columns(_apart=own - own.mean().over(by), _size=own * own)
    products = {
        f"autocorrelation_{lag}": nw.col("_apart")
        * nw.col("_apart").shift(lag).over(by, order_by="step")
        for lag in lags
    }
    sums = (
        apart.with_columns(_square=nw.col("_apart") * nw.col("_apart"), **products)
        .group_by(by)
        .agg(*(nw.col(name).sum() for name in ("_size", "_square", *products)))
    )
    changes = nw.col("_square") > 1e-24 * nw.col("_size")  # else it is rounding of the mean
    made = [divided(name, "_square", changes) for name in products]
    result: IntoFrameT = as_table(sums.with_columns(*made).select(by, *products), by)
    return result


def volatility(series: IntoFrameT, *, by: str = "user", column: str = "amount") -> IntoFrameT:
    """Measure how restless each series is: the standard deviation of its changes.

    A change is the difference of a step and the step before. A rising line has volatility 0.

    Parameters
    ----------
    series : dataframe
        Of :func:`~behaviorseq.features.timeseries.regular_series`.
    by, column : str
        Whose series, and the column to read.

    Returns
    -------
    dataframe
        One row a user: ``volatility``, in the unit of the column (divided by the
        number of changes); missing for a series of one step.

    Raises
    ------
    ValueError
        If a column is not there.

    Examples
    --------
    >>> import pandas as pd
    >>> series = pd.DataFrame({"user": "ann", "step": [0, 1, 2], "amount": [0.0, 3.0, 0.0]})
    >>> volatility(series)
          volatility
    user
    ann          3.0
    """
    frame: Any = open_frame(series, by, "step", column)
    own = nw.col(column).cast(nw.Float64)
    change = own - own.shift(1).over(by, order_by="step")
    made = frame.with_columns(volatility=change, _known=change).group_by(by)
    sums = made.agg(nw.col("volatility").std(ddof=0), nw.col("_known").count())
    # Polars gives 0 where no change is known.
    only = nw.when(nw.col("_known") > 0).then(nw.col("volatility")).alias("volatility")
    result: IntoFrameT = as_table(sums.with_columns(only).drop("_known"), by)
    return result


def intervals(events: IntoFrameT, moment: Any, *, by: str = "user") -> IntoFrameT:
    """Describe the pauses between the events of each user before a moment.

    Events that share their time count once, so that the lines of one basket make no pauses.

    Parameters
    ----------
    events : dataframe
        As for :func:`~behaviorseq.features.timeseries.regular_series`.
    moment : datetime, str, or int for positions
        Nothing at or after it is read.
    by : str
        Whose events.

    Returns
    -------
    dataframe
        One row for each who has an event before the moment: ``interval_mean`` and
        ``interval_deviation`` (divided by the number of pauses) in days, or in positions, and
        ``interval_variation``, the deviation in relation to the mean: 0 for a clock, about 1 where
        events come by chance. Missing without a pause.

    Raises
    ------
    ValueError
        If a column is not there, or a time or a name is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"user": "ann", "time": pd.to_datetime(
    ...     ["2024-05-01", "2024-05-02", "2024-05-02", "2024-05-05", "2024-06-01"])})
    >>> intervals(log, "2024-05-06")
          interval_mean  interval_deviation  interval_variation
    user
    ann             2.0                 1.0                 0.5
    """
    frame: Any = open_frame(events, "time", by)
    refuse_missing(frame, by, "time")
    times = before(frame, moment).select(by, _tick=ticks(frame))
    pause = (nw.col("_tick") - nw.col("_tick").shift(1).over(by, order_by="_tick")).cast(nw.Float64)
    unit = unit_of_days(frame)
    names = ("interval_mean", "interval_deviation")
    known = nw.when(nw.col("_pause") > 0).then(nw.col("_pause") / unit)
    made = (
        times.with_columns(_pause=pause)
        .with_columns(known.alias(name) for name in names)
        .group_by(by)
        .agg(nw.col(names[0]).mean(), nw.col(names[1]).std(ddof=0))
    )
    mean, deviation = (nw.col(name) for name in names)
    # Polars gives 0 where no pause is known.
    full = made.with_columns(nw.when(~mean.is_null()).then(deviation).alias(names[1]))
    full = full.with_columns(nw.when(mean > 0).then(deviation / mean).alias("interval_variation"))
    result: IntoFrameT = as_table(full, by)
    return result


def check_lags(lags: Sequence[int]) -> None:
    """Refuse lags that are no whole numbers of 1 or more, and none at all."""
    good = len(lags) > 0 and all(is_count(lag) for lag in lags)
    require("lags", lags, good, "whole numbers of 1 or more")

"""Each user's series at a moment, in one row: averages, what stood some steps before, rhythm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np

from behaviorseq.arguments import is_count, require
from behaviorseq.prepare.frames import settle

from .frames import as_table, before, distinct, from_table, joined
from .rhythm import check_lags, intervals
from .timeseries import LN2, step_sums

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from narwhals.typing import IntoFrameT


ROUNDING = 1e-12  # a variance below this share of the squares is rounding of a series that is flat


def series_features(
    events: IntoFrameT,
    moment: Any,
    every: str | timedelta | int = "1D",
    steps: int = 28,
    *,
    by: str = "user",
    value: str | None = None,
    windows: Sequence[int] = (7, 28),
    half_lives: Sequence[float] = (7,),
    lags: Sequence[int] = (1, 7),
) -> IntoFrameT:
    """Describe each user's series as it stands at a moment, in one row.

    Parameters
    ----------
    events, moment, every, steps, by, value
        As for :func:`regular_series`.
    windows : sequence of int
        Of :func:`moving_average`.
    half_lives : sequence of float
        Of :func:`exponential_average`.
    lags : sequence of int
        Of :func:`autocorrelation`, and of :func:`lagged`, in which lag 1 is the last step before
        the moment, that is, seen from the step that begins at the moment.

    Returns
    -------
    dataframe
        One row for each who has an event before the moment: the averages and the lags at the last
        step, ``autocorrelation_1`` and so on, ``volatility``, and the columns of
        :func:`intervals`.

    Raises
    ------
    ValueError
        For the reasons of these functions.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"user": "ann", "time": pd.to_datetime(
    ...     ["2024-05-01", "2024-05-02", "2024-05-02", "2024-05-05", "2024-06-01"])})
    >>> found = series_features(log, "2024-05-06", steps=5, windows=[5], lags=[1])
    >>> found.loc["ann", ["amount_mean5", "amount_lag1"]].tolist()
    [0.8, 1.0]
    """
    for window in windows:
        require("window", window, is_count(window), "a whole number of 1 or more")
    for half_life in half_lives:
        require("half_life", half_life, half_life > 0, "above 0")
    if lags:
        check_lags(lags)
    frame, sums = step_sums(events, moment, every, steps, by=by, value=value)
    summed = _summed(settle(sums), by, steps, windows, half_lives, lags)
    users = distinct(before(frame, moment), by).join(summed, on=by, how="left")
    names = [name for name in summed.collect_schema().names() if name != by]
    # Who did nothing in all these steps has 0 everywhere.
    users = users.with_columns(nw.col(*names).fill_null(0.0))
    late = {f"amount_lag{lag}": nw.lit(None, dtype=nw.Float64) for lag in lags if lag > steps}
    described = users.with_columns(**late, **_rhythm(steps, lags)).select(
        by,
        *(f"amount_mean{window}" for window in windows),
        *(f"amount_half{half_life:g}" for half_life in half_lives),
        *(f"amount_lag{lag}" for lag in lags),
        *(f"autocorrelation_{lag}" for lag in lags),
        "volatility",
    )
    tables = [described, from_table(intervals(events, moment, by=by))]
    result: IntoFrameT = as_table(joined(tables, by), by)
    return result


def _summed(
    sums: Any,
    by: str,
    steps: int,
    windows: Sequence[int],
    half_lives: Sequence[float],
    lags: Sequence[int],
) -> Any:
    """Add up, for each user, all that averages, lags and rhythm are made of, in one pass.

    Steps without an event have no row, and add nothing to any of these sums.
    """
    step, amount = nw.col("step"), nw.col("amount")
    parts = {f"amount_mean{n}": _where(step >= steps - n) / min(n, steps) for n in windows}
    for half_life in half_lives:
        weight = ((step - (steps - 1)).cast(nw.Float64) * (LN2 / half_life)).exp()
        total = float((0.5 ** (np.arange(steps) / half_life)).sum())
        parts[f"amount_half{half_life:g}"] = amount * weight / total
    parts |= {f"amount_lag{lag}": _where(step == steps - lag) for lag in lags if lag <= steps}
    parts |= {"_sum": amount, "_size": amount * amount}
    parts |= {"_first": _where(step == 0), "_last": _where(step == steps - 1)}
    for lag in {1, *lags}:
        earlier = sums.select(by, (step + lag).alias("step"), amount.alias(f"_before{lag}"))
        sums = sums.join(earlier, on=[by, "step"], how="left")
        parts[f"_products{lag}"] = amount * nw.col(f"_before{lag}").fill_null(0.0)
        parts[f"_ends{lag}"] = _where(step >= lag) + _where(step < steps - lag)
    return sums.select(by, **parts).group_by(by).agg(nw.col(*parts).sum())


def _where(condition: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(nw.col("amount")).otherwise(0.0)


def _rhythm(steps: int, lags: Sequence[int]) -> dict[str, nw.Expr]:
    """Make autocorrelations and volatility of sums, their formulas multiplied out."""
    mean, size = nw.col("_sum") / steps, nw.col("_size")
    square = size - mean * mean * steps
    made = {}
    for lag in lags:
        products = nw.col(f"_products{lag}") - mean * nw.col(f"_ends{lag}")
        products = products + mean * mean * max(steps - lag, 0)
        made[f"autocorrelation_{lag}"] = nw.when(square > ROUNDING * size).then(products / square)
    if steps == 1:
        return made | {"volatility": nw.lit(None, dtype=nw.Float64)}
    first, last, n = nw.col("_first"), nw.col("_last"), steps - 1
    squares = size * 2 - first * first - last * last - nw.col("_products1") * 2
    change = (last - first) / n
    variance = squares / n - change * change
    known = nw.when(variance > ROUNDING * size / n).then(variance).otherwise(0.0)
    return made | {"volatility": known.sqrt()}

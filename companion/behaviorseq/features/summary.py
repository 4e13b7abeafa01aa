"""Each user's series at a moment, in one row: averages, what stood some steps before, rhythm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw

from behaviorseq.arguments import is_count, require

from .frames import as_table, before, distinct, from_table, joined
from .rhythm import check_lags, intervals
from .timeseries import step_sums

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from narwhals.typing import IntoFrameT


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
    wide = _side_by_side(distinct(before(frame, moment), by), sums, by, steps)
    names = [_name(step) for step in range(steps)]
    averages = {f"amount_mean{n}": _mean(names[-n:]) for n in windows}
    averages |= {f"amount_half{h:g}": _faded_mean(names, h) for h in half_lives}
    before_it = {f"amount_lag{lag}": _at(names, lag) for lag in lags}
    described = wide.select(by, **averages, **before_it, **_volatility(names))
    tables = [
        described,
        *([_autocorrelations(wide, names, lags, by)] if lags else []),
        from_table(intervals(events, moment, by=by)),
    ]
    result: IntoFrameT = as_table(joined(tables, by), by)
    return result


def _name(step: int) -> str:
    return f"_step{step}"


def _side_by_side(users: Any, sums: Any, by: str, steps: int) -> Any:
    """Put the steps of a user in columns, 0 where nothing happened: no window over users."""
    names = [_name(step) for step in range(steps)]
    own = {
        name: nw.when(nw.col("step") == step).then(nw.col("amount")).otherwise(0.0)
        for step, name in enumerate(names)
    }
    wide = sums.select(by, **own).group_by(by).agg(nw.col(*names).sum())
    return users.join(wide, on=by, how="left").with_columns(nw.col(*names).fill_null(0.0))


def _mean(names: Sequence[str]) -> nw.Expr:
    return nw.sum_horizontal(*names) / len(names)


def _faded_mean(names: Sequence[str], half_life: float) -> nw.Expr:
    """Average columns, the last one with weight 1, those before it the less."""
    weights = [0.5 ** (ago / half_life) for ago in range(len(names))][::-1]
    parts = (nw.col(name) * weight for name, weight in zip(names, weights, strict=True))
    return nw.sum_horizontal(*parts) / float(sum(weights))


def _at(names: Sequence[str], lag: int) -> nw.Expr:
    """Take the column of the step that is so many before the moment; missing before the first."""
    return nw.col(names[-lag]) if lag <= len(names) else nw.lit(None, dtype=nw.Float64)


def _volatility(names: Sequence[str]) -> dict[str, nw.Expr]:
    """Give the standard deviation of the changes from column to column."""
    n = len(names) - 1
    if n == 0:
        return {"volatility": nw.lit(None, dtype=nw.Float64)}
    mean = (nw.col(names[-1]) - nw.col(names[0])) / n
    pairs = zip(names[1:], names[:-1], strict=True)
    squares = ((nw.col(name) - nw.col(previous) - mean) ** 2 for name, previous in pairs)
    return {"volatility": (nw.sum_horizontal(*squares) / n).sqrt()}


def _autocorrelations(wide: Any, names: Sequence[str], lags: Sequence[int], by: str) -> Any:
    """Give the autocorrelations of the series in columns, a table with one row a user."""
    size = nw.sum_horizontal(*(nw.col(name) ** 2 for name in names))
    apart = wide.with_columns(_mean=_mean(names), _size=size)
    apart = apart.with_columns(nw.col(name) - nw.col("_mean") for name in names)
    apart = apart.with_columns(_square=nw.sum_horizontal(*(nw.col(name) ** 2 for name in names)))
    changes = nw.col("_square") > 1e-24 * nw.col("_size")  # else it is rounding of the mean
    made = {}
    for lag in lags:
        pairs = zip(names[lag:], names[:-lag], strict=True)
        products = [nw.col(name) * nw.col(previous) for name, previous in pairs]
        total = nw.sum_horizontal(*products) if products else nw.lit(0.0)
        made[f"autocorrelation_{lag}"] = nw.when(changes).then(total / nw.col("_square"))
    return apart.select(by, **made)

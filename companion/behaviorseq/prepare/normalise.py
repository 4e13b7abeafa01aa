"""Scales for amounts: fitted on the training part, applied to all parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import narwhals as nw
import numpy as np

from behaviorseq.arguments import require, whole
from behaviorseq.event_checks import one_row, refuse

from .frames import missing, open_frame, refuse_present

if TYPE_CHECKING:
    from narwhals.typing import IntoFrameT

    from behaviorseq.event_checks import Frame

INFINITE = "drop these events, or empty the amounts with behaviorseq.prepare.empty_outliers"
Method = Literal["min-max", "z-score", "log", "rank"]


@dataclass(frozen=True)
class Scaler:
    """A scale for one column, as `fit_scaler` found it.

    Parameters
    ----------
    column : str
        The column.
    method : str
        ``"min-max"``, ``"z-score"``, ``"log"`` or ``"rank"``.
    centre, scale : float
        What is taken away, and what the rest is divided by; of the logarithm for ``"log"``.
    edges : tuple of float
        Quantiles of the training part, in order, for ``"rank"``.
    """

    column: str
    method: Method
    centre: float = 0.0
    scale: float = 1.0
    edges: tuple[float, ...] = ()

    def apply(self, events: IntoFrameT, *, name: str | None = None) -> IntoFrameT:
        """Add the scaled column.

        Parameters
        ----------
        events : dataframe
            pandas, Polars (eager or lazy), DuckDB or Spark: any part of the log, not only the one
            that the scale was fitted on.
        name : str, optional
            The name of the new column, by default that of the old one and ``_scaled``.

        Returns
        -------
        dataframe
            The same kind with one more column. Missing entries stay missing. Amounts outside of
            those of the training part lie outside of 0 to 1 with ``"min-max"``.

        Raises
        ------
        ValueError
            If the column is not there or no number, the new one is there already, or an amount
            is negative for ``"log"``.
        """
        frame: Any = _opened(events, self.column)
        name = name or f"{self.column}_scaled"
        refuse_present(frame, [name], "name='...'")
        if self.method == "log":
            _refuse_negative(frame, self.column)
        empty = missing(frame, self.column)
        scaled = nw.when(~empty).then(self._scaled()).otherwise(nw.lit(None, nw.Float64))
        return frame.with_columns(scaled.alias(name)).to_native()  # type: ignore[no-any-return]  # the kind that came in

    def _scaled(self) -> nw.Expr:
        amount = nw.col(self.column).cast(nw.Float64)
        if self.method != "rank":
            amount = _log1p(amount) if self.method == "log" else amount
            return (amount - self.centre) / self.scale
        # An edge below counts whole, one that is equal half: between two edges it is midway.
        above = [(amount > e).cast(nw.Float64) + (amount >= e).cast(nw.Float64) for e in self.edges]
        rank = (sum(above[1:], start=above[0]) - 1.0) / (2.0 * (len(self.edges) - 1))
        lowest, highest = amount < self.edges[0], amount > self.edges[-1]
        return (
            nw.when(lowest)
            .then(nw.lit(0.0))
            .otherwise(nw.when(highest).then(nw.lit(1.0)).otherwise(rank))
        )


def fit_scaler(
    events: Any, column: str, method: Method = "z-score", *, n_edges: int = 101
) -> Scaler:
    """Find a scale for a column.

    Parameters
    ----------
    events : dataframe
        pandas, Polars (eager or lazy), DuckDB or Spark: the training part of a log, and no more:
        a maximum or a mean of all the log tells of its future. A lazy one is run.
    column : str
        A column of numbers; missing entries are left out.
    method : str
        ``"min-max"``
            (x - min) / (max - min), from 0 to 1 in the training part: one outlier presses all
            else together.
        ``"z-score"``
            (x - mean) / standard deviation (of all amounts, not of a sample): mean 0, deviation 1.
        ``"log"``
            The z-score of log(1 + x), for heavy tails; no amount may be negative.
        ``"rank"``
            The share of training amounts that are lower, plus half of those that are equal, from 0
            to 1 whatever the tail; read off ``n_edges`` quantiles.
    n_edges : int
        Quantiles for ``"rank"``, the lowest and highest amount among them.

    Returns
    -------
    Scaler
        With `Scaler.apply`. Where all amounts are equal, all become 0, and 0.5 by rank.

    Raises
    ------
    ValueError
        If the column is not there, no number, without any entry, or with infinite ones, or the
        method is not known.

    Examples
    --------
    >>> import pandas as pd
    >>> train, test = pd.DataFrame({"price": [1.0, 2, 3]}), pd.DataFrame({"price": [5.0]})
    >>> scale = fit_scaler(train, "price", "min-max")
    >>> scale.apply(train)["price_scaled"].tolist(), scale.apply(test)["price_scaled"].tolist()
    ([0.0, 0.5, 1.0], [2.0])
    """
    require("method", method, method in get_args(Method), f"one of {get_args(Method)}")
    whole("n_edges", n_edges, 2)
    frame: Any = _opened(events, column)
    known = frame.filter(~missing(frame, column))
    if method == "log":
        _refuse_negative(frame, column)
    amount = nw.col(column).cast(nw.Float64)
    known = known.select((_log1p(amount) if method == "log" else amount).alias("x"))
    x = nw.col("x")
    found = one_row(known, nw.len().alias("n"), x.min().alias("low"), x.max().alias("high"))
    if not found["n"]:
        raise ValueError(f"column `{column}` has no entry to fit on: check the log, or leave it")
    if not np.isfinite([found["low"], found["high"]]).all():
        infinite = nw.col(column).cast(nw.Float64).abs() == float("inf")
        count = one_row(frame, infinite.cast(nw.Int64).sum().alias("n"))["n"]
        refuse(frame, column, infinite, int(count), "the amount is infinite", INFINITE)
    if method == "rank":
        return Scaler(column, method, edges=_edges(known, found["n"], n_edges))
    if method == "min-max":
        return Scaler(column, method, found["low"], (found["high"] - found["low"]) or 1.0)
    mean = one_row(known, x.mean().alias("mean"))["mean"]
    square = ((x - mean) * (x - mean)).mean().alias("square")  # twice, since x**2 - mean**2 loses
    constant = found["low"] == found["high"]
    deviation = 1.0 if constant else float(np.sqrt(one_row(known, square)["square"]))
    return Scaler(column, method, found["low"] if constant else mean, deviation)


def _opened(events: Any, column: str) -> Frame:
    frame = open_frame(events, column)
    dtype = frame.collect_schema()[column]
    if not dtype.is_numeric():
        raise ValueError(f"column `{column}` has type {dtype}: it has to be a number to be scaled")
    return frame


def _log1p(amount: nw.Expr) -> nw.Expr:
    return (amount + 1.0).log()


def _refuse_negative(frame: Frame, column: str) -> None:
    negative = (nw.col(column) < 0).fill_null(value=False)
    if count := one_row(frame, negative.cast(nw.Int64).sum().alias("n"))["n"]:
        remedy = "take another method, or make two columns, one of the amounts below 0"
        refuse(frame, column, negative, int(count), "there is no logarithm of it", remedy)


def _edges(known: Any, n: int, n_edges: int) -> tuple[float, ...]:
    """Read quantiles off the sorted amounts: those that stand at equal distances."""
    places = np.linspace(0, n - 1, n_edges).round().astype(int).tolist()
    placed = known.with_row_index("place", order_by="x")
    some = placed.filter(nw.col("place").is_in(sorted(set(places)))).lazy().collect()
    at = dict(zip(some["place"].to_list(), some["x"].to_list(), strict=True))
    return tuple(at[place] for place in places)

"""Amounts that are far from the others of their kind, by a rule that outliers cannot bend."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import narwhals as nw

from behaviorseq.arguments import number, whole
from behaviorseq.event_checks import AMOUNTS, one_row

from .frames import missing, settle, unused
from .report import cleaned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narwhals.typing import IntoFrameT

    from .report import CleaningReport, Marked

#: What an amount is compared with: prices with those of the item, values with those that the same
#: behavior has.
BY = {"value": "behavior", "price": "item"}
NORMAL = 1.4826  # times the median absolute deviation, the standard deviation of normal numbers


def empty_outliers(
    events: IntoFrameT,
    *,
    by: Mapping[str, str] | None = None,
    threshold: float = 3.5,
    least_spread: float = 0.25,
    least_events: int = 5,
) -> tuple[IntoFrameT, CleaningReport]:
    """Empty amounts that are negative, or too far from the median of their group.

    An amount is compared on the scale of logarithms, since amounts have heavy tails: it goes if

        | log(amount) - median | > threshold * max(1.4826 * MAD, least_spread)

    where MAD is the median of the absolute deviations from the median. It takes half of the amounts
    to carry these two away, while one outlier can shift a mean and a standard deviation as far as
    it likes. An amount of 0 is no outlier.

    Parameters
    ----------
    events : dataframe
        An event log: pandas, Polars (eager or lazy), DuckDB or Spark.
    by : mapping of str to str, optional
        Columns of amounts, and the column of groups for each. By default ``value`` by
        ``behavior`` and ``price`` by ``item``, where they are there.
    threshold : float
        How many robust standard deviations are too many.
    least_spread : float
        The least standard deviation that counts, in logarithms: without it a group of equal
        prices would have the smallest discount as an outlier. With the defaults nothing goes
        that is less than exp(3.5 * 0.25) = 2.4 times as large or small as the median.
    least_events : int
        A group with fewer amounts is compared with all amounts of the column.

    Returns
    -------
    events : dataframe
        The same kind, its outliers missing: `fill_missing` may fill them.
    report : CleaningReport
        How many entries were emptied.

    Raises
    ------
    ValueError
        If the log is empty, a column is not there or no number, or an argument is out of range.

    References
    ----------
    - Boris Iglewicz and David C. Hoaglin (1993). How to Detect and Handle Outliers. ASQC Quality
      Press. The rule and its 3.5.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame(
    ...     {
    ...         "user": range(6),
    ...         "item": "tea",
    ...         "time": 0,
    ...         "behavior": "purchase",
    ...         "price": [4.0, 4.2, 3.9, 400.0, 4.0, 4.1],
    ...     }
    ... )
    >>> plausible, report = empty_outliers(log)
    >>> plausible["price"].tolist()
    [4.0, 4.2, 3.9, nan, 4.0, 4.1]
    >>> print(report)
    6 of 6 events kept
    outliers: 1 `price` emptied: far from the median
    """
    options: dict[str, Any] = {
        "by": by,
        "threshold": threshold,
        "least_spread": least_spread,
        "least_events": least_events,
    }
    return cleaned(events, partial(mark_outliers, **options))


def mark_outliers(
    log: Marked,
    *,
    by: Mapping[str, str] | None = None,
    threshold: float = 3.5,
    least_spread: float = 0.25,
    least_events: int = 5,
) -> Marked:
    """Do what `empty_outliers` does, on a marked log."""
    number("threshold", threshold, 0, float("inf"))
    number("least_spread", least_spread, 0, float("inf"))
    whole("least_events", least_events, 1)
    if by is None:
        by = {name: BY[name] for name in AMOUNTS if name in log.columns}
    schema = log.frame.collect_schema()
    for column, group in by.items():
        for name in (column, group):
            if name not in log.columns:
                raise ValueError(f"by={dict(by)!r}: the log has no column `{name}`")
        if not schema[column].is_numeric():
            raise ValueError(f"column `{column}` has type {schema[column]}: it has to be a number")
        negative = nw.col(column) < 0
        log = log.change(negative, _nothing(), "outliers", "emptied", "negative", column)
        log = _far(log, column, group, threshold, least_spread, least_events)
    return log


def _nothing() -> nw.Expr:
    return nw.lit(None, nw.Float64)


def _far(
    log: Marked, column: str, group: str, threshold: float, least_spread: float, least: int
) -> Marked:
    """Empty what is far from the median of its group."""
    names = unused(log.frame, "log", "centre", "far", "spread", "n")
    size, centre, far, spread, n = names
    amount = nw.col(column).cast(nw.Float64)
    usable = log.kept & ~missing(log.frame, column) & (nw.col(column) > 0).fill_null(value=False)
    frame: Any = log.frame.with_columns(
        nw.when(usable).then(amount).otherwise(_nothing()).log().alias(size)
    )
    middle = _middle(frame, nw.col(size))
    frame = _centred(frame, size, group, centre, n, least, middle)
    # Without a group of its own an amount is far or near as all amounts are from their median.
    apart = _middle(frame, (nw.col(size) - nw.lit(middle, nw.Float64)).abs())
    frame = frame.with_columns((nw.col(size) - nw.col(centre)).abs().alias(far)).drop(n)
    frame = _centred(frame, far, group, spread, n, least, apart)
    enough = nw.when(nw.col(spread) * NORMAL > least_spread).then(nw.col(spread) * NORMAL)
    limit = enough.otherwise(nw.lit(least_spread)) * threshold
    log = log.on(frame)
    log = log.change(
        nw.col(far) > limit, _nothing(), "outliers", "emptied", "far from the median", column
    )
    return log.on(log.frame.drop(*names))


def _middle(frame: Any, amount: nw.Expr) -> Any:
    """Give the median of all amounts, None where there is none."""
    return one_row(frame, amount.median().alias("middle"))["middle"]


def _centred(
    frame: Any, column: str, group: str, centre: str, n: str, least: int, overall: Any
) -> Any:
    """Add the median of the group of each event, or that of all where the group is small."""
    known = frame.select(column, group).filter(~nw.col(column).is_null())
    medians = known.group_by(group).agg(nw.col(column).median().alias(centre), nw.len().alias(n))
    medians = settle(medians.filter(nw.col(n) >= least))
    joined = frame.join(medians, on=group, how="left")
    filled = nw.coalesce(nw.col(centre), nw.lit(overall, nw.Float64))
    return joined.with_columns(filled.alias(centre))

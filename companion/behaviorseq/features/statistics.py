"""Hand-made features of users: rates, counts, recency, regularity, variety, amounts.

Each function takes a pandas, Polars (eager or lazy), DuckDB or Spark dataframe and gives the same
kind back: a pandas one in the order of the user ids, which are its index; any other in no
particular order, with a column ``user``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd

from behaviorseq.arguments import number
from behaviorseq.event_checks import one_row
from behaviorseq.prepare.frames import is_position, missing, open_frame, refuse_missing, ticks

from .frames import DAY, as_table, before, divided, joined, moment_ticks, planned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from narwhals.typing import IntoFrameT

    from behaviorseq.event_checks import Frame


def user_statistics(
    events: IntoFrameT,
    moment: str | pd.Timestamp,
    *,
    behaviors: Sequence[str] = ("view", "click", "cart", "purchase"),
    recent: float = 7.0,
    category: str = "item",
) -> IntoFrameT:
    r"""Describe each user by numbers that an analyst would count, from events before a moment.

    Nothing at or after the moment is used, so what stands there cannot leak into a prediction
    that is made at it. What cannot be known is missing, not 0: the click-through rate of a user
    who was shown nothing, the days since the purchase of one who never bought.

    Parameters
    ----------
    events : dataframe
        Event log with datetimes: pandas, Polars (eager or lazy), DuckDB or Spark. A lazy one is
        read through twice for the checks.
    moment : str or Timestamp
        When the features are computed; events at this very time are left out.
    behaviors : sequence of str
        Behaviors to count. Those that the log lacks are counted 0.
    recent : float
        Days before the moment that count as recent.
    category : str
        Column whose variety is measured.

    Returns
    -------
    dataframe
        One row for each user with an event before the moment:

        - ``n_<behavior>`` and ``recent_<behavior>``: events, and events of the last ``recent``
          days.
        - ``click_rate``: clicks over views (the click-through rate); ``buy_rate``: purchases over
          clicks. Missing where the behavior is not counted or never happened.
        - ``purchases_per_week``: purchases over the weeks since the first event (a day at least).
        - ``days_since_first``, ``days_since_last``: days since the first and the last event;
          ``days_since_<behavior>``: since the last one of it, missing where there is none.
        - ``active_days``: dates with an event; ``mean_gap``: mean days between two of them that
          follow one another, missing where there is one only.
        - ``entropy``: of the categories of the user's events, :math:`-\sum_c p_c \log_2 p_c` bits.

    Raises
    ------
    ValueError
        If a column or a user or a time is missing, the times are not datetimes, or no event lies
        before the moment.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"user": [1, 1, 1, 2], "item": ["a", "b", "b", "a"],
    ...     "time": pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-03", "2024-01-09"]),
    ...     "behavior": ["view", "view", "click", "view"]})
    >>> found = user_statistics(log, "2024-01-08")
    >>> found[["n_view", "recent_view", "click_rate", "days_since_last", "mean_gap"]]
          n_view  recent_view  click_rate  days_since_last  mean_gap
    user
    1          2            2         0.5              5.0       2.0
    """
    number("recent", recent, 0, np.inf)
    past, age = _past(events, moment, "behavior", category)
    counted, counts, latest = _counted(past, age, behaviors, recent)
    first = nw.col("days_since_first")
    weeks = nw.when(first > 1).then(first).otherwise(1.0) / 7
    rated = counted.with_columns(
        _ratio(counts, "n_click", "n_view").alias("click_rate"),
        _ratio(counts, "n_purchase", "n_click").alias("buy_rate"),
        purchases_per_week=nw.col("purchases_per_week") / weeks,
    )
    since = ["days_since_first", "days_since_last", *latest, "purchases_per_week"]
    rated = rated.select("user", *counts, "click_rate", "buy_rate", *since)
    tables = [rated, _regularity(past), _entropy(past, category)]
    result: IntoFrameT = as_table(joined(tables, "user"), "user", events)
    return result


def value_statistics(
    events: IntoFrameT, moment: str | pd.Timestamp, *, value: str = "value"
) -> IntoFrameT:
    """Describe the amounts of each user's events before a moment.

    Parameters
    ----------
    events : dataframe
        As for :func:`user_statistics`, with a column of amounts.
    moment : str or Timestamp
        Nothing at or after it is read.
    value : str
        The column of amounts; events where it is missing are left out.

    Returns
    -------
    dataframe
        One row for each user with an amount before the moment: ``value_mean``,
        ``value_deviation`` (divided by the number of amounts) and ``value_variation``, the
        coefficient of variation: the deviation in relation to the mean, missing where the mean is
        not above 0.

    Raises
    ------
    ValueError
        For the reasons of :func:`user_statistics`.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"user": [1, 1, 2], "value": [2.0, 6.0, 5.0],
    ...     "time": pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-09"])})
    >>> value_statistics(log, "2024-01-08")
          value_mean  value_deviation  value_variation
    user
    1            4.0              2.0              0.5
    """
    past, _ = _past(events, moment, value)
    mean, deviation, variation = (f"{value}_{n}" for n in ("mean", "deviation", "variation"))
    known = past.filter(~missing(past, value)).select(
        "user", *(nw.col(value).cast(nw.Float64).alias(name) for name in (mean, deviation))
    )
    made = known.group_by("user").agg(nw.col(mean).mean(), nw.col(deviation).std(ddof=0))
    made = made.with_columns(nw.col(deviation).alias(variation))
    made = made.with_columns(divided(variation, mean, nw.col(mean) > 0))
    result: IntoFrameT = as_table(made, "user", events)
    return result


def purchase_statistics(
    events: IntoFrameT,
    moment: str | pd.Timestamp,
    *,
    behavior: str = "purchase",
    value: str = "value",
) -> IntoFrameT:
    """Give recency, frequency and monetary value of each user who bought before a moment.

    The three numbers of direct marketing (Fader, Hardie and Lee, RFM and CLV: using iso-value
    curves for customer base analysis, Journal of Marketing Research 42(4), 2005). Purchases that
    share their time are one: the lines of a basket are not as many visits.

    Parameters
    ----------
    events : dataframe
        As for :func:`user_statistics`, with a column of amounts.
    moment : str or Timestamp
        Nothing at or after it is read.
    behavior : str
        What counts as a purchase.
    value : str
        The column of amounts; a missing amount counts 0.

    Returns
    -------
    dataframe
        One row for each user with a purchase before the moment: ``recency``, days since the last
        one; ``frequency``, their number; ``monetary``, the mean amount of one.

    Raises
    ------
    ValueError
        For the reasons of :func:`user_statistics`.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"user": 1, "behavior": "purchase", "value": [2.0, 6.0, 5.0],
    ...     "time": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-05"])})
    >>> purchase_statistics(log, "2024-01-08")
          recency  frequency  monetary
    user
    1         3.0          2       6.5
    """
    past, age = _past(events, moment, "behavior", value)
    amount = nw.when(~missing(past, value)).then(nw.col(value)).otherwise(0).cast(nw.Float64)
    bought = past.filter(nw.col("behavior").cast(nw.String) == behavior)
    times = bought.select("user", "time", recency=age, monetary=amount)
    baskets = times.group_by("user", "time").agg(nw.col("recency").min(), nw.col("monetary").sum())
    each = baskets.with_columns(frequency=nw.lit(1)).group_by("user")
    made = each.agg(nw.col("recency").min(), nw.col("frequency").sum(), nw.col("monetary").mean())
    result: IntoFrameT = as_table(made, "user", events)
    return result


def _past(events: Any, moment: Any, *columns: str) -> tuple[Frame, nw.Expr]:
    """Keep the events before the moment, and say how many days before it they are."""
    frame = open_frame(events, "user", "time", *columns)
    if is_position(frame):
        raise ValueError("column 'time' must hold datetimes, and not positions in a history")
    refuse_missing(frame, "user", "time")
    end = moment_ticks(frame, moment)
    first = one_row(frame, ticks(frame).min().alias("first"))["first"]
    if pd.isna(first) or first >= end:
        begins = "is empty" if pd.isna(first) else f"begins {pd.Timestamp(first, unit='us')}"
        raise ValueError(f"no event lies before {moment}: the log {begins}")
    age = (nw.lit(end) - ticks(frame)).cast(nw.Float64) / DAY
    return planned(before(frame, moment)), age


def _counted(
    past: Any, age: nw.Expr, behaviors: Sequence[str], recent: float
) -> tuple[Any, list[str], list[str]]:
    """Count each user's events and date them, in all and by behavior.

    Returns
    -------
    counted : narwhals frame
        One row a user.
    counts, latest : list of str
        Names of the counts, and of the days since the last event of each behavior.
    """
    events = past.select(
        "user",
        nw.col("behavior").cast(nw.String),
        days_since_first=age,
        days_since_last=age,
        recent=(age <= recent).cast(nw.Int64),
    )
    # The log is gone through once; what each behavior adds is taken from these few rows.
    each = events.group_by("user", "behavior").agg(
        nw.len().alias("n"),
        nw.col("recent").sum(),
        nw.col("days_since_first").max(),
        nw.col("days_since_last").min(),
    )
    n, lately, last = nw.col("n").cast(nw.Int64), nw.col("recent"), nw.col("days_since_last")
    sums = {"purchases_per_week": nw.when(nw.col("behavior") == "purchase").then(n).otherwise(0)}
    days = {}
    for name in behaviors:
        of = nw.when(nw.col("behavior") == name)
        sums |= {f"n_{name}": of.then(n).otherwise(0)}
        sums |= {f"recent_{name}": of.then(lately).otherwise(0)}
        days[f"days_since_{name}"] = of.then(last)
    counted = (
        each.with_columns(**sums, **days)
        .group_by("user")
        .agg(
            *(nw.col(name).sum() for name in sums),
            nw.col("days_since_first").max(),
            *(nw.col(name).min() for name in ("days_since_last", *days)),
        )
    )
    return counted, list(sums)[1:], list(days)


def _ratio(counted: Sequence[str], above: str, below: str) -> nw.Expr:
    """Divide one count by another; missing where one is not counted."""
    if above not in counted or below not in counted:
        return nw.lit(None, dtype=nw.Float64)
    return nw.when(nw.col(below) > 0).then(nw.col(above) / nw.col(below))


def _regularity(past: Any) -> Any:
    """Count each user's active dates, and the mean days from one to the next."""
    # Whole days since a date long before 1970: the engines round below 0 each in its own way.
    date = (ticks(past) + nw.lit(1_000_000 * DAY)) // nw.lit(DAY)
    names = ("active_days", "_first", "mean_gap")
    days, first, last = (nw.col(name) for name in names)
    dates = past.select("user", **dict.fromkeys(names, date))
    found = dates.group_by("user").agg(days.n_unique(), first.min(), last.max())
    gap = nw.when(days > 1).then((last - first) / (days - 1))
    return found.with_columns(mean_gap=gap).drop("_first")


def _entropy(past: Any, category: str) -> Any:
    r"""Measure how evenly each user's events spread over categories, in bits.

    With n events, :math:`n_c` of them of category c, it is
    :math:`\log_2 n - \sum_c n_c \log_2 n_c / n`, which needs no window over users.
    """
    known = past.filter(~missing(past, category)).select(
        "user", _kind=nw.col(category), _n=nw.lit(1.0)
    )
    sizes = known.group_by("user", "_kind").agg(nw.col("_n").sum())
    terms = sizes.with_columns(entropy=nw.col("_n") * nw.col("_n").log(2))
    sums = terms.group_by("user").agg(nw.col("_n").sum(), nw.col("entropy").sum())
    bits = nw.col("_n").log(2) - nw.col("entropy") / nw.col("_n")
    never_below = nw.when(bits > 0).then(bits).otherwise(0.0)  # by rounding it may be
    return sums.select("user", entropy=never_below)

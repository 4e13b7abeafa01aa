"""The shape of an event log in numbers, to compare a simulated log with real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import zeta

from .event_checks import require_columns

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

#: What leads to a purchase, in order.
FUNNEL = ("view", "click", "cart", "purchase")
GAP = pd.Timedelta("30min")
LEAST_GAPS = 10  # of a user whose burstiness is counted; of fewer it is mostly chance
LEAST_TAIL = 50  # items in the tail of a power law; of fewer the exponent is mostly chance
EXPONENTS = (1.0001, 30.0)  # least and most
SECOND = np.timedelta64(1, "s")


@dataclass(frozen=True)
class PowerLaw:
    """The tail of a discrete power law: from `least` on, p(x) is proportional to x^-exponent.

    Parameters
    ----------
    exponent : float
        Of the probability of a value, not of ranks: where the number of events of the item of
        rank r falls as r^-s, it is 1 + 1/s.
    least : float
        The lowest value of the tail.
    n_tail : int
        Values in the tail.
    distance : float
        Kolmogorov-Smirnov distance between the tail and the power law, 0 to 1.
    """

    exponent: float
    least: float
    n_tail: int
    distance: float


def fit_power_law(counts: ArrayLike, *, least_tail: int = LEAST_TAIL) -> PowerLaw:
    """Fit a power law to the upper tail of counts.

    For each value that occurs, as the least of the tail, the exponent is that of maximum
    likelihood for whole numbers; of these tails the one nearest to its power law in the
    Kolmogorov-Smirnov distance is taken (Clauset, Shalizi and Newman, sections 3.1 and 3.3). A
    fit says nothing about whether the tail is a power law.

    Parameters
    ----------
    counts : array_like of int
        Whole numbers of 1 or more, such as the events of each item.
    least_tail : int
        How many of them a tail has at least.

    Returns
    -------
    PowerLaw
        With NaN where there is no tail: too few counts, or fewer than two different ones.

    Raises
    ------
    ValueError
        If a count is below 1, or not whole.

    References
    ----------
    - Aaron Clauset, Cosma Rohilla Shalizi and M. E. J. Newman (2009). Power-Law
      Distributions in Empirical Data. SIAM Review 51(4), 661-703.
      https://doi.org/10.1137/070710111

    Examples
    --------
    >>> import numpy as np
    >>> draws = np.random.default_rng(0).zipf(2.5, size=5_000)
    >>> print(f"{fit_power_law(draws).exponent:.2f}")
    2.46
    """
    values, times = np.unique(np.asarray(counts), return_counts=True)
    if (wrong := values[~((values >= 1) & (values % 1 == 0))]).size:
        raise ValueError(f"counts must be whole numbers of 1 or more, got {wrong[0]}")
    n_tail = np.cumsum(times[::-1])[::-1]
    log_sum = np.cumsum((times * np.log(values))[::-1])[::-1]
    n_tails = min(int((n_tail >= least_tail).sum()), len(values) - 1)
    if n_tails < 1:
        return PowerLaw(np.nan, np.nan, 0, np.nan)
    values = values.astype(np.float64)
    exponents = _most_likely(values[:n_tails], log_sum[:n_tails] / n_tail[:n_tails])
    distances = [
        _distance(exponents[i], values[i:], n_tail[i:] / n_tail[i]) for i in range(n_tails)
    ]
    best = int(np.argmin(distances))
    return PowerLaw(float(exponents[best]), values[best], int(n_tail[best]), distances[best])


def _most_likely(least: Floats, mean_log: Floats) -> Floats:
    """Find the exponent of each tail by bisection of the slope of its log-likelihood."""
    low, high = (np.full(len(least), bound) for bound in EXPONENTS)
    step = 1e-5
    for _ in range(40):
        middle = (low + high) / 2
        slope = np.log(zeta(middle - step, least)) - np.log(zeta(middle + step, least))
        rising = slope / (2 * step) > mean_log
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    found: Floats = (low + high) / 2
    return found


def _distance(exponent: float, values: Floats, at_least: Floats) -> float:
    """Give the largest difference between the shares that the tail has from a value on.

    The share in the data steps at the values that occur, so the difference is largest at one of
    them or just above.
    """
    whole = zeta(exponent, values[0])
    at = np.abs(zeta(exponent, values) / whole - at_least)
    above = np.abs(zeta(exponent, values + 1) / whole - np.append(at_least[1:], 0.0))
    return float(max(at.max(), above.max()))


def log_shape(events: pd.DataFrame, *, gap: pd.Timedelta = GAP) -> pd.Series[Any]:
    """Measure the shape of an event log.

    Parameters
    ----------
    events : pandas.DataFrame
        An event log, as `behaviorseq.events` describes it, in any order.
    gap : pandas.Timedelta
        A session ends where nothing happens for longer than this. A column ``session`` is not
        looked at.

    Returns
    -------
    pandas.Series
        Numbers by name:

        ``events``, ``users``, ``items``
            How many.
        ``history 10%``, ``history 50%``, ``history 90%``
            Quantiles of the events of a user.
        ``popularity exponent``, ``popularity least``, ``popularity tail``
            The power law in the upper tail of the events of an item, where that tail begins, and
            which share of the items it has; see `fit_power_law`.
        ``top 1% items``, ``top 10% items``, ``gini``
            Share of the events that the most popular items have (of the items that occur, rounded
            up), and the Gini coefficient of the events of an item, 0 where all have the same.
        ``tied in time``
            Share of the events that share their time with another of their user.
        ``gap 50%``, ``gap 90%``
            Quantiles, over all users, of the seconds between two moments of a user in which
            something happened, one after the other. Events of one moment have no gap.
        ``burstiness``
            Mean over users with 10 gaps or more of (s - m) / (s + m), where m and s are mean and
            standard deviation of the gaps (Goh and Barabási): -1 where they are all the same, 0
            for a Poisson process, towards 1 for bursts and long pauses. Few gaps pull it down.
        ``session events``, ``session seconds``
            Median number of events of a session and median time from its first to its last.
        ``repeat rate``
            Share of events whose item the user had at an earlier moment: purchases after a
            purchase where there are purchases, else events after an event.
        ``click per view``, ``cart per view``, ``purchase per view``
            Ratio of the number of events of two behaviors, for those of the log; per the first of
            view, click, cart where there are no views.

        Where times are positions, what needs a clock is NaN.

    Raises
    ------
    ValueError
        If a column is not there, the log is empty, an entry of user, item or time is missing,
        times are neither datetimes nor positions, or the gap is not positive.

    References
    ----------
    - K.-I. Goh and A.-L. Barabási (2008). Burstiness and memory in complex systems. EPL
      81(4), 48002. https://doi.org/10.1209/0295-5075/81/48002

    Examples
    --------
    >>> log = pd.DataFrame(
    ...     {
    ...         "user": [1, 1, 1, 2],
    ...         "item": [7, 8, 7, 7],
    ...         "time": np.array(["2024-05-01T10:00", "2024-05-01T10:05", "2024-05-02T10:00",
    ...                           "2024-05-01T09:00"], dtype="M8[s]"),
    ...         "behavior": ["view", "view", "view", "cart"],
    ...     }
    ... )
    >>> log_shape(log)[["history 90%", "gap 50%", "session seconds", "repeat rate"]]
    history 90%            2.80
    gap 50%            43200.00
    session seconds        0.00
    repeat rate            0.25
    dtype: float64
    """
    if not gap > pd.Timedelta(0):
        raise ValueError(f"gap must be longer than nothing, got {gap!r}")
    columns = _columns(events)
    per_user, per_item = np.bincount(columns.user), np.bincount(columns.item)
    history = dict(zip((10, 50, 90), np.quantile(per_user, (0.1, 0.5, 0.9)), strict=True))
    return pd.Series(
        {
            "events": float(len(events)),
            "users": float(len(per_user)),
            "items": float(len(per_item)),
            **{f"history {share}%": length for share, length in history.items()},
            **_popularity(per_item),
            **_timing(columns, gap),
            "repeat rate": _repeat_rate(columns, events["behavior"]),
            **_funnel(events["behavior"]),
        },
        dtype=np.float64,
    )


@dataclass(frozen=True)
class _Columns:
    """Codes of users and items, and times as whole numbers of a unit."""

    user: Ints
    item: Ints
    time: Ints
    unit: float | None  # in seconds; None for positions


def _columns(events: pd.DataFrame) -> _Columns:
    """Check and encode the columns."""
    require_columns(events.columns)
    if not len(events):
        raise ValueError("the event log is empty: it has no shape")
    for name in ("user", "item", "time"):
        if missing := int(events[name].isna().sum()):
            raise ValueError(f"column `{name}`: {missing:,} entries are missing")
    user, item = (pd.factorize(events[name])[0].astype(np.int64) for name in ("user", "item"))
    times, unit = events["time"].to_numpy(), None
    if times.dtype.kind == "M":
        unit = float(np.array(1, dtype=times.dtype.str.replace("M", "m")) / SECOND)
    elif not pd.api.types.is_integer_dtype(events["time"]):
        raise ValueError(f"column `time` has type {times.dtype}: datetimes or positions are needed")
    return _Columns(user, item, times.astype(np.int64), unit)


def _popularity(per_item: Ints) -> dict[str, float]:
    """Measure how unequal items are."""
    law = fit_power_law(per_item)
    rising = np.sort(per_item)
    n, total = len(rising), rising.sum()
    top = {share: rising[-int(np.ceil(n * share / 100)) :].sum() / total for share in (1, 10)}
    rank = np.arange(1, n + 1)
    return {
        "popularity exponent": law.exponent,
        "popularity least": law.least,
        "popularity tail": law.n_tail / n if law.n_tail else np.nan,
        **{f"top {share}% items": part for share, part in top.items()},
        "gini": float((2 * rank - n - 1) @ rising / (n * total)),
    }


def _timing(columns: _Columns, gap: pd.Timedelta) -> dict[str, float]:
    """Measure ties, gaps, bursts and sessions."""
    order = np.lexsort((columns.time, columns.user))
    user, time = columns.user[order], columns.time[order]
    same_user = user[1:] == user[:-1]
    steps = np.diff(time)
    tie = same_user & (steps == 0)
    tied = np.append(tie, False) | np.append(False, tie)
    names = ("gap 50%", "gap 90%", "burstiness", "session events", "session seconds")
    if columns.unit is None:
        return {"tied in time": tied.mean(), **dict.fromkeys(names, np.nan)}
    seconds = steps * columns.unit
    apart = same_user & (steps > 0)
    ends = ~same_user | (seconds > gap / pd.Timedelta("1s"))
    first = np.flatnonzero(np.append(True, ends))
    last = np.append(first[1:], len(time)) - 1
    gaps = np.quantile(seconds[apart], (0.5, 0.9)) if apart.any() else (np.nan, np.nan)
    measured = (
        *gaps,
        _burstiness(user[1:][apart], seconds[apart]),
        np.median(last - first + 1),
        np.median(time[last] - time[first]) * columns.unit,
    )
    return {"tied in time": tied.mean(), **dict(zip(names, measured, strict=True))}


def _burstiness(user: Ints, gaps: Floats) -> float:
    """Average the burstiness of users who have enough gaps."""
    n_gaps = np.bincount(user)
    enough = n_gaps >= LEAST_GAPS
    if not enough.any():
        return np.nan
    mean = np.bincount(user, gaps) / np.maximum(n_gaps, 1)
    squares = np.bincount(user, (gaps - mean[user]) ** 2)
    m, s = mean[enough], np.sqrt(squares[enough] / n_gaps[enough])
    return float(((s - m) / (s + m)).mean())


def _repeat_rate(columns: _Columns, behavior: pd.Series[Any]) -> float:
    """Count events of an item that the user had before."""
    bought = (behavior == "purchase").to_numpy(dtype=bool)
    kept = bought if bought.any() else np.full(len(bought), fill_value=True)
    pair = columns.user[kept] * (columns.item.max() + 1) + columns.item[kept]
    time = columns.time[kept]
    first = pd.Series(time).groupby(pair, sort=False).transform("min").to_numpy()
    return float((time > first).mean())


def _funnel(behavior: pd.Series[Any]) -> dict[str, float]:
    """Compare the number of events of each step with those of the first."""
    counts = behavior.value_counts()
    counts = counts[counts > 0]  # a categorical column counts the categories that do not occur
    steps = [step for step in FUNNEL if step in counts.index]
    return {f"{step} per {steps[0]}": counts[step] / counts[steps[0]] for step in steps[1:]}

"""Hand-made features of users: rates, counts, recency, regularity, variety, up to a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from behaviorseq.arguments import number

if TYPE_CHECKING:
    from collections.abc import Sequence

A_DAY = pd.Timedelta(days=1)


def user_statistics(
    events: pd.DataFrame,
    moment: str | pd.Timestamp,
    *,
    behaviors: Sequence[str] = ("view", "click", "cart", "purchase"),
    recent: float = 7.0,
    category: str = "item",
) -> pd.DataFrame:
    r"""Describe each user by numbers that an analyst would count, from events before a moment.

    Nothing at or after the moment is used, so what stands there cannot leak into a prediction
    that is made at it. What cannot be known is missing, not 0: the click-through rate of a user
    who was shown nothing, the days since the purchase of one who never bought.

    Parameters
    ----------
    events : DataFrame
        Event log with datetimes.
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
    DataFrame
        One row for each user with an event before the moment, in order of the user ids:

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
        If a column is missing, the times are not datetimes, or no event lies before the moment.

    Examples
    --------
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
    moment = pd.Timestamp(moment)
    past = _before(events, moment, category)
    users = past.groupby("user")
    features = _counts(past, behaviors, "n_")
    late = past[past["time"] >= moment - recent * A_DAY]
    features = features.join(_counts(late, behaviors, "recent_"), how="left").fillna(0).astype(int)
    first, last = users["time"].min(), users["time"].max()
    features["click_rate"] = _ratio(features, "n_click", "n_view")
    features["buy_rate"] = _ratio(features, "n_purchase", "n_click")
    features["days_since_first"] = (moment - first) / A_DAY
    features["days_since_last"] = (moment - last) / A_DAY
    for name in behaviors:
        latest = past[past["behavior"] == name].groupby("user")["time"].max()
        features[f"days_since_{name}"] = (moment - latest) / A_DAY
    weeks = features["days_since_first"].clip(lower=1) / 7
    bought = past[past["behavior"] == "purchase"].groupby("user").size()
    features["purchases_per_week"] = bought.reindex(features.index, fill_value=0) / weeks
    return features.join(_regularity(past)).join(_entropy(past, category))


def _before(events: pd.DataFrame, moment: pd.Timestamp, category: str) -> pd.DataFrame:
    """Keep the events before the moment and the columns that are read."""
    columns = list(dict.fromkeys(["user", "time", "behavior", category]))
    missing = [name for name in columns if name not in events]
    if missing:
        raise ValueError(f"columns {missing} are missing; the log has {list(events.columns)}")
    if not pd.api.types.is_datetime64_any_dtype(events["time"]):
        raise ValueError(f"column 'time' must hold datetimes, not {events['time'].dtype}")
    past = events.loc[events["time"] < moment, columns]
    if past.empty:
        raise ValueError(f"no event lies before {moment}: the log begins {events['time'].min()}")
    return past.assign(behavior=past["behavior"].astype(object))


def _counts(events: pd.DataFrame, behaviors: Sequence[str], prefix: str) -> pd.DataFrame:
    """Count the events of each user by behavior, one column each."""
    index = pd.Index(np.unique(events["user"]), name="user")
    sizes = events.pivot_table(index="user", columns="behavior", aggfunc="size", fill_value=0)
    return sizes.reindex(index, columns=list(behaviors), fill_value=0).add_prefix(prefix)


def _ratio(features: pd.DataFrame, above: str, below: str) -> Any:
    if above not in features or below not in features:
        return np.nan
    return features[above] / features[below].where(features[below] > 0)


def _regularity(events: pd.DataFrame) -> pd.DataFrame:
    """Count each user's active dates, and the mean days from one to the next."""
    dates = events[["user"]].assign(date=events["time"].dt.normalize()).drop_duplicates()
    of_user = dates.groupby("user")["date"]
    active = of_user.size()
    span = (of_user.max() - of_user.min()) / A_DAY
    return pd.DataFrame({"active_days": active, "mean_gap": span / (active - 1).where(active > 1)})


def _entropy(events: pd.DataFrame, category: str) -> pd.Series:
    """Measure how evenly each user's events spread over categories, in bits."""
    sizes = events.groupby(["user", category], observed=True).size()
    share = sizes / sizes.groupby("user").transform("sum")
    return (-share * np.log2(share)).groupby("user").sum().rename("entropy")

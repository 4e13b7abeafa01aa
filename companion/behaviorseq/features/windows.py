"""Histories as time series: how often each user did what, day after day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from behaviorseq.arguments import whole
from behaviorseq.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def daily_counts(
    events: pd.DataFrame,
    users: ArrayLike,
    start: str | pd.Timestamp,
    n_days: int,
    *,
    behaviors: Sequence[str] = ("view", "click", "cart", "purchase"),
) -> NDArray[np.float32]:
    """Count the events of each user, day and behavior.

    A window of w days that ends before day t is ``counts[:, t - w : t]``; all windows at once are
    ``numpy.lib.stride_tricks.sliding_window_view(counts, w, axis=1)``, without a copy.

    Parameters
    ----------
    events : DataFrame
        Event log with datetimes. Other users, days and behaviors than asked for are left out.
    users : array-like
        The users, in the order of the result, each once.
    start : str or Timestamp
        When day 0 begins; a day is 24 hours.
    n_days : int
        Number of days.
    behaviors : sequence of str
        The behaviors, in the order of the result.

    Returns
    -------
    NDArray[float32]
        Shape (n_users, n_days, n_behaviors).

    Raises
    ------
    ValueError
        If a user is named twice, or ``n_days`` is out of range.

    Examples
    --------
    >>> log = pd.DataFrame({"user": ["a", "b", "a"], "behavior": ["view", "view", "click"],
    ...     "time": pd.to_datetime(["2024-01-01 09:00", "2024-01-02 00:00", "2024-01-02 23:00"])})
    >>> daily_counts(log, ["a", "b"], "2024-01-01", 2, behaviors=["view", "click"]).tolist()
    [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [1.0, 0.0]]]
    """
    whole("n_days", n_days, 1)
    wanted = np.asarray(users)
    ids, place = np.unique(wanted, return_index=True)
    if len(ids) < len(wanted):
        raise ValueError(f"each user may be named once: {len(wanted)} names of {len(ids)} users")
    row = Vocabulary(ids).encode(events["user"].to_numpy(), unknown=-1)
    day = (events["time"] - pd.Timestamp(start)) // pd.Timedelta(days=1)
    kind = pd.Index(behaviors).get_indexer(events["behavior"].astype(object))
    inside = ((row >= 0) & (kind >= 0) & (day >= 0) & (day < n_days)).to_numpy()
    cells: list[Any] = [place[row[inside]], day.to_numpy()[inside], kind[inside]]
    shape = (len(wanted), n_days, len(behaviors))
    flat = np.ravel_multi_index(cells, shape)
    return np.bincount(flat, minlength=np.prod(shape)).reshape(shape).astype(np.float32)

"""Figures that several chapters draw: intervals, calibration, histories, the long tail.

Each function draws on given axes or makes a figure, and returns the axes. A marker goes
with every colour, so that colour is never the only cue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from behaviorseq.arguments import is_count, require
from behaviorseq.events import BEHAVIORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")  # 7 and 8 share no factor: 56 pairs


def plot_intervals(
    table: pd.DataFrame,
    *,
    xlabel: str,
    estimate: str = "mean",
    low: str = "low",
    high: str = "high",
    baseline: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one dot and its interval for each row of a table, first row on top.

    Parameters
    ----------
    table : DataFrame
        One row a model; the index has its name.
    xlabel : str
        What the numbers are, with the unit or the range.
    estimate, low, high : str
        Columns of the estimate and of the ends of its interval.
    baseline : str, optional
        Row whose estimate is drawn as a vertical line through all rows.
    ax : Axes, optional
        Where to draw; a new figure, as high as the table needs, if not given.

    Returns
    -------
    Axes
        The axes drawn on.

    Raises
    ------
    ValueError
        If a column or the baseline is missing, or an estimate lies outside its interval.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"mean": [0.03, 0.06], "low": [0.02, 0.05], "high": [0.04, 0.07]},
    ...                      index=["popularity", "item-kNN"])
    >>> ax = plot_intervals(table, xlabel="NDCG@10 (0 to 1)", baseline="popularity")
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['popularity', 'item-kNN']
    """
    _require_columns(table, [estimate, low, high])
    inside = (table[low] <= table[estimate]) & (table[estimate] <= table[high])
    if not inside.all():
        outside = list(table.index[~inside][:5])
        raise ValueError(f"{estimate!r} lies outside [{low!r}, {high!r}] in rows {outside}")
    if baseline is not None and baseline not in table.index:
        raise ValueError(f"baseline {baseline!r} is not among the rows {list(table.index)}")
    ax = _axes(ax, height=0.8 + 0.32 * len(table))
    rows = np.arange(len(table))
    if baseline is not None:
        ax.axvline(table[estimate][baseline], color="0.4", linestyle="--", linewidth=1)
    reach = [table[estimate] - table[low], table[high] - table[estimate]]
    ax.errorbar(table[estimate], rows, xerr=reach, fmt="o", color=COLOURS[0], capsize=3)
    ax.set_yticks(rows, labels=[str(name) for name in table.index])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlabel(xlabel)
    return ax


def plot_calibrated(
    size: int, *, low: float = 0.0, high: float = 1.0, ax: Axes | None = None
) -> Axes:
    """Draw where calibrated probabilities lie: a line, and the band that chance makes of it.

    Parameters
    ----------
    size : int
        Cases in each group whose share is compared with the probability that was said.
    low, high : float
        Probabilities between which to draw.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    Axes
        The axes drawn on. The band holds the share of 95% of such groups: the middle of the
        binomial distribution.

    Raises
    ------
    ValueError
        If a group holds nothing, or not 0 <= low < high <= 1.

    Examples
    --------
    >>> ax = plot_calibrated(150, high=0.3)
    >>> [text.get_text() for text in ax.legend().get_texts()]
    ['calibrated, 95% of groups']
    """
    require("size", size, is_count(size), "a whole number of 1 or more")
    require("(low, high)", (low, high), 0 <= low < high <= 1, "two numbers in [0, 1], in order")
    ax = _axes(ax, height=4)
    said = np.linspace(low, high, 300)
    least, most = stats.binom.interval(0.95, size, said)
    ax.fill_between(said, least / size, most / size, color="0.9", label="calibrated, 95% of groups")
    ax.plot(said, said, color="0.6", linestyle="-", linewidth=1)
    return ax


def plot_histories(
    events: pd.DataFrame,
    *,
    users: Sequence[object] | None = None,
    max_users: int = 20,
    ax: Axes | None = None,
) -> Axes:
    """Draw the history of each user as a row of marks over time, one mark an event.

    Parameters
    ----------
    events : DataFrame
        Event log.
    users : sequence, optional
        Users to draw, top to bottom; the first `max_users` of the log if not given.
    max_users : int, default 20
        How many users to draw when `users` is not given; the label of the axis says
        how many there are.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    Axes
        The axes drawn on; the legend names the behaviors.

    Raises
    ------
    ValueError
        If a column is missing, or one of `users` has no event.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"user": ["ada", "ada", "bob"], "item": [1, 2, 1],
    ...                     "time": [0, 1, 0], "behavior": ["view", "purchase", "view"]})
    >>> ax = plot_histories(log)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('Position in the history (events)', 'User (2 of 2)')
    """
    _require_columns(events, ["user", "time", "behavior"])
    everyone = pd.unique(events["user"])
    drawn = pd.Index(everyone[:max_users] if users is None else users)
    absent = drawn[~drawn.isin(everyone)]
    if len(absent):
        raise ValueError(f"users {list(absent[:5])} have no event in column 'user'")
    ax = _axes(ax, height=1.2 + 0.2 * len(drawn))
    part = events[events["user"].isin(drawn)]
    rows = drawn.get_indexer(part["user"])
    for behavior in _in_order(part["behavior"]):
        mask = (part["behavior"] == behavior).to_numpy()
        colour, marker = behavior_style(behavior)
        ax.scatter(part["time"][mask], rows[mask], s=18, c=colour, marker=marker, label=behavior)
    ax.set_yticks(np.arange(len(drawn)), labels=[str(user) for user in drawn])
    ax.set_ylim(len(drawn) - 0.5, -0.5)
    dated = pd.api.types.is_datetime64_any_dtype(events["time"])
    ax.set_xlabel("Time (UTC)" if dated else "Position in the history (events)")
    ax.set_ylabel(f"User ({len(drawn)} of {len(everyone):,})")
    ax.legend(title="Behavior", bbox_to_anchor=(1.0, 1.0), loc="upper left")
    return ax


def behavior_style(behavior: str) -> tuple[str, str]:
    """Return the colour and the marker of a behavior, the same in every chapter.

    Parameters
    ----------
    behavior : str
        A behavior of ``behaviorseq.events.BEHAVIORS``, or any other.

    Returns
    -------
    tuple of str
        Colour and marker, as Matplotlib names them.

    Examples
    --------
    >>> behavior_style("view") != behavior_style("purchase")
    True
    """
    code = BEHAVIORS.index(behavior) if behavior in BEHAVIORS else len(BEHAVIORS)
    return COLOURS[code % len(COLOURS)], MARKERS[code % len(MARKERS)]


def plot_long_tail(items: ArrayLike, *, share: float = 0.8, ax: Axes | None = None) -> Axes:
    """Draw how many events each item has, most popular first, on logarithmic axes.

    Parameters
    ----------
    items : array-like
        The item of each event, such as the column ``item`` of an event log.
    share : float, default 0.8
        Share of all events whose items are marked off by a vertical line.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    Axes
        The axes drawn on; the legend says how many items hold that share.

    Raises
    ------
    ValueError
        If there is no event, or `share` is not in (0, 1].

    Examples
    --------
    >>> ax = plot_long_tail(["a"] * 8 + ["b", "c"])
    >>> [text.get_text() for text in ax.get_legend().get_texts()][-1]
    '80% of the events: 1 of 3 items'
    """
    counts = np.sort(np.unique(np.asarray(items), return_counts=True)[1])[::-1]
    if len(counts) == 0:
        raise ValueError("items is empty; there is no event to count")
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share}")
    held = items_holding(counts, share)
    ax = _axes(ax, height=3.6)
    label = "Events of each item"
    ax.loglog(np.arange(1, len(counts) + 1), counts, ".", color=COLOURS[0], label=label)
    label = f"{share:.0%} of the events: {held:,} of {len(counts):,} items"
    ax.axvline(held, color=COLOURS[1], linestyle="--", label=label)
    ax.set_xlabel("Rank of the item (1 = most events)")
    ax.set_ylabel("Events")
    ax.legend()
    return ax


def items_holding(counts: ArrayLike, share: float) -> int:
    """Return how many of the most popular items hold a share of all events.

    Parameters
    ----------
    counts : array-like of int
        Events of each item, largest first.
    share : float
        Share of the events, in (0, 1].

    Returns
    -------
    int
        Smallest number of items that together have at least that share.

    Examples
    --------
    >>> items_holding([5, 3, 1, 1], 0.8)
    2
    """
    total = np.cumsum(np.asarray(counts))
    # Rounded, so that 0.8 of 10 events is 8 and not a hair more.
    return int(np.searchsorted(total, round(share * total[-1], 9))) + 1


def _in_order(behaviors: pd.Series) -> list[str]:
    """Return the distinct behaviors in the order of the vocabulary, then the others."""
    found = set(behaviors)
    return [b for b in BEHAVIORS if b in found] + sorted(found - set(BEHAVIORS))


def _require_columns(table: pd.DataFrame, names: Iterable[str]) -> None:
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise ValueError(f"columns {missing} are missing; the table has {list(table.columns)}")


def _axes(ax: Axes | None, height: float) -> Axes:
    """Return `ax`, or the axes of a new figure 7 inches wide."""
    return plt.subplots(figsize=(7.0, height))[1] if ax is None else ax

"""Entries that are missing: drop the event, or fill in by a rule or a model."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import narwhals as nw

from behaviorseq.event_checks import REQUIRED, one_row

from .frames import missing, settle, unused
from .report import cleaned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narwhals.typing import IntoFrameT

    from .report import CleaningReport, Marked

    Rule = str | float | tuple[str, str]

DROP: dict[str, str] = dict.fromkeys(REQUIRED, "drop")
RULES = ("drop", "leave", "median", "most frequent", "model")
PULL = 5.0  # how many events at the mean an item or user is taken to have had before


def fill_missing(
    events: IntoFrameT, *, rules: Mapping[str, Rule] | None = None
) -> tuple[IntoFrameT, CleaningReport]:
    """Drop events whose entries are missing, or fill the entries.

    Parameters
    ----------
    events : dataframe
        An event log: pandas, Polars (eager or lazy), DuckDB or Spark.
    rules : mapping of str to rule, optional
        What to do, by column; for ``user``, ``item``, ``time`` and ``behavior`` it is ``"drop"``
        unless it is said here, and other columns are not looked at.

        ``"drop"``
            The event goes.
        ``"leave"``
            The entry stays missing, and is counted.
        ``"median"``, or ``("median", "item")``
            The median of the column, or of the events with the same item (of all where that item
            has none).
        ``"most frequent"``, or ``("most frequent", "item")``
            The most frequent entry, likewise; of equally frequent ones the first in order.
        ``"model"``
            An amount: the mean, plus what the item is above it, plus what the user is above that,
            both drawn towards 0 where there are few events. A ``behavior``: what stands most
            often between the same two behaviors in other histories (the most frequent one where
            nothing does).
        A number, or ``("constant", "...")``
            This.

    Returns
    -------
    events : dataframe
        The same kind.
    report : CleaningReport
        How many events were dropped and entries filled or left, by column.

    Raises
    ------
    ValueError
        If the log is empty, a column is not there, or a rule is not known or does not fit the
        column.

    Notes
    -----
    Filling invents. A median keeps the middle and narrows the spread; a filled ``item`` would be
    an event that nobody saw, so that there is no model for it.

    The medians and the model are those of the events given: to keep the future out, clean the
    training part by itself.

    References
    ----------
    - Yehuda Koren (2010). Factor in the Neighbors: Scalable and Accurate Collaborative Filtering.
      ACM TKDD 4(1), section 2.1: the baseline estimate, first items, then users.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> log = pd.DataFrame(
    ...     {
    ...         "user": [1, 1, 2, None],
    ...         "item": ["tea", "tea", "tea", "jam"],
    ...         "time": range(4),
    ...         "behavior": "purchase",
    ...         "price": [4.0, np.nan, 5.0, 3.0],
    ...     }
    ... )
    >>> filled, report = fill_missing(log, rules={"price": ("median", "item")})
    >>> filled["price"].tolist()
    [4.0, 4.5, 5.0]
    >>> print(report)
    3 of 4 events kept
    missing: 1 `user` dropped: the user is missing
    missing: 1 `price` filled: median by item
    """
    return cleaned(events, partial(mark_missing, rules=rules))


def mark_missing(log: Marked, *, rules: Mapping[str, Rule] | None = None) -> Marked:
    """Do what `fill_missing` does, on a marked log."""
    asked = DROP | dict(rules or {})
    for column, rule in asked.items():
        if column not in log.columns:
            raise ValueError(f"rules: the log has no column `{column}`")
        _check(log, column, rule)
    # Events that go are out of the way before anything is learned from the rest.
    for column, rule in sorted(asked.items(), key=lambda pair: pair[1] != "drop"):
        log = _apply(log, column, rule)
    return log


def _check(log: Marked, column: str, rule: Rule) -> None:
    """Refuse a rule that is not known, or not for this column."""
    numeric = log.frame.collect_schema()[column].is_numeric()
    name, group = rule if isinstance(rule, tuple) else (rule, None)
    if isinstance(name, str) and name not in RULES and not (name == "constant" and group):
        raise ValueError(
            f"rules: {rule!r} is no rule for `{column}`: take one of {', '.join(RULES)}, a number, "
            "or ('constant', '...')"
        )
    if group is not None and name != "constant" and group not in log.columns:
        raise ValueError(f"rules: {rule!r} for `{column}`: the log has no column `{group}`")
    if group is not None and name not in ("median", "most frequent", "constant"):
        raise ValueError(f"rules: {rule!r} for `{column}`: {name!r} takes no second part")
    needs_numbers = name == "median" or not isinstance(name, str)
    if (needs_numbers and not numeric) or (name == "constant" and numeric):
        raise ValueError(
            f"rules: {rule!r} does not fit `{column}`, which is {'' if numeric else 'not '}numeric"
        )
    if name == "model" and ((not numeric and column != "behavior") or column in ("user", "item")):
        raise ValueError(
            f"rules: there is a model for amounts and for `behavior`, not for `{column}`: drop "
            "these events, or leave them"
        )


def _apply(log: Marked, column: str, rule: Rule) -> Marked:
    """Follow one rule."""
    empty = missing(log.frame, column)
    name, group = rule if isinstance(rule, tuple) else (rule, None)
    if name in ("drop", "leave"):
        if name == "drop":
            return log.drop(empty, "missing", column, f"the {column} is missing")
        return log.change(empty, None, "missing", "left", f"the {column} is missing", column)
    if name == "constant" or not isinstance(name, str):
        entry = nw.lit(group if name == "constant" else name)
        return log.change(empty, entry, "missing", "filled", "a constant", column)
    schema = log.frame.collect_schema()
    there = set(schema.names())
    categories = schema[column] in (nw.Categorical, nw.Enum)
    if categories:  # they have no order by which one of two equally frequent ones could be taken
        log = log.on(log.frame.with_columns(nw.col(column).cast(nw.String)))
    (guess,) = unused(log.frame, "guess")
    known = log.frame.filter(log.kept & ~empty)
    frame: Any = log.frame
    if name == "median":
        frame = _guess_median(frame, known, column, group, guess)
    elif name == "most frequent":
        frame = _guess_frequent(frame, known, column, group, guess)
    elif column == "behavior":
        frame = _guess_between(log, guess)
    else:
        frame = _guess_amount(frame, known, column, guess)
    note = name if group is None else f"{name} by {group}"
    log = log.on(frame)
    found = empty & ~nw.col(guess).is_null()
    log = log.change(found, nw.col(guess), "missing", "filled", note, column)
    log = log.change(
        missing(log.frame, column), None, "missing", "left", "nothing to fill in from", column
    )
    if categories:
        log = log.on(log.frame.with_columns(nw.col(column).cast(nw.Categorical)))
    ours = set(log.names) | there
    return log.on(log.frame.select(*(n for n in log.frame.collect_schema().names() if n in ours)))


def _guess_median(frame: Any, known: Any, column: str, group: str | None, guess: str) -> Any:
    """Add the median of the group of each event, or of all."""
    one = one_row(known, nw.col(column).median().alias(guess))[guess]
    overall = nw.lit(one, nw.Float64)
    if group is None:
        return frame.with_columns(overall.alias(guess))
    medians = settle(known.group_by(group).agg(nw.col(column).median().alias(guess)))
    frame = frame.join(medians, on=group, how="left")
    return frame.with_columns(nw.coalesce(nw.col(guess), overall).alias(guess))


def _guess_frequent(frame: Any, known: Any, column: str, group: str | None, guess: str) -> Any:
    """Add the most frequent entry of the group of each event, or of all."""
    overall = nw.lit(_commonest(known, column))
    if group is None:
        return frame.with_columns(overall.alias(guess))
    frame = frame.join(_most_frequent(known, column, [group], guess), on=group, how="left")
    return frame.with_columns(nw.coalesce(nw.col(guess), overall).alias(guess))


def _commonest(known: Any, column: str) -> Any:
    """Find the most frequent entry of a column, of equally frequent ones the first in order."""
    (n,) = unused(known, "n")
    counts = known.group_by(column).agg(nw.len().alias(n))
    ordered = counts.sort(n, column, descending=[True, False]).head(1)
    found = ordered.lazy().collect().rows(named=True)
    return found[0][column] if found else None


def _most_frequent(known: Any, column: str, groups: list[str], name: str) -> Any:
    """Find the most frequent entry of each group."""
    n, most = unused(known, "n", "most")
    counts = known.group_by(*groups, column).agg(nw.len().alias(n))
    counts = counts.with_columns(nw.col(n).max().over(*groups).alias(most))
    best = counts.filter(nw.col(n) == nw.col(most))
    return settle(best.group_by(*groups).agg(nw.col(column).min().alias(name)))


def _guess_amount(frame: Any, known: Any, column: str, guess: str) -> Any:
    """Add the baseline estimate of each event: mean, item and user."""
    above, item, user = unused(frame, "above", "item", "user")
    mean = one_row(known, nw.col(column).mean().alias(guess))[guess]
    rest = known.with_columns((nw.col(column) - nw.lit(mean, nw.Float64)).alias(above))
    items = _pulled(rest, "item", above, item)
    rest = rest.join(items, on="item", how="left")
    rest = rest.with_columns((nw.col(above) - nw.col(item).fill_null(0.0)).alias(above))
    users = _pulled(rest, "user", above, user)
    frame = frame.join(items, on="item", how="left").join(users, on="user", how="left")
    parts = nw.col(item).fill_null(0.0) + nw.col(user).fill_null(0.0)
    return frame.with_columns((parts + nw.lit(mean, nw.Float64)).alias(guess))


def _pulled(rest: Any, group: str, column: str, name: str) -> Any:
    """Average what is left over in each group, drawn towards 0 where there is little."""
    (n,) = unused(rest, "n")
    sums = rest.group_by(group).agg(nw.col(column).sum().alias(name), nw.len().alias(n))
    return settle(sums.select(group, (nw.col(name) / (nw.col(n) + PULL)).alias(name)))


def _guess_between(log: Marked, guess: str) -> Any:
    """Add the behavior that stands most often between those before and after each event."""
    alive, before, after = unused(log.frame, "alive", "before", "after")
    frame: Any = log.frame
    frame = frame.with_columns((log.kept & ~nw.col("time").is_null()).alias(alive))
    behavior, order = nw.col("behavior"), ["time", "item", "behavior"]
    frame = frame.with_columns(
        behavior.shift(1).over("user", alive, order_by=order).alias(before),
        behavior.shift(-1).over("user", alive, order_by=order).alias(after),
    )
    inside = frame.filter(nw.col(alive) & ~behavior.is_null())
    both = inside.filter(~nw.col(before).is_null() & ~nw.col(after).is_null())
    best = _most_frequent(both, "behavior", [before, after], guess)
    common = nw.lit(_commonest(inside, "behavior"))
    frame = frame.join(best, on=[before, after], how="left")
    return frame.with_columns(nw.coalesce(nw.col(guess), common).alias(guess))

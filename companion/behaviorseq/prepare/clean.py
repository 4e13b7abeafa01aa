"""Cleaning: all steps, one after another, and one report."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from behaviorseq.arguments import check_options

from .clock import mark_clock_errors
from .ids import mark_ids
from .missing import mark_missing
from .outliers import mark_outliers
from .repeats import mark_duplicates, mark_robots
from .report import cleaned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from narwhals.typing import IntoFrameT

    from .report import CleaningReport, Marked

#: The steps by name, in the order that `clean` takes by default: spellings first, since all else
#: compares identifiers; outliers before missing entries, since they leave some.
STEPS: dict[str, Callable[..., Marked]] = {
    "ids": mark_ids,
    "clock": mark_clock_errors,
    "outliers": mark_outliers,
    "missing": mark_missing,
    "duplicates": mark_duplicates,
    "robots": mark_robots,
}


def clean(
    events: IntoFrameT, steps: Iterable[str] | Mapping[str, Mapping[str, Any]] = tuple(STEPS)
) -> tuple[IntoFrameT, CleaningReport]:
    """Clean an event log, and report what was done.

    Parameters
    ----------
    events : dataframe
        An event log: pandas, Polars (eager or lazy), DuckDB or Spark. A lazy one is run to count,
        and again whenever the result is used: write it to Parquet and read that. The steps
        ``ids``, ``outliers``, ``missing`` where it fills, and ``robots`` each run what comes
        before them as well, for a small table (spellings, medians, robots), which is kept as a
        temporary table of the connection in DuckDB and as a local checkpoint in Spark.
    steps : iterable of str, or mapping of str to mapping
        The steps in the order in which they are taken, with their options in a mapping:
        ``{"duplicates": {"within": "5s"}, "robots": {}}``.

        ``ids``
            Write each identifier in one way: `unify_ids`.
        ``clock``
            Drop impossible times: `drop_clock_errors`.
        ``outliers``
            Empty amounts that are far from the others: `empty_outliers`.
        ``missing``
            Drop events without user, item, time or behavior, or fill: `fill_missing`.
        ``duplicates``
            Drop what is logged twice: `drop_duplicates`.
        ``robots``
            Drop users that work like programs: `drop_robots`.

    Returns
    -------
    events : dataframe
        The same kind, with the same columns. Rows of a dataframe that has an order stay in it,
        and those of a pandas frame are numbered from 0.
    report : CleaningReport
        What was dropped, changed, emptied and filled, why, and how often.

    Raises
    ------
    ValueError
        If the log is empty, lacks a column, has times or amounts of another type, or a step or
        option is not known.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame(
    ...     {
    ...         "user": ["ann", "ann ", "bob", None],
    ...         "item": ["tea", "tea", "tea", "jam"],
    ...         "time": pd.to_datetime(["2024-05-01", "2024-05-01", "1970-01-01", "2024-05-02"]),
    ...         "behavior": "view",
    ...     }
    ... )
    >>> tidy, report = clean(log)
    >>> print(report)
    1 of 4 events kept
    ids: 1 `user` changed: spelled in another way
    clock: 1 `time` dropped: earlier than 1990-01-01 00:00
    missing: 1 `user` dropped: the user is missing
    duplicates: 1 dropped: the same at the same time
    """
    options: dict[str, Mapping[str, Any]] = (
        dict(steps) if isinstance(steps, Mapping) else {name: {} for name in steps}
    )
    for name, given in options.items():
        if name not in STEPS:
            near = difflib.get_close_matches(str(name), STEPS, n=1)
            hint = f" (is it {near[0]!r}?)" if near else ""
            raise ValueError(f"no step is named {name!r}{hint}; there are {', '.join(STEPS)}")
        check_options(f"the step {name!r}", STEPS[name], given)
    return cleaned(events, *(partial(STEPS[name], **given) for name, given in options.items()))

"""From identifiers, categories and times to numbers: codes, columns of 0 and 1, windows."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np

from behaviorseq.columns import factorized
from behaviorseq.event_checks import one_row, refuse
from behaviorseq.vocabulary import Vocabulary

from .frames import (
    in_ticks,
    is_position,
    missing,
    naive,
    open_frame,
    refuse_missing,
    refuse_present,
    settle,
    span,
    ticks,
    unused,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta

    from narwhals.typing import IntoFrameT

    from behaviorseq.event_checks import Frame

MOST_COLUMNS = 1_000  # of 0 and 1; with more, codes are meant


@dataclass(frozen=True, eq=False)
class Codes:
    """Codes of the identifiers of a column, 0, 1, ... in the order of the identifiers.

    They are the codes of a `Vocabulary`, held where the log is: in Spark they stay in the cluster.

    Parameters
    ----------
    column : str
        The column.
    table : dataframe
        Of the kind that they were fitted on: the column, and ``code``.
    """

    column: str
    table: Any = field(repr=False)

    def apply(
        self, events: IntoFrameT, *, name: str | None = None, unknown: int | None = None
    ) -> IntoFrameT:
        """Add a column of codes.

        Parameters
        ----------
        events : dataframe
            Of the kind that the codes were fitted on; a DuckDB relation of the same connection.
        name : str, optional
            The name of the new column, by default that of the old one and ``_code``.
        unknown : int, optional
            The code of an identifier that has none. Without it such an identifier is an error,
            and a lazy frame is read through once to look for it.

        Returns
        -------
        dataframe
            The same kind with one more column of whole numbers.

        Raises
        ------
        ValueError
            If an identifier is missing or has no code, or the column is there already.
        """
        frame: Any = open_frame(events, self.column)
        name = name or f"{self.column}_code"
        refuse_present(frame, [name], "name='...'")
        refuse_missing(frame, self.column)
        row, key = unused(frame, "row", "key")
        table: Any = nw.from_native(self.table)
        if isinstance(frame, nw.DataFrame) != isinstance(table, nw.DataFrame) or (
            frame.implementation is not table.implementation
        ):
            raise ValueError(
                f"the codes are held in {table.implementation}, the events in "
                f"{frame.implementation}, or one of the two is lazy: fit codes on the same kind"
            )
        eager = isinstance(frame, nw.DataFrame)
        numbered = frame.with_row_index(row) if eager else frame
        table = table.rename({self.column: key, "code": name})
        coded = numbered.join(table, left_on=self.column, right_on=key, how="left")
        none = nw.col(name).is_null()
        if unknown is None:
            self._refuse_unknown(coded, none)
        code = nw.col(name) if unknown is None else nw.col(name).fill_null(unknown)
        coded = coded.with_columns(code.cast(nw.Int32).alias(name))
        if eager and not coded[row].is_sorted():
            coded = coded.sort(row)
        native = coded.select(*frame.collect_schema().names(), name).to_native()
        return native.reset_index(drop=True) if coded.implementation.is_pandas() else native  # type: ignore[no-any-return]  # the kind that came in

    def _refuse_unknown(self, coded: Any, none: nw.Expr) -> None:
        count = one_row(coded, none.cast(nw.Int64).sum().alias("n"))["n"]
        if count:
            remedy = "encode with unknown=-1 to mark them, or fit codes on a log that holds them"
            refuse(coded, self.column, none, int(count), "the identifier has no code", remedy)

    def vocabulary(self) -> Vocabulary:
        """Give the same codes as a `Vocabulary`, in memory."""
        table = nw.from_native(self.table).lazy().collect().sort("code")
        return Vocabulary(np.asarray(table[self.column].to_list()))


def fit_codes(events: Any, column: str) -> Codes:
    """Give each identifier of a column a code.

    Parameters
    ----------
    events : dataframe
        pandas, Polars (eager or lazy), DuckDB or Spark: the training part of a log. A lazy one
        is run.
    column : str
        The column of identifiers.

    Returns
    -------
    Codes
        With `Codes.apply`.

    Raises
    ------
    ValueError
        If the column is not there, holds nothing, or mixes types.

    Examples
    --------
    >>> import pandas as pd
    >>> train = pd.DataFrame({"item": ["tea", "jam", "tea"]})
    >>> codes = fit_codes(train, "item")
    >>> codes.apply(train)["item_code"].tolist()
    [1, 0, 1]
    >>> later = pd.DataFrame({"item": ["jam", "rye"]})
    >>> codes.apply(later, unknown=-1)["item_code"].tolist()
    [0, -1]
    """
    frame: Any = open_frame(events, column)
    ids = frame.filter(~missing(frame, column)).select(column).unique()
    if isinstance(ids, nw.DataFrame):
        with _sorting(column):
            code, entries = factorized(ids[column], sort=True)
            _ = entries[1:] > entries[:-1]  # pandas sorts numbers and text, each by itself
        ids = ids.with_columns(nw.new_series("code", code, backend=frame.implementation))
    else:
        ids = ids.with_row_index("code", order_by=column)
    table: Any = settle(ids.select(column, "code"))
    if not one_row(table, nw.len().alias("n"))["n"]:
        raise ValueError(f"column `{column}` holds no identifier: check the log, or the column")
    return Codes(column, table.to_native())


@contextmanager
def _sorting(column: str) -> Iterator[None]:
    """Say which column cannot be put into order."""
    try:
        yield
    except TypeError as error:
        raise ValueError(
            f"column `{column}` mixes types, which have no order ({error}): write each of its "
            "entries in one way, with behaviorseq.prepare.unify_ids"
        ) from error


def one_hot(
    events: IntoFrameT, column: str = "behavior", *, names: Sequence[Any] | None = None
) -> IntoFrameT:
    """Add a column of 0 and 1 for each of the entries of a column: binary sequences.

    Parameters
    ----------
    events : dataframe
        pandas, Polars (eager or lazy), DuckDB or Spark.
    column : str
        The column. A missing entry has 0 everywhere.
    names : sequence, optional
        The entries that get a column; others have 0 everywhere. By default all that occur, in
        order, for which a lazy frame is run: give the names to have the same columns for another
        part of the log.

    Returns
    -------
    dataframe
        The same kind with more columns, ``column=entry``.

    Raises
    ------
    ValueError
        If the column is not there or mixes types, a new one is there already, or there would be
        more than 1,000.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"behavior": ["view", "cart", "view"]})
    >>> one_hot(log).drop(columns="behavior").to_dict("list")
    {'behavior=cart': [0, 1, 0], 'behavior=view': [1, 0, 1]}
    """
    frame: Any = open_frame(events, column)
    if names is None:
        there = frame.filter(~missing(frame, column)).select(column).unique()
        with _sorting(column):
            names = sorted(there.head(MOST_COLUMNS + 1).lazy().collect()[column].to_list())
    if len(names) > MOST_COLUMNS:
        raise ValueError(
            f"column `{column}` has more than {MOST_COLUMNS:,} different entries: encode it with "
            "fit_codes, or give the names that matter"
        )
    made = {f"{column}={name}": nw.col(column) == nw.lit(name) for name in names}
    refuse_present(frame, made, "names=[...]")
    columns = [mask.fill_null(value=False).cast(nw.Int8).alias(n) for n, mask in made.items()]
    return (frame.with_columns(*columns) if columns else frame).to_native()  # type: ignore[no-any-return]  # the kind that came in


def add_windows(
    events: IntoFrameT,
    length: str | timedelta | int,
    *,
    start: str | datetime | int = 0,
    column: str = "window",
) -> IntoFrameT:
    """Add the number of the time window of each event.

    Parameters
    ----------
    events : dataframe
        pandas, Polars (eager or lazy), DuckDB or Spark, with ``time``. A lazy one is read through
        once, for missing times.
    length : str or timedelta, int for positions
        The length of a window. A window holds its first moment and not the first of the next.
    start : str or datetime, int for positions
        When window 0 begins; by default 1970, so that windows of a day begin at midnight UTC and
        the number of a window is the same in each part of a log. Earlier windows have negative
        numbers.
    column : str
        The name of the new column.

    Returns
    -------
    dataframe
        The same kind with one more column of whole numbers.

    Raises
    ------
    ValueError
        If a time is missing, the length is 0 or no span of time, the start is no moment, or there
        is such a column already.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"time": pd.to_datetime(["2024-05-01", "2024-05-07", "2024-05-08"])})
    >>> add_windows(log, "7D", start="2024-05-01")["window"].tolist()
    [0, 0, 1]
    """
    frame: Any = open_frame(events, "time")
    refuse_present(frame, [column], "column='...'")
    refuse_missing(frame, "time")
    return frame.with_columns(window(frame, length, start).alias(column)).to_native()  # type: ignore[no-any-return]  # the kind that came in


def window(frame: Frame, length: str | timedelta | int, start: str | datetime | int = 0) -> nw.Expr:
    """Say in which window the time of each event lies."""
    size = in_ticks(span("length", length, frame))
    if not size:
        raise ValueError("length must be longer than 0")
    # Below 2**53 a division of whole numbers can be rounded down; SQL's own rounds towards 0.
    passed = (ticks(frame) - origin(frame, start)).cast(nw.Float64)
    return (passed / size).floor().cast(nw.Int64)


def origin(frame: Frame, start: str | datetime | int) -> int:
    """Give the start of window 0 in ticks."""
    if isinstance(start, int):
        if start and not is_position(frame):
            raise ValueError(f"start must be a moment such as '2024-05-01', got {start!r}")
        return start
    if is_position(frame):
        raise ValueError(f"start must be a position, since times are positions, got {start!r}")
    return round((naive(start) - naive(0)).total_seconds() * 1_000_000)

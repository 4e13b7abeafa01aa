"""Identifiers that are spelled in more than one way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import narwhals as nw
import pandas as pd

from .frames import settle, unused
from .report import cleaned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from narwhals.typing import IntoFrameT

    from behaviorseq.event_checks import Frame

    from .report import CleaningReport, Marked

COLUMNS = ("user", "item", "behavior")
WHOLE = r"-?(?:0|[1-9]\d{0,17})"  # that text and number can be made of each other, so not 007
WHOLE_AS_DECIMAL = r"^-?\d+\.0$"


def unify_ids(
    events: IntoFrameT, *, columns: Sequence[str] = COLUMNS, case: bool = True
) -> tuple[IntoFrameT, CleaningReport]:
    """Write each identifier in one way.

    Blanks before and after go; ``12.0`` becomes ``12``; of spellings that differ in nothing but
    case the commonest is taken (of equally common ones the first in the alphabet). What is empty
    then is missing.

    Parameters
    ----------
    events : dataframe
        An event log: pandas, Polars (eager or lazy), DuckDB or Spark.
    columns : sequence of str
        The columns to go through. A column of numbers has one way to write each and stays.
    case : bool
        Whether spellings that differ in case are one identifier. False for identifiers such as
        base64, in which case makes a difference.

    Returns
    -------
    events : dataframe
        The same kind. A pandas column that mixes numbers and text comes back as whole numbers
        where each of its identifiers is one, and as text otherwise.
    report : CleaningReport
        How many entries of each column were changed.

    Raises
    ------
    ValueError
        If the log is empty, or a column is not there.

    Examples
    --------
    >>> log = pd.DataFrame(
    ...     {
    ...         "user": [7, "7 ", 8, "7.0"],
    ...         "item": ["A1", "A1", "a1", " B2"],
    ...         "time": range(4),
    ...         "behavior": "view",
    ...     }
    ... )
    >>> unified, report = unify_ids(log)
    >>> unified["user"].tolist(), unified["item"].tolist()
    ([7, 7, 8, 7], ['A1', 'A1', 'A1', 'B2'])
    >>> print(report)
    4 of 4 events kept
    ids: 2 `user` changed: spelled in another way
    ids: 2 `item` changed: spelled in another way
    """
    return cleaned(events, partial(mark_ids, columns=columns, case=case))


def mark_ids(log: Marked, *, columns: Sequence[str] = COLUMNS, case: bool = True) -> Marked:
    """Do what `unify_ids` does, on a marked log."""
    for column in columns:
        if column not in log.columns:
            raise ValueError(f"columns={columns!r}: the log has no column `{column}`")
        log = _unify(log, column, case)
    return log


def _unify(log: Marked, column: str, case: bool) -> Marked:
    """Write the identifiers of one column in one way."""
    given = log.frame.collect_schema()[column]
    if given.is_numeric():
        return log
    mixed = _holds_numbers(log.frame, column)
    known = ~nw.col(column).is_null()
    text = nw.when(known).then(nw.col(column).cast(nw.String)).otherwise(nw.lit(None, nw.String))
    frame: Any = log.frame.with_columns(text.alias(column))
    spelled, better = unused(frame, "spelled", "better")
    odd = settle(_odd_spellings(frame.filter(log.kept & known), column, spelled, better, case))
    joined = frame.join(odd, left_on=column, right_on=spelled, how="left")
    found = ~nw.col(better).is_null()
    entry = nw.when(nw.col(better) != "").then(nw.col(better)).otherwise(nw.lit(None, nw.String))
    log = log.on(joined)
    log = log.change(found, entry, "ids", "changed", "spelled in another way", column)
    frame = log.frame.drop(better, *({spelled} & set(log.frame.collect_schema().names())))
    if given in (nw.Categorical, nw.Enum):
        frame = frame.with_columns(nw.col(column).cast(nw.Categorical))
    if mixed:
        frame = _as_numbers(frame, column)
    return log.on(frame)


def _odd_spellings(frame: Any, column: str, spelled: str, better: str, case: bool) -> Any:
    """List the spellings that are not to stay, and what is to stand in their place."""
    n, key = unused(frame, "n", "key")
    counts = frame.select(nw.col(column).alias(spelled)).group_by(spelled).agg(nw.len().alias(n))
    bare = nw.col(spelled).str.strip_chars()
    counts = counts.with_columns(bare.alias(better))
    decimal = nw.col(better).str.contains(WHOLE_AS_DECIMAL)
    whole = nw.col(better).str.replace_all(".0", "", literal=True)
    # In what passes for a decimal ".0" stands once, at the end; 10.05.0 does not pass.
    counts = counts.with_columns(
        nw.when(decimal).then(whole).otherwise(nw.col(better)).alias(better)
    )
    if case:
        counts = counts.with_columns(nw.col(better).str.to_lowercase().alias(key))
        (common,) = unused(counts, "common")
        counts = counts.with_columns(nw.col(n).sum().over(key, better).alias(n))
        counts = counts.with_columns(nw.col(n).max().over(key).alias(common))
        most = nw.when(nw.col(n) == nw.col(common)).then(nw.col(better))
        counts = counts.with_columns(most.alias(better))
        counts = counts.with_columns(nw.col(better).min().over(key).alias(better))
    odd = (nw.col(better) != nw.col(spelled)) | (nw.col(better) == "")
    return counts.filter(odd).select(spelled, better)


def _holds_numbers(frame: Frame, column: str) -> bool:
    """Tell whether a pandas column of objects mixes numbers with text."""
    native: Any = frame.to_native()
    if not isinstance(native, pd.DataFrame) or native[column].dtype != object:
        return False
    return "int" in pd.api.types.infer_dtype(native[column], skipna=True)


def _as_numbers(frame: Any, column: str) -> Any:
    """Make whole numbers of text, where each entry is one."""
    native = frame.to_native()
    text = native[column]
    if not text.dropna().str.fullmatch(WHOLE).all():
        return frame
    numbers = pd.to_numeric(text).astype("Int64")
    if not numbers.isna().any():
        numbers = numbers.astype("int64")
    return nw.from_native(native.assign(**{column: numbers}))

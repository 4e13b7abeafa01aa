"""Identifiers that are spelled in more than one way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import narwhals as nw
import pandas as pd

from behaviorseq.event_checks import one_row

from .frames import settle, unused
from .report import cleaned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from narwhals.typing import IntoFrameT

    from behaviorseq.event_checks import Frame

    from .report import CleaningReport, Marked

COLUMNS = ("user", "item", "behavior")
WHOLE = r"-?(?:0|[1-9][0-9]{0,17})"  # that text and number can be made of each other, so not 007
WHOLE_AS_DECIMAL = r"^-?[0-9]+\.0$"
#: What Unicode has for blanks, each by name: the engines know different ones by themselves.
BLANKS = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"
BLANKS += "".join(map(chr, range(0x2000, 0x200B)))


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
        The columns to go through. A column of numbers has one way to write each and stays, and so
        does any other that holds no text.
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

    Notes
    -----
    Engines write a few letters small in different ways, such as the Turkish dotted capital I and
    the Greek sigma at the end of a word: there one may see a difference in case and another not.

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
    if given not in (nw.String, nw.Categorical, nw.Enum, nw.Object):
        return log
    category = given in (nw.Categorical, nw.Enum)
    mixed = _holds_numbers(log.frame, column)
    frame: Any = log.frame
    # Polars joins categories by their numbers; only the text of the different ones is looked at.
    if category and frame.implementation.is_polars():
        frame = frame.with_columns(nw.col(column).cast(nw.Categorical))
        return _unify_by_table(log.on(frame), column, case)
    if given != nw.String or mixed:
        known = ~nw.col(column).is_null()
        text = nw.when(known).then(nw.col(column).cast(nw.String))
        frame = frame.with_columns(text.otherwise(nw.lit(None, nw.String)).alias(column))
    log = log.on(frame)
    log = _unify_by_table(log, column, case) if case else _unify_each(log, column)
    frame = log.frame
    if category:
        frame = frame.with_columns(nw.col(column).cast(nw.Categorical))
    if mixed:
        frame = _as_numbers(frame, column)
    return log.on(frame)


def _unify_each(log: Marked, column: str) -> Marked:
    """Write each identifier in one way, whatever the others are."""
    frame: Any = log.frame
    (tidy,) = unused(frame, "tidy")
    log = log.on(frame.with_columns(_tidy(nw.col(column)).alias(tidy)))
    odd = (nw.col(tidy) != nw.col(column)) | (nw.col(tidy) == "")
    log = _changed(log, column, odd, nw.col(tidy))
    return log.on(log.frame.drop(tidy))


def _unify_by_table(log: Marked, column: str, case: bool) -> Marked:
    """Write identifiers as a table of the odd ones says."""
    spelled, better = unused(log.frame, "spelled", "better")
    frame: Any = log.frame
    known = log.kept & ~nw.col(column).is_null()
    entries = frame.select(column, log.why).filter(known) if case else frame.select(column).unique()
    odd = settle(_odd_spellings(entries, column, case))
    if not one_row(odd, nw.len().alias("n"))["n"]:
        return _changed(log, column, nw.lit(value=False), nw.col(column))
    kind = frame.collect_schema()[column]
    names = {spelled: nw.col("spelled").cast(kind), better: nw.col("better").cast(kind)}
    joined = frame.join(odd.select(**names), left_on=column, right_on=spelled, how="left")
    log = log.on(joined)
    log = _changed(log, column, ~nw.col(better).is_null(), nw.col(better))
    return log.on(log.frame.drop(better, *({spelled} & set(log.frame.collect_schema().names()))))


def _changed(log: Marked, column: str, found: nw.Expr, better: nw.Expr) -> Marked:
    """Write what is better into the entries that were found; what is empty becomes missing."""
    kind = log.frame.collect_schema()[column]
    entry = nw.when(better != "").then(better).otherwise(nw.lit(None, kind))
    return log.change(found, entry, "ids", "changed", "spelled in another way", column)


def _tidy(identifier: nw.Expr) -> nw.Expr:
    """Take away spaces around an identifier, and the decimal of a whole number."""
    bare = identifier.str.strip_chars(BLANKS)
    whole = bare.str.replace_all(".0", "", literal=True)
    # In what passes for a decimal ".0" stands once, at the end; 10.05.0 does not pass.
    return nw.when(bare.str.contains(WHOLE_AS_DECIMAL)).then(whole).otherwise(bare)


def _odd_spellings(frame: Any, column: str, case: bool) -> Any:
    """List the spellings that are not to stay, and what is to stand in their place."""
    n, better = nw.col("n"), nw.col("better")
    counts = frame.select(nw.col(column).alias("spelled"))
    if case:
        counts = counts.group_by("spelled").agg(nw.len().alias("n"))
    counts = counts.with_columns(nw.col("spelled").cast(nw.String))
    counts = counts.with_columns(_tidy(nw.col("spelled")).alias("better"))
    if case:
        counts = counts.with_columns(better.str.to_lowercase().alias("key"))
        counts = counts.with_columns(n.sum().over("key", "better").alias("n"))
        counts = counts.with_columns(n.max().over("key").alias("common"))
        most = nw.when(n == nw.col("common")).then(better)
        counts = counts.with_columns(most.alias("better"))
        counts = counts.with_columns(better.min().over("key").alias("better"))
    odd = (better != nw.col("spelled")) | (better == "")
    return counts.filter(odd).select("spelled", "better")


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

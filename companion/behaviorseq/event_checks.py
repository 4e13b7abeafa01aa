"""What a dataframe must be to pass as an event log: the checks behind `behaviorseq.events`."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, NoReturn

import narwhals as nw
import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from narwhals.typing import IntoFrame

    Frame = nw.DataFrame[Any] | nw.LazyFrame[Any]

REQUIRED = ("user", "item", "time", "behavior")
AMOUNTS = ("value", "price")
EMPTY = "the event log is empty: check the file, or the filter that made it"
SHOWN = 5  # offending rows in an error message
# No history is that long; as seconds since 1970 it is March 1973.
EPOCH_LIKE = 100_000_000


def contract_columns(events: IntoFrame) -> Frame:
    """Keep the columns of the contract, after a check of their names, rows and types."""
    frame: Frame = nw.from_native(events)
    names = frame.collect_schema().names()
    require_columns(names)
    frame = frame.select(*REQUIRED, *(name for name in AMOUNTS if name in names))
    if isinstance(frame, nw.DataFrame) and frame.implementation.is_pandas():
        frame = _to_arrow(frame.to_pandas())
    if one_row(frame, nw.len().alias("n"))["n"] == 0:
        raise ValueError(EMPTY)
    schema = frame.collect_schema()
    for name in AMOUNTS:
        if name in schema and not schema[name].is_numeric():
            raise ValueError(f"column `{name}` has type {schema[name]}: it has to be a number")
    check_time(frame)
    return frame


def check_time(frame: Frame, *, zones: bool = False) -> None:
    """Refuse a column `time` that holds neither times nor positions; in a zone only if allowed."""
    time = frame.collect_schema()["time"]
    zoned = getattr(time, "time_zone", None) and not zones
    if not (time.is_integer() or time == nw.Datetime) or zoned:
        raise ValueError(
            f"column `time` has type {time}: it has to be a datetime without time zone, in UTC, "
            "or an integer position in the user's history. read_events makes it so; in pandas: "
            "pd.to_datetime(events['time'], utc=True).dt.tz_localize(None)"
        )


def _to_arrow(events: pd.DataFrame) -> nw.DataFrame[Any]:
    """Hand a pandas frame to pyarrow, which groups text faster and copies no numbers."""
    try:
        table = pa.Table.from_pandas(events, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(
            f"a column mixes types ({'; '.join(map(str, error.args))}): make it one type, "
            "for instance with .astype(str)"
        ) from error
    return nw.from_native(table, eager_only=True)


def encode_text(frame: Frame) -> Frame:
    """Put codes in the place of text in a pyarrow table, which groups text very slowly."""
    if not (isinstance(frame, nw.DataFrame) and frame.implementation.is_pyarrow()):
        return frame
    table: pa.Table = frame.to_arrow()
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            codes = table.column(i).combine_chunks().dictionary_encode().indices
            table = table.set_column(i, field.name, codes)
    encoded: Frame = nw.from_native(table, eager_only=True)
    return encoded


def require_columns(names: Iterable[str]) -> None:
    """Refuse a log without the required columns, and name the near ones that it has."""
    there = list(names)
    missing = [name for name in REQUIRED if name not in there]
    if missing:
        free = [name for name in there if name not in REQUIRED]
        raise ValueError(
            f"missing: {', '.join(f'column `{name}`{near(name, free)}' for name in missing)}. "
            f"The log has {', '.join(f'`{name}`' for name in there) or 'no column'}. "
            "Rename columns, or map them: read_events(path, columns={'user': '...'}). "
            "Where all events are of one behavior: read_events(path, behavior='view')"
        )


def near(name: str, others: Iterable[Any]) -> str:
    """Suggest the nearest of the other names."""
    lower = {str(other).lower(): str(other) for other in others}
    found = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    return f" (is it `{lower[found[0]]}`?)" if found else ""


def find_faults(frame: Frame, now: datetime) -> list[tuple[str, nw.Expr, str, str]]:
    """Return column, mask of the offending rows, fault and remedy of all that is refused."""
    schema = frame.collect_schema()
    faults = []
    for name in REQUIRED:
        missing = nw.col(name).is_null()
        if schema[name].is_float():
            missing |= nw.col(name).is_nan()
        faults.append((name, missing, f"the {name} is missing", "fill it in, or drop these events"))
    time = nw.col("time")
    if schema["time"].is_integer():
        remedy = "pass time_unit='s' (or 'ms', ...) to read_events; positions go 0, 1, ..."
        epoch = (time < 0) | (time >= EPOCH_LIKE)
        faults.append(("time", epoch, "a position in a history cannot be this number", remedy))
    else:
        remedy = "check the unit and the time zone of the times, or drop these events"
        faults.append(("time", time > now, f"the time is later than {now:%Y-%m-%d %H:%M}", remedy))
    remedy = "make returns a behavior of their own with a positive amount, or drop these events"
    faults += [
        (name, nw.col(name) < 0, "the amount is negative", remedy)
        for name in AMOUNTS
        if name in schema
    ]
    return faults


def one_row(frame: Frame, *sums: nw.Expr) -> dict[str, Any]:
    """Collect one row of sums."""
    return frame.lazy().select(*sums).collect().rows(named=True)[0]


def refuse(
    frame: Frame, column: str, mask: nw.Expr, count: int, fault: str, remedy: str
) -> NoReturn:
    """Raise the error that shows the first offending rows."""
    total = one_row(frame, nw.len().alias("n"))["n"]
    if isinstance(frame, nw.DataFrame):
        frame = frame.with_row_index("row")
    rows = pd.DataFrame(frame.lazy().filter(mask).head(SHOWN).collect().rows(named=True))
    raise ValueError(
        f"column `{column}`: {count:,} of {total:,} events: {fault}.\n"
        f"First offending rows:\n{rows.to_string(index=False)}\nRemedy: {remedy}."
    )

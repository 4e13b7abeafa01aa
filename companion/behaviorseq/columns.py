"""The columns of an event log as arrays, whichever dataframe library holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd

from behaviorseq.vocabulary import Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray

REQUIRED = ("user", "item", "time")
OPTIONAL = ("behavior", "value")


def read_columns(events: Any) -> dict[str, nw.Series[Any]]:
    """Read the columns that ``Sequences`` keeps.

    Parameters
    ----------
    events : dataframe
        An event log: pandas, Polars (lazy too), DuckDB, PyArrow or whatever Narwhals knows.

    Returns
    -------
    dict
        The required columns and those optional ones that are there, by name.

    Raises
    ------
    ValueError
        If a required column is not there, or an entry is missing (values may be).
    """
    frame = nw.from_native(events)
    there = frame.collect_schema().names()
    absent = [name for name in REQUIRED if name not in there]
    if absent:
        raise ValueError(f"the event log has no column {absent}; its columns are {there}")
    selected = frame.select([name for name in (*REQUIRED, *OPTIONAL) if name in there])
    eager = selected.collect() if isinstance(selected, nw.LazyFrame) else selected
    columns = {column.name: column for column in eager.iter_columns()}
    for name, column in columns.items():
        if name != "value":
            _refuse_missing(name, column.is_null().to_numpy())
    return columns


def encoded(
    column: nw.Series[Any], vocabulary: Vocabulary | None
) -> tuple[NDArray[np.int32], Vocabulary]:
    """Encode identifiers, with the given vocabulary or with one made of them.

    Returns
    -------
    codes : NDArray[int32]
        Shape (n_events,).
    vocabulary : Vocabulary
        The one given, or all identifiers of the column.
    """
    if vocabulary is not None:
        return vocabulary.encode(plain(column)), vocabulary
    try:
        codes, ids = factorized(column, sort=True)
        _refuse_missing(column.name, codes < 0)
        return codes.astype(np.int32), Vocabulary(np.asarray(ids))
    except TypeError as error:
        raise ValueError(f"column {column.name!r} cannot be sorted: {error}") from error


def read_times(column: nw.Series[Any]) -> NDArray[Any]:
    """Read times as datetime64, or positions as int64."""
    dtype = column.dtype
    if isinstance(dtype, nw.Datetime) and dtype.time_zone is not None:
        raise ValueError(
            f"column 'time' has the time zone {dtype.time_zone}; convert it to UTC and drop the "
            "zone (pandas: .dt.tz_convert(None))"
        )
    if dtype.is_integer():
        return column.to_numpy().astype(np.int64)
    if dtype == nw.Date:
        return column.to_numpy().astype("datetime64[s]")
    if dtype != nw.Datetime:
        raise ValueError(
            f"column 'time' must hold datetimes or integer positions, not {dtype}; "
            "read_events parses text and epoch numbers"
        )
    return column.to_numpy()


def read_behaviors(
    column: nw.Series[Any] | None,
) -> tuple[NDArray[np.int8] | None, tuple[str, ...]]:
    """Encode behaviors, and name them in alphabetical order."""
    if column is None:
        return None, ()
    codes, names = factorized(column, sort=True)
    if len(names) > np.iinfo(np.int8).max:
        raise ValueError(f"column 'behavior' has {len(names)} different values, 127 at most")
    return codes.astype(np.int8), tuple(str(name) for name in names)


def read_values(column: nw.Series[Any] | None) -> NDArray[np.float32] | None:
    """Read values as float32, NaN where one is missing."""
    if column is None:
        return None
    if not column.dtype.is_numeric():
        raise ValueError(f"column 'value' must hold numbers, not {column.dtype}")
    return column.cast(nw.Float32()).to_numpy().astype(np.float32, copy=False)


def factorized(column: nw.Series[Any], *, sort: bool = False) -> tuple[NDArray[Any], Any]:
    """Give each different entry of a column a number from 0, and a missing one -1.

    Entries of a category are numbered by their categories, without a look at the text of each.

    Returns
    -------
    codes : NDArray of integers
        Shape (n,).
    entries : sequence
        The different entries; sorted if asked for, in any order otherwise.
    """
    if column.dtype not in (nw.Categorical, nw.Enum):
        codes, entries = pd.factorize(plain(column), sort=sort)
        return codes, entries
    if column.implementation.is_polars():
        different = column.drop_nulls().unique()
        numbers, kinds = category_numbers(column), plain(different)
        known = category_numbers(different)
        place = np.full(int(known.max(initial=-1)) + 2, -1)  # the last for -1, a missing entry
        place[known] = np.arange(len(known))
        numbers = place[numbers]
    else:
        numbers, categories = pd.factorize(column.to_pandas())
        kinds = categories.astype(categories.categories.dtype)
    codes, entries = pd.factorize(kinds, sort=sort)
    return np.append(codes, -1)[numbers], entries


def group_numbers(column: nw.Series[Any]) -> NDArray[Any]:
    """Give equal entries of a column equal numbers of 0 or more, not all in use; -1 if missing."""
    if column.implementation.is_polars() and column.dtype in (nw.Categorical, nw.Enum):
        return category_numbers(column)
    return factorized(column)[0]


def category_numbers(column: nw.Series[Any]) -> NDArray[Any]:
    """Give the numbers that Polars has for the categories of a column; -1 for a missing one."""
    numbers: nw.Series[Any] = nw.from_native(column.to_native().to_physical(), series_only=True)
    return numbers.cast(nw.Int64()).fill_null(-1).to_numpy()


def plain(column: nw.Series[Any]) -> Any:
    """Give numbers as a numpy array, anything else as a pandas series without categories."""
    if column.dtype.is_numeric():
        return column.to_numpy()
    values = column.to_pandas()
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.astype(values.cat.categories.dtype)
    return values


def _refuse_missing(name: str, missing: NDArray[np.bool_]) -> None:
    if missing.any():
        first = np.flatnonzero(missing)[:5].tolist()
        raise ValueError(
            f"column {name!r}: {int(missing.sum())} missing values, first in rows {first}; "
            "drop or repair them first"
        )

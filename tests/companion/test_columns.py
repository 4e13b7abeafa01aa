"""The same columns from every dataframe library; what cannot be read is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviorseq import Sequences
from behaviorseq.columns import (
    encoded,
    factorized,
    read_behaviors,
    read_columns,
    read_times,
    read_values,
)

LOG = pd.DataFrame(
    {
        "user": [7, 3, 7, 7, 3],
        "item": ["b", "a", "a", "ç", "a"],
        "time": pd.Timestamp("2024-01-01") + pd.to_timedelta([49, 24, 12.5, 96, 49], unit="h"),
        "behavior": ["view", "cart", "view", "buy", "cart"],
        "value": [1.5, np.nan, 0.0, 2.0, 4.0],
        "other": 1,
    }
)
ENGINES: list[Callable[[pd.DataFrame], Any]] = [
    lambda frame: frame,
    lambda frame: frame.convert_dtypes(),
    lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    lambda frame: frame.astype({"item": "category", "behavior": "category", "user": "category"}),
    lambda frame: frame.astype({"item": object, "behavior": object, "time": "datetime64[ns]"}),
    pl.from_pandas,
    lambda frame: pl.from_pandas(frame).lazy(),
    lambda frame: pl.from_pandas(frame).cast({"item": pl.Categorical, "behavior": pl.Categorical}),
    lambda frame: pl.from_pandas(frame).cast(
        {"item": pl.Enum(["ç", "a", "z", "b"]), "behavior": pl.Enum(["view", "buy", "cart"])}
    ),
    lambda frame: pa.Table.from_pandas(frame),
    duckdb.from_df,
]


@given(
    entries=st.lists(st.sampled_from(["b", "a", "ç", None]), max_size=12),
    start=st.integers(0, 3),
    sort=st.booleans(),
)
def test_entries_are_numbered_as_pandas_does(
    entries: list[str | None], start: int, sort: bool
) -> None:
    text = pd.Series(entries, dtype="str")
    expected = [None if c < 0 else text.dropna().unique()[c] for c in pd.factorize(text)[0]]
    made = pl.Series(["unused", *entries], dtype=pl.Categorical)[1:]
    enum = pl.Series(entries, dtype=pl.Enum(["z", "ç", "b", "a"]))
    for column in (text, text.astype("category"), pl.Series(entries, dtype=pl.String), made, enum):
        codes, kinds = factorized(nw.from_native(column, series_only=True)[start:], sort=sort)
        assert [None if c < 0 else kinds[c] for c in codes] == expected[start:]
        assert len(set(kinds)) == len(kinds) == len(set(codes) - {-1})
        assert not sort or list(kinds) == sorted(kinds)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_gives_the_same(engine: Callable[[pd.DataFrame], Any]) -> None:
    columns = read_columns(engine(LOG))
    assert list(columns) == ["user", "item", "time", "behavior", "value"]
    users, user_ids = encoded(columns["user"], None)
    items, item_ids = encoded(columns["item"], None)
    behaviors, names = read_behaviors(columns["behavior"])
    values = read_values(columns["value"])
    assert users.tolist() == [1, 0, 1, 1, 0]
    assert user_ids.ids.tolist() == [3, 7]
    assert items.tolist() == [1, 0, 0, 2, 0]
    assert item_ids.ids.tolist() == ["a", "b", "ç"]
    assert encoded(columns["item"], item_ids)[0].tolist() == items.tolist()
    assert (read_times(columns["time"]) == LOG["time"].to_numpy()).all()
    assert behaviors is not None
    assert [names[b] for b in behaviors] == LOG["behavior"].tolist()
    assert names == ("buy", "cart", "view")
    assert values is not None
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, LOG["value"].to_numpy(dtype=np.float32))


def test_optional_columns_may_be_absent() -> None:
    assert list(read_columns(LOG[["user", "item", "time"]])) == ["user", "item", "time"]
    assert read_behaviors(None) == (None, ())
    assert read_values(None) is None


@pytest.mark.parametrize(
    "times",
    [
        pd.Series([2, 0, 1], dtype="int32"),
        pd.Series([2, 0, 1], dtype="uint16"),
        pd.Series([2, 0, 1], dtype="Int64"),
    ],
)
def test_positions_become_int64(times: pd.Series) -> None:
    log = pd.DataFrame({"user": 1, "item": [5, 6, 7], "time": times})
    read = read_times(read_columns(log)["time"])
    assert read.dtype == np.int64
    assert read.tolist() == [2, 0, 1]


def test_days_become_datetimes() -> None:
    log = pl.DataFrame({"user": 1, "item": 2, "time": ["2024-01-31"]})
    read = read_times(read_columns(log.with_columns(pl.col("time").str.to_date()))["time"])
    assert read.tolist() == [pd.Timestamp("2024-01-31").to_pydatetime()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user": [None, 1, 1, 1, None]}, r"column 'user': 2 missing values.*rows \[0, 4\]"),
        ({"item": ["a", None, "b", "c", "d"]}, r"column 'item': 1 missing values.*rows \[1\]"),
        ({"time": LOG["time"].where(LOG["value"] > 1)}, r"'time': 2 missing values.*\[1, 2\]"),
        ({"behavior": [None, "a", "a", "a", "a"]}, r"column 'behavior': 1 missing.*\[0\]"),
        ({"time": "yesterday"}, "must hold datetimes or integer positions, not String"),
        ({"time": 1.7e9}, "must hold datetimes or integer positions, not Float64"),
        ({"time": LOG["time"].dt.tz_localize("Asia/Tokyo")}, "time zone Asia/Tokyo"),
        ({"value": "cheap"}, "column 'value' must hold numbers, not String"),
    ],
)
@pytest.mark.parametrize("engine", [lambda frame: frame, pl.from_pandas])
def test_what_cannot_be_read_is_named(
    change: dict[str, Any], message: str, engine: Callable[[pd.DataFrame], Any]
) -> None:
    with pytest.raises(ValueError, match=message):
        Sequences.from_events(engine(LOG.assign(**change)))


def test_ids_of_two_types_are_refused() -> None:
    with pytest.raises(ValueError, match=r"column 'item' cannot be sorted: .*str.*int"):
        Sequences.from_events(LOG.assign(item=["a", 1, "b", 2, "c"]))


def test_missing_floats_are_found_where_they_are_not_null() -> None:
    log = pl.DataFrame({"user": [1.0, float("nan")], "item": [1, 2], "time": [0, 0]})
    with pytest.raises(ValueError, match=r"column 'user': 1 missing values, first in rows \[1\]"):
        Sequences.from_events(log)


def test_absent_columns_are_named() -> None:
    with pytest.raises(ValueError, match=r"no column \['user', 'time'\]; its columns are \['item'"):
        read_columns(LOG[["item", "value"]])


def test_too_many_behaviors_are_refused() -> None:
    log = pd.DataFrame({"user": 1, "item": 1, "time": range(128), "behavior": range(128)})
    with pytest.raises(ValueError, match="128 different values, 127 at most"):
        Sequences.from_events(log)

"""All engines give the same, on random logs with missing entries, ties, copies, single events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviorseq import prepare

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = "2024-06-01"
USERS = ["ann", "Ann", " ann", "bob", "cy", None]
ITEMS = ["7", "7.0", "A1", "a1", "B2 ", "", None]
BEHAVIORS = ["view", "view", "cart", None]
START = pd.Timestamp("2024-05-01")


def make_log(seed: int, n: int) -> pd.DataFrame:
    """Make a log in which all that differs between engines occurs often."""
    rng = np.random.default_rng(seed)
    pick = lambda options: [options[i] for i in rng.integers(len(options), size=n)]  # noqa: E731
    seconds = rng.integers(0, 5, size=n) * rng.choice([1, 700, 86_400], size=n)
    times = pd.Series(START + pd.to_timedelta(seconds, unit="s")).astype("datetime64[us]")
    times[rng.random(n) < 0.1] = pd.NaT
    times[rng.random(n) < 0.1] = pd.Timestamp("1970-01-03")
    times[rng.random(n) < 0.1] = pd.Timestamp("2124-01-03")
    value = np.where(rng.random(n) < 0.3, np.nan, rng.choice([-1.0, 0, 2, 3, 900], size=n))
    return pd.DataFrame(
        {
            "user": pd.Series(pick(USERS), dtype="str"),
            "item": pd.Series(pick(ITEMS), dtype="str"),
            "time": times,
            "behavior": pd.Series(pick(BEHAVIORS), dtype="str"),
            "value": value,
        }
    )


def tidy_log(seed: int, n: int) -> pd.DataFrame:
    """Make the same without missing users, items, times and behaviors, and times far off."""
    log = make_log(seed, n).dropna(subset=["user", "item", "time", "behavior"])
    return log[log["time"].dt.year == 2024].reset_index(drop=True)


EVENTS = tidy_log(0, 60)
STEPS: dict[str, Any] = {
    "ids": {},
    "clock": {"now": NOW},
    "outliers": {"by": {"value": "behavior"}, "least_events": 3},
    "missing": {"rules": {"value": ("median", "item")}},
    "duplicates": {"within": "700s"},
    "robots": {"least_events": 3, "signs": 2, "one_behavior": 0.9, "regular": 0.5},
}
FILLS: dict[str, Any] = {
    "median": {"value": "median"},
    "frequent": {"value": ("most frequent", "user"), "behavior": "most frequent"},
    "model": {"value": "model", "behavior": "model"},
    "constant": {"value": 0.5, "behavior": ("constant", "view")},
    "leave": {"value": "leave", "user": "leave", "time": "leave", "behavior": "leave"},
}
CLEANING: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "clean": lambda e: prepare.clean(e, STEPS),
    **{
        f"fill {name}": (lambda e, rules=rules: prepare.fill_missing(e, rules=rules))
        for name, rules in FILLS.items()
    },
    "keep_frequent": lambda e: prepare.keep_frequent(e, user=2, item=3),
}


def series(events: Any) -> Any:
    """Make series with gaps on a grid."""
    return prepare.resample(events, "6h", how="mean")


def scaled(events: Any) -> Any:
    for method in ("min-max", "z-score", "rank"):
        scale = prepare.fit_scaler(events, "value", method, n_edges=4)
        events = scale.apply(events, name=method)
    return events


def coded(events: Any) -> Any:
    codes = prepare.fit_codes(prepare.split_by_time(events, **MOMENTS).train, "item")
    return codes.apply(events, unknown=-1)


def can_be_split(log: pd.DataFrame) -> bool:
    """Tell whether the moments of a split lie apart, after the first event."""
    times = log["time"].sort_values().to_numpy()
    apart = len(set(times[[0, int(0.4 * len(log)), int(0.7 * len(log))]])) == 3
    return apart and log["time"].nunique() > 6


MOMENTS: dict[str, Any] = {"validation_start": 0.4, "test_start": 0.7}
GRID = {"column": "mean", "time": "window"}
OTHERS: dict[str, Callable[[Any], Any]] = {
    "sessionise": lambda e: prepare.sessionise(e, "600s"),
    "robot_signs": prepare.robot_signs,
    "fit_codes": coded,
    "one_hot": prepare.one_hot,
    "add_windows": lambda e: prepare.add_windows(e, "90min", start="2024-05-02 00:10"),
    "fit_scaler": scaled,
    "resample": lambda e: prepare.resample(e, "6h"),
    "resample sum": lambda e: prepare.resample(e, "6h", how="sum", by="item"),
    "fill_forward": lambda e: prepare.fill_forward(series(e), **GRID),
    "fill_forward 2": lambda e: prepare.fill_forward(series(e), **GRID, limit=2),
    "interpolate": lambda e: prepare.interpolate(series(e), **GRID),
    "interpolate spline": lambda e: prepare.interpolate(series(e), **GRID, method="spline"),
    "split train": lambda e: prepare.split_by_time(e, **MOMENTS).train,
    "split test": lambda e: prepare.split_by_time(e, **MOMENTS).test,
}
logs = st.builds(make_log, st.integers(0, 2**32), st.integers(1, 30))
tidy_logs = st.builds(tidy_log, st.integers(0, 2**32), st.integers(30, 60)).filter(
    lambda log: can_be_split(log) and log["value"].notna().any()
)


def kind(frame: Any) -> Any:
    wrapped = nw.from_native(frame)
    return wrapped.implementation, type(wrapped)


@pytest.mark.parametrize("name", CLEANING)
@settings(max_examples=5)
@given(log=logs)
def test_cleaning_is_the_same(name: str, engines: Any, rows: Any, log: pd.DataFrame) -> None:
    expected, report = CLEANING[name](log)
    assert list(expected) == list(log)
    assert len(expected) == report.n_kept == len(log) - report.count(action="dropped")
    for engine, make in engines.items():
        cleaned, again = CLEANING[name](given := make(log))
        assert kind(cleaned) == kind(given)
        assert rows(cleaned) == rows(expected), engine
        assert again == report, engine


@pytest.mark.parametrize("name", OTHERS)
@settings(max_examples=5)
@given(log=tidy_logs)
def test_the_rest_is_the_same(name: str, engines: Any, rows: Any, log: pd.DataFrame) -> None:
    expected = rows(OTHERS[name](log))
    for engine, make in engines.items():
        made = OTHERS[name](given := make(log))
        assert kind(made) == kind(given)
        assert rows(made) == expected, engine


@pytest.mark.parametrize("name", CLEANING)
def test_cleaning_is_the_same_on_spark(name: str, on_spark: Any, rows: Any) -> None:
    log = make_log(1, 40)
    expected, report = CLEANING[name](log)
    cleaned, again = CLEANING[name](on_spark(log))
    assert kind(cleaned) == kind(on_spark(log))
    assert again == report
    assert rows(cleaned) == rows(expected)


@pytest.mark.parametrize("name", OTHERS)
def test_the_rest_is_the_same_on_spark(name: str, on_spark: Any, rows: Any) -> None:
    made = OTHERS[name](on_spark(EVENTS))
    assert kind(made) == kind(on_spark(EVENTS))
    assert rows(made) == rows(OTHERS[name](EVENTS))


POSITIONS = EVENTS.assign(time=np.arange(len(EVENTS))[::-1] // 2)
IN_ORDER = {"ids": {}, "outliers": {"by": {"value": "behavior"}}, "duplicates": {"within": 9}}
OF_POSITIONS: dict[str, Callable[[Any], Any]] = {
    "clean": lambda e: prepare.clean(e, IN_ORDER)[0],
    "sessionise": lambda e: prepare.sessionise(e, 3),
    "add_windows": lambda e: prepare.add_windows(e, 5, start=-3),
    "resample": lambda e: prepare.resample(e, 5),
}


@pytest.mark.parametrize("name", OF_POSITIONS)
def test_positions_in_the_place_of_times(name: str, engines: Any, rows: Any) -> None:
    expected = rows(OF_POSITIONS[name](POSITIONS))
    for engine, make in engines.items():
        assert rows(OF_POSITIONS[name](make(POSITIONS))) == expected, engine


OF_PANDAS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "categories": lambda log: log.astype(dict.fromkeys(("user", "item", "behavior"), "category")),
    "objects": lambda log: log.astype(dict.fromkeys(("user", "item", "behavior"), object)),
    "nullable": lambda log: log.convert_dtypes(),
    "arrow": lambda log: pa.Table.from_pandas(log, preserve_index=False).to_pandas(
        types_mapper=pd.ArrowDtype
    ),
}


@pytest.mark.parametrize("log", [EVENTS, POSITIONS, make_log(1, 40), EVENTS[:1]])
@pytest.mark.parametrize("types", OF_PANDAS)
def test_other_types_of_pandas(types: str, rows: Any, log: pd.DataFrame) -> None:
    steps = {"missing": {"rules": {"value": ("median", "item")}}} | IN_ORDER
    if log["time"].dtype.kind == "M":
        steps |= {name: STEPS[name] for name in ("clock", "robots", "duplicates")}
    expected, report = prepare.clean(log, steps)
    cleaned, again = prepare.clean(OF_PANDAS[types](log), steps)
    assert again == report
    assert rows(cleaned) == rows(expected)


#: Spaces of other scripts, digits that are not 0 to 9, letters with marks.
SPELLINGS = ["\u00a0x", "x\u2003", "\tx\n", "É", "é ", "1.0", "\u0661.0", "1.0.0", "00.0", "nan"]


@pytest.mark.parametrize("case", [True, False])
def test_spellings_of_other_scripts(case: bool, engines: Any, rows: Any) -> None:
    log = EVENTS[: len(SPELLINGS)].assign(user=pd.Series(SPELLINGS, dtype="str"))
    expected, report = prepare.unify_ids(log, case=case)
    assert expected["user"].tolist()[:3] == ["x", "x", "x"]
    for engine, make in engines.items():
        unified, again = prepare.unify_ids(make(log), case=case)
        assert again == report, engine
        assert rows(unified) == rows(expected), engine


def test_spellings_of_other_scripts_on_spark(on_spark: Any, rows: Any) -> None:
    log = EVENTS[: len(SPELLINGS)].assign(user=pd.Series(SPELLINGS, dtype="str"))
    assert rows(prepare.unify_ids(on_spark(log))[0]) == rows(prepare.unify_ids(log)[0])


def test_a_truth_value_is_no_text(engines: Any) -> None:
    for make in engines.values():
        log = make(EVENTS.assign(user=np.arange(len(EVENTS)) % 2 == 0))
        unified = nw.from_native(prepare.unify_ids(log)[0]).lazy().collect()
        assert unified["user"].dtype == nw.Boolean


def test_an_empty_log_has_no_column_of_0_and_1(engines: Any, rows: Any) -> None:
    for make in engines.values():
        assert rows(prepare.one_hot(make(EVENTS[:0]))) == []


def test_names_that_differ_in_case_alone(engines: Any, rows: Any) -> None:
    """SQL takes them for one: ours must be different from those of the log."""
    log = EVENTS.assign(_WHY=1, _Before=2, _N=3)
    expected = rows(prepare.clean(log, STEPS)[0])
    for make in engines.values():
        assert rows(prepare.clean(make(log), STEPS)[0]) == expected


def test_times_of_spark_without_a_zone_are_refused(on_spark: Any) -> None:
    """Spark makes such times of the Parquet files that pandas writes."""
    log = on_spark(EVENTS)
    local = log.withColumn("time", log["time"].cast("timestamp_ntz"))
    for step in ("clock", "robots"):
        with pytest.raises(ValueError, match="`time` has Spark's type timestamp_ntz"):
            prepare.clean(local, [step])
    with pytest.raises(ValueError, match="inferTimestampNTZ"):
        prepare.add_windows(local, "1D")


def test_duckdb_keeps_one_copy_of_the_log() -> None:
    connection = duckdb.connect()
    log = tidy_log(3, 60)
    relation = connection.from_arrow(pa.Table.from_pandas(log, preserve_index=False))
    cleaned, report = prepare.clean(relation, STEPS)
    query = "SELECT estimated_size FROM duckdb_tables() WHERE table_name LIKE 'behaviorseq_%'"
    sizes = [size for (size,) in connection.sql(query).fetchall()]
    assert sizes.count(len(log)) == 1
    assert len(cleaned) == report.n_kept


def test_rows_keep_their_order(engines: Any) -> None:
    log = tidy_log(3, 60).assign(page=lambda log: range(len(log)))
    steps = {name: STEPS[name] for name in ("ids", "outliers", "missing")}
    expected = prepare.clean(log, steps)[0]["page"].tolist()
    assert expected == sorted(expected)
    assert prepare.clean(pl.from_pandas(log), steps)[0]["page"].to_list() == expected

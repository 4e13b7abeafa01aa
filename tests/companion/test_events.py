"""The event-log contract: the same checks and counts on every engine, and reading from files."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta, timezone
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

from behaviorseq.events import BEHAVIORS, EventReport, read_events, validate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _duckdb(log: pd.DataFrame) -> duckdb.DuckDBPyRelation:
    table = pa.Table.from_pandas(log, preserve_index=False)
    return duckdb.connect().from_arrow(table)


ENGINES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda log: log,
    "pandas, odd index": lambda log: log.set_axis(np.arange(len(log))[::-1] * 7),
    "polars": pl.from_pandas,
    "polars lazy": lambda log: pl.from_pandas(log).lazy(),
    "duckdb": _duckdb,
    "pyarrow": lambda log: pa.Table.from_pandas(log, preserve_index=False),
}
engines = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES.keys())


def make_log(**changes: Any) -> pd.DataFrame:
    log = pd.DataFrame(
        {
            "user": ["ann", "ann", "ann", "bob", "bob", "cy"],
            "item": [1, 1, 2, 1, 3, 2],
            "time": pd.to_datetime(
                ["2024-05-01", "2024-05-01", "2024-05-01", "2024-05-02", "2024-05-03", "2024-05-04"]
            ),
            "behavior": ["view", "view", "cart", "view", "purchase", "view"],
            "value": [0.0, 0.0, 1.0, 0.0, 4.5, np.nan],
        }
    )
    return log.assign(**changes)


@engines
def test_report_counts_what_is_no_fault(engine: Callable[[pd.DataFrame], Any]) -> None:
    assert validate(engine(make_log())) == EventReport(
        n_events=6,
        n_users=3,
        n_items=3,
        first=pd.Timestamp("2024-05-01"),
        last=pd.Timestamp("2024-05-04"),
        behaviors={"view": 4, "cart": 1, "purchase": 1},
        duplicates=1,
        single_event_users=1,
        tied_events=3,
    )


@engines
def test_positions_are_times_too(engine: Callable[[pd.DataFrame], Any]) -> None:
    report = validate(engine(make_log(time=[0, 1, 2, 0, 1, 0])))
    assert (report.first, report.last, report.tied_events, report.duplicates) == (0, 2, 0, 0)


def test_report_prints_readably() -> None:
    assert str(validate(make_log())).splitlines() == [
        "6 events of 3 users with 3 items",
        "from 2024-05-01 00:00:00 to 2024-05-04 00:00:00",
        "behaviors: view 4, cart 1, purchase 1",
        "duplicated events: 1",
        "users with a single event: 1",
        "events that share their time with another of the same user: 3 (50.0%)",
    ]


events = st.tuples(
    st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 3), st.sampled_from(BEHAVIORS)
)


@settings(max_examples=25)
@given(st.lists(events, min_size=1, max_size=12))
def test_engines_count_as_python_does(rows: list[tuple[str, str, int, str]]) -> None:
    log = pd.DataFrame(rows, columns=["user", "item", "time", "behavior"])
    moments = [(user, time) for user, _, time, _ in rows]
    users = [user for user, *_ in rows]
    for engine in ENGINES.values():
        report = validate(engine(log))
        assert report.duplicates == len(rows) - len(set(rows))
        assert report.tied_events == sum(moments.count(moment) > 1 for moment in moments)
        assert report.single_event_users == sum(users.count(user) == 1 for user in set(users))
        assert report.n_users == len(set(users))
        assert report.n_items == len({item for _, item, *_ in rows})
        assert sum(report.behaviors.values()) == len(rows)


FAULTS = {
    "missing user": ({"user": ["ann", None, "ann", "bob", "bob", "cy"]}, "user", "missing", 1),
    "missing item": ({"item": [1, np.nan, 2, np.nan, 3, 2]}, "item", "missing", 2),
    "missing time": ({"time": pd.to_datetime(["2024-05-01"] * 5 + [None])}, "time", "missing", 1),
    "missing behavior": ({"behavior": ["view"] * 5 + [None]}, "behavior", "missing", 1),
    "future time": (
        {"time": pd.to_datetime(["2024-05-01"] * 5 + ["2999-01-01"])},
        "time",
        "later",
        1,
    ),
    "unknown behavior": ({"behavior": ["vieww"] * 2 + ["view"] * 4}, "behavior", "is it `view`", 2),
    "negative value": ({"value": [0, 0, -1.0, 0, -2, 0]}, "value", "negative", 2),
    "negative price": ({"price": [9, 9, 9, 9, 9, -9]}, "price", "negative", 1),
    "epoch as position": ({"time": [0, 1, 2, 0, 1, 1714521600]}, "time", "time_unit", 1),
    "negative position": ({"time": [0, 1, 2, 0, 1, -1]}, "time", "position", 1),
}


@engines
@pytest.mark.parametrize(("change", "column", "words", "count"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_names_column_count_rows_and_remedy(
    engine: Callable[[pd.DataFrame], Any],
    change: dict[str, Any],
    column: str,
    words: str,
    count: int,
) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        validate(engine(make_log(**change)))
    message = str(caught.value)
    assert message.startswith(f"column `{column}`: {count} of 6 events: ")
    shown = message.partition("First offending rows:\n")[2].partition("\nRemedy: ")
    assert len(shown[0].splitlines()) == 1 + count
    assert len(shown[2]) > 20


def test_offending_rows_are_numbered_and_few() -> None:
    log = make_log(value=-1.0)
    with pytest.raises(ValueError, match="6 of 6") as caught:
        validate(log.set_axis(list("uvwxyz")))
    rows = str(caught.value).partition("rows:\n")[2].partition("\nRemedy")[0].splitlines()
    assert [line.split()[0] for line in rows] == ["row", "0", "1", "2", "3", "4"]


@engines
@pytest.mark.parametrize(
    ("names", "hint"),
    [
        ({"user": "user_id"}, "column `user` (is it `user_id`?)"),
        ({"time": "Timestamp"}, "column `time` (is it `Timestamp`?)"),
        ({"item": "zzz"}, "column `item`. The log has"),
        ({"user": "usr", "behavior": "behaviour"}, "column `behavior` (is it `behaviour`?)"),
    ],
)
def test_missing_column_gets_a_near_name(
    engine: Callable[[pd.DataFrame], Any], names: dict[str, str], hint: str
) -> None:
    with pytest.raises(ValueError, match="Rename columns") as caught:
        validate(engine(make_log().rename(columns=names)))
    assert hint in str(caught.value)


@engines
def test_empty_log_is_refused(engine: Callable[[pd.DataFrame], Any]) -> None:
    with pytest.raises(ValueError, match="the event log is empty"):
        validate(engine(make_log().astype({"user": "str", "behavior": "str"}).head(0)))


@engines
def test_now_is_what_the_reader_says(engine: Callable[[pd.DataFrame], Any]) -> None:
    log = engine(make_log())
    noon = datetime(2024, 5, 4, 12, tzinfo=timezone(timedelta(hours=2)))  # 10:00 UTC
    validate(log, now=noon)
    with pytest.raises(ValueError, match="later than 2024-05-03 22:00"):
        validate(log, now=datetime(2024, 5, 4, 0, tzinfo=timezone(timedelta(hours=2))))
    with pytest.raises(ValueError, match="1 of 6 events"):
        validate(log, now=datetime(2024, 5, 3))  # noqa: DTZ001 - without zone it is UTC


def test_own_vocabulary() -> None:
    log = make_log(behavior="pv")
    assert validate(log, behaviors=("pv", "buy")).behaviors == {"pv": 6}
    with pytest.raises(ValueError, match=r"unknown behavior `pv`\."):
        validate(log)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"time": "2024-05-01"}, "column `time` has type String"),
        ({"time": 0.5}, "column `time` has type Float64"),
        ({"time": pd.Timestamp("2024-05-01", tz="UTC")}, "without time zone"),
        ({"value": "much"}, "column `value` has type String: it has to be a number"),
        ({"item": [1, "two", 3, 4, 5, 6]}, "mixes types"),
    ],
)
def test_wrong_types_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        validate(make_log(**change))


def test_of_a_lazy_log_only_sums_and_offenders_are_collected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    collected: list[int] = []
    collect = nw.LazyFrame.collect

    def spy(self: Any, *args: Any, **options: Any) -> Any:
        frame = collect(self, *args, **options)
        collected.append(len(frame))
        return frame

    monkeypatch.setattr(nw.LazyFrame, "collect", spy)
    log = pd.concat([make_log()] * 500)
    for engine in ("duckdb", "polars lazy"):
        validate(ENGINES[engine](log))
        with pytest.raises(ValueError, match="2,000 of 3,000"):
            validate(ENGINES[engine](log.assign(value=log["item"] % 2 * -1.0)))
    assert len(collected) > 10
    assert max(collected) <= 5


def test_categories_are_text() -> None:
    log = make_log().astype({"user": "category", "behavior": "category"})
    assert validate(log) == validate(make_log())


# --- reading ---------------------------------------------------------------------------------


def write(path: Path, log: pd.DataFrame) -> Path:
    kind = path.name.partition(".")[2].removesuffix(".gz")
    if kind == "csv":
        log.to_csv(path, index=False)
    elif kind == "parquet":
        log.to_parquet(path)
    else:
        log.to_json(path, orient="records", lines=True, date_format="iso")
    return path


@pytest.mark.parametrize(
    "name", ["log.csv", "log.csv.gz", "log.parquet", "log.jsonl", "log.ndjson", "log.jsonl.gz"]
)
def test_read_what_was_written(name: str, tmp_path: Path) -> None:
    log = make_log(note=list("abcdef"))
    read = read_events(write(tmp_path / name, log[["note", *log.columns[:-1]]]))
    assert list(read) == ["user", "item", "time", "behavior", "note", "value"]
    pd.testing.assert_frame_equal(read[list(log)], log, check_dtype=False)
    assert read["time"].dtype.kind == "M"


def test_columns_are_mapped_and_the_others_kept(tmp_path: Path) -> None:
    theirs = {"user": "customer", "item": "sku", "time": "at", "price": "paid"}
    log = make_log(price=2.0).rename(columns=theirs).drop(columns="behavior")
    read = read_events(write(tmp_path / "log.csv", log), columns=theirs, behavior="purchase")
    assert list(read) == ["user", "item", "time", "behavior", "value", "price"]
    assert set(read["behavior"]) == {"purchase"}


def test_names_swapped_by_the_mapping(tmp_path: Path) -> None:
    path = write(
        tmp_path / "log.csv", make_log().rename(columns={"item": "value", "value": "item"})
    )
    read = read_events(path, columns={"item": "value", "value": "item"})
    assert read["item"].tolist() == make_log()["item"].tolist()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": {"user": "usr"}}, "no column `usr` (is it `user`?)"),
        ({"columns": {"item": "value"}}, "a column `item` of its own"),
        ({"behavior": "view"}, "leave out the argument `behavior`"),
    ],
)
def test_mapping_that_does_not_fit(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", make_log())
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words are compared below
        read_events(path, **options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]
)
def test_epoch_numbers(unit: Any, factor: int, tmp_path: Path) -> None:
    log = make_log(time=[(1714521600 + i) * factor for i in range(6)])
    read = read_events(write(tmp_path / "log.csv", log), time_unit=unit)
    assert read["time"].iloc[0] == pd.Timestamp("2024-05-01")
    assert read["time"].diff().iloc[1] == pd.Timedelta(seconds=1)


def test_epoch_without_unit_is_refused_and_positions_stay(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pass time_unit='s'"):
        read_events(write(tmp_path / "log.csv", make_log(time=1714521600)))
    read = read_events(write(tmp_path / "log.csv", make_log(time=range(6))))
    assert read["time"].tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="numbers with a fraction, or gaps"):
        read_events(write(tmp_path / "log.csv", make_log(time=[0.5, 1, 2, 3, 4, 5])))


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_zones_become_utc(name: str, tmp_path: Path) -> None:
    there = pd.Series(pd.date_range("2024-03-30 12:00", periods=6, tz="Europe/Paris"))
    read = read_events(write(tmp_path / name, make_log(time=there)))
    assert read["time"].dt.tz is None
    assert read["time"].dt.hour.tolist() == [11, 10, 10, 10, 10, 10]  # summer time on the 31st


def test_one_file_with_several_zones(tmp_path: Path) -> None:
    at = ["2024-05-01T12:00:00+02:00", "2024-05-01T10:00:00Z", "2024-05-01 10:00", "20240501"]
    read = read_events(write(tmp_path / "log.csv", make_log().head(4).assign(time=at)))
    assert read["time"].dt.hour.tolist() == [10, 10, 10, 0]


def test_unparsable_times_are_shown(tmp_path: Path) -> None:
    at = ["2024-05-01", "yesterday", "2024-05-03", "31/12/2023", "2024-05-05", "2024-05-06"]
    path = write(tmp_path / "log.csv", make_log(time=at))
    with pytest.raises(ValueError, match="column `time`: 2 of 6 times cannot be read") as caught:
        read_events(path)
    message = str(caught.value)
    shown = [line.split() for line in message.splitlines()[3:5]]
    assert shown == [
        ["1", "ann", "1", "yesterday", "view"],
        ["3", "bob", "1", "31/12/2023", "view"],
    ]
    assert "time_format=" in message
    with pytest.raises(ValueError, match="6 of 6 times cannot be read"):
        read_events(path, time_unit="s")


def test_a_time_of_another_notation_needs_its_format(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", make_log(time="03/04/2024 10:00"))
    with pytest.raises(ValueError, match="cannot be read"):
        read_events(path)
    read = read_events(path, time_format="%d/%m/%Y %H:%M")
    assert read["time"].iloc[0] == pd.Timestamp("2024-04-03 10:00")


def test_a_missing_time_is_not_an_unparsable_one(tmp_path: Path) -> None:
    log = make_log(
        time=["2024-05-01", None, "2024-05-03", "2024-05-04", "2024-05-05", "2024-05-06"]
    )
    with pytest.raises(ValueError, match="1 of 6 events: the time is missing"):
        read_events(write(tmp_path / "log.csv", log))


def test_identifiers_keep_what_they_say(tmp_path: Path) -> None:
    log = make_log(user=["007", "7", "8", "9", "10", "11"], item=[3, 1, 4, 1, 5, 9])
    read = read_events(write(tmp_path / "log.csv", log))
    assert read["user"].tolist() == ["007", "7", "8", "9", "10", "11"]
    assert read["item"].tolist() == [3, 1, 4, 1, 5, 9]
    mixed = read_events(write(tmp_path / "log.csv", make_log(item=["85123A", *range(5)])))
    assert mixed["item"].tolist() == ["85123A", "0", "1", "2", "3", "4"]


def test_faults_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("user,item,time,behavior\n")
    for name in ("empty.csv", "header.csv"):
        with pytest.raises(ValueError, match="the event log is empty"):
            read_events(tmp_path / name)
    with pytest.raises(ValueError, match=r"has to end in .csv, .parquet, .jsonl or .ndjson"):
        read_events(tmp_path / "log.xlsx")
    late = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=2)
    write(tmp_path / "late.csv", make_log(time=[late, *make_log()["time"][1:]]))
    write(tmp_path / "anonymous.csv", make_log(user=["ann", None, None, "bob", "bob", "cy"]))
    with pytest.raises(ValueError, match="2 of 6 events: the user is missing"):
        read_events(tmp_path / "anonymous.csv")
    with pytest.raises(ValueError, match="1 of 6 events: the time is later"):
        read_events(tmp_path / "late.csv")


def test_a_truncated_archive_is_an_error(tmp_path: Path) -> None:
    packed = gzip.compress(make_log().to_csv(index=False).encode())
    (tmp_path / "log.csv.gz").write_bytes(packed[:-20])
    with pytest.raises(EOFError):
        read_events(tmp_path / "log.csv.gz")

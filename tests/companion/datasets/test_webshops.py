"""The real files of Online Retail and Taobao: what is stated is counted in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from behaviorseq.datasets import CATALOG, FetchError, describe, fetch
from behaviorseq.datasets.webshops import CHARGES, _commonest
from behaviorseq.events import validate
from behaviorseq.shape import log_shape

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from behaviorseq.datasets import Dataset

NAMES = ("online-retail", "taobao-head")


@pytest.mark.parametrize("name", NAMES)
def test_tables_are_as_stated(name: str, real: Callable[..., Dataset]) -> None:
    data = real(name)
    report, source = validate(data.events), data.source
    assert (report.n_events, report.n_users) == (source.n_events, source.n_users)
    assert {"product": report.n_items} == source.items
    assert tuple(report.behaviors) == source.behaviors
    assert list(data.events)[:4] == ["user", "item", "time", "behavior"]
    assert not data.events.isna().any(axis=None)
    for table, key in ((data.items, "item"), (data.users, "user")):
        assert table.columns[0] == key
        assert table[key].tolist() == sorted(data.events[key].unique())
        assert not table.isna().any(axis=None)


def test_online_retail_notes(real: Callable[..., Dataset]) -> None:
    data = real("online-retail")
    events, notes = data.events, data.source.notes
    path = fetch(data.source.files, data.source.name)["online_retail.parquet"]
    lines = pd.read_parquet(path)
    known = lines[lines["CustomerID"] > 0]
    assert f"{len(lines) - len(known):,} of the {len(lines):,} lines of the file have no" in notes
    assert f"left out {541_909 - len(lines):,} of the 541,909 lines" in notes
    assert lines["Quantity"].min() > 0  # no returns
    assert f"{known.duplicated().sum():,} lines repeat another in all columns" in notes
    assert f"{(events['price'] == 0).sum()} lines cost nothing" in notes
    charges = events["item"].isin(CHARGES)
    assert f"{charges.sum():,} lines are carriage, fees and entries by hand" in notes
    assert set(data.items.loc[data.items["charge"], "item"]) == set(CHARGES)
    assert data.items.loc[~data.items["charge"], "item"].str.match(r"\d{5}|PADS").all()
    assert (events["value"] - events["price"] * events["quantity"]).abs().max() == 0
    assert data.items["title"].str.len().min() > 3
    assert (data.items["title"] == data.items["title"].str.strip()).all()


def test_online_retail_times_say_what_is_stated(real: Callable[..., Dataset]) -> None:
    data = real("online-retail")
    events, times, report = data.events, data.source.times, describe(data)
    assert f"{report['first']:%Y-%m-%d} to {report['last']:%Y-%m-%d}" in times
    assert f"{report['tied in time']:.1%} of the lines share their time" in times
    assert f"{len(events) / events['session'].nunique():.1f} lines an invoice" in times
    assert (events["time"].dt.second == 0).all()
    middle = events["time"].dt.hour + events["time"].dt.minute / 60
    summer = events["time"].between("2011-03-27", "2011-10-30")
    assert abs(middle[summer].median() - middle[~summer].median()) < 0.25  # hours, not 1
    assert len(events.drop_duplicates(["session", "user"])) == events["session"].nunique()


def test_taobao_times_and_notes(real: Callable[..., Dataset]) -> None:
    data = real("taobao-head")
    events, source, report = data.events, data.source, describe(data)
    there = events["time"] + pd.Timedelta("8h")
    assert f"{(there < '2017-11-25').sum()} events are earlier" in source.times
    assert f"the first of {there.min():%Y-%m-%d}" in source.times
    assert there.max() < pd.Timestamp("2017-12-04")
    assert f"{report['tied in time']:.1%} of the events share their second" in source.times
    repeats = log_shape(events)["repeat rate"]
    assert f"{repeats:.0%} of the purchases are of a product" in source.times
    assert f"{len(events) / len(data.items):.1f} events an item" in source.notes
    assert f"there are {events['category'].nunique():,} categories" in source.notes
    order = events["user"].drop_duplicates().astype(str)
    assert order.is_monotonic_increasing
    assert f"the last of them, {order.iloc[-1]}, is cut" in source.notes
    assert report["behaviors"] == "view, cart, favorite, purchase"
    first = events.iloc[0]
    assert first[["user", "item", "category", "behavior"]].tolist() == [1, 2268318, 2520377, "view"]
    assert first["time"] == pd.Timestamp(1511544070, unit="s")


@pytest.mark.parametrize("name", NAMES)
def test_without_the_file_it_says_how_to_get_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEHAVIORSEQ_DATA", str(tmp_path))
    monkeypatch.setenv("BEHAVIORSEQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("pooch.HTTPDownloader", _no_network)
    said = {"online-retail": "raw.githubusercontent.com", "taobao-head": "a login is needed"}
    with pytest.raises(FetchError, match=said[name]):
        fetch(CATALOG[name].files, name)


def _no_network(**_: object) -> Callable[..., None]:
    def download(url: str, *_: object) -> None:
        raise OSError("no network")

    return download


def test_commonest_entry_of_each_key() -> None:
    table = pd.DataFrame({"item": [2, 1, 1, 1, 2], "title": ["b", "y", "x", "y", "a"]})
    found = _commonest(table["item"], table["title"])
    assert found.to_dict("list") == {"item": [1, 2], "title": ["y", "a"]}

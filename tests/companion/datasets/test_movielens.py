"""The real MovieLens files: what is stated of them is counted in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from behaviorseq.datasets import describe
from behaviorseq.events import validate

if TYPE_CHECKING:
    from collections.abc import Callable

    from behaviorseq.datasets import Dataset

NAMES = ("movielens-100k", "movielens-1m")


@pytest.mark.parametrize("name", NAMES)
def test_tables_are_as_stated(name: str, real: Callable[..., Dataset]) -> None:
    data = real(name)
    report, source = validate(data.events), data.source
    assert (report.n_events, report.n_users) == (source.n_events, source.n_users)
    assert {"film": report.n_items} == source.items
    assert tuple(report.behaviors) == source.behaviors
    assert report.duplicates == report.single_event_users == 0
    assert list(data.events)[:4] == ["user", "item", "time", "behavior"]
    for table, key in ((data.items, "item"), (data.users, "user")):
        assert table.columns[0] == key
        assert table[key].tolist() == sorted(data.events[key].unique())
    assert not data.items[["title", "genres"]].isin(["", None]).any(axis=None)
    assert not data.items["title"].str.contains("�|Ã").any()


def test_100k(real: Callable[..., Dataset]) -> None:
    data = real("movielens-100k")
    events = data.events
    assert list(events) == ["user", "item", "time", "behavior", "value"]
    assert sorted(events["value"].unique()) == [1, 2, 3, 4, 5]
    assert data.items.loc[0].to_dict() == {
        "item": 1,
        "title": "Toy Story",
        "year": 1995,
        "genres": "Animation|Children's|Comedy",
    }
    assert data.items["genres"].str.get_dummies().shape[1] == 19
    assert data.users.loc[0, ["gender", "occupation"]].tolist() == ["M", "technician"]
    first = events[(events["user"] == 196) & (events["item"] == 242)]
    assert first["time"].tolist() == [pd.Timestamp(881250949, unit="s")]


def test_100k_times_say_what_is_stated(real: Callable[..., Dataset]) -> None:
    data = real("movielens-100k")
    report, times = validate(data.events), data.source.times
    assert f"{report.first:%Y-%m-%d} to {report.last:%Y-%m-%d}" in times
    assert f"{report.tied_share:.0%} of the ratings share their second" in times
    by_user = data.events.groupby("user")["time"]
    hour = (by_user.max() - by_user.min() <= pd.Timedelta(hours=1)).mean()
    assert f"{hour:.0%} of the users gave all their ratings within one hour" in times
    assert "20 ratings or more" in data.source.notes
    assert by_user.size().min() == 20
    assert not data.events.duplicated(["user", "item"]).any()  # no film is rated twice by a user


def test_1m(real: Callable[..., Dataset]) -> None:
    data = real("movielens-1m")
    events = data.events
    assert events["time"].dtype == "int64"
    assert (events.groupby("user")["time"].diff().dropna() == 1).all()
    assert events.loc[:2, "item"].tolist() == [1, 2, 3]
    film = data.items.set_index("title").loc["Toy Story"]
    assert (film["movie_id"], film["year"], film["genres"]) == (
        1,
        1995,
        "Animation|Children's|Comedy",
    )
    assert events["item"].value_counts().min() >= 5  # films with fewer than 5 ratings are left out
    assert set(data.users["gender"]) == {"F", "M"}
    assert data.users["age"].nunique() == 7
    assert data.users["occupation"].nunique() == 21
    assert not data.users.isna().any(axis=None)


def test_1m_maps_of_ids_agree_with_the_titles(real: Callable[..., Dataset]) -> None:
    # American Beauty is the film of MovieLens 1M with the most ratings, 3,428 of them.
    data = real("movielens-1m")
    counts = data.events["item"].value_counts()
    most = data.items.set_index("item").loc[counts.index[0]]
    assert (most["title"], counts.iloc[0]) == ("American Beauty", 3_428)


@pytest.mark.parametrize("name", NAMES)
def test_describe(name: str, real: Callable[..., Dataset]) -> None:
    data = real(name)
    summary = describe(data)
    assert summary["events"] == len(data.events)
    assert summary["licence"].startswith("GroupLens")
    assert summary["times"] == data.source.times
    assert summary["first"] == data.events["time"].min()

"""Data sets by name: what is stated of each, and the errors of a name that is not known."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from behaviorseq.datasets import (
    CATALOG,
    Dataset,
    FetchError,
    File,
    OwnFile,
    catalog,
    describe,
    list_datasets,
    load,
)
from behaviorseq.datasets.simulated import SIMULATED

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No file is on this machine, but what a test puts into the folder."""
    monkeypatch.setenv("BEHAVIORSEQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BEHAVIORSEQ_DATA", str(tmp_path / "mine"))
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


@pytest.mark.parametrize(
    ("name", "near"), [("MovieLens-100k", "movielens-100k"), ("amazon", "amazon-beauty")]
)
def test_unknown_name_gets_a_near_one(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"no data set is named '{name}': is it .*{near}"):
        load(name)


def test_unknown_item() -> None:
    with pytest.raises(ValueError, match="no item 'shop': take 'product_type' or 'product'"):
        load("complete-journey", item="shop")
    with pytest.raises(ValueError, match="no item 'product': take 'film'"):
        load("movielens-1m", item="product")


def test_listing_loads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "fetch", None)
    table = list_datasets()
    assert list(table.index) == [*CATALOG, *SIMULATED]
    assert table.loc["complete-journey", "megabytes"] == 31.6
    assert not table.isna().any(axis=None)


@pytest.mark.parametrize("source", CATALOG.values(), ids=CATALOG.keys())
def test_each_source_states_its_terms(source: Any) -> None:
    for text in (source.title, source.times, source.licence, source.citation, source.notes):
        assert len(text) > 10
    assert source.url.startswith("https://")
    files = {*source.files, *(file.download for file in source.files)}
    assert len({file.name for file in files}) == len(files)
    for file in files:
        assert len(file.sha256) == 64
        assert int(file.sha256, 16)
        assert file.size > 0


def _read(paths: Any, item: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    events = pd.read_csv(paths["visits.csv"]).assign(behavior="view")
    return events, events[["item"]].drop_duplicates(), events[["user"]].drop_duplicates()


def test_a_readers_own_file(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"user,item,time\n1,5,0\n1,6,1\n2,5,0\n"
    visits = File(
        "visits.csv", hashlib.sha256(text).hexdigest(), len(text), OwnFile("ask the shop for it")
    )
    source = replace(
        CATALOG["movielens-1m"], name="visits", items={"page": 2}, files=(visits,), read=_read
    )
    monkeypatch.setitem(CATALOG, "visits", source)
    with pytest.raises(FetchError, match="ask the shop for it"):
        load("visits")
    (empty / "visits.csv").write_bytes(text)
    data = load("visits")
    assert isinstance(data, Dataset)
    assert data.source is source
    assert data.events.columns.tolist() == ["user", "item", "time", "behavior"]
    assert list_datasets().loc["visits", "from"] == "own file"
    summary = describe(data)
    assert summary.name == "visits"
    assert summary[["events", "users", "items", "first", "last"]].tolist() == [3, 2, 2, 0, 1]
    assert summary["behaviors"] == "view"
    assert summary["tied in time"] == 0
    assert describe("visits").equals(summary)

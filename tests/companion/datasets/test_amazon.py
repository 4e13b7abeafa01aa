"""The files of Amazon: what is stated is counted in them where they can be had."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from behaviorseq.datasets import CATALOG, FetchError, HashError, describe, load
from behaviorseq.events import validate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from behaviorseq.datasets import Dataset

NAMES = ("amazon-beauty", "amazon-sports", "amazon-toys")
HISTORIES_ONLY = {
    "amazon-sports": "Sports_and_Outdoors.txt",
    "amazon-toys": "Toys_and_Games.txt",
}


@pytest.mark.parametrize("name", NAMES)
def test_is_as_stated(name: str, real: Callable[..., Dataset]) -> None:
    data = real(name)
    events, report, source = data.events, validate(data.events), data.source
    assert (report.n_events, report.n_users) == (source.n_events, source.n_users)
    assert report.n_items == source.items["product"]
    assert list(events) == ["user", "item", "time", "behavior"]
    assert report.behaviors == {"review": source.n_events}
    assert (events.groupby("user")["time"].diff().dropna() == 1).all()
    assert events["user"].value_counts().min() == events["item"].value_counts().min() == 5
    assert data.items["item"].tolist() == sorted(events["item"].unique())
    assert data.users["user"].tolist() == sorted(events["user"].unique())


def test_beauty(real: Callable[..., Dataset]) -> None:
    data = real("amazon-beauty")
    events = data.events
    assert events.loc[events["user"] == 2, "item"].tolist() == [6, 7, 8, 9, 10, 4, 11]
    assert data.items["attributes"].explode().nunique() == 637


def test_beauty_titles_where_the_reader_has_them(real: Callable[..., Dataset]) -> None:
    items = real("amazon-beauty").items
    if "title" not in items:
        pytest.skip("Beauty_items.csv.gz is not on this machine")
    assert items["title"].notna().sum() == 12_094
    assert items["asin"].is_unique
    assert items.loc[0, "title"].startswith("OPI Nail Lacquer")


def test_describe(real: Callable[..., Dataset]) -> None:
    summary = describe(real("amazon-beauty"))
    assert summary[["events", "users", "items", "first"]].tolist() == [198_502, 22_363, 12_101, 0]
    assert "No split in time" in summary["times"]


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name a folder in BEHAVIORSEQ_DATA; nothing else is on this machine, and no network."""
    monkeypatch.setenv("BEHAVIORSEQ_DATA", str(tmp_path))
    monkeypatch.setenv("BEHAVIORSEQ_CACHE", str(tmp_path / "cache"))

    def refuse(url: str, *_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("pooch.HTTPDownloader", lambda **_: refuse)
    return tmp_path


@pytest.mark.parametrize(("name", "file"), HISTORIES_ONLY.items())
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_histories_of_a_small_file(
    name: str, file: str, ends: bytes, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = b"3 7 9 7" + ends + b"1 9 2" + ends
    (mine / file).write_bytes(text)
    unix = sha256(b"3 7 9 7\n1 9 2\n").hexdigest()  # whatever the line ends of the file
    source = CATALOG[name]
    small = replace(source, files=(replace(source.files[0], sha256=unix, size=len(text)),))
    monkeypatch.setitem(CATALOG, name, small)
    data = load(name)
    rows = data.events[["user", "item", "time"]].to_numpy().tolist()
    assert rows == [[3, 7, 0], [3, 9, 1], [3, 7, 2], [1, 9, 0], [1, 2, 1]]
    assert set(data.events["behavior"]) == {"review"}
    assert data.items["item"].tolist() == [2, 7, 9]
    assert data.users["user"].tolist() == [1, 3]
    assert {data.events[c].dtype.name for c in ("user", "item", "time")} == {"int64"}


@pytest.mark.parametrize(("name", "file"), HISTORIES_ONLY.items())
def test_another_file_of_that_name_is_not_read(name: str, file: str, mine: Path) -> None:
    (mine / file).write_bytes(b"1 2 3\n")
    with (
        pytest.warns(UserWarning, match=f"{file} has sha256 .*expected sha256"),
        pytest.raises(FetchError, match="CIKM2020-S3Rec"),
    ):
        load(name)


def test_another_file_at_the_address_is_not_kept(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(url: str, path: str, _: object) -> None:
        assert url.endswith("/data/Toys_and_Games.txt")
        with open(path, "wb") as stream:
            stream.write(b"1 2 3\n")

    monkeypatch.setattr("pooch.HTTPDownloader", lambda **_: send)
    with pytest.raises(HashError, match=r"Toys_and_Games\.txt"):
        load("amazon-toys")
    assert not [path for path in mine.rglob("*") if path.is_file()]


def test_what_is_not_known_of_the_file_is_said() -> None:
    for name in HISTORIES_ONLY:
        assert "not taken from the file at its address" in CATALOG[name].notes


def test_the_line_ends_of_beauty_do_not_count(
    real: Callable[..., Dataset], mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the lists from which the SHA-256 of the other files are taken count them."""
    data = real("amazon-beauty")
    rows = data.events.groupby("user", sort=False)["item"].agg(lambda x: " ".join(map(str, x)))
    lines = [f"{user} {items}".encode() for user, items in rows.items()]
    file = data.source.files[0]
    assert sha256(b"\n".join(lines) + b"\n").hexdigest() == file.sha256
    windows = "f85a84ab47d70e82bf0e7301804270af10fb51e127ab8f0885697d593f6f6d43"
    assert sha256(b"\r\n".join(lines) + b"\r\n").hexdigest() == windows

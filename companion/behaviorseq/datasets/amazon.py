"""The reviews of Amazon, in the files that papers on sequence models share: S3-Rec's."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from .sources import File, OwnFile, Source, Web

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .sources import Tables


def _read_histories(paths: Mapping[str, Path], item: str, *, name: str) -> Tables:
    """Read a line a user: the user, then the items in order."""
    lines = pd.Series(paths[f"{name}.txt"].read_text(encoding="ascii").splitlines())
    events = lines.str.split(" ", n=1, expand=True).set_axis(["user", "item"], axis=1)
    events = events.assign(item=events["item"].str.split(" ")).explode("item", ignore_index=True)
    events = events.astype("int64")
    events = events.assign(
        time=events.groupby("user").cumcount().astype("int64"), behavior="review"
    )
    keys = (
        pd.DataFrame({key: events[key].drop_duplicates().sort_values(ignore_index=True)})
        for key in ("item", "user")
    )
    return events, *keys


def _read_beauty(paths: Mapping[str, Path], item: str) -> Tables:
    """Read the histories, and what is known of the items."""
    events, _, users = _read_histories(paths, item, name="Beauty")
    attributes = json.loads(paths["Beauty_item2attributes.json"].read_text(encoding="ascii"))
    items = pd.DataFrame({"item": attributes.keys(), "attributes": attributes.values()})
    items = items.astype({"item": "int64"}).sort_values("item", ignore_index=True)
    if "Beauty_items.csv.gz" in paths:
        titles = pd.read_csv(paths["Beauty_items.csv.gz"]).rename(columns={"item_id": "item"})
        items = titles.merge(items, on="item", validate="one_to_one")
        items = items[["item", "title", "attributes", "asin", "keywords"]]
    return events, items, users


_S3REC = (
    "https://raw.githubusercontent.com/aHuiWang/CIKM2020-S3Rec/"
    "49a890dcb516c9ed3126564495234ea74d5cd566/data/"
)
_TIMES = (
    "Positions 0, 1, ... in the history of each user: the file keeps the order and neither "
    "date nor rating. Amazon dates a review by the day, so the order of reviews of one day is "
    "that of the file and has no known meaning. No split in time is possible."
)
_LICENCE = (
    "None assigned. The McAuley lab publishes its Amazon reviews for research and says (of "
    "the edition of 2023) that it is not in a position to assign a licence"
)
_CITATION = (
    "Ruining He and Julian McAuley (2016). Ups and Downs: Modeling the Visual Evolution of "
    "Fashion Trends with One-Class Collaborative Filtering. WWW 2016, 507-517. Julian "
    "McAuley, Christopher Targett, Qinfeng Shi, Anton van den Hengel (2015). Image-based "
    "Recommendations on Styles and Substitutes. SIGIR 2015, 43-52. The file: Kun Zhou et al. "
    "(2020). S3-Rec: Self-Supervised Learning for Sequential Recommendation with Mutual "
    "Information Maximization. CIKM 2020, 1893-1902"
)
_URL = "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html"
_NOTES = (
    "Every user and every product has 5 reviews or more. Only which product a user reviewed is "
    "known: no titles, no attributes. The numbers of reviews, users and products are those that "
    "studies print. The SHA-256 was not taken from the file at its address, which was out of "
    "reach when this loader was written: it is the one that a later study prints for its copy, in "
    "a list whose entries for S3-Rec's Beauty and LastFM are right{ends}. Where the file at the "
    "address is another, loading stops and says so."
)


def _histories(
    name: str,
    file: str,
    title: str,
    counts: tuple[int, int, int],
    sha256: str,
    size: int,
    ends: str,
) -> Source:
    """Describe a log of which only the histories are read."""
    n_events, n_users, n_items = counts
    return Source(
        name=name,
        title=title,
        n_events=n_events,
        n_users=n_users,
        items={"product": n_items},
        behaviors=("review",),
        times=_TIMES,
        ordered_only=True,
        licence=_LICENCE,
        citation=_CITATION,
        url=_URL,
        notes=_NOTES.format(ends=ends),
        files=(File(f"{file}.txt", sha256, size, Web(f"{_S3REC}{file}.txt"), text=True),),
        read=partial(_read_histories, name=file),
    )


AMAZON_BEAUTY = Source(
    name="amazon-beauty",
    title="Amazon 2014 Beauty, S3-Rec's file",
    n_events=198_502,
    n_users=22_363,
    items={"product": 12_101},
    behaviors=("review",),
    times=_TIMES,
    ordered_only=True,
    licence=_LICENCE,
    citation=_CITATION,
    url=_URL,
    notes=(
        "Every user and every product has 5 reviews or more. attributes are numbers, without "
        "names, of category words and brands. The files have no titles: a table of them, joined "
        "from other public copies of the data, is read where Beauty_items.csv.gz is found on this "
        "machine, and items then has title, asin and keywords (words that a language model made "
        "of the product text)."
    ),
    files=(
        File(
            "Beauty.txt",
            "226cce9c3105299ca0db9615d7d3fb32b3175e90da43100ae352599f0f0107b8",
            1_090_094,
            Web(f"{_S3REC}Beauty.txt"),
            text=True,
        ),
        File(
            "Beauty_item2attributes.json",
            "129e40f67486f6877eff0f5318cfa8530ee8ac23d8b0d1de04e1bb7a2ba0b2d4",
            305_674,
            Web(f"{_S3REC}Beauty_item2attributes.json"),
        ),
        File(
            "Beauty_items.csv.gz",
            "13d143023c7c7abbbe259c7e6b9d8aadd4f43d3cc7af6c78a0845f9518e176ba",
            610_651,
            OwnFile("a table item_id, asin, title, keywords that is not published"),
            optional=True,
        ),
    ),
    read=_read_beauty,
)

AMAZON_SPORTS = _histories(
    "amazon-sports",
    "Sports_and_Outdoors",
    "Amazon 2014 Sports and Outdoors, S3-Rec's file",
    (296_337, 35_598, 18_357),
    "2a095e0648872beb9982408958290f5d655db5be2911c3756b5446de9f0b8de2",
    1_707_483,
    ends="",
)

AMAZON_TOYS = _histories(
    "amazon-toys",
    "Toys_and_Games",
    "Amazon 2014 Toys and Games, S3-Rec's file",
    (167_597, 19_412, 11_924),
    # of the text with the line ends of Windows
    "fb28d2f6bc01d38e0da8ad88265d62043364f1a908e8dbf3591d5bba68c9d789",
    922_166,
    ends=" for the texts with the line ends of Windows, which this one is for too",
)

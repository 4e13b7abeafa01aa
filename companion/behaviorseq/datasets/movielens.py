"""The MovieLens data sets: ratings of films by the users of movielens.org."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from .sources import File, Member, PackageIndex, Source, Web

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .sources import Tables

GROUPLENS = (
    "GroupLens, University of Minnesota: any research use, with acknowledgement and without "
    "implied endorsement; no redistribution without permission; no commercial use without "
    "permission"
)
HARPER_KONSTAN = (
    "F. Maxwell Harper and Joseph A. Konstan (2015). The MovieLens Datasets: History and Context. "
    "ACM Transactions on Interactive Intelligent Systems 5(4), article 19. "
    "https://doi.org/10.1145/2827872"
)
AGES = {
    1: "under 18",
    18: "18-24",
    25: "25-34",
    35: "35-44",
    45: "45-49",
    50: "50-55",
    56: "56 or older",
}
OCCUPATIONS = dict(
    enumerate(
        (
            *("other", "academic/educator", "artist", "clerical/admin", "college/grad student"),
            *("customer service", "doctor/health care", "executive/managerial", "farmer"),
            *("homemaker", "K-12 student", "lawyer", "programmer", "retired", "sales/marketing"),
            *("scientist", "self-employed", "technician/engineer", "tradesman/craftsman"),
            *("unemployed", "writer"),
        )
    )
)


def _read_100k(paths: Mapping[str, Path], item: str) -> Tables:
    """Read RecBole's copy of MovieLens-100K."""
    events = _read_typed(paths["ml-100k.inter"]).astype("int64")
    events = events.rename(columns={"rating": "value", "timestamp": "time"})
    events = events.assign(time=pd.to_datetime(events["time"], unit="s"), behavior="rate")
    items = _read_typed(paths["ml-100k.item"]).rename(
        columns={"movie_title": "title", "release_year": "year", "class": "genres"}
    )
    items["year"] = pd.to_numeric(items["year"], errors="coerce").astype("Int64")
    items["genres"] = items["genres"].str.replace(" ", "|")
    users = _read_typed(paths["ml-100k.user"]).astype({"user": "int64", "age": "int64"})
    return (
        events[["user", "item", "time", "behavior", "value"]],
        items.astype({"item": "int64"}).sort_values("item", ignore_index=True),
        users.sort_values("user", ignore_index=True),
    )


def _read_typed(path: Path) -> pd.DataFrame:
    """Read a table of RecBole, whose header is ``user_id:token``, as text."""
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    names = [str(name).partition(":")[0] for name in table.columns]
    return table.set_axis(names, axis=1).rename(columns={"user_id": "user", "item_id": "item"})


def _read_1m(paths: Mapping[str, Path], item: str) -> Tables:
    """Read SASRec's file of MovieLens-1M, and titles and demographics by the maps of ids."""
    events = pd.read_csv(paths["ml-1m.txt"], sep=" ", names=["user", "item"])
    position = events.groupby("user").cumcount().astype("int64")
    films = _read_dat(paths["movies.dat"], ["movie_id", "title", "genres"])
    films = films.assign(
        year=films["title"].str.extract(r"\((\d{4})\)$", expand=False).astype("int64"),
        title=films["title"].str.replace(r" \(\d{4}\)$", "", regex=True),
    )
    people = _read_dat(
        paths["users.dat"], ["user_id", "gender", "age", "occupation", "zip_code"]
    ).astype({"age": "int64", "occupation": "int64"})
    people = people.assign(
        age=people["age"].map(AGES), occupation=people["occupation"].map(OCCUPATIONS)
    )
    return (
        events.assign(time=position, behavior="rate"),
        _read_ids(paths["sas_to_original_items.txt"], "item", films)[
            ["item", "title", "year", "genres", "movie_id"]
        ],
        _read_ids(paths["sas_to_original_users.txt"], "user", people).drop(columns="user_id"),
    )


def _read_dat(path: Path, names: list[str]) -> pd.DataFrame:
    """Read a table of GroupLens, whose separator is two colons; the first column is the id."""
    lines = pd.Series(path.read_text(encoding="latin-1").splitlines())
    table = lines.str.split("::", expand=True).set_axis(names, axis=1)
    return table.astype({names[0]: "int64"})


def _read_ids(path: Path, name: str, known: pd.DataFrame) -> pd.DataFrame:
    """Read the original id of each user or item, and add what is known of it."""
    original = str(known.columns[0])
    ids = pd.read_csv(path, sep=" ", names=[name, original])
    return ids.merge(known, on=original, validate="one_to_one").sort_values(name, ignore_index=True)


_RECBOLE = File(
    "recbole-1.2.1-py3-none-any.whl",
    "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    2_130_151,
    PackageIndex("recbole==1.2.1"),
)
_ML_1M = File(
    "ml-1m.zip",
    "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    5_917_549,
    Web("https://files.grouplens.org/datasets/movielens/ml-1m.zip"),
)
_SASREC = "https://raw.githubusercontent.com/kang205/SASRec/master/data/"
_ID_MAPS = (
    "https://raw.githubusercontent.com/asash/ml1m-sas-mapping/"
    "56013fb1def17a503613b5b914c2809ed18f607c/"
)

MOVIELENS_100K = Source(
    name="movielens-100k",
    title="MovieLens 100K",
    n_events=100_000,
    n_users=943,
    items={"film": 1_682},
    behaviors=("rate",),
    times=(
        "Seconds, UTC, from 1997-09-20 to 1998-04-22: when a rating was typed in, not when the "
        "film was watched. 76% of the ratings share their second with another rating of the same "
        "user, and 53% of the users gave all their ratings within one hour. Good for what a user "
        "likes; weak evidence for claims about the order of what they did."
    ),
    ordered_only=False,
    licence=GROUPLENS,
    citation=HARPER_KONSTAN,
    url="https://grouplens.org/datasets/movielens/100k/",
    notes=(
        "Read from the copy inside RecBole 1.2.1 (https://arxiv.org/abs/2011.01731). value is the "
        "rating, 1 to 5. Every user has 20 ratings or more, and no film is rated twice by a user. "
        "genres are separated by |. A year that is not a number in the copy is missing."
    ),
    files=tuple(
        File(name, sha256, size, Member(_RECBOLE, f"recbole/dataset_example/ml-100k/{name}"))
        for name, sha256, size in (
            (
                "ml-100k.inter",
                "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
                1_979_230,
            ),
            (
                "ml-100k.item",
                "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
                66_632,
            ),
            (
                "ml-100k.user",
                "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
                22_697,
            ),
        )
    ),
    read=_read_100k,
)

MOVIELENS_1M = Source(
    name="movielens-1m",
    title="MovieLens 1M, SASRec's file",
    n_events=999_611,
    n_users=6_040,
    items={"film": 3_416},
    behaviors=("rate",),
    times=(
        "Positions 0, 1, ... in the history of each user: the file keeps the order and neither "
        "date nor rating. The order of ratings that were given in the same second is that of the "
        "file and has no known meaning. No split in time is possible."
    ),
    ordered_only=True,
    licence=GROUPLENS,
    citation=(
        f"{HARPER_KONSTAN}. The file: Wang-Cheng Kang and Julian McAuley (2018). Self-Attentive "
        "Sequential Recommendation. ICDM 2018. https://arxiv.org/abs/1808.09781"
    ),
    url="https://grouplens.org/datasets/movielens/1m/",
    notes=(
        "Films with fewer than 5 ratings are left out by SASRec. Titles, genres and demographics "
        "come from GroupLens, joined by the maps of ids in asash/ml1m-sas-mapping; movie_id is "
        "the id of GroupLens. genres are separated by |."
    ),
    files=(
        File(
            "ml-1m.txt",
            "b725f3acb3986fe3130bffd1e77a74d182a1f51799567a236dbd60270f95b0a2",
            9_053_831,
            Web(f"{_SASREC}ml-1m.txt"),
        ),
        File(
            "sas_to_original_items.txt",
            "9ae42c23af0b0fe2f189b9d5acc6cf3936bffe1a9568390cf5d100c0c1b1fca1",
            32_109,
            Web(f"{_ID_MAPS}sas_to_original_items.txt"),
        ),
        File(
            "sas_to_original_users.txt",
            "121893a66ab13fad83a67e12e3b3e6ddc56bcd01f0bcedf2ccb10bd8405e6239",
            58_186,
            Web(f"{_ID_MAPS}sas_to_original_users.txt"),
        ),
        File(
            "movies.dat",
            "0140fc2356357c1a851d0f52e893a1e4d3696df632c4141cea8d5bc3d621f0b9",
            171_308,
            Member(_ML_1M, "ml-1m/movies.dat"),
        ),
        File(
            "users.dat",
            "1dc3a95300cb19f7c10e027daf29b8cdf1d908dab65b5edfb45950aa389a10a3",
            134_368,
            Member(_ML_1M, "ml-1m/users.dat"),
        ),
    ),
    read=_read_1m,
)

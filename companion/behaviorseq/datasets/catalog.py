"""The data sets by name: load one, describe one, list all."""

from __future__ import annotations

import difflib

import pandas as pd

from ..events import validate
from .amazon import AMAZON_BEAUTY, AMAZON_SPORTS, AMAZON_TOYS
from .fetch import fetch
from .movielens import MOVIELENS_1M, MOVIELENS_100K
from .open_bandit import OPEN_BANDIT
from .retail import COMPLETE_JOURNEY
from .simulated import SIMULATED, simulated_source
from .sources import Dataset, OwnFile, PackageIndex, Source
from .webshops import ONLINE_RETAIL, TAOBAO_HEAD

CATALOG: dict[str, Source] = {
    source.name: source
    for source in (
        *(MOVIELENS_100K, COMPLETE_JOURNEY),
        *(AMAZON_BEAUTY, AMAZON_SPORTS, AMAZON_TOYS),
        *(MOVIELENS_1M, ONLINE_RETAIL, TAOBAO_HEAD, OPEN_BANDIT),
    )
}


def load(name: str, *, item: str | None = None) -> Dataset:
    """Load a data set: real, after fetching its files, or simulated, in its default size.

    Files are looked for in the folders of the environment variable ``BEHAVIORSEQ_DATA``, then in
    the cache (``BEHAVIORSEQ_CACHE``, or the user's cache folder), then fetched; their SHA-256 is
    checked every time.

    Parameters
    ----------
    name : str
        A name of `list_datasets`.
    item : str, optional
        What the item of an event is, where there is a choice: ``"product_type"`` (the default) or
        ``"product"`` for ``complete-journey``; the campaign, ``"all"`` (the default), ``"men"`` or
        ``"women"``, for ``open-bandit``.

    Returns
    -------
    Dataset
        Event log, items, users and source.

    Raises
    ------
    ValueError
        If there is no such data set or no such item, or (`HashError`) a fetched file is not the
        expected one.
    FetchError
        If a file cannot be had; the message says how to get it.

    Examples
    --------
    >>> load("movielens-10k")
    Traceback (most recent call last):
        ...
    ValueError: no data set is named 'movielens-10k': is it movielens-100k, movielens-1m? All: ...
    """
    source = _source(name)
    kind = item or next(iter(source.items))
    if kind not in source.items:
        raise ValueError(
            f"{name} has no item '{item}': take {' or '.join(map(repr, source.items))}"
        )
    events, items, users = source.read(fetch(source.files, source.name), kind)
    return Dataset(events, items, users, source)


def describe(dataset: str | Dataset) -> pd.Series[object]:
    """Summarise a data set: its size, its times and its terms.

    Parameters
    ----------
    dataset : str or Dataset
        A name of `list_datasets`, which is loaded, or a loaded data set.

    Returns
    -------
    pandas.Series
        Counted in the event log: ``events``, ``users``, ``items``, ``first`` and ``last`` time,
        ``behaviors``, ``tied in time`` (the share of events that share their time with another of
        the same user, 0 to 1). Columns of the tables. Stated: ``times`` (what they can and cannot
        say), ``licence``, ``citation``, ``url``, ``notes``.
    """
    data = load(dataset) if isinstance(dataset, str) else dataset
    report, source = validate(data.events), data.source
    return pd.Series(
        {
            "title": source.title,
            "events": report.n_events,
            "users": report.n_users,
            "items": report.n_items,
            "first": report.first,
            "last": report.last,
            "behaviors": ", ".join(report.behaviors),
            "tied in time": report.tied_share,
            "event columns": ", ".join(data.events),
            "item columns": ", ".join(data.items),
            "user columns": ", ".join(data.users),
            "times": source.times,
            "licence": source.licence,
            "citation": source.citation,
            "url": source.url,
            "notes": source.notes,
        },
        name=source.name,
        dtype=object,
    )


def list_datasets() -> pd.DataFrame:
    """Tabulate the data sets, from what is stated about them: nothing is loaded.

    Returns
    -------
    pandas.DataFrame
        One row a data set, its name as index: ``title``, ``events``, ``users``, ``items``,
        ``behaviors``, ``times`` (``dates``, or ``order`` where only the order is known), ``from``
        (``package index``, ``web``, ``own file`` or ``simulated``), ``megabytes`` to download,
        ``licence``.

    Examples
    --------
    >>> list_datasets()[["events", "users", "items", "times", "from"]]
                       events  users  items  times           from
    movielens-100k     100000    943   1682  dates  package index
    complete-journey  1469307   2469   2243  dates  package index
    amazon-beauty      198502  22363  12101  order            web
    amazon-sports      296337  35598  18357  order            web
    amazon-toys        167597  19412  11924  order            web
    movielens-1m       999611   6040   3416  order            web
    online-retail      397924   4339   3665  dates            web
    taobao-head         84475    815  55368  dates       own file
    open-bandit         20000    280     80  dates  package index
    shop              1182534   2000   1000  dates      simulated
    social             133748   1000   2000  dates      simulated
    finance            334026   2000    200  dates      simulated
    education          250438   1000    300  dates      simulated
    """
    rows = {
        source.name: {
            "title": source.title,
            "events": source.n_events,
            "users": source.n_users,
            "items": next(iter(source.items.values())),
            "behaviors": ", ".join(source.behaviors),
            "times": "order" if source.ordered_only else "dates",
            "from": _origin(source),
            "megabytes": round(_download_size(source) / 1e6, 1),
            "licence": source.licence,
        }
        for source in (*CATALOG.values(), *map(simulated_source, SIMULATED))
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _source(name: str) -> Source:
    """Look a name up, or suggest near ones."""
    names = [*CATALOG, *SIMULATED]
    if name not in names:
        near = difflib.get_close_matches(str(name).lower(), names, n=2, cutoff=0.4)
        hint = f"is it {', '.join(near)}? " if near else ""
        raise ValueError(f"no data set is named {name!r}: {hint}All: {', '.join(names)}")
    return CATALOG[name] if name in CATALOG else simulated_source(name)


def _origin(source: Source) -> str:
    """Say in words where the files come from."""
    origins = [file.download.origin for file in source.files if not file.optional]
    if not origins:
        return "simulated"
    if any(isinstance(origin, OwnFile) for origin in origins):
        return "own file"
    if all(isinstance(origin, PackageIndex) for origin in origins):
        return "package index"
    return "web"


def _download_size(source: Source) -> int:
    """Bytes of the files and archives that are downloaded."""
    downloads = {file.download for file in source.files if not file.optional}
    return sum(file.size for file in downloads)

"""Writing a coded log as Parquet in parts, each with the whole histories of some users."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from behaviorseq.arguments import whole
from behaviorseq.event_checks import EMPTY, one_row, refuse
from behaviorseq.shards import (
    Part,
    Shards,
    listed,
    opened,
    read_shards,
    sha256_of,
    write_manifest,
)
from behaviorseq.vocabulary import Vocabulary

from .frames import is_position, open_frame, refuse_missing, ticks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from behaviorseq.event_checks import Frame

USER, ITEM, PART = "user_code", "item_code", "part"
LAST = 2**31 - 1  # codes are 32 bits wide
MOST_BEHAVIORS = 127


@dataclass(frozen=True)
class _Plan:
    """Which users each part holds: their first, the one after their last, and how many events."""

    ranges: list[tuple[int, int, int]]
    number: Any  # a frame with a number of a part for each user, rising with the user
    numbers: list[int]  # those that occur


def write_shards(
    events: Any,
    folder: str | Path,
    *,
    n_shards: int,
    user: str = USER,
    item: str = ITEM,
    item_ids: Vocabulary | None = None,
) -> Shards:
    """Write a log with codes of users and items as Parquet files, for training from disk.

    Each user's whole history is in one file, oldest event first; files hold one range of user
    codes after another, with nearly the same number of events each.

    Parameters
    ----------
    events : dataframe
        pandas, Polars (eager or lazy), DuckDB or Spark: the training part of a log, with codes of
        users and items (see `fit_codes`), ``time``, and, if there, ``behavior`` and ``value``.
        Other columns are left out. A lazy one is run once.
    folder : path or str
        Where to write: a new folder, or an empty one. With Spark also an address that both Spark
        and PyArrow know, such as ``hdfs://...`` or ``s3a://...``: Spark is given it as it stands.
        Tested are local folders, as paths and by addresses.
    n_shards : int
        Number of files. There are fewer where single users have more events than such a part.
        Training holds two of them at a time.
    user, item : str
        The columns of codes: whole numbers, 0 or more.
    item_ids : Vocabulary, optional
        What the codes of items stand for, ``codes.vocabulary()``, to be kept with the log. By
        default the codes up to the largest stand for themselves.

    Returns
    -------
    Shards
        What was written, opened again.

    Raises
    ------
    ValueError
        If a column is not there or has another type, an entry is missing, a code is below 0 or
        stands for no item, the folder holds anything, or PyArrow cannot follow its
        address.

    See Also
    --------
    behaviorseq.read_shards : Opens them another time, with a rule for ties in time.

    Notes
    -----
    Times are written to the microsecond, as whole numbers since 1970 in UTC: no engine reads
    these differently. ``shards.json`` is written last; without it the folder is taken for one
    whose writing was interrupted.

    DuckDB and lazy Polars first put the log's columns into a file in the folder, which is
    deleted in the end: what is lazy would otherwise run once for each part. DuckDB sorts one part
    after another by itself, within its ``memory_limit``; pandas and Polars hold one part beside
    the log, or of a lazy log one part alone. Spark keeps the columns on the disks of its
    workers, sorts there, and writes files of its own names.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from behaviorseq.prepare import fit_codes, write_shards
    >>> log = pd.DataFrame({"user": [7, 7, 9], "item": ["tea", "jam", "tea"], "time": [0, 1, 0]})
    >>> items = fit_codes(log, "item")
    >>> coded = items.apply(fit_codes(log, "user").apply(log))
    >>> folder = tempfile.TemporaryDirectory()
    >>> shards = write_shards(coded, folder.name, n_shards=2, item_ids=items.vocabulary())
    >>> len(shards), shards.n_events
    (2, 3)
    >>> shards.item_ids.decode(shards[0][0])
    array(['tea', 'jam'], dtype='<U3')
    >>> folder.cleanup()
    """
    whole("n_shards", n_shards, 1)
    frame = _columns(open_frame(events, user, item, "time"), user, item)
    _check_folder(folder, frame)
    with _held(frame, folder) as log:
        ends = _check(log, item_ids)
        plan = _plan(log, n_shards, ends["events"])
        behaviors = _behaviors(log)
        write = _with_spark if log.implementation.is_spark_like() else _one_by_one
        parts = write(log, plan, folder)
    ids = Vocabulary(np.arange(ends["item"] + 1)) if item_ids is None else item_ids
    times = "int64" if is_position(frame) else "datetime64[us]"
    shards = Shards(str(folder), parts, ends["user"] + 1, ids, times, behaviors)
    write_manifest(shards, with_ids=item_ids is not None)
    return read_shards(folder)


def _columns(frame: Frame, user: str, item: str) -> Frame:
    """Keep the columns that are written; those of codes must be whole numbers."""
    schema = frame.collect_schema()
    for name in (user, item):
        if not schema[name].is_integer():
            raise ValueError(
                f"column `{name}` has type {schema[name]}: it has to hold codes, whole numbers "
                "from 0; fit_codes(events, '...').apply(events) adds them"
            )
    if "value" in schema and not schema["value"].is_numeric():
        raise ValueError(f"column `value` has type {schema['value']}: it has to be a number")
    others = [name for name in ("time", "behavior", "value") if name in schema]
    return frame.select(nw.col(user).alias(USER), nw.col(item).alias(ITEM), *others)


def _check_folder(folder: str | Path, frame: Frame) -> None:
    if not (frame.implementation.is_spark_like() or isinstance(opened(folder)[0], LocalFileSystem)):
        raise ValueError(f"{folder}: {frame.implementation} writes shards to a local folder alone")
    if found := listed(folder):
        raise ValueError(
            f"{folder} is not empty, it holds {found[0]}: name a new folder, or delete it if "
            "what it holds are old shards, or some whose writing was interrupted"
        )


@contextmanager
def _held(frame: Frame, folder: str | Path) -> Iterator[Any]:
    """Run a lazy log once, with its rows in a file, or in Spark on the workers' disks."""
    native: Any = frame.to_native()
    if frame.implementation.is_spark_like():
        from pyspark import StorageLevel

        kept = native.persist(StorageLevel.DISK_ONLY)
        try:
            yield nw.from_native(kept)
        finally:
            kept.unpersist()
        return
    Path(opened(folder)[1]).mkdir(parents=True, exist_ok=True)
    if isinstance(frame, nw.DataFrame):
        yield frame
        return
    path = Path(opened(folder)[1]) / "log.part"
    try:
        yield _spooled(frame, path)
    finally:
        path.unlink(missing_ok=True)


def _spooled(frame: Frame, path: Path) -> Frame:
    """Write a lazy log to a file, and give it as read from there."""
    native: Any = frame.to_native()
    if frame.implementation.is_polars():
        native.sink_parquet(path)
        import polars as pl

        written: Any = pl.scan_parquet(path)
    else:
        native.write_parquet(str(path))
        name = str(path).replace("'", "''")
        written = native.query("any", f"SELECT * FROM read_parquet('{name}')")  # noqa: S608 - ours
    log: Frame = nw.from_native(written)
    return log


def _check(log: Frame, item_ids: Vocabulary | None) -> dict[str, int]:
    """Refuse missing entries and codes out of range; give the largest codes, and the events."""
    names = [name for name in log.collect_schema().names() if name != "value"]
    refuse_missing(log, *names)
    most = {USER: LAST, ITEM: LAST if item_ids is None else len(item_ids) - 1}
    bad = {name: (nw.col(name) < 0) | (nw.col(name) > last) for name, last in most.items()}
    found = one_row(
        log,
        nw.len().alias("events"),
        *(nw.col(name).max().alias(name) for name in bad),
        *(mask.cast(nw.Int64).sum().alias(f"bad {name}") for name, mask in bad.items()),
    )
    if not found["events"]:
        raise ValueError(EMPTY)
    for name, mask in bad.items():
        if count := found[f"bad {name}"]:
            fault = f"the code is not one of 0 to {most[name]}"
            remedy = "drop these events, or fit the codes on a log that holds their identifiers"
            refuse(log, name, mask, int(count), fault, remedy)
    return {"events": int(found["events"]), "user": int(found[USER]), "item": int(found[ITEM])}


def _plan(log: Frame, n_shards: int, n_events: int) -> _Plan:
    """Give each user a part, so that parts have nearly the same number of events."""
    counts: Any = log.group_by(USER).agg(nw.len().alias("n"))
    counts = counts.with_columns(nw.col("n").cast(nw.Int64))
    upto = counts.with_columns(nw.col("n").cum_sum().over(order_by=USER).alias("upto"))
    # The part in which the user's first event lies, were events dealt out one after another.
    part = ((nw.col("upto") - nw.col("n")) * n_shards // n_events).cast(nw.Int64)
    number = upto.with_columns(part.alias(PART))
    sums = number.group_by(PART).agg(
        nw.col(USER).min(), nw.col(USER).max().alias("last"), nw.col("n").sum()
    )
    rows = sorted(sums.lazy().collect().rows(named=True), key=lambda row: row[PART])
    firsts = [0, *(int(row[USER]) for row in rows[1:]), int(rows[-1]["last"]) + 1]
    ranges = [
        (first, stop, int(row["n"]))
        for first, stop, row in zip(firsts, firsts[1:], rows, strict=False)
    ]
    return _Plan(ranges, number.select(USER, PART), [int(row[PART]) for row in rows])


def _behaviors(log: Frame) -> tuple[str, ...]:
    if "behavior" not in log.collect_schema():
        return ()
    there = log.select(nw.col("behavior").cast(nw.String)).unique().lazy()
    names = sorted(there.head(MOST_BEHAVIORS + 1).collect()["behavior"].to_list())
    if len(names) > MOST_BEHAVIORS:
        raise ValueError(f"column `behavior` has more than {MOST_BEHAVIORS} different entries")
    return tuple(names)


def _narrow(log: Frame) -> Frame:
    """Give the columns the types they are written in."""
    wanted = {
        USER: nw.col(USER).cast(nw.Int32),
        ITEM: nw.col(ITEM).cast(nw.Int32),
        "time": ticks(log).cast(nw.Int64),
        "behavior": nw.col("behavior").cast(nw.String),
        "value": nw.col("value").cast(nw.Float32),
    }
    there = log.collect_schema().names()
    return log.select(*(wanted[name].alias(name) for name in there))


def _one_by_one(log: Frame, plan: _Plan, folder: str | Path) -> tuple[Part, ...]:
    """Filter, sort and write one part after another."""
    files, root = opened(folder)
    parts = []
    for number, (first, stop, n_events) in enumerate(plan.ranges):
        name = f"part-{number:05}.parquet"
        path = Path(root) / name
        unfinished = path.with_suffix(".part")
        rows = log.filter((nw.col(USER) >= first) & (nw.col(USER) < stop))
        _sort_and_write(_narrow(rows), unfinished)
        unfinished.replace(path)
        parts.append(_written(files, root, name, first, stop, n_events))
    return tuple(parts)


def _sort_and_write(part: Frame, path: Path) -> None:
    native: Any = part.to_native()
    keys = [USER, "time"]
    if part.implementation.is_polars():
        native.lazy().sort(keys, maintain_order=True).collect().write_parquet(path)
    elif part.implementation.is_pandas():
        native.sort_values(keys, kind="stable").to_parquet(path, index=False)
    else:
        native.order(", ".join(keys)).write_parquet(str(path))


def _with_spark(log: Any, plan: _Plan, folder: str | Path) -> tuple[Part, ...]:
    """Let Spark send each part to one worker, sort it there and write one file."""
    address = str(folder) if "://" in str(folder) else Path(folder).absolute().as_uri()
    native = _narrow(log).join(plan.number, on=USER).to_native()
    (
        native.repartition(len(plan.ranges), PART)
        .sortWithinPartitions(PART, USER, "time")
        .write.mode("append")
        .option("maxRecordsPerFile", 0)
        .partitionBy(PART)
        .parquet(address)
    )
    files, root = opened(folder)
    names = [name for name in listed(folder) if name.endswith(".parquet")]
    parts = []
    for number, (first, stop, n_events) in zip(plan.numbers, plan.ranges, strict=True):
        (name,) = (name for name in names if name.startswith(f"{PART}={number}/"))
        parts.append(_written(files, root, name, first, stop, n_events))
    return tuple(parts)


def _written(files: Any, root: str, name: str, first: int, stop: int, n_events: int) -> Part:
    """Check the number of events of a file, and describe it."""
    with files.open_input_file(f"{root}/{name}") as file:
        found = pq.read_metadata(file).num_rows
    if found != n_events:
        raise ValueError(
            f"{name} has {found} events, but {n_events} were counted before: the log gives other "
            "rows each time it is run; write it to a file first, and read that"
        )
    return Part(name, first, stop, n_events, sha256_of(files, f"{root}/{name}"))

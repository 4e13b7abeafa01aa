"""An event log on disk in parts: what training reads when the log is larger than memory."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.fs import FileSelector, FileSystem, LocalFileSystem

from behaviorseq.sequences import Sequences, check_ties
from behaviorseq.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from behaviorseq.sequences import Ties

    Lengths = tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]

MANIFEST, ITEMS = "shards.json", "items.parquet"
FORMAT = 1
CHUNK = 2**20  # bytes read at a time


@dataclass(frozen=True)
class Part:
    """One file of shards.

    Parameters
    ----------
    file : str
        Its path inside the folder.
    first, stop : int
        It holds the whole histories of the users with codes ``first`` to ``stop - 1``.
    n_events : int
        Its number of events.
    sha256 : str
        Checksum of the file.
    """

    file: str
    first: int
    stop: int
    n_events: int
    sha256: str


@dataclass(frozen=True, eq=False)
class Shards:
    """Histories in parts on disk, read one part at a time; made by :func:`read_shards`.

    ``shards[i]`` reads part ``i``, and going through ``shards`` reads one after another. Each
    user's whole history is in one part, and each file is checked against its sha256 whenever it
    is read.

    Parameters
    ----------
    folder : str
        The folder, or its address.
    parts : tuple of Part
        The files, by user.
    n_users : int
        Number of users; ``user_ids`` are their codes, 0 to ``n_users - 1``.
    item_ids : Vocabulary
        What the codes of items stand for: the codes themselves, if nothing else was written.
    times : str
        Type of the times, ``"datetime64[us]"``, or ``"int64"`` for positions.
    behavior_names : tuple of str
        Names of the behaviors; empty where the log has none.
    ties : {"stable", "item", "random", "error"}
        Order of a user's events that share their time.
    seed : int
        Of ``ties="random"``; part ``i`` uses ``seed + i``.
    """

    folder: str
    parts: tuple[Part, ...]
    n_users: int
    item_ids: Vocabulary
    times: str
    behavior_names: tuple[str, ...] = ()
    ties: Ties = "stable"
    seed: int = 0

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self.parts)

    def __getitem__(self, index: int) -> Sequences:
        """Read a part.

        Raises
        ------
        ValueError
            If the file is not there, or not as it was written.
        """
        part = self.parts[index]
        columns = self._columns(part)
        users = columns["user_code"]
        if len(users) and not (
            users[0] >= part.first and users[-1] < part.stop and (users[1:] >= users[:-1]).all()
        ):
            raise ValueError(
                f"{part.file} in {self.folder} is not in order of users, {part.first} to "
                f"{part.stop - 1}: delete the folder and write the shards again"
            )
        offsets = np.searchsorted(users, np.arange(part.first, part.stop + 1, dtype=users.dtype))
        histories = Sequences(
            items=columns["item_code"],
            offsets=offsets.astype(np.int64, copy=False),
            users=np.arange(part.first, part.stop, dtype=np.int32),
            user_ids=self.user_ids,
            item_ids=self.item_ids,
            times=columns["time"].astype(self.times, copy=False),
            behaviors=columns.get("behavior"),
            behavior_names=self.behavior_names,
            values=columns.get("value"),
        )
        return histories.order_ties(self.ties, self.seed + range(len(self))[index])

    def __iter__(self) -> Iterator[Sequences]:
        """Read one part after another."""
        return (self[index] for index in range(len(self)))

    @property
    def n_items(self) -> int:
        """Number of items in the vocabulary."""
        return len(self.item_ids)

    @property
    def n_events(self) -> int:
        """Number of events in all parts."""
        return sum(part.n_events for part in self.parts)

    @cached_property
    def user_ids(self) -> Vocabulary:
        """The codes of users, which stand for themselves."""
        return Vocabulary(np.arange(self.n_users, dtype=np.int32))

    @property
    def item_counts(self) -> NDArray[np.int64]:
        """Number of events of each item, shape (n_items,). The first time reads all parts."""
        return self._survey[0]

    @property
    def history_lengths(self) -> Lengths:
        """Of each part the lengths that occur, and how many histories have each.

        The first time reads all parts.
        """
        return self._survey[1]

    def in_memory(self) -> Sequences:
        """Read all parts into one, for models that need the whole log.

        Returns
        -------
        Sequences
            One row a user, in order of their codes.
        """
        parts = list(self)
        lengths = np.concatenate([part.lengths for part in parts])
        arrays: dict[str, Any] = {}
        for name in ("items", "users", "times", "behaviors", "values"):
            pieces = [getattr(part, name) for part in parts]
            arrays[name] = None if pieces[0] is None else np.concatenate(pieces)
        return Sequences(
            offsets=np.concatenate([[0], np.cumsum(lengths)]),
            user_ids=self.user_ids,
            item_ids=self.item_ids,
            behavior_names=self.behavior_names,
            **arrays,
        )

    @property
    def digest(self) -> str:
        """Tell these histories from others: a checksum over those of the parts."""
        said = [self.ties, str(self.seed), *(part.sha256 for part in self.parts)]
        return hashlib.sha256(" ".join(said).encode()).hexdigest()

    @cached_property
    def _survey(self) -> tuple[NDArray[np.int64], Lengths]:
        counts, lengths = np.zeros(self.n_items, dtype=np.int64), []
        for part in self:
            counts += part.item_counts
            lengths.append(np.unique(part.lengths, return_counts=True))
        return counts, tuple(lengths)

    def _columns(self, part: Part) -> dict[str, NDArray[Any]]:
        """Read the columns of a file as arrays."""
        table = pq.read_table(pa.BufferReader(read_checked(self.folder, part.file, part.sha256)))
        columns = {}
        for name in table.column_names:
            column = table[name]
            table = table.drop_columns([name])  # each column is held once
            if name == "behavior":
                known = pa.array(self.behavior_names, type=column.type)
                column = pc.index_in(column, value_set=known).cast(pa.int8())
            columns[name] = column.to_numpy()
        return columns


def read_shards(folder: str | Path, *, ties: Ties = "stable", seed: int = 0) -> Shards:
    """Open what :func:`behaviorseq.prepare.write_shards` wrote.

    Parameters
    ----------
    folder : path or str
        The folder, or an address that PyArrow can read, such as ``hdfs://...`` or ``s3://...``.
    ties : {"stable", "item", "random", "error"}
        Order of a user's events that share their time, as for :meth:`Sequences.from_events`.
        "stable": as they stand in the files, which is as they stood in a pandas or Polars
        log, while DuckDB and Spark may have written them in any order. "random" is the same
        whichever engine wrote them.
    seed : int
        Seed of ``ties="random"``.

    Returns
    -------
    Shards
        Which a model takes in place of ``Sequences``, if it can learn from a part at a time.

    Raises
    ------
    ValueError
        If there are no shards, or their writing was interrupted.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from behaviorseq import Popularity, prepare
    >>> log = pd.DataFrame({"user_code": [0, 0, 1, 1], "item_code": [1, 0, 1, 2],
    ...                     "time": [0, 1, 0, 1]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = prepare.write_shards(log, folder, n_shards=2)
    ...     shards = read_shards(folder)
    ...     model = Popularity().fit(shards)
    ...     [part.users.tolist() for part in shards]
    [[0], [1]]
    >>> model.score(Sequences.from_events(log.rename(columns={"user_code": "user",
    ...                                                       "item_code": "item"})))
    array([[1., 2., 1.],
           [1., 2., 1.]], dtype=float32)
    """
    check_ties(ties)
    files, root = opened(folder)
    try:
        with files.open_input_stream(f"{root}/{MANIFEST}") as stream:
            written = json.loads(stream.read())
    except FileNotFoundError as error:
        raise ValueError(_absent(folder)) from error
    if written["format"] != FORMAT:
        raise ValueError(f"{folder} has shards of format {written['format']}, not {FORMAT}")
    if written["item_ids"] is None:
        ids = np.arange(written["n_items"], dtype=np.int32)
    else:
        content = read_checked(folder, ITEMS, written["item_ids"])
        ids = np.asarray(pq.read_table(pa.BufferReader(content))["item"].to_pylist())
    return Shards(
        folder=str(folder) if "://" in str(folder) else root,
        parts=tuple(Part(**part) for part in written["parts"]),
        n_users=written["n_users"],
        item_ids=Vocabulary(ids),
        times=written["times"],
        behavior_names=tuple(written["behaviors"]),
        ties=ties,
        seed=seed,
    )


def write_manifest(shards: Shards, *, with_ids: bool) -> None:
    """Write what says that the shards are complete, and the identifiers of items first."""
    files, root = opened(shards.folder)
    checksum = None
    if with_ids:
        with files.open_output_stream(f"{root}/{ITEMS}") as stream:
            pq.write_table(pa.table({"item": pa.array(shards.item_ids.ids.tolist())}), stream)
        checksum = sha256_of(files, f"{root}/{ITEMS}")
    written = {
        "format": FORMAT,
        "n_users": shards.n_users,
        "n_items": shards.n_items,
        "n_events": shards.n_events,
        "times": shards.times,
        "behaviors": shards.behavior_names,
        "item_ids": checksum,
        "parts": [asdict(part) for part in shards.parts],
    }
    with files.open_output_stream(f"{root}/{MANIFEST}.part") as stream:
        stream.write(json.dumps(written, indent=1).encode())
    files.move(f"{root}/{MANIFEST}.part", f"{root}/{MANIFEST}")


def opened(folder: str | Path) -> tuple[FileSystem, str]:
    """Give the file system of a folder, and its path there."""
    if "://" not in str(folder):
        return LocalFileSystem(), Path(folder).absolute().as_posix()
    address = str(folder).replace("s3a://", "s3://", 1)  # what Spark calls it
    try:
        files, root = FileSystem.from_uri(address)
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{folder}: PyArrow, which reads shards, cannot follow this address: {reason}. It "
            "knows file://, s3://, gs:// and abfs://, and hdfs:// where JAVA_HOME and HADOOP_HOME "
            "say where Java and Hadoop's libraries are"
        ) from error
    return files, root.rstrip("/")


def listed(folder: str | Path) -> list[str]:
    """List all files in a folder and below, without its path; none where it is not there."""
    files, root = opened(folder)
    found = files.get_file_info(FileSelector(root, recursive=True, allow_not_found=True))
    return sorted(info.path.removeprefix(f"{root}/") for info in found if info.is_file)


def sha256_of(files: FileSystem, path: str) -> str:
    """Give the checksum of a file, without holding it."""
    checksum = hashlib.sha256()
    with files.open_input_stream(path) as stream:
        while chunk := stream.read(CHUNK):
            checksum.update(chunk)
    return checksum.hexdigest()


def read_checked(folder: str | Path, file: str, sha256: str) -> bytes:
    """Read a file whole, and refuse it unless it is as it was written."""
    files, root = opened(folder)
    remedy = "delete the folder and write the shards again"
    try:
        with files.open_input_stream(f"{root}/{file}") as stream:
            content: bytes = stream.read()
    except FileNotFoundError as error:
        raise ValueError(f"{file} is not in {folder}, where it was written: {remedy}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(
            f"{file} in {folder} has been changed since it was written: its sha256 is {found}, "
            f"not {sha256}; {remedy}"
        )
    return content


def _absent(folder: str | Path) -> str:
    if listed(folder):
        return (
            f"{folder} has files but no {MANIFEST}, which is written last: it is another folder, "
            "or writing was interrupted; if so, delete it and write the shards again"
        )
    return f"there are no shards in {folder}: write them with behaviorseq.prepare.write_shards"

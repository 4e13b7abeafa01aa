"""Lay out what the book is made of in ``_build/stage``, and render it into ``_build/html``.

The stage repeats the layout of the repository, with the executed notebooks in place of the
written ones, so that links to Colab and to the source keep pointing at the originals. Only
files that changed are written, so Sphinx renders only those; nothing at all is rendered when
nothing changed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measured import measured_page
from progress import duration
from results import Results, digest
from sources import Notebook, heading

# Sphinx cannot see that a page shows a number of another page.
SHOWS_OTHER_PAGE = re.compile(rb"\{glue[^\n]*::")
FIRST_PAGE = re.compile(r'url=([^"]+)"')
# Jupyter Book's own page names no icon, so a browser asks the host for one that is not there. An
# empty icon in the page itself asks for nothing: the reader is gone before a file would arrive.
FRONT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>To the first page of the book</title>
<link rel="icon" href="data:,">
<meta http-equiv="refresh" content="0; url={first}">
<p><a href="{first}">To the first page of the book</a></p>
</html>
"""


def stage_files(root: Path, results: Results, notebooks: list[Notebook]) -> dict[str, bytes]:
    """Return the files of the stage, by path.

    Parameters
    ----------
    root : Path
        The repository.
    results : Results
        Results of the notebooks; each must be there.
    notebooks : list of Notebook
        The notebooks of the book.
    """
    book = root / "book"
    pages = [p for p in sorted(book.rglob("*")) if p.is_file() and "__pycache__" not in p.parts]
    own = {path for path in book.glob("*") if path.suffix in {".py", ".yml"}}
    files = {p.relative_to(root).as_posix(): p.read_bytes() for p in pages if p not in own}
    files["_config.yml"] = (root / "_config.yml").read_bytes()
    files["_toc.yml"] = (book / "_toc.yml").read_bytes()
    for notebook in notebooks:
        files[f"notebooks/{notebook.name}.ipynb"] = results.executed(notebook.name).read_bytes()
    records = [results.record(notebook.name) for notebook in notebooks]
    files["book/measured.md"] = measured_page(records, asked_packages(root)).encode()
    return files


def asked_packages(root: Path) -> set[str]:
    """Return the packages that pyproject.toml asks for by name, in lower case."""
    path = root / "pyproject.toml"
    if not path.exists():
        return set()
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {}).values()
    asked = [line for group in (project["dependencies"], *extras) for line in group]
    return {re.split(r"[^\w.-]", line, maxsplit=1)[0].lower() for line in asked}


def sync(folder: Path, files: Mapping[str, bytes]) -> set[str]:
    """Make a folder hold exactly these files; return the paths written anew.

    A file that is the same already is not touched, so its time stays.
    """
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(folder).as_posix() not in files:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    changed = set()
    for name, data in files.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            changed.add(name)
    return changed


def touch_dependents(stage: Path, files: Mapping[str, bytes], changed: set[str]) -> None:
    """Renew the time of pages that show numbers of another page, if a notebook changed."""
    if any(name.startswith("notebooks/") for name in changed):
        for name, data in files.items():
            if name.endswith((".md", ".ipynb")) and SHOWS_OTHER_PAGE.search(data):
                (stage / name).touch()


def structure(files: Mapping[str, bytes]) -> str:
    """Return the hash of what every page shows: configuration, contents, titles, static files."""
    shown = {name: _shown_everywhere(name, data) for name, data in files.items()}
    return digest([part for name in sorted(shown) for part in (name.encode(), shown[name])])


def _shown_everywhere(name: str, data: bytes) -> bytes:
    """Return the part of a file that other pages show: of a page, its title."""
    if name.endswith(".ipynb"):
        return Notebook(Path(name), json.loads(data)).title.encode()
    return heading(data.decode()).encode() if name.endswith(".md") else data


def render(root: Path, files: Mapping[str, bytes], shared: str) -> bool | None:
    """Stage and render; return whether it passed, None where nothing had changed.

    Parameters
    ----------
    root : Path
        The repository; the pages go to ``_build/html``.
    files : mapping of str to bytes
        The files of the stage.
    shared : str
        Fingerprint of the companion, whose docstrings are pages too, and of the environment.
    """
    build, stamp = root / "_build", root / "_build" / "rendered.json"
    parts = [part for name in sorted(files) for part in (name.encode(), files[name])]
    state = {"key": digest([shared.encode(), *parts]), "structure": structure(files)}
    earlier = _read(stamp)
    if earlier.get("key") == state["key"] and (build / "html" / "index.html").exists():
        return None
    # Without the stamp a render that fails is done again in full: Sphinx would not repeat
    # the warnings of pages that did not change since.
    stamp.unlink(missing_ok=True)
    if earlier.get("structure") != state["structure"]:
        for old in (build / "html", build / ".doctrees"):
            shutil.rmtree(old, ignore_errors=True)
    changed = sync(build / "stage", files)
    touch_dependents(build / "stage", files, changed)
    guess = f", about {duration(earlier['seconds'])}" if earlier else ""
    print(f"Rendering the pages, {len(changed)} files changed{guess}", flush=True)
    start = time.monotonic()
    if not _jupyter_book(build / "stage", root):
        return False
    write_front(build / "html" / "index.html")
    seconds = round(time.monotonic() - start, 1)
    stamp.write_text(json.dumps({**state, "seconds": seconds}), encoding="utf-8")
    return True


def write_front(page: Path) -> None:
    """Give the page that sends a reader to the first one a link; let it load nothing."""
    target = FIRST_PAGE.search(page.read_text(encoding="utf-8"))
    if target is None:
        raise ValueError(f"{page} names no first page; see root in book/_toc.yml")
    page.write_text(FRONT.format(first=target[1]), encoding="utf-8")


def _jupyter_book(stage: Path, output: Path) -> bool:
    """Run jupyter-book, which writes into the folder ``_build/html`` of `output`."""
    program = Path(sys.executable).with_name("jupyter-book")
    options = ["--path-output", str(output), "-W", "-n", "--keep-going", "-q"]
    return subprocess.run([program, "build", str(stage), *options], check=False).returncode == 0


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}

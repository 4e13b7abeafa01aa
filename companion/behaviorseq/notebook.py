"""What the notebooks share: recorded numbers, claims, shown source, progress, figure style.

A build of the book names a file in the environment variable ``BEHAVIORSEQ_RECORDS``.
Every number and every claim of the run is appended to that file, one JSON object a line.
In JupyterLab or Colab the variable is unset and nothing is written.
"""

from __future__ import annotations

import ast
import html
import importlib.metadata
import inspect
import json
import math
import os
import re
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

T = TypeVar("T")
Value = int | float | str

RECORDS = "BEHAVIORSEQ_RECORDS"
GLUE_PREFIX = "application/papermill.record/"  # the output that MyST-NB keeps for {glue:text}
DEFAULT_FORMATS = {int: ",d", float: ".3f", str: "s"}

_numbers: dict[str, dict[str, Any]] = {}  # what this process recorded, by name


class ClaimError(AssertionError):
    """A comparison that the prose states does not hold in this run."""


def record(name: str, value: object, *, fmt: str | None = None, unit: str = "") -> None:
    """Record a result, so that the prose can show it with the ``glue:text`` role of MyST.

    The value is rounded once, here: the prose, and the page *What this book measured*,
    show ``format(value, fmt)``. The output is invisible in the page.

    Parameters
    ----------
    name : str
        Name of the result, unique in the notebook: lower-case letters, digits, ``_`` and ``-``.
    value : int, float, str or numpy scalar
        The result; a number must be finite.
    fmt : str, optional
        Format specification, such as ``".4f"``, ``".1%"`` or ``",d"``. Without it,
        integers get ``",d"`` and floats ``".3f"``.
    unit : str, default ""
        Unit of the value, for the page of results; the prose writes its own.

    Raises
    ------
    TypeError
        If the value is not a number or a string (a truth value belongs in :func:`claim`).
    ValueError
        If the name is malformed, the value is NaN or infinite, the format does not fit or
        rounds a result to zero, or (in a build) the name already has a different value.

    Examples
    --------
    >>> record("ndcg_popularity", 0.03127, fmt=".4f")  # {glue:text}`ndcg_popularity`: 0.0313
    >>> record("n_users", 943)
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise ValueError(f"record: name {name!r} must match [a-z][a-z0-9_-]*")
    plain = _plain(name, value)
    fmt = DEFAULT_FORMATS[type(plain)] if fmt is None else fmt
    shown = _shown(name, plain, fmt)
    entry = {
        "kind": "number",
        "name": name,
        "value": plain,
        "format": fmt,
        "unit": unit,
        "shown": shown,
    }
    earlier = _numbers.get(name)
    if earlier == entry:  # a second output under one name would be a warning in the page
        return
    if earlier is not None and RECORDS in os.environ:  # a reader may run a changed cell again
        raise ValueError(
            f"record: {name!r} is already {earlier['value']!r} ({earlier['format']}) and cannot "
            f"also be {plain!r} ({fmt}); choose another name"
        )
    _numbers[name] = entry
    glue = {"scrapbook": {"name": name, "mime_prefix": GLUE_PREFIX}}
    _display({f"{GLUE_PREFIX}text/plain": repr(shown)}, glue)
    _append(entry)


def _plain(name: str, value: object) -> Value:
    """Return `value` as a plain finite int or float, or a str."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        raise TypeError(f"record: {name!r} is the truth value {value}; state it with claim()")
    if not isinstance(value, int | float | str):
        raise TypeError(
            f"record: {name!r} must be an int, a float, a string or a numpy scalar, "
            f"got {type(value).__name__}"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"record: {name!r} is {value}; a recorded number must be finite")
    return value


def _shown(name: str, value: Value, fmt: str) -> str:
    """Return the text that the page shows for `value`."""
    try:
        shown = format(value, fmt)
    except ValueError as error:
        raise ValueError(f"record: {name!r}: format {fmt!r} on {value!r}: {error}") from None
    if not isinstance(value, str) and value != 0 and not re.search("[1-9]", shown):
        raise ValueError(
            f"record: {name!r}: format {fmt!r} shows {value!r} as {shown}; give it more digits"
        )
    return shown


def claim(text: str, condition: object) -> None:
    """State a comparison that this run must confirm: show it if it holds, stop if not.

    Parameters
    ----------
    text : str
        The claim, as a sentence that a reader understands on its own.
    condition : bool
        Whether it holds in this run.

    Raises
    ------
    ClaimError
        If the condition is False; the message is the text.
    TypeError
        If the condition is not one truth value (an array, a number, None).
    ValueError
        If the text is empty.

    Examples
    --------
    >>> popularity, neighbours = 0.031, 0.058
    >>> claim("Item neighbours beat popularity.", neighbours > popularity)
    >>> claim("Popularity beats item neighbours.", popularity > neighbours)
    Traceback (most recent call last):
    ...
    behaviorseq.notebook.ClaimError: This claim does not hold: Popularity beats item neighbours.
    """
    text = " ".join(text.split())
    if not text:
        raise ValueError("claim: the text is empty; say what must hold")
    if not isinstance(condition, bool | np.bool_):
        raise TypeError(
            f"claim {text!r}: the condition must be True or False, got "
            f"{type(condition).__name__}; reduce an array with .all() or .any()"
        )
    if not condition:
        raise ClaimError(f"This claim does not hold: {text}")
    line = f'<p class="behaviorseq-claim">✓ Checked: {html.escape(text)}</p>'
    _display({"text/plain": f"✓ Checked: {text}", "text/html": line})
    _append({"kind": "claim", "text": text})


def show_source(obj: Callable[..., object], *, docstring: bool = False) -> None:
    """Show the source of a function or class of the companion, with a link to its file.

    Parameters
    ----------
    obj : function or class
        Something defined in behaviorseq.
    docstring : bool, default False
        Whether to show docstrings too.

    Raises
    ------
    ValueError
        If the object is not defined in behaviorseq.

    Examples
    --------
    >>> from behaviorseq.notebook import claim, show_source
    >>> show_source(claim)
    """
    package = Path(__file__).parent
    file = Path(inspect.getsourcefile(obj) or "")
    if not file.is_relative_to(package):
        raise ValueError(f"show_source: {obj!r} is defined in {file.name}, not in behaviorseq")
    lines, first = inspect.getsourcelines(obj)
    source = textwrap.dedent("".join(lines)).rstrip()
    path = file.relative_to(package.parent).as_posix()
    url = f"{repository()}/blob/main/companion/{path}#L{first}-L{first + len(lines) - 1}"
    code = source if docstring else without_docstrings(source)
    # Markdown, because the page then colours it like its own cells, light or dark.
    shown = f"````python\n{code}\n````\n\n[{path}, line {first}]({url})"
    _display({"text/plain": code, "text/markdown": shown})


def repository() -> str:
    """Return the address of the repository, from the metadata of the installed package.

    Returns
    -------
    str
        The address.

    Examples
    --------
    >>> repository().startswith("https://")
    True
    """
    urls: list[str] = importlib.metadata.metadata("behaviorseq").get_all("Project-URL") or []
    return next(url.removeprefix("Repository, ") for url in urls if url.startswith("Repository, "))


def without_docstrings(source: str) -> str:
    r"""Return Python source without the docstrings of its functions and classes.

    A docstring that is the whole body stays: without it the code would not be Python.

    Parameters
    ----------
    source : str
        Source that parses.

    Returns
    -------
    str
        The same lines, less the docstrings and the blank lines under them.

    Examples
    --------
    >>> print(without_docstrings('def double(x):\n    "Twice x."\n    return 2 * x'))
    def double(x):
        return 2 * x
    """
    lines = source.splitlines()
    dropped: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if len(node.body) > 1 and ast.get_docstring(node) is not None:
            stop = node.body[0].end_lineno or 0
            while not lines[stop].strip():
                stop += 1
            dropped.update(range(node.body[0].lineno - 1, stop))
    return "\n".join(line for i, line in enumerate(lines) if i not in dropped)


def progress(iterable: Iterable[T], description: str, *, total: int | None = None) -> Iterable[T]:
    """Show a progress bar over a loop of many seconds; silent while the book is built.

    Parameters
    ----------
    iterable : iterable
        What to loop over.
    description : str
        What the loop does.
    total : int, optional
        Number of steps, where the iterable has no length.

    Returns
    -------
    iterable
        The same elements.

    Examples
    --------
    >>> [step**2 for step in progress(range(3), "Squares")]
    [0, 1, 4]
    """
    from tqdm import tqdm

    silent = RECORDS in os.environ or not InteractiveShell.initialized()
    return tqdm(iterable, desc=description, total=total, leave=False, disable=silent)


def use_style() -> None:
    """Use the figure style of the book: white ground, 7 inches wide, 10 point, Okabe-Ito colours.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> with plt.rc_context():
    ...     use_style()
    ...     plt.rcParams["font.size"]
    10.0
    """
    import matplotlib.pyplot as plt

    plt.style.use("behaviorseq.behaviorseq")
    if InteractiveShell.initialized():
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        # Twice the pixels. IPython's functions are not annotated.
        set_matplotlib_formats("retina")  # type: ignore[no-untyped-call]


def _display(bundle: dict[str, str], metadata: dict[str, Any] | None = None) -> None:
    """Show an output in a notebook; a plain Python program shows nothing."""
    if InteractiveShell.initialized():
        # IPython's functions are not annotated.
        display(bundle, metadata=metadata or {}, raw=True)  # type: ignore[no-untyped-call]


def _append(entry: dict[str, Any]) -> None:
    """Append `entry` to the file of the build, if there is one."""
    path = os.environ.get(RECORDS)
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n")

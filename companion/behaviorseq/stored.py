"""The stored results of the benchmarks, as notebooks show them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
# In an installed package the results are a folder of it; in the repository they lie with their
# benchmarks.
FOLDERS = (HERE / "results", HERE.parents[1] / "benchmarks" / "results")


def stored_results(name: str) -> pd.DataFrame:
    """Read the stored results of a benchmark.

    Some results take long, or need files that not everybody can have. A script of ``benchmarks/``
    makes them, and stores them with where they come from.

    Parameters
    ----------
    name : str
        Name of the benchmark: that of its script without suffix.

    Returns
    -------
    pandas.DataFrame
        The rows of its table. ``attrs`` holds what else was stored, such as ``command``,
        ``about``, ``date``, ``environment`` and ``seed``.

    Raises
    ------
    ValueError
        If no such results are stored; the message names those that are.

    Examples
    --------
    >>> results = stored_results("amazon_beauty")
    >>> results.attrs["command"]
    'python benchmarks/amazon_beauty.py'
    """
    paths = {path.stem: path for folder in FOLDERS for path in sorted(folder.glob("*.json"))}
    if name not in paths:
        raise ValueError(f"no results of {name!r} are stored; there are {', '.join(sorted(paths))}")
    content = json.loads(paths[name].read_text(encoding="utf-8"))
    table = pd.DataFrame(content.pop("rows"))
    table.attrs = content
    return table

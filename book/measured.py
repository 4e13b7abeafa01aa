"""The page *What this book measured*, written from the records of the executed notebooks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from progress import duration

Record = dict[str, Any]

HEAD = """(measured)=
# What this book measured

Every number and every claim below was recorded while the notebooks of this page's edition
ran, {profiles}. The prose shows the same numbers, and a claim that did not hold would have
stopped the build. The page is generated; nothing on it is typed.
"""


def measured_page(records: Iterable[Record], packages: set[str]) -> str:
    """Return the page as MyST Markdown.

    Parameters
    ----------
    records : iterable of dict
        Record of each executed notebook, in the order of the book.
    packages : set of str
        Packages whose versions are of interest: those that the project asks for by name.
    """
    records = list(records)
    profiles = " and ".join(sorted({record["profile"] for record in records})) or "none yet"
    parts = [HEAD.format(profiles=f"profile {profiles}")]
    if records:
        parts += [_cost(records), _machines(records), _versions(records, packages)]
    return "\n".join([*parts, *(_chapter(record) for record in records)])


def _cost(records: list[Record]) -> str:
    """Return the table of what each notebook costs."""
    rows = [
        (
            f"{{doc}}`/notebooks/{r['notebook']}`",
            r["seed"],
            duration(r["seconds"]),
            f"{r['peak_bytes'] / 1e6:,.0f} MB",
            len(r["numbers"]),
            len(r["claims"]),
        )
        for r in records
    ]
    total = duration(sum(r["seconds"] for r in records))
    head = ("Notebook", "Seed", "Time", "Peak memory", "Numbers", "Claims")
    note = f"All notebooks together take {total} of computing."
    return f"## What each notebook costs\n\n{table(head, rows)}\n{note}\n"


def _machines(records: list[Record]) -> str:
    """Return the machines that the notebooks ran on, one row for each kind."""
    fields = ("processor", "cores", "threads", "memory_bytes", "gpu", "system", "python")
    kinds = {tuple(r[field] for field in fields): None for r in records}
    rows = [
        (
            escape(processor), cores, threads or "all", f"{memory / 2**30:.0f} GiB",
            escape(gpu or "none"), escape(system), python,
        )
        for processor, cores, threads, memory, gpu, system, python in kinds
    ]  # fmt: skip
    head = ("Processor", "Cores", "Threads a notebook", "Memory", "GPU", "System", "Python")
    return f"## Machine\n\n{table(head, rows)}"


def _versions(records: list[Record], packages: set[str]) -> str:
    """Return the versions of the packages that the notebooks loaded."""
    used = {(n, v) for r in records for n, v in r["versions"].items() if n.lower() in packages}
    listed = ", ".join(f"{escape(name)} {version}" for name, version in sorted(used))
    return f"## Versions\n\n{listed or 'No package of interest was loaded.'}\n"


def _chapter(record: Record) -> str:
    """Return the section of one notebook: its numbers, then its claims."""
    parts = [
        f"(measured-{record['notebook']})=\n## {escape(record['title'])}\n",
        f"{{doc}}`/notebooks/{record['notebook']}`\n",
    ]
    if record["overrides"]:
        values = ", ".join(f"`{k} = {v!r}`" for k, v in record["overrides"].items())
        parts.append(f"Parameters of the profile {record['profile']}: {values}\n")
    rows = [
        (f"`{n['name']}`", escape(n["shown"]), escape(n["unit"]), _exact(n["value"]))
        for n in record["numbers"]
    ]
    if rows:
        parts.append(table(("Name", "Shown", "Unit", "Recorded"), rows))
    if record["claims"]:
        claims = "\n".join(f"- {escape(claim)}" for claim in record["claims"])
        parts.append(f"Claims that held:\n\n{claims}\n")
    return "\n".join(parts)


def _exact(value: object) -> str:
    """Return a recorded value with all its digits; a text is shown already."""
    return "" if isinstance(value, str) else repr(value)


def table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """Return a Markdown table; the cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def escape(text: str) -> str:
    r"""Return text as Markdown that shows it unchanged.

    Examples
    --------
    >>> print(escape("a_b | c < $d$"))
    a\_b \| c \< \$d\$
    """
    return re.sub(r"([\\`*_{}\[\]()#+!|<>$~^:@&-])", r"\\\1", text)

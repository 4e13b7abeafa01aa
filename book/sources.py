"""The notebooks as they are written: what makes one acceptable, and its parameters."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

KERNEL = "python3"
PARAMETERS = "parameters"  # the tag that papermill looks for


@dataclass(frozen=True)
class Notebook:
    """A notebook of the book, before it is executed.

    Attributes
    ----------
    path : Path
        The ``.ipynb`` file.
    content : dict
        Its JSON.
    """

    path: Path
    content: dict[str, Any]

    @property
    def name(self) -> str:
        """File name without suffix."""
        return self.path.stem

    @property
    def cells(self) -> list[dict[str, Any]]:
        """The cells, as in the file."""
        return list(self.content.get("cells", []))

    @property
    def title(self) -> str:
        """The first heading, or the name where there is none."""
        texts = [source(cell) for cell in self.cells if cell.get("cell_type") == "markdown"]
        return heading("\n".join(texts)) or self.name

    @property
    def parameters(self) -> dict[str, Any]:
        """The values that the parameters cell assigns."""
        found = [cell for cell in self.cells if PARAMETERS in tags(cell)]
        return literals(source(found[0])) if found else {}


def source(cell: dict[str, Any]) -> str:
    """Return the text of a cell, which the format stores as a string or as lines."""
    text = cell.get("source", "")
    return text if isinstance(text, str) else "".join(text)


def heading(text: str) -> str:
    """Return the first heading of Markdown text, or nothing."""
    return next((line[2:].strip() for line in text.splitlines() if line.startswith("# ")), "")


def tags(cell: dict[str, Any]) -> list[str]:
    """Return the tags of a cell."""
    return list(cell.get("metadata", {}).get("tags", []))


def literals(code: str) -> dict[str, Any]:
    """Return the names that a parameters cell assigns, with their values.

    Raises
    ------
    ValueError
        If a line is not ``name = value`` with a literal value.
    """
    values = {}
    for node in ast.parse(code).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values[name] = ast.literal_eval(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                values[name] = ast.literal_eval(value)
            case _:
                raise ValueError(f"line {node.lineno} of the parameters cell is no assignment")
    return values


def load_notebooks(folder: Path) -> list[Notebook]:
    """Return the notebooks of a folder by name; raise ValueError with every fault of every one."""
    notebooks, found = [], []
    for path in sorted(folder.glob("*.ipynb")):
        try:
            notebook = Notebook(path, json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            found.append(f"{path.name}: not a notebook: {error}")
            continue
        notebooks.append(notebook)
        found += [f"{path.name}: {fault}" for fault in faults(notebook)]
    if found:
        raise ValueError("\n".join(found))
    return notebooks


def faults(notebook: Notebook) -> list[str]:
    """Return what is wrong with a notebook, before anything runs."""
    content = notebook.content
    form = (content.get("nbformat"), content.get("nbformat_minor", 0))
    if form[0] != 4 or form[1] < 5:
        return [f"format {form[0]}.{form[1]}; cells have stable ids from 4.5 on"]
    found = []
    kernel = content.get("metadata", {}).get("kernelspec", {}).get("name")
    if kernel != KERNEL:
        found.append(f"kernel {kernel!r}; it must be {KERNEL!r}, the kernel of the environment")
    found += [
        f"cell {number}: {fault}"
        for number, cell in enumerate(notebook.cells, start=1)
        for fault in _cell_faults(cell)
    ]
    ids = [cell["id"] for cell in notebook.cells if cell.get("id")]
    found += [f"cell id {i!r} is used twice" for i in sorted({i for i in ids if ids.count(i) > 1})]
    return found + _parameter_faults(notebook)


def _cell_faults(cell: dict[str, Any]) -> list[str]:
    found = []
    if not cell.get("id"):
        found.append("has no id; save the notebook in format 4.5 or newer")
    if cell.get("outputs"):
        found.append("has committed outputs; remove them with nbstripout")
    if cell.get("execution_count") is not None:
        found.append("has an execution count; remove it with nbstripout")
    return found


def _parameter_faults(notebook: Notebook) -> list[str]:
    code = [cell for cell in notebook.cells if cell.get("cell_type") == "code"]
    tagged = [i for i, cell in enumerate(code) if PARAMETERS in tags(cell)]
    if tagged != [0]:
        return [f"the first code cell, and no other, must have the tag {PARAMETERS!r}"]
    try:
        seeded = "seed" in notebook.parameters
    except (ValueError, SyntaxError) as error:
        return [f"the parameters cell must hold lines 'name = literal' only: {error}"]
    return [] if seeded else ["the parameters cell sets no seed"]


def load_profile(path: Path, notebooks: list[Notebook]) -> dict[str, dict[str, Any]]:
    """Return the overrides of a profile: notebook name to parameters.

    Parameters
    ----------
    path : Path
        YAML file, such as ``notebooks/full.yml``; a missing file overrides nothing.
    notebooks : list of Notebook
        The notebooks that the file may name.

    Raises
    ------
    ValueError
        If the file names a notebook or a parameter that does not exist, or gives a
        parameter another type than its default has.
    """
    overrides = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    overrides = overrides or {}
    if not isinstance(overrides, dict):
        raise ValueError(f"{path.name}: must map notebook names to parameters")
    known = {notebook.name: notebook.parameters for notebook in notebooks}
    found = []
    for name, values in overrides.items():
        if name not in known:
            found.append(f"notebook {name!r} does not exist; there are {sorted(known)}")
        elif not isinstance(values, dict):
            found.append(f"{name}: must map parameters to values")
        else:
            found += [f"{name}: {fault}" for fault in _override_faults(values, known[name])]
    if found:
        raise ValueError("\n".join(f"{path.name}: {fault}" for fault in found))
    return overrides


def _override_faults(values: dict[str, Any], defaults: dict[str, Any]) -> list[str]:
    unknown = [f"parameter {k!r} does not exist; there are {sorted(defaults)}"
               for k in values if k not in defaults]  # fmt: skip
    wrong = [
        f"parameter {k!r} is {v!r}, but its default {defaults[k]!r} is of another type"
        for k, v in values.items()
        if k in defaults and not _same_type(v, defaults[k])
    ]
    return unknown + wrong


def _same_type(value: object, default: object) -> bool:
    """Whether an override can stand for a default; None stands for anything, 3 for 3.0."""
    if value is None or default is None:
        return True
    return type(value) is type(default) or (type(value), type(default)) == (int, float)

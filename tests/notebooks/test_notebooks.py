"""What holds for every notebook, before it runs."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book"))
from sources import Notebook, faults, load_notebooks, load_profile, source, tags  # noqa: E402

PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
REPOSITORY = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Notebook:
    return Notebook(request.param, json.loads(request.param.read_text(encoding="utf-8")))


def of_type(notebook: Notebook, kind: str) -> list[str]:
    return [source(cell) for cell in notebook.cells if cell["cell_type"] == kind]


def test_form(notebook: Notebook) -> None:
    assert faults(notebook) == []


def test_title_names_the_section_of_the_document(notebook: Notebook) -> None:
    first = of_type(notebook, "markdown")[0]
    assert re.search(r"^# ", first, re.M)
    assert re.search(r"Document section \d.*[\u4e00-\u9fff]", first)
    for part in ("What you will learn", "What it needs"):
        assert part in first


def test_the_install_line_is_that_of_the_book(notebook: Notebook) -> None:
    install = of_type(notebook, "code")[1]
    assert f"git+{REPOSITORY}" in install
    assert "google.colab" in install


def test_cells_are_short(notebook: Notebook) -> None:
    long = [c for c in of_type(notebook, "code") if len(c.splitlines()) > 15]
    assert not long


def test_claims_records_and_solutions(notebook: Notebook) -> None:
    code = "\n".join(of_type(notebook, "code"))
    assert code.count("claim(") >= 5
    assert code.count("record(") >= 5
    solutions = [c for c in notebook.cells if "solution" in tags(c)]
    assert len(solutions) >= 3
    assert all("hide-cell" in tags(c) for c in solutions)
    assert "\n".join(of_type(notebook, "markdown")).count("**Exercise ") >= 3


def test_no_claim_is_always_true(notebook: Notebook) -> None:
    for cell in of_type(notebook, "code"):
        for node in ast.walk(ast.parse(cell)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "claim":
                assert not isinstance(node.args[1], ast.Constant), ast.unparse(node)


def test_no_result_is_typed_by_hand(notebook: Notebook) -> None:
    for text in of_type(notebook, "markdown"):
        prose = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\{cite[^}]*\}", " ", text, flags=re.S)
        assert not re.search(r"\b0\.\d{2,}", prose), prose


def test_shown_numbers_are_recorded(notebook: Notebook) -> None:
    shown = set(re.findall(r"\{glue:text\}`([^`:]+)", "\n".join(of_type(notebook, "markdown"))))
    record = ROOT / "_build" / "records" / f"{notebook.name}.json"
    if not record.exists():
        pytest.skip("not executed yet: make book")
    recorded = {n["name"] for n in json.loads(record.read_text())["numbers"]}
    assert shown <= recorded


def test_full_profile_fits_the_notebooks() -> None:
    load_profile(ROOT / "notebooks" / "full.yml", load_notebooks(ROOT / "notebooks"))

"""What holds for every notebook, before it runs."""

from __future__ import annotations

import ast
import importlib
import importlib.util
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
    assert re.search(r"Document section \d.*[\u4e00-\u9fff]|Beyond the document", first)
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


NOT_PROSE = r"```.*?```|\$\$.*?\$\$|\$[^$]*\$|\{[^}]*\}`[^`]*`|`[^`]*`|\]\([^)]*\)"
SECTIONS = r"(?i)\b(sections?|chapters?|python)\s+\d+(\.\d+)+"


def typed_decimals(markdown: str) -> list[str]:
    """Return the decimal numbers of prose, less those of a paragraph that cites its source."""
    blocks = [block for block in re.split(r"\n\s*\n", markdown) if "{cite" not in block]
    prose = re.sub(NOT_PROSE, " ", "\n\n".join(blocks), flags=re.DOTALL)
    return re.findall(r"\d+\.\d+", re.sub(SECTIONS, " ", prose))


def test_no_result_is_typed_by_hand(notebook: Notebook) -> None:
    for text in of_type(notebook, "markdown"):
        assert typed_decimals(text) == [], text


def test_typed_decimals_are_found() -> None:
    assert typed_decimals("NDCG@10 is 0.0431, twice 0.02.") == ["0.0431", "0.02"]
    assert typed_decimals("| kNN | 0.5 |") == ["0.5"]
    fine = "Section 2.1, $d = 0.7$, `0.7`, {glue:text}`n`.\n\nThey report 0.04 {cite:p}`kang`."
    assert typed_decimals(fine) == []


ABSOLUTE = re.compile(r"(?<![\w.:/])/(home|root|tmp|usr|work|mnt|content|Users|var)/|\b[A-Z]:\\\\")


def test_no_cell_names_a_path_of_one_machine(notebook: Notebook) -> None:
    assert [c["id"] for c in notebook.cells if ABSOLUTE.search(source(c))] == []
    assert ABSOLUTE.search("open('/home/ada/log.csv')")
    assert not ABSOLUTE.search("https://example.org/home/ada, ../tmp/x")


def used_names(code: str) -> list[tuple[str, str]]:
    """Return (module, name) of all that a notebook takes from the companion."""
    tree = ast.parse(code)
    found, aliases = [], {"behaviorseq"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("behaviorseq"):
            found += [(str(node.module), alias.name) for alias in node.names]
        if isinstance(node, ast.Import):
            aliases |= {a.asname for a in node.names if a.name == "behaviorseq" and a.asname}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += [("behaviorseq", node.attr)] * (node.value.id in aliases)
    return found


def test_all_that_is_used_of_the_companion_exists(notebook: Notebook) -> None:
    names = used_names("\n".join(of_type(notebook, "code")))
    assert names
    for module, name in names:
        package = importlib.import_module(module)
        inside = importlib.util.find_spec(f"{module}.{name}") if hasattr(package, "__path__") else 0
        assert hasattr(package, name) or inside, f"{module}.{name} does not exist"


def test_used_names_are_found() -> None:
    code = "import behaviorseq as bs\nfrom behaviorseq.plots import plot_x\nbs.nothing(1)"
    assert used_names(code) == [("behaviorseq.plots", "plot_x"), ("behaviorseq", "nothing")]


def test_full_profile_fits_the_notebooks() -> None:
    load_profile(ROOT / "notebooks" / "full.yml", load_notebooks(ROOT / "notebooks"))

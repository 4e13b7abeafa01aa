"""What notebooks share: recorded numbers, claims, shown source, style."""

from __future__ import annotations

import importlib.metadata
import json
import math
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from myst_nb.core.variables import format_plain_text
from myst_nb.ext.glue import extract_glue_data_cell

from behaviorseq import notebook
from behaviorseq.notebook import ClaimError, claim, progress, record, show_source

ROOT = Path(__file__).parents[2]
Shown = list[tuple[dict[str, str], dict[str, Any]]]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "_numbers", {})
    monkeypatch.delenv(notebook.RECORDS, raising=False)


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "records.jsonl"
    monkeypatch.setenv(notebook.RECORDS, str(path))
    return path


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    out: Shown = []
    monkeypatch.setattr(notebook, "_display", lambda data, meta=None: out.append((data, meta)))
    return out


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def page_text(shown: Shown, name: str) -> str:
    """Return what MyST-NB puts in the place of {glue:text}`name`."""
    outputs = [nbformat.v4.new_output("display_data", data, metadata=m) for data, m in shown]
    cell = nbformat.v4.new_code_cell("", outputs=outputs)
    found = dict(extract_glue_data_cell(cell))
    assert cell.outputs == []  # invisible in the page
    return format_plain_text(found[name]["data"]["text/plain"], "s")


@pytest.mark.parametrize(
    ("value", "fmt", "text"),
    [
        (1682, None, "1,682"),
        (0.03127, None, "0.031"),
        (0.5, ".4f", "0.5000"),
        (np.float32(0.25), ".1%", "25.0%"),
        (np.int64(7), None, "7"),
        ("0.10", None, "0.10"),
        ("item-kNN's", None, "item-kNN's"),
        (0.0, None, "0.000"),
        (-3, "+d", "-3"),
    ],
)
def test_page_and_record_show_the_same(
    records: Path, shown: Shown, value: Any, fmt: str | None, text: str
) -> None:
    record("n", value, fmt=fmt, unit="s")
    (entry,) = lines(records)
    assert page_text(shown, "n") == entry["shown"] == text
    assert format(entry["value"], entry["format"]) == text
    assert entry["unit"] == "s"


@given(value=st.floats(-1e300, 1e300), digits=st.integers(0, 8))
def test_rounding_is_that_of_the_format(value: float, digits: int) -> None:
    text = notebook._shown("n", value, f".{digits}e")
    assert math.isclose(float(text), value, rel_tol=10.0**-digits, abs_tol=5e-324)


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float32("nan")])
def test_a_number_must_be_finite(records: Path, value: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        record("n", value)
    assert not records.exists()


@pytest.mark.parametrize("value", [None, [1], np.ones(1), np.datetime64("2020-01-01"), 1j])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="'n' must be an int"):
        record("n", value)


@pytest.mark.parametrize("value", [True, np.bool_(False)])
def test_a_truth_value_is_a_claim(value: object) -> None:
    with pytest.raises(TypeError, match=r"claim\(\)"):
        record("n", value)


@pytest.mark.parametrize(("value", "fmt"), [(0.0004, None), (0.0004, ".0%"), ("text", ".2f")])
def test_a_format_that_does_not_fit_is_refused(value: object, fmt: str | None) -> None:
    with pytest.raises(ValueError, match="format"):
        record("n", value, fmt=fmt)


@pytest.mark.parametrize("name", ["", "N", "a b", "a:b", "1a"])
def test_a_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must match"):
        record(name, 1)


def test_a_name_has_one_value_in_a_build(records: Path, shown: Shown) -> None:
    record("n", 1)
    record("n", 1)
    assert len(lines(records)) == len(shown) == 1
    with pytest.raises(ValueError, match="'n' is already 1"):
        record("n", 2)


def test_a_reader_may_run_a_changed_cell_again(shown: Shown) -> None:
    record("n", 1)
    record("n", 2)
    assert page_text(shown, "n") == "2"


def test_nothing_is_written_outside_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record("n", 1)
    claim("One is one.", True)
    assert list(tmp_path.iterdir()) == []


def test_a_false_claim_stops_and_names_itself(records: Path) -> None:
    with pytest.raises(ClaimError, match="Two is less than one"):
        claim("Two is less than one.", 2 < 1)
    assert not records.exists()


@pytest.mark.parametrize("condition", [True, np.bool_(True)])
def test_a_true_claim_is_shown_and_recorded(records: Path, shown: Shown, condition: object) -> None:
    claim("a < b\n  and <i>c</i>.", condition)
    assert lines(records) == [{"kind": "claim", "text": "a < b and <i>c</i>."}]
    ((data, _),) = shown
    assert data["text/plain"] == "✓ Checked: a < b and <i>c</i>."
    assert "a &lt; b and &lt;i&gt;c" in data["text/html"]


@pytest.mark.parametrize("condition", [None, 1, 0.0, "yes", np.array([True]), [True]])
def test_a_claim_needs_one_truth_value(condition: object) -> None:
    with pytest.raises(TypeError, match="must be True or False"):
        claim("Something holds.", condition)


def test_a_claim_needs_words() -> None:
    with pytest.raises(ValueError, match="empty"):
        claim("  ", True)


def test_source_is_shown_without_docstring_and_with_its_address(shown: Shown) -> None:
    show_source(claim)
    ((data, _),) = shown
    compile(data["text/plain"], "claim", "exec")
    assert data["text/plain"].startswith("def claim(")
    assert "Parameters" not in data["text/plain"]
    first, last = data["text/markdown"].rpartition("#L")[2].rstrip(")").split("-L")
    file = ROOT / "companion" / "behaviorseq" / "notebook.py"
    source = file.read_text().splitlines()[int(first) - 1 : int(last)]
    assert source[0].startswith("def claim(")
    assert "/blob/main/companion/behaviorseq/notebook.py#L" in data["text/markdown"]


def test_the_docstring_is_shown_on_request(shown: Shown) -> None:
    show_source(claim, docstring=True)
    assert "Parameters" in shown[0][0]["text/plain"]


def test_only_the_companion_is_shown() -> None:
    with pytest.raises(ValueError, match="not in behaviorseq"):
        show_source(json.dumps)


def test_docstrings_of_methods_go_too_and_a_body_stays() -> None:
    source = 'class A:\n    """A."""\n\n    def f(self):\n        """F."""\n\n        return 1\n'
    source += '\n    def g(self):\n        """Only this."""\n'
    out = notebook.without_docstrings(source)
    assert out == (
        'class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        """Only this."""'
    )


def test_the_address_is_that_of_the_configuration() -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert notebook.repository() == config["repository"]["url"]
    assert config["repository"]["branch"] == "main"
    assert importlib.metadata.version("behaviorseq")


def test_progress_passes_everything_on(records: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(3), "Counting")) == [0, 1, 2]
    assert capfd.readouterr().err == ""

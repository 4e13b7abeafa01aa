"""The build: what it runs, what it refuses, what it keeps."""

from __future__ import annotations

import doctest
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book"))
import build  # noqa: E402
import execute  # noqa: E402
import measured  # noqa: E402
import progress  # noqa: E402
import render  # noqa: E402
import run_notebook  # noqa: E402
from results import Results, fingerprint, make_jobs  # noqa: E402
from sources import faults, load_notebooks  # noqa: E402


def cell(number: int, code: str, *tags: str) -> dict:
    return {
        "cell_type": "code",
        "id": f"cell-{number}",
        "metadata": {"tags": list(tags)},
        "source": code,
        "outputs": [],
        "execution_count": None,
    }


def write(root: Path, name: str, *codes: str) -> Path:
    cells = [cell(0, "seed = 0\nsize = 2", "parameters")]
    cells += [cell(i + 1, code) for i, code in enumerate(codes)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    path = root / "notebooks" / f"{name}.ipynb"
    content = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a project with a copy of the companion and no notebooks."""
    (tmp_path / "notebooks").mkdir()
    skip = shutil.ignore_patterns("__pycache__")
    package = Path("companion") / "behaviorseq"
    shutil.copytree(ROOT / package, tmp_path / package, ignore=skip)
    return tmp_path


def run(root: Path, *arguments: str) -> int:
    return build.main(["--no-render", *arguments], root=root)


def record_of(root: Path, name: str) -> dict:
    return json.loads((root / "_build" / "records" / f"{name}.json").read_text())


USE = "from behaviorseq import claim, record"


def test_results_are_kept_until_something_changes(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root, "01_a", f"{USE}\nrecord('n', size)", "claim('Two is more than one.', size > 1)")
    assert run(root) == 0
    record = record_of(root, "01_a")
    assert [n["value"] for n in record["numbers"]] == [2]
    assert record["claims"] == ["Two is more than one."]
    assert record["peak_bytes"] > 1e6
    assert run(root) == 0
    assert "1 notebooks, 0 to run" in capsys.readouterr().out
    (root / "notebooks" / "full.yml").write_text("01_a: {size: 3}\n")
    assert run(root, "--profile", "full") == 0
    assert [n["value"] for n in record_of(root, "01_a")["numbers"]] == [3]
    write(root, "01_a", f"{USE}\nrecord('n', 7)")
    assert run(root) == 0
    assert [n["value"] for n in record_of(root, "01_a")["numbers"]] == [7]


def keys(root: Path, overrides: dict | None = None) -> dict[str, str]:
    notebooks = load_notebooks(root / "notebooks")
    jobs = make_jobs(notebooks, "full", overrides or {}, fingerprint(root))
    return {job.notebook.name: job.key for job in jobs}


def test_the_key_changes_with_all_that_a_result_depends_on(root: Path) -> None:
    write(root, "01_a", "1")
    write(root, "02_b", "1")
    first = keys(root)
    assert keys(root) == first
    changed = keys(root, {"01_a": {"size": 3}})
    assert changed["01_a"] != first["01_a"]
    assert changed["02_b"] == first["02_b"]
    write(root, "01_a", "2")
    changed = keys(root)
    assert changed["01_a"] != first["01_a"]
    assert changed["02_b"] == first["02_b"]
    with (root / "companion" / "behaviorseq" / "plots.py").open("a") as file:
        file.write("# another line\n")
    second = keys(root)
    assert second["02_b"] != first["02_b"]
    stored = root / "benchmarks" / "results" / "amazon.json"
    stored.parent.mkdir(parents=True)
    stored.write_text("{}")
    assert keys(root)["02_b"] != second["02_b"]


def test_a_damaged_result_is_made_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root, "01_a", "1")
    assert run(root) == 0
    (root / "_build" / "executed" / "01_a.ipynb").write_text("half a note")
    assert run(root) == 0
    assert capsys.readouterr().out.count("1 notebooks, 1 to run") == 2


def test_an_executed_notebook_holds_no_trace_of_the_machine(root: Path) -> None:
    (root / "notebooks" / "full.yml").write_text("01_a: {size: 3}\n")
    write(root, "01_a", "size + 1")
    assert run(root, "--profile", "full") == 0
    text = (root / "_build" / "executed" / "01_a.ipynb").read_text()
    cells = json.loads(text)["cells"]
    assert [c["id"] for c in cells] == ["cell-0", "injected-parameters", "cell-1"]
    assert "remove-cell" in cells[1]["metadata"]["tags"]
    assert cells[2]["outputs"][0]["data"]["text/plain"] == ["4"]
    assert str(root) not in text
    assert "papermill" not in json.loads(text)["metadata"]


def test_a_notebook_that_takes_too_long_is_stopped_with_its_kernel(root: Path) -> None:
    pid = root / "pid"
    code = f"import os, pathlib, time\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))"
    write(root, "01_slow", code, "time.sleep(300)")
    (job,) = make_jobs(load_notebooks(root / "notebooks"), "quick", {}, "")
    slow = execute.Run(job, root / "_build" / "work", execute.environment(root, 1))
    assert wait_until(lambda: pid.exists() and pid.read_text() != "")
    bar = progress.Progress({"01_slow": 1.0}, 1)
    (failure,) = execute._finish(slow, Results(root / "_build"), bar, limit=0.5)
    assert "It ran longer than the limit of" in str(failure)
    assert failure.where.startswith("code cell ")
    assert wait_until(lambda: not alive(int(pid.read_text())))


def test_a_run_that_was_cut_off_while_it_was_saved_says_so(root: Path) -> None:
    write(root, "01_slow", "1")
    (job,) = make_jobs(load_notebooks(root / "notebooks"), "quick", {}, "")
    run = execute.Run(job, root / "_build" / "work", execute.environment(root, 1))
    run.stop()
    (run.work / "run.ipynb").write_text('{"cells": [{"cell_type": "code", "sou', encoding="utf-8")
    assert run.failure("It took too long.").where == "a cell whose saving was cut off"
    (run.work / "run.ipynb").unlink()
    assert run.failure("It took too long.").where == "its start"


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.1)
    return condition()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_false_claim_stops_the_build_and_not_the_other_notebooks(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root, "01_wrong", f"{USE}\nclaim('One is more than two.', 1 > size)")
    write(root, "02_right", f"{USE}\nrecord('n', 1)")
    assert run(root) == 1
    out = capsys.readouterr().out
    assert "01_wrong failed in code cell 2" in out
    assert "This claim does not hold: One is more than two." in out
    assert "not rendered" in out
    assert record_of(root, "02_right")["numbers"][0]["value"] == 1
    assert not (root / "_build" / "records" / "01_wrong.json").exists()


def test_committed_outputs_are_rejected_before_anything_runs(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root, "01_good", "1 + 1")
    path = write(root, "02_bad", "1 + 1")
    content = json.loads(path.read_text())
    content["cells"][1]["outputs"] = [
        {"output_type": "stream", "name": "stdout", "text": "2"},
    ]
    path.write_text(json.dumps(content))
    assert run(root) == 2
    assert "02_bad.ipynb: cell 2: has committed outputs" in capsys.readouterr().out
    assert not (root / "_build" / "executed").exists()


def test_what_makes_a_notebook_unacceptable(root: Path) -> None:
    path = write(root, "01_a", "1")
    content = json.loads(path.read_text())
    (notebook,) = load_notebooks(root / "notebooks")

    def found(**changes: object) -> str:
        return "\n".join(faults(type(notebook)(path, {**content, **changes})))

    assert found() == ""
    first, second = content["cells"]
    assert "has no id" in found(cells=[first, {**second, "id": None}])
    assert "used twice" in found(cells=[first, {**second, "id": first["id"]}])
    assert "execution count" in found(cells=[first, {**second, "execution_count": 3}])
    assert "first code cell" in found(cells=[second, first])
    assert "'name = literal'" in found(cells=[{**first, "source": "seed = f()"}, second])
    assert "sets no seed" in found(cells=[{**first, "source": "size = 2"}, second])
    assert "stable ids" in found(nbformat_minor=4)
    assert "kernel 'conda'" in found(metadata={"kernelspec": {"name": "conda"}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("09_z: {size: 1}", "notebook '09_z' does not exist"),
        ("01_a: {sice: 1}", "parameter 'sice' does not exist"),
        ("01_a: {size: big}", "of another type"),
    ],
)
def test_a_profile_with_a_wrong_name_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    write(root, "01_a", "1")
    (root / "notebooks" / "full.yml").write_text(text)
    assert run(root, "--profile", "full") == 2
    assert message in capsys.readouterr().out


def test_a_killed_build_leaves_no_half_result_and_the_next_one_goes_on(root: Path) -> None:
    write(root, "01_quick", f"{USE}\nrecord('n', 1)")
    flag = root / "started"
    write(
        root,
        "02_slow",
        f"import pathlib, time\npathlib.Path({str(flag)!r}).touch()\ntime.sleep(60)",
    )
    code = f"import sys, pathlib; sys.path.insert(0, {str(ROOT / 'book')!r}); import build; "
    code += f"build.main(['--no-render'], root=pathlib.Path({str(root)!r}))"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    done = root / "_build" / "records" / "01_quick.json"
    wait_until(lambda: flag.exists() and done.exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert done.exists()
    assert not (root / "_build" / "executed" / "02_slow.ipynb").exists()
    before = done.stat().st_mtime_ns
    write(root, "02_slow", "1")
    assert run(root) == 0
    assert done.stat().st_mtime_ns == before
    assert record_of(root, "02_slow")["claims"] == []


def test_one_notebook_can_be_named_by_its_start(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root, "01_a", "1")
    write(root, "02_b", "1")
    assert run(root, "--notebook", "02") == 0
    assert "no current result of 01_a" in capsys.readouterr().out
    assert run(root, "--notebook", "0") == 2
    assert "no notebook is called ['0']" in capsys.readouterr().out


def test_the_page_of_results_lists_every_number_and_claim() -> None:
    number = {"name": "n", "shown": "0.5", "unit": "", "value": 0.51234, "format": ".1f"}
    record = {
        "notebook": "01_a",
        "title": "A | title",
        "profile": "full",
        "overrides": {"size": 3},
        "seed": 7,
        "seconds": 3.2,
        "peak_bytes": 5e8,
        "processor": "A processor",
        "cores": 2,
        "threads": 1,
        "memory_bytes": 8 * 2**30,
        "gpu": None,
        "system": "Linux x86_64",
        "python": "3.11.7",
        "versions": {"numpy": "2.4.6", "zipp": "1.0"},
        "claims": ["One | two."],
        "numbers": [number],
    }
    page = measured.measured_page([record], {"numpy"})
    assert "| `n` | 0.5 |  | 0.51234 |" in page
    assert r"- One \| two." in page
    assert "| 7 | 3 s | 500 MB | 1 | 1 |" in page
    assert r"| A processor | 2 | 1 | 8 GiB | none | Linux x86\_64 | 3.11.7 |" in page
    assert "numpy 2.4.6" in page
    assert "zipp" not in page
    assert "profile full: `size = 3`" in page


def test_the_stage_is_written_only_where_it_changed(tmp_path: Path) -> None:
    assert render.sync(tmp_path, {"a/b.md": b"1", "c.md": b"2"}) == {"a/b.md", "c.md"}
    before = (tmp_path / "c.md").stat().st_mtime_ns
    assert render.sync(tmp_path, {"a/b.md": b"3", "c.md": b"2"}) == {"a/b.md"}
    assert (tmp_path / "c.md").stat().st_mtime_ns == before
    assert render.sync(tmp_path, {"c.md": b"2"}) == set()
    assert not (tmp_path / "a").exists()


def test_examples_in_docstrings() -> None:
    for module in (progress, measured):
        outcome = doctest.testmod(module)
        assert outcome.attempted > 0
        assert outcome.failed == 0


CONFIG = """title: Tiny
author: Nobody
only_build_toc_files: true
execute: {execute_notebooks: "off"}
"""
TOC = """format: jb-book
root: book/index
chapters: [{file: notebooks/01_a}, {file: book/measured}]
"""


def test_the_page_shows_the_recorded_number(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = f"{USE}\nmean = (size + seed) / 3\nrecord('mean', mean, fmt='.3f')"
    path = write(root, "01_a", code, "claim('It is below one.', mean < 1)")
    content = json.loads(path.read_text())
    text = "# A chapter\n\nThe mean is {glue:text}`mean`."
    prose = {"cell_type": "markdown", "id": "prose", "metadata": {}, "source": text}
    content["cells"].insert(0, prose)
    path.write_text(json.dumps(content))
    index = root / "book" / "index.md"
    index.parent.mkdir()
    index.write_text("# Tiny\n\nSo {glue:text}`../notebooks/01_a.ipynb::mean:s`.\n")
    (root / "book" / "_toc.yml").write_text(TOC)
    (root / "_config.yml").write_text(CONFIG)
    assert build.main([], root=root) == 0
    (number,) = record_of(root, "01_a")["numbers"]
    assert number["shown"] == format(number["value"], number["format"]) == "0.667"
    shown = f'<span class="pasted-text">{number["shown"]}</span>'
    pages = root / "_build" / "html"
    chapter = (pages / "notebooks" / "01_a.html").read_text()
    assert f"The mean is {shown}." in chapter
    assert "Checked: It is below one." in chapter
    assert f"So {shown}." in (pages / "book" / "index.html").read_text()
    assert repr(number["value"]) in (pages / "book" / "measured.html").read_text()
    capfd.readouterr()
    assert build.main([], root=root) == 0
    assert "Nothing had changed" in capfd.readouterr().out
    index.write_text("# Tiny\n\nSee {ref}`nowhere`.\n")
    for _ in range(2):  # a warning does not disappear at the second try
        assert build.main([], root=root) == 1
        assert "nowhere" in capfd.readouterr().err


def test_the_front_page_keeps_its_target_and_loads_nothing(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    page.write_text('<meta http-equiv="Refresh" content="0; url=book/index.html" />')
    for _ in range(2):
        render.write_front(page)
        assert 'url=book/index.html"' in page.read_text()
        assert re.findall(r'<link[^>]*href="([^"]*)"|src=', page.read_text()) == ["data:,"]
    page.write_text("nothing")
    with pytest.raises(ValueError, match="names no first page"):
        render.write_front(page)


def test_what_a_cell_printed_may_come_in_pieces() -> None:
    pieces = [("stdout", '{"peak_bytes": 1}'), ("stderr", "a warning"), ("stdout", "\n")]
    outputs = [nbformat.v4.new_output("stream", name=name, text=text) for name, text in pieces]
    told = run_notebook.printed(nbformat.v4.new_code_cell("", outputs=outputs))
    assert json.loads(told) == {"peak_bytes": 1}

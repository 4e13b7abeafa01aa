"""The build: what it runs, what it refuses, what it keeps."""

from __future__ import annotations

import doctest
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book"))
import build  # noqa: E402
import measured  # noqa: E402
import progress  # noqa: E402
import render  # noqa: E402
from results import fingerprint, make_jobs  # noqa: E402
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


def test_a_notebook_that_takes_too_long_is_stopped_with_its_kernel(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pid = root / "pid"
    code = f"import os, pathlib, time\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))"
    write(root, "01_slow", code, "time.sleep(300)")
    start = time.monotonic()
    assert run(root, "--time-limit", "15") == 1
    assert time.monotonic() - start < 60
    out = capsys.readouterr().out
    assert "01_slow failed in code cell 3" in out
    assert "longer than the limit of 15 s" in out
    until = time.monotonic() + 10
    while alive(int(pid.read_text())) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(int(pid.read_text()))
    assert not list((root / "_build" / "work").glob("*"))


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
    until = time.monotonic() + 60
    done = root / "_build" / "records" / "01_quick.json"
    while not (flag.exists() and done.exists()) and time.monotonic() < until:
        time.sleep(0.1)
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

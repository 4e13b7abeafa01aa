"""Execute notebooks, several at a time, each in a worker process with its own time limit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from progress import Progress, duration
from results import Job, Results
from sources import source, tags

WORKER = Path(__file__).with_name("run_notebook.py")
RECORDS = "BEHAVIORSEQ_RECORDS"  # the same name as in behaviorseq.notebook
THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip
GRACE = 15.0  # seconds that a worker gets to stop its kernel


@dataclass(frozen=True)
class Failure:
    """A notebook that did not run to its end.

    Attributes
    ----------
    name : str
        The notebook.
    where : str
        The cell.
    code : str
        Source of the cell.
    reason : str
        Traceback, or what else stopped it.
    """

    name: str
    where: str
    code: str
    reason: str

    def __str__(self) -> str:
        """Return the report that the console shows."""
        code = "\n".join(f"    {line}" for line in self.code.splitlines())
        return f"{self.name} failed in {self.where}:\n\n{code}\n\n{self.reason.rstrip()}\n"


class Run:
    """A worker process that executes one job in its own work folder.

    Parameters
    ----------
    job : Job
        What to execute.
    work : Path
        An empty folder of its own.
    env : dict
        Environment variables.
    """

    def __init__(self, job: Job, work: Path, env: dict[str, str]) -> None:
        work.mkdir(parents=True)
        self.job, self.work, self.started = job, work, time.monotonic()
        command = [sys.executable, str(WORKER), str(job.notebook.path), str(work)]
        with (work / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, json.dumps(job.overrides)],
                stdin=subprocess.PIPE,  # the worker ends when this pipe closes
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**env, RECORDS: str(work / "records.jsonl")},
                start_new_session=True,  # Ctrl-C reaches the build alone, which stops its workers
            )

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def ended(self) -> bool:
        """Whether the worker is done."""
        return self._process.poll() is not None

    def passed(self) -> bool:
        """Whether it left a complete result."""
        return self._process.returncode == 0 and (self.work / "executed.ipynb").exists()

    def stop(self) -> None:
        """Stop the worker and its kernel."""
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def failure(self, reason: str | None = None) -> Failure:
        """Return where and why the notebook stopped; `reason` if the build stopped it."""
        number = 0
        for cell in self._cells():
            if cell["cell_type"] != "code":
                continue
            number += "injected-parameters" not in tags(cell)
            errors = [o for o in cell["outputs"] if o["output_type"] == "error"]
            done = cell["metadata"].get("papermill", {}).get("status") == "completed"
            if errors or not done:
                trace = "\n".join(errors[0]["traceback"]) if errors else self._log()
                where = f"code cell {number} (id {cell['id']})"
                return Failure(self._name, where, source(cell), reason or plain(trace))
        saved = (self.work / "run.ipynb").exists()
        where = "a cell whose saving was cut off" if saved else "its start"
        return Failure(self._name, where, "", reason or plain(self._log()))

    def _cells(self) -> list[dict[str, Any]]:
        """Return the cells as last saved: none before the first saving, or if it was cut off."""
        try:
            text = (self.work / "run.ipynb").read_text(encoding="utf-8")
            cells: list[dict[str, Any]] = json.loads(text)["cells"]
        except (FileNotFoundError, json.JSONDecodeError):
            return []
        return cells

    @property
    def _name(self) -> str:
        return self.job.notebook.name

    def _log(self) -> str:
        return (self.work / "log").read_text(encoding="utf-8", errors="replace")


def plain(text: str) -> str:
    """Return text without terminal colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def environment(root: Path, threads: int) -> dict[str, str]:
    """Return the environment of a worker: its threads, the companion of this tree, no profile."""
    paths = [str(root / "companion"), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        **{name: str(threads) for name in THREADS},
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONHASHSEED": "0",
        # pooch's progress bar asks for a widget that pages cannot show; the warning names a path.
        "PYTHONWARNINGS": "ignore:IProgress not found",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "IPYTHONDIR": str(root / "_build" / "ipython"),  # no start-up file of the user
        "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this environment, not of the user
    }


def execute(
    jobs: list[Job], results: Results, env: dict[str, str], *, workers: int, limit: float
) -> list[Failure]:
    """Execute jobs, `workers` at a time, the longest first; return the failures.

    A notebook that fails, or takes more than `limit` seconds, does not stop the others.
    """
    expected = {job.notebook.name: results.expected(job.notebook.name) for job in jobs}
    waiting = sorted(jobs, key=lambda job: -expected[job.notebook.name])
    work = fresh_work_folder(results.build)
    bar = Progress(expected, workers)
    running: list[Run] = []
    failures: list[Failure] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                running.append(Run(job, work / job.notebook.name, env))
            time.sleep(0.1)
            bar.show({run.job.notebook.name: run.seconds for run in running})
            for run in [run for run in running if run.ended() or run.seconds > limit]:
                running.remove(run)
                failures += _finish(run, results, bar, limit)
    finally:
        for run in running:
            run.stop()
        bar.close()
        shutil.rmtree(work, ignore_errors=True)
    return failures


def _finish(run: Run, results: Results, bar: Progress, limit: float) -> list[Failure]:
    """Store the result of a run that ended, or stop one that takes too long."""
    name, seconds = run.job.notebook.name, run.seconds
    if not run.ended():
        run.stop()
        bar.finish(name, f"STOPPED after {duration(seconds)}")
        return [run.failure(f"It ran longer than the limit of {duration(limit)}.")]
    if not run.passed():
        bar.finish(name, f"FAILED after {duration(seconds)}")
        return [run.failure()]
    record = results.store(run.job, run.work)
    memory = record["peak_bytes"] / 1e6
    counts = f"{len(record['numbers'])} numbers, {len(record['claims'])} claims"
    bar.finish(name, f"{duration(record['seconds'])}, {memory:,.0f} MB, {counts}")
    return []


def fresh_work_folder(build: Path) -> Path:
    """Return the work folder of this process, and remove those of builds that were killed."""
    mine = build / "work" / str(os.getpid())
    for path in (build / "work").glob("*"):
        if path == mine or not _is_alive(int(path.name)):
            shutil.rmtree(path, ignore_errors=True)
    return mine


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

"""What all benchmarks share: time and memory in a fresh process, and the file of results."""

from __future__ import annotations

import gc
import importlib.metadata
import json
import multiprocessing
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from behaviorseq.machine import machine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("behaviorseq", "narwhals", "numpy", "pandas", "pyarrow", "scipy")
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Measurement:
    """What some runs of a function took, each run in a process of its own.

    Parameters
    ----------
    seconds : tuple of float
        Wall-clock time of each run, in order.
    cpu_seconds : tuple of float
        Processor time of each run, over all its threads. Far below ``seconds``, it tells that the
        run waited for others.
    peak_bytes : int
        Most resident memory of the process during a run, its input and the libraries included;
        the largest of the runs.
    start_bytes : int
        Resident memory just before a run: input and libraries.
    result : object
        What the last run returned.
    """

    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    peak_bytes: int
    start_bytes: int
    result: Any

    @property
    def median_seconds(self) -> float:
        """Median wall-clock time of the runs."""
        return statistics.median(self.seconds)

    @property
    def median_cpu_seconds(self) -> float:
        """Median processor time of the runs."""
        return statistics.median(self.cpu_seconds)


def measured(
    function: Callable[..., Any],
    *arguments: Any,
    prepare: Callable[..., tuple[Any, ...]] | None = None,
    runs: int = 3,
) -> Measurement:
    """Run a function several times, each time in a fresh process.

    Parameters
    ----------
    function : callable
        Defined at the top of a module; its result must be small and can be pickled.
    *arguments
        What ``function`` gets, or ``prepare`` where it is given.
    prepare : callable, optional
        Makes the arguments of ``function`` in the fresh process, outside the measurement.
    runs : int
        How many times.

    Returns
    -------
    Measurement
        Times, memory, and the result of the last run.
    """
    fresh = multiprocessing.get_context("spawn")
    outcomes = []
    for _ in range(runs):
        with ProcessPoolExecutor(max_workers=1, mp_context=fresh) as process:
            outcomes.append(process.submit(_run, function, arguments, prepare).result())
    seconds, cpu_seconds, starts, peaks, results = zip(*outcomes, strict=True)
    return Measurement(seconds, cpu_seconds, max(peaks), max(starts), results[-1])


def _run(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    prepare: Callable[..., tuple[Any, ...]] | None,
) -> tuple[float, float, int, int, Any]:
    """Run once in this process; return seconds, processor seconds, memory, its peak, result."""
    prepared = arguments if prepare is None else prepare(*arguments)
    gc.collect()
    _forget_peak()
    before = _memory("VmRSS")
    start, cpu_start = time.perf_counter(), time.process_time()
    result = function(*prepared)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return seconds, cpu_seconds, before, _memory("VmHWM"), result


def _forget_peak() -> None:
    """Let the peak start from now, so that ``prepare`` does not count (Linux, where allowed)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _memory(field: str) -> int:
    """Read resident memory of this process in bytes: VmRSS is now, VmHWM is the peak.

    Without /proc the peak stands for both. Linux's getrusage is not used: it hands a parent's
    peak on to its children.
    """
    if STATUS.exists():
        lines = STATUS.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def environment(libraries: Sequence[str] = LIBRARIES) -> dict[str, Any]:
    """Describe what times depend on: processor, cores, memory, system and versions."""
    facts = machine()
    memory = round(facts.pop("memory_bytes") / 1e9, 1)
    versions = {name: importlib.metadata.version(name) for name in libraries}
    return {**facts, "memory_gb": memory, "versions": versions}


def write_result(
    name: str,
    rows: Sequence[dict[str, Any]],
    *,
    about: str,
    seed: int | None = None,
    libraries: Sequence[str] = LIBRARIES,
    **more: Any,
) -> Path:
    """Write ``results/<name>.json``: the rows of a table and where they come from.

    Parameters
    ----------
    name : str
        Name of the benchmark's script, without its suffix.
    rows : sequence of dict
        The rows of the table.
    about : str
        What was measured, and how, in a sentence or two.
    seed : int, optional
        Seed of everything random.
    libraries : sequence of str
        Distributions whose versions are recorded.
    **more
        Anything else that belongs to the result and can be written as JSON.

    Returns
    -------
    Path
        The file, written whole or not at all.
    """
    content = {
        "benchmark": name,
        "command": f"python benchmarks/{name}.py",
        "about": about,
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "environment": environment(libraries),
        **more,
        "rows": list(rows),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(path)
    return path

"""Run one notebook in this process: the worker that ``execute`` starts for each notebook.

``python book/run_notebook.py NOTEBOOK WORK PARAMETERS`` executes NOTEBOOK through papermill
with PARAMETERS (JSON) and leaves in the folder WORK: ``run.ipynb``, saved after each cell;
then, only if every cell passed, ``usage.json`` and ``executed.ipynb``, in this order.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import nbformat
import papermill

from behaviorseq.machine import machine

GRACE = 10.0  # seconds that a kernel gets to stop


def run(source: Path, work: Path, parameters: dict[str, Any]) -> None:
    """Execute the notebook `source` in the folder `work`."""
    notebook = nbformat.read(source, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(usage_code()))
    nbformat.write(notebook, work / "prepared.ipynb")
    start = time.perf_counter()
    executed = papermill.execute_notebook(
        work / "prepared.ipynb",
        work / "run.ipynb",
        parameters=parameters,
        language="python",
        cwd=source.parent,
        progress_bar=False,
    )
    seconds = time.perf_counter() - start
    usage = json.loads(printed(executed.cells.pop()))
    threads = int(os.environ.get("OMP_NUM_THREADS", 0)) or None
    usage = {"seconds": round(seconds, 1), **usage, **machine(), "threads": threads}
    (work / "usage.json").write_text(json.dumps(usage), encoding="utf-8")
    nbformat.write(cleaned(executed), work / "executed.part")
    (work / "executed.part").replace(work / "executed.ipynb")


def usage_code() -> str:
    """Return the cell that measures the kernel, run after the last cell and then removed."""
    code = inspect.getsource(kernel_usage)
    return f"import json\nfrom typing import Any\n{code}\nprint(json.dumps(kernel_usage()))"


def printed(cell: nbformat.NotebookNode) -> str:
    """Return what a cell printed; the kernel may send the end of a line in a message of its own."""
    return "".join(out.text for out in cell.outputs if out.get("name") == "stdout")


def kernel_usage() -> dict[str, Any]:
    """Return peak memory, GPU and versions of the process that calls; runs in the kernel."""
    import importlib.metadata
    import sys
    from pathlib import Path

    status = Path("/proc/self/status")
    if status.exists():  # exact; the figure of getrusage would start from the parent's size
        line = next(line for line in status.read_text().splitlines() if "VmHWM" in line)
        peak = int(line.split()[1]) * 1024
    else:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
    torch = sys.modules.get("torch")
    gpu = torch.cuda.get_device_name() if torch and torch.cuda.is_available() else None
    owners = importlib.metadata.packages_distributions()
    loaded = {name for module in list(sys.modules) for name in owners.get(module, ())}
    versions = {name: importlib.metadata.version(name) for name in sorted(loaded)}
    return {"peak_bytes": peak, "gpu": gpu, "versions": versions}


def cleaned(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook without what differs from run to run: times, random ids, paths."""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        cell_tags = cell.metadata.pop("tags", [])
        if "injected-parameters" in cell_tags:
            cell.id = "injected-parameters"
            cell_tags = [*cell_tags, "remove-cell"]
        if cell_tags:
            cell.metadata["tags"] = cell_tags
    return notebook


def end_with_parent() -> None:
    """Stop this process, and the kernel with it, when the build that started it is gone.

    The build holds the other end of standard input and never writes: the read ends when
    the build does, however it ended.
    """

    def wait() -> None:
        while os.read(0, 1024):  # not sys.stdin, whose lock would be held at the end
            pass
        os.kill(os.getpid(), signal.SIGTERM)  # nbclient stops its kernel, then this process ends
        time.sleep(GRACE)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    end_with_parent()
    run(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))

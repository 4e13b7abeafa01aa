"""Build the book: execute the notebooks that changed, then render the pages that changed.

``python book/build.py`` does all of it; ``--help`` lists the options. The exit code is 0
when the book is up to date, 1 when a notebook or the rendering failed, 2 when a notebook
is not acceptable as written or an option is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from execute import Failure, environment, execute
from progress import duration, time_left
from render import render, stage_files
from results import Job, Results, fingerprint, make_jobs
from sources import Notebook, load_notebooks, load_profile

ROOT = Path(__file__).parents[1]
LIMITS = {"quick": 300.0, "full": 7200.0}  # seconds a notebook may take


def main(arguments: Sequence[str] | None = None, *, root: Path = ROOT) -> int:
    """Build the book of the repository `root`; return the exit code."""
    options = parse(arguments)
    start = time.monotonic()
    try:
        notebooks = load_notebooks(root / "notebooks")
        full = load_profile(root / "notebooks" / "full.yml", notebooks)
        chosen = choose(notebooks, options.notebook)
    except ValueError as error:
        print(f"Nothing was run:\n{error}")
        return 2
    shared = fingerprint(root)
    jobs = make_jobs(notebooks, options.profile, full if options.profile == "full" else {}, shared)
    results = Results(root / "_build")
    results.forget_others(notebook.name for notebook in notebooks)
    failures = run(root, jobs, chosen, results, options)
    if failures:
        print("\n" + "\n".join(map(str, failures)))
        print(f"{len(failures)} of {len(chosen)} notebooks failed; not rendered.")
        return 1
    missing = [job.notebook.name for job in jobs if not results.is_current(job)]
    if options.no_render or missing:
        why = f"no current result of {', '.join(missing)}" if missing else "as asked"
        print(f"Not rendered ({why}). Executed notebooks: {results.build / 'executed'}")
        return 0
    return show(root, results, notebooks, shared, start)


def run(
    root: Path, jobs: list[Job], chosen: set[str], results: Results, options: argparse.Namespace
) -> list[Failure]:
    """Execute the chosen jobs that have no current result; return the failures."""
    asked = [job for job in jobs if job.notebook.name in chosen]
    todo = [job for job in asked if options.force or not results.is_current(job)]
    print(f"Profile {options.profile}: {len(asked)} notebooks, {len(todo)} to run")
    if not todo:
        return []
    seconds = [results.expected(job.notebook.name) for job in todo]
    workers = min(options.workers, len(todo))
    guess = duration(time_left(seconds, [], workers))
    print(f"Running {workers} at a time, about {guess}", flush=True)
    # One thread in the quick profile, so that a sum has one order on every machine.
    threads = 1 if options.profile == "quick" else max(1, (os.cpu_count() or 1) // workers)
    env = environment(root, threads)
    return execute(todo, results, env, workers=workers, limit=options.time_limit)


def show(root: Path, results: Results, notebooks: list[Notebook], shared: str, start: float) -> int:
    """Render the book and say where it is; return the exit code."""
    passed = render(root, stage_files(root, results, notebooks), shared)
    if passed is False:
        print("The pages have the faults listed above (warnings count).")
        return 1
    state = "Nothing had changed" if passed is None else "Rendered"
    seconds = duration(time.monotonic() - start)
    print(f"{state}, in {seconds} altogether. Open {root / '_build' / 'html' / 'index.html'}")
    return 0


def choose(notebooks: list[Notebook], asked: list[str] | None) -> set[str]:
    """Return the names that are asked for, or that begin with what is asked for and ``_``."""
    names = {notebook.name for notebook in notebooks}
    if not asked:
        return names
    chosen = {a: {n for n in names if n == a or n.startswith(f"{a}_")} for a in asked}
    unknown = [name for name, found in chosen.items() if not found]
    if unknown:
        raise ValueError(f"no notebook is called {unknown}; there are {sorted(names)}")
    return set().union(*chosen.values())


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description="Execute the notebooks and render the book.")
    add = parser.add_argument
    add("--profile", choices=list(LIMITS), default="quick", help="parameters of the notebooks")
    add("--notebook", action="append", metavar="NAME", help="execute only this one, as in 02_1")
    add("--workers", type=int, default=2, help="notebooks at a time (default 2)")
    add("--time-limit", type=float, metavar="SECONDS", help="for each notebook")
    add("--force", action="store_true", help="execute also what did not change")
    add("--no-render", action="store_true", help="stop after the execution")
    options = parser.parse_args(arguments)
    if options.workers < 1:
        parser.error("--workers must be 1 or more")
    options.time_limit = options.time_limit or LIMITS[options.profile]
    return options


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nStopped. The finished notebooks are kept; the same command goes on.")
        sys.exit(130)

"""The results of executed notebooks: what they depend on, and which are complete and current.

A notebook has a result when ``_build/records/X.json`` holds the key of everything that the
run depends on, and the hash of ``_build/executed/X.ipynb``. The record is written last, so
a build that is killed leaves the earlier result or none, and the next build goes on.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sources import Notebook

RUNNERS = ("execute.py", "run_notebook.py")  # a change in how notebooks run is a change
UNKNOWN_SECONDS = 60.0  # expected of a notebook that never ran


@dataclass(frozen=True)
class Job:
    """One notebook to execute.

    Attributes
    ----------
    notebook : Notebook
        The notebook as written.
    profile : str
        ``"quick"`` or ``"full"``.
    overrides : dict
        Parameters of the profile that differ from the defaults in the notebook.
    key : str
        Hash of everything that the result depends on.
    """

    notebook: Notebook
    profile: str
    overrides: dict[str, Any]
    key: str


class Results:
    """The results of earlier runs, in a build folder.

    Parameters
    ----------
    build : Path
        The build folder, ``_build``.
    """

    def __init__(self, build: Path) -> None:
        self.build = build

    def executed(self, name: str) -> Path:
        """Return where the executed notebook lies."""
        return self.build / "executed" / f"{name}.ipynb"

    def record(self, name: str) -> dict[str, Any]:
        """Return the record of the last complete run, empty if there is none."""
        path = self._record_path(name)
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}

    def expected(self, name: str) -> float:
        """Return the seconds of the last run, or a guess."""
        return float(self.record(name).get("seconds", UNKNOWN_SECONDS))

    def is_current(self, job: Job) -> bool:
        """Whether the result of a job is there, complete and of the same key."""
        record, path = self.record(job.notebook.name), self.executed(job.notebook.name)
        return (
            record.get("key") == job.key
            and path.exists()
            and record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        )

    def store(self, job: Job, work: Path) -> dict[str, Any]:
        """Move the result of a job out of its work folder; the record goes last."""
        name, ready = job.notebook.name, work / "executed.ipynb"
        parameters = {**job.notebook.parameters, **job.overrides}
        record = {
            "notebook": name,
            "title": job.notebook.title,
            "key": job.key,
            "sha256": hashlib.sha256(ready.read_bytes()).hexdigest(),
            "profile": job.profile,
            "overrides": job.overrides,
            "seed": parameters["seed"],
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            **json.loads((work / "usage.json").read_text(encoding="utf-8")),
            **_recorded(work / "records.jsonl"),
        }
        for path in (self.executed(name), self._record_path(name)):
            path.parent.mkdir(parents=True, exist_ok=True)
        part = work / "record.part"
        part.write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
        ready.replace(self.executed(name))
        part.replace(self._record_path(name))
        return record

    def forget_others(self, names: Iterable[str]) -> None:
        """Remove the results of notebooks that are not in `names`."""
        kept = set(names)
        for folder in ("executed", "records"):
            for path in (self.build / folder).glob("*"):
                if path.stem not in kept:
                    path.unlink()

    def _record_path(self, name: str) -> Path:
        return self.build / "records" / f"{name}.json"


def _recorded(path: Path) -> dict[str, list[Any]]:
    """Return the numbers and the claims that ``behaviorseq.notebook`` appended to `path`."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    entries = [json.loads(line) for line in lines]
    numbers = [
        {k: v for k, v in e.items() if k != "kind"} for e in entries if e["kind"] == "number"
    ]
    return {"numbers": numbers, "claims": [e["text"] for e in entries if e["kind"] == "claim"]}


def digest(parts: Iterable[bytes]) -> str:
    """Return one hash of several byte strings, in order."""
    return hashlib.sha256(b"".join(hashlib.sha256(p).digest() for p in parts)).hexdigest()


def fingerprint(root: Path) -> str:
    """Return the hash of what every notebook depends on.

    That is the companion, which also pins the sha256 of every data file; the stored
    results of the benchmarks; the way notebooks are run; Python and every installed package.
    """
    files = [
        *(root / "companion" / "behaviorseq").rglob("*"),
        *(root / "benchmarks").rglob("*.json"),
    ]
    files = sorted(path for path in files if path.is_file() and "__pycache__" not in path.parts)
    named = [(path.relative_to(root).as_posix(), path.read_bytes()) for path in files]
    found = importlib.metadata.distributions()
    packages = {f"{d.name}=={d.version}" for d in found if d.name != "behaviorseq"}
    system = [platform.python_version(), platform.system(), platform.machine(), *sorted(packages)]
    own = [Path(__file__).with_name(name).read_bytes() for name in RUNNERS]
    parts = [part for name, data in named for part in (name.encode(), data)]
    return digest([*parts, *own, "\n".join(system).encode()])


def make_jobs(
    notebooks: list[Notebook], profile: str, overrides: dict[str, dict[str, Any]], shared: str
) -> list[Job]:
    """Return a job for each notebook; `shared` is the fingerprint."""
    jobs = []
    for notebook in notebooks:
        values = overrides.get(notebook.name, {})
        parts = (shared, profile, json.dumps(values, sort_keys=True))
        key = digest([*(part.encode() for part in parts), notebook.path.read_bytes()])
        jobs.append(Job(notebook, profile, values, key))
    return jobs

"""Stored results of benchmarks: found in the repository, and in an installed package."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from behaviorseq import stored_results

ROOT = Path(__file__).parents[2]
STORED = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_each_is_read_with_where_it_comes_from(path: Path) -> None:
    table = stored_results(path.stem)
    assert len(table) == len(json.loads(path.read_text())["rows"]) > 0
    script = table.attrs["command"].split()[1]
    assert (ROOT / script).exists()
    assert table.attrs["environment"]["processor"]


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="no results of 'beauty' are stored; there are amazon_bea"):
        stored_results("beauty")


def test_a_wheel_holds_them_and_every_package(tmp_path: Path) -> None:
    copy = tmp_path / "copy"  # a build writes into the tree
    for name in ("pyproject.toml", "README.md", "LICENSE", "companion", "benchmarks/results"):
        source = ROOT / name
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        copied = shutil.copytree if source.is_dir() else shutil.copy
        copied(source, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(copy)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {f"behaviorseq/results/{path.name}" for path in STORED} <= inside
    package = ROOT / "companion" / "behaviorseq"
    sources = {p.relative_to(package.parent).as_posix() for p in package.rglob("*.py*")}
    sources = {name for name in sources if "__pycache__" not in name}
    assert sources <= inside

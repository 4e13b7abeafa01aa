"""The lock, pyproject.toml, environment.yml and what is installed agree."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
ASKED = [Requirement(r) for group in (PROJECT["dependencies"], *EXTRAS.values()) for r in group]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
PLATFORMS = {
    "Linux": {"sys_platform": "linux", "platform_machine": "x86_64", "os_name": "posix"},
    "macOS": {"sys_platform": "darwin", "platform_machine": "arm64", "os_name": "posix"},
}


def locked(**environment: str) -> dict[str, str]:
    """Return name and version of each lock line that holds in `environment`."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    marked = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(environment)]
    names = [canonicalize_name(pin.name) for pin in marked]
    assert len(names) == len(set(names)), "a package is pinned twice"
    return {name: str(pin.specifier)[2:] for name, pin in zip(names, marked, strict=True)}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_lock_pins_what_pyproject_asks(platform: str, python: str) -> None:
    machine = {"python_version": python, "python_full_version": f"{python}.0"}
    environment = {**default_environment(), **machine, **PLATFORMS[platform]}
    pins = locked(**environment)
    for asked in ASKED:
        if asked.marker is None or asked.marker.evaluate(environment):
            version = pins.get(canonicalize_name(asked.name))
            assert version is not None, f"{asked.name} is not in requirements.txt: run make lock"
            assert asked.specifier.contains(version), f"{asked} but the lock has {version}"


def test_installed_versions_are_the_locked_ones() -> None:
    different = {
        name: (version, installed)
        for name, version in locked().items()
        if (installed := importlib.metadata.version(name).partition("+")[0]) != version
    }
    assert not different, f"locked and installed versions differ: {different}"


def test_lock_names_no_host_and_no_cuda_library() -> None:
    text = (ROOT / "requirements.txt").read_text()
    assert "://" not in text
    assert "nvidia" not in text


def test_environment_yml_installs_the_lock_and_the_package() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = (d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert pip == ["-r requirements.txt", "-e ."]


def test_import_is_fast_and_leaves_torch_alone() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import behaviorseq; "
        "print(time.perf_counter() - start, 'torch' in sys.modules, 'pandas' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, torch_loaded, pandas_loaded = out.stdout.split()
    assert float(seconds) < 1.0
    assert (torch_loaded, pandas_loaded) == ("False", "False")


def test_every_public_name_is_exported_and_importable() -> None:
    import behaviorseq

    assert behaviorseq.__all__ == sorted(set(behaviorseq.__all__))
    for name in behaviorseq.__all__:
        assert getattr(behaviorseq, name).__doc__, f"behaviorseq.{name} has no docstring"


@pytest.mark.parametrize(
    ("command", "python", "message"),
    [("book", "", "Python 3.11 or newer"), ("book", "false", "no venv module")],
)
def test_make_says_what_to_install(command: str, python: str, message: str, tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    out = subprocess.run(
        ["make", command, f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert out.returncode != 0
    assert message in out.stdout
    assert not (tmp_path / ".venv").exists()

"""The workflows: pinned, with few rights, and asking for things that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
NAMES = {"ci", "colab", "gpu", "links", "publish"}
BIN = Path(sys.executable).parent

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def load(path: Path) -> dict[Any, Any]:
    workflow: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    workflow["on"] = workflow.pop(True)  # YAML 1.1 reads `on` as a truth value
    return workflow


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_all_five_are_there() -> None:
    assert {path.stem for path in WORKFLOWS} == NAMES


def test_zizmor_finds_no_weakness() -> None:
    command = [BIN / "zizmor", "--offline", "--no-progress", "--persona", "pedantic"]
    out = subprocess.run([*command, *WORKFLOWS], capture_output=True, text=True)
    assert out.returncode == 0, out.stdout + out.stderr


def test_github_would_accept_them() -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows"]
    out = subprocess.run([*command, *WORKFLOWS], capture_output=True, text=True)
    assert out.returncode == 0, out.stdout + out.stderr


@each_workflow
def test_actions_are_pinned_to_a_commit_with_its_version_beside_it(path: Path) -> None:
    lines = re.findall(r"uses: *(.*)", path.read_text(encoding="utf-8"))
    assert lines
    for line in lines:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_an_action_has_one_version_everywhere() -> None:
    used = {step["uses"] for path in WORKFLOWS for step in steps(load(path)) if "uses" in step}
    names = [use.partition("@")[0] for use in used]
    assert len(names) == len(set(names)), sorted(used)


@each_workflow
def test_rights_are_few_and_time_is_limited(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]
    for name, job in workflow["jobs"].items():
        assert 0 < job["timeout-minutes"] <= 720, name
        written = {right for right, value in job.get("permissions", {}).items() if value == "write"}
        assert written == ({"pages", "id-token"} if name == "deploy" else set()), name
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@each_workflow
def test_commands_name_goals_options_and_folders_that_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    goals = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    asked = {g for goal in re.findall(r"run: make ([a-z]+)|goal: ([a-z ]+)", text) for g in goal}
    for goal in " ".join(asked).split():
        assert goal in goals
    build = (ROOT / "book" / "build.py").read_text(encoding="utf-8")
    for option in re.findall(r"build\.py.* (--[a-z-]+)", text):
        assert f'"{option}"' in build
    for folder in re.findall(r"^ +README\.md (.*)$", text, re.MULTILINE):
        assert all((ROOT / name).is_dir() for name in folder.split())


def test_ci_runs_on_every_change_and_builds_the_book_once() -> None:
    workflow = load(ROOT / ".github/workflows/ci.yml")
    assert set(workflow["on"]) == {"push", "pull_request"}
    goals = [run["goal"] for run in workflow["jobs"]["test"]["strategy"]["matrix"]["include"]]
    assert sum("book" in goal for goal in goals) == 1


@pytest.mark.parametrize("name", ["colab", "gpu", "links"])
def test_the_slow_ones_run_weekly_and_by_hand(name: str) -> None:
    triggers = load(ROOT / f".github/workflows/{name}.yml")["on"]
    assert set(triggers) == {"schedule", "workflow_dispatch"}
    (cron,) = (entry["cron"].split() for entry in triggers["schedule"])
    assert len(cron) == 5
    assert cron[2:4] == ["*", "*"]
    assert cron[4] in "0123456"

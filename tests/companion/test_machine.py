"""The description of the machine."""

from __future__ import annotations

import os
import platform

import pytest

from behaviorseq.machine import machine


def test_it_describes_this_machine() -> None:
    facts = machine()
    assert facts["cores"] == os.cpu_count()
    assert facts["python"] == platform.python_version()
    assert facts["memory_bytes"] > 100e6
    assert facts["processor"].strip()


def test_without_linux_files_the_system_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathlib.Path.exists", lambda self: False)
    monkeypatch.setattr("sys.platform", "freebsd")
    monkeypatch.setattr("platform.processor", lambda: "")
    assert machine()["processor"] == platform.machine()

"""Optional libraries: imported where they are, and named with their extra where they are not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from behaviorseq.optional import optional
from behaviorseq.simulate import World


def test_what_is_there_is_imported() -> None:
    assert optional("numpy", "none") is np


def test_what_such_a_library_lacks_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_there.py").write_text("import a_library_that_it_needs\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'a_library_that_it_needs'"):
        optional("half_there", "rl")


def test_a_world_without_gymnasium_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain(World):
        name = title = notes = "plain"
        behaviors = ()
        truth = log = audience = None  # type: ignore[assignment]  # not reached

    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ImportError, match=r'pip install "behaviorseq\[rl\]"'):
        Plain(1, 1, 1).environment()

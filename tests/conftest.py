"""Which tests run in one process, where there are several."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# Keras on PyTorch, which is loaded anyway: TensorFlow takes long to start.
os.environ.setdefault("KERAS_BACKEND", "torch")

# How long an example takes says more about the machine than about the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


class Together(LoadScopeScheduling):
    """Keeps the tests of a file in one process, and all of Spark in one: its start takes long.

    Tests of the build take seconds each and share nothing: each goes where there is room. (The
    choice ``loadgroup`` of pytest-xdist 3.8 groups nothing under pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        path, _, test = nodeid.partition("::")
        if "spark" in test:
            return "spark"
        return nodeid if path.endswith("test_build.py") else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Deal out the tests."""
    return Together(config, log)

"""The simulated worlds among the data sets: each in the size it has when nothing is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .sources import Source

#: Events of each world in its default size, counted once; a test counts again.
SIMULATED = {"shop": 1_182_534, "social": 133_748, "finance": 334_026, "education": 250_438}


def simulated_source(name: str) -> Source:
    """Say where the log of a world comes from, without making it."""
    from behaviorseq import simulate  # which needs this package

    return simulate.world(name).source(SIMULATED[name])

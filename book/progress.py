"""What a reader of the console sees while notebooks run: which ones, and the time left."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from tqdm import tqdm


def duration(seconds: float) -> str:
    """Return a duration as a person says it.

    Examples
    --------
    >>> duration(48.2), duration(150), duration(4000)
    ('48 s', '2 min 30 s', '1 h 06 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def time_left(waiting: list[float], running: list[float], workers: int) -> float:
    """Return the seconds until all is done: no less than an even share, nor the longest part.

    Parameters
    ----------
    waiting, running : list of float
        Expected seconds still needed by each notebook that waits, and that runs.
    workers : int
        How many run at a time.

    Examples
    --------
    >>> time_left([60.0, 60.0], [30.0, 10.0], workers=2)
    80.0
    """
    parts = [*waiting, *(max(seconds, 1.0) for seconds in running)]
    return max(sum(parts) / workers, *parts) if parts else 0.0


class Progress:
    """A bar on a terminal, and a line for each finished notebook everywhere.

    Parameters
    ----------
    expected : mapping of str to float
        Seconds that each notebook took the last time.
    workers : int
        How many run at a time.
    """

    def __init__(self, expected: Mapping[str, float], workers: int) -> None:
        self._left = dict(expected)
        self._workers = workers
        self._total = max(sum(expected.values()), 1.0)
        self._bar = tqdm(
            total=self._total,
            bar_format="{percentage:3.0f}% |{bar:20}| {desc}",
            disable=not sys.stderr.isatty(),
            leave=False,
        )
        self._n = len(expected)

    def show(self, running: Mapping[str, float]) -> None:
        """Update the bar; `running` maps each running notebook to its seconds so far."""
        waiting = [s for name, s in self._left.items() if name not in running]
        rest = {name: self._left[name] - seconds for name, seconds in running.items()}
        left = time_left(waiting, list(rest.values()), self._workers)
        self._bar.n = self._total - sum(waiting) - sum(max(s, 0.0) for s in rest.values())
        self._bar.set_description_str(f"{', '.join(running)} (about {duration(left)} left)")

    def finish(self, name: str, message: str) -> None:
        """Say how a notebook ended."""
        del self._left[name]
        done = self._n - len(self._left)
        self._bar.write(f"  [{done}/{self._n}] {name}: {message}", file=sys.stdout)
        sys.stdout.flush()

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()

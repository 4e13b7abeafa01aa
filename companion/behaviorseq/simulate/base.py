"""What all simulated worlds share: size, seed, log, truth, environment, faults."""

from __future__ import annotations

import difflib
import importlib.metadata
import inspect
import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from behaviorseq.datasets.sources import Dataset, Source
from behaviorseq.optional import optional

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from behaviorseq.sequences import Sequences

    from .environment import Audience, WorldEnvironment, WorldVectorEnvironment
    from .faults import Corruption

#: The first moment of every world, a Monday at midnight.
START = np.datetime64("2024-01-01T00:00:00", "s")
#: The longest period: a log must not reach into the future.
MOST_DAYS = 1000
SECONDS_A_DAY = 86_400


class World(ABC):
    """A simulated world: people, things, and a log of what happened, with the truth behind it.

    Everything follows from the arguments: the same ones give the same log.

    Parameters
    ----------
    n_users, n_items : int
        Number of people and of things.
    days : int
        Length of the period, which begins at `START`.
    seed : int
        Seed of everything.

    Raises
    ------
    ValueError
        If a number is not whole or out of its range; the message names it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    behaviors: ClassVar[tuple[str, ...]]
    #: What the log keeps of the truth, and where the world differs from a real one.
    notes: ClassVar[str]

    def __init__(self, n_users: int, n_items: int, days: int, seed: int = 0) -> None:
        self.n_users = whole("n_users", n_users, 1)
        self.n_items = whole("n_items", n_items, 1)
        self.days = whole("days", days, 1, MOST_DAYS)
        self.seed = whole("seed", seed, 0)

    def __repr__(self) -> str:
        """Show the call that makes this world."""
        return (
            f"world({self.name!r}, n_users={self.n_users}, n_items={self.n_items}, "
            f"days={self.days}, seed={self.seed})"
        )

    @abstractmethod
    def log(self) -> Dataset:
        """Give the event log, the items and the users, as an observer sees them.

        Returns
        -------
        Dataset
            Events in order of time; ties in the order of `user`. What only the truth knows is not
            in it.
        """

    @property
    @abstractmethod
    def truth(self) -> Any:
        """The latent tables and probabilities behind the log."""

    @abstractmethod
    def audience(self, n_seats: int, *args: Any, **options: Any) -> Audience:
        """Give the people who react to a recommender, as many at once as there are seats."""

    def environment(
        self,
        n_seats: int | None = None,
        *,
        slate: int = 1,
        history: int = 20,
        steps: int = 20,
        past: Sequences | None = None,
        **options: Any,
    ) -> WorldEnvironment | WorldVectorEnvironment:
        """Give a gymnasium environment in which the recommender's choices make the log.

        It begins where the world's log ends.

        Parameters
        ----------
        n_seats : int, optional
            Visitors at once: a vector environment of that many; without it a plain environment.
        slate : int
            Items shown at a time.
        history : int
            Items of the past that an observation holds.
        steps : int
            Longest visit.
        past : Sequences, optional
            What users took up before, for their first observation; without it, nothing.
        **options
            What an audience of this world has beyond this; see its `audience`.

        Raises
        ------
        ValueError
            If a number is out of its range, or an option is not known.
        ImportError
            If gymnasium is not installed.
        """
        optional("gymnasium", "rl")
        from .environment import make_environment

        check_options(f"the audience of {self.name}", self.audience, options)
        seats = 1 if n_seats is None else whole("n_seats", n_seats, 1)
        return make_environment(
            self,
            self.audience(seats, **options),
            n_seats=seats,
            vector=n_seats is not None,
            slate=slate,
            history=history,
            steps=steps,
            past=past,
        )

    def corrupt(
        self, log: Dataset | pd.DataFrame, faults: Mapping[str, float], *, seed: int = 0
    ) -> Corruption:
        """Inject faults into an event log; see `behaviorseq.simulate.corrupt`."""
        from .faults import corrupt

        return corrupt(log.events if isinstance(log, Dataset) else log, faults, seed=seed)

    def rng(self, purpose: str, *numbers: int) -> np.random.Generator:
        """Give a generator of its own to each purpose and, say, each block of users.

        What one purpose draws never depends on how much another one drew before, so a part of the
        world can be made alone, in any order, by any number of workers.
        """
        key = (zlib.crc32(f"{self.name}/{purpose}".encode()), *numbers)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def source(self, n_events: int) -> Source:
        """Say where a log of this world comes from."""
        return Source(
            name=self.name,
            title=self.title,
            n_events=n_events,
            n_users=self.n_users,
            items={"item": self.n_items},
            behaviors=self.behaviors,
            times="simulated: seconds from 2024-01-01, local time, no time zone",
            ordered_only=False,
            licence="MIT, as this package: the log is made by it, no person is in it",
            citation=f"behaviorseq, simulate.{self!r}",
            url=_address(),
            notes=self.notes,
            files=(),
            read=lambda paths, item: (lambda d: (d.events, d.items, d.users))(self.log()),
        )


def _address() -> str:
    """Give the address of this package, as its metadata name it."""
    named = importlib.metadata.metadata("behaviorseq").get_all("Project-URL") or [""]
    return str(named[0]).partition(", ")[2]


def check_options(who: str, call: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Check that all options are keywords of what is to be called.

    Raises
    ------
    ValueError
        If one is not; the message names it, and those that there are.
    """
    parameters = inspect.signature(call).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (is it {near[0]!r}?)" if near else ""
            raise ValueError(
                f"{who} has no option {name!r}{hint}; it has {', '.join(known) or 'none'}"
            )


def whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Check that an argument is a whole number in its range.

    Raises
    ------
    ValueError
        If it is not; the message names the argument, its value and the range.
    """
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        bounds = f"of {least} or more" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number {bounds}, got {value!r}")
    return int(value)


def fraction(name: str, value: Any) -> float:
    """Check that an argument is a number from 0 to 1.

    Raises
    ------
    ValueError
        If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise ValueError(f"{name} must be a number from 0 to 1, got {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1, got {value!r}")
    return float(value)


def to_datetime(seconds: Any) -> Any:
    """Turn seconds since `START` into datetime64[s]."""
    return START + np.asarray(seconds).astype(np.int64).astype("timedelta64[s]")


def to_seconds(times: Any) -> Any:
    """Turn datetimes into seconds since `START`, float64."""
    return (np.asarray(times, dtype="datetime64[s]") - START).astype(np.int64).astype(np.float64)

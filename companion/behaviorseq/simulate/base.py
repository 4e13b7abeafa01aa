"""What all simulated worlds share: size, seed, log, truth, environment, faults."""

from __future__ import annotations

import importlib.metadata
import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from behaviorseq.arguments import check_options, options_of, whole
from behaviorseq.datasets.sources import Dataset, Source
from behaviorseq.optional import optional

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from behaviorseq.datasets.sources import Tables
    from behaviorseq.sequences import Sequences

    from .audience import Audience
    from .environment import WorldEnvironment, WorldVectorEnvironment
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
    **options
        What a kind of world has beyond this, already checked by it.

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

    def __init__(
        self, n_users: int, n_items: int, days: int, seed: int = 0, **options: Any
    ) -> None:
        self.n_users = whole("n_users", n_users, 1)
        self.n_items = whole("n_items", n_items, 1)
        self.days = whole("days", days, 1, MOST_DAYS)
        self.seed = whole("seed", seed, 0)
        self.options = options

    def __repr__(self) -> str:
        """Show the call that makes this world, with the options that are not the usual ones."""
        usual = options_of(type(self))
        given = {name: value for name, value in self.options.items() if value != usual.get(name)}
        size = {name: getattr(self, name) for name in ("n_users", "n_items", "days", "seed")}
        arguments = [f"{name}={value!r}" for name, value in (size | given).items()]
        return f"world({', '.join([repr(self.name), *arguments])})"

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
        keep_log: bool = True,
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
        keep_log : bool
            Whether to keep what happens for ``log()``: it grows with every step, and takes most of
            the time of a step.
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
            keep_log=keep_log,
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
            read=self._tables,
        )

    def _tables(self, paths: Mapping[str, Path], item: str) -> Tables:
        """Make the log where a data set would read files."""
        log = self.log()
        return log.events, log.items, log.users


def _address() -> str:
    """Give the address of this package, as its metadata name it."""
    named = importlib.metadata.metadata("behaviorseq").get_all("Project-URL") or [""]
    return str(named[0]).partition(", ")[2]


def to_datetime(seconds: Any) -> Any:
    """Turn seconds since `START` into datetime64[s]."""
    return START + np.asarray(seconds).astype(np.int64).astype("timedelta64[s]")


def to_seconds(times: Any) -> Any:
    """Turn datetimes into seconds since `START`, float64."""
    return (np.asarray(times, dtype="datetime64[s]") - START).astype(np.int64).astype(np.float64)

"""What is true in the education world: skills, chances, and who drops out."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .base import SECONDS_A_DAY, START, to_seconds
from .education_model import SPREAD_OF_SECONDS, retained
from .education_subjects import COURSE_OF, COURSES, DEPTH, N_SKILLS, NEEDS, SKILL_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from .education import Education
    from .education_model import Ids, Numbers
    from .education_study import Studied


class Truth:
    """The latent side of an `Education` world.

    Methods take users, items and times of the same length, and times within the period or after
    it. What an answer teaches is there after the moment of the answer, so that at the time of an
    ``answer`` in the log they give what decided that answer.

    Parameters
    ----------
    world : Education
        The world.
    """

    def __init__(self, world: Education) -> None:
        self._world = world

    @property
    def prerequisites(self) -> NDArray[np.bool_]:
        """Row i, column j: skill i needs skill j, shape (n_skills, n_skills)."""
        return NEEDS.copy()

    @property
    def skills(self) -> pd.DataFrame:
        """Skills in the order of all arrays: skill (name), course, depth in the graph."""
        courses = np.array(COURSES)[COURSE_OF]
        return pd.DataFrame({"skill": SKILL_NAMES, "course": courses, "depth": DEPTH})

    @property
    def difficulty(self) -> Numbers:
        """Difficulty of each exercise, shape (n_items,)."""
        return self._world.exercises.difficulty.copy()

    @cached_property
    def exercises(self) -> pd.DataFrame:
        """Parameters of each exercise: item, difficulty, discrimination, guess, intensity."""
        latent = self._world.exercises
        names = ("difficulty", "discrimination", "guess", "intensity")
        columns = {name: getattr(latent, name) for name in names}
        return pd.DataFrame({"item": np.arange(len(latent.level)), **columns})

    @cached_property
    def students(self) -> pd.DataFrame:
        """Parameters of each student: user, ability, rate, half_life (mean, days), speed, zeal."""
        latent = self._world.students
        columns = {name: getattr(latent, name) for name in ("ability", "rate", "speed", "zeal")}
        half_life = latent.half_life.mean(axis=1)
        frame = pd.DataFrame({"user": np.arange(len(half_life)), **columns})
        return frame.assign(half_life=half_life)

    def skill(self, users: Any, times: Any) -> Numbers:
        """Give the skills of users, each at a time.

        Parameters
        ----------
        users : array_like of int
            Shape (n,).
        times : array_like of datetime64
            Shape (n,), or one for all.

        Returns
        -------
        NDArray[float64]
            Shape (n, n_skills), in the order of `skills`.

        Raises
        ------
        ValueError
            If a user is not of this world or a time is before it.

        Examples
        --------
        >>> from behaviorseq.simulate.education import Education
        >>> truth = Education(n_users=5, n_items=40, days=3).truth
        >>> truth.skill([0, 4], "2024-01-03").shape
        (2, 20)
        """
        users, seconds = self._check(users, times)
        skill = np.empty((len(users), N_SKILLS))
        for at, rows, studied in self._blocks(users):
            skill[at] = _skill_in(studied, rows, seconds[at])
        return skill

    def correct_probability(self, users: Any, items: Any, times: Any) -> Numbers:
        """Give the probability of a right answer, shape (n,); see `skill` for the arguments."""
        exercises = self._world.exercises
        return self._each(users, items, times, lambda skill, item, _: exercises.chance(skill, item))

    def expected_gain(self, users: Any, items: Any, times: Any) -> Numbers:
        """Give by how much an attempt is expected to raise the mean of the user's skills, (n,)."""
        exercises, rate = self._world.exercises, self._world.students.rate
        return self._each(
            *(users, items, times),
            lambda skill, item, user: exercises.expected_gain(skill, item, rate[user]),
        )

    def median_seconds(self, users: Any, items: Any, times: Any) -> Numbers:
        """Give the median of the seconds of an attempt that begins at a time, (n,)."""
        exercises, speed = self._world.exercises, self._world.students.speed
        return self._each(
            *(users, items, times),
            lambda skill, item, user: np.exp(exercises.log_seconds(skill, item, speed[user])),
        )

    @property
    def spread_of_seconds(self) -> float:
        """Deviation of the logarithm of the seconds of an attempt."""
        return SPREAD_OF_SECONDS

    @cached_property
    def dropout(self) -> pd.DataFrame:
        """Who stopped for good: one row a user.

        ``time`` is the start of the day of dropping out, missing where the user never did within
        the period (censored). ``days_at_risk`` counts the days on which it could have happened,
        ``cumulative_hazard`` sums its probability over them, and ``hazard`` is that of the last.
        """
        frames = [_dropout_in(self._world.study(b)) for b in range(self._world.n_blocks)]
        frame = pd.concat(frames, ignore_index=True)
        frame.insert(0, "user", np.arange(len(frame)))
        return frame

    def dropout_hazard(self, users: Any, times: Any) -> Numbers:
        """Give the probability that users drop out on the day of a time, (n,).

        It is missing (NaN) on days on which a user was not at risk: up to the day of joining,
        after dropping out, and outside of the period.
        """
        users, seconds = self._check(users, times)
        days = (seconds // SECONDS_A_DAY).astype(np.int64)
        hazard = np.full(len(users), np.nan)
        for at, rows, studied in self._blocks(users):
            within = days[at] < self._world.days
            hazard[at[within]] = studied.hazard[days[at[within]], rows[within]]
        return hazard

    def _each(
        self, users: Any, items: Any, times: Any, law: Callable[[Numbers, Ids, Ids], Numbers]
    ) -> Numbers:
        """Apply a law of skills, items (as a column) and users, a block of users at a time."""
        items = np.asarray(items)
        if items.shape != np.shape(users):
            raise ValueError(f"{np.size(users)} users but {items.size} items")
        if items.size and (items.min() < 0 or items.max() >= self._world.n_items):
            raise ValueError(f"items must be item ids from 0 to {self._world.n_items - 1}")
        users, seconds = self._check(users, times)
        given = np.empty(len(users))
        for at, rows, studied in self._blocks(users):
            skill = _skill_in(studied, rows, seconds[at])
            given[at] = law(skill, items[at][:, None], users[at])[:, 0]
        return given

    def _blocks(self, users: Ids) -> Iterator[tuple[Ids, Ids, Studied]]:
        """Go through the blocks of users: where they are, their rows, what the block did."""
        blocks = users // self._world.block_size
        for block in np.unique(blocks).tolist():
            at = np.flatnonzero(blocks == block)
            yield at, users[at] - block * self._world.block_size, self._world.study(block)

    def _check(self, users: Any, times: Any) -> tuple[Ids, Numbers]:
        """Make arrays of users and of seconds since the start."""
        users = np.asarray(users)
        if users.ndim != 1 or not np.issubdtype(users.dtype, np.integer):
            raise ValueError("users must be whole numbers in one dimension")
        if len(users) and (users.min() < 0 or users.max() >= self._world.n_users):
            raise ValueError(f"users must be user ids from 0 to {self._world.n_users - 1}")
        seconds = to_seconds(times)
        if seconds.ndim and len(seconds) != len(users):
            raise ValueError(f"{len(users)} users but {len(seconds)} times")
        if seconds.size and not seconds.min() >= 0:
            raise ValueError(f"times must not be before {START}")
        return users.astype(np.int64), np.broadcast_to(seconds, len(users))


def _skill_in(studied: Studied, rows: Ids, seconds: Numbers) -> Numbers:
    """Find the last practice of each skill before a time, and let it fade until then."""
    keys, order = studied.practice_index
    group = rows[:, None] * N_SKILLS + np.arange(N_SKILLS)
    found = np.searchsorted(keys, studied.key(group, seconds[:, None])) - 1
    at = order[np.maximum(found, 0)]
    past = studied.practice
    known = (found >= 0) & (past["user"][at] * N_SKILLS + past["skill"][at] == group)
    minds = studied.minds
    days = seconds[:, None] / SECONDS_A_DAY - past["time"][at] / SECONDS_A_DAY
    gain, practised = (np.where(known, past[name][at], 0) for name in ("gain", "practised"))
    left = retained(gain, practised, np.where(known, days, 0.0), minds.half_life[rows])
    return np.asarray(minds.base[rows] + left)


def _dropout_in(studied: Studied) -> pd.DataFrame:
    """Give the drop-out of a block of users."""
    hazard, gone = studied.hazard, studied.gone
    at_risk = ~np.isnan(hazard)
    last = len(hazard) - 1 - at_risk[::-1].argmax(axis=0)
    when = START + np.maximum(gone, 0).astype("timedelta64[D]")
    return pd.DataFrame(
        {
            "time": np.where(gone >= 0, when, np.datetime64("NaT")),
            "hazard": hazard[last, np.arange(len(gone))],
            "days_at_risk": at_risk.sum(axis=0),
            "cumulative_hazard": np.nansum(hazard, axis=0),
        }
    )

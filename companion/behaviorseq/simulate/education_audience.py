"""Students who are given exercises by a recommender, and learn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .audience import Audience, Reaction
from .base import SECONDS_A_DAY
from .education_model import Minds, leave_probability
from .education_study import draw_seconds
from .education_subjects import N_SKILLS

if TYPE_CHECKING:
    from .education import Education
    from .education_model import Ids, Numbers

REWARDS = ("gain", "correct")


class StudentAudience(Audience):
    """Students who do what the recommender picks.

    Of a slate a student takes one exercise, the one at position i (from 0) with a probability
    in proportion to 1 / (1 + i), whether its prerequisites are met or not: an exercise that a
    student is not ready for teaches little. Who dropped out of the log comes back for a visit.

    Parameters
    ----------
    world : Education
        The world.
    n_seats : int
        Students at once.
    reward : {"gain", "correct"}
        What the recommender earns: the increase of the mean of the student's true skills by the
        answer, or 1 for a right answer. The two ask for different exercises: the easiest ones are
        answered right and teach little.
    """

    def __init__(self, world: Education, n_seats: int, reward: str = "gain") -> None:
        if reward not in REWARDS:
            raise ValueError(f"reward must be one of {', '.join(REWARDS)}, got {reward!r}")
        self._world = world
        self._reward = reward
        self._rows = np.arange(n_seats)
        self._users = np.zeros(n_seats, dtype=np.int64)
        self._minds = world.final_minds.take(self._users)
        self._clock = np.full(n_seats, float(world.days * SECONDS_A_DAY))

    def seat(self, seats: Ids, users: Ids) -> None:
        """Let students take seats as they were at the end of the log."""
        self._users[seats] = users
        self._minds.put(seats, self._world.final_minds.take(users))
        self._clock[seats] = float(self._world.days * SECONDS_A_DAY)

    def react(self, slates: Ids, rng: np.random.Generator) -> Reaction:
        """Let each student attempt one exercise of the slate."""
        n, size = slates.shape
        weights = np.cumsum(1.0 / np.arange(1, size + 1))
        position = np.searchsorted(weights, rng.random(n) * weights[-1], side="right")
        taken = np.arange(size) == position[:, None]
        items = slates[self._rows, position]
        seconds = self._spend(items, rng)
        right = rng.random(n) < self._chance(items[:, None])[:, 0]
        gain = self._minds.answer(self._world.exercises, self._rows, items, right, self._clock)
        mood = self._minds.frustration, self._minds.boredom
        solved = taken & right[:, None]
        return Reaction(
            done={"attempt": taken, "answer": taken, "complete": solved},
            liked=solved,
            reward=gain / N_SKILLS if self._reward == "gain" else right.astype(np.float64),
            leaves=rng.random(n) < leave_probability(*mood),
            seconds=seconds,
        )

    def skill(self) -> Numbers:
        """Give the true skills of the students on the seats now, shape (n_seats, n_skills)."""
        return self._minds.skill(self._rows, self._clock)

    def correct_probability(self) -> Numbers:
        """Give the probability of a right answer now, shape (n_seats, n_items)."""
        return self._chance(self._all_items())

    def expected_gain(self) -> Numbers:
        """Give the expected increase of the mean of the skills, shape (n_seats, n_items)."""
        return self._world.exercises.expected_gain(
            self.skill(), self._all_items(), self._minds.rate
        )

    def _all_items(self) -> Ids:
        return np.broadcast_to(
            np.arange(self._world.n_items), (len(self._rows), self._world.n_items)
        )

    def _chance(self, items: Ids) -> Numbers:
        return self._world.exercises.chance(self.skill(), items)

    def _spend(self, items: Ids, rng: np.random.Generator) -> Numbers:
        """Let time pass; give the seconds."""
        speed = self._world.students.speed[self._users]
        mean = self._world.exercises.log_seconds(self.skill(), items[:, None], speed)[:, 0]
        seconds = draw_seconds(mean, rng).astype(np.float64)
        self._clock += seconds
        return seconds


def final_minds(world: Education) -> Minds:
    """Give the minds of all students at the end of the log."""
    parts = [world.study(block).minds for block in range(world.n_blocks)]
    names = Minds.__dataclass_fields__
    return Minds(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

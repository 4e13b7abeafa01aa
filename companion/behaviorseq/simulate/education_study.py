"""How a block of students studies, day by day and exercise by exercise: the log's generator."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import SECONDS_A_DAY
from .education_model import (
    LONGEST,
    SHORTEST,
    SPREAD_OF_SECONDS,
    Exercises,
    Minds,
    Students,
    drop_out_hazard,
    leave_probability,
)
from .education_people import course_order
from .education_subjects import COURSE_OF, COURSES, DEPTH, N_SKILLS, NEEDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .education_model import Ids, Numbers

BEHAVIORS = ("enroll", "view", "attempt", "answer", "complete")
ENROLL, VIEW, ATTEMPT, ANSWER, COMPLETE = range(5)
#: Right answers to exercises of a skill after which it counts as passed.
PASS_MARK = 4
#: Exercises in a session at most, and seconds that one can take with all around it.
MOST_STEPS, LONGEST_STEP = 20, LONGEST + 400
#: How much of a student's zeal each weekday has, and when sessions begin (hour, deviation).
WEEKDAY = np.array([1.0, 1.0, 1.0, 0.95, 0.7, 0.45, 0.8])
START_HOUR = np.array([17.0, 17.0, 17.0, 17.0, 16.0, 13.0, 15.0])
HOUR_SPREAD = 2.0
#: Probability of reading the lesson: when the skill is new, after a failure, otherwise.
READ_NEW, READ_FAILED, READ_ELSE = 0.8, 0.4, 0.1
#: Probability of going on to the next exercise of the course after a wrong answer.
MOVE_ON = 0.4

_PREREQUISITES = NEEDS.T.astype(np.float32)
_N_NEEDS = NEEDS.sum(axis=1)
_OF_COURSE = np.arange(len(COURSES))[:, None] == COURSE_OF


@dataclass(frozen=True, eq=False)
class Studied:
    """What a block of students did, and how it ended.

    Parameters
    ----------
    events : dict of str to NDArray
        Columns of the event log, with students counted from 0, sorted by time and student.
    practice : dict of str to NDArray
        One entry for each skill of each answer: user, skill, time (seconds), gain and practised
        after it.
    chance : NDArray[float64]
        The probability that decided each answer, in the order of the answers in `events`.
    hazard : NDArray[float64]
        Of dropping out, where a student was at risk, otherwise NaN, shape (days, n).
    gone : NDArray[int64]
        Day at whose start a student dropped out, -1 where never.
    minds : Minds
        At the end.
    """

    events: dict[str, NDArray[Any]]
    practice: dict[str, NDArray[Any]]
    chance: Numbers
    hazard: Numbers
    gone: Ids
    minds: Minds

    @cached_property
    def practice_index(self) -> tuple[Ids, Ids]:
        """Sorted keys of the practice, and the order that sorts it."""
        past = self.practice
        keys = self.key(past["user"] * N_SKILLS + past["skill"], past["time"])
        order = np.argsort(keys, kind="stable")
        return keys[order], order

    def key(self, group: Ids, seconds: Any) -> Ids:
        """Make one number of a student's skill and a time, which sorts by both."""
        end = len(self.hazard) * SECONDS_A_DAY
        return np.asarray(group * (end + 1) + np.minimum(seconds, end).astype(np.int64))


@dataclass(eq=False)
class Classroom:
    """A block of students at their desks.

    Parameters
    ----------
    students : Students
        The block.
    exercises : Exercises
        All exercises.
    days : int
        Length of the period.
    wander : float
        Probability of an exercise out of the order of the course.
    rng : numpy.random.Generator
        The block's own.
    """

    students: Students
    exercises: Exercises
    days: int
    wander: float
    rng: np.random.Generator
    minds: Minds = field(init=False)
    parts: list[tuple[Any, ...]] = field(init=False, default_factory=list)
    learned: list[tuple[Any, ...]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Seat the students as they come in."""
        s = self.students
        n = len(s.grade)
        self.minds = Minds.fresh(s.base, s.half_life, s.rate)
        self.order, self.starts = course_order(self.exercises)
        self.credit = s.grade[:, None] > DEPTH
        self.right = np.zeros((n, N_SKILLS), dtype=np.int64)
        self.place = np.zeros((n, N_SKILLS), dtype=np.int64)
        self.enrolled = np.zeros((n, len(COURSES)), dtype=np.bool_)
        self.course = np.full(n, -1)
        self.failed = np.zeros(n, dtype=np.bool_)
        self.last_day = s.joined.copy()
        self.gone = np.full(n, -1)
        self.hazard = np.full((self.days, n), np.nan)

    def run(self) -> Studied:
        """Let all days pass."""
        for day in range(self.days):
            self._drop_out(day)
            rows = self._come(day)
            clock = day * SECONDS_A_DAY + self._start(day, len(rows))
            self.last_day[rows] = day
            for _ in range(MOST_STEPS):
                rows, clock = self._step(rows, clock, day)
                if not len(rows):
                    break
        return self._collect()

    def _drop_out(self, day: int) -> None:
        """Decide who never comes back, of all who joined before the day."""
        rows = np.flatnonzero((self.students.joined < day) & (self.gone < 0))
        mood = self.minds.frustration[rows], self.minds.boredom[rows]
        hazard = drop_out_hazard(*mood, day - self.last_day[rows])
        self.hazard[day, rows] = hazard
        self.gone[rows[self.rng.random(len(rows)) < hazard]] = day

    def _come(self, day: int) -> Ids:
        """Decide who has a session: everyone on the day of joining."""
        chance = self.students.zeal * WEEKDAY[day % 7]
        comes = self.rng.random(len(chance)) < chance
        joined = self.students.joined
        here = (joined == day) | ((joined < day) & comes & (self.gone < 0))
        return np.flatnonzero(here)

    def _start(self, day: int, n: int) -> Ids:
        hours = np.clip(self.rng.normal(START_HOUR[day % 7], HOUR_SPREAD, n), 6.0, 22.0)
        return (hours * 3600).astype(np.int64)

    def _step(self, rows: Ids, clock: Ids, day: int) -> tuple[Ids, Ids]:
        """Let students do one exercise each; give those who stay, and their clocks."""
        items, clock = self._choose(rows, clock, day)
        clock = self._read(rows, items, clock, day)
        right, clock = self._answer(rows, items, clock, day)
        skill = self.exercises.skills[items, 0]
        self.right[rows, skill] += right
        self.place[rows, skill] += right | (self.rng.random(len(rows)) < MOVE_ON)
        self.failed[rows] = ~right
        mood = self.minds.frustration[rows], self.minds.boredom[rows]
        stays = self.rng.random(len(rows)) >= leave_probability(*mood)
        clock = clock + self.rng.integers(4, 40, len(rows))
        stays &= clock + LONGEST_STEP < (day + 1) * SECONDS_A_DAY
        return rows[stays], clock[stays]

    def _choose(self, rows: Ids, clock: Ids, day: int) -> tuple[Ids, Ids]:
        """Choose exercises: the next one of the course, or some that is open."""
        passed = self.credit[rows] | (self.right[rows] >= PASS_MARK)
        open_ = passed.astype(np.float32) @ _PREREQUISITES >= _N_NEEDS
        todo = open_ & ~passed
        joins = self._change_course(rows, todo, open_)
        in_course = _OF_COURSE[self.course[rows]]
        ahead = todo & in_course
        skill = np.where(ahead.any(axis=1), ahead.argmax(axis=1), self._any(open_ & in_course))
        known = open_ & self.enrolled[rows][:, COURSE_OF]
        strays = (self.rng.random(len(rows)) < self.wander) & ~joins
        skill = np.where(strays, self._any(known), skill)
        size = self.starts[skill + 1] - self.starts[skill]
        place = self.place[rows, skill]
        place = np.where(strays, self.rng.integers(1_000_000, size=len(rows)), place) % size
        first = self.order[self.starts[COURSE_OF.searchsorted(self.course[rows])]]
        self._note(rows[joins], first[joins], clock[joins], ENROLL, day)
        return self.order[self.starts[skill] + place], clock + 10 * joins

    def _change_course(
        self, rows: Ids, todo: NDArray[np.bool_], open_: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Move who has nothing left in the course to one that has; say who enrolled anew."""
        left = (todo[:, None, :] & _OF_COURSE).any(axis=2)
        course = self.course[rows]
        done = (course < 0) | ~left[np.arange(len(rows)), course]
        done &= todo.any(axis=1) | (course < 0)
        wanted = np.where(todo.any(axis=1), self._any(todo), self._any(open_))
        course = np.where(done, COURSE_OF[wanted], course)
        joins: NDArray[np.bool_] = ~self.enrolled[rows, course]
        self.course[rows] = course
        self.enrolled[rows, course] = True
        return joins

    def _any(self, mask: NDArray[np.bool_]) -> Ids:
        """Draw one of the marked columns in each row."""
        return np.asarray((mask * (1.0 - self.rng.random(mask.shape))).argmax(axis=1))

    def _read(self, rows: Ids, items: Ids, clock: Ids, day: int) -> Ids:
        """Let some read the lesson first."""
        new = self.minds.practised[rows, self.exercises.skills[items, 0]] == 0
        chance = np.where(new, READ_NEW, np.where(self.failed[rows], READ_FAILED, READ_ELSE))
        reads = self.rng.random(len(rows)) < chance
        seconds = np.exp(self.rng.normal(np.log(50), 0.5, len(rows)))
        seconds = np.clip(seconds, SHORTEST, 300).astype(np.int64)
        self._note(rows[reads], items[reads], clock[reads], VIEW, day, seconds[reads])
        return np.asarray(clock + seconds * reads)

    def _answer(self, rows: Ids, items: Ids, clock: Ids, day: int) -> tuple[NDArray[np.bool_], Ids]:
        """Let students attempt an exercise, answer it, and learn from it."""
        self._note(rows, items, clock, ATTEMPT, day)
        skill = self.minds.skill(rows, clock)
        mean = self.exercises.log_seconds(skill, items[:, None], self.students.speed[rows])[:, 0]
        clock = clock + draw_seconds(mean, self.rng)
        chance = self.exercises.chance(self.minds.skill(rows, clock), items[:, None])[:, 0]
        right = self.rng.random(len(rows)) < chance
        self.minds.answer(self.exercises, rows, items, right, clock)
        spent = clock - self.parts[-1][2]
        self._note(rows, items, clock, ANSWER, day, spent, right, chance)
        self._note(rows[right], items[right], clock[right] + 1, COMPLETE, day)
        self._learned(rows, items, clock)
        return right, clock

    def _learned(self, rows: Ids, items: Ids, clock: Ids) -> None:
        """Note what the skills of the exercises are after the answer."""
        for place in (0, 1):
            uses = self.exercises.weights[items, place] > 0
            who, skill = rows[uses], self.exercises.skills[items[uses], place]
            after = self.minds.gain[who, skill], self.minds.practised[who, skill]
            self.learned.append((who, skill, clock[uses], *after))

    def _note(
        self,
        rows: Ids,
        items: Ids,
        clock: Ids,
        behavior: int,
        day: int,
        value: Any = np.nan,
        right: Any = -1,
        chance: Any = np.nan,
    ) -> None:
        """Keep events for the log."""
        given = (behavior, np.int8), (day, np.int16), (value, np.float32), (right, np.int8)
        filled = (np.full(len(rows), x, dtype=kind) for x, kind in (*given, (chance, np.float64)))
        self.parts.append((rows, items, clock, *filled))

    def _collect(self) -> Studied:
        """Put all that was noted into columns."""
        names = ("user", "item", "time", "behavior", "day", "value", "correct", "chance")
        events = _columns(self.parts, names)
        order = np.lexsort((events["user"], events["time"]))
        events = {name: column[order] for name, column in events.items()}
        chance = events.pop("chance")[events["behavior"] == ANSWER]
        practice = _columns(self.learned, ("user", "skill", "time", "gain", "practised"))
        return Studied(events, practice, chance, self.hazard, self.gone, self.minds)


def draw_seconds(mean: Numbers, rng: np.random.Generator) -> Ids:
    """Draw how long exercises take: lognormal (van der Linden, 2006), whole seconds in bounds."""
    seconds = np.exp(mean + SPREAD_OF_SECONDS * rng.standard_normal(mean.shape))
    return np.clip(np.rint(seconds), SHORTEST, LONGEST).astype(np.int64)


def _columns(parts: list[tuple[Any, ...]], names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(names)}

"""The education world: students practise skills, forget them, and some of them give up."""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from behaviorseq.arguments import number, whole
from behaviorseq.datasets.sources import Dataset

from .base import START, World
from .education_audience import StudentAudience, final_minds
from .education_model import Exercises, Minds, Students
from .education_people import draw_exercises, draw_students, item_table, user_table
from .education_study import BEHAVIORS, Classroom, Studied
from .education_subjects import N_SKILLS
from .education_truth import Truth

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Education(World):
    """Students practise the skills of courses with exercises; skill grows, fades, and some quit.

    Items are exercises only, so that every item can be recommended, answered and solved; course
    and skill are columns of the items, and a lesson is read on the page of an exercise. Behaviors,
    and the ``value`` of each:

    ========  =================================================  =================
    enroll    joined a course; the item is its first exercise    none
    view      read the lesson on the page of the exercise        seconds of reading
    attempt   began the exercise                                 none
    answer    answered it; column ``correct`` is 1 or 0          seconds since the attempt
    complete  solved it: follows every right answer              none
    ========  =================================================  =================

    The model, step by step:

    - A right answer has the probability c + (1 - c) / (1 + exp(-a (theta - b))), the
      three-parameter logistic model of Birnbaum (in Lord and Novick, 1968), which with a = 1 and
      c = 0 is that of Rasch (1960): difficulty b, discrimination a, guess c by the form of the
      answer. theta is the weighted mean of the student's skills that the exercise uses
      (compensatory, as in performance factors analysis: Pavlik, Cen and Koedinger, AIED 2009).
    - A right answer raises the skills that it uses, in proportion to their weights, by
      rate * exp(-((theta - b) / 0.8) ** 2 / 2) * readiness in all, and a wrong one by 0.4 of that
      (success and failure teach differently, as in performance factors analysis). That practice
      teaches most where difficulty meets skill, after the zone of proximal development that
      tutoring systems aim at (Clement et al., JEDM 2015), and the shape, are assumptions.
      Readiness falls to 0 with the weakest prerequisite.
    - Gains fade by half-life regression (Settles and Meeder, ACL 2016): 2 ** (-days / h), where h
      grows exponentially with the square root of practice. Half-lives differ by skill (as in
      DAS3H: Choffin et al., EDM 2019) and by student. What a student knew before stays.
    - Seconds are lognormal (van der Linden, Journal of Educational and Behavioral Statistics
      31(2), 2006): intensity of the exercise minus speed of the student; that they also grow with
      difficulty minus skill is added here.
    - Dropping out has a logistic hazard each day (Singer and Willett, Journal of Educational
      Statistics 18(2), 1993), of recent failures (frustration), of exercises that were too easy
      (boredom) and of days since the last session. The coefficients are assumptions.
    - A skill is passed after 4 right answers, or when the student's grade credits it; a skill is
      open when its prerequisites are passed, and only open ones are offered. Students follow their
      course from easy to hard, repeat what they failed, and with probability `wander` take
      something else that is open.

    Differences from a real platform: reading a lesson teaches nothing; massed practice counts as
    much as spaced; students do not slip, copy or take hints; courses never change; region bears
    on nothing (a negative control), and nobody comes back after dropping out.

    Parameters
    ----------
    n_users, n_items, days, seed : int
        As in `World`; `n_items` is 20 or more, one exercise for each skill.
    wander : float
        Probability that a student takes an exercise out of the order of the course.
    half_life : float
        Median half-life of a gain before more practice, in days, 0.001 to 10,000.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> log = Education(n_users=20, n_items=40, days=7, seed=1).log()
    >>> log.events.columns.tolist()
    ['user', 'item', 'time', 'behavior', 'value', 'session', 'correct']
    """

    name: ClassVar[str] = "education"
    title: ClassVar[str] = "Simulated students: skills that grow by practice and fade"
    behaviors: ClassVar[tuple[str, ...]] = BEHAVIORS
    notes: ClassVar[str] = (
        "Simulated. Items are exercises; skills, difficulty, ability and mood are latent. Reading "
        "a lesson teaches nothing, nobody comes back after dropping out, and region bears on "
        "nothing. `value` is seconds, `correct` belongs to answers only."
    )
    #: Students simulated at a time; part of what a seed means.
    block_size: ClassVar[int] = 2_000
    #: Blocks kept in memory for the truth.
    blocks_kept: ClassVar[int] = 4

    def __init__(
        self,
        n_users: int,
        n_items: int,
        days: int,
        seed: int = 0,
        *,
        wander: float = 0.15,
        half_life: float = 7.0,
    ) -> None:
        self.wander = number("wander", wander, 0, 1)
        self.half_life = number("half_life", half_life, 0.001, 10_000)
        options = {"wander": self.wander, "half_life": self.half_life}
        super().__init__(n_users, whole("n_items", n_items, N_SKILLS), days, seed, **options)
        self._studied: dict[int, Studied] = {}

    def log(self) -> Dataset:
        """Give the event log, the exercises and the students, as an observer sees them."""
        parts = [{"block": block, **self._study(block).events} for block in range(self.n_blocks)]
        events = self._events(parts)
        items = item_table(self.exercises, self._drawn[1], self.rng("text"))
        return Dataset(events, items, user_table(self.students), self.source(len(events)))

    @cached_property
    def truth(self) -> Truth:
        """Skills, probabilities, drop-out and the parameters behind them."""
        return Truth(self)

    def audience(self, n_seats: int, *, reward: str = "gain") -> StudentAudience:
        """Give students who do what a recommender picks; see `StudentAudience`."""
        return StudentAudience(self, n_seats, reward)

    @property
    def n_blocks(self) -> int:
        """Number of blocks of students."""
        return -(-self.n_users // self.block_size)

    @cached_property
    def exercises(self) -> Exercises:
        """The latent side of exercises."""
        return self._drawn[0]

    @cached_property
    def students(self) -> Students:
        """The latent side of students."""
        return draw_students(self.n_users, self.days, self.half_life, self.rng("students"))

    @cached_property
    def final_minds(self) -> Minds:
        """What all students know at the end of the log."""
        return final_minds(self)

    def study(self, block: int) -> Studied:
        """Give what a block of students did; the last few blocks are kept."""
        if block not in self._studied:
            if len(self._studied) >= self.blocks_kept:
                del self._studied[next(iter(self._studied))]
            self._studied[block] = self._study(block)
        return self._studied[block]

    def _study(self, block: int) -> Studied:
        part = slice(block * self.block_size, (block + 1) * self.block_size)
        everyone = self.students
        students = Students(*(getattr(everyone, name.name)[part] for name in fields(Students)))
        rng = self.rng("study", block)
        return Classroom(students, self.exercises, self.days, self.wander, rng).run()

    @cached_property
    def _drawn(self) -> tuple[Exercises, NDArray[np.int64]]:
        return draw_exercises(self.n_items, self.rng("exercises"))

    def _events(self, parts: list[dict[str, Any]]) -> pd.DataFrame:
        """Put the events of blocks into one log."""
        for part in parts:
            part["user"] = part["user"] + part.pop("block") * self.block_size
        columns = {name: np.concatenate([p.pop(name) for p in parts]) for name in list(parts[0])}
        order = np.lexsort((columns["user"], columns["time"]))
        columns = {name: column[order] for name, column in columns.items()}
        behavior = pd.Categorical.from_codes(columns["behavior"], BEHAVIORS)
        correct = columns["correct"]
        return pd.DataFrame(
            {
                "user": columns["user"],
                "item": columns["item"],
                "time": START + columns["time"].astype("timedelta64[s]"),
                "behavior": pd.Series(behavior).astype("str"),
                "value": columns["value"],
                "session": columns["day"] * np.int64(self.n_users) + columns["user"],
                "correct": pd.arrays.IntegerArray(correct, correct < 0),
            }
        )

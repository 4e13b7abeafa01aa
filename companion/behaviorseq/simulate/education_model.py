"""The laws of the education world: who can do what, how skill grows and fades, who gives up.

Each law is one function, which the log, the truth and the environment share. A skill is a number
on the scale of item response theory: an exercise whose difficulty equals it is solved in half of
the attempts, guessing aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from .education_subjects import N_SKILLS, NEEDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Ids = NDArray[np.int64]

#: Difference of skill and difficulty at which practice teaches exp(-1/2) of the most.
ZONE_WIDTH = 0.8
#: Share of the gain that a wrong answer still brings.
GAIN_OF_FAILURE = 0.4
#: Where the weakest prerequisite has this skill, practice is worth half.
READY_AT, READY_WIDTH = -1.0, 0.3
#: Growth of a half-life with the square root of practice, and the longest half-life, in days.
HALF_LIFE_GROWTH, LONGEST_HALF_LIFE = 0.5, 274.0
#: Deviation of log seconds, and how much they grow with difficulty minus skill.
SPREAD_OF_SECONDS, SECONDS_BY_GAP = 0.35, 0.2
SHORTEST, LONGEST = 3, 900
#: Share that the last exercise has in frustration and boredom.
MOOD_STEP = 0.3
#: A chance of solving, guessing aside, above which an exercise begins to bore.
TOO_EASY = 0.8
#: Logits: of leaving after an exercise, of dropping out on a day.
LEAVE = {"base": -3.0, "frustration": 2.5, "boredom": 2.5}
DROP_OUT = {"base": -6.8, "frustration": 2.5, "boredom": 2.5, "idle": 0.5}


@dataclass(frozen=True, eq=False)
class Exercises:
    """The latent side of exercises; all arrays have one row an exercise.

    Parameters
    ----------
    skills : NDArray[int64]
        The skill that is trained and a second one that is used, or the first again,
        shape (n_items, 2).
    weights : NDArray[float64]
        Their shares, which sum to 1, shape (n_items, 2).
    level : NDArray[int64]
        The level that the author gave it, 0 to 4.
    difficulty, discrimination, guess : NDArray[float64]
        Of the three-parameter logistic model.
    intensity : NDArray[float64]
        Mean of log seconds where difficulty equals skill and the student has speed 0.
    """

    skills: Ids
    weights: Numbers
    level: Ids
    difficulty: Numbers
    discrimination: Numbers
    guess: Numbers
    intensity: Numbers

    def skill(self, skill: Numbers, items: Ids) -> Numbers:
        """Give the skill that exercises call for: the weighted mean of that of their skills.

        Parameters
        ----------
        skill : NDArray[float64]
            Skills of each student, shape (n, n_skills).
        items : NDArray[int64]
            Exercises for each student, shape (n, m).

        Returns
        -------
        NDArray[float64]
            Shape (n, m). A strong skill makes up for a weak one (compensatory).
        """
        parts = [np.take_along_axis(skill, self.skills[items, i], axis=1) for i in (0, 1)]
        return np.asarray(parts[0] * self.weights[items, 0] + parts[1] * self.weights[items, 1])

    def mastery(self, skill: Numbers, items: Ids) -> Numbers:
        """Give the chance that students know how to solve exercises, guessing aside, (n, m)."""
        gap = self.skill(skill, items) - self.difficulty[items]
        return np.asarray(expit(self.discrimination[items] * gap))

    def chance(self, skill: Numbers, items: Ids) -> Numbers:
        """Give the probability of a right answer, (n, m): guess + (1 - guess) * mastery."""
        guess = self.guess[items]
        return guess + (1 - guess) * self.mastery(skill, items)

    def gain(self, skill: Numbers, items: Ids, rate: Numbers) -> Numbers:
        """Give by how much a right answer raises the sum of a student's skills, (n, m).

        Parameters
        ----------
        skill : NDArray[float64]
            Shape (n, n_skills).
        items : NDArray[int64]
            Shape (n, m).
        rate : NDArray[float64]
            Learning rates, shape (n,).
        """
        gap = (self.skill(skill, items) - self.difficulty[items]) / ZONE_WIDTH
        ready = np.take_along_axis(readiness(skill), self.skills[items, 0], axis=1)
        return rate[:, None] * np.exp(-0.5 * gap**2) * ready

    def expected_gain(self, skill: Numbers, items: Ids, rate: Numbers) -> Numbers:
        """Give the expected increase of the mean of a student's skills, (n, m)."""
        right = self.chance(skill, items)
        share = right + (1 - right) * GAIN_OF_FAILURE
        return self.gain(skill, items, rate) * share / N_SKILLS

    def log_seconds(self, skill: Numbers, items: Ids, speed: Numbers) -> Numbers:
        """Give the mean of the logarithm of the seconds that an exercise takes, (n, m)."""
        gap = np.clip(self.difficulty[items] - self.skill(skill, items), -4, 4)
        return self.intensity[items] - speed[:, None] + SECONDS_BY_GAP * gap


def readiness(skill: Numbers) -> Numbers:
    """Give how ready students are for each skill, by its weakest prerequisite, (n, n_skills)."""
    weakest = np.where(NEEDS, skill[:, None, :], np.inf).min(axis=2)
    return np.asarray(expit((weakest - READY_AT) / READY_WIDTH))


def retained(gain: Any, practised: Any, days: Any, half_life: Any) -> Any:
    """Give what is left of a gain after some days without practice.

    Half-life regression (Settles and Meeder, ACL 2016): 2 ** (-days / h), where h grows
    exponentially with the square root of 1 + practice and is at most 274 days, as in their code.

    Parameters
    ----------
    gain : array_like
        What practice had added to the skill at the last practice.
    practised : array_like
        How often the skill was practised.
    days : array_like
        Days since.
    half_life : array_like
        In days, of what was never practised.

    Examples
    --------
    >>> retained(1.0, 0, 7.0, 7.0)
    np.float64(0.5)
    >>> bool(retained(1.0, 8, 7.0, 7.0) > 0.7)
    True
    """
    grown = half_life * np.exp2(HALF_LIFE_GROWTH * (np.sqrt(1.0 + practised) - 1.0))
    return gain * np.exp2(-days / np.minimum(grown, LONGEST_HALF_LIFE))


def leave_probability(frustration: Any, boredom: Any) -> Any:
    """Give the probability that a student stops for now, after an exercise."""
    mood = LEAVE["frustration"] * frustration + LEAVE["boredom"] * boredom
    return expit(LEAVE["base"] + mood)


def drop_out_hazard(frustration: Any, boredom: Any, idle: Any) -> Any:
    """Give the probability that a student stops for good on a day.

    A discrete-time logistic hazard (Singer and Willett, 1993).

    Parameters
    ----------
    frustration, boredom : array_like
        Mood after the last exercise, from 0 to 1.
    idle : array_like
        Days since the last session.
    """
    mood = DROP_OUT["frustration"] * frustration + DROP_OUT["boredom"] * boredom
    return expit(DROP_OUT["base"] + mood + DROP_OUT["idle"] * np.log1p(idle))


@dataclass(frozen=True, eq=False)
class Students:
    """The latent side of students; all arrays have one row a student.

    Parameters
    ----------
    grade : NDArray[int64]
        Grade band, 0 to 3: skills less deep than it are credited to the student.
    region : NDArray[int64]
        Where they live, which bears on nothing.
    ability : NDArray[float64]
        What all skills of a student share.
    base : NDArray[float64]
        Skills without practice, shape (n, n_skills).
    rate, speed, zeal : NDArray[float64]
        Learning rate, speed of work, probability of a session on a working day.
    half_life : NDArray[float64]
        Days, for each skill, shape (n, n_skills).
    joined : NDArray[int64]
        Day of the first session.
    """

    grade: Ids
    region: Ids
    ability: Numbers
    base: Numbers
    rate: Numbers
    speed: Numbers
    zeal: Numbers
    half_life: Numbers
    joined: Ids


@dataclass(eq=False)
class Minds:
    """What students know and how they feel, as it changes.

    Parameters
    ----------
    base, half_life : NDArray[float64]
        As in `Students`, shape (n, n_skills).
    rate : NDArray[float64]
        Learning rates, shape (n,).
    gain : NDArray[float64]
        What practice had added at the last practice, shape (n, n_skills).
    practised : NDArray[int64]
        How often each skill was practised, shape (n, n_skills).
    since : NDArray[float64]
        When it was last practised, in days, shape (n, n_skills).
    frustration, boredom : NDArray[float64]
        Moving means of failures and of what was too easy, shape (n,).
    """

    base: Numbers
    half_life: Numbers
    rate: Numbers
    gain: Numbers
    practised: Ids
    since: Numbers
    frustration: Numbers
    boredom: Numbers

    @classmethod
    def fresh(cls, base: Numbers, half_life: Numbers, rate: Numbers) -> Minds:
        """Make minds before any practice."""
        shape, n = base.shape, len(base)
        zeros = np.zeros(shape), np.zeros(shape, dtype=np.int64), np.zeros(shape)
        return cls(base, half_life, rate, *zeros, np.zeros(n), np.zeros(n))

    def take(self, rows: Ids) -> Minds:
        """Copy the minds of some students."""
        return Minds(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def put(self, rows: Ids, others: Minds) -> None:
        """Replace the minds of some students."""
        for name in self.__dataclass_fields__:
            getattr(self, name)[rows] = getattr(others, name)

    def skill(self, rows: Ids, seconds: Any) -> Numbers:
        """Give the skills of students at a time each, in seconds, shape (n, n_skills)."""
        days = (np.asarray(seconds, dtype=np.float64) / 86_400)[:, None] - self.since[rows]
        left = retained(self.gain[rows], self.practised[rows], days, self.half_life[rows])
        return np.asarray(self.base[rows] + left)

    def answer(
        self, exercises: Exercises, rows: Ids, items: Ids, right: NDArray[np.bool_], seconds: Any
    ) -> Numbers:
        """Let students learn from answers that they gave at a time each; give their gains.

        Returns
        -------
        NDArray[float64]
            Increase of the sum of skills, shape (n,).
        """
        skill = self.skill(rows, seconds)
        total = exercises.gain(skill, items[:, None], self.rate[rows])[:, 0]
        total *= np.where(right, 1.0, GAIN_OF_FAILURE)
        easy = exercises.mastery(skill, items[:, None])[:, 0]
        two = exercises.weights[items, 1] > 0
        for place, who in ((0, slice(None)), (1, two)):
            skills, shares = (
                exercises.skills[items[who], place],
                exercises.weights[items[who], place],
            )
            at = rows[who], skills
            kept = skill[who][np.arange(len(skills)), skills] - self.base[at]
            self.gain[at] = kept + total[who] * shares
            self.practised[at] += 1
            self.since[at] = np.asarray(seconds, dtype=np.float64)[who] / 86_400
        self.frustration[rows] += MOOD_STEP * (~right - self.frustration[rows])
        bore = np.maximum(0.0, (easy - TOO_EASY) / (1 - TOO_EASY))
        self.boredom[rows] += MOOD_STEP * (bore - self.boredom[rows])
        return total

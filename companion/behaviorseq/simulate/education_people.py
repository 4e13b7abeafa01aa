"""Exercises and students of the education world: what is drawn, and what is shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .base import START
from .education_model import Exercises, Students
from .education_subjects import (
    COURSE_OF,
    COURSES,
    DEPTH,
    LEVELS,
    N_SKILLS,
    NEEDS,
    SKILL_NAMES,
    write_exercise,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Grade bands; band g is credited with all skills of a depth below g.
GRADES = ("10 to 11", "12 to 13", "14 to 15", "16 and older")
REGIONS = ("north", "east", "south", "west", "abroad")
#: Forms of an answer, their shares, and the chance of a right guess in each.
FORMS = ("number", "one of four", "true or false")
FORM_SHARES = (0.45, 0.40, 0.15)
FORM_GUESS = np.array([0.0, 0.25, 0.5])
#: Share of exercises that use a second skill, where there is one, and its weight.
SECOND_SHARE, SECOND_WEIGHT = 0.3, 0.3


def draw_exercises(n: int, rng: np.random.Generator) -> tuple[Exercises, NDArray[np.int64]]:
    """Draw exercises, as many of each skill as can be, and the form of their answers."""
    skill = rng.permutation(np.arange(n) % N_SKILLS)
    scores = np.where(NEEDS[skill], rng.random((n, N_SKILLS)), -1.0)
    has_second = (scores.max(axis=1) >= 0) & (rng.random(n) < SECOND_SHARE)
    second = np.where(has_second, scores.argmax(axis=1), skill)
    level = rng.integers(len(LEVELS), size=n)
    form = rng.choice(len(FORMS), size=n, p=FORM_SHARES)
    share = np.where(has_second, SECOND_WEIGHT, 0.0)
    exercises = Exercises(
        skills=np.stack([skill, second], axis=1),
        weights=np.stack([1 - share, share], axis=1),
        level=level,
        difficulty=0.8 * (level - 2) + rng.normal(0, 0.4, n),
        discrimination=np.exp(rng.normal(0.3, 0.25, n)),
        guess=FORM_GUESS[form],
        intensity=rng.normal(np.log(40), 0.35, n) + 0.15 * level,
    )
    return exercises, form


def course_order(exercises: Exercises) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give exercises skill by skill, each from easy to hard by level, and where skills start."""
    skill = exercises.skills[:, 0]
    order = np.lexsort((np.arange(len(skill)), exercises.level, skill))
    return order, np.searchsorted(skill[order], np.arange(N_SKILLS + 1))


def draw_students(n: int, days: int, half_life: float, rng: np.random.Generator) -> Students:
    """Draw students; most join in the first week, the others until the middle of the period."""
    grade = rng.choice(len(GRADES), size=n, p=(0.3, 0.3, 0.25, 0.15))
    ability = rng.normal(0, 0.7, n)
    typical = 0.6 * (grade[:, None] - DEPTH) - 0.6
    early = rng.random(n) < 0.6
    last = np.where(early, min(days, 7), max(1, int(days * 0.5)))
    by_skill = np.exp(rng.normal(0, 0.25, N_SKILLS))
    return Students(
        grade=grade,
        region=rng.integers(len(REGIONS), size=n),
        ability=ability,
        base=ability[:, None] + typical + rng.normal(0, 0.4, (n, N_SKILLS)),
        rate=np.exp(rng.normal(np.log(0.3), 0.35, n)),
        speed=rng.normal(0, 0.25, n),
        zeal=rng.beta(2, 3, n),
        half_life=half_life * by_skill * np.exp(rng.normal(0, 0.3, (n, 1))),
        joined=(rng.random(n) * last).astype(np.int64),
    )


def item_table(
    exercises: Exercises, form: NDArray[np.int64], rng: np.random.Generator
) -> pd.DataFrame:
    """Give what an observer sees of exercises."""
    n = len(form)
    skill, second = exercises.skills.T
    order, starts = course_order(exercises)
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n) - starts[skill[order]]
    draws = rng.integers(1_000_000, size=(n, 5)).tolist()
    texts = [
        write_exercise(*row)
        for row in zip(
            skill.tolist(), second.tolist(), exercises.level.tolist(), draws, strict=True
        )
    ]
    names = np.array(SKILL_NAMES)
    return pd.DataFrame(
        {
            "item": np.arange(n),
            "course": np.array(COURSES)[COURSE_OF[skill]],
            "skill": names[skill],
            "second_skill": np.where(skill == second, "", names[second]),
            "level": np.array(LEVELS)[exercises.level],
            "place": place,
            "form": np.array(FORMS)[form],
            "title": [title for title, _ in texts],
            "text": [text for _, text in texts],
        }
    )


def user_table(students: Students) -> pd.DataFrame:
    """Give what an observer sees of students."""
    return pd.DataFrame(
        {
            "user": np.arange(len(students.grade)),
            "grade": np.array(GRADES)[students.grade],
            "region": np.array(REGIONS)[students.region],
            "joined": START + students.joined.astype("timedelta64[D]"),
        }
    )

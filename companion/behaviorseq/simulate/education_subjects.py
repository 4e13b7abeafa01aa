"""What the education world teaches: courses, skills, which one needs which, and their words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Skill:
    """A skill, the skills that it needs, and the words of its exercises.

    Parameters
    ----------
    name, course : str
        The skill, and the course that teaches it.
    needs : tuple of str
        The skills that it builds on.
    tasks : tuple of str
        What an exercise asks for, in the imperative.
    terms : tuple of str
        Words that belong to it.
    """

    name: str
    course: str
    needs: tuple[str, ...]
    tasks: tuple[str, ...]
    terms: tuple[str, ...]


def _skill(name: str, course: str, needs: str, tasks: str, terms: str) -> Skill:
    """Make a skill of lists that are written with commas."""
    split = [tuple(word.strip() for word in part.split(",") if word) for part in (needs, tasks)]
    return Skill(name, course, split[0], split[1], tuple(terms.split(", ")))


#: All skills, those of a course one after another, in the order in which it teaches them.
SKILLS: tuple[Skill, ...] = (
    _skill(
        *("whole numbers", "Arithmetic", ""),
        "add the numbers, subtract the numbers, multiply the numbers, divide and give the rest",
        "sum, difference, product, remainder, place value",
    ),
    _skill(
        *("fractions", "Arithmetic", "whole numbers"),
        "add the fractions, simplify the fraction, compare the fractions, multiply the fractions",
        "numerator, denominator, common denominator, mixed number, equal parts",
    ),
    _skill(
        *("percentages", "Arithmetic", "fractions"),
        "find the percentage, apply the discount, write as a decimal, find the increase",
        "percent, decimal, discount, interest, hundredths",
    ),
    _skill(
        *("ratios", "Arithmetic", "fractions"),
        "scale the recipe, share in the ratio, find the unit rate, compare the rates",
        "ratio, rate, proportion, scale, per unit",
    ),
    _skill(
        *("expressions", "Algebra", "whole numbers"),
        "simplify the expression, collect like terms, expand the brackets, evaluate the expression",
        "variable, like terms, coefficient, brackets, substitution",
    ),
    _skill(
        *("linear equations", "Algebra", "expressions,fractions"),
        "solve the equation, find the unknown, check the solution, rearrange the formula",
        "unknown, balance, both sides, solution, isolate",
    ),
    _skill(
        *("systems of equations", "Algebra", "linear equations"),
        "solve the system, eliminate a variable, find where the lines cross, substitute and solve",
        "simultaneous, elimination, intersection, two unknowns, pair of lines",
    ),
    _skill(
        *("quadratic equations", "Algebra", "linear equations"),
        "factor the quadratic, find the roots, complete the square, use the quadratic formula",
        "parabola, roots, square term, discriminant, factors",
    ),
    _skill(
        *("angles", "Geometry", "whole numbers"),
        "find the angle, name the angle, add the angles, use parallel lines",
        "degrees, right angle, acute, obtuse, parallel",
    ),
    _skill(
        *("triangles", "Geometry", "angles"),
        "find the missing side, classify the triangle, show congruence, find the height",
        "isosceles, congruent, base, height, vertex",
    ),
    _skill(
        *("area and volume", "Geometry", "triangles,fractions"),
        "find the area, find the volume, find the surface, compare the areas",
        "square metres, cubic metres, perimeter, surface, prism",
    ),
    _skill(
        *("right triangles", "Geometry", "triangles,expressions"),
        "find the hypotenuse, use Pythagoras, find the distance, use the sine",
        "hypotenuse, legs, square root, sine, slope",
    ),
    _skill(
        *("charts and tables", "Statistics", "whole numbers"),
        "read the chart, complete the table, find the tallest bar, count the cases",
        "bar chart, axis, frequency, row, column",
    ),
    _skill(
        *("averages", "Statistics", "charts and tables,fractions"),
        "find the mean, find the median, compare the spreads, find the outlier",
        "mean, median, mode, range, outlier",
    ),
    _skill(
        *("probability", "Statistics", "ratios"),
        "find the probability, list the outcomes, draw the tree, combine the chances",
        "outcome, chance, independent, tree diagram, dice",
    ),
    _skill(
        *("distributions", "Statistics", "averages,probability"),
        "describe the distribution, find the standard deviation, estimate the tail, read the curve",
        "standard deviation, normal curve, tail, histogram, expected value",
    ),
    _skill(
        *("variables in code", "Programming", "expressions"),
        "assign the variable, trace the values, fix the type, print the result",
        "assignment, integer, string, value, print",
    ),
    _skill(
        *("conditions", "Programming", "variables in code"),
        "write the condition, choose the branch, combine the tests, trace the branch",
        "if, else, true, false, comparison",
    ),
    _skill(
        *("loops", "Programming", "conditions"),
        "write the loop, count the repetitions, stop the loop, sum the list",
        "for, while, iteration, counter, list",
    ),
    _skill(
        *("functions in code", "Programming", "loops"),
        "write the function, name the arguments, return the result, call the function",
        "function, argument, return, call, scope",
    ),
)
SKILL_NAMES: tuple[str, ...] = tuple(skill.name for skill in SKILLS)
N_SKILLS = len(SKILLS)
COURSES: tuple[str, ...] = tuple(dict.fromkeys(skill.course for skill in SKILLS))
#: The course of each skill, shape (n_skills,).
COURSE_OF: NDArray[np.int64] = np.array([COURSES.index(skill.course) for skill in SKILLS])
#: Row i, column j: skill i needs skill j, shape (n_skills, n_skills).
NEEDS: NDArray[np.bool_] = np.array([[n in skill.needs for n in SKILL_NAMES] for skill in SKILLS])
#: Levels of exercises as their authors give them, from easy to hard.
LEVELS: tuple[str, ...] = ("warm-up", "basic", "standard", "advanced", "challenge")
PLACES: tuple[str, ...] = (
    *("the bakery", "the football club", "the garden", "the train station", "the school trip"),
    *("the music festival", "the space station", "the market", "the library", "the workshop"),
)


def depth(needs: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the skills on the longest way from a skill down to one that needs nothing.

    Raises
    ------
    ValueError
        If skills need one another in a circle.
    """
    deep = np.zeros(len(needs), dtype=np.int64)
    for _ in range(len(needs)):
        deeper = np.where(needs, deep + 1, 0).max(axis=1)
        if (deeper == deep).all():
            return deep
        deep = deeper
    raise ValueError("skills need one another in a circle")


#: How deep each skill lies in the graph of prerequisites, 0 where it needs nothing.
DEPTH: NDArray[np.int64] = depth(NEEDS)


def write_exercise(skill: int, second: int, level: int, draws: Sequence[int]) -> tuple[str, str]:
    """Write the title and the text of an exercise.

    Parameters
    ----------
    skill, second : int
        The skill that it trains and a second one that it uses, or the same.
    level : int
        Its place in `LEVELS`.
    draws : sequence of int
        Five whole numbers that choose task, two terms, place and a term of the second skill.

    Returns
    -------
    title, text : str

    Examples
    --------
    >>> title, text = write_exercise(1, 0, 4, (2, 0, 1, 3, 2))
    >>> title
    'Compare the fractions: numerator (challenge)'
    >>> text
    'A challenge exercise on fractions, set at the train station: compare the fractions. It is
    about numerator and common denominator. It also uses whole numbers: product.'
    """
    main, other = SKILLS[skill], SKILLS[second]
    task = main.tasks[draws[0] % len(main.tasks)]
    first = draws[1] % len(main.terms)
    term = main.terms[first]
    next_term = main.terms[(first + 1 + draws[2] % (len(main.terms) - 1)) % len(main.terms)]
    place = PLACES[draws[3] % len(PLACES)]
    title = f"{task[0].upper()}{task[1:]}: {term} ({LEVELS[level]})"
    article = "An" if LEVELS[level][0] in "aeiou" else "A"
    text = f"{article} {LEVELS[level]} exercise on {main.name}, set at {place}: {task}."
    text += f" It is about {term} and {next_term}."
    if second != skill:
        text += f" It also uses {other.name}: {other.terms[draws[4] % len(other.terms)]}."
    return title, text

"""The laws of the education world, for any numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviorseq.simulate.education_model import (
    GAIN_OF_FAILURE,
    Exercises,
    Minds,
    drop_out_hazard,
    leave_probability,
    readiness,
    retained,
)
from behaviorseq.simulate.education_subjects import N_SKILLS, NEEDS

QUICK = settings(max_examples=50)
NUMBERS = st.floats(-3, 3)
SHARES = st.floats(0, 1)


def exercise(
    difficulty: float, second: int = 1, weight: float = 0.3, guess: float = 0.2, a: float = 1.3
) -> Exercises:
    """Make one exercise of skill 1, fractions, with a second skill."""
    one = [np.array([x]) for x in (difficulty, a, guess, 3.5)]
    skills = np.array([[1, second]])
    return Exercises(skills, np.array([[1 - weight, weight]]), np.array([2]), *one)


def minds(skill: float, rate: float = 0.3) -> Minds:
    """Make one mind with the same skill everywhere."""
    base = np.full((1, N_SKILLS), skill)
    return Minds.fresh(base, np.full((1, N_SKILLS), 7.0), np.array([rate]))


FIRST = np.array([[0]])
ROW = np.array([0])


@QUICK
@given(NUMBERS, NUMBERS, st.floats(0.1, 2), SHARES)
def test_success_falls_with_difficulty_and_rises_with_skill(
    skill: float, difficulty: float, more: float, guess: float
) -> None:
    def chance(of: float, at: float) -> float:
        know = np.full((1, N_SKILLS), of)
        return float(exercise(at, guess=0.9 * guess).chance(know, FIRST)[0, 0])

    assert chance(skill, difficulty + more) < chance(skill, difficulty)
    assert chance(skill + more, difficulty) > chance(skill, difficulty)
    assert 0.9 * guess <= chance(skill, difficulty) <= 1


def test_success_is_the_three_parameter_logistic_model() -> None:
    know = np.zeros((1, N_SKILLS))
    know[0, [0, 1]] = 2.0, 1.0
    theta = 0.7 * 1.0 + 0.3 * 2.0
    by_hand = 0.2 + 0.8 / (1 + np.exp(-1.3 * (theta - 0.5)))
    assert exercise(0.5, second=0).chance(know, FIRST)[0, 0] == pytest.approx(by_hand)


@QUICK
@given(st.floats(0, 5), st.integers(0, 50), st.floats(0, 100), st.floats(0.1, 50))
def test_rest_lowers_what_was_gained_and_practice_makes_it_last(
    gain: float, practised: int, days: float, half_life: float
) -> None:
    left = retained(gain, practised, days, half_life)
    assert 0 <= left <= gain
    assert retained(gain, practised, days + 1, half_life) <= left
    assert retained(gain, practised + 1, days, half_life) >= left
    assert retained(gain, practised, 0.0, half_life) == gain


def test_forgetting_composes() -> None:
    once = retained(1.0, 4, 10.0, 7.0)
    assert retained(retained(1.0, 4, 3.0, 7.0), 4, 7.0, 7.0) == pytest.approx(once)
    assert retained(1.0, 10_000, 274.0, 7.0) == pytest.approx(0.5)


@QUICK
@given(NUMBERS, NUMBERS, st.booleans(), st.floats(0, 30))
def test_an_answer_raises_skill_by_the_law(
    skill: float, difficulty: float, right: bool, day: float
) -> None:
    one, mind = exercise(difficulty, second=0), minds(skill)
    now = np.array([day * 86_400])
    before = mind.skill(ROW, now)
    law = one.gain(before, FIRST, mind.rate)[0, 0] * (1.0 if right else GAIN_OF_FAILURE)
    told = mind.answer(one, ROW, ROW, np.array([right]), now)[0]
    risen = (mind.skill(ROW, now) - before)[0]
    assert told == pytest.approx(law)
    assert risen.sum() == pytest.approx(law, abs=1e-9)
    assert risen[1] == pytest.approx(0.7 * law, abs=1e-9)
    assert risen[0] == pytest.approx(0.3 * law, abs=1e-9)
    later = mind.skill(ROW, now + 86_400.0)[0]
    assert (later[:2] <= mind.skill(ROW, now)[0, :2]).all()
    assert (later >= mind.base[0] - 1e-12).all()


def test_practice_teaches_most_where_difficulty_meets_skill() -> None:
    know = np.full((1, N_SKILLS), 0.5)
    gaps = np.linspace(-3, 3, 61)
    gains = [exercise(0.5 + gap).gain(know, FIRST, np.array([0.3]))[0, 0] for gap in gaps]
    assert gaps[np.argmax(gains)] == pytest.approx(0)
    assert gains == pytest.approx(gains[::-1])
    assert gains[0] < 0.01 * max(gains)


def test_expected_gain_is_the_mean_over_answers() -> None:
    one, know, rate = exercise(0.2), np.full((1, N_SKILLS), 0.6), np.array([0.4])
    right = one.chance(know, FIRST)[0, 0]
    full = one.gain(know, FIRST, rate)[0, 0]
    by_hand = (right * full + (1 - right) * GAIN_OF_FAILURE * full) / N_SKILLS
    assert one.expected_gain(know, FIRST, rate)[0, 0] == pytest.approx(by_hand)


def test_readiness_is_that_of_the_weakest_prerequisite() -> None:
    know = np.random.default_rng(0).normal(size=(5, N_SKILLS))
    ready = readiness(know)
    for skill in range(N_SKILLS):
        needs = np.flatnonzero(NEEDS[skill])
        if len(needs) == 0:
            assert (ready[:, skill] == 1).all()
        else:
            weakest = know[:, needs].min(axis=1)
            assert ready[:, skill] == pytest.approx(1 / (1 + np.exp(-(weakest + 1) / 0.3)))


@QUICK
@given(SHARES, SHARES, st.floats(0, 60), st.floats(0.01, 0.5))
def test_failure_boredom_and_absence_make_students_give_up(
    frustration: float, boredom: float, idle: float, more: float
) -> None:
    hazard = drop_out_hazard(frustration, boredom, idle)
    assert 0 < hazard < 1
    assert drop_out_hazard(frustration + more, boredom, idle) > hazard
    assert drop_out_hazard(frustration, boredom + more, idle) > hazard
    assert drop_out_hazard(frustration, boredom, idle + more) > hazard
    leaves = leave_probability(frustration, boredom)
    assert leave_probability(frustration + more, boredom) > leaves
    assert leave_probability(frustration, boredom + more) > leaves


def test_mood_follows_the_last_exercises() -> None:
    mind, hard, easy = minds(0.0), exercise(2.5, guess=0.0), exercise(-4.0)
    for step in range(3):
        mind.answer(hard, ROW, ROW, np.array([False]), np.array([60.0 * step]))
    assert mind.frustration[0] == pytest.approx(1 - 0.7**3)
    assert mind.boredom[0] == 0
    for step in range(3, 20):
        mind.answer(easy, ROW, ROW, np.array([True]), np.array([60.0 * step]))
    assert mind.frustration[0] < 0.01
    assert mind.boredom[0] > 0.9

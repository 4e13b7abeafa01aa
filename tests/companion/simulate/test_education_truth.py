"""The truth of the education world is what made its log."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from behaviorseq.simulate.education import Education
from behaviorseq.simulate.education_subjects import N_SKILLS


class Blocks(Education):
    """The same world, in blocks so small that a test has several."""

    block_size = 250


class Forgetful(Education):
    """A world that keeps one of its blocks at a time."""

    block_size = 10
    blocks_kept = 1


@pytest.fixture(scope="module")
def world() -> Education:
    return Blocks(n_users=400, n_items=120, days=45, seed=5)


@pytest.fixture(scope="module")
def events(world: Education) -> pd.DataFrame:
    return world.log().events


@pytest.fixture(scope="module")
def answers(events: pd.DataFrame) -> pd.DataFrame:
    return events[events["behavior"] == "answer"].reset_index(drop=True)


@pytest.fixture(scope="module")
def chance(world: Education, answers: pd.DataFrame) -> np.ndarray:
    return world.truth.correct_probability(answers["user"], answers["item"], answers["time"])


def test_probability_is_that_which_decided_each_answer(
    world: Education, answers: pd.DataFrame, chance: np.ndarray
) -> None:
    for block in range(world.n_blocks):
        mine = (answers["user"] // world.block_size == block).to_numpy()
        assert chance[mine] == pytest.approx(world.study(block).chance, abs=1e-12)


def test_rate_of_right_answers_is_the_true_probability(
    answers: pd.DataFrame, chance: np.ndarray
) -> None:
    right = (answers["correct"] == 1).to_numpy()
    bins = np.digitize(chance, np.linspace(0.1, 0.9, 9))
    assert len(np.unique(bins)) == 10
    for one in range(10):
        mine = bins == one
        spread = np.sqrt((chance[mine] * (1 - chance[mine])).sum())
        assert abs(right[mine].sum() - chance[mine].sum()) < 4 * spread


def test_practice_raises_skill_and_rest_lowers_it(world: Education, answers: pd.DataFrame) -> None:
    some = answers.sample(500, random_state=0)
    second = pd.Timedelta(seconds=1)
    skills = world.exercises.skills[some["item"], 0]
    rows = np.arange(len(some))
    before = world.truth.skill(some["user"], some["time"])
    after = world.truth.skill(some["user"], some["time"] + second)
    assert (after[rows, skills] > before[rows, skills] - 1e-6).all()
    assert (after[rows, skills] > before[rows, skills] + 0.01).mean() > 0.5
    base = world.students.base[some["user"]]
    rest = world.truth.skill(some["user"], np.datetime64("2024-03-01"))
    longer = world.truth.skill(some["user"], np.datetime64("2024-09-01"))
    assert (base <= longer + 1e-12).all()
    assert (longer <= rest + 1e-12).all()
    assert (rest > longer + 0.01).any()


def test_skill_before_the_first_answer_is_the_base(world: Education) -> None:
    users = np.arange(world.n_users)
    assert (world.truth.skill(users, "2024-01-01") == world.students.base).all()


def test_expected_gain_is_what_answers_brought(world: Education, answers: pd.DataFrame) -> None:
    some = answers.sample(4000, random_state=1)
    ask = some["user"], some["item"], some["time"]
    expected = world.truth.expected_gain(*ask)
    before = world.truth.skill(some["user"], some["time"]).mean(axis=1)
    later = some["time"] + pd.Timedelta(seconds=1)
    brought = world.truth.skill(some["user"], later).mean(axis=1) - before
    off = brought - expected
    assert abs(off.mean()) < 4 * off.std() / np.sqrt(len(off)) + 1e-6  # a second of forgetting
    assert np.corrcoef(brought, expected)[0, 1] > 0.8


def test_seconds_are_lognormal_around_the_true_median(
    world: Education, events: pd.DataFrame, answers: pd.DataFrame
) -> None:
    begun = answers["time"] - pd.to_timedelta(answers["value"], unit="s")
    median = world.truth.median_seconds(answers["user"], answers["item"], begun)
    off = np.log(answers["value"].to_numpy(dtype=float)) - np.log(median)
    spread = world.truth.spread_of_seconds
    assert abs(off.mean()) < 4 * spread / np.sqrt(len(off))
    assert off.std() == pytest.approx(spread, rel=0.02)
    assert np.abs(off / spread > 1).mean() == pytest.approx(0.1587, abs=0.01)
    gap = world.truth.difficulty[answers["item"]]
    assert np.corrcoef(gap, np.log(median))[0, 1] > 0.2


def test_drop_out_happens_at_the_rate_of_its_hazard() -> None:
    world = Education(n_users=2000, n_items=20, days=40, seed=6)
    dropout = world.truth.dropout
    gone = dropout["time"].notna()
    hazard = world.study(0).hazard.T
    assert 0.15 < gone.mean() < 0.9
    user, day = np.nonzero(~np.isnan(hazard))
    left = (dropout["time"] - pd.Timestamp("2024-01-01")).dt.days.to_numpy()
    happened = left[user] == day
    assert happened.sum() == gone.sum()
    risk = hazard[user, day]
    bins = np.digitize(risk, np.quantile(risk, [0.25, 0.5, 0.75, 0.9]))
    for one in range(5):
        mine = bins == one
        spread = np.sqrt((risk[mine] * (1 - risk[mine])).sum())
        assert abs(happened[mine].sum() - risk[mine].sum()) < 4 * spread
    at_risk = dropout[dropout["days_at_risk"] > 0]
    times = np.datetime64("2024-01-01") + day.astype("timedelta64[D]")
    assert (world.truth.dropout_hazard(user, times) == risk).all()
    total = pd.Series(risk).groupby(user).sum()
    assert at_risk["cumulative_hazard"].to_numpy() == pytest.approx(total.to_numpy())


def test_nothing_happens_after_dropping_out(world: Education, events: pd.DataFrame) -> None:
    dropout = world.truth.dropout
    last = events.groupby("user")["time"].max()
    gone = dropout["time"].notna().to_numpy()
    assert (last[gone] < dropout["time"][gone]).all()
    after = dropout["time"][gone] + pd.Timedelta(days=1)
    users = np.flatnonzero(gone)
    assert np.isnan(world.truth.dropout_hazard(users, after)).all()


def test_answers_do_not_depend_on_what_is_kept() -> None:
    world, whole = Forgetful(35, 40, 10, seed=1), Forgetful(35, 40, 10, seed=1)
    whole.blocks_kept = 4
    users = np.array([34, 0, 12, 25, 1, 30])
    skill = whole.truth.skill(users, "2024-01-08")
    for _ in range(2):
        assert (world.truth.skill(users, "2024-01-08") == skill).all()
        assert len(world._studied) == 1
    assert len(whole._studied) == 4


def test_tables_describe_the_world(world: Education) -> None:
    truth = world.truth
    assert truth.prerequisites.shape == (N_SKILLS, N_SKILLS)
    assert truth.skills["skill"].is_unique
    assert truth.exercises["item"].tolist() == list(range(120))
    assert (truth.exercises["difficulty"] == truth.difficulty).all()
    assert truth.students["user"].tolist() == list(range(400))
    assert (truth.students[["rate", "half_life"]] > 0).all(axis=None)
    truth.difficulty[:] = 0
    assert (truth.difficulty != 0).any()


@pytest.mark.parametrize(
    ("users", "items", "times", "message"),
    [
        ([0, 400], [1, 2], "2024-01-02", "users must be user ids from 0 to 399"),
        ([0], [120], "2024-01-02", "items must be item ids from 0 to 119"),
        ([0, 1], [1], "2024-01-02", "2 users but 1 items"),
        ([0], [1], ["2024-01-02"] * 2, "1 users but 2 times"),
        ([0], [1], "2023-12-31", "times must not be before"),
        ([0.5], [1], "2024-01-02", "users must be whole numbers"),
    ],
)
def test_bad_questions_are_refused(world: Education, users, items, times, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        world.truth.correct_probability(users, items, times)

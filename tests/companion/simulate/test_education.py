"""The education world: its log, its contract, and the laws of its population."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, hstack
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import OneHotEncoder

from behaviorseq import simulate, validate
from behaviorseq.simulate.education import Education
from behaviorseq.simulate.education_people import GRADES
from behaviorseq.simulate.education_study import BEHAVIORS, MOVE_ON, PASS_MARK
from behaviorseq.simulate.education_subjects import (
    COURSE_OF,
    DEPTH,
    N_SKILLS,
    NEEDS,
    SKILL_NAMES,
    SKILLS,
    depth,
)


class Blocks(Education):
    """The same world, in blocks so small that a test has several."""

    block_size = 20
    blocks_kept = 1


@pytest.fixture(scope="module")
def world() -> Education:
    return Education(n_users=700, n_items=120, days=60, seed=5)


@pytest.fixture(scope="module")
def log(world: Education):
    return world.log()


@pytest.fixture(scope="module")
def answers(log) -> pd.DataFrame:
    return log.events[log.events["behavior"] == "answer"].reset_index(drop=True)


def standing(answers: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Add what each answer was to, and how many right and wrong ones came before it."""
    frame = answers.merge(items[["item", "skill"]], on="item", how="left")
    frame["correct"] = frame["correct"].astype(int)
    groups = frame.groupby(["user", "skill"])["correct"]
    frame["successes"] = groups.cumsum() - frame["correct"]
    frame["failures"] = groups.cumcount() - frame["successes"]
    return frame


def test_same_arguments_give_the_same_log() -> None:
    once, again = (simulate.world("education", 50, 40, 10, seed=2).log() for _ in range(2))
    other = simulate.world("education", 50, 40, 10, seed=3).log()
    for name in ("events", "items", "users"):
        pd.testing.assert_frame_equal(getattr(once, name), getattr(again, name))
    assert not once.events.equals(other.events)


def test_a_log_is_the_same_whatever_was_asked_before() -> None:
    world, fresh = (Blocks(50, 40, 10, seed=2) for _ in range(2))
    world.study(2)
    world.truth.skill(np.array([45, 3]), "2024-01-05")
    world.environment(3).reset(seed=0)
    pd.testing.assert_frame_equal(world.log().events, fresh.log().events)


def test_stored_figures_guard_against_change() -> None:
    log = Education(n_users=60, n_items=60, days=21, seed=7).log()
    counts = log.events["behavior"].value_counts()
    figures = {
        "counts": [int(counts[name]) for name in BEHAVIORS],
        "items": int(log.events["item"].sum()),
        "seconds": int(log.events["value"].sum()),
        "grades": [int((log.users["grade"] == grade).sum()) for grade in GRADES],
        "first title": log.items["title"][0],
    }
    assert figures == {
        "counts": [113, 674, 1988, 1988, 916],
        "items": 158166,
        "seconds": 209703,
        "grades": [17, 16, 18, 9],
        "first title": "Simplify the fraction: numerator (advanced)",
    }


def test_log_keeps_the_contract(log) -> None:
    report = validate(log.events)
    assert report.n_events == len(log.events) == log.source.n_events
    assert report.tied_events == report.duplicates == 0
    assert report.n_users == len(log.users) == 700
    assert set(report.behaviors) == set(BEHAVIORS)
    assert log.events["time"].dtype == "datetime64[s]"
    order = log.events[["time", "user"]]
    pd.testing.assert_frame_equal(order, order.sort_values(["time", "user"]))
    assert log.events["time"].min() >= pd.Timestamp("2024-01-01")
    assert log.events["time"].max() < pd.Timestamp("2024-01-01") + pd.Timedelta(days=60)
    assert log.items["item"].tolist() == list(range(120))
    assert log.users.columns.tolist() == ["user", "grade", "region", "joined"]


def test_events_follow_one_another(log) -> None:
    events = log.events.sort_values(["user", "time"])
    answers = events["behavior"] == "answer"
    before, after = events.shift(1)[answers], events.shift(-1)[answers]
    answers = events[answers]
    assert (before["behavior"] == "attempt").all()
    assert (before["item"] == answers["item"]).all()
    assert ((answers["time"] - before["time"]).dt.total_seconds() == answers["value"]).all()
    right = answers["correct"] == 1
    assert (after["behavior"][right] == "complete").all()
    assert (after["behavior"][~right] != "complete").all()
    assert events["correct"].notna().sum() == len(answers)
    assert not events[["session", "user"]].drop_duplicates()["session"].duplicated().any()
    times = events.groupby("session")["time"].agg(["min", "max"])
    assert (times["min"].dt.date == times["max"].dt.date).all()


def test_students_study_only_what_they_enrolled_in(log) -> None:
    courses = log.events.merge(log.items[["item", "course", "place"]], on="item", how="left")
    enrolled = courses[courses["behavior"] == "enroll"]
    assert not enrolled.duplicated(["user", "course"]).any()
    assert (enrolled["place"] == 0).all()
    first = courses[courses["behavior"] == "attempt"].groupby(["user", "course"])["time"].min()
    joined = enrolled.set_index(["user", "course"])["time"]
    assert len(first) == len(joined)
    assert (first > joined.reindex(first.index)).all()


def test_prerequisites_are_respected(log, answers: pd.DataFrame) -> None:
    skills = pd.Series(range(N_SKILLS), index=SKILL_NAMES)
    skill = skills.loc[log.items["skill"]].to_numpy()[answers["item"]]
    grade = log.users["grade"].map(GRADES.index).to_numpy()[answers["user"]]
    right = (answers["correct"] == 1).to_numpy()
    checked = 0
    for one in range(N_SKILLS):
        on = pd.Series(right & (skill == one)).groupby(answers["user"]).cumsum().to_numpy()
        passed = (on >= PASS_MARK) | (grade > DEPTH[one])
        needs = NEEDS[skill, one]
        assert passed[needs].all(), SKILL_NAMES[one]
        checked += (needs & (grade <= DEPTH[one])).sum()
    assert checked > 1000  # where practice had to open the way


def test_students_follow_the_course_and_repeat_what_they_failed() -> None:
    log = Education(n_users=100, n_items=100, days=20, seed=3, wander=0).log()
    frame = log.events[log.events["behavior"] == "answer"]
    frame = frame.merge(log.items[["item", "skill", "place"]], on="item", how="left")
    size = log.items["skill"].value_counts()[frame["skill"]].to_numpy()
    assert (size == 5).all()
    after = frame.groupby(["user", "skill"])["place"].shift(-1)
    known = after.notna()
    step = ((after - frame["place"]) % 5)[known]
    right = (frame["correct"] == 1)[known]
    before_passing = frame.groupby(["user", "skill"]).cumcount()[known] < PASS_MARK
    assert (step[right & before_passing] == 1).all()
    wrong = step[~right & before_passing]
    assert wrong.isin([0, 1]).all()
    assert wrong.mean() == pytest.approx(MOVE_ON, abs=4 * np.sqrt(0.25 / len(wrong)))


def test_studying_has_a_weekly_and_a_daily_rhythm(answers: pd.DataFrame) -> None:
    later = answers[answers["time"] >= "2024-01-29"]
    sessions = later.groupby("session")["time"].min()
    by_day = sessions.dt.day_of_week.value_counts()
    assert by_day[5] < 0.75 * by_day[[0, 1, 2]].mean()
    hours = sessions[sessions.dt.day_of_week < 4].dt.hour
    assert 16 <= hours.median() <= 17
    assert ((hours >= 6) & (hours <= 22)).all()


def test_success_falls_with_difficulty_and_rises_with_practice(
    world: Education, log, answers: pd.DataFrame
) -> None:
    frame = standing(answers, log.items)
    by_item = frame.groupby("item")["correct"].agg(["mean", "size"])
    often = by_item[by_item["size"] >= 50]
    assert often["mean"].corr(-pd.Series(world.truth.difficulty)[often.index]) > 0.5
    by_level = frame.merge(log.items[["item", "level"]]).groupby("level")["correct"].mean()
    assert by_level["warm-up"] > by_level["standard"] > by_level["challenge"]
    same = frame[frame["item"].isin(often.index)].groupby(["user", "item"])["correct"]
    repeated = same.agg(["first", "last", "size"])
    repeated = repeated[repeated["size"] >= 3]
    assert repeated["last"].mean() > repeated["first"].mean() + 0.1


def test_simple_models_beat_the_mean_and_stay_above_the_oracle(
    world: Education, log, answers: pd.DataFrame
) -> None:
    frame = standing(answers, log.items)
    early = (frame["time"] < frame["time"].quantile(0.8)).to_numpy()
    y = frame["correct"].to_numpy()
    counts = csr_array(np.log1p(frame[["successes", "failures"]].to_numpy(dtype=float)))
    users, items, skills = (
        csr_array(OneHotEncoder().fit_transform(frame[[name]]))
        for name in ("user", "item", "skill")
    )
    per_skill = hstack([skills.multiply(counts[:, [i]]) for i in (0, 1)])
    features = {"Rasch": [users, items], "PFA": [users, items, per_skill]}
    loss = {"mean": log_loss(y[~early], np.full((~early).sum(), y[early].mean()))}
    for name, parts in features.items():
        x = hstack(parts).tocsr()
        fit = LogisticRegression(max_iter=300).fit(x[early], y[early])
        loss[name] = log_loss(y[~early], fit.predict_proba(x[~early])[:, 1])
    asked = frame[~early]
    oracle = world.truth.correct_probability(asked["user"], asked["item"], asked["time"])
    loss["oracle"] = log_loss(y[~early], oracle)
    assert loss["mean"] > loss["Rasch"] + 0.01
    assert loss["mean"] > loss["PFA"] + 0.02
    assert loss["oracle"] + 0.02 < min(loss["Rasch"], loss["PFA"])


def test_text_names_the_skill(log) -> None:
    items = log.items
    for row in items.sample(30, random_state=0).itertuples():
        main = SKILLS[SKILL_NAMES.index(row.skill)]
        assert row.skill in row.text
        assert any(row.title.lower().startswith(task.lower()) for task in main.tasks)
        assert any(term in row.title for term in main.terms)
        assert row.second_skill in row.text
        assert row.level in row.text
    assert items["text"].nunique() > 0.9 * len(items)


def test_courses_order_exercises_from_easy_to_hard(log) -> None:
    levels = ("warm-up", "basic", "standard", "advanced", "challenge")
    items = log.items.assign(rank=log.items["level"].map(levels.index))
    for _, exercises in items.sort_values("place").groupby("skill"):
        assert exercises["place"].tolist() == list(range(len(exercises)))
        assert exercises["rank"].is_monotonic_increasing


def test_skills_make_a_graph_without_circles() -> None:
    assert (NEEDS.sum(axis=1)[DEPTH == 0] == 0).all()
    assert all(DEPTH[i] > DEPTH[j] for i, j in zip(*np.nonzero(NEEDS), strict=True))
    assert (np.diff(COURSE_OF) >= 0).all()
    assert all(need in SKILL_NAMES for skill in SKILLS for need in skill.needs)
    circle = np.array([[False, True], [True, False]])
    with pytest.raises(ValueError, match="in a circle"):
        depth(circle)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_users": 0}, "n_users must be a whole number of 1 or more, got 0"),
        ({"n_items": 19}, "n_items must be a whole number of 20 or more, got 19"),
        ({"days": -1}, "days must be a whole number from 1"),
        ({"seed": -1}, "seed must be a whole number of 0 or more"),
        ({"wander": 1.5}, "wander must be a number from 0 to 1, got 1.5"),
        ({"half_life": 0}, "half_life must be a number from 0.001 to 10000, got 0"),
        ({"half_life": "a week"}, "half_life must be a number from 0.001 to 10000, got 'a week'"),
        ({"halflife": 3}, "the world education has no option 'halflife' .is it 'half_life'"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate.world("education", **arguments)


@pytest.mark.parametrize(("n_users", "n_items", "days"), [(1, 20, 1), (3, 25, 2), (2, 20, 400)])
def test_small_and_long_worlds_work(n_users: int, n_items: int, days: int) -> None:
    log = Education(n_users, n_items, days, seed=1).log()
    assert validate(log.events).n_users == n_users
    assert len(log.items) == n_items

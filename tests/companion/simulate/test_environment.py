"""The gymnasium side of a world, followed by hand in a tiny one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from gymnasium.utils.env_checker import check_env

from behaviorseq import Sequences, simulate
from behaviorseq.events import validate
from behaviorseq.simulate import World

PAST = Sequences.from_events(
    pd.DataFrame({"user": [1, 1, 1, 4], "item": [7, 5, 3, 6], "time": [0, 1, 2, 0]})
)


@pytest.fixture
def world(tiny: type[World]) -> World:
    return tiny(n_users=6, n_items=8, days=2)


@pytest.mark.parametrize("slate", [1, 3])
def test_gymnasium_accepts_it(world: World, slate: int) -> None:
    check_env(world.environment(slate=slate), skip_render_check=True)


def test_a_visit_by_hand(world: World) -> None:
    visit = world.environment(slate=2, history=3, steps=3, past=PAST)
    seen, _ = visit.reset(seed=0, options={"user": 1})
    assert seen["user"] == 1
    assert seen["history"].tolist() == [8, 6, 4]  # items 7, 5, 3, as id plus 1
    assert (seen["hour"], seen["weekday"]) == (0, 2)  # two days after a Monday
    seen, reward, left, cut, info = visit.step([4, 5])
    assert (reward, left, cut) == (1, False, False)
    assert info["click"].tolist() == [False, True]
    assert info["odd"] == 1
    assert seen["history"].tolist() == [6, 4, 6]
    seen, reward, left, cut, _ = visit.step([1, 3])
    assert reward == 2
    assert seen["history"].tolist() == [6, 2, 4]
    _, reward, left, cut, _ = visit.step([0, 2])
    assert (reward, left, cut) == (0, True, True)


def test_what_happened_is_an_event_log(world: World) -> None:
    visit = world.environment(slate=2, history=3, steps=3)
    visit.reset(seed=0, options={"user": 1})
    assert visit.log().empty
    visit.step([4, 5])
    visit.step([1, 3])
    log = visit.log()
    assert validate(log).behaviors == {"view": 4, "click": 3}
    clicks = log[log["behavior"] == "click"]
    assert clicks["item"].tolist() == [5, 1, 3]
    assert clicks["position"].tolist() == [1, 0, 1]
    assert clicks["step"].tolist() == [0, 1, 1]
    assert (clicks["user"] == 1).all()
    assert (log["session"] == 0).all()
    visit.reset(seed=0, options={"user": 2})
    visit.step([2, 4])
    again = visit.log()
    assert again.loc[again["user"] == 2, "session"].unique().tolist() == [1]
    assert again.loc[again["user"] == 2, "time"].iloc[0] == log["time"].iloc[0]
    assert clicks["value"].tolist() == [7.5, 1.5, 4.5]
    assert log.loc[log["behavior"] == "view", "value"].isna().all()
    first = np.datetime64("2024-01-03T00:00:00")
    assert log["time"].iloc[0] == first
    assert clicks["time"].iloc[1] == first + np.timedelta64(61, "s")


def test_a_user_without_past_begins_with_nothing(world: World) -> None:
    visit = world.environment(history=3, past=PAST)
    assert visit.reset(options={"user": 0})[0]["history"].tolist() == [0, 0, 0]
    assert visit.reset(options={"user": 4})[0]["history"].tolist() == [0, 0, 7]


def test_many_seats_do_what_one_does(world: World) -> None:
    rng = np.random.default_rng(0)
    many = world.environment(n_seats=4, history=3, steps=50, past=PAST)
    users = np.array([1, 4, 0, 2])
    seen, _ = many.reset(options={"users": users})
    alone = [world.environment(history=3, steps=50, past=PAST) for _ in users]
    first = [e.reset(options={"user": int(u)})[0] for e, u in zip(alone, users, strict=True)]
    assert many.observation_space.contains(seen)
    for name, values in seen.items():
        assert np.array_equal(values, np.stack([one[name] for one in first]))
    for _ in range(5):
        actions = rng.integers(1, 8, 4)
        seen, reward, left, cut, _ = many.step(actions)
        for seat, (one, action) in enumerate(zip(alone, actions, strict=True)):
            its, its_reward, its_left, its_cut, _ = one.step(action)
            assert np.array_equal(its["history"], seen["history"][seat])
            assert (its_reward, its_left, its_cut) == (reward[seat], left[seat], cut[seat])


def test_who_leaves_is_replaced(world: World) -> None:
    many = world.environment(n_seats=3, history=2, steps=2, past=PAST)
    many.reset(seed=5, options={"users": np.array([1, 1, 1])})
    seen, _, left, cut, info = many.step(np.array([0, 3, 3]))
    assert left.tolist() == [True, False, False]
    assert info["final_obs"]["user"].tolist() == [1, 1, 1]
    assert info["final_obs"]["history"].tolist() == [[6, 4], [4, 4], [4, 4]]
    assert seen["user"][1:].tolist() == [1, 1]
    assert (seen["history"][0] == (PAST_OF[seen["user"][0]])).all()
    _, _, left, cut, _ = many.step(np.array([1, 1, 1]))
    assert cut.tolist() == [False, True, True]  # two steps are the longest visit


PAST_OF = {0: [0, 0], 1: [6, 4], 2: [0, 0], 3: [0, 0], 4: [0, 7], 5: [0, 0]}


def test_the_same_seed_brings_the_same_visitors(world: World) -> None:
    first, second = (world.environment(n_seats=5).reset(seed=3)[0]["user"] for _ in range(2))
    assert first.tolist() == second.tolist()
    third = world.environment(n_seats=5).reset(seed=4)[0]["user"]
    assert first.tolist() != third.tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_seats": 0}, "n_seats must be a whole number of 1 or more"),
        ({"slate": 9}, "slate must be a whole number from 1 to 8, got 9"),
        ({"slate": 0}, "slate must be"),
        ({"history": 0}, "history must be"),
        ({"steps": -1}, "steps must be"),
    ],
)
def test_bad_options(world: World, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        world.environment(**options)


def test_bad_users_and_actions(world: World) -> None:
    visit = world.environment()
    with pytest.raises(ValueError, match=r"options\['user'\] must be .* from 0 to 5, got 6"):
        visit.reset(options={"user": 6})
    visit.reset(seed=0)
    with pytest.raises(ValueError, match="actions must be item ids from 0 to 7"):
        visit.step(8)
    many = world.environment(n_seats=2)
    with pytest.raises(ValueError, match="must be 2 user ids below 6"):
        many.reset(options={"users": [1, 9]})


@pytest.mark.parametrize("name", ["social", "education"])
def test_people_and_log_share_a_clock(name: str) -> None:
    many = simulate.world(name, 30, 40, 5).environment(n_seats=4, steps=3)
    many.reset(seed=0)
    for _ in range(8):  # longer than a visit: seats are taken anew
        many.step(np.arange(4))
    people = many.stage.audience
    clock = people.clock if name == "social" else people._clock
    assert np.array_equal(clock, many.stage.clock)
    assert (many.stage.clock >= many.stage.start).all()
    assert many.stage.n_visits > 4

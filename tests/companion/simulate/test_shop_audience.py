"""The people of the simulated shop in front of a recommender."""

import math

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from behaviorseq import Sequences, simulate, validate
from behaviorseq.simulate.base import START

SEATS = 500


@pytest.fixture(scope="module")
def shop():
    return simulate.world("shop", n_users=600, n_items=300, days=30, seed=5)


@pytest.fixture(scope="module")
def end(shop):
    return START + np.timedelta64(shop.days, "D")


def played(environment, policy, steps=20, seed=0):
    """Let a policy serve visitors; return rewards, what the truth expected, and its variance."""
    observation, _ = environment.reset(seed=seed)
    total, expected, variance = 0.0, 0.0, 0.0
    for _ in range(steps):
        slates, chance = policy(observation["user"])
        observation, reward, _, _, _ = environment.step(slates)
        total += reward.sum()
        expected += chance.sum()
        variance += (chance * (1 - chance)).sum()
    return total, expected, variance


@pytest.mark.parametrize(
    "options", [{}, {"slate": 3}, {"reward": "purchase"}, {"boredom": 0.2, "slate": 2}]
)
def test_gymnasium_accepts_it(shop, options):
    check_env(shop.environment(**options), skip_render_check=True)


@pytest.mark.parametrize("reward", ["click", "purchase"])
@pytest.mark.parametrize("slate", [1, 5])
def test_random_policy_earns_what_the_truth_predicts(shop, end, slate, reward):
    rng = np.random.default_rng(1)

    def policy(users):
        slates = rng.integers(shop.n_items, size=(SEATS, slate))
        who = users[:, None]
        chance = shop.truth.click_probability(who, slates, np.arange(slate), end)
        if reward == "purchase":
            chance = chance * shop.truth.purchase_probability(who, slates, end)
        return (slates[:, 0] if slate == 1 else slates), chance

    environment = shop.environment(SEATS, slate=slate, reward=reward)
    total, expected, variance = played(environment, policy)
    assert expected > 5
    assert abs(total - expected) < 4 * math.sqrt(variance)


def test_following_the_truth_earns_three_times_as_much_as_chance(shop, end):
    everyone, items = np.arange(shop.n_users), np.arange(shop.n_items)
    chance = shop.truth.click_probability(everyone[:, None], items, 0, end)
    best = chance.argmax(axis=1)
    rng = np.random.default_rng(2)

    def informed(users):
        return best[users], chance[users, best[users]]

    def random(users):
        slates = rng.integers(shop.n_items, size=SEATS)
        return slates, chance[users, slates]

    good, expected, variance = played(shop.environment(SEATS), informed)
    assert abs(good - expected) < 4 * math.sqrt(variance)
    assert good > 3 * played(shop.environment(SEATS), random)[0]


def test_one_seat_is_like_many(shop):
    plain, vector = shop.environment(), shop.environment(1)
    first, _ = plain.reset(seed=3, options={"user": 7})
    many, _ = vector.reset(seed=3, options={"users": [7]})
    for step in range(15):
        assert {k: np.asarray(v).tolist() for k, v in first.items()} == {
            k: v[0].tolist() for k, v in many.items()
        }
        first, reward, gone, _, _ = plain.step(step)
        many, rewards, ended, _, _ = vector.step(np.array([step]))
        assert (reward, gone) == (rewards[0], ended[0])
        if gone:
            break


def test_its_log_is_a_log_and_goes_on_from_the_history(shop):
    events = shop.log().events
    past = Sequences.from_events(events[events["behavior"] == "click"])
    environment = shop.environment(50, slate=4, past=past)
    observation, _ = environment.reset(seed=0, options={"users": np.arange(50)})
    user = int(past.user_ids.decode(past.users)[0])
    last = int(past.item_ids.decode(past[0])[-1])
    assert observation["history"][user, -1] == last + 1
    rng = np.random.default_rng(0)
    for _ in range(30):
        environment.step(rng.integers(shop.n_items, size=(50, 4)))
    log = environment.log()
    report = validate(log)
    assert set(report.behaviors) <= set(shop.behaviors)
    assert report.behaviors["view"] == 30 * 50 * 4
    assert report.first >= events["time"].max()


def test_boredom_wears_off_interest_and_patience(shop):
    best = shop.truth.click_probability(
        np.arange(600)[:, None], np.arange(300), 0, START + np.timedelta64(30, "D")
    ).argmax(axis=1)
    clicks, lengths = {}, {}
    for boredom in (0.0, 0.3, 1.0):
        environment = shop.environment(SEATS, boredom=boredom)
        observation, _ = environment.reset(seed=4)
        rewards, ends = 0.0, 0
        for _ in range(20):
            observation, reward, gone, _, _ = environment.step(best[observation["user"]])
            rewards, ends = rewards + reward.sum(), ends + gone.sum()
        clicks[boredom], lengths[boredom] = rewards / (20 * SEATS), 20 * SEATS / ends
    assert clicks[0.0] > clicks[0.3]
    assert lengths[0.0] > 2 * lengths[0.3]
    assert lengths[1.0] < 2.01  # the second time, the leaf has nothing left


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reward": "stars"}, "reward must be one of"),
        ({"boredom": 2}, "boredom must be a number from 0 to 1"),
        ({"slate": 0}, "slate must be a whole number"),
    ],
)
def test_bad_options(shop, options, message):
    with pytest.raises(ValueError, match=message):
        shop.environment(**options)

"""The social world as an environment in which a recommender fills the feed."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from behaviorseq.events import validate
from behaviorseq.simulate.social import Social
from behaviorseq.simulate.social_audience import MEMORY, SocialAudience, leave_probability

N_SEATS = 200


@pytest.fixture(scope="module")
def world() -> Social:
    return Social(300, 600, 14)


@pytest.mark.parametrize("slate", [1, 4])
def test_it_passes_the_checker_of_gymnasium(world, slate):
    check_env(world.environment(slate=slate), skip_render_check=True)


def run(world, policy, steps=25, slate=1):
    """Return likes and true chances of likes of all slates shown."""
    env = world.environment(n_seats=N_SEATS, slate=slate)
    observation, _ = env.reset(seed=3)
    likes = chances = squares = 0.0
    for _ in range(steps):
        audience = env.stage.audience
        slates = policy(observation, audience)
        chance = world.truth.like_probability(
            observation["user"][:, None], slates, np.arange(slate), audience.clock[:, None]
        )
        chance = np.where(audience.again(slates), 0, chance)
        observation, reward, *_ = env.step(slates)
        likes, chances = likes + reward.sum(), chances + chance.sum()
        squares += (chance * (1 - chance)).sum()
    return likes, chances, (likes - chances) / np.sqrt(squares), env


def at_random(slate, rng):
    return lambda observation, audience: rng.integers(600, size=(N_SEATS, slate))


@pytest.mark.parametrize("slate", [1, 5])
def test_a_random_policy_earns_what_the_truth_predicts(world, slate):
    likes, _, z, env = run(world, at_random(slate, np.random.default_rng(1)), slate=slate)
    assert abs(z) < 4
    log = env.log()
    validate(log)
    assert (log["behavior"] == "like").sum() == likes
    assert (log["behavior"] == "impression").sum() == N_SEATS * 25 * slate


def test_a_policy_that_follows_the_truth_earns_three_times_as_much(world):
    def best(observation, audience):
        chance = world.truth.like_probability(observation["user"][:, None], np.arange(600))
        chance = np.pad(chance, ((0, 0), (0, 1)))  # a column for places without a post, -1
        np.put_along_axis(chance, audience.shown, 0, axis=1)
        return chance.argmax(axis=1)[:, None]

    random_likes = run(world, at_random(1, np.random.default_rng(1)))[0]
    likes, _, z, _ = run(world, best)
    assert likes > 3 * random_likes
    assert abs(z) < 4


def test_one_visitor_is_a_vector_environment_with_one_seat(world):
    plain, vector = world.environment(slate=2), world.environment(n_seats=1, slate=2)
    plain.reset(seed=8, options={"user": 5})
    vector.reset(seed=8, options={"users": [5]})
    actions = np.random.default_rng(0).integers(600, size=(20, 2))
    for action in actions:
        one = plain.step(action)
        many = vector.step(action[None])
        assert one[1] == many[1][0]
        assert one[2] == many[2][0]
        if one[2]:
            break
        np.testing.assert_array_equal(one[0]["history"], many[0]["history"][0])


def test_a_post_shown_again_gets_no_reaction(world):
    audience = SocialAudience(world.truth, 1)
    audience.seat(np.array([0]), np.array([4]))
    assert audience.again(np.array([[7, 8, 7]])).tolist() == [[False, False, True]]
    audience.react(np.array([[7, 8, 9]]), np.random.default_rng(0))
    assert audience.again(np.array([[9, 10, 8]])).tolist() == [[True, False, True]]
    rng = np.random.default_rng(0)
    assert not any(audience.react(np.array([[7]]), rng).liked.any() for _ in range(300))
    audience.seat(np.array([0]), np.array([4]))
    assert not audience.again(np.array([[7]])).any()
    assert audience.shown.shape == (1, MEMORY)


def test_boredom_makes_people_leave_and_a_like_ends_it(world):
    audience = SocialAudience(world.truth, N_SEATS)
    users = np.arange(N_SEATS)
    audience.seat(users, users)
    rng, left, expected = np.random.default_rng(2), 0, np.zeros(0)
    boredom = np.zeros(N_SEATS)
    for _ in range(30):
        slates = rng.integers(600, size=(N_SEATS, 2))
        reaction = audience.react(slates, rng)
        boredom = np.where(reaction.liked[:, 0], 1, boredom + 2)
        boredom = np.where(reaction.liked[:, 1], 0, boredom)
        np.testing.assert_array_equal(audience.boredom, boredom)
        left += reaction.leaves.sum()
        expected = np.append(expected, leave_probability(boredom))
    assert abs(left - expected.sum()) < 4 * np.sqrt((expected * (1 - expected)).sum())
    assert 0 < leave_probability(np.array(0.0)) < leave_probability(np.array(50.0)) < 1


def test_unknown_options_are_refused(world):
    with pytest.raises(ValueError, match="audience of social has no option 'mood'; it has none"):
        world.environment(mood=1)

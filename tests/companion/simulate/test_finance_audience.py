"""The finance world as an environment: rewards, limits, money."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from behaviorseq.events import validate
from behaviorseq.simulate.finance import Finance


@pytest.fixture(scope="module")
def world():
    return Finance(800, 100, 60, seed=6)


def play(environment, policy, steps, seed=0):
    """Give the rewards, shape (steps, n_seats), and the probability of each investment."""
    observation, _ = environment.reset(seed=seed)
    rng = np.random.default_rng(seed)
    audience, rewards, chances = environment.stage.audience, [], []
    for _ in range(steps):
        actions = policy(observation, audience, rng)
        chances.append(audience.invest_probability(actions[:, None])[:, 0])
        observation, reward, *_ = environment.step(actions)
        rewards.append(reward)
    return np.array(rewards), np.array(chances)


def by_chance(observation, audience, rng):
    return rng.integers(100, size=len(observation["user"]))


def oracle(observation, audience, rng):
    return audience.invest_probability(np.arange(100)[None]).argmax(axis=1)


@pytest.mark.parametrize("options", [{}, {"slate": 3}, {"reward": "amount", "suitable": "true"}])
def test_gymnasium_accepts_it(world, options):
    check_env(world.environment(**options), skip_render_check=True)


def test_a_random_policy_earns_what_the_truth_predicts(world):
    rewards, chances = play(world.environment(2000, steps=1), by_chance, 10)
    end = world.prices().index[-1]
    p = world.truth.invest_probability(np.arange(800)[:, None], np.arange(100), end)
    error = np.sqrt(p.mean() * (1 - p.mean()) / rewards.size)
    assert abs(rewards.mean() - p.mean()) < 4 * error
    assert chances.mean() == pytest.approx(p.mean(), rel=0.1)


def test_rewards_come_at_the_probability_of_the_moment(world):
    rewards, chances = play(world.environment(500, steps=20), by_chance, 40)
    z = (rewards.sum() - chances.sum()) / np.sqrt((chances * (1 - chances)).sum())
    assert abs(z) < 4


def test_following_the_truth_earns_three_times_as_much(world):
    best, _ = play(world.environment(300), oracle, 30)
    random, _ = play(world.environment(300), by_chance, 30)
    assert best.mean() > 3 * random.mean()


def test_one_seat_of_many_behaves_like_a_plain_environment(world):
    plain, vector = world.environment(slate=2), world.environment(1, slate=2)
    first, _ = plain.reset(seed=9, options={"user": 7})
    second, _ = vector.reset(seed=9, options={"users": [7]})
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert all((first[name] == second[name][0]).all() for name in ("user", "history", "hour"))
        action = rng.integers(100, size=2)
        first, reward, left, *_ = plain.step(action)
        second, rewards, leaves, *_ = vector.step(action[None])
        assert (reward, left) == (rewards[0], leaves[0])
        if left:
            break
    columns = ["user", "item", "time", "behavior"]
    assert (plain.log()[columns] == vector.log()[columns]).all(axis=None)


def test_what_is_above_the_limit_is_blocked_and_counted(world):
    items = world.assets.table
    environment = world.environment(800, steps=20)
    environment.reset(seed=1, options={"users": np.arange(800)})
    audience = environment.stage.audience
    risky = int(items.loc[items["risk_class"] == 6, "item"].iloc[0])
    limit = world.customers.limit
    _, reward, _, _, info = environment.step(np.full(800, risky))
    assert (reward[limit < 6] == 0).all()
    assert reward[limit >= 6].sum() > 0
    assert not info["invest"][limit < 6].any()
    assert audience.counts["blocked"] > 0
    assert audience.counts["shown"] == 800
    assert audience.counts["invested"] == info["invest"].sum()


def test_the_true_class_can_decide_what_is_rewarded(world):
    declared = world.environment(800, suitable="declared", steps=1)
    true = world.environment(800, suitable="true", steps=1)
    first, _ = play(declared, by_chance, 10)
    second, _ = play(true, by_chance, 10)
    counts = true.stage.audience.counts
    assert counts == declared.stage.audience.counts
    assert counts["unsuitable"] > 0
    assert second.sum() == first.sum() - counts["unsuitable"]


def test_an_amount_can_be_the_reward(world):
    environment = world.environment(800, reward="amount", steps=1)
    environment.reset(seed=1, options={"users": np.arange(800)})
    before = environment.stage.audience.cash.copy()
    policy = oracle({"user": np.arange(800)}, environment.stage.audience, None)
    audience = environment.stage.audience
    reaction = audience.react(policy[:, None], np.random.default_rng(0))
    np.testing.assert_allclose(reaction.reward, (before - audience.cash) / 100)
    assert audience.cash.min() >= 0
    assert reaction.reward.max() >= 50


def test_nothing_is_wanted_twice_in_a_visit(world):
    environment = world.environment(800, steps=20)
    environment.reset(seed=1, options={"users": np.arange(800)})
    audience = environment.stage.audience
    best = audience.invest_probability(np.arange(100)[None]).argmax(axis=1)
    environment.step(best)
    stays = environment.stage.step_of > 0
    assert (audience.invest_probability(best[:, None])[stays] == 0).all()
    _, reward, *_ = environment.step(best)
    assert (reward[stays] == 0).all()


def test_its_log_keeps_the_contract(world):
    environment = world.environment(50)
    play(environment, by_chance, 5)
    report = validate(environment.log())
    assert set(report.behaviors) <= {"view", "click", "invest"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reward": "profit"}, "reward must be one of count, amount, got 'profit'"),
        ({"suitable": "maybe"}, "suitable must be one of declared, true"),
        ({"leverage": 2}, "the audience of finance has no option 'leverage'"),
        ({"slate": 0}, "slate must be"),
    ],
)
def test_bad_options(world, options, message):
    with pytest.raises(ValueError, match=message):
        world.environment(**options)

"""Students in the environment: what a recommender's choices do to them."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from behaviorseq import validate
from behaviorseq.simulate.education import Education
from behaviorseq.simulate.education_subjects import N_SKILLS


@pytest.fixture(scope="module")
def world() -> Education:
    return Education(n_users=300, n_items=100, days=20, seed=4)


def play(world: Education, choose, *, steps: int = 25, **options) -> dict[str, np.ndarray]:
    """Let a policy choose for 200 seats; give rewards, what was expected of them, and leavers."""
    environment = world.environment(200, **options)
    environment.reset(seed=1)
    students, rng = environment.stage.audience, np.random.default_rng(0)
    rows = np.arange(200)
    kept: dict[str, list[np.ndarray]] = {"reward": [], "gain": [], "chance": [], "leaves": []}
    for _ in range(steps):
        actions = choose(students, rng)
        kept["gain"].append(students.expected_gain()[rows, actions])
        kept["chance"].append(students.correct_probability()[rows, actions])
        _, reward, leaves, _, _ = environment.step(actions)
        kept["reward"].append(reward)
        kept["leaves"].append(leaves)
    return {name: np.concatenate(parts) for name, parts in kept.items()}


def at_random(students, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(100, size=200)


def most_gain(students, rng: np.random.Generator) -> np.ndarray:
    return students.expected_gain().argmax(axis=1)


def easiest(students, rng: np.random.Generator) -> np.ndarray:
    return students.correct_probability().argmax(axis=1)


@pytest.mark.parametrize("options", [{}, {"reward": "correct"}, {"slate": 3}])
def test_gymnasium_accepts_it(world: Education, options: dict[str, object]) -> None:
    check_env(world.environment(**options), skip_render_check=True)


@pytest.mark.parametrize(("reward", "expected"), [("gain", "gain"), ("correct", "chance")])
def test_random_policy_earns_what_the_truth_predicts(
    world: Education, reward: str, expected: str
) -> None:
    played = play(world, at_random, reward=reward)
    off = played["reward"] - played[expected]
    assert abs(off.mean()) < 4 * off.std() / np.sqrt(len(off))


def test_first_reward_is_predicted_by_the_truth_of_the_log(world: Education) -> None:
    users = np.repeat(np.arange(300), 10)
    environment = world.environment(len(users), reward="correct")
    environment.reset(seed=3, options={"users": users})
    actions = np.random.default_rng(1).integers(100, size=len(users))
    end = np.datetime64("2024-01-21")
    predicted = world.truth.correct_probability(users, actions, end)
    own = environment.stage.audience.correct_probability()[np.arange(len(users)), actions]
    assert own == pytest.approx(predicted, abs=1e-12)
    _, reward, *_ = environment.step(actions)
    off = reward - predicted
    assert abs(off.mean()) < 4 * off.std() / np.sqrt(len(off))


def test_following_the_truth_teaches_three_times_as_much(world: Education) -> None:
    chance, truth = play(world, at_random), play(world, most_gain)
    assert truth["reward"].mean() > 3 * chance["reward"].mean()
    assert truth["leaves"].mean() < chance["leaves"].mean()


def test_easiest_exercises_are_answered_best_but_teach_little(world: Education) -> None:
    chance = play(world, at_random, reward="correct")["reward"].mean()
    easy = play(world, easiest, reward="correct")["reward"].mean()
    # Three times is out of reach where random is right in more than a third of the attempts.
    assert easy > 1.5 * chance
    taught = {choose: play(world, choose)["reward"].mean() for choose in (easiest, most_gain)}
    assert taught[easiest] < 0.5 * taught[most_gain]


def test_the_bored_and_the_frustrated_leave(world: Education) -> None:
    def hardest(students, rng: np.random.Generator) -> np.ndarray:
        return students.correct_probability().argmin(axis=1)

    leaves = {choose: play(world, choose)["leaves"].mean() for choose in (easiest, most_gain)}
    assert leaves[easiest] > leaves[most_gain]
    assert play(world, hardest)["leaves"].mean() > leaves[most_gain]


def test_reward_is_the_rise_of_true_skill(world: Education) -> None:
    environment = world.environment(50)
    environment.reset(seed=0)
    students = environment.stage.audience
    students._spend(np.zeros(50, dtype=np.int64), np.random.default_rng(0))
    before, clock = students.skill(), students._clock.copy()
    reaction = students.react(np.full((50, 1), 7), np.random.default_rng(1))
    students._clock[:] = clock  # without what is forgotten in the meantime
    risen = (students.skill() - before).mean(axis=1)
    assert reaction.reward == pytest.approx(risen, abs=1e-4)
    assert (reaction.reward > 0).all()
    assert reaction.reward.max() * N_SKILLS < 2


def test_vector_and_plain_environment_agree(world: Education) -> None:
    plain, vector = world.environment(), world.environment(1)
    plain.reset(seed=9, options={"user": 17})
    vector.reset(seed=9, options={"users": [17]})
    for step in range(20):
        action = (7 * step) % 100
        seen, reward, leaves, truncated, _ = plain.step(action)
        many, rewards, all_leave, all_truncated, _ = vector.step([action])
        assert (reward, leaves, truncated) == (rewards[0], all_leave[0], all_truncated[0])
        if leaves or truncated:
            break
        assert (seen["history"] == many["history"][0]).all()
        assert seen["hour"] == many["hour"][0]
    assert plain.log().equals(vector.log())


def test_what_happens_is_logged(world: Education) -> None:
    environment = world.environment(40, slate=2)
    environment.reset(seed=2)
    for step in range(5):
        _, _, _, _, info = environment.step(np.tile([step, step + 1], (40, 1)))
        assert (info["answer"].sum(axis=1) == 1).all()
    log = environment.log()
    assert set(validate(log).behaviors) == {"attempt", "answer", "complete"}
    attempts = log[log["behavior"] == "attempt"]
    assert len(attempts) == 200
    assert (attempts["position"] == 0).mean() == pytest.approx(2 / 3, abs=0.15)


def test_a_seat_taken_anew_begins_at_the_end_of_the_log(world: Education) -> None:
    environment = world.environment(1)
    students = environment.stage.audience
    environment.reset(seed=0, options={"users": [3]})
    fresh = students.skill()
    for _ in range(5):
        students.react(np.array([[12]]), np.random.default_rng(0))
    assert (students.skill() != fresh).any()
    environment.reset(seed=0, options={"users": [3]})
    assert (students.skill() == fresh).all()
    assert fresh == pytest.approx(world.truth.skill(np.array([3]), "2024-01-21"))


def test_unknown_rewards_and_options_are_refused(world: Education) -> None:
    with pytest.raises(ValueError, match="reward must be one of gain, correct, got 'joy'"):
        world.environment(reward="joy")
    with pytest.raises(ValueError, match=r"has no option 'rewards' \(is it 'reward'"):
        world.environment(rewards="gain")

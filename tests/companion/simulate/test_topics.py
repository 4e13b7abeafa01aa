"""Visits by topic: what is shown, what is counted, and that boredom costs later clicks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from behaviorseq import simulate
from behaviorseq.simulate.topics import (
    Mixture,
    TopicEnvironment,
    TopicVisits,
    Visits,
    join,
    play,
    play_again,
)


@pytest.fixture(scope="module")
def shop() -> Any:
    made = simulate.world("shop", n_users=200, n_items=96, days=20, seed=1)
    return made, made.log().events


def test_counts_of_the_log(shop: Any) -> None:
    world, events = shop
    visits = TopicVisits(world, events, n_seats=4)
    clicks = events[events["behavior"] == "click"]
    topics = world.truth.items["leaf"].to_numpy()[clicks["item"]]
    assert visits.popularity == pytest.approx(np.bincount(topics, minlength=6) / len(clicks))
    visits.reset(np.array([3, 5, 7, 9]))
    theirs = np.bincount(topics[clicks["user"] == 5], minlength=6)
    assert visits.past[1] == pytest.approx(theirs / max(theirs.sum(), 1))
    assert visits.observe().shape == (4, 19)


def test_items_of_a_topic_in_order_of_popularity(shop: Any) -> None:
    world, events = shop
    visits = TopicVisits(world, events, n_seats=2, steps=100)
    counts = events.loc[events["behavior"] == "click", "item"].value_counts()
    leaf = world.truth.items["leaf"].to_numpy()
    first = visits.items([2, 4])
    assert leaf[first].tolist() == [2, 4]
    assert visits.top_items[[2, 4]].tolist() == first.tolist()
    assert counts[first[0]] == max(counts.get(item, 0) for item in np.flatnonzero(leaf == 2))
    visits.shown[0, 2] = (leaf == 2).sum() - 1
    last = visits.items([2, 2])[0]
    assert counts.get(last, 0) == min(counts.get(item, 0) for item in np.flatnonzero(leaf == 2))
    visits.shown[0, 2] += 1  # all were shown: from the first again
    assert visits.items([2, 2])[0] == first[0]


def test_what_happened_in_a_visit_is_kept_and_forgotten_with_it(shop: Any) -> None:
    world, events = shop
    visits = TopicVisits(world, events, n_seats=300, boredom=0.2, seed=3)
    before = visits.users.copy()
    clicks, over = visits.show(np.full(300, 2))
    assert over.any()
    assert not over.all()
    assert (visits.shown[~over, 2] == 1).all()
    assert (visits.shown[over] == 0).all()
    assert (visits.clicked[~over, 2] == clicks[~over]).all()
    assert (visits.step == ~over).all()
    assert (visits.topics[~over, 0] == 2).all()
    assert (visits.topics[over] == 0).all()
    assert (visits.clicks[~over, 0] == clicks[~over]).all()
    assert (visits.users[~over] == before[~over]).all()
    assert visits.environment.log().empty  # it would take most of the time


def test_true_chances_are_those_of_the_clicks(shop: Any) -> None:
    world, events = shop
    visits = TopicVisits(world, events, n_seats=4000, boredom=0.4, seed=0)
    visits.show(np.full(4000, 1))
    chance = visits.click_chances()
    again = visits.shown[:, 1] == 1
    clicks, _ = visits.show(np.full(4000, 1))
    for group in (again, ~again):
        assert clicks[group].mean() == pytest.approx(chance[group, 1].mean(), abs=0.03)
    assert chance[again, 1].mean() < 0.8 * chance[~again, 1].mean()


def test_true_chances_of_staying(shop: Any) -> None:
    world, events = shop
    visits = TopicVisits(world, events, n_seats=6000, boredom=0.4, patience=2, seed=0)
    for _ in range(2):
        chance = visits.stay_chances()[:, 1].mean()
        _, over = visits.show(np.full(6000, 1))
        assert (~over).mean() == pytest.approx(chance, abs=0.02)


def test_mixture_draws_with_its_probabilities(shop: Any) -> None:
    world, events = shop
    visits = TopicVisits(world, events, n_seats=8000, seed=0)
    mixture = Mixture(chance=0.4, seed=1)
    topics = mixture(visits)
    liked = (visits.past + visits.popularity) / (1 + visits.past.sum(axis=1, keepdims=True))
    likely = 0.4 / 6 + 0.6 * liked
    assert mixture.chances == pytest.approx(likely[np.arange(8000), topics])
    assert np.bincount(topics, minlength=6) / 8000 == pytest.approx(likely.mean(axis=0), abs=0.02)


def test_mixture_of_other_likes(shop: Any) -> None:
    world, events = shop
    visits = TopicVisits(world, events, n_seats=4000, seed=0)
    mixture = Mixture(chance=0.3, likes=lambda v: np.tile(np.eye(6)[4], (v.n_seats, 1)), seed=1)
    topics = mixture(visits)
    assert mixture.chances == pytest.approx(np.where(topics == 4, 0.05 + 0.7, 0.05))
    assert (topics == 4).mean() == pytest.approx(0.75, abs=0.03)


def test_joining_pads_to_the_longest() -> None:
    def made(steps: int, value: int) -> Visits:
        shape = (2, steps)
        whole = np.full(shape, value)
        ones = np.ones(shape)
        return Visits(np.array([value, 0]), np.ones((2, 3)), whole, ones, ones / 2, ones > 0)

    both = join([made(2, 5), made(3, 7)])
    assert both.users.tolist() == [5, 0, 7, 0]
    assert both.topics.tolist() == [[5, 5, 0]] * 2 + [[7, 7, 7]] * 2
    assert both.clicks[:, 2].tolist() == [0, 0, 1, 1]
    assert both.chances[:, 2].tolist() == [1, 1, 0.5, 0.5]
    assert both.mask[:, 2].tolist() == [False, False, True, True]
    with pytest.raises(ValueError, match="parts must be one or more"):
        join([])


def test_playing_again_joins_visits(shop: Any) -> None:
    world, events = shop
    visits = TopicVisits(world, events, n_seats=50, boredom=0.4, seed=0)
    made, again = (
        play_again(visits, Mixture(seed=2), np.arange(50), times=3, seed=5) for _ in range(2)
    )
    assert made.users.tolist() == list(range(50)) * 3
    assert made.mask.shape == made.topics.shape == made.chances.shape
    assert (made.mask.sum(axis=1) >= 1).all()
    assert (made.clicks == again.clicks).all()
    assert (made.clicks[:50] != made.clicks[50:100]).any()


class Repeat:
    def __call__(self, visits: TopicVisits) -> Any:
        return visits.past.argmax(axis=1)


class Vary:
    chances = np.full(400, 0.25)

    def __call__(self, visits: TopicVisits) -> Any:
        return (visits.past - 10 * visits.shown).argmax(axis=1)


def test_repeating_the_favourite_ends_visits(shop: Any) -> None:
    world, events = shop
    visits = TopicVisits(world, events, n_seats=400, boredom=0.4, seed=0)
    users = np.arange(400) % 200
    same, other = (play(visits, policy, users) for policy in (Repeat(), Vary()))
    assert (same.topics == same.past.argmax(axis=1)[:, None])[same.mask].all()
    assert same.mask.sum() < 0.7 * other.mask.sum()
    assert same.clicks.sum() < 0.9 * other.clicks.sum()
    assert other.chances[other.mask].tolist() == [0.25] * other.mask.sum()
    assert (other.chances[~other.mask] == 1).all()
    assert (other.clicks[~other.mask] == 0).all()
    assert (np.diff(other.mask.astype(int), axis=1) <= 0).all()  # a visit has no gap
    assert (other.users == users).all()


def test_as_a_gymnasium_environment(shop: Any) -> None:
    from gymnasium.utils.env_checker import check_env

    world, events = shop
    environment = TopicEnvironment(TopicVisits(world, events, n_seats=1, boredom=0.3))
    check_env(environment, skip_render_check=True)
    with pytest.raises(ValueError, match="the seats of visits"):
        TopicEnvironment(TopicVisits(world, events, n_seats=2))

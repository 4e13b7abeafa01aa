"""The truth of the social world is what its log follows."""

from __future__ import annotations

import numpy as np
import pytest

from behaviorseq.simulate.base import START
from behaviorseq.simulate.social import Social
from behaviorseq.simulate.social_truth import REACTIONS


@pytest.fixture(scope="module")
def world() -> Social:
    return Social(1000, 2000, 30, seed=5)


@pytest.fixture(scope="module")
def events(world):
    return world.log().events


@pytest.fixture(scope="module")
def shown(events):
    impressions = events[events["behavior"] == "impression"]
    for behavior in REACTIONS:
        done = events.loc[events["behavior"] == behavior, ["user", "item"]].assign(**{behavior: 1})
        impressions = impressions.merge(done, how="left", on=["user", "item"])
    return impressions.fillna(dict.fromkeys(REACTIONS, 0))


def arguments(shown):
    return [shown[name].to_numpy() for name in ("user", "item", "position", "time")]


def z_score(done, chance) -> float:
    return (done.sum() - chance.sum()) / np.sqrt((chance * (1 - chance)).sum())


@pytest.mark.parametrize("behavior", REACTIONS)
def test_rates_are_the_true_probabilities_in_each_bin(world, shown, behavior):
    chance = world.truth.probability(behavior, *arguments(shown))
    done = shown[behavior].to_numpy()
    bins = np.digitize(chance, np.quantile(chance, np.arange(1, 10) / 10))
    assert abs(z_score(done, chance)) < 4
    assert all(abs(z_score(done[bins == b], chance[bins == b])) < 4 for b in range(10))
    positions = shown["position"].to_numpy()
    assert all(abs(z_score(done[positions == k], chance[positions == k])) < 4 for k in range(8))


def test_reactions_are_independent_where_a_person_looks(world, shown):
    users, posts, positions, times = arguments(shown)
    chances = world.truth.reactions(users, posts, times)
    both = world.truth.examination(positions) * chances[:, 0] * chances[:, 2]
    assert abs(z_score((shown["like"] * shown["share"]).to_numpy(), both)) < 4


def test_names_of_probabilities(world):
    truth, where = world.truth, ([1, 2], [3, 4], [0, 5])
    for behavior in REACTIONS:
        named = getattr(truth, f"{behavior}_probability")(*where)
        np.testing.assert_array_equal(named, truth.probability(behavior, *where))
    with pytest.raises(ValueError, match="behavior must be one of like, comment, share, got 'buy'"):
        truth.probability("buy", *where)


def test_arguments_broadcast_and_times_are_dates_or_seconds(world):
    truth = world.truth
    grid = truth.like_probability(np.arange(3)[:, None], np.arange(5))
    assert grid.shape == (3, 5)
    end = START + np.timedelta64(30, "D")
    assert grid[2, 4] == truth.like_probability(2, 4, 0, end)
    assert grid[2, 4] == truth.like_probability(2, 4, 0, 30 * 86_400)


def test_each_part_moves_the_probability_as_the_model_says(world):
    truth = world.truth
    published = truth.posts.published

    def logit(user, post, hours):
        chance = truth.like_probability(user, post, 0, published[post] + 3600 * hours)
        return np.log(chance / (1 - chance)) - truth.people.warmth[user] + 3.3

    user, post = 11, 500
    age = 0.25 * np.log2(1 + 18 / 6)
    parts = 3.5 * truth.match(user, post) + 0.6 * truth.appeal[post]
    tie = truth.tie(user, post, published[post] + 3600 * 18)
    assert logit(user, post, 18) == pytest.approx(parts + 0.8 * tie - age)
    np.testing.assert_allclose(truth.examination([0, 3, 8]), [1, 1 / 2, 1 / 3])


def test_ties_are_those_of_the_graph(world):
    follows, truth = world.follows(), world.truth
    pairs = set(zip(follows["user"], follows["followed"], strict=True))
    users, posts = np.random.default_rng(0).integers([1000, 2000], size=(3000, 2)).T
    authors = truth.posts.author[posts]
    pairs_asked = list(zip(users.tolist(), authors.tolist(), strict=True))
    expected = [(p in pairs) * (1 + 0.5 * (p[::-1] in pairs)) for p in pairs_asked]
    np.testing.assert_array_equal(truth.tie(users, posts), expected)
    assert set(expected) == {0, 1, 1.5}


def test_nobody_likes_their_own_post_or_one_from_the_future(world):
    truth = world.truth
    assert truth.like_probability(truth.posts.author[7], 7) == 0
    other = (truth.posts.author[7] + 1) % 1000
    assert truth.like_probability(other, 7, 0, truth.posts.published[7] - 1) == 0
    assert truth.like_probability(other, 7, 0, truth.posts.published[7]) > 0


def test_shares_spread_along_follows_and_forward_in_time(world, events):
    cascades, posts = world.truth.cascades, world.truth.posts
    assert len(cascades) == (events["behavior"] == "share").sum() > 1000
    linked = cascades[cascades["parent"] >= 0]
    assert len(linked) > 0.6 * len(cascades)
    edges = linked.merge(world.follows(), left_on=["user", "parent"], right_on=["user", "followed"])
    assert len(edges) == len(linked)
    shown = events[events["behavior"] == "impression"]
    shown = linked.merge(
        shown, left_on=["user", "post"], right_on=["user", "item"], suffixes=("", "_shown")
    )
    before = cascades[["post", "user", "time", "depth"]].rename(columns={"user": "parent"})
    by_author = shown["parent"].to_numpy() == posts.author[shown["post"]]
    steps = shown[~by_author].merge(before, on=["post", "parent"], suffixes=("", "_parent"))
    assert len(steps) == (~by_author).sum() > 300
    assert (steps["time_parent"] < steps["time_shown"]).all()
    deeper = np.where(steps["depth_parent"] > 0, steps["depth_parent"] + 1, -1)
    np.testing.assert_array_equal(steps["depth"], deeper)
    assert (shown.loc[by_author, "depth"] == 1).all()


def test_cascades_are_heavy_tailed(world):
    sizes = np.sort(np.bincount(world.truth.cascades["post"], minlength=2000))
    assert (sizes == 0).mean() > 0.5
    assert sizes[-20:].sum() > 0.2 * sizes.sum()
    assert sizes.max() > 20 * sizes.mean()
    assert world.truth.cascades["depth"].max() >= 4


def test_shares_need_interest_and_appeal(world):
    cascades, truth = world.truth.cascades, world.truth
    sizes = np.bincount(cascades["post"], minlength=2000)
    assert truth.appeal[sizes >= 5].mean() > 0.5
    users, posts = cascades["user"].to_numpy(), cascades["post"].to_numpy()
    strangers = np.random.default_rng(0).permutation(users)
    assert truth.match(users, posts).mean() > 1.5 * truth.match(strangers, posts).mean()

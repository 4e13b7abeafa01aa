"""The social world: its log, its graph, its posts, and the laws of the whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import eigsh
from sklearn.metrics import roc_auc_score

from behaviorseq import simulate
from behaviorseq.events import validate
from behaviorseq.simulate.base import START
from behaviorseq.simulate.social import Social
from behaviorseq.simulate.social_graph import expand
from behaviorseq.simulate.social_text import STRAY, TOPICS, WORDS


@pytest.fixture(scope="module")
def world() -> Social:
    return Social(1000, 2000, 30)


@pytest.fixture(scope="module")
def log(world):
    return world.log()


@pytest.fixture(scope="module")
def impressions(log) -> pd.DataFrame:
    return log.events[log.events["behavior"] == "impression"]


def adjacency(user, followed, n_users) -> np.ndarray:
    matrix = np.zeros((n_users, n_users), dtype=np.float32)
    matrix[user, followed] = 1
    return matrix


# The log


def test_it_passes_as_an_event_log(log):
    report = validate(log.events)
    assert 100_000 < report.n_events < 300_000
    assert list(report.behaviors) == ["impression", "like", "comment", "share"]
    assert report.duplicates == report.tied_events == 0
    assert log.source.n_events == report.n_events


def test_events_are_in_order_of_time_and_user_and_within_the_period(log):
    events = log.events
    order = events.sort_values(["time", "user"], kind="stable").index
    assert (order == events.index).all()
    assert events["time"].dtype == log.items["published"].dtype == "datetime64[s]"
    assert events["time"].min() >= START
    assert events["time"].max() < START + np.timedelta64(30, "D")


def test_the_tables_hold_what_an_observer_knows(log):
    assert list(log.items) == ["item", "author", "published", "text"]
    assert list(log.users) == ["user", "country", "joined"]
    assert list(log.items["item"]) == list(range(2000))
    assert list(log.users["user"]) == list(range(1000))
    assert (log.users["joined"] < pd.Timestamp(START)).all()


def test_the_same_seed_gives_the_same_log():
    one, again = Social(200, 400, 14).log(), simulate.world("social", 200, 400, 14).log()
    pd.testing.assert_frame_equal(again.events, one.events)
    pd.testing.assert_frame_equal(again.items, one.items)
    pd.testing.assert_frame_equal(again.users, one.users)
    assert not one.events.equals(Social(200, 400, 14, seed=1).log().events)


def test_the_default_size():
    world = simulate.world("social")
    assert (world.n_users, world.n_items, world.days) == (1000, 2000, 30)
    assert repr(world) == "world('social', n_users=1000, n_items=2000, days=30, seed=0)"


def test_the_log_does_not_depend_on_what_was_asked_before():
    asked = Social(60, 100, 5)
    asked.follows(), asked.truth.cascades, asked.log()
    pd.testing.assert_frame_equal(asked.log().events, Social(60, 100, 5).log().events)


def test_stored_figures():
    small = Social(200, 400, 14, seed=3)
    events, follows = small.log().events, small.follows()
    counts = {"impression": 12_387, "like": 1_533, "comment": 325, "share": 151}
    assert events["behavior"].value_counts().to_dict() == counts
    assert (len(follows), follows["followed"].sum()) == (4_105, 390_958)
    sums = [events[name].sum() for name in ("user", "item", "position", "source")]
    assert sums == [1_471_471, 2_721_062, 38_588, 151_784]
    assert (events["time"] - pd.Timestamp(START)).dt.total_seconds().sum() == 9_587_838_979
    assert small.truth.appeal.sum() == pytest.approx(-33.121233)
    assert small.log().items["text"][7] == (
        "Can we talk about depth of field for a moment? "
        "And about the viewfinder, and street portraits?"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_users": 1}, "n_users must be a whole number of 2 or more, got 1"),
        ({"n_users": 0}, "n_users"),
        ({"n_items": 0}, "n_items"),
        ({"days": -3}, "days must be a whole number from 1 to 1000, got -3"),
        ({"seed": -1}, "seed"),
        ({"communities": 13}, "communities must be a whole number from 1 to 12, got 13"),
        ({"follows": 0.5}, "follows must be a whole number"),
        ({"hubs": 3}, "the world social has no option 'hubs'; it has communities, follows"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate.world("social", **arguments)


@settings(max_examples=15)
@given(
    st.integers(2, 30),
    st.integers(1, 60),
    st.integers(1, 4),
    st.integers(0, 9),
    st.integers(1, 12),
    st.integers(1, 20),
)
def test_small_worlds_hold_together(n_users, n_items, days, seed, communities, follows):
    small = Social(n_users, n_items, days, seed, communities=communities, follows=follows)
    events, edges = small.log().events, small.follows()
    if len(events):
        validate(events)
    shown = events[events["behavior"] == "impression"]
    assert not shown.duplicated(["user", "item"]).any()
    assert not edges.duplicated(["user", "followed"]).any()
    assert (edges["user"] != edges["followed"]).all()
    assert len(small.truth.cascades) == (events["behavior"] == "share").sum()


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 5)), max_size=20))
def test_expand_writes_out_runs(runs):
    starts, counts = np.array([*runs, (0, 0)]).T
    run, numbers = expand(starts, counts)
    assert run.tolist() == [i for i, (_, count) in enumerate(runs) for _ in range(count)]
    assert numbers.tolist() == [k for start, count in runs for k in range(start, start + count)]


# What is shown


def test_nobody_is_shown_a_post_twice_or_too_early_or_too_late_or_their_own(log, impressions):
    assert not impressions.duplicated(["user", "item"]).any()
    posts = log.items.iloc[impressions["item"]]
    age = impressions["time"].to_numpy() - posts["published"].to_numpy()
    assert (age > np.timedelta64(0)).all()
    # A visit, during which posts age, lasts less than an hour.
    assert (age < np.timedelta64(73, "h")).all()
    assert (impressions["user"].to_numpy() != posts["author"].to_numpy()).all()


def test_who_reacts_was_shown_the_post_just_before(log, impressions):
    reactions = log.events[log.events["behavior"] != "impression"]
    both = reactions.merge(impressions, on=["user", "item"], suffixes=("", "_shown"))
    assert len(both) == len(reactions)
    seconds = (both["time"] - both["time_shown"]).dt.total_seconds()
    assert seconds.between(1, 3).all()
    for name in ("position", "session", "source"):
        assert (both[name] == both[f"{name}_shown"]).all()


def test_a_visit_shows_positions_one_after_the_other(impressions):
    visits = impressions.groupby("session")
    assert (visits["position"].max() + 1 == visits.size()).all()
    assert (visits["user"].min() == visits["user"].max()).all()
    assert impressions.sort_values(["session", "time"])["position"].diff().dropna().max() == 1


def test_the_freshest_stand_on_top(log, impressions):
    posts = log.items.iloc[impressions["item"]]
    hours = (impressions["time"].to_numpy() - posts["published"].to_numpy()) / np.timedelta64(
        1, "h"
    )
    age = pd.Series(hours).groupby(impressions["position"].to_numpy()).median()
    assert age[0] < age[3] < age[6]


def test_what_came_through_somebody_was_shared_by_one_whom_the_user_follows(
    world, log, impressions
):
    shares = log.events.loc[log.events["behavior"] == "share", ["user", "item", "time"]]
    through = impressions[impressions["source"] >= 0]
    assert len(through) > 10_000
    shared = shares.rename(columns={"user": "source", "time": "shared"})
    assert (through.merge(shared, on=["source", "item"]).eval("shared < time")).all()
    assert len(through.merge(shared, on=["source", "item"])) == len(through)
    follows = world.follows().rename(columns={"followed": "source"})
    known = through.merge(follows, on=["user", "source"])
    assert len(known) == len(through)
    assert (known["since"] <= known["time"]).all()


def test_what_came_through_nobody_is_from_the_author_or_popular(world, log, impressions):
    direct = impressions[impressions["source"] < 0].merge(log.items, on="item")
    follows = world.follows().rename(columns={"followed": "author"})
    direct = direct.merge(follows, on=["user", "author"], how="left")
    popular = direct[~(direct["since"] <= direct["time"])]
    assert 0.05 < len(popular) / len(direct) < 0.5
    likes = log.events[log.events["behavior"] == "like"].groupby("item")["time"].min()
    assert (popular["item"].map(likes) < popular["time"]).all()


# The graph


def test_follows_begin_when_both_have_joined_and_a_tenth_are_new(world, log):
    follows, joined = world.follows(), log.users["joined"].to_numpy()
    since = follows["since"].to_numpy()
    assert (since >= joined[follows["user"]]).all()
    assert (since >= joined[follows["followed"]]).all()
    assert (since < START + np.timedelta64(30, "D")).all()
    assert (since >= START).mean() == pytest.approx(0.1, abs=0.01)


def test_followers_have_a_power_law_tail():
    graph = Social(5000, 1, 1).truth.graph
    followers = np.bincount(graph.followed, minlength=5000)
    tail = np.sort(followers)[-500:]
    # The approximate maximum likelihood estimate of Clauset, Shalizi and Newman, 2009, eq. 3.7.
    exponent = 1 + len(tail) / np.log(tail / (tail[0] - 0.5)).sum()
    assert 2.0 < exponent < 2.8
    assert followers.max() > 20 * followers.mean()
    following = np.bincount(graph.user, minlength=5000)
    assert following.max() < 10 * following.mean()


def test_communities_follow_their_own(world):
    follows, community = world.follows(), world.truth.communities
    # Modularity of a directed graph: Leicht and Newman, 2008.
    share = np.zeros((8, 8))
    np.add.at(share, (community[follows["user"]], community[follows["followed"]]), 1 / len(follows))
    modularity = np.trace(share) - (share.sum(axis=0) * share.sum(axis=1)).sum()
    assert 0.45 < modularity < 0.7
    assert (np.bincount(community, minlength=8) > 30).all()


def test_reciprocity_and_triangles_are_above_those_of_a_block_model(world):
    follows, community = world.follows(), world.truth.communities
    user, followed = follows["user"].to_numpy(), follows["followed"].to_numpy()
    block = community[user] * 8 + community[followed]
    order, rng = np.argsort(block, kind="stable"), np.random.default_rng(0)
    mixed = np.empty_like(followed)  # followed, exchanged within pairs of communities
    mixed[order] = followed[np.lexsort((rng.random(len(block)), block))]
    real, chance = adjacency(user, followed, 1000), adjacency(user, mixed, 1000)
    np.fill_diagonal(chance, 0)

    def reciprocity(a):
        return (a * a.T).sum() / a.sum()

    def closure(a):
        paths = a @ a
        np.fill_diagonal(paths, 0)
        return (paths * a).sum() / paths.sum()

    assert 0.3 < reciprocity(real) < 0.55
    assert reciprocity(real) > 2 * reciprocity(chance)
    assert closure(real) > 1.2 * closure(chance)
    assert closure(real) > 4 * real.mean()  # which it would be in a graph without structure
    assert closure(real * real.T) > 2 * closure(chance * chance.T)  # among friends


def test_follows_says_who_followed_when(world):
    follows = world.follows().sample(500, random_state=0)
    user, other = follows["user"].to_numpy(), follows["followed"].to_numpy()
    since = (follows["since"].to_numpy() - START).astype(np.float64)
    assert world.truth.graph.follows(user, other, since).all()
    assert not world.truth.graph.follows(user, other, since - 1).any()


# People and posts


def test_interests_are_few_and_those_of_the_community(world):
    interest, community = world.truth.interest(), world.truth.communities
    assert set(np.unique((interest > 0).sum(axis=1))) == {2, 3, 4}
    assert (interest.max(axis=1) == 1).all()
    main = np.array([interest[community == c].mean(axis=0).argmax() for c in range(8)])
    assert len(set(main)) == 8
    of_own = interest[np.arange(1000), main[community]].mean()
    assert of_own > 3 * interest.mean()
    np.testing.assert_array_equal(world.truth.interest([4, 2]), interest[[4, 2]])


def test_authors_write_about_what_interests_them(world, log):
    topics, author = world.truth.topics, log.items["author"].to_numpy()
    np.testing.assert_allclose(topics.sum(axis=1), 1)
    assert (world.truth.interest(author)[topics > 0] > 0).all()
    assert set((topics > 0).sum(axis=1)) == {1, 2}


def test_the_words_of_a_post_come_from_its_topics(world, log):
    counts = np.column_stack(
        [
            sum(log.items["text"].str.contains(word, regex=False) for word in WORDS[t])
            for t in TOPICS
        ]
    )
    main = world.truth.topics.argmax(axis=1)
    both_first_words_right = (1 - STRAY) ** 2
    assert (counts[np.arange(2000), main] >= 2).mean() > both_first_words_right - 0.05
    assert (counts.argmax(axis=1) == main).mean() > 0.85
    assert log.items["text"].str[0].str.isupper().all()


def test_activity_is_heavy_tailed_and_follows_day_and_week(world, impressions):
    visits = impressions.drop_duplicates("session")
    per_user = np.sort(np.bincount(visits["user"], minlength=1000))
    assert per_user[-100:].sum() > 0.25 * per_user.sum()
    by_hour = visits["time"].dt.hour.value_counts()
    assert by_hour[[20, 21]].min() > 5 * by_hour[[2, 3]].max()
    full_weeks = visits[visits["time"].dt.day.between(8, 28)]
    weekend = full_weeks["time"].dt.day_of_week >= 5
    assert (weekend.mean() / 2) / ((~weekend).mean() / 5) > 1.05


# Learnability


def test_graph_and_communities_tell_more_about_likes_than_popularity(world, log, impressions):
    likes = log.events.loc[log.events["behavior"] == "like", ["user", "item"]].assign(liked=1.0)
    shown = impressions.merge(likes, how="left", on=["user", "item"]).fillna({"liked": 0.0})
    author, community = log.items["author"].to_numpy(), world.truth.communities
    shown["from"], shown["to"] = community[author[shown["item"]]], community[shown["user"]]
    held_out = np.random.default_rng(0).random(len(shown)) < 0.5
    seen, test = shown[~held_out], shown[held_out]

    def auc(*columns):
        rates = seen.groupby(list(columns))["liked"].agg(["sum", "count"])
        smooth = ((rates["sum"] + 2) / (rates["count"] + 14)).rename("rate").reset_index()
        scores = test.merge(smooth, how="left", on=list(columns))["rate"].fillna(2 / 14)
        return roc_auc_score(test["liked"], scores)

    follows = world.follows()
    ties = adjacency(follows["user"], follows["followed"], 1000)
    ties = np.maximum(ties, ties.T)
    scale = 1 / np.sqrt(np.maximum(ties.sum(axis=0), 1))
    vectors = eigsh(ties * scale * scale[:, None], k=8, v0=scale)[1]  # a spectral embedding
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = (vectors[test["user"]] * vectors[author[test["item"]]]).sum(axis=1)
    truth = world.truth.like_probability(
        test["user"], test["item"], test["position"], test["time"].to_numpy()
    )
    popularity = auc("item")
    assert auc("from", "to") > popularity + 0.05
    assert roc_auc_score(test["liked"], near) > popularity + 0.03
    assert roc_auc_score(test["liked"], truth) > auc("from", "to") + 0.1

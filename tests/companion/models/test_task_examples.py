"""Examples made of logs: each label and number by a slow loop; clicks belong to their views."""

import numpy as np
import pandas as pd
import pytest

from behaviorseq import (
    Sequences,
    impression_examples,
    impressions,
    load,
    next_examples,
    rating_examples,
    simulate,
)

DAY = pd.Timedelta(days=1)


@pytest.fixture(scope="module")
def shop():
    return simulate.world("shop", n_users=120, n_items=160, days=30, seed=2)


@pytest.fixture(scope="module")
def log(shop):
    return shop.log()


@pytest.fixture(scope="module")
def shown(shop):
    return impressions(shop)


def test_what_comes_next_is_what_the_log_says(log):
    examples, heads = next_examples(log, per_user=3, length=5, horizon=4)
    actions = log.events[log.events["behavior"] != "view"]
    actions = actions.sort_values(["user", "time"], kind="stable").reset_index(drop=True)
    kinds, classes = (
        sorted(table.unique()) for table in (log.items["category"], log.users["household"])
    )
    kind_of = log.items.set_index("item")["category"]
    class_of = log.users.set_index("user")["household"]
    names = Sequences.from_events(actions).behavior_names
    assert [head.size for head in heads] == [len(names), len(kinds), 1, len(classes)]
    last = actions["time"].max()
    for question in range(len(examples)):
        end = examples.starts[question] + examples.lengths[question] - 1  # the event asked after
        user, moment = actions["user"][end], actions["time"][end]
        mine = actions[(actions["user"] == user) & (actions.index > end)]
        assert examples.users[question] == user == mine["user"].iloc[0]
        assert examples.lengths[question] == min(5, end + 1 - (actions["user"] < user).sum())
        label = {name: values[question] for name, values in examples.labels.items()}
        assert names[int(label["behavior"])] == mine["behavior"].iloc[0]
        assert kinds[int(label["category"])] == kind_of[mine["item"].iloc[0]]
        assert classes[int(label["household"])] == class_of[user]
        soon = mine[mine["time"] <= moment + 4 * DAY]
        known = moment + 4 * DAY <= last
        bought = (soon["behavior"] == "purchase").any()
        assert label["purchase"] == bought if known else np.isnan(label["purchase"])
    assert np.bincount(examples.users).max() == 3


def test_each_click_and_purchase_belongs_to_one_view(log, shown):
    events = log.events
    own = shown["session"].unique()
    events = events[events["session"].isin(own)]
    counts = events["behavior"].value_counts()
    assert len(shown) == counts["view"]
    assert shown["click"].sum() == counts["click"]
    assert shown["purchase"].sum() == counts["purchase"]
    assert (shown["purchase"] <= shown["click"]).all()


def test_clicks_and_purchases_are_as_frequent_as_their_probabilities_say(shown):
    for happened, rate in (
        (shown["click"], shown["click_rate"]),
        (shown["purchase"], shown["click_rate"] * shown["conversion_rate"]),
    ):
        spread = np.sqrt((rate * (1 - rate)).sum())
        assert abs(happened.sum() - rate.sum()) < 4 * spread


def test_more_is_bought_of_what_is_clicked_than_of_what_is_shown(shown):
    rate = shown["conversion_rate"]
    assert rate[shown["click"]].mean() > 1.5 * rate.mean()


def test_questions_about_impressions_know_the_past_and_no_more(log, shown):
    examples = impression_examples(log, shown, length=6)
    actions = log.events[log.events["behavior"] != "view"]
    kind_of = log.items.set_index("item")["category"]
    price = log.items.set_index("item")["price"]
    items = np.unique(actions["item"])
    rng = np.random.default_rng(0)
    clicked = np.flatnonzero(shown["click"])
    for question in [*rng.choice(len(shown), 40), *rng.choice(clicked, 20)]:
        row = shown.iloc[question]
        past = actions[(actions["user"] == row["user"]) & (actions["time"] < row["start"])]
        history = examples.row[question]
        stop = examples.starts[history] + examples.lengths[history]
        seen = items[examples.codes[examples.starts[history] : stop, 0]]
        assert seen.tolist() == past["item"].tolist()[-6:]
        numbers = [np.log1p(row["position"]), np.log(price[row["item"]])]
        kinds = kind_of[past["item"]].to_numpy() == kind_of[row["item"]]
        for met in (past[past["item"] == row["item"]], past[kinds]):
            ago = 8.0
            if len(met):
                ago = np.log1p((row["start"] - met["time"].max()) / pd.Timedelta(hours=1))
            numbers += [np.log1p(len(met)), ago]
        np.testing.assert_allclose(examples.asked_numbers[question], numbers, rtol=1e-5)
        code = examples.asked_codes[question, 0]
        assert code == len(items) or items[code] == row["item"]
    labels = examples.labels
    assert np.isnan(labels["conversion"][~shown["click"].to_numpy()]).all()
    assert np.nansum(labels["conversion"]) == shown["purchase"].sum() == labels["purchase"].sum()


def test_films_are_asked_about_before_they_are_rated():
    data = load("movielens-100k")
    examples, heads = rating_examples(data, per_user=3, length=5)
    assert np.bincount(examples.users).max() == 3
    genres = data.items.set_index("item")["genres"]
    names = sorted({name for row in genres for name in row.split("|")})
    ids = np.unique(data.events["item"])
    stars = data.events.set_index(["user", "item"])["value"]
    age = data.users.set_index("user")["age"]
    for question in range(0, len(examples), 97):
        user, film = examples.users[question], ids[examples.asked_codes[question, 0]]
        assert examples.labels["liked"][question] == (stars[user, film] >= 4)
        group = sum(age[user] >= first for first in (25, 35, 45))
        assert examples.labels["age group"][question] == group
        own = [names[g] for g in np.flatnonzero(examples.asked_numbers[question])]
        assert own == sorted(genres[film].split("|"))
        stop = examples.starts[question] + examples.lengths[question]
        before = examples.codes[examples.starts[question] : stop]
        assert film not in ids[before[:, 0]]
        for code, given in before:
            assert stars[user, ids[code]] == given + 1
    assert heads[1].size == len(names)


def test_numbers_out_of_range_are_refused(log):
    with pytest.raises(ValueError, match="per_user must be"):
        next_examples(log, per_user=0)
    with pytest.raises(ValueError, match="horizon must be"):
        next_examples(log, horizon=0)

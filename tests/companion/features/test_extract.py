"""Families at a moment: nothing of the future in them, users and engines make no difference."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from behaviorseq import GRU4Rec, NextItNet, Sequences, Training, simulate
from behaviorseq.features import (
    Features,
    GraphFeatures,
    LearnedFeatures,
    TableFeatures,
    TextFeatures,
    features_at,
    item_features,
    purchase_statistics,
    series_features,
    text_factors,
    text_vectors,
    transition_graph,
    user_statistics,
    value_statistics,
)

EARLY, MOMENT = pd.Timestamp("2024-01-08"), pd.Timestamp("2024-01-11 06:00")


@pytest.fixture(scope="module")
def shop():
    """Make a small log with amounts everywhere, and many events at the moment itself."""
    data = simulate.world("shop", n_users=40, n_items=30, days=20).log()
    log = data.events[["user", "item", "time", "behavior", "value"]]
    log = log[(log["behavior"] != "view") | (log["user"] % 8 == 0)]
    log = pd.concat([log, log.iloc[:20].assign(time=MOMENT)], ignore_index=True)
    log.loc[::9, "behavior"] = "purchase"
    return log.assign(value=np.random.default_rng(0).integers(1, 99, len(log)) * 1.0), data.items


def families(items):
    """Give every family there is."""
    training = Training(epochs=1)
    return {
        "statistics": TableFeatures(user_statistics),
        "amounts": TableFeatures(value_statistics),
        "purchases": TableFeatures(purchase_statistics, behavior="purchase"),
        "series": TableFeatures(series_features, {"steps": 7}, behavior="click"),
        "graph": GraphFeatures([1, 0.5], decay=0.9),
        "text": TextFeatures(items, ["title"], factors=3),
        "hashed": TextFeatures(
            items, ["title"], None, HashingVectorizer(n_features=8), behavior="click"
        ),
        "recurrent": LearnedFeatures(GRU4Rec(width=4, training=training), behavior="click"),
        "convolutional": LearnedFeatures(NextItNet(width=4, training=training), behavior="click"),
    }


@pytest.fixture(scope="module")
def described(shop):
    """Describe the users of the whole log by every family at the moment."""
    log, items = shop
    return features_at(log, MOMENT, families(items))


def test_events_from_the_moment_on_change_nothing_in_any_family(shop, described):
    log, items = shop
    future = (log["time"] >= MOMENT).to_numpy()
    assert future.sum() > 100
    turned = log.copy()
    rng = np.random.default_rng(0)
    for name in ("user", "item", "behavior", "value"):
        turned.loc[future, name] = rng.permutation(turned.loc[future, name].to_numpy())
    for other in (turned, log[~future]):
        after = features_at(other, MOMENT, families(items))
        pd.testing.assert_frame_equal(after, described)


def test_every_family_reads_the_past(shop, described):
    log, items = shop
    less = features_at(log[log["time"] < EARLY], MOMENT, families(items))
    for name in families(items):
        columns = [c for c in described if c.startswith(f"{name}: ")]
        assert not described.loc[less.index, columns].equals(less[columns]), name


def test_what_is_fitted_early_stays_as_it_was(shop):
    log, items = shop
    features = Features(families(items)).fit(log, EARLY)
    found = features.at(log, MOMENT)
    changed = log["time"].between(EARLY, MOMENT, inclusive="left") & (log["user"] % 2 == 0)
    other = Features(families(items)).fit(log[~changed], EARLY).at(log, MOMENT)
    pd.testing.assert_frame_equal(found, other)
    with pytest.raises(ValueError, match="fitted on events after 2024-01-07"):
        features.at(log, "2024-01-07")


def test_users_and_rows_in_another_order_make_no_difference(shop, described):
    log, items = shop
    mixed = log.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(features_at(mixed, MOMENT, families(items)), described)


def test_one_user_is_described_without_the_others(shop):
    log, items = shop
    features = Features(families(items)).fit(log, EARLY)
    found = features.at(log, MOMENT)
    user = found["graph: pagerank"].idxmax()
    alone = features.at(log[log["user"] == user], MOMENT)
    pd.testing.assert_frame_equal(alone, found.loc[[user]], rtol=1e-4, check_dtype=False)


def test_a_behavior_that_nobody_shows_describes_nobody(shop, engines):
    log, _ = shop
    bought = {"bought": TableFeatures(purchase_statistics, behavior="purchase")}
    features, never = Features(bought).fit(log, EARLY), log[log["behavior"] != "purchase"]
    for make in engines.values():
        found = features.at(make(never), MOMENT)
        assert list(found) == list(features.at(log, MOMENT))
        assert found.isna().all(axis=None)
        assert len(found) == never.loc[never["time"] < MOMENT, "user"].nunique()


def test_engines_and_histories_agree(shop, engines):
    log, items = shop
    distinct = log.drop_duplicates(["user", "time"])  # histories shuffle what shares its time
    found = features_at(distinct, MOMENT, families(items))
    for make in engines.values():
        other = features_at(make(distinct), MOMENT, families(items))
        pd.testing.assert_frame_equal(other, found, check_dtype=False, rtol=1e-5, atol=1e-7)
    histories = Sequences.from_events(distinct)
    other = features_at(histories, MOMENT, families(items))
    pd.testing.assert_frame_equal(other, found, check_dtype=False, rtol=1e-5, atol=1e-7)


def test_users_may_be_text(shop, engines):
    log, _ = shop
    log = log[log["user"] < 12].drop_duplicates(["user", "time"])
    log = log.assign(user=log["user"].map("u{}".format).astype("str"), item=log["item"].map(str))
    found = features_at(log, MOMENT)
    others = {name: make(log) for name, make in engines.items()}
    others["categories"] = log.astype({"user": "category", "item": "category"})
    for name, other in others.items():
        made = features_at(other, MOMENT)
        assert made.index.tolist() == found.index.tolist(), name
        np.testing.assert_allclose(made.astype(float), found.astype(float), err_msg=name)
    np.testing.assert_array_equal(found.index, np.unique(log["user"][log["time"] < MOMENT]))


def test_spark_agrees(shop, on_spark):
    log, _ = shop
    few = log[log["user"] < 4].drop_duplicates(["user", "time"])
    some = {"amounts": TableFeatures(value_statistics), "graph": GraphFeatures()}
    found = features_at(few, MOMENT, some)
    other = features_at(on_spark(few), MOMENT, some)
    pd.testing.assert_frame_equal(other, found, check_dtype=False)


def test_item_families_average_over_each_users_events(shop):
    log, items = shop
    kinds = {"graph": GraphFeatures(behavior="click"), "text": TextFeatures(items, ["title"], 3)}
    found = features_at(log, MOMENT, kinds)
    past = log[log["time"] < MOMENT]
    histories = Sequences.from_events(past[past["behavior"] == "click"], ties="random")
    graph = item_features(transition_graph(histories))
    codes = pd.Series(range(histories.n_items), histories.item_ids.ids)
    every = Sequences.from_events(past).item_ids
    text = text_factors(text_vectors(items, every, ["title"])[0], 3)
    texts = pd.DataFrame(text, index=every.ids)
    for user, own in itertools.islice(past.groupby("user"), 10):
        clicked = codes[own.loc[own["behavior"] == "click", "item"]]
        expected = graph.iloc[clicked].mean()
        np.testing.assert_allclose(found.loc[user].filter(like="graph: "), expected, rtol=1e-6)
        expected = texts.loc[own["item"]].mean()
        np.testing.assert_allclose(found.loc[user].filter(like="text: "), expected, atol=1e-6)


def test_items_without_an_event_when_fitted_are_left_aside():
    log = pd.DataFrame(
        {
            "user": [1, 1, 2, 2, 3],
            "item": ["a", "b", "a", "new", "new"],
            "time": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"] + ["2024-01-05"] * 2),
        }
    )
    features = Features({"graph": GraphFeatures()}).fit(log, "2024-01-04")
    found = features.at(log, "2024-01-06")["graph: degree_out"]
    assert found.loc[[1, 2]].tolist() == [0.5, 1.0]
    assert np.isnan(found.loc[3])


def test_faults_are_named(shop):
    log, _ = shop
    with pytest.raises(ValueError, match="not fitted: call fit"):
        Features().at(log, MOMENT)
    with pytest.raises(ValueError, match="no event lies before 2020-01-01"):
        features_at(log, "2020-01-01")
    with pytest.raises(ValueError, match=r"families\['x'\] must be a Family, got <function"):
        Features({"x": user_statistics})
    with pytest.raises(ValueError, match="families must be one family or more"):
        Features({})
    with pytest.raises(ValueError, match="there is no column `item`"):
        features_at(log.drop(columns="item"), MOMENT)
    with pytest.raises(ValueError, match="the item is missing"):
        features_at(log.assign(item=log["item"].astype(float).where(log["item"] > 2)), MOMENT)
    histories = Sequences.from_events(log)
    object.__setattr__(histories, "times", None)
    with pytest.raises(ValueError, match="the histories have no times"):
        features_at(histories, MOMENT)

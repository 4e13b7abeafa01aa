"""The truth of the simulated shop is what its log was drawn from."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviorseq import simulate
from behaviorseq.simulate import shop_choice
from behaviorseq.simulate.base import START

DAYS = 60
PERIOD = pd.Timestamp(START), pd.Timestamp(START) + pd.Timedelta(days=DAYS)


@pytest.fixture(scope="module")
def shop():
    return simulate.world("shop", n_users=1000, n_items=500, days=DAYS, seed=7)


@pytest.fixture(scope="module")
def truth(shop):
    return shop.truth


@pytest.fixture(scope="module")
def events(shop, truth):
    """Join the log with its truth, visits by chance only: no repeat purchases, no reviews."""
    both = pd.concat([shop.log().events, truth.events()], axis=1)
    return both[~both["page"].isin(["repeat", "review"])]


@pytest.fixture(scope="module")
def clicks(events):
    return events[events["behavior"] == "click"]


def z_scores(happened, probability, groups):
    """Standardise the number of events of each group by mean and variance under the truth."""
    table = pd.DataFrame(
        {"n": happened, "mean": probability, "var": probability * (1 - probability)}
    )
    sums = table.groupby(np.asarray(groups), observed=True).sum()
    return (sums["n"] - sums["mean"]) / np.sqrt(sums["var"])


def moments(n, seed=0):
    """Draw users and times."""
    rng = np.random.default_rng(seed)
    return rng.integers(1000, size=n), START + rng.integers(DAYS * 86_400, size=n)


def did(clicks, events, behavior):
    """Tell which clicks were followed by a behavior on their item in the visit."""
    keys = ["session", "item"]
    followed = pd.MultiIndex.from_frame(events.loc[events["behavior"] == behavior, keys])
    return pd.MultiIndex.from_frame(clicks[keys]).isin(followed).astype(float)


def test_clicks_are_as_probable_as_the_truth_says(events, truth):
    # Clicks come after the views of their page and before those of the next one.
    page = ((events["behavior"] == "view") & (events["position"] == 0)).groupby(events["session"])
    keys = ["session", "page", "item"]
    placed = events.assign(page_kind=events["page"], page=page.cumsum())
    views = placed[placed["behavior"] == "view"]
    clicked = pd.MultiIndex.from_frame(placed.loc[placed["behavior"] == "click", keys])
    shown = pd.MultiIndex.from_frame(views[keys])
    assert not clicked.has_duplicates
    assert clicked.isin(shown).all()
    happened = shown.isin(clicked).astype(float)
    chance = truth.click_probability(
        views["user"], views["item"], views["position"], views["start"]
    )
    for groups in (
        views["position"],
        pd.qcut(chance, 20, labels=False),
        views["page_kind"].astype(str),
        views["stage"].astype(str),
        views["leaf"],
    ):
        assert z_scores(happened, chance, groups).abs().max() < 4
    looked = truth.examination["probability"].to_numpy()[views["position"]]
    assert chance.max() < 1
    assert (chance <= looked).all()


@pytest.mark.parametrize("behavior", ["favorite", "cart", "purchase"])
def test_what_follows_is_as_probable_as_the_truth_says(events, clicks, truth, behavior):
    alone = clicks[~clicks.duplicated(["session", "item"], keep=False)]
    follow = truth.follow_probabilities(alone["user"], alone["item"], alone["start"])
    chance = getattr(follow, behavior)
    happened = did(alone, events, behavior)
    for groups in (pd.qcut(chance, 10, labels=False), alone["stage"].astype(str)):
        assert z_scores(happened, chance, groups).abs().max() < 4
    if behavior == "purchase":
        same = truth.purchase_probability(alone["user"], alone["item"], alone["start"])
        assert np.array_equal(chance, same)


def test_stages_shape_what_is_done(events, clicks, truth):
    rates = {
        behavior: pd.Series(did(clicks, events, behavior))
        .groupby(clicks["stage"].astype(str).to_numpy())
        .mean()
        for behavior in ("favorite", "cart", "purchase")
    }
    assert rates["purchase"]["deciding"] > 3 * rates["purchase"]["exploring"]
    assert rates["favorite"]["comparing"] > 1.5 * rates["favorite"]["exploring"]
    on = clicks[clicks["mission"] >= 0]
    wanted = pd.MultiIndex.from_frame(truth.shortlists[["mission", "item"]])
    short = pd.Series(pd.MultiIndex.from_frame(on[["mission", "item"]]).isin(wanted))
    share = short.groupby(on["stage"].astype(str).to_numpy()).mean()
    assert share["comparing"] > share["exploring"] + 0.1
    assert share["deciding"] > share["exploring"] + 0.1


def test_stage_and_mission_of_the_events_are_those_of_the_tables(events, truth):
    on = events[events["mission"] >= 0].drop_duplicates("session")
    missions = truth.missions.set_index("mission").loc[on["mission"]]
    assert (missions["user"].to_numpy() == on["user"].to_numpy()).all()
    assert (missions["leaf"].to_numpy() == on["leaf"].to_numpy()).all()
    stage = truth.stage(on["user"], on["start"])
    assert (np.asarray(stage) == np.asarray(on["stage"])).all()
    start = on["start"].to_numpy()
    begins = missions[["exploring", "comparing", "deciding", "end"]].to_numpy()
    code = on["stage"].cat.codes.to_numpy()
    every = np.arange(len(on))
    assert (begins[every, code] <= start).all()
    assert (start < begins[every, code + 1]).all()
    days = (missions["end"] - missions["exploring"]).dt.days
    assert days.between(3, 7).all()
    off = events[(events["mission"] < 0)].drop_duplicates("session")
    assert off["stage"].isna().all()


def test_missions_of_a_user_do_not_overlap(truth):
    missions = truth.missions.sort_values(["user", "exploring"])
    before = missions.groupby("user")["end"].shift()
    assert (missions["exploring"] >= before)[before.notna()].all()


def test_visits_are_about_what_the_person_wants(events, truth):
    visits = events[events["mission"] < 0].drop_duplicates("session")
    shares = truth.interest(visits["user"], visits["start"], missions=False)
    chance = shares[np.arange(len(visits)), visits["leaf"]]
    assert (chance > 0).all()
    happened = np.zeros_like(shares)
    happened[np.arange(len(visits)), visits["leaf"]] = 1
    z = (happened - shares).sum(axis=0) / np.sqrt((shares * (1 - shares)).sum(axis=0))
    assert np.abs(z).max() < 4


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), missions=st.booleans())
def test_interest_is_a_distribution(truth, seed, missions):
    users, times = moments(50, seed)
    interest = truth.interest(users, times, missions=missions)
    assert interest.shape == (50, len(truth.leaves))
    assert (interest >= 0).all()
    assert np.allclose(interest.sum(axis=1), 1)
    one = truth.people.interest_in(users, (times - START).astype(float), np.full(50, 3))
    if missions:
        assert np.allclose(one, interest[:, 3])


def test_interest_table_is_the_interest(truth):
    moment = PERIOD[0] + pd.Timedelta(days=31.3)
    table = truth.interests
    now = table[(table["start"] <= moment) & (moment < table["end"])]
    assert np.allclose(now.groupby("user")["weight"].sum(), 1)
    weights = np.zeros((1000, len(truth.leaves)))
    np.add.at(weights, (now["user"], now["leaf"]), now["weight"])
    spilt = weights * 0.85
    np.add.at(spilt.T, truth.leaves["goes_with"].to_numpy(), 0.15 * weights.T)
    exact = truth.interest(np.arange(1000), moment.to_datetime64(), missions=False)
    assert np.allclose(spilt, exact)
    assert now.groupby("user").size().between(3, 8).all()


def test_interests_change_at_the_rate_of_drift(truth):
    table = truth.interests
    changes = table[table["start"] > PERIOD[0]]
    held = (table["end"] - table["start"]).sum() / pd.Timedelta(days=1)
    expected = held / 45
    assert abs(len(changes) - expected) < 4 * math.sqrt(expected)


def test_mission_takes_its_share(truth):
    missions = truth.missions.iloc[:200]
    at = missions["comparing"].to_numpy()
    with_it = truth.interest(missions["user"], at)[np.arange(200), missions["leaf"]]
    assert (with_it >= 0.75 * 0.85 - 1e-9).all()
    assert truth.stage(missions["user"], at).tolist() == ["comparing"] * 200


def test_shortlists_are_of_the_missions_leaf(truth):
    lists = truth.shortlists.merge(truth.missions, on="mission")
    assert (truth.catalog.leaf[lists["item"]] == lists["leaf"]).all()
    assert not lists.duplicated(["mission", "item"]).any()
    assert lists["place"].max() == 3


def test_arguments_are_broadcast(truth):
    users, times = moments(6)
    items = np.arange(10)
    table = truth.utility(users[:, None], items, times[:, None])
    assert table.shape == (6, 10)
    assert table[2, 7] == truth.utility(users[2], 7, times[2])
    clicked = truth.click_probability(users[:, None], items, np.arange(10), times[:, None])
    looked = shop_choice.examination(np.arange(10), 0.7)
    assert np.allclose(clicked, looked / (1 + np.exp(-table)))


def test_without_position_bias_all_positions_are_looked_at():
    shop = simulate.world("shop", n_users=50, n_items=40, days=5, position_bias=0.0)
    assert (shop.truth.examination["probability"] == 1).all()
    biased = shop_choice.examination([0, 1, 3], 1.0)
    assert biased.tolist() == [1, 1 / 2, 1 / 4]


def test_tables(truth):
    assert truth.leaves["leaf"].tolist() == list(range(31))
    assert truth.leaves["weight"].sum() == pytest.approx(1)
    assert truth.leaves["cycle"].dropna().gt(0).all()
    shares = truth.items.groupby("leaf")["weight"].sum()
    assert np.allclose(shares, 1)
    assert truth.items.groupby("leaf").size().min() >= 5
    assert truth.users["activity"].between(0, 3).all()
    assert truth.interests["end"].gt(truth.interests["start"]).all()
    assert truth.interests["end"].max() == PERIOD[1]


def test_next_click_scores_are_probabilities_of_what_is_there(truth):
    users, times = moments(40)
    scores = truth.next_click_scores(users, times, np.arange(40))
    assert scores.shape == (40, 500)
    assert np.allclose(scores.sum(axis=1), 1)
    appeared = truth.shop.items["appeared"].to_numpy()
    assert (scores[appeared[None] > times[:, None]] == 0).all()
    alone = truth.next_click_scores(users[3], times[3], 3)
    assert np.allclose(alone[0], scores[3])


def test_the_formula_of_the_page_is_the_one_that_runs(truth):
    rng = np.random.default_rng(0)
    people, catalog = truth.people, truth.catalog
    users, items = rng.integers(len(people), size=50), rng.integers(catalog.n_items, size=50)
    time = np.datetime64("2024-01-09T12:00:00")
    w = truth.interest(users, time)[np.arange(50), catalog.leaf[items]]
    b = (people.taste[users] * catalog.brand_vector[catalog.brand[items]]).sum(axis=1)
    price = (catalog.level[items] - people.level[users]) ** 2
    by_hand = -5.9 + 5 * w / (w + 0.1) + 1.8 * b + 0.6 * catalog.quality[items]
    by_hand -= people.care[users] * price
    assert "u = -5.9 + 5 \\frac{w}{w + 0.1} + 1.8\\, b + 0.6\\, q - c_u (l_i - l_u)^2" in (
        shop_choice.__doc__
    )
    assert truth.utility(users, items, time) == pytest.approx(by_hand)


def test_related_pages_show_what_is_related_to_the_last_click(events, truth):
    visits = events.sort_values(["session", "time"], kind="stable")
    clicked = visits["item"].where(visits["behavior"] == "click")
    last = clicked.groupby(visits["session"]).ffill()
    # While a page is shown nothing is clicked, so the last click is that before the page.
    shown = (visits["behavior"] == "view") & (visits["page"] == "related")
    related = truth.catalog.related[last[shown].astype(int)]
    item = visits.loc[shown, "item"].to_numpy()
    assert len(item) > 10_000
    assert (related == item[:, None]).any(axis=1).all()
    nearest = np.bincount(
        np.nonzero(related == item[:, None])[1][visits.loc[shown, "position"] == 0]
    )
    assert nearest[0] > 2 * nearest[5:].max()


def test_without_a_last_click_the_next_is_of_a_visit_to_come(truth):
    users, times = moments(20)
    scores = truth.next_click_scores(users, times, np.full(20, -1))
    assert np.allclose(scores.sum(axis=1), 1)
    # An item that stands last in the catalogue must not be taken for the last click.
    leaf = truth.catalog.leaf == truth.catalog.leaf[-1]
    interest = truth.interest(users, times)[:, truth.catalog.leaf[-1]]
    absent = interest == 0
    assert absent.any()
    clicked = truth.next_click_scores(users, times, np.full(20, truth.catalog.n_items - 1))
    to_come, after = (s[absent][:, leaf].sum(axis=1) for s in (scores, clicked))
    assert (to_come < after).all()
    assert np.median(to_come / after) < 0.1

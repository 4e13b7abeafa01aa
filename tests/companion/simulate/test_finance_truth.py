"""The truth of the finance world: its probabilities are those of the log, its laws hold."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import spearmanr

from behaviorseq.simulate.finance import Finance
from behaviorseq.simulate.finance_accounts import GUIDED, WEEKEND, choose
from behaviorseq.simulate.finance_truth import disposition_effect


@pytest.fixture(scope="module")
def world():
    return Finance(1000, 120, 200, seed=4)


@pytest.fixture(scope="module")
def events(world):
    return world.log().events


def z_by_bin(happened, probability, bins=10):
    """Give z of the difference of events and their expectation in bins of equal size."""
    order = np.argsort(probability, kind="stable")
    scores = []
    for part in np.array_split(order, bins):
        p = probability[part]
        scores.append((happened[part].sum() - p.sum()) / np.sqrt((p * (1 - p)).sum()))
    return np.array(scores)


def outcome(events, behavior):
    """Give the views, and whether the behavior followed in the same visit."""
    views = events[events["behavior"] == "view"]
    done = events.loc[events["behavior"] == behavior, ["session", "item"]].assign(done=True)
    merged = views.merge(done, on=["session", "item"], how="left")
    return views, merged["done"].notna().to_numpy()


def test_clicks_come_at_their_probability(world, events):
    views, clicked = outcome(events, "click")
    p = world.truth.click_probability(views["user"], views["item"], views["time"])
    assert p.max() > 10 * p.min()
    assert np.abs(z_by_bin(clicked, p)).max() < 4


def test_investments_come_at_their_probability(world, events):
    views, invested = outcome(events, "invest")
    p = world.truth.invest_probability(views["user"], views["item"], views["time"])
    assert not invested[p == 0].any()
    assert (p == 0).any()
    assert np.abs(z_by_bin(invested[p > 0], p[p > 0])).max() < 4


def test_lots_are_sold_at_their_probability(world, events):
    visits = events[~events["behavior"].isin(["deposit", "withdraw"])]
    visits = visits.drop_duplicates("session")[["user", "time"]]
    days = (visits["time"] - pd.Timestamp("2024-01-01")).dt.days
    seen = visits.assign(day=days).merge(world.truth.holdings, on="user")
    open_still = (seen["day_to"] < 0) | (seen["day_to"] >= seen["day"])
    seen = seen[(seen["day_from"] < seen["day"]) & open_still]
    p = world.truth.redeem_probability(seen["user"], seen["item"], seen["time"], seen["buy_price"])
    sold = (seen["day_to"] == seen["day"]).to_numpy()
    assert np.abs(z_by_bin(sold, p)).max() < 4
    assert sold.sum() == (events["behavior"] == "redeem").sum()


def test_assets_are_come_across_by_prominence_and_appeal(world):
    n = 20_000
    shown = choose(world.customers, np.full(n, 7), 30, np.random.default_rng(1))
    assert (np.diff(np.sort(shown, axis=1), axis=1) > 0).all()
    score = world.assets.prominence[1:] + GUIDED * world.customers.appeal(7, np.arange(1, 120), 30)
    p = softmax(score)
    z = (np.bincount(shown[:, 0], minlength=120)[1:] - n * p) / np.sqrt(n * p * (1 - p))
    assert np.abs(z[n * p > 20]).max() < 4
    again = p * (p / (1 - p)).sum() - p**2 / (1 - p)  # the second, without repetition
    z = np.bincount(shown[:, 1], minlength=120)[1:] - n * again
    assert np.abs((z / np.sqrt(n * again * (1 - again)))[n * again > 20]).max() < 4


def test_customers_look_at_their_probability(world, events):
    visits = events[events["behavior"] == "view"].drop_duplicates("session")
    looks = np.bincount(visits["user"], minlength=1000)
    days = np.arange(200) % 7
    p = world.truth.customers["attention"].to_numpy()
    expected = p * (days < 5).sum() + p * WEEKEND * (days >= 5).sum()
    variance = p * (1 - p) * (days < 5).sum() + p / 2 * (1 - p / 2) * (days >= 5).sum()
    order = np.argsort(p)
    for part in np.array_split(order, 10):
        z = (looks[part].sum() - expected[part].sum()) / np.sqrt(variance[part].sum())
        assert abs(z) < 4


def test_the_limit_is_all_that_tells_a_wish_from_an_order(world):
    users, items, end = np.arange(200)[:, None], np.arange(120), world.prices().index[-1]
    wish = world.truth.invest_probability(users, items, end, limited=False)
    order = world.truth.invest_probability(users, items, end)
    limit = world.customers.limit[:200, None]
    allowed = world.assets.risk_class <= limit
    assert order.shape == (200, 120)
    np.testing.assert_array_equal(order, np.where(allowed, wish, 0))
    assert (order[:, 0] == 0).all()


def test_each_driver_moves_the_probability(world):
    truth, table, end = world.truth, world.truth.customers, world.prices().index[-1]
    p = truth.click_probability(np.arange(1000)[:, None], np.arange(1, 120), end)
    momentum = world.market.momentum[-1, 1:]
    pull = np.array([np.corrcoef(momentum, row)[0, 1] for row in p])
    assert spearmanr(table["chase"], pull).statistic > 0.15
    cost = world.assets.charges[1:]
    push = np.array([np.corrcoef(cost, row)[0, 1] for row in p])
    assert spearmanr(table["thrift"], push).statistic < -0.1
    gap = np.abs(world.assets.risk_class[1:] - truth.risk_class(np.arange(1000), end)[:, None])
    assert p[gap == 0].mean() > 1.5 * p[gap >= 2].mean()


def test_gains_are_sold_sooner_than_losses(world):
    gains, losses = disposition_effect(world.truth.holdings, world.truth.prices)
    assert gains > 1.3 * losses


def test_without_the_disposition_gains_and_losses_are_sold_alike():
    world = Finance(1000, 120, 200, seed=4, disposition=0)
    gains, losses = disposition_effect(world.truth.holdings, world.truth.prices)
    assert gains == pytest.approx(losses, rel=0.1)


def test_disposition_effect_by_hand():
    # Day 1: a gain is sold, a gain and a loss are kept. Day 2: a loss is sold, a gain is kept.
    lots = [(7, 0, 0, 1, 5.0), (7, 1, 0, -1, 5.0), (7, 2, 0, 2, 50.0), (8, 1, 0, -1, 5.0)]
    holdings = pd.DataFrame(lots, columns=["user", "item", "day_from", "day_to", "buy_price"])
    prices = np.full((3, 3), 10.0)
    assert disposition_effect(holdings, prices) == (1 / 3, 1 / 2)


def test_risk_averse_customers_hold_less_risk(world):
    truth = world.truth
    held = truth.holdings[truth.holdings["day_to"] < 0]
    held = held.assign(risk=truth.volatility[held["item"]] * held["cost"])
    sums = held.groupby("user")[["risk", "cost"]].sum()
    volatility = sums["risk"] / sums["cost"]
    assert spearmanr(truth.risk_aversion[sums.index], volatility).statistic < -0.5


def test_an_honest_questionnaire_finds_the_true_class():
    exact = Finance(400, 20, 5, seed=1, questionnaire_noise=0)
    limit = exact.customers.limit
    np.testing.assert_array_equal(limit, exact.truth.risk_class(np.arange(400)))
    noisy = Finance(400, 20, 5, seed=1)
    wrong = noisy.customers.limit != noisy.truth.risk_class(np.arange(400))
    assert 0.2 < wrong.mean() < 0.7


def test_life_stages_move_forward_only(world):
    table = world.truth.life_stages
    order = table["life_stage"].map({s: i for i, s in enumerate(STAGES)})
    same = table["user"].diff() == 0
    assert (order.diff()[same] == 1).all()
    assert 10 < same.sum() < 500
    day = np.timedelta64(1, "D")
    times = np.datetime64("2024-01-01") + table["day_from"].to_numpy() * day
    np.testing.assert_array_equal(
        world.truth.life_stage(table["user"], times), table["life_stage"].to_numpy(dtype=str)
    )
    later = table[same]
    before = np.datetime64("2024-01-01") + (later["day_from"].to_numpy() - 1) * day
    assert (world.truth.life_stage(later["user"], before) != later["life_stage"]).all()


STAGES = ("student", "starting", "family", "established", "retired")


def test_the_risk_class_follows_the_life_stage(world):
    table = world.truth.life_stages
    retired = table[(table["life_stage"] == "retired") & (table["day_from"] > 0)]
    assert len(retired)
    before = world.truth.risk_class(retired["user"])
    after = world.truth.risk_class(retired["user"], world.prices().index[-1])
    assert (after <= before).all()
    assert (after < before).any()


def test_shapes(world):
    truth = world.truth
    assert truth.returns.shape == truth.prices.shape == (200, 120)
    assert len(truth.market) == 200
    assert len(truth.customers) == len(truth.wealth) == len(truth.risk_aversion) == 1000
    assert truth.invest_probability(3, 5, "2024-02-01T10:00").shape == ()


@pytest.mark.parametrize(
    ("users", "items", "times", "message"),
    [
        (1000, 1, "2024-02-01", "users must be ids, whole numbers from 0 to 999"),
        (0, -1, "2024-02-01", "items must be ids, whole numbers from 0 to 119"),
        (0.5, 1, "2024-02-01", "users must be ids"),
        (0, 1, "2023-12-31", "times must lie from 2024-01-01"),
        (0, 1, "2025-01-01", "times must lie from 2024-01-01"),
    ],
)
def test_what_is_not_there_is_refused(world, users, items, times, message):
    with pytest.raises(ValueError, match=message):
        world.truth.invest_probability(users, items, times)

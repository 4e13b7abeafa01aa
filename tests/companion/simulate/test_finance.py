"""The log of the finance world: contract, money, holdings, limits."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviorseq import simulate
from behaviorseq.events import validate
from behaviorseq.simulate.finance import Finance
from behaviorseq.simulate.finance_accounts import BLOCK


@pytest.fixture(scope="module")
def world():
    return simulate.world("finance", n_users=400, n_items=100, days=200, seed=3)


@pytest.fixture(scope="module")
def log(world):
    return world.log()


def cents(values):
    return np.rint(values * 100).astype(np.int64)


def flows(events):
    """Money into the account (and out of it, negative), in cents."""
    sign = events["behavior"].map({"deposit": 1, "redeem": 1, "invest": -1, "withdraw": -1})
    return cents(events["value"].fillna(0.0)) * sign.fillna(0).astype(int)


def test_same_seed_same_log():
    logs = [Finance(60, 30, 20, seed=seed).log() for seed in (1, 1, 2)]
    pd.testing.assert_frame_equal(logs[0].events, logs[1].events)
    pd.testing.assert_frame_equal(logs[0].items, logs[1].items)
    pd.testing.assert_frame_equal(logs[0].users, logs[1].users)
    assert len(logs[2].events) != len(logs[0].events)


def test_logging_twice_or_asking_for_the_truth_first_changes_nothing():
    world = Finance(60, 30, 20, seed=1)
    world.truth.holdings  # noqa: B018 - the simulation behind it must leave no trace
    world.environment().reset(seed=0)
    pd.testing.assert_frame_equal(world.log().events, Finance(60, 30, 20, seed=1).log().events)


def test_a_longer_period_begins_like_a_shorter_one():
    short, long = (Finance(60, 30, days, seed=1).log().events for days in (20, 35))
    early = long[long["time"] < np.datetime64("2024-01-21")]
    pd.testing.assert_frame_equal(short, early)


def test_more_than_one_block_of_customers():
    n = BLOCK + 500
    events = Finance(n, 10, 3, seed=1).log().events
    late = events["user"] >= BLOCK
    assert 0.5 < late.mean() / (500 / n) < 2
    assert events["time"].is_monotonic_increasing
    same_time = events["time"].diff() == pd.Timedelta(0)
    assert (events["user"].diff()[same_time] > 0).all()


def test_stored_figures():
    dataset = Finance(100, 50, 60, seed=0).log()
    events = dataset.events
    assert events["behavior"].value_counts().to_dict() == {
        "view": 1761,
        "click": 819,
        "invest": 204,
        "deposit": 174,
        "redeem": 38,
        "withdraw": 26,
    }
    money = events.dropna(subset="value").groupby("behavior")["value"].sum().round(2)
    assert money.to_dict() == {
        "deposit": 46235.96,
        "invest": 799496.26,
        "redeem": 166184.61,
        "withdraw": 6393.04,
    }
    assert events["item"].sum() == 75351
    assert dataset.users["risk_limit"].sum() == 390
    assert dataset.items["risk_class"].sum() == 186


def test_contract(world, log):
    report = validate(log.events)
    assert report.tied_events == report.duplicates == 0
    assert set(report.behaviors) == set(world.behaviors)
    assert report.first >= pd.Timestamp("2024-01-01")
    assert report.last < pd.Timestamp("2024-01-01") + pd.Timedelta(days=world.days)
    assert log.items.columns[0] == "item"
    assert log.users.columns[0] == "user"
    assert list(log.items["item"]) == list(range(100))
    assert list(log.users["user"]) == list(range(400))
    assert log.items["name"].is_unique
    assert not {"risk_aversion", "wealth", "risk_class"} & set(log.users.columns)
    assert log.source.n_events == len(log.events)
    assert "investment advice" in log.source.notes


def test_only_money_has_a_value(log):
    moves = log.events["behavior"].isin(["invest", "redeem", "deposit", "withdraw"])
    assert (log.events["value"].notna() == moves).all()
    assert (log.events["value"].dropna() > 0).all()


def test_the_account_is_the_item_of_transfers_only(log):
    transfer = log.events["behavior"].isin(["deposit", "withdraw"])
    assert ((log.events["item"] == 0) == transfer).all()


def test_a_session_is_a_visit(log):
    sessions = log.events.assign(day=log.events["time"].dt.floor("D")).groupby("session")
    for name in ("user", "day"):
        assert (sessions[name].min() == sessions[name].max()).all()
    assert log.events["session"].nunique() == log.events["session"].max() + 1
    visits = log.events[log.events["behavior"] == "view"].groupby(["session", "item"]).size()
    assert (visits == 1).all()


def test_click_follows_view_and_invest_follows_click(log):
    events = log.events[log.events["behavior"].isin(["view", "click", "invest"])]
    table = events.pivot_table(
        index=["session", "item"], columns="behavior", values="user", aggfunc="size", fill_value=0
    )
    assert (table["click"] <= table["view"]).all()
    assert (table["invest"] <= table["click"]).all()


def test_text_says_what_an_asset_is(log):
    items = log.items[1:]
    word = {"share": "one company", "share fund": "many companies", "bond": "loan"}
    for kind, words in word.items():
        described = items.loc[items["kind"] == kind, "description"]
        assert described.str.contains(words).all()
    swings = items["description"].str.extract(r"price (.*?);")[0]
    pairs = pd.DataFrame({"swings": swings, "risk_class": items["risk_class"]}).drop_duplicates()
    assert len(pairs) == pairs["swings"].nunique() == pairs["risk_class"].nunique()


def test_nobody_buys_above_the_declared_limit(log):
    def above(behavior):
        events = log.events[log.events["behavior"] == behavior]
        limit = log.users["risk_limit"].to_numpy()[events["user"]]
        return log.items["risk_class"].to_numpy()[events["item"]] > limit

    assert not above("invest").any()
    assert above("click").mean() > 0.05, "else the line above could not fail"


def test_no_order_below_the_least_one(log):
    bought = log.events[log.events["behavior"] == "invest"]
    least = log.items["minimum"].to_numpy()[bought["item"]]
    assert (bought["value"] >= least).all()


def test_money_balances_to_the_cent(world, log):
    opening = cents(world.truth.cash(np.arange(400), "2024-01-01"))
    closing = cents(world.truth.cash(np.arange(400), world.prices().index[-1]))
    moved = np.bincount(log.events["user"], weights=flows(log.events), minlength=400)
    assert (opening + moved.astype(np.int64) == closing).all()
    assert (closing == world.simulate().cash).all()


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(1, 60))
def test_accounts_and_limits_hold_in_any_world(seed, n_items, days):
    world = Finance(30, n_items, days, seed)
    log = world.log()
    opening = cents(world.truth.cash(np.arange(30), "2024-01-01"))
    after = opening[log.events["user"]] + flows(log.events).groupby(log.events["user"]).cumsum()
    assert after.min() >= 0 or log.events.empty
    bought = log.events[log.events["behavior"] == "invest"]
    limit = log.users["risk_limit"].to_numpy()[bought["user"]]
    assert (log.items["risk_class"].to_numpy()[bought["item"]] <= limit).all()


def test_no_account_is_ever_overdrawn(world, log):
    events = log.events.assign(flow=flows(log.events))
    opening = cents(world.truth.cash(np.arange(400), "2024-01-01"))
    after = opening[events["user"]] + events.groupby("user")["flow"].cumsum()
    assert after.min() >= 0
    before = cents(world.truth.cash(events["user"], events["time"]))
    assert (before == after - events["flow"]).all()


def test_holdings_agree_with_the_log(world, log):
    holdings, events = world.truth.holdings, log.events
    for behavior, column in (("invest", "cost"), ("redeem", "proceeds")):
        logged = events[events["behavior"] == behavior].groupby(["user", "item"])["value"].sum()
        held = holdings.groupby(["user", "item"])[column].sum()
        pd.testing.assert_series_equal(logged, held[held > 0], check_names=False)
    assert (holdings["day_to"] >= 0).sum() == (events["behavior"] == "redeem").sum()


def test_nobody_sells_what_is_not_held(world, log):
    holdings = world.truth.holdings
    sold = holdings[holdings["day_to"] >= 0]
    assert (sold["day_to"] > sold["day_from"]).all()
    assert (holdings["units"] > 0).all()
    events = log.events[log.events["behavior"].isin(["invest", "redeem"])]
    step = events["behavior"].map({"invest": 1, "redeem": -1})
    assert step.groupby([events["user"], events["item"]]).cumsum().min() >= 0


def test_orders_are_filled_at_the_price_of_the_day(world):
    lots = world.truth.holdings
    prices = world.truth.prices
    assert (lots["buy_price"] == prices[lots["day_from"], lots["item"]]).all()
    bought = lots["units"] * lots["buy_price"]
    np.testing.assert_allclose(bought + lots["fee"], lots["cost"], atol=1e-6)
    sold = lots[lots["day_to"] >= 0]
    worth = sold["units"] * prices[sold["day_to"], sold["item"]]
    np.testing.assert_allclose(sold["proceeds"], worth, atol=0.00501)
    charge = world.assets.table["entry_fee"].to_numpy()[lots["item"]] / 100
    np.testing.assert_allclose(lots["fee"], lots["cost"] * charge, atol=0.00501)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_users": 0}, "n_users must be a whole number of 1 or more, got 0"),
        ({"n_items": 1}, "n_items must be a whole number of 2 or more, got 1"),
        ({"n_items": 2.5}, "n_items must be"),
        ({"days": -3}, "days must be a whole number from 1 to 1000, got -3"),
        ({"days": 2000}, "days must be"),
        ({"seed": -1}, "seed must be"),
        ({"questionnaire_noise": 1.5}, "questionnaire_noise must be a number from 0 to 1"),
        ({"disposition": "much"}, "disposition must be a number from 0 to 1"),
        ({"leverage": 3}, "the world finance has no option 'leverage'; it has questionnaire_noise"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate.world("finance", **arguments)


@pytest.mark.parametrize(("n_users", "n_items", "days"), [(1, 2, 1), (3, 2, 40), (1, 300, 400)])
def test_smallest_worlds(n_users, n_items, days):
    dataset = Finance(n_users, n_items, days, seed=5).log()
    if len(dataset.events):
        validate(dataset.events)
        assert dataset.events["item"].max() < n_items

"""The market of the finance world: factors, clustering, risk classes."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from behaviorseq.simulate.finance import Finance
from behaviorseq.simulate.finance_assets import CLASS_BOUNDS, KINDS, SECTORS, risk_class_of
from behaviorseq.simulate.finance_market import LEAD, OPEN_DAYS, garch


@pytest.fixture(scope="module")
def world():
    """Three years of a market that hardly anybody sees."""
    return Finance(1, 400, 1000, seed=2)


@pytest.fixture(scope="module")
def open_returns(world):
    returns = world.truth.returns
    return returns[np.arange(1000) % 7 < 5]


def autocorrelation(series, lags=range(1, 11)):
    centred = series - series.mean(axis=0)
    sums = [(centred[lag:] * centred[:-lag]).sum(axis=0) for lag in lags]
    return np.mean(sums, axis=0) / (centred**2).sum(axis=0)


def test_the_market_closes_at_weekends(world):
    returns, prices = world.truth.returns, world.truth.prices
    weekend = np.arange(1000) % 7 >= 5
    assert (returns[weekend] == 0).all()
    assert (returns[~weekend, 1:] != 0).mean() > 0.999
    assert (prices[5::7] == prices[4::7][: len(prices[5::7])]).all()


def test_prices_follow_returns(world):
    prices = world.prices()
    assert prices.shape == (LEAD + 1000 + 1, 400)
    assert (prices > 0).all(axis=None)
    assert (prices[0] == 1).all()
    change = prices.to_numpy()[1:] / prices.to_numpy()[:-1] - 1
    np.testing.assert_allclose(change[LEAD - 1 : -1], world.truth.returns, atol=1e-4)
    assert (prices.to_numpy()[LEAD:-1] == world.truth.prices).all()


def test_volatility_is_what_the_class_says(world, open_returns):
    realised = open_returns.std(axis=0) * np.sqrt(OPEN_DAYS)
    expected = world.truth.volatility
    ratio = realised[1:] / expected[1:]
    assert 0.75 < np.median(ratio) < 1.25
    classes = world.assets.table["risk_class"].to_numpy()
    means = [realised[1:][classes[1:] == k].mean() for k in np.unique(classes[1:])]
    assert len(means) >= 6
    assert (np.diff(means) > 0).all()


def test_volatility_clusters(world, open_returns):
    shares = (world.assets.table["kind"] == "share").to_numpy()
    squares = autocorrelation(open_returns[:, shares] ** 2)
    plain = autocorrelation(open_returns[:, shares])
    assert squares.mean() > plain.mean() + 0.02
    assert abs(plain.mean()) < 0.03


def test_garch():
    noise = np.random.default_rng(1).standard_normal(200_000)
    returns, volatility = garch(noise)
    assert (returns**2).mean() == pytest.approx(1, abs=0.1)
    np.testing.assert_allclose(returns, volatility * noise)
    assert autocorrelation(returns**2) > 0.1
    assert abs(autocorrelation(returns)) < 0.01
    _, quiet = garch(np.zeros(500))
    assert quiet[-1] ** 2 == pytest.approx((1 - 0.98) / (1 - 0.90))


def test_assets_of_a_sector_move_together(world, open_returns):
    items = world.assets.table
    shares = (items["kind"] == "share").to_numpy()
    sector = items["sector"].to_numpy()[shares]
    correlation = np.corrcoef(open_returns[:, shares].T)
    same = sector[:, None] == sector
    off = ~np.eye(len(sector), dtype=bool)
    assert correlation[same & off].mean() > correlation[~same].mean() + 0.1
    assert correlation[~same].mean() > 0.2


def test_bonds_follow_the_rate_and_shares_the_market(world, open_returns):
    factors = world.truth.market[np.arange(1000) % 7 < 5]
    kind = world.assets.table["kind"].to_numpy()
    for name, factor in (("bond fund", "rate"), ("share fund", "market")):
        returns = open_returns[:, kind == name].mean(axis=1)
        assert np.corrcoef(returns, factors[factor])[0, 1] > 0.85


def test_momentum_is_the_return_of_the_last_quarter(world):
    prices = world.prices().to_numpy()
    for day in (0, 17, 1000):
        change = np.log(prices[LEAD + day] / prices[day])[1:]
        scale = world.truth.volatility[1:] * np.sqrt(65 / OPEN_DAYS)
        expected = np.clip(change / scale, -3, 3)
        np.testing.assert_allclose(world.market.momentum[day, 1:], expected, atol=0.01)


@given(st.floats(0, 2))
@example(0.005)
@example(0.8)
def test_risk_class_bands(volatility):
    place = int(risk_class_of(volatility))
    assert 1 <= place <= 7
    assert place == 1 or volatility >= CLASS_BOUNDS[place - 2]
    assert place == 7 or volatility < CLASS_BOUNDS[place - 1]


def test_kinds():
    assert sum(kind.share for kind in KINDS) == pytest.approx(1)
    for kind in KINDS:
        assert kind.market + kind.sector + kind.rate + kind.own == pytest.approx(1)


def test_sectors_fit_kinds(world):
    items = world.assets.table
    trades = list(SECTORS)[:-2]
    assert set(items.loc[items["kind"] == "share", "sector"]) == set(trades)
    assert set(items.loc[items["kind"] == "mixed fund", "sector"]) == {"broad"}
    assert set(items.loc[items["kind"] == "money fund", "sector"]) == {"government"}

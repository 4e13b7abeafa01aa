"""The market of the finance world: returns from factors, and the prices that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .finance_assets import SECTORS, Assets, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .base import World

#: Days with prices before the log begins: a quarter, 13 weeks.
LEAD = 91
#: Weekdays a year; the market is open on each.
OPEN_DAYS = 261
#: Return of an asset without risk, and what a unit of risk from the market and from interest
#: rates earns on top of it (Sharpe ratio), a year.
RISK_FREE, MARKET_SHARPE, RATE_SHARPE = 0.02, 0.4, 0.2
#: GARCH(1,1): weight of yesterday's squared return and of yesterday's variance.
GARCH_SHOCK, GARCH_MEMORY = 0.08, 0.90
_BURN_IN = 250


@dataclass(frozen=True, eq=False)
class Market:
    """What the market did, from `LEAD` days before the log to the first day after it.

    Parameters
    ----------
    returns : NDArray[float64]
        Return of each asset on each day, shape (LEAD + days + 1, n_items); 0 at weekends.
    prices : NDArray[float64]
        Price at which all orders of a day are filled, to four decimals, same shape.
    factors : pandas.DataFrame
        For each day the shocks of the factors, with variance 1 in the long run and 0 at weekends,
        and ``market_volatility`` and ``rate_volatility``, relative to the long run.
    momentum : NDArray[float64]
        Return over the last `LEAD` days over its standard deviation in the long run, cut at -3
        and 3, from the first day of the log to the first after it, shape (days + 1, n_items).
    """

    returns: NDArray[np.float64]
    prices: NDArray[np.float64]
    factors: pd.DataFrame
    momentum: NDArray[np.float64]


def garch(noise: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make standardised returns whose volatility clusters, by GARCH(1,1).

    Source: Bollerslev, "Generalized autoregressive conditional heteroskedasticity", Journal of
    Econometrics 31 (1986) 307-327: the return is ``sqrt(h) * noise`` and the next variance is
    ``h' = (1 - a - b) + a * return**2 + b * h``, so that the variance is 1 in the long run.

    Parameters
    ----------
    noise : NDArray[float64]
        Standard normal numbers, one a day.

    Returns
    -------
    returns, volatility : NDArray[float64]
        Both of the shape of ``noise``.
    """
    variance = np.ones(len(noise))
    base = 1 - GARCH_SHOCK - GARCH_MEMORY
    for day in range(1, len(noise)):
        last = variance[day - 1]
        variance[day] = base + (GARCH_SHOCK * noise[day - 1] ** 2 + GARCH_MEMORY) * last
    volatility = np.sqrt(variance)
    return volatility * noise, volatility


def make_market(world: World, assets: Assets) -> Market:
    """Simulate the market of a world.

    The log return of asset i on an open day is ``drift_i + sigma_i / sqrt(261) * shock_i``, and
    ``shock_i`` a sum of the market factor, the factor of its sector, the rate factor and noise of
    its own, weighted by the square roots of its kind's variance shares. The first and the third
    follow `garch`; the other two swing with the market's volatility.
    """
    day = np.arange(-LEAD, world.days + 1)
    is_open = day % 7 < 5
    factors = _factors(world, day, is_open)
    shocks = _shocks(world, assets, factors[is_open])
    logs = np.zeros((len(day), world.n_items))
    sigma = assets.volatility
    logs[is_open] = _drift(assets) + sigma / np.sqrt(OPEN_DAYS) * shocks
    logs[:, 0] = 0.0
    start = np.exp(world.rng("start").normal(4.0, 0.5, world.n_items))
    start[0] = 1.0
    paths = logs.cumsum(axis=0)
    past = paths[LEAD:] - paths[: world.days + 1]
    quarter = np.where(sigma > 0, sigma, 1.0) * np.sqrt(LEAD / 7 * 5 / OPEN_DAYS)
    return Market(
        returns=np.expm1(logs),
        prices=np.round(start * np.exp(paths), 4),
        factors=factors,
        momentum=np.clip(past / quarter, -3.0, 3.0),
    )


def _factors(world: World, day: NDArray[np.int64], is_open: NDArray[np.bool_]) -> pd.DataFrame:
    """Draw the factors that assets share."""
    n_open = int(is_open.sum())
    columns = {}
    for name in ("market", "rate"):
        noise = world.rng(name).standard_normal(_BURN_IN + n_open)
        columns[name], columns[f"{name}_volatility"] = (x[_BURN_IN:] for x in garch(noise))
    noise = world.rng("sectors").standard_normal((n_open, len(SECTORS)))
    columns |= dict(zip(SECTORS, (columns["market_volatility"][:, None] * noise).T, strict=True))
    factors = pd.DataFrame(columns, index=day[is_open]).reindex(day)
    volatility = ["market_volatility", "rate_volatility"]
    factors[volatility] = factors[volatility].ffill()
    return factors.fillna(0.0).rename_axis("day")


def _shocks(world: World, assets: Assets, factors: pd.DataFrame) -> NDArray[np.float64]:
    """Sum up factors and noise of each asset, with variance 1 in the long run."""
    weights = {
        name: np.sqrt(column(name))[assets.kind] for name in ("market", "sector", "rate", "own")
    }
    sectors = factors[list(SECTORS)].to_numpy()
    swing = factors["market_volatility"].to_numpy()[:, None]
    shocks: NDArray[np.float64] = world.rng("own").standard_normal((len(factors), world.n_items))
    shocks *= weights["own"] * swing
    shocks += weights["sector"] * sectors[:, assets.sector]
    for name in ("market", "rate"):
        shocks += weights[name] * factors[name].to_numpy()[:, None]
    return shocks


def _drift(assets: Assets) -> NDArray[np.float64]:
    """Give the daily drift: shared risk is rewarded, risk of an asset's own is not."""
    reward = MARKET_SHARPE * np.sqrt(column("market"))[assets.kind]
    reward = reward + RATE_SHARPE * np.sqrt(column("rate"))[assets.kind]
    sigma = assets.volatility
    a_year = RISK_FREE + reward * sigma - assets.annual_fee / 100 - sigma**2 / 2
    return np.asarray(a_year / OPEN_DAYS)

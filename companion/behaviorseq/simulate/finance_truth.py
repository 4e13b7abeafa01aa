"""The truth behind a log of the finance world."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .base import SECONDS_A_DAY, START, to_seconds
from .finance_accounts import FLOWS, Activity
from .finance_assets import CENTS, risk_class_of
from .finance_customers import STAGES

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .finance import Finance
    from .finance_customers import Customers


class FinanceTruth:
    """What the log of a finance world does not say.

    Users and items are ids, times are datetime64; they broadcast against one another.

    Parameters
    ----------
    world : Finance
        The world.
    """

    def __init__(self, world: Finance) -> None:
        self._world = world

    @property
    def _customers(self) -> Customers:
        return self._world.customers

    @cached_property
    def _activity(self) -> Activity:
        return self._world.simulate()

    @property
    def risk_aversion(self) -> NDArray[np.float64]:
        """Relative risk aversion of each customer."""
        return self._customers.aversion

    @property
    def wealth(self) -> NDArray[np.float64]:
        """Wealth of each customer at the start, in money."""
        return self._customers.wealth / CENTS

    @property
    def customers(self) -> pd.DataFrame:
        """What drives each customer, one row a user.

        ``user``, ``risk_aversion``, ``wealth``, ``risk_class`` and ``life_stage`` at the start,
        ``attention`` (probability to look on a weekday), ``chase``, ``disposition``, ``thrift``
        and ``order_share``; what they do is said in `Finance`.
        """
        traits = ("attention", "chase", "disposition", "thrift", "order_share")
        users = np.arange(self._world.n_users)
        return pd.DataFrame(
            {
                "user": users,
                "risk_aversion": self.risk_aversion,
                "wealth": self.wealth,
                "risk_class": self.risk_class(users),
                "life_stage": self.life_stage(users, START),
                **{name: getattr(self._customers, name) for name in traits},
            }
        )

    def risk_class(self, users: ArrayLike, times: Any = START) -> NDArray[np.int64]:
        """Give the risk class, 1 to 7, that suits customers at a time, by default at the start.

        It follows from risk aversion and what the life stage can bear, and is not the declared
        one, ``risk_limit`` of the users, which measures it with an error and is not renewed.
        """
        days, _ = self._when(times)
        return risk_class_of(self._customers.suitable_volatility(self._users(users), days))

    def life_stage(self, users: ArrayLike, times: Any) -> NDArray[np.str_]:
        """Give the life stages of customers at times."""
        days, _ = self._when(times)
        return np.array(STAGES)[self._customers.stage(self._users(users), days)]

    @property
    def life_stages(self) -> pd.DataFrame:
        """Each life stage of each customer: ``user``, ``life_stage``, ``day_from``."""
        first, changes = self._customers.first_stage, self._customers.changes
        users, moves = np.nonzero(changes <= self._world.days)
        rows = pd.DataFrame(
            {
                "user": np.concatenate([np.arange(len(first)), users]),
                "life_stage": np.concatenate([first, first[users] + moves + 1]),
                "day_from": np.concatenate([np.zeros(len(first)), np.ceil(changes[users, moves])]),
            }
        ).astype("int64")
        rows = rows.sort_values(["user", "life_stage"], ignore_index=True)
        return rows.assign(life_stage=np.array(STAGES)[rows["life_stage"]])

    def cash(self, users: ArrayLike, times: Any) -> NDArray[np.float64]:
        """Give the money in accounts just before times."""
        return self._cents(self._users(users), times) / CENTS

    def click_probability(
        self, users: ArrayLike, items: ArrayLike, times: Any
    ) -> NDArray[np.float64]:
        """Give the probability that a customer who is shown an asset clicks it."""
        days, _ = self._when(times)
        users, items = self._users(users), self._items(items)
        return self._customers.chances(users, items, days, 0)[0]

    def invest_probability(
        self, users: ArrayLike, items: ArrayLike, times: Any, *, limited: bool = True
    ) -> NDArray[np.float64]:
        """Give the probability that a customer who is shown an asset invests in it.

        It is the one that the log was made with: of a click and then an order. It is 0 above the
        declared limit and where there is not enough money in the account for the least order.

        Parameters
        ----------
        users, items : array_like of int
            Ids.
        times : array_like of datetime64
            Moments, from the start to the end of the period.
        limited : bool
            Whether the declared limit holds. Without it, this is the wish.
        """
        days, _ = self._when(times)
        users, items = self._users(users), self._items(items)
        cash = self._cents(users, times)
        _, wanted, allowed = self._customers.chances(users, items, days, cash)
        return wanted * allowed if limited else wanted

    def redeem_probability(
        self, users: ArrayLike, items: ArrayLike, times: Any, buy_prices: ArrayLike
    ) -> NDArray[np.float64]:
        """Give the probability that a customer who begins a visit sells a lot in it.

        Parameters
        ----------
        users, items : array_like of int
            Ids of owner and asset.
        times : array_like of datetime64
            When the visit begins.
        buy_prices : array_like of float
            At what price the lot was bought.
        """
        days, _ = self._when(times)
        users, items = self._users(users), self._items(items)
        cash = self._cents(users, times)
        return self._customers.sale_chance(users, items, days, cash, np.asarray(buy_prices))

    @property
    def market(self) -> pd.DataFrame:
        """Shocks of the market, rate and sector factors and volatilities, one row a day.

        Shocks have variance 1 in the long run and are 0 at weekends; volatilities are relative to
        the long run.
        """
        return self._customers.market.factors.loc[: self._world.days - 1].loc[0:]

    @property
    def returns(self) -> NDArray[np.float64]:
        """Return of each asset on each day, shape (days, n_items); 0 at weekends."""
        return self._customers.market.returns[-self._customers.first_day : -1]

    @property
    def prices(self) -> NDArray[np.float64]:
        """Price of each asset on each day, shape (days, n_items)."""
        return self._customers.market.prices[-self._customers.first_day : -1]

    @property
    def volatility(self) -> NDArray[np.float64]:
        """Annual standard deviation of each asset's return in the long run."""
        return self._customers.assets.volatility

    @property
    def holdings(self) -> pd.DataFrame:
        """Every lot that was bought: between ``day_from`` and ``day_to`` it is held.

        ``user``, ``item``, ``day_from``, ``day_to`` (-1 where it is held at the end), ``units``,
        ``buy_price``, and in money ``cost`` (fee included), ``fee`` and ``proceeds`` (0 where it
        is held at the end). A lot is sold whole.
        """
        lots = pd.DataFrame(self._activity.lots)
        money = ["cost", "fee", "proceeds"]
        return lots.assign(**{name: lots[name] / CENTS for name in money})

    def _users(self, users: ArrayLike) -> NDArray[np.int64]:
        return _ids("users", users, self._world.n_users)

    def _items(self, items: ArrayLike) -> NDArray[np.int64]:
        return _ids("items", items, self._world.n_items)

    def _when(self, times: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Turn times into days and seconds from the start."""
        seconds = to_seconds(times).astype(np.int64)
        end = self._world.days * SECONDS_A_DAY
        if seconds.size and (seconds.min() < 0 or seconds.max() > end):
            last = START + np.timedelta64(self._world.days, "D")
            raise ValueError(f"times must lie from {START} to {last}, the period of the log")
        return seconds // SECONDS_A_DAY, seconds

    def _cents(self, users: NDArray[np.int64], times: Any) -> NDArray[np.int64]:
        """Give the money in accounts just before times, in cents."""
        _, seconds = self._when(times)
        keys, sums = self._ledger
        span = (self._world.days + 1) * SECONDS_A_DAY
        now, before = (np.searchsorted(keys, users * span + s) for s in (seconds, 0))
        return np.asarray(self._customers.cash[users] + sums[now] - sums[before])

    @cached_property
    def _ledger(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sort all flows of money by user and time: their keys, and sums of what came before."""
        events = self._activity.events
        flow = FLOWS[events["behavior"]] * events["cents"]
        users = events["user"].astype(np.int64)
        keys = users * ((self._world.days + 1) * SECONDS_A_DAY) + events["second"]
        moved = np.flatnonzero(flow)
        order = moved[np.argsort(keys[moved], kind="stable")]
        return keys[order], np.concatenate([[0], flow[order].cumsum()])


def _ids(name: str, ids: ArrayLike, count: int) -> NDArray[np.int64]:
    """Check ids, which count from 0."""
    array = np.asarray(ids)
    if array.size and (array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= count):
        raise ValueError(f"{name} must be ids, whole numbers from 0 to {count - 1}")
    return array.astype(np.int64)


def disposition_effect(holdings: pd.DataFrame, prices: NDArray[np.float64]) -> tuple[float, float]:
    """Measure how much more readily gains are realised than losses.

    On each day on which a customer sells something, each lot that was held that morning is a
    gain or a loss, realised or on paper. Source: Odean, "Are investors reluctant to realize their
    losses?", Journal of Finance 53 (1998) 1775-1798, who took positions at their average purchase
    price, in portfolios of two or more, and found .148 and .098 at a discount broker.

    Parameters
    ----------
    holdings : pandas.DataFrame
        ``user``, ``item``, ``day_from``, ``day_to`` and ``buy_price`` of lots, as in
        `FinanceTruth.holdings`.
    prices : NDArray[float64]
        Shape (days, n_items).

    Returns
    -------
    gains, losses : float
        Proportion of the gains that were realised (PGR), and of the losses (PLR).
    """
    sales = holdings.loc[holdings["day_to"] >= 0, ["user", "day_to"]].drop_duplicates()
    held = sales.rename(columns={"day_to": "day"}).merge(holdings, on="user")
    held = held[
        (held["day_from"] < held["day"]) & ((held["day_to"] < 0) | (held["day_to"] >= held["day"]))
    ]
    price = prices[held["day"], held["item"]]
    realised = (held["day_to"] == held["day"]).to_numpy()
    gains, losses = (price > held["buy_price"]).to_numpy(), (price < held["buy_price"]).to_numpy()
    return float(realised[gains].mean()), float(realised[losses].mean())

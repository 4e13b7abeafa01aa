"""The customers of the finance world: who they are, and the probability of what they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from .finance_assets import CENTS, SECTORS, risk_class_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .base import World
    from .finance_assets import Assets
    from .finance_market import Market

Integers = Any  # an array of whole numbers or one of them; they broadcast against one another

STAGES = ("student", "starting", "family", "established", "retired")
REGIONS = ("north", "south", "east", "west", "capital")
#: Names of the declared limits 1 to 7.
PROFILES = ("secure", "defensive", "cautious", "balanced", "growth", "dynamic", "speculative")

#: Changes to the next life stage a year; nobody retires before `RETIREMENT_AGE`.
STAGE_RATES = np.array([0.35, 0.12, 0.06, 0.12, 0.0])
RETIREMENT_AGE = 57
#: How much of the risk that suits the preference a life stage can bear.
BEARS = np.array([0.8, 1.1, 0.9, 1.1, 0.6])
#: Reward for risk that the customer expects (Sharpe ratio, a year).
SHARPE = 0.4
#: What each stage is drawn to. Columns are the kinds: money, bond, bond fund, mixed, shares, share.
NEEDS = np.array(
    [
        [0.6, -1.0, -0.4, 0.3, 0.5, 0.2],
        [0.2, -0.8, -0.3, 0.3, 0.7, 0.3],
        [0.3, -0.2, 0.2, 0.8, 0.4, -0.2],
        [-0.2, 0.3, 0.2, 0.3, 0.3, 0.4],
        [0.4, 0.8, 0.7, 0.3, -0.4, -0.4],
    ]
)
#: Money put aside (taken out, where negative) every 30 days, times the customer's own amount.
SAVING = np.array([0.3, 1.0, 0.9, 1.8, -1.2])
#: Risk above the suitable one repels more than risk below it.
TOO_RISKY, TOO_SAFE = 1.2, 0.35
CLICK, ORDER, WEALTH_HELPS = -0.4, -2.0, 0.2
SELL, SHORT_OF_CASH, MISFIT = -3.6, 1.0, 0.3


@dataclass(frozen=True, eq=False)
class Customers:
    """All customers with what drives them, and the assets and the market that they look at.

    Every array has one entry a customer. Money is in cents.

    Parameters
    ----------
    age : NDArray[int64]
        Years at the start.
    first_stage : NDArray[int64]
        Life stage at the start, a place in `STAGES`.
    changes : NDArray[float64]
        Days on which the customer moves on to the next stages, shape (n_users, 4).
    region : NDArray[int64]
        A place in `REGIONS`.
    aversion : NDArray[float64]
        Relative risk aversion.
    limit : NDArray[int64]
        Declared risk class: assets above it cannot be bought.
    attention : NDArray[float64]
        Probability to look at the account on a weekday.
    taste : NDArray[float64]
        Liking of each sector, shape (n_users, n_sectors).
    chase, disposition, thrift, order_share : NDArray[float64]
        How much recent returns attract; how much more readily a gain is sold than a loss; how
        much charges repel; the usual order as a share of the money at hand.
    wealth, cash, saving : NDArray[int64]
        Wealth and money in the account at the start, and the customer's own amount of saving.
    payday : NDArray[int64]
        Day of the 30-day cycle on which money comes or goes.
    assets : Assets
        The assets.
    market : Market
        The market.
    """

    age: NDArray[np.int64]
    first_stage: NDArray[np.int64]
    changes: NDArray[np.float64]
    region: NDArray[np.int64]
    aversion: NDArray[np.float64]
    limit: NDArray[np.int64]
    attention: NDArray[np.float64]
    taste: NDArray[np.float64]
    chase: NDArray[np.float64]
    disposition: NDArray[np.float64]
    thrift: NDArray[np.float64]
    order_share: NDArray[np.float64]
    wealth: NDArray[np.int64]
    cash: NDArray[np.int64]
    saving: NDArray[np.int64]
    payday: NDArray[np.int64]
    assets: Assets
    market: Market

    def stage(self, users: Integers, days: Integers) -> NDArray[np.int64]:
        """Give the life stage on a day, a place in `STAGES`."""
        moved = (self.changes[users] <= np.asarray(days)[..., None]).sum(axis=-1)
        return np.asarray(self.first_stage[users] + moved)

    def suitable_volatility(self, users: Integers, days: Integers) -> NDArray[np.float64]:
        """Give the annual volatility that suits the risk preference and the life stage.

        The best portfolio of an investor with relative risk aversion g puts (m - r) / (g s^2)
        into an asset with excess return m - r and volatility s (Merton, "Lifetime portfolio
        selection under uncertainty: the continuous-time case", Review of Economics and Statistics
        51 (1969) 247-257), so its own volatility is the Sharpe ratio over g. What the life stage
        can bear is a factor of this world's own.
        """
        return np.asarray(SHARPE * BEARS[self.stage(users, days)] / self.aversion[users])

    def fit(self, users: Integers, items: Integers, days: Integers) -> NDArray[np.float64]:
        """Give how well the risk of assets fits customers: 0 at best."""
        volatility = np.maximum(self.assets.volatility[items], 0.001)
        gap = np.log(volatility) - np.log(self.suitable_volatility(users, days))
        gap = np.clip(gap, -2.5, 2.5)
        return np.asarray(-np.where(gap > 0, TOO_RISKY, TOO_SAFE) * gap**2)

    def appeal(self, users: Integers, items: Integers, days: Integers) -> NDArray[np.float64]:
        """Give the log odds that all reactions share.

        A sum of the fit of risk, the liking of the sector, what the life stage needs, recent
        returns times the tendency to chase them, and charges times thrift. That investors chase
        past returns and shun fees: Sirri and Tufano, "Costly search and mutual fund flows",
        Journal of Finance 53 (1998) 1589-1622.
        """
        stage = self.stage(users, days)
        needs = NEEDS[stage, self.assets.kind[items]]
        taste = self.taste[users, self.assets.sector[items]]
        chased = self.chase[users] * self.market.momentum[days, items]
        charged = self.thrift[users] * self.assets.charges[items]
        return np.asarray(self.fit(users, items, days) + taste + needs + chased - charged)

    def chances(
        self, users: Integers, items: Integers, days: Integers, cash: Integers
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Give the probabilities that an asset which is shown is clicked, and that it is wanted.

        Returns
        -------
        click : NDArray[float64]
            Probability of a click.
        wanted : NDArray[float64]
            Probability of a click and then an order, which needs the money for the least order.
        allowed : NDArray[bool]
            Whether the declared profile allows the order.
        """
        appeal = self.appeal(users, items, days)
        asset = np.asarray(items) > 0
        rich = WEALTH_HELPS * (np.log(self.wealth[users] / CENTS) - 10)
        click = expit(CLICK + appeal) * asset
        order = expit(ORDER + appeal + rich) * (cash >= self.assets.minimum[items])
        allowed = self.assets.risk_class[items] <= self.limit[users]
        return click, click * order, np.asarray(allowed & asset)

    def sale_chance(
        self,
        users: Integers,
        items: Integers,
        days: Integers,
        cash: Integers,
        bought_at: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Give the probability that a lot is sold when its owner looks at the account.

        Gains are sold more readily than losses: the disposition effect of Shefrin and Statman
        (1985), measured by Odean, "Are investors reluctant to realize their losses?", Journal of
        Finance 53 (1998) 1775-1798.
        """
        gain = self.market.prices[days - self.first_day, items] > bought_at
        saving = self.saving[users] * SAVING[self.stage(users, days)]
        short = (saving < 0) & (cash < -saving)
        misfit = -self.fit(users, items, days)
        odds = SELL + self.disposition[users] * gain + SHORT_OF_CASH * short + MISFIT * misfit
        return np.asarray(expit(odds))

    @property
    def first_day(self) -> int:
        """The day of the first price, below 0."""
        return len(self.market.momentum) - len(self.market.prices)

    def order(
        self, users: Integers, items: Integers, cash: Integers, noise: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Give the amount of an order in cents: whole money, within the least order and cash."""
        share = self.order_share[users] * np.exp(0.4 * noise)
        whole = (share * cash).astype(np.int64) // CENTS * CENTS
        return np.asarray(np.clip(whole, self.assets.minimum[items], cash))


def make_customers(
    world: World, assets: Assets, market: Market, *, noise: float, disposition: float
) -> Customers:
    """Draw the customers of a world.

    The declared profile comes from a questionnaire that measures the logarithm of risk tolerance
    with a normal error, as in Kimball, Sahm and Shapiro, "Imputing risk tolerance from survey
    responses", JASA 103 (2008) 1028-1038; the parameters are this world's own.
    """
    rng = world.rng("customers")
    n = world.n_users
    age = 18 + (67 * rng.beta(1.6, 2.2, n)).astype(np.int64)
    first = np.searchsorted([24, 32, 48, 63], age + rng.normal(0, 3, n), side="right")
    aversion = np.exp(rng.normal(np.log(2.5), 0.65, n))
    declared = SHARPE * BEARS[first] / aversion * np.exp(noise * rng.standard_normal(n))
    median = np.array([2e3, 8e3, 25e3, 60e3, 80e3])[first]
    wealth = np.rint(CENTS * median * np.exp(rng.normal(0, 0.9, n))).astype(np.int64)
    return Customers(
        age=age,
        first_stage=first,
        changes=_stage_changes(first, age, rng),
        region=rng.choice(len(REGIONS), size=n, p=[0.2, 0.2, 0.15, 0.2, 0.25]),
        aversion=aversion,
        limit=risk_class_of(declared),
        attention=np.minimum(np.exp(rng.normal(np.log(0.08), 0.8, n)), 0.9),
        taste=rng.normal(0, 0.9, (n, len(SECTORS))),
        chase=np.maximum(rng.normal(0.45, 0.3, n), 0),
        disposition=disposition * np.maximum(rng.normal(0.7, 0.4, n), 0),
        thrift=np.maximum(rng.normal(0.4, 0.3, n), 0),
        order_share=rng.beta(2, 6, n),
        wealth=wealth,
        cash=(wealth * rng.uniform(0.2, 0.6, n)).astype(np.int64),
        saving=np.rint(CENTS * np.exp(rng.normal(np.log(200), 0.7, n))).astype(np.int64),
        payday=rng.integers(30, size=n),
        assets=assets,
        market=market,
    )


def _stage_changes(
    first: NDArray[np.int64], age: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the days of the next four changes: exponential times, one stage after another."""
    waits = rng.standard_exponential((len(first), len(STAGES) - 1))
    stages = np.minimum(first[:, None] + np.arange(len(STAGES) - 1), len(STAGES) - 1)
    with np.errstate(divide="ignore"):
        days = (365 * waits / STAGE_RATES[stages]).cumsum(axis=1)
    retires = stages == len(STAGES) - 2
    old_enough = np.maximum(365.0 * (RETIREMENT_AGE - age), 0)[:, None]
    return np.asarray(np.where(retires, np.maximum(days, old_enough), days))

"""A simulated world of investors: funds, bonds and shares in a market that all share."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from behaviorseq.arguments import number, whole
from behaviorseq.datasets.sources import Dataset

from .base import SECONDS_A_DAY, World, to_datetime
from .finance_accounts import BEHAVIORS, BLOCK, DEPOSIT, FLOWS, Activity, simulate
from .finance_assets import CENTS, Assets, make_assets
from .finance_audience import FinanceAudience
from .finance_customers import PROFILES, REGIONS, STAGES, Customers, make_customers
from .finance_market import LEAD, Market, make_market
from .finance_truth import FinanceTruth


class Finance(World):
    r"""Customers who invest and redeem, in assets of seven risk classes.

    Nothing in it is market data, a forecast or investment advice: every price, name, charge and
    customer is made up.

    *Assets.* Item 0 is the account, the item of deposits and withdrawals; the others are money
    funds, bonds, bond funds, mixed funds, share funds and shares. Their risk class is that of
    their annual volatility in the bands of the EU's key information documents (`risk_class_of`).
    Daily returns come from factors (`make_market`), whose volatility clusters by GARCH(1,1). An
    asset has one price a day, at which all orders of the day are filled; weekends keep Friday's.

    *Customers* have a relative risk aversion, wealth, and a life stage that moves on. Together
    these give the volatility that suits them (`Customers.suitable_volatility`) and so their true
    risk class. A questionnaire measures it with an error, at the start only; the declared class
    is a limit: no asset above it can be bought. So a firm works by rule: what it recommends must
    suit the client's risk tolerance and ability to bear losses (Directive 2014/65/EU, article
    25(2); Commission Delegated Regulation (EU) 2017/565, article 54(2)).

    *A day.* Money comes in or goes out every 30 days. A customer who looks, with a probability of
    their own that halves at weekends, first sells each lot with probability

    .. math:: \sigma(-3.6 + d_u [\text{gain}] + [\text{short of money}] + 0.3\,\text{misfit}),

    where :math:`d_u` is the disposition to sell gains, then comes across one to five assets, drawn
    by prominence and appeal, and clicks each with probability :math:`\sigma(-0.4 + a)`, then
    invests with probability :math:`\sigma(-2 + a + 0.2 (\ln w_u - 10))`, if the limit and the
    money allow it. The appeal :math:`a` sums up the fit of risk, the liking of the sector, what
    the life stage needs, recent returns and charges (`Customers.appeal`). An order is a share of
    the money at hand; a lot is sold whole.

    *Where it differs from reality.* No taxes, dividends, defaults, holidays, price limits or new
    assets; orders do not move prices; bonds do not mature; suitability is judged by product, not
    by portfolio, and never renewed; a customer has no holdings at the start, owns nothing
    elsewhere, and does not look at what is held already before buying; risk classes come from
    the volatility of the model, not from a past of five years; the size of every effect is
    chosen, not estimated.

    Parameters
    ----------
    n_users, n_items, days : int
        Customers; assets, the account included, so 2 or more; days.
    seed : int
        Seed of everything.
    questionnaire_noise : float
        Standard deviation of the error with which the questionnaire measures the logarithm of the
        suitable volatility, 0 to 1.
    disposition : float
        Times the usual tendency to sell gains sooner than losses, 0 to 1; 0 for none.

    Examples
    --------
    >>> from behaviorseq import simulate
    >>> world = simulate.world("finance", n_users=50, n_items=40, days=30)
    >>> log = world.log()
    >>> log.items.loc[[0, 3], ["name", "kind", "risk_class"]]
                              name     kind  risk_class
    0           Settlement Account  account           1
    3  Ridge Gene Research Company    share           5
    >>> bool((log.events.query("behavior == 'invest'")["item"] > 0).all())
    True
    """

    name: ClassVar[str] = "finance"
    title: ClassVar[str] = "Simulated investors"
    behaviors: ClassVar[tuple[str, ...]] = BEHAVIORS
    notes: ClassVar[str] = (
        "Simulated: no figure is market data or investment advice. `value` is an amount of money "
        "of invest, redeem, deposit and withdraw; the last two are events of item 0, the account. "
        "`session` is a visit, or a transfer. A holding lasts from invest to redeem; prices are in "
        "world.prices(). Users: age band, life stage and risk profile as declared at the start, "
        "region. Not in the log: risk aversion, true risk class, wealth, life stages."
    )

    def __init__(
        self,
        n_users: int,
        n_items: int,
        days: int,
        seed: int = 0,
        *,
        questionnaire_noise: float = 0.35,
        disposition: float = 1.0,
    ) -> None:
        noise = self.questionnaire_noise = number("questionnaire_noise", questionnaire_noise, 0, 1)
        self.disposition = number("disposition", disposition, 0, 1)
        options = {"questionnaire_noise": noise, "disposition": self.disposition}
        super().__init__(n_users, whole("n_items", n_items, 2), days, seed, **options)

    @cached_property
    def assets(self) -> Assets:
        """The assets."""
        return make_assets(self)

    @cached_property
    def market(self) -> Market:
        """The market."""
        return make_market(self, self.assets)

    @cached_property
    def customers(self) -> Customers:
        """The customers, with what drives them: not for a model's eyes."""
        return make_customers(
            self,
            self.assets,
            self.market,
            noise=self.questionnaire_noise,
            disposition=self.disposition,
        )

    @cached_property
    def truth(self) -> FinanceTruth:
        """What the log does not say."""
        return FinanceTruth(self)

    def simulate(self) -> Activity:
        """Let the period pass."""
        rngs = [self.rng("block", first) for first in range(0, self.n_users, BLOCK)]
        return simulate(self.customers, self.days, rngs)

    def log(self) -> Dataset:
        """Give the events, the assets and the customers as the firm sees them."""
        events = self.simulate().events
        table = pd.DataFrame(
            {
                "user": events["user"].astype(np.int64),
                "item": events["item"].astype(np.int64),
                "time": to_datetime(events["second"]),
                "behavior": pd.array(list(BEHAVIORS), dtype="str").take(events["behavior"]),
                "value": np.where(FLOWS[events["behavior"]] != 0, events["cents"] / CENTS, np.nan),
                "session": self._sessions(events),
            }
        )
        return Dataset(table, self.assets.table.copy(), self._users(), self.source(len(table)))

    def prices(self) -> pd.DataFrame:
        """Give the prices that everybody sees: one row a day, one column an asset.

        They begin 13 weeks before the log, and end with the first day after it, on which the
        environment plays. No figure is market data.
        """
        days = np.arange(-LEAD, self.days + 1) * SECONDS_A_DAY
        index = pd.Index(to_datetime(days), name="time")
        return pd.DataFrame(self.market.prices, index=index).rename_axis(columns="item")

    def audience(
        self,
        n_seats: int,
        *,
        reward: str = "count",
        suitable: str = "declared",
    ) -> FinanceAudience:
        """Give the customers who react to a recommender; see `FinanceAudience`."""
        return FinanceAudience(self, n_seats, reward, suitable)

    def _users(self) -> pd.DataFrame:
        """Make the table of what the firm knows of its customers."""
        customers = self.customers
        bands = np.array(["18-24", "25-34", "35-44", "45-54", "55-64", "65+"])
        return pd.DataFrame(
            {
                "user": np.arange(self.n_users),
                "age_band": bands[np.searchsorted([25, 35, 45, 55, 65], customers.age, "right")],
                "life_stage": np.array(STAGES)[customers.first_stage],
                "risk_profile": np.array(PROFILES)[customers.limit - 1],
                "risk_limit": customers.limit,
                "region": np.array(REGIONS)[customers.region],
            }
        )

    def _sessions(self, events: dict[str, Any]) -> Any:
        """Give each visit and each transfer a number, in order of the days."""
        transfer = events["behavior"] >= DEPOSIT
        day = (events["second"] // SECONDS_A_DAY).astype(np.int64)
        key = (2 * day + ~transfer) * self.n_users + events["user"]
        return np.unique(key, return_inverse=True)[1]

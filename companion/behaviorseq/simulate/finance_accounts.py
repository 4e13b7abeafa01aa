"""The day by day of the finance world: money comes in, customers look, sell and buy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import SECONDS_A_DAY
from .finance_assets import CENTS
from .finance_customers import SAVING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .finance_customers import Customers

    Table = dict[str, NDArray[Any]]

BEHAVIORS = ("view", "click", "invest", "redeem", "deposit", "withdraw")
VIEW, CLICK, INVEST, REDEEM, DEPOSIT, WITHDRAW = range(6)
#: Whether money enters the account (1), leaves it (-1), or does not move.
FLOWS = np.array([0, 0, -1, 1, 1, -1])
#: Customers that are simulated at once: bounds the memory.
BLOCK = 4096
#: Most assets that a customer looks at on a day.
MOST_VIEWS = 5
#: How much what appeals is looked at rather than what is prominent.
GUIDED = 0.6
WEEKEND = 0.5
_PAY_SECOND = 6 * 3600
#: Share of the visits that begin in each hour, from 7 to 22.
_HOURS = np.array([2, 5, 5, 4, 4, 6, 6, 4, 3, 4, 5, 6, 8, 9, 7, 4]) / 82
_FIRST_HOUR = 7

_EVENT: dict[str, Any] = {  # narrow: most of the memory is here
    "user": np.int32,
    "item": np.int32,
    "second": np.int32,
    "behavior": np.int8,
    "cents": np.int64,
}
_LOT: dict[str, Any] = {
    "user": np.int64,
    "item": np.int64,
    "day_from": np.int64,
    "day_to": np.int64,
    "units": np.float64,
    "buy_price": np.float64,
    "cost": np.int64,
    "fee": np.int64,
    "proceeds": np.int64,
}


@dataclass(frozen=True, eq=False)
class Activity:
    """What customers did.

    Parameters
    ----------
    events : dict of str to NDArray
        ``user``, ``item``, ``second`` since the start, ``behavior`` (a place in `BEHAVIORS`) and
        ``cents`` (0 where no money moves), in order of time.
    lots : dict of str to NDArray
        Each order to buy: ``user``, ``item``, ``day_from``, ``day_to`` (-1 where it is still
        held), ``units``, ``buy_price``, and in cents ``cost`` (fee included), ``fee`` and
        ``proceeds`` (0 where it is still held).
    cash : NDArray[int64]
        Money in each account at the end, in cents.
    """

    events: Table
    lots: Table
    cash: NDArray[np.int64]


def simulate(customers: Customers, days: int, rngs: list[np.random.Generator]) -> Activity:
    """Simulate all customers, a block of them at a time, each with a generator of its own."""
    n_users = len(customers.cash)
    cash = customers.cash.copy()
    blocks = []
    for rng, first in zip(rngs, range(0, n_users, BLOCK), strict=True):
        users = np.arange(first, min(first + BLOCK, n_users))
        block = _Block(customers, users, cash, rng)
        for day in range(days):
            block.live(day)
        blocks.append((_join(block.events, _EVENT), _join([*block.sold, block.lots], _LOT)))
    events = _join([events for events, _ in blocks], _EVENT)
    lots = _join([lots for _, lots in blocks], _LOT)
    by_time = np.lexsort((events["user"], events["second"]))
    by_owner = np.lexsort((lots["item"], lots["day_from"], lots["user"]))
    return Activity(
        events={name: column[by_time] for name, column in events.items()},
        lots={name: column[by_owner] for name, column in lots.items()},
        cash=cash,
    )


class _Block:
    """Some customers, their accounts and what they did so far."""

    def __init__(
        self,
        customers: Customers,
        users: NDArray[np.int64],
        cash: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        self.customers = customers
        self.users = users
        self.cash = cash  # of all customers: a block changes only its own
        self.rng = rng
        self.events: list[Table] = []
        self.sold: list[Table] = []
        self.lots: Table = _join([], _LOT)

    def live(self, day: int) -> None:
        """Let a day pass."""
        self._pay(day)
        chance = self.customers.attention[self.users] * (1.0 if day % 7 < 5 else WEEKEND)
        lookers = self.users[self.rng.random(len(self.users)) < chance]
        if not len(lookers):
            return
        hours = self.rng.choice(len(_HOURS), size=len(lookers), p=_HOURS) + _FIRST_HOUR
        seconds = self.rng.integers(3600, size=len(lookers))
        start = day * SECONDS_A_DAY + 3600 * hours + seconds
        after = self._sell(day, lookers, start)
        self._browse(day, lookers, after)

    def _pay(self, day: int) -> None:
        """Let money come in, or go out as far as there is some."""
        customers = self.customers
        users = self.users[customers.payday[self.users] == day % 30]
        flow = customers.saving[users] * SAVING[customers.stage(users, day)]
        flow = np.maximum(np.rint(flow).astype(np.int64), -self.cash[users])
        users, flow = users[flow != 0], flow[flow != 0]
        self.cash[users] += flow
        behavior = np.where(flow > 0, DEPOSIT, WITHDRAW)
        self._log(users, 0, day * SECONDS_A_DAY + _PAY_SECOND, behavior, np.abs(flow))

    def _sell(
        self, day: int, lookers: NDArray[np.int64], start: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Let who looks sell lots, five seconds each; give the moments after."""
        customers, lots = self.customers, self.lots
        sells = self._decide_sales(day, lookers)
        users, items = lots["user"][sells], lots["item"][sells]
        price = customers.market.prices[day - customers.first_day, items]
        proceeds = np.rint(lots["units"][sells] * price * CENTS).astype(np.int64)
        place = np.searchsorted(lookers, users)
        rank = np.arange(len(users)) - np.searchsorted(users, users)
        self._log(users, items, start[place] + 5 * (rank + 1), REDEEM, proceeds)
        np.add.at(self.cash, users, proceeds)
        gone = {name: column[sells] for name, column in lots.items()}
        self.sold.append(gone | {"day_to": np.full(len(sells), day), "proceeds": proceeds})
        kept = np.ones(len(lots["user"]), dtype=bool)
        kept[sells] = False
        self.lots = {name: column[kept] for name, column in lots.items()}
        return start + 5 * np.bincount(place, minlength=len(lookers)) + 10

    def _decide_sales(self, day: int, lookers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Draw the lots that are sold, in the order of their owners."""
        seen = np.flatnonzero(np.isin(self.lots["user"], lookers))
        seen = seen[np.argsort(self.lots["user"][seen], kind="stable")]
        users, items, price = (self.lots[name][seen] for name in ("user", "item", "buy_price"))
        chance = self.customers.sale_chance(users, items, day, self.cash[users], price)
        return seen[self.rng.random(len(seen)) < chance]

    def _browse(self, day: int, lookers: NDArray[np.int64], start: NDArray[np.int64]) -> None:
        """Let who looks view some assets, one after another, click and buy."""
        rng = self.rng
        shown = choose(self.customers, lookers, day, rng)
        n_views = np.minimum(1 + rng.poisson(2.0, len(lookers)), shown.shape[1])
        seconds = start[:, None] + rng.integers(30, 180, shown.shape).cumsum(axis=1)
        luck, noise = rng.random(shown.shape), rng.standard_normal(shown.shape)
        bought = []
        for place in range(shown.shape[1]):
            active = n_views > place
            columns = (column[active, place] for column in (shown, seconds, luck, noise))
            bought.append(self._react(day, lookers[active], *columns))
        self.lots = _join([self.lots, *bought], _LOT)

    def _react(
        self,
        day: int,
        users: NDArray[np.int64],
        items: NDArray[np.int64],
        moment: NDArray[np.int64],
        luck: NDArray[np.float64],
        noise: NDArray[np.float64],
    ) -> Table:
        """Let users view one asset each, click it and buy it; give the lots."""
        customers = self.customers
        click, wanted, allowed = customers.chances(users, items, day, self.cash[users])
        clicks, buys = luck < click, luck < wanted * allowed
        self._log(users, items, moment, VIEW)
        self._log(users[clicks], items[clicks], moment[clicks] + 8, CLICK)
        users, items, moment = users[buys], items[buys], moment[buys] + 25
        cents = customers.order(users, items, self.cash[users], noise[buys])
        self._log(users, items, moment, INVEST, cents)
        self.cash[users] -= cents
        return _buy(customers, users, items, day, cents)

    def _log(
        self,
        users: NDArray[np.int64],
        items: NDArray[np.int64] | int,
        seconds: NDArray[np.int64] | int,
        behavior: NDArray[np.int64] | int,
        cents: NDArray[np.int64] | int = 0,
    ) -> None:
        columns = (users, items, seconds, behavior, cents)
        self.events.append(
            {
                name: np.full(len(users), given, kind) if isinstance(given, int) else given
                for (name, kind), given in zip(_EVENT.items(), columns, strict=True)
            }
        )


def choose(
    customers: Customers, users: NDArray[np.int64], day: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the assets that users come across, without repetition, shape (n_users, MOST_VIEWS).

    By the Gumbel-top-k trick: one after another, each with a probability in proportion to its
    prominence times the exponential of its appeal.
    """
    n_items = len(customers.assets.kind)
    most = min(MOST_VIEWS, n_items - 1)
    items = np.arange(1, n_items)
    scores = GUIDED * customers.appeal(users[:, None], items, day)
    scores += customers.assets.prominence[1:]
    scores -= np.log(rng.standard_exponential(scores.shape))
    top = np.argpartition(scores, -most, axis=1)[:, -most:]
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1)
    return np.asarray(items[np.take_along_axis(top, order, axis=1)])


def _buy(
    customers: Customers,
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    day: int,
    cents: NDArray[np.int64],
) -> Table:
    """Make lots of orders: the entry fee is kept, the rest buys fractions of a unit."""
    price = customers.market.prices[day - customers.first_day, items]
    fee = np.rint(cents * customers.assets.entry_fee[items] / 100).astype(np.int64)
    return {
        "user": users,
        "item": items,
        "day_from": np.full(len(users), day),
        "day_to": np.full(len(users), -1),
        "units": (cents - fee) / CENTS / price,
        "buy_price": price,
        "cost": cents,
        "fee": fee,
        "proceeds": np.zeros(len(users), dtype=np.int64),
    }


def _join(parts: list[Table], columns: dict[str, Any]) -> Table:
    """Put tables one under another."""
    return {
        name: np.concatenate([np.empty(0, kind), *(part[name] for part in parts)]).astype(kind)
        for name, kind in columns.items()
    }

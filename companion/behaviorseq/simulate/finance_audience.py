"""Customers of the finance world who are shown assets by a recommender."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .audience import Audience, Reaction
from .base import SECONDS_A_DAY, to_datetime
from .finance_assets import CENTS, risk_class_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .finance import Finance

REWARDS = ("count", "amount")
SUITABLE = ("declared", "true")
#: Probability to end the visit after a step with and without a click.
LEAVES = (0.1, 0.25)


class FinanceAudience(Audience):
    """Customers who invest or not in what they are shown, on the first day after the log.

    The market stands still. Who has seen an asset in a visit does not react to it again in the
    same visit; who invests has less money left.

    Parameters
    ----------
    world : Finance
        The world.
    n_seats : int
        Customers at once.
    reward : {"count", "amount"}
        An investment earns 1, or its amount of money.
    suitable : {"declared", "true"}
        By which risk class an investment earns its reward. Nothing above the declared one is
        ever bought; with "true", what is above the true one earns nothing.

    Attributes
    ----------
    counts : dict of str to int
        What happened so far: assets ``shown``, investments (``invested``), wishes ``blocked`` as
        they were above the declared limit, and investments that were ``unsuitable``: within the
        declared limit but above the true class.
    """

    def __init__(self, world: Finance, n_seats: int, reward: str, suitable: str) -> None:
        for name, value, known in (("reward", reward, REWARDS), ("suitable", suitable, SUITABLE)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        self.customers = world.customers
        self.day = world.days
        end = to_datetime(world.days * SECONDS_A_DAY)
        final = world.truth.cash(np.arange(world.n_users), end)
        self.final_cash = np.rint(final * CENTS).astype(np.int64)
        self.reward, self.suitable = reward, suitable
        self.users = np.zeros(n_seats, dtype=np.int64)
        self.cash = np.zeros(n_seats, dtype=np.int64)
        self.seen = np.zeros((n_seats, world.n_items), dtype=bool)
        self.counts = dict.fromkeys(("shown", "invested", "blocked", "unsuitable"), 0)

    def seat(self, seats: NDArray[np.int64], users: NDArray[np.int64]) -> None:
        """Let customers take seats, with the money that they have at the end of the log."""
        self.users[seats] = users
        self.cash[seats] = self.final_cash[users]
        self.seen[seats] = False

    def invest_probability(self, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Give the probability that each seat invests in items, shape (n_seats, n), if shown now.

        The one of the truth, with the money that is left, and 0 for what was seen before.
        """
        seats = np.arange(len(self.users))[:, None]
        _, wanted, allowed = self.customers.chances(
            self.users[:, None], items, self.day, self.cash[:, None]
        )
        return wanted * allowed * ~self.seen[seats, items]

    def react(self, slates: NDArray[np.int64], rng: np.random.Generator) -> Reaction:
        """Show each seat its slate, and see what is clicked and bought."""
        done = {name: np.zeros(slates.shape, dtype=bool) for name in ("view", "click", "invest")}
        blocked = np.zeros(slates.shape, dtype=bool)
        reward, amounts = np.zeros(len(slates)), np.full(slates.shape, np.nan)
        for place in range(slates.shape[1]):
            clicks, wants, allowed = self._decide(slates[:, place], rng)
            done["view"][:, place] = True
            done["click"][:, place] = clicks
            done["invest"][:, place] = wants & allowed
            blocked[:, place] = wants & ~allowed
            amounts[:, place], earned = self._buy(slates[:, place], wants & allowed, rng)
            reward += earned
        self.counts["shown"] += slates.size
        self.counts["blocked"] += int(blocked.sum())
        bored = ~done["click"].any(axis=1)
        leaves = rng.random(len(slates)) < np.where(bored, LEAVES[1], LEAVES[0])
        return Reaction(
            done=done,
            liked=done["click"].copy(),
            reward=reward,
            leaves=leaves,
            seconds=30.0 * slates.shape[1] + rng.integers(60, size=len(slates)),
            values={"invest": amounts},
            info={"blocked": blocked},
        )

    def _decide(
        self, items: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """Draw who clicks and who wants to buy, and say who may."""
        seats = np.arange(len(items))
        click, wanted, allowed = self.customers.chances(self.users, items, self.day, self.cash)
        luck, new = rng.random(len(items)), ~self.seen[seats, items]
        self.seen[seats, items] = True
        return (luck < click) & new, (luck < wanted) & new, allowed

    def _buy(
        self, items: NDArray[np.int64], buys: NDArray[np.bool_], rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Take the money of who buys; give the amount (NaN: none) and the reward of each seat."""
        noise = rng.standard_normal(len(items))
        users, bought = self.users[buys], items[buys]
        cents = self.customers.order(users, bought, self.cash[buys], noise[buys])
        self.cash[buys] -= cents
        volatility = self.customers.suitable_volatility(users, self.day)
        fits = self.customers.assets.risk_class[bought] <= risk_class_of(volatility)
        self.counts["invested"] += len(users)
        self.counts["unsuitable"] += int((~fits).sum())
        earned = cents / CENTS if self.reward == "amount" else np.ones(len(users))
        amounts, reward = np.full(len(items), np.nan), np.zeros(len(items))
        amounts[buys] = cents / CENTS
        reward[buys] = earned * fits if self.suitable == "true" else earned
        return amounts, reward

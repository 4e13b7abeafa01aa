"""The people of the simulated shop in front of a recommender, after the end of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from behaviorseq.arguments import number

from .audience import Audience, Reaction
from .base import SECONDS_A_DAY, to_datetime

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .shop_truth import ShopTruth

Reward = Literal["click", "purchase"]

#: Chance of leaving after a slate without a click, and with one.
LEAVE, LEAVE_AFTER_CLICK = 0.2, 0.08


class ShopAudience(Audience):
    r"""Visitors of the shop, wanting what they want at the end of the log.

    A slate is a page: items are clicked with exactly `ShopTruth.click_probability` at the end of
    the period, and followed up with `ShopTruth.follow_probabilities`. With boredom :math:`b`, an
    item whose leaf has been shown :math:`m` times before in the visit is clicked with
    :math:`(1 - b)^m` times that probability, and a visitor stays on with :math:`(1 - b)^{\bar m}`
    times the probability of one who is not bored, :math:`\bar m` the mean over the slate. So
    what is most wanted pays at first; shown again and again, it costs the clicks that would have
    followed.

    Parameters
    ----------
    truth : ShopTruth
        The truth of the shop.
    n_seats : int
        Visitors at once.
    reward : {"click", "purchase"}
        What is counted as reward, 1 each.
    boredom : float
        The share :math:`b` of the attraction that a leaf loses each time, 0 to 1.
    patience : float
        The chances of leaving are divided by it, 1 or more: long visits, in which more is at stake.
    """

    def __init__(
        self,
        truth: ShopTruth,
        n_seats: int,
        *,
        reward: Reward = "click",
        boredom: float = 0.0,
        patience: float = 1.0,
    ) -> None:
        if reward not in get_args(Reward):
            raise ValueError(f"reward must be one of {get_args(Reward)}, got {reward!r}")
        self.truth = truth
        self.reward = reward
        self.boredom = number("boredom", boredom, 0, 1)
        self.patience = number("patience", patience, 1, np.inf)
        self.now = to_datetime(truth.shop.days * SECONDS_A_DAY)
        self.users = np.zeros(n_seats, dtype=np.int64)
        self.shown = np.zeros((n_seats, truth.catalog.n_leaves), dtype=np.int64)

    def seat(self, seats: NDArray[np.int64], users: NDArray[np.int64]) -> None:
        """Let users take seats; nothing bores them yet."""
        self.users[seats] = users
        self.shown[seats] = 0

    def react(self, slates: NDArray[np.int64], rng: np.random.Generator) -> Reaction:
        """Show each seat its slate, the first item on top."""
        users, positions = self.users[:, None], np.arange(slates.shape[1])
        kept = self._still_liked(slates)
        chance = self.truth.click_probability(users, slates, positions, self.now)
        click = rng.random(slates.shape) < chance * kept
        then = self.truth.follow_probabilities(users, slates, self.now)
        favorite = click & (rng.random(slates.shape) < then.favorite)
        one = rng.random(slates.shape)
        cart, purchase = click & (one < then.cart), click & (one < then.purchase)
        n_clicks = click.sum(axis=1)
        stays = 1 - np.where(n_clicks > 0, LEAVE_AFTER_CLICK, LEAVE) / self.patience
        return Reaction(
            done={
                "view": np.ones_like(click),
                "click": click,
                "favorite": favorite,
                "cart": cart,
                "purchase": purchase,
            },
            liked=click,
            reward=(click if self.reward == "click" else purchase).sum(axis=1).astype(np.float64),
            leaves=rng.random(len(slates)) >= stays * kept.mean(axis=1),
            seconds=5 + rng.lognormal(2.0, 0.8, len(slates)) * (1 + n_clicks),
        )

    def _still_liked(self, slates: NDArray[np.int64]) -> NDArray[np.float64]:
        """Give the share of the attraction that is left, and count what is shown now."""
        leaf = self.truth.catalog.leaf[slates]
        seats = np.arange(len(slates))[:, None]
        left = np.power(1 - self.boredom, self.shown[seats, leaf], dtype=np.float64)
        np.add.at(self.shown, (seats, leaf), 1)
        return left

r"""What people in the simulated shop do with an item that they see: probabilities.

With :math:`w` the share of the item's leaf in the person's interest, :math:`b` the liking of its
brand, :math:`q` its quality, :math:`l_i` and :math:`l_u` the item's and the person's price level
and :math:`c_u` how much the price matters, the utility is

.. math:: u = -5.9 + 5 \frac{w}{w + 0.1} + 1.8\, b + 0.6\, q - c_u (l_i - l_u)^2 .

An item at position :math:`p` (0 is the top) is clicked if it is looked at and liked:

.. math:: P(\mathrm{click}) = (1 + p)^{-\beta} \, \sigma(u) ,

a position-based click model with the examination probabilities that Joachims, Swaminathan and
Schnabel use (Unbiased learning-to-rank with biased feedback, WSDM 2017). What follows a click
is a product of logistic functions of utility, price and stage (`follow`). All numbers here were
chosen so that the log resembles real ones and order can be learned; none was fitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import expit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .shop_people import People

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

BASE, INTEREST, HALF, BRAND, QUALITY = -5.9, 5.0, 0.1, 1.8, 0.6
#: Added to the log odds by stage: exploring, comparing, deciding, and no mission (-1).
FAVORITE_STAGE = np.array([0.0, 1.2, 0.0, 0.0])
CART_STAGE = np.array([-0.7, 0.3, 2.6, 0.0])
BUY_STAGE = np.array([-0.7, 0.0, 1.8, 0.0])


class Follow(NamedTuple):
    """Probabilities of what follows a click; whoever buys has put the item in the cart."""

    favorite: Floats
    cart: Floats
    purchase: Floats


def examination(positions: Any, bias: float) -> Floats:
    """Give the probability that somebody looks at a position, 1 at the top (position 0)."""
    looked: Floats = (1.0 + np.asarray(positions)) ** -bias
    return looked


def utility(people: People, rows: Ints, items: Ints, weights: Floats) -> Floats:
    """Give the utility of items to people, given the interest in the items' leaves."""
    catalog = people.catalog
    wanted = INTEREST * weights / (weights + HALF)
    unsuited = people.care[rows] * (catalog.level[items] - people.level[rows]) ** 2
    liked = BRAND * people.liking[rows, catalog.brand[items]] + QUALITY * catalog.quality[items]
    return BASE + wanted + liked - unsuited


def click_probability(utilities: Floats, positions: Any, bias: float) -> Floats:
    """Give the probability of a click on an item of a utility at a position."""
    clicked: Floats = examination(positions, bias) * expit(utilities)
    return clicked


def follow(utilities: Floats, prices: Floats, stages: Ints) -> Follow:
    """Give the probabilities of what follows a click.

    Parameters
    ----------
    utilities, prices : NDArray[float64]
        Of the clicked items.
    stages : NDArray[int64]
        Stage of the mission that the item's leaf is the aim of, -1 where it is of none.
    """
    dear = 0.25 * np.log(prices / 20)
    favorite = expit(-3.3 + 0.4 * utilities + FAVORITE_STAGE[stages])
    cart = expit(-3.2 + 0.4 * utilities - dear + CART_STAGE[stages])
    buy = expit(-1.7 + 0.2 * utilities - dear + BUY_STAGE[stages])
    return Follow(favorite, cart, cart * buy)


def mission_stage(people: People, rows: Ints, items: Ints, seconds: Floats) -> Ints:
    """Give the stage of the mission that an item belongs to at a time, -1 where it is of none."""
    number, stage = people.missions(rows, seconds)
    aim = people.mission_leaf[rows, number] == people.catalog.leaf[items]
    return np.where(aim, stage, -1)


def stars(people: People, rows: Ints, items: Ints, noise: Floats) -> Floats:
    """Give the stars of a review, 1 to 5, by quality, liking of the brand and chance."""
    catalog = people.catalog
    liking = people.liking[rows, catalog.brand[items]]
    return np.clip(np.round(3.8 + 0.7 * catalog.quality[items] + 0.4 * liking + noise), 1, 5)


def review_probability(n_stars: Floats) -> Floats:
    """Give the probability that a buyer writes a review: strong opinions speak up."""
    return 0.06 + 0.05 * np.abs(n_stars - 3)

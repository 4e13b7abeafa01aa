r"""The best guess of the next click in the simulated shop, by one who knows the truth.

Exact it is not: the course of a visit is not summed out. The guess adds two sources.

- The same visit goes on. Its next pages show what is related to the last click (probability
  ``order``) or the leaf of the last click; an item adds how much it is looked at on such a page
  times :math:`\sigma(\mathrm{utility})`. With :math:`s` the sum over items times the pages still
  expected, the visit yields another click with probability :math:`1 - e^{-s}`.
- Otherwise a later visit: about each leaf with the probability of the interest at the time of the
  last click, a mission included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from .shop_choice import examination, utility
from .shop_sessions import DRAWN, FOUND_SHARE, NEW_SHARE, PAGE, POPULAR_SHARE, RETURN_SHARE, SHORT
from .shop_visits import GO_ON

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .shop_catalog import Catalog
    from .shop_people import People

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

#: Pages that a visit still has after a click: the rest of this one, and those that follow.
PAGES_LEFT = 0.5 + GO_ON[-1] / (1 - GO_ON[-1])


def next_click_scores(
    people: People,
    shortlists: Ints,
    rows: Ints,
    seconds: Floats,
    last: Ints,
    order: float,
    bias: float,
) -> Floats:
    """Give about how probable each item is as the next click, shape (len(rows), n_items)."""
    catalog = people.catalog
    interest = people.interest(rows, seconds)[:, catalog.leaf]
    liked = expit(utility(people, rows[:, None], np.arange(catalog.n_items), interest))
    liked *= catalog.appeared <= seconds[:, None]
    looked = _looked_at(people, shortlists, rows, seconds, bias)
    aside = POPULAR_SHARE + NEW_SHARE
    later = (1 - aside) * interest + aside * catalog.leaf_weight[catalog.leaf]
    later = later * looked * liked
    later /= later.sum(axis=1, keepdims=True)
    same = (1 - order) * looked * (catalog.leaf == catalog.leaf[last][:, None])
    row, place = np.nonzero(catalog.related[last] >= 0)
    same[row, catalog.related[last][row, place]] += order * _related_looked_at(bias)[place]
    same *= PAGES_LEFT * liked
    same[last < 0] = 0.0  # who has not clicked yet has no visit that could go on
    clicks = same.sum(axis=1, keepdims=True)
    scores: Floats = np.exp(-clicks) * later
    scores -= np.expm1(-clicks) * same / np.maximum(clicks, 1e-300)
    return scores


def _looked_at(
    people: People, shortlists: Ints, rows: Ints, seconds: Floats, bias: float
) -> Floats:
    """Give the chance that an item is shown and looked at on a page about its leaf."""
    catalog = people.catalog
    seen = np.tile(_browsed(catalog, bias), (len(rows), 1))
    number, stage = people.missions(rows, seconds)
    at = np.flatnonzero(number >= 0)
    short = shortlists[rows[at], number[at]]
    returns = np.where(stage[at] > 0, RETURN_SHARE, 0.0)[:, None]
    own = catalog.leaf == people.mission_leaf[rows[at], number[at]][:, None]
    seen[at] *= np.where(own, 1 - returns, 1.0)
    looked = examination(np.arange(PAGE), bias)
    found = looked.mean() * (1 - (1 - FOUND_SHARE / SHORT) ** PAGE)
    more = np.where(returns > 0, returns * looked[:SHORT], found)
    row, place = np.nonzero(short >= 0)
    seen[at[row], short[row, place]] += more[row, place]
    return seen


def _browsed(catalog: Catalog, bias: float) -> Floats:
    """Give the chance that an item is shown and looked at on a page that browses its leaf."""
    draws = np.arange(DRAWN)
    weight = catalog.weight[:, None]
    first: Floats = weight * (1 - weight) ** draws  # drawn at this draw, and not before
    seen: Floats = first @ examination(np.minimum(draws, PAGE - 1), bias)
    return seen


def _related_looked_at(bias: float, n: int = 10, samples: int = 20_000) -> Floats:
    """Give the chance that the item at each place of a related list is looked at, by sampling."""
    gumbel = np.random.default_rng(0).gumbel(size=(samples, n))
    place = np.argsort(np.argsort(np.log1p(np.arange(n)) - gumbel, axis=1), axis=1)
    looked = examination(place, bias)
    seen: Floats = np.where(place < PAGE, looked, 0.0).mean(axis=0)
    return seen

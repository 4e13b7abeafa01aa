"""How probable it is that people of the simulated shop buy something in a period to come."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from .shop_choice import follow, mission_stage
from .shop_sessions import Pages, show_pages
from .shop_visits import Visits, make_visits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .shop_people import People

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


def purchase_chance(
    rng: np.random.Generator,
    people: People,
    shortlists: Ints,
    days: int,
    order: float,
    bias: float,
    low: float,
    high: float,
    draws: int,
) -> Floats:
    """Average the probability of at least one purchase over drawn visits, pages and clicks.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where chance comes from.
    people, shortlists, days, order, bias
        As for `shop_events.make_events`.
    low, high : float
        Seconds from the start of the period: visits that begin in [low, high) count.
    draws : int
        How many times the visits are drawn.

    Returns
    -------
    NDArray[float64]
        Shape (n,). Purchases that repeat an earlier one are left out.
    """
    chance = np.zeros(len(people))
    for _ in range(draws):
        visits = make_visits(rng, people, days)
        inside = (visits.start >= low) & (visits.start < high)
        visits = Visits(*(getattr(visits, f.name)[inside] for f in fields(Visits)))
        if not len(visits.row):
            continue
        views = show_pages(Pages(rng, people, visits, shortlists, order), bias)
        clicked = views.clicked
        row, start = visits.row[views.visit[clicked]], visits.start[views.visit[clicked]]
        item = views.item[clicked]
        stage = mission_stage(people, row, item, start)
        bought = follow(views.utility[clicked], people.catalog.price[item], stage).purchase
        # Given the clicks, purchases are independent of one another.
        chance += 1 - np.exp(np.bincount(row, np.log1p(-bought), len(people)))
    return chance / draws

"""The event log of a block of people in the simulated shop, in order of person and time."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from .base import SECONDS_A_DAY
from .shop_choice import review_probability, stars
from .shop_sessions import REPEAT, REVIEW, Pages, Views, follow_clicks, show_pages
from .shop_visits import ROOM, Visits, make_visits, time_of_day

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .shop_people import People

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

#: Behaviors in the order in which they follow one another; codes of the log.
BEHAVIORS = ("view", "click", "favorite", "cart", "purchase", "review")
VIEW, CLICK, FAVORITE, CART, PURCHASE, REVIEWED = range(len(BEHAVIORS))
#: Log of the median seconds before each behavior (before a page, for a view), and its spread.
PAUSE = np.array([2.3, 2.0, 1.2, 1.5, 3.6, 0.0])
PAUSE_SPREAD = np.array([1.0, 0.9, 0.6, 0.7, 0.6, 0.0])
#: Visits of one person are numbered from her id times this.
MOST_SESSIONS = 100_000
#: Chance that a buyer of a consumable buys again, and that it is the same item.
AGAIN, SAME = 0.55, 0.75
REPEAT_SPREAD = 0.15


@dataclass(frozen=True, eq=False)
class Events:
    """Events of some people, all arrays of shape (n_events,).

    Parameters
    ----------
    row, item : NDArray[int64]
        Row of the person, and the item.
    second : NDArray[int64]
        Seconds from the start of the period.
    behavior : NDArray[int64]
        Index into `BEHAVIORS`.
    visit : NDArray[int64]
        Number of the visit in the block; after `assemble` the session of the log.
    position : NDArray[int64]
        Place on the page where the item was seen.
    value : NDArray[float64]
        Stars of a review, else NaN.
    kind : NDArray[int64]
        Kind of the page, an index into `shop_sessions.KINDS`.
    leaf, mission, stage : NDArray[int64]
        What the visit was about, as in `Visits`.
    start : NDArray[float64]
        When the visit began.
    """

    row: Ints
    item: Ints
    second: Ints
    behavior: Ints
    visit: Ints
    position: Ints
    value: Floats
    kind: Ints
    leaf: Ints
    mission: Ints
    stage: Ints
    start: Floats

    def take(self, order: NDArray[np.generic]) -> Events:
        """Give the events of a mask, or in another order."""
        return Events(*(getattr(self, f.name)[order] for f in fields(self)))


def make_events(
    rng: np.random.Generator,
    people: People,
    shortlists: Ints,
    days: int,
    order: float,
    bias: float,
) -> Events:
    """Let some people visit the shop for the whole period.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where chance comes from.
    people : People
        Who.
    shortlists : NDArray[int64]
        Items that their missions narrow down to, shape (n, missions, 4).
    days : int
        Length of the period.
    order, bias : float
        Share of the pages after a click that show what is related to it, and the exponent of
        the examination.

    Returns
    -------
    Events
        In order of person and time.
    """
    visits = make_visits(rng, people, days)
    views = show_pages(Pages(rng, people, visits, shortlists, order), bias)
    first = _browsing(rng, people, visits, views)
    bought = [first.take(first.behavior == PURCHASE)]
    while len(bought[-1].row):
        bought.append(_bought_again(rng, people, bought[-1], days))
    purchases = _join(bought)
    again = _join(bought[1:] or bought)  # the last one is empty
    n_visits = len(visits.row)
    parts = [first, _repeating(rng, again, n_visits)]
    parts.append(_reviewing(rng, people, purchases, n_visits + len(again.row), days))
    return _assemble(_join(parts))


def _browsing(rng: np.random.Generator, people: People, visits: Visits, views: Views) -> Events:
    """Put what happened on the visits in order and give it times."""
    favorite, cart, purchase = follow_clicks(rng, people, visits, views)
    every = np.arange(len(views.visit))
    parts = [every, every[views.clicked], favorite, cart, purchase]
    view = np.concatenate(parts)
    behavior = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = np.argsort(_place(views, view, behavior))
    view, behavior = view[order], behavior[order]
    visit, position = views.visit[view], views.position[view]
    pause = rng.lognormal(PAUSE[behavior], PAUSE_SPREAD[behavior])
    pause[(behavior == VIEW) & (position > 0)] = 0.0
    return Events(
        row=visits.row[visit],
        item=views.item[view],
        second=_seconds(visits.start, visit, pause),
        behavior=behavior,
        visit=visit,
        position=position,
        value=np.full(len(view), np.nan),
        kind=views.kind[view],
        leaf=visits.leaf[visit],
        mission=visits.mission[visit],
        stage=visits.stage[visit],
        start=visits.start[visit],
    )


def _place(views: Views, view: Ints, behavior: Ints) -> Ints:
    """Give a number by which events are ordered: visit, page, views first, position, behavior.

    Purchases are made at the end of the visit.
    """
    page = np.where(behavior == PURCHASE, 31, views.page[view])
    part = (views.visit[view] * 32 + page) * 2 + (behavior > VIEW)
    place: Ints = (part * 16 + views.position[view]) * 8 + behavior
    return place


def _seconds(start: Floats, visit: Ints, pause: Floats) -> Ints:
    """Give times of events (in order of visit): a second apart at least, within the visit's room.

    Where the pauses are too long for the room, all are shortened alike.
    """
    n = np.bincount(visit, minlength=len(start))
    begins = np.cumsum(n) - n
    pause[begins[n > 0]] = 0.0
    waited = np.cumsum(pause)
    waited -= waited[begins[visit]]
    total = np.zeros(len(start))
    np.maximum.at(total, visit, waited)
    room = ROOM - 1 - n
    shorter = np.minimum(1.0, room / np.maximum(total, 1e-9))[visit]
    inside = np.arange(len(visit)) - begins[visit] + np.floor(waited * shorter)
    seconds: Ints = (start[visit] + inside).astype(np.int64)
    return seconds


def _bought_again(rng: np.random.Generator, people: People, bought: Events, days: int) -> Events:
    """Let some buyers of consumables buy again when a cycle is over, mostly the same item."""
    catalog = people.catalog
    cycle = np.array([kind.cycle for kind in catalog.types], dtype=np.float64)
    cycle = cycle[catalog.leaf[bought.item]]
    bought = bought.take((cycle > 0) & (rng.random(len(cycle)) < AGAIN))
    leaf = catalog.leaf[bought.item]
    other = catalog.of_leaf.draw(leaf, rng.random(len(leaf)))
    item = np.where(rng.random(len(leaf)) < SAME, bought.item, other)
    wait = np.array([kind.cycle for kind in catalog.types])[leaf]
    wait = wait * rng.lognormal(0, REPEAT_SPREAD, len(leaf))
    day = np.floor(bought.second / SECONDS_A_DAY + wait)
    start = np.floor(day * SECONDS_A_DAY + time_of_day(rng, people, bought.row))
    none = np.full(len(leaf), -1)
    again = Events(
        row=bought.row,
        item=item,
        second=start.astype(np.int64),
        behavior=np.full(len(leaf), PURCHASE),
        visit=none,
        position=np.zeros_like(none),
        value=np.full(len(leaf), np.nan),
        kind=np.full(len(leaf), REPEAT),
        leaf=leaf,
        mission=none,
        stage=none,
        start=start,
    )
    there = catalog.appeared[item] <= start
    return again.take(there & (start < days * SECONDS_A_DAY - ROOM))


def _repeating(rng: np.random.Generator, again: Events, first_visit: int) -> Events:
    """Give each repeat purchase a visit of its own: view, click, cart, purchase."""
    steps = np.array([VIEW, CLICK, CART, PURCHASE])
    n = len(again.row)
    every = again.take(np.repeat(np.arange(n), len(steps)))
    pause = np.ceil(np.minimum(rng.lognormal(2.0, 0.8, (n, len(steps))), ROOM / 8))
    pause[:, 0] = 0
    return replace(
        every,
        behavior=np.tile(steps, n),
        second=every.second + np.cumsum(pause, axis=1).ravel().astype(np.int64),
        visit=np.repeat(first_visit + np.arange(n), len(steps)),
    )


def _reviewing(
    rng: np.random.Generator, people: People, bought: Events, first_visit: int, days: int
) -> Events:
    """Let some buyers write a review some days later."""
    noise = 0.6 * rng.standard_normal(len(bought.row))
    n_stars = stars(people, bought.row, bought.item, noise)
    wait = rng.lognormal(math.log(6.0), 0.6, len(n_stars))
    day = np.floor(bought.second / SECONDS_A_DAY + wait) + 1
    start = np.floor(day * SECONDS_A_DAY + time_of_day(rng, people, bought.row))
    writes = rng.random(len(n_stars)) < review_probability(n_stars)
    writes &= start < days * SECONDS_A_DAY
    n = np.count_nonzero(writes)
    none = np.full(n, -1)
    return replace(
        bought.take(writes),
        second=start[writes].astype(np.int64),
        behavior=np.full(n, REVIEWED),
        visit=first_visit + np.arange(n),
        value=n_stars[writes],
        kind=np.full(n, REVIEW),
        leaf=people.catalog.leaf[bought.item[writes]],
        mission=none,
        stage=none,
        start=start[writes],
    )


def _join(parts: list[Events]) -> Events:
    return Events(
        *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Events))
    )


def _assemble(events: Events) -> Events:
    """Order events by person and time, and number the visits of each person by their start."""
    _, first, visit = np.unique(events.visit, return_index=True, return_inverse=True)
    row, start = events.row[first], events.start[first]
    order = np.lexsort((start, row))
    row = row[order]
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order)) - np.searchsorted(row, row)
    by_time = np.lexsort((events.second, events.row))
    numbered = replace(events, visit=number[visit])
    return numbered.take(by_time)

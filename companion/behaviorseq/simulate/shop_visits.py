"""When people visit the simulated shop, and what for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .base import SECONDS_A_DAY
from .shop_people import SPILL, STAGES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .shop_people import People

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

#: Visits by hour of the day, and by day of the week from Monday.
HOURS = (5, 2, 1, 1, 1, 2, 6, 12, 18, 22, 26, 28, 32, 30, 27, 26, 27, 30, 36, 46, 56, 58, 40, 16)
WEEKDAYS = (0.95, 0.9, 0.9, 0.95, 1.0, 1.25, 1.35)
#: Seconds that a visit has to itself: the next one of the same person begins later.
ROOM = 1800
MOST_PAGES = 20
#: Chance of one more page by stage, and without a mission (-1).
GO_ON = np.array([0.75, 0.65, 0.5, 0.65])
#: Visits of a mission's stage beyond the first, on average.
MISSION_VISITS = np.array([1.2, 0.7, 0.3])
#: Share of the other visits during a mission that concern it too.
CONCERNED = 0.7


@dataclass(frozen=True, eq=False)
class Visits:
    """Visits of some people in order of person and time, all arrays of shape (n_visits,).

    Parameters
    ----------
    row : NDArray[int64]
        Row of the person.
    start : NDArray[float64]
        Seconds from the start of the period.
    leaf : NDArray[int64]
        The leaf that the visit is about.
    mission, stage : NDArray[int64]
        The person's mission that it is about and its stage, -1 where it is about none.
    pages : NDArray[int64]
        How many pages it has.
    """

    row: Ints
    start: Floats
    leaf: Ints
    mission: Ints
    stage: Ints
    pages: Ints


def make_visits(rng: np.random.Generator, people: People, days: int) -> Visits:
    """Draw all visits of some people but those for a repeat purchase or a review."""
    row, start = _ordinary(rng, people, days)
    mission_row, mission_start = _of_missions(rng, people, days)
    planned = np.repeat([False, True], [len(row), len(mission_row)])
    row = np.concatenate([row, mission_row])
    start = np.floor(np.concatenate([start, mission_start]))
    order = np.lexsort((start, row))
    row, planned = row[order], planned[order]
    start = spaced(row, start[order])
    kept = start <= days * SECONDS_A_DAY - ROOM
    row, start, planned = row[kept], start[kept], planned[kept]
    mission, stage = people.missions(row, start)
    mission[~planned & (rng.random(len(row)) >= CONCERNED)] = -1
    stage[mission < 0] = -1
    leaf = np.where(
        mission < 0, _intents(rng, people, row, start), people.mission_leaf[row, mission]
    )
    pages = np.minimum(rng.geometric(1 - GO_ON[stage]), MOST_PAGES)
    return Visits(row, start, leaf, mission, stage, pages)


def time_of_day(rng: np.random.Generator, people: People, rows: Ints) -> Floats:
    """Draw seconds since midnight by the rhythm of the day and of the person."""
    hours = np.cumsum(HOURS) / sum(HOURS)
    seconds = np.interp(rng.random(len(rows)), [0, *hours], 3600 * np.arange(25))
    return (seconds + people.shift[rows]) % SECONDS_A_DAY


def spaced(row: Ints, start: Floats) -> Floats:
    """Delay visits (in order of person and time) that begin before the one before is over."""
    lane = row * (2.0**34) - ROOM * np.arange(len(row))
    begun: Floats = np.maximum.accumulate(start + lane) - lane
    return begun


def _ordinary(rng: np.random.Generator, people: People, days: int) -> tuple[Ints, Floats]:
    """Draw visits at all times: one at least, and then by activity, in bursts."""
    new = np.flatnonzero(people.arrived > 0)
    old = np.flatnonzero(people.arrived <= 0)
    first = np.clip(np.floor(people.arrived / SECONDS_A_DAY), 0, None).astype(np.int64)
    more = rng.poisson(people.activity * (days - first))
    row = np.concatenate([old, np.repeat(np.arange(len(people)), more)])
    week = np.concatenate([[0.0], np.cumsum(np.resize(WEEKDAYS, days))])
    low = week[first[row]]
    day = np.searchsorted(week, low + rng.random(len(row)) * (week[-1] - low), side="right") - 1
    start = np.minimum(day, days - 1) * SECONDS_A_DAY + time_of_day(rng, people, row)
    start[: len(old)] = np.minimum(start[: len(old)], days * SECONDS_A_DAY - ROOM)
    kept = start >= people.arrived[row]
    row, start = _with_followers(
        rng,
        np.concatenate([new, row[kept]]),
        np.concatenate([people.arrived[new], start[kept]]),
    )
    return row, start


def _with_followers(rng: np.random.Generator, row: Ints, start: Floats) -> tuple[Ints, Floats]:
    """Let visits follow some of the visits, hours later: a burst."""
    followers = rng.geometric(0.6, len(row)) - 1
    parent = np.repeat(np.arange(len(row)), followers)
    gaps = rng.lognormal(math.log(3 * 3600), 1.3, len(parent))
    waited = np.cumsum(gaps)
    before = np.concatenate([[0.0], waited])[np.cumsum(followers) - followers]
    return (
        np.concatenate([row, row[parent]]),
        np.concatenate([start, start[parent] + waited - before[parent]]),
    )


def _of_missions(rng: np.random.Generator, people: People, days: int) -> tuple[Ints, Floats]:
    """Draw the visits that the stages of missions bring, one at least for each stage."""
    row, number = np.nonzero(people.mission_bounds[:, :, 0] < days * SECONDS_A_DAY)
    bounds = people.mission_bounds[row, number]
    visits = 1 + rng.poisson(MISSION_VISITS, (len(row), len(STAGES)))
    which, stage = np.divmod(np.repeat(np.arange(visits.size), visits.ravel()), len(STAGES))
    day = bounds[which, stage] / SECONDS_A_DAY
    length = (bounds[which, stage + 1] - bounds[which, stage]) / SECONDS_A_DAY
    day = day + np.floor(rng.random(len(which)) * length)
    row = row[which]
    start = day * SECONDS_A_DAY + time_of_day(rng, people, row)
    return row, start


def _intents(rng: np.random.Generator, people: People, row: Ints, start: Floats) -> Ints:
    """Draw the leaf of a visit from the person's interest, missions aside."""
    shares = np.cumsum(people.slot_weight, axis=1)[row]
    slot = (shares < rng.random(len(row))[:, None]).sum(axis=1)
    slot = np.minimum(slot, shares.shape[1] - 1)
    leaf: Ints = people.slots(row, start)[np.arange(len(row)), slot]
    spilt = rng.random(len(row)) < SPILL
    leaf[spilt] = people.catalog.goes_with[leaf[spilt]]
    return leaf

"""The people of the simulated shop: interests that drift, missions, tastes, prices, habits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import SECONDS_A_DAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .shop_catalog import Catalog

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

MOST_INTERESTS = 8
HOMES = 3
#: Share of the interests that lie in the home departments.
AT_HOME = 0.9
#: Share of each interest that goes to what goes with it.
SPILL = 0.15
#: Share that a mission takes of all interest while it lasts.
MISSION_SHARE = 0.75
MISSION_EVERY = 25.0
STAGES = ("exploring", "comparing", "deciding")
HOUSEHOLDS = ("single", "couple", "family")
#: How much more, or less, each kind of household cares for a department.
LEANINGS = {"children": (0.2, 0.5, 4.0), "pets": (1.0, 1.0, 1.5), "home": (0.7, 1.3, 1.3)}


@dataclass(frozen=True, eq=False)
class People:
    """Some people, in the order of their ids. Times are seconds from the start of the period.

    Parameters
    ----------
    household : NDArray[int64]
        Index into `HOUSEHOLDS`, shape (n,).
    arrived : NDArray[float64]
        When the shop first saw them, negative before the period, shape (n,).
    activity : NDArray[float64]
        Visits a day without followers and missions, shape (n,).
    shift : NDArray[float64]
        How much later than others they live, in seconds, shape (n,).
    taste : NDArray[float64]
        Taste in brands, shape (n, 4).
    level, care : NDArray[float64]
        The log price over what is typical that suits them, and how much it matters, shape (n,).
    slot_weight : NDArray[float64]
        Share of each interest, sum 1, shape (n, 8).
    slot_start : NDArray[float64]
        When each interest changes, the first -inf, inf where there is no more, shape (n, 8, m).
    slot_leaf : NDArray[int64]
        The leaf of each interest from then on, shape (n, 8, m).
    mission_bounds : NDArray[float64]
        When each mission's three stages begin and the last ends, inf where there is none,
        shape (n, k, 4).
    mission_leaf : NDArray[int64]
        The leaf of each mission, shape (n, k).
    """

    household: Ints
    arrived: Floats
    activity: Floats
    shift: Floats
    taste: Floats
    level: Floats
    care: Floats
    slot_weight: Floats
    slot_start: Floats
    slot_leaf: Ints
    mission_bounds: Floats
    mission_leaf: Ints
    catalog: Catalog

    def __len__(self) -> int:
        """Return the number of people."""
        return len(self.arrived)

    @cached_property
    def liking(self) -> Floats:
        """How much they like each brand, shape (n, n_brands)."""
        return self.taste @ self.catalog.brand_vector.T

    def slots(self, rows: Ints, seconds: Floats) -> Ints:
        """Give the leaf of each interest at a time, shape (len(rows), 8)."""
        segment = np.zeros((len(rows), self.slot_weight.shape[1]), dtype=np.int64)
        for number in range(1, self.slot_start.shape[2]):
            segment += self.slot_start[rows, :, number] <= seconds[:, None]
        return np.take_along_axis(self.slot_leaf[rows], segment[:, :, None], axis=2)[:, :, 0]

    def missions(self, rows: Ints, seconds: Floats) -> tuple[Ints, Ints]:
        """Give the mission (number within the person) and its stage at a time, -1 where none."""
        number = (self.mission_bounds[rows, :, 0] <= seconds[:, None]).sum(axis=1) - 1
        bounds = self.mission_bounds[rows, number]
        stage = (bounds <= seconds[:, None]).sum(axis=1) - 1
        out = (number < 0) | (stage == len(STAGES))
        return np.where(out, -1, number), np.where(out, -1, stage)

    def interest(self, rows: Ints, seconds: Floats, *, missions: bool = True) -> Floats:
        """Give the share of each leaf in a person's interest at a time, (len(rows), n_leaves)."""
        leaves, shares = self._shares(rows, seconds, missions)
        n_leaves = self.catalog.n_leaves
        cells = np.arange(len(rows))[:, None] * n_leaves + leaves
        summed = np.zeros(len(rows) * n_leaves)
        summed += np.bincount(cells.ravel(), shares.ravel(), len(summed))
        return summed.reshape(len(rows), n_leaves)

    def interest_in(self, rows: Ints, seconds: Floats, leaves: Ints) -> Floats:
        """Give the share of one leaf for each row, without a table of all leaves."""
        theirs, shares = self._shares(rows, seconds, missions=True)
        wanted: Floats = np.where(theirs == leaves[:, None], shares, 0.0).sum(axis=1)
        return wanted

    def _shares(self, rows: Ints, seconds: Floats, missions: bool) -> tuple[Ints, Floats]:
        """Give leaves (some twice) and their shares, with what goes with them, sum 1."""
        leaves, shares = self.slots(rows, seconds), self.slot_weight[rows]
        if missions:
            number, _ = self.missions(rows, seconds)
            taken = np.where(number < 0, 0.0, MISSION_SHARE)[:, None]
            leaves = np.column_stack([leaves, self.mission_leaf[rows, number]])
            shares = np.column_stack([shares * (1 - taken), taken])
        beside = self.catalog.goes_with[leaves]
        return (
            np.column_stack([leaves, beside]),
            np.column_stack([shares * (1 - SPILL), shares * SPILL]),
        )


def make_people(
    rng: np.random.Generator, n: int, catalog: Catalog, days: int, drift: float
) -> People:
    """Make people.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where chance comes from.
    n : int
        How many.
    catalog : Catalog
        What they can be interested in.
    days : int
        Length of the period.
    drift : float
        Days that an interest lasts on average.
    """
    household = rng.integers(len(HOUSEHOLDS), size=n)
    homes = _homes(rng, household, catalog)
    is_new = (rng.random(n) < 0.3) & (days > 1)
    arrived = np.where(is_new, rng.random(n) * (days - 1), -rng.exponential(400, n))
    activity = np.minimum(rng.lognormal(math.log(0.06), 0.9, n), 3.0)
    start, leaf = _interests(rng, homes, catalog, days, drift)
    bounds, mission_leaf = _missions(rng, homes, catalog, days, arrived, activity)
    return People(
        household=household,
        arrived=np.floor(arrived * SECONDS_A_DAY),
        activity=activity,
        shift=np.round(3600 * rng.normal(0, 1.5, n)),
        taste=rng.standard_normal((n, catalog.brand_vector.shape[1])),
        level=rng.normal(0, 0.4, n),
        care=rng.lognormal(0, 0.5, n),
        slot_weight=_slot_weights(rng, n),
        slot_start=start,
        slot_leaf=leaf,
        mission_bounds=bounds,
        mission_leaf=mission_leaf,
        catalog=catalog,
    )


def join_people(parts: list[People]) -> People:
    """Put the people of several blocks together."""
    names = [name for name in People.__dataclass_fields__ if name != "catalog"]
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in names
    }
    return People(**joined, catalog=parts[0].catalog)


def _homes(rng: np.random.Generator, household: Ints, catalog: Catalog) -> Ints:
    """Choose three home departments of each person, the first the most important."""
    pull = np.bincount(catalog.leaf_department, catalog.leaf_weight)
    leaning = np.array([LEANINGS.get(d, (1.0, 1.0, 1.0)) for d in catalog.departments]).T
    keys = np.log(pull * leaning[household]) + rng.gumbel(size=(len(household), len(pull)))
    order = np.argsort(-keys, axis=1)
    return order[:, np.arange(HOMES) % len(pull)]


def _leaves(
    rng: np.random.Generator, homes: Ints, catalog: Catalog, shape: tuple[int, ...], at_home: float
) -> Ints:
    """Draw leaves for each person, shape (n, *shape), mostly of the home departments."""
    size = (len(homes), *shape)
    which = np.searchsorted([0.6, 0.9], rng.random(size))
    department = np.take_along_axis(homes, which.reshape(len(homes), -1), axis=1).reshape(size)
    home = catalog.of_department.draw(department, rng.random(size))
    anywhere = rng.choice(catalog.n_leaves, size=size, p=catalog.leaf_weight)
    return np.where(rng.random(size) < at_home, home, anywhere)


def _interests(
    rng: np.random.Generator, homes: Ints, catalog: Catalog, days: int, drift: float
) -> tuple[Floats, Ints]:
    """Draw when each interest changes, at exponential times, and what it becomes."""
    expected = days / drift
    most = math.ceil(expected + 6 * math.sqrt(expected))
    size = (len(homes), MOST_INTERESTS, most)
    changes = np.cumsum(rng.standard_exponential(size), axis=2) * drift if most else np.empty(size)
    start = np.concatenate([np.full((*size[:2], 1), -np.inf), changes * SECONDS_A_DAY], axis=2)
    leaves = _leaves(rng, homes, catalog, (MOST_INTERESTS, most + 1), AT_HOME)
    return np.where(start < days * SECONDS_A_DAY, start, np.inf), leaves


def _slot_weights(rng: np.random.Generator, n: int) -> Floats:
    """Share interest out over 3 to 8 slots, unequally."""
    used = np.arange(MOST_INTERESTS) < rng.integers(3, MOST_INTERESTS + 1, n)[:, None]
    weights = np.where(used, rng.gamma(0.7, size=(n, MOST_INTERESTS)) + 1e-3, 0.0)
    shares: Floats = weights / weights.sum(axis=1, keepdims=True)
    return shares


def _missions(
    rng: np.random.Generator,
    homes: Ints,
    catalog: Catalog,
    days: int,
    arrived: Floats,
    activity: Floats,
) -> tuple[Floats, Ints]:
    """Draw missions one after another, in whole days, more of them for active people."""
    most = 4 + math.ceil(3 * days / MISSION_EVERY)
    pause = MISSION_EVERY * np.clip((0.06 / activity) ** 0.5, 0.5, 2.0)
    pauses = np.ceil(pause[:, None] * rng.standard_exponential((len(homes), most)))
    lengths = rng.integers([1, 1, 1], [4, 3, 3], size=(len(homes), most, len(STAGES)))
    ends = np.cumsum(pauses + lengths.sum(axis=2), axis=1)
    first = np.maximum(np.floor(arrived), 0)[:, None] + ends - lengths.sum(axis=2)
    bounds = first[:, :, None] + np.insert(np.cumsum(lengths, axis=2), 0, 0, axis=2)
    bounds = np.where(first[:, :, None] < days, bounds * SECONDS_A_DAY, np.inf)
    return bounds, _leaves(rng, homes, catalog, (most,), 0.3)

"""What only the simulation knows of the shop: interests, probabilities, stages, and the best guess."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import expit

from . import shop_choice
from .shop_people import HOUSEHOLDS, STAGES, People
from .shop_sessions import DRAWN, FOUND_SHARE, KINDS, PAGE, RETURN_SHARE
from .shop_visits import GO_ON
from .world import SECONDS_A_DAY, to_datetime, to_seconds

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .shop import Shop
    from .shop_catalog import Catalog

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ShopTruth:
    """The latent tables and probabilities of a simulated shop.

    Users, items and leaves are numbers from 0; times are datetimes. Arguments that belong
    together are broadcast against one another. What people want is decided when a visit begins:
    pass the ``start`` of the visit (see `events`) to get exactly what the log was drawn with.

    Parameters
    ----------
    shop : Shop
        The world.
    people : People
        All people.
    shortlists_of : NDArray[int64]
        Items that each mission narrows down to, shape (n_users, missions, 4).
    """

    shop: Shop
    people: People
    shortlists_of: Ints

    @property
    def catalog(self) -> Catalog:
        """The catalogue, with latent quality, style and popularity."""
        return self.shop.catalog

    def interest(self, users: ArrayLike, times: Any, *, missions: bool = True) -> Floats:
        users, seconds = np.broadcast_arrays(np.asarray(users), to_seconds(times))
        return self.people.interest(users, seconds, missions=missions)

    def utility(self, users: ArrayLike, items: ArrayLike, times: Any) -> Floats:
        users, items, seconds = np.broadcast_arrays(users, items, to_seconds(times))
        shape = users.shape
        users, items, seconds = users.ravel(), items.ravel(), seconds.ravel()
        weights = self.people.interest(users, seconds)[np.arange(len(users)), self.catalog.leaf[items]]
        return shop_choice.utility(self.people, users, items, weights).reshape(shape)

    def next_click_scores(self, users: ArrayLike, times: Any, last_items: ArrayLike) -> Floats:
        users, seconds, last = np.broadcast_arrays(users, to_seconds(times), last_items)
        catalog, people = self.catalog, self.people
        interest = people.interest(users, seconds)
        every = np.arange(catalog.n_items)
        liked = expit(
            shop_choice.utility(people, users[:, None], every, interest[:, catalog.leaf])
        )
        liked *= catalog.appeared <= seconds[:, None]
        browsed = self._browsed(users, seconds)
        later = (0.9 * interest[:, catalog.leaf] + 0.1 * catalog.leaf_weight[catalog.leaf]) * browsed * liked
        later /= later.sum(axis=1, keepdims=True)
        same = (catalog.leaf == catalog.leaf[last][:, None]) * browsed * (1 - self.shop.order)
        related = catalog.related[last]
        row, place = np.nonzero(related >= 0)
        same[row, related[row, place]] += self.shop.order * self._seen_related[place]
        pages = 0.5 + GO_ON[-1] / (1 - GO_ON[-1])
        same *= pages * liked
        total = same.sum(axis=1, keepdims=True)
        return -np.expm1(-total) / np.maximum(total, 1e-300) * same + np.exp(-total) * later

    def _browsed(self, users: Ints, seconds: Floats) -> Floats:
        catalog = self.catalog
        looked = shop_choice.examination(np.arange(PAGE), self.shop.position_bias)
        draws = np.arange(DRAWN)
        first = catalog.weight[:, None] * (1 - catalog.weight[:, None]) ** draws
        seen = first @ looked[np.minimum(draws, PAGE - 1)]
        seen = np.tile(seen, (len(users), 1))
        number, stage = self.people.missions(users, seconds)
        at = np.flatnonzero(number >= 0)
        leaf = self.people.mission_leaf[users[at], number[at]]
        share = np.where(stage[at] > 0, RETURN_SHARE, 0.0)
        own = catalog.leaf == leaf[:, None]
        seen[at] *= np.where(own, 1 - share[:, None], 1.0)
        short = self.shortlists_of[users[at], number[at]]
        add = np.where(share[:, None] > 0, RETURN_SHARE * looked[:4], looked.mean() * (1 - (1 - FOUND_SHARE / 4) ** PAGE))
        row, place = np.nonzero(short >= 0)
        seen[at[row], short[row, place]] += add[row, place]
        return seen

    @cached_property
    def _seen_related(self) -> Floats:
        n = self.catalog.related.shape[1]
        keys = -np.log1p(np.arange(n)) + self.shop.rng("related").gumbel(size=(20_000, n))
        place = np.argsort(np.argsort(-keys, axis=1), axis=1)
        looked = shop_choice.examination(place, self.shop.position_bias)
        return np.where(place < PAGE, looked, 0).mean(axis=0)

"""What only the simulation knows of the shop: interests, missions, probabilities, tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from behaviorseq.arguments import require, whole

from . import shop_choice
from .base import SECONDS_A_DAY, to_datetime, to_seconds
from .shop_forecast import purchase_chance
from .shop_guess import next_click_scores
from .shop_people import STAGES, People
from .shop_sessions import PAGE

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .shop import Shop
    from .shop_catalog import Catalog

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ShopTruth:
    """The latent tables and the probabilities of a simulated shop.

    Users, items, leaves and missions are numbers from 0. Times are datetimes. Arguments that
    belong together are broadcast against one another. What people want is fixed when a visit
    begins: with the ``start`` of the visit, which `events` gives, the probabilities are exactly
    those that the log was drawn with. (Repeat purchases and reviews follow rules of their own.)

    Parameters
    ----------
    shop : Shop
        The world.
    people : People
        All its people.
    shortlist_items : NDArray[int64]
        Items that each mission narrows down to, -1 where there are fewer,
        shape (n_users, missions, 4).

    Examples
    --------
    >>> from behaviorseq import simulate
    >>> truth = simulate.world("shop", n_users=50, n_items=40, days=7).truth
    >>> truth.interest([0, 1], np.datetime64("2024-01-02")).shape
    (2, 2)
    >>> truth.click_probability(0, 3, [0, 1], np.datetime64("2024-01-02")).round(3)
    array([0.228, 0.141])
    """

    shop: Shop
    people: People
    shortlist_items: Ints

    @property
    def catalog(self) -> Catalog:
        """The catalogue, with latent quality, style and popularity."""
        return self.shop.catalog

    def interest(self, users: ArrayLike, times: Any, *, missions: bool = True) -> Floats:
        """Give the share of each leaf in the interest of users at times.

        Parameters
        ----------
        users : array_like of int
            User ids, shape (n,).
        times : array_like of datetime64
            When, shape (n,) or one for all.
        missions : bool
            Whether a mission, while it lasts, takes its share.

        Returns
        -------
        NDArray[float64]
            Shape (n, n_leaves), each row with sum 1.
        """
        rows, seconds = (a.ravel() for a in np.broadcast_arrays(users, to_seconds(times)))
        return self.people.interest(rows, seconds, missions=missions)

    def utility(self, users: ArrayLike, items: ArrayLike, times: Any) -> Floats:
        """Give the utility of items to users at times, see `shop_choice`."""
        rows, wares, seconds = np.broadcast_arrays(users, items, to_seconds(times))
        flat, things = rows.ravel(), wares.ravel()
        shares = self.people.interest_in(flat, seconds.ravel(), self.catalog.leaf[things])
        return shop_choice.utility(self.people, flat, things, shares).reshape(rows.shape)

    def click_probability(
        self, users: ArrayLike, items: ArrayLike, positions: ArrayLike, times: Any
    ) -> Floats:
        """Give the probability that users who are shown items at positions click on them."""
        bias = self.shop.position_bias
        return shop_choice.click_probability(self.utility(users, items, times), positions, bias)

    def follow_probabilities(
        self, users: ArrayLike, items: ArrayLike, times: Any
    ) -> shop_choice.Follow:
        """Give the probabilities of a favorite, a cart and a purchase, given a click."""
        rows, wares, seconds = np.broadcast_arrays(users, items, to_seconds(times))
        flat = rows.ravel(), wares.ravel(), seconds.ravel()
        stage = shop_choice.mission_stage(self.people, *flat).reshape(rows.shape)
        wanted = self.utility(users, items, times)
        return shop_choice.follow(wanted, self.catalog.price[wares], stage)

    def purchase_probability(self, users: ArrayLike, items: ArrayLike, times: Any) -> Floats:
        """Give the probability that users buy items on which they clicked, in the same visit."""
        return self.follow_probabilities(users, items, times).purchase

    def stage(self, users: ArrayLike, times: Any) -> pd.Categorical:
        """Give the stage of the mission that users are on at times, missing where on none."""
        rows, seconds = (a.ravel() for a in np.broadcast_arrays(users, to_seconds(times)))
        return pd.Categorical.from_codes(self.people.missions(rows, seconds)[1], list(STAGES))

    def next_click_scores(self, users: ArrayLike, times: Any, last_items: ArrayLike) -> Floats:
        """Give about how probable each item is as the next that users click on.

        See `shop_guess`: the truth about the user is used, the visit is only guessed from the
        last click.

        Parameters
        ----------
        users : array_like of int
            User ids, shape (n,).
        times : array_like of datetime64
            When each clicked last, shape (n,).
        last_items : array_like of int
            The item of that click, -1 for none, shape (n,).

        Returns
        -------
        NDArray[float64]
            Shape (n, n_items), each row with sum 1.
        """
        rows, seconds, last = (
            a.ravel() for a in np.broadcast_arrays(users, to_seconds(times), last_items)
        )
        shop = self.shop
        return next_click_scores(
            self.people, self.shortlist_items, rows, seconds, last, shop.order, shop.position_bias
        )

    def chance_to_buy(self, start: Any, end: Any, *, draws: int = 20, seed: int = 0) -> Floats:
        """Give about how probable it is that each user buys something in a period.

        Visits, pages and clicks of the period are drawn anew, the same people with the same
        interests, missions and habits, and the probabilities of at least one purchase averaged.
        Missions that begin in the period are known too, which nobody could know at its start.
        What the log says is not used, so purchases that repeat an earlier one are left out.

        Parameters
        ----------
        start, end : datetime64
            The period, ``end`` not included.
        draws : int
            How often visits are drawn.
        seed : int
            Of the draws.

        Returns
        -------
        NDArray[float64]
            Shape (n_users,).

        Raises
        ------
        ValueError
            If the period ends before it begins, or ``draws`` is out of range.
        """
        low, high = (float(to_seconds(time)) for time in (start, end))
        require("end", end, low <= high, f"at {start} or later")
        shop = self.shop
        return purchase_chance(
            shop.rng("forecast", seed),
            self.people,
            self.shortlist_items,
            shop.days,
            shop.order,
            shop.position_bias,
            low,
            high,
            whole("draws", draws, 1),
        )

    def events(self) -> pd.DataFrame:
        """Give the truth of each event, row for row as in the log.

        Returns
        -------
        pandas.DataFrame
            ``page`` (the kind of page, or repeat, or review), ``leaf`` that the visit was about,
            ``mission`` (-1: none) and its ``stage`` (missing: none), and the ``start`` of the
            visit. It is made anew, which takes as long as the log.
        """
        return self.shop.true_events()

    @cached_property
    def interests(self) -> pd.DataFrame:
        """Each interest: user, leaf, start, end, and weight among the user's interests.

        Those of a user at one time have sum 1; missions, and what goes with a leaf, are left out.
        """
        end = self._end
        start = np.maximum(self.people.slot_start, 0.0)
        until = np.minimum(np.append(start[:, :, 1:], np.full((*start.shape[:2], 1), end), 2), end)
        user, slot, number = np.nonzero((start < end) & (self.people.slot_weight > 0)[:, :, None])
        where = (user, slot, number)
        return pd.DataFrame(
            {
                "user": user,
                "leaf": self.people.slot_leaf[where],
                "start": to_datetime(start[where]),
                "end": to_datetime(until[where]),
                "weight": self.people.slot_weight[user, slot],
            }
        )

    @cached_property
    def missions(self) -> pd.DataFrame:
        """Each mission: number, user, leaf, when each stage begins, and the end.

        A mission may end after the period, and it may have seen no visit if it did.
        """
        user, number = np.nonzero(np.isfinite(self.people.mission_bounds[:, :, 0]))
        bounds = to_datetime(self.people.mission_bounds[user, number])
        return pd.DataFrame(
            {
                "mission": user * self.shortlist_items.shape[1] + number,
                "user": user,
                "leaf": self.people.mission_leaf[user, number],
                **{name: bounds[:, i] for i, name in enumerate((*STAGES, "end"))},
            }
        )

    @cached_property
    def shortlists(self) -> pd.DataFrame:
        """Each item that a mission narrows down to: mission, place, item."""
        user, number, place = np.nonzero(self.shortlist_items >= 0)
        return pd.DataFrame(
            {
                "mission": user * self.shortlist_items.shape[1] + number,
                "place": place,
                "item": self.shortlist_items[user, number, place],
            }
        )

    @cached_property
    def leaves(self) -> pd.DataFrame:
        """Each product type: its place in the tree, typical price, days until it is needed again.

        ``cycle`` is missing for what lasts; ``goes_with`` is a leaf; ``weight`` is the popularity.
        """
        types = self.catalog.types
        return pd.DataFrame(
            {
                "leaf": np.arange(len(types)),
                "department": pd.Series([kind.department for kind in types], dtype="str"),
                "category": pd.Series([kind.category for kind in types], dtype="str"),
                "product_type": pd.Series([kind.name for kind in types], dtype="str"),
                "price": [kind.price for kind in types],
                "cycle": [kind.cycle or np.nan for kind in types],
                "goes_with": self.catalog.goes_with,
                "weight": self.catalog.leaf_weight,
            }
        )

    @cached_property
    def items(self) -> pd.DataFrame:
        """What is latent in each item: leaf, quality, style on its ring, popularity in the leaf."""
        catalog = self.catalog
        return pd.DataFrame(
            {
                "item": np.arange(catalog.n_items),
                "leaf": catalog.leaf,
                "quality": catalog.quality,
                "style": catalog.style,
                "weight": catalog.weight,
            }
        )

    @cached_property
    def users(self) -> pd.DataFrame:
        """What is latent in each user: activity, the price level that suits, its weight."""
        people = self.people
        return pd.DataFrame(
            {
                "user": np.arange(len(people)),
                "activity": people.activity,
                "price_level": people.level,
                "price_care": people.care,
            }
        )

    @cached_property
    def related(self) -> pd.DataFrame:
        """Each edge of the graph: item, place in its list, related item."""
        item, place = np.nonzero(self.catalog.related >= 0)
        related = self.catalog.related[item, place]
        return pd.DataFrame({"item": item, "place": place, "related": related})

    @cached_property
    def examination(self) -> pd.DataFrame:
        """The probability that somebody looks at each position of a page."""
        positions = np.arange(PAGE)
        looked = shop_choice.examination(positions, self.shop.position_bias)
        return pd.DataFrame({"position": positions, "probability": looked})

    @property
    def _end(self) -> float:
        return float(self.shop.days * SECONDS_A_DAY)

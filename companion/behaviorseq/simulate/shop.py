"""The simulated shop: the world and its public face."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from behaviorseq.arguments import number, whole
from behaviorseq.datasets.sources import Dataset

from .base import START, World, to_datetime
from .shop_catalog import Catalog, item_table, make_catalog
from .shop_events import BEHAVIORS, MOST_SESSIONS, Events, make_events
from .shop_people import HOUSEHOLDS, STAGES, People, join_people, make_people
from .shop_sessions import KINDS, make_shortlists

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .shop_audience import Reward, ShopAudience
    from .shop_truth import ShopTruth

    Columns = dict[str, NDArray[Any]]

#: People who are simulated together, with random numbers of their own.
BLOCK = 1024
#: Columns of a block in the types that take least memory: name, field of `Events`, type.
_COLUMNS = (
    ("user", "row", np.int32),
    ("item", "item", np.int32),
    ("time", "second", np.int32),
    ("behavior", "behavior", np.int8),
    ("session", "visit", np.int32),
    ("position", "position", np.int8),
    ("value", "value", np.float32),
)
_TRUE_COLUMNS = (
    ("page", "kind", np.int8),
    ("leaf", "leaf", np.int16),
    ("mission", "mission", np.int32),
    ("stage", "stage", np.int8),
    ("start", "start", np.int32),
)


class Shop(World):
    r"""An online shop: people look around, come back, buy, use up, and buy again.

    **Things.** Product types (leaves) of real names in categories and departments, one for each
    16 items and at most 128. Popularity falls as a power of the rank over the leaves, and is
    lognormal within. Items have a brand, a style, a price, a latent quality, and a day on which
    they appear. Each shows up to ten related items: seven of its leaf, a step on around the ring
    of styles and up in price, so that relation has a direction; three of a leaf that goes with it.

    **People.** Each has 3 to 8 interests, most of them in three home departments, unequally
    weighted; each interest gives way to another after an exponential time of mean ``drift`` days.
    A share of each interest goes to what goes with it. Three in ten arrive during the period; the
    household, which observers know, leans to some departments. Missions, every few weeks, take
    three quarters of all interest for 3 to 7 days and pass from exploring to comparing (back to a
    shortlist of four items) to deciding (cart and purchase). Tastes in brands, in price and in
    how much price matters stay.

    **Visits.** A Poisson number by the person's activity (lognormal), by the rhythm of the day and
    week, with bursts; more during missions. A visit is about one leaf: the mission's, or one drawn
    from the interests. Its pages show up to 8 items: of that leaf by popularity; after a click,
    with probability ``order``, items related to the last one clicked; some popular and some new
    ones; the shortlist of a mission. Nothing is shown before it appeared, or twice on a page.

    **What they do.** `behaviorseq.simulate.shop_choice` gives the probabilities of click, favorite,
    cart and purchase, by utility, position, price and stage; these very functions make the log.
    Buyers may write a review days later (``value``: stars), and buy consumables again when the
    cycle of the product type is over.

    The log has the columns user, item, time, behavior, session, price (of the item, which never
    changes), position and value (stars of a review, else missing). The position is the item's
    place on the page on which it was seen, 0 on top, also for what followed the click; a review
    has that of its purchase.

    **What real shops have and this one lacks.** Search, returns, stock, prices and fashions that
    move, advertising, robots, shared accounts; people who grow tired of what they saw, or learn
    from one another. Popularity and quality never change. Leaves are few and small, so that people
    meet the same items more often than in a large shop. No item of the log was shown by a trained
    recommender.

    Parameters
    ----------
    n_users, n_items, days, seed : int
        See `World`.
    drift : float
        Days that an interest lasts on average, 1 or more; ``math.inf``: for ever.
    position_bias : float
        Exponent of the probability that a position is looked at, 0 (all are) to 5.
    order : float
        Share of the pages after a click that show items related to it: how much order matters.
    new_items : float
        Share of the items that appear during the period, on a day of chance.

    Examples
    --------
    >>> from behaviorseq import simulate
    >>> shop = simulate.world("shop", n_users=50, n_items=40, days=7)
    >>> shop.log().events.loc[:2, ["user", "item", "behavior", "position"]]
       user  item behavior  position
    0    12    25     view         0
    1    12    27     view         1
    2    12     4     view         2
    """

    name: ClassVar[str] = "shop"
    title: ClassVar[str] = "A simulated shop"
    behaviors: ClassVar[tuple[str, ...]] = BEHAVIORS
    notes: ClassVar[str] = (
        "Generated, not observed. position: the item's place on the page on which it was seen; "
        "value: stars of a review, missing otherwise; price: of the item, constant; session: one "
        "visit, one repeat purchase or one review. Interests, missions, quality and probabilities "
        "are in the truth only. No search, no changing prices or fashions, no boredom; product "
        "types are few and small, so people meet the same items more often than in a large shop."
    )

    def __init__(
        self,
        n_users: int,
        n_items: int,
        days: int,
        seed: int = 0,
        *,
        drift: float = 45.0,
        position_bias: float = 0.7,
        order: float = 0.5,
        new_items: float = 0.2,
    ) -> None:
        self.drift = number("drift", drift, 1, np.inf)
        self.position_bias = number("position_bias", position_bias, 0, 5)
        self.order = number("order", order, 0, 1)
        self.new_items = number("new_items", new_items, 0, 1)
        options = {"drift": self.drift, "position_bias": self.position_bias, "order": self.order}
        super().__init__(n_users, n_items, days, seed, **options, new_items=self.new_items)

    def log(self, workers: int = 1) -> Dataset:
        """Give the event log, the items and the users, as an observer sees them.

        Parameters
        ----------
        workers : int
            Threads that make the log; it is the same with any number. They gain little: see
            ``benchmarks/results/simulate_shop.json``.

        Returns
        -------
        Dataset
            Events in order of time, then of user. Items and users without events are in the
            tables too.
        """
        events = self._frame(list(self._blocks(_COLUMNS, workers)))
        return Dataset(events, self.items, self.users, self.source(len(events)))

    def chunks(self, n_users: int = BLOCK, workers: int = 1) -> Iterator[pd.DataFrame]:
        """Give the event log of so many users at a time, for logs that are larger than memory.

        Parameters
        ----------
        n_users : int
            Users in a chunk; the last may have fewer.
        workers : int
            Threads that make it, as in `log`.

        Yields
        ------
        pandas.DataFrame
            All events of these users, in order of time, then of user: all chunks together are the
            events of `log`.
        """
        size = whole("n_users", n_users, 1)
        blocks = self._blocks(_COLUMNS, workers)
        held: list[Columns] = []
        for first in range(0, self.n_users, size):
            last = min(first + size, self.n_users) - 1
            while not held or held[-1]["block"][0] < last // BLOCK:
                held.append(next(blocks))
            yield self._frame([_of_users(part, first, last) for part in held])
            held = [part for part in held if part["block"][0] >= (last + 1) // BLOCK]

    @cached_property
    def truth(self) -> ShopTruth:
        """The latent tables and probabilities behind the log."""
        from .shop_truth import ShopTruth

        blocks = range(self._n_blocks)
        people = join_people([self.people(block) for block in blocks])
        shortlists = np.concatenate([self._shortlists(block) for block in blocks])
        return ShopTruth(self, people, shortlists)

    def audience(
        self,
        n_seats: int,
        *,
        reward: Reward = "click",
        boredom: float = 0.0,
        patience: float = 1.0,
    ) -> ShopAudience:
        """Give people who react to a recommender; see `ShopAudience` for the options."""
        from .shop_audience import ShopAudience

        return ShopAudience(self.truth, n_seats, reward=reward, boredom=boredom, patience=patience)

    @cached_property
    def catalog(self) -> Catalog:
        """The catalogue, with what is latent in it."""
        return make_catalog(self.rng("catalog"), self.n_items, self.days, self.new_items)

    @cached_property
    def items(self) -> pd.DataFrame:
        """What an observer can know of the items."""
        return item_table(self.catalog, self.rng("texts"))

    @cached_property
    def users(self) -> pd.DataFrame:
        """What an observer can know of the users: the household, and when they first came."""
        parts = [self.people(block) for block in range(self._n_blocks)]
        return pd.DataFrame(
            {
                "user": np.arange(self.n_users),
                "household": np.array(HOUSEHOLDS)[np.concatenate([p.household for p in parts])],
                "arrived": to_datetime(np.concatenate([p.arrived for p in parts])),
            }
        ).astype({"household": "str"})

    def people(self, block: int) -> People:
        """Make the people of a block."""
        n = min(BLOCK, self.n_users - block * BLOCK)
        rng = self.rng("people", block)
        return make_people(rng, n, self.catalog, self.days, self.drift)

    def true_events(self) -> pd.DataFrame:
        """Give the truth of each row of the log; see `ShopTruth.events`."""
        true = self._frame(list(self._blocks((*_COLUMNS[:3], *_TRUE_COLUMNS), 1)))
        return true.drop(columns=["user", "item", "time"])

    @property
    def _n_blocks(self) -> int:
        return -(-self.n_users // BLOCK)

    def _shortlists(self, block: int) -> NDArray[np.int64]:
        return make_shortlists(self.rng("shortlists", block), self.people(block))

    def _events(self, block: int) -> Events:
        people = self.people(block)
        shortlists = make_shortlists(self.rng("shortlists", block), people)
        rng = self.rng("events", block)
        return make_events(rng, people, shortlists, self.days, self.order, self.position_bias)

    def _blocks(self, columns: tuple[tuple[str, str, Any], ...], workers: int) -> Iterator[Columns]:
        """Make the columns of each block of people, in order of user and time."""
        _ = self.catalog  # made once, before threads ask for it

        def make(block: int) -> Columns:
            events = self._events(block)
            made = {name: getattr(events, field).astype(kind) for name, field, kind in columns}
            made["user"] += block * BLOCK
            return made | {"block": np.array([block])}

        workers = whole("workers", workers, 1)
        if workers == 1:
            yield from map(make, range(self._n_blocks))
            return
        with ThreadPoolExecutor(workers) as pool:
            for first in range(0, self._n_blocks, workers):  # no more at a time: memory
                yield from pool.map(make, range(first, min(first + workers, self._n_blocks)))

    def _frame(self, parts: list[Columns]) -> pd.DataFrame:
        """Put columns of blocks together, in order of time, and name what codes stand for."""
        second = np.concatenate([part["time"] for part in parts]).astype(np.int64)
        # Rows stand by user: time and row in one number sort faster than an order is found.
        second <<= 32
        second |= np.arange(len(second))
        second.sort()
        order = second & (2**32 - 1)
        second >>= 32
        made: Columns = {}
        for name in [name for name in parts[0] if name not in ("time", "block")]:
            made[name] = np.concatenate([part.pop(name) for part in parts])[order]
        made = {"user": made.pop("user"), "item": made.pop("item"), "time": second, **made}
        return pd.DataFrame(self._named(made), copy=False)

    def _named(self, made: Columns) -> dict[str, Any]:
        """Turn codes of columns into what a reader sees."""
        named: dict[str, Any] = dict(made)
        user = named["user"] = made["user"].astype(np.int64)
        item = named["item"] = made["item"].astype(np.int64)
        named["time"] = START + made["time"].view("timedelta64[s]")
        if "session" in made:
            named["session"] = user * MOST_SESSIONS + made["session"]
            named["price"] = self.catalog.price[item]
        if "mission" in made:
            most = self._most_missions
            named["mission"] = np.where(made["mission"] < 0, -1, user * most + made["mission"])
            named["start"] = to_datetime(made["start"])
        for name, names in (("behavior", BEHAVIORS), ("page", KINDS), ("stage", STAGES)):
            if name in made:
                named[name] = pd.Categorical.from_codes(made[name], list(names))
        return named

    @cached_property
    def _most_missions(self) -> int:
        return int(self.people(0).mission_leaf.shape[1])


def _of_users(part: Columns, first: int, last: int) -> Columns:
    """Cut the rows of users from first to last out of a block."""
    low, high = np.searchsorted(part["user"], [first, last + 1])
    return {name: column[low:high] for name, column in part.items() if name != "block"}

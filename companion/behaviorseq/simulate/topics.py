"""Visits in which a recommender chooses topics: a world in which repeating costs later clicks.

The shop's product types are the topics. Each step shows one item of the topic that was chosen, the
next most popular that the visitor has not seen in this visit. With ``boredom``, a topic shown
again is clicked less and makes the visitor leave (:class:`ShopAudience`): what pays at once and
what pays over the visit are not the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from behaviorseq.arguments import number, require, whole

from .shop_audience import LEAVE, LEAVE_AFTER_CLICK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from .environment import WorldVectorEnvironment
    from .shop import Shop

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Policy = Callable[["TopicVisits"], Ints]


class TopicVisits:
    """Visitors of the shop at once, to each of whom a topic is shown at each step.

    What a recommender may know of each seat is in arrays: ``past`` (the share of each topic in
    the user's clicks in the log, shape (n_seats, n_topics)), ``shown`` and ``clicked`` (how often
    each topic was, in this visit, same shape), ``step`` (steps done, shape (n_seats,)), and, in
    order, ``topics`` and ``clicks`` (shape (n_seats, steps), 0 from ``step`` on).

    Parameters
    ----------
    shop : Shop
        The world.
    events : pandas.DataFrame
        Its log, from which popularity and the past of users are counted.
    n_seats : int
        Visitors at once.
    boredom, patience : float
        See :class:`ShopAudience`.
    steps : int
        Longest visit.
    seed : int
        Of the visitors, and of what they do.

    Attributes
    ----------
    popularity : NDArray[float64]
        The share of each topic in the clicks of the log, shape (n_topics,).

    Examples
    --------
    >>> from behaviorseq import simulate
    >>> shop = simulate.world("shop", n_users=50, n_items=64, days=7)
    >>> visits = TopicVisits(shop, shop.log().events, n_seats=3, boredom=0.3)
    >>> clicks, over = visits.show([0, 1, 2])
    >>> clicks.shape, visits.n_topics
    ((3,), 4)
    """

    def __init__(
        self,
        shop: Shop,
        events: pd.DataFrame,
        n_seats: int,
        *,
        boredom: float = 0.0,
        patience: float = 1.0,
        steps: int = 20,
        seed: int = 0,
    ) -> None:
        self.shop, self.n_seats = shop, n_seats
        self.steps = whole("steps", steps, 1)
        leaf = shop.catalog.leaf
        self.n_topics = shop.catalog.n_leaves
        clicks = events[events["behavior"] == "click"]
        by_item = np.bincount(clicks["item"], minlength=shop.n_items)
        self.popularity = np.bincount(leaf, by_item, minlength=self.n_topics) / by_item.sum()
        self._best = _most_popular_first(leaf, by_item, self.n_topics)
        counts = np.zeros((shop.n_users, self.n_topics))
        np.add.at(counts, (clicks["user"], leaf[clicks["item"]]), 1)
        self._past = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        self.environment: WorldVectorEnvironment = shop.environment(  # type: ignore[assignment] # seats are given
            n_seats, steps=steps, boredom=boredom, patience=patience, keep_log=False
        )
        self.reset(seed=seed)

    def reset(self, users: NDArray[Any] | None = None, *, seed: int | None = None) -> None:
        """Begin new visits on all seats, of these users or of any."""
        options = None if users is None else {"users": users}
        seen, _ = self.environment.reset(seed=seed, options=options)
        self.users = seen["user"]
        self.shown = np.zeros((self.n_seats, self.n_topics), dtype=np.int64)
        self.clicked = np.zeros_like(self.shown)
        self.step = np.zeros(self.n_seats, dtype=np.int64)
        self.topics = np.zeros((self.n_seats, self.steps), dtype=np.int64)
        self.clicks = np.zeros((self.n_seats, self.steps))

    @property
    def past(self) -> Floats:
        """The share of each topic in the clicks of the users, shape (n_seats, n_topics)."""
        return np.asarray(self._past[self.users])

    @property
    def top_items(self) -> Ints:
        """The most clicked item of each topic, shape (n_topics,)."""
        return np.asarray(self._best[:, 0])

    def observe(self) -> NDArray[np.float32]:
        """Give all that is known as one vector a seat, shape (n_seats, 3 n_topics + 1)."""
        parts = [self.past, self.shown / 5, self.clicked / 5, self.step[:, None] / self.steps]
        return np.hstack(parts).astype(np.float32)

    def items(self, topics: Any) -> Ints:
        """Give the item that a topic shows next on each seat, shape (n_seats,)."""
        chosen = np.asarray(topics, dtype=np.int64)
        turn = self.shown[np.arange(self.n_seats), chosen]
        lengths = (self._best >= 0).sum(axis=1)[chosen]
        return np.asarray(self._best[chosen, turn % lengths])

    def show(self, topics: Any) -> tuple[Floats, NDArray[np.bool_]]:
        """Show a topic on each seat; give clicks, and which visits ended and were replaced."""
        chosen = np.asarray(topics, dtype=np.int64)
        seen, clicks, left, truncated, _ = self.environment.step(self.items(chosen))
        seats, over = np.arange(self.n_seats), left | truncated
        self.shown[seats, chosen] += 1
        self.clicked[seats, chosen] += clicks.astype(np.int64)
        self.topics[seats, self.step], self.clicks[seats, self.step] = chosen, clicks
        self.step += 1
        self.users = seen["user"]
        for counted in (self.shown, self.clicked, self.step, self.topics, self.clicks):
            counted[over] = 0
        return clicks, over

    def click_chances(self) -> Floats:
        """Give the true chance of a click on what each topic shows next, shape (n_seats, n_topics).

        Only an oracle knows it; boredom is counted.
        """
        every = np.arange(self.n_topics)
        lengths = (self._best >= 0).sum(axis=1)
        items = self._best[every, self.shown % lengths]
        audience: Any = self.environment.stage.audience
        chance = self.shop.truth.click_probability(self.users[:, None], items, 0, audience.now)
        return np.asarray(chance * np.power(1 - audience.boredom, self.shown, dtype=np.float64))

    def stay_chances(self) -> Floats:
        """Give the true chance that the visitor stays after each topic, same shape."""
        audience: Any = self.environment.stage.audience
        chance, leaving = self.click_chances(), LEAVE_AFTER_CLICK - LEAVE
        kept = np.power(1 - audience.boredom, self.shown, dtype=np.float64)
        return np.asarray((1 - (LEAVE + leaving * chance) / audience.patience) * kept)


class TopicEnvironment(gym.Env[Any, Any]):
    """One visit after another as a gymnasium environment with vectors, as libraries want it.

    Parameters
    ----------
    visits : TopicVisits
        One seat.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - gymnasium declares it so

    def __init__(self, visits: TopicVisits) -> None:
        whole("the seats of visits", visits.n_seats, 1, 1)
        self.visits = visits
        length = 3 * visits.n_topics + 1
        self.observation_space = gym.spaces.Box(0, 20, (length,), np.float32)
        self.action_space = gym.spaces.Discrete(visits.n_topics)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Let somebody come in."""
        super().reset(seed=seed)
        self.visits.reset(seed=seed)
        return self.visits.observe()[0], {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Show a topic; the end of a visit, by whichever reason, is an end."""
        clicks, over = self.visits.show([action])
        return self.visits.observe()[0], float(clicks[0]), bool(over[0]), False, {}


@dataclass(frozen=True, eq=False)
class Visits:
    """Whole visits: what was shown, with which chance, and what was clicked.

    Parameters
    ----------
    users : NDArray[int64]
        Shape (n_visits,).
    past : NDArray[float64]
        Shape (n_visits, n_topics).
    topics : NDArray[int64]
        Shape (n_visits, steps), padded on the right with 0.
    clicks : NDArray[float64]
        Same shape.
    chances : NDArray[float64]
        The probability with which the policy chose the topic, same shape, 1 in the padding.
    mask : NDArray[bool]
        True where there was a step, same shape.
    """

    users: Ints
    past: Floats
    topics: Ints
    clicks: Floats
    chances: Floats
    mask: NDArray[np.bool_]


def play(visits: TopicVisits, policy: Policy, users: NDArray[Any]) -> Visits:
    """Let each user make one visit, all at once, and note what happens.

    Parameters
    ----------
    visits : TopicVisits
        As many seats as users.
    policy : callable
        Gets ``visits``, gives a topic for each seat, shape (n_seats,). If it has an attribute
        ``chances`` after a call, these are noted as its probabilities.
    users : array-like of int
        Shape (n_seats,).

    Returns
    -------
    Visits
        One a user.
    """
    visits.reset(np.asarray(users))
    here = np.ones(visits.n_seats, dtype=bool)
    past, taken = visits.past, []
    while here.any():
        topics = np.asarray(policy(visits))
        chances = np.asarray(getattr(policy, "chances", np.ones(len(topics))))
        clicks, over = visits.show(topics)
        taken.append((topics * here, clicks * here, np.where(here, chances, 1.0), here.copy()))
        here &= ~over
    parts = [np.stack(part, axis=1) for part in zip(*taken, strict=True)]
    return Visits(np.asarray(users), past, *parts)


class Mixture:
    """A policy for logs: choices by chance and others, mixed, with known probabilities.

    Parameters
    ----------
    chance : float
        Share of the choices that are made by chance, 0 to 1: so large, and no topic is unseen.
    likes : callable, optional
        Gets visits, gives with which probabilities the other choices are made, shape
        (n_seats, n_topics); by default popularity and the user's past, half each.
    seed : int
        Of the draws.

    Attributes
    ----------
    chances : NDArray[float64]
        The probability of each topic chosen in the last call.
    """

    def __init__(
        self,
        *,
        chance: float = 0.5,
        likes: Callable[[TopicVisits], Floats] | None = None,
        seed: int = 0,
    ) -> None:
        self.chance, self.rng = number("chance", chance, 0, 1), np.random.default_rng(seed)
        self.likes = likes or _popular_and_past

    def __call__(self, visits: TopicVisits) -> Ints:
        """Draw a topic for each seat, shape (n_seats,)."""
        likely = self.chance / visits.n_topics + (1 - self.chance) * self.likes(visits)
        drawn = (likely.cumsum(axis=1) < self.rng.random((len(likely), 1))).sum(axis=1)
        topics = np.minimum(drawn, visits.n_topics - 1)
        self.chances = likely[np.arange(len(likely)), topics]
        return np.asarray(topics)


def play_again(
    visits: TopicVisits, policy: Policy, users: NDArray[Any], *, times: int, seed: int
) -> Visits:
    """Let each user make several visits, one after another; see :func:`play`.

    Parameters
    ----------
    visits, policy, users
        As in :func:`play`.
    times : int
        Visits of each user.
    seed : int
        Of what visitors do.

    Returns
    -------
    Visits
        All users' first visits, then all second ones, and so on.
    """
    visits.environment.reset(seed=seed)
    return join([play(visits, policy, users) for _ in range(whole("times", times, 1))])


def join(parts: Sequence[Visits]) -> Visits:
    """Put visits after one another, padded to the longest.

    Parameters
    ----------
    parts : sequence of Visits
        One or more.

    Returns
    -------
    Visits
        All of them, in order.

    Raises
    ------
    ValueError
        If there is none.
    """
    require("parts", list(parts), len(parts) > 0, "one or more")
    longest = max(part.mask.shape[1] for part in parts)

    def joined(name: str, fill: float = 0) -> Any:
        short = [(getattr(part, name), longest - part.mask.shape[1]) for part in parts]
        return np.concatenate(
            [np.pad(a, ((0, 0), (0, gap)), constant_values=fill) for a, gap in short]
        )

    return Visits(
        np.concatenate([part.users for part in parts]),
        np.concatenate([part.past for part in parts]),
        joined("topics"),
        joined("clicks"),
        joined("chances", 1),
        joined("mask"),
    )


def _popular_and_past(visits: TopicVisits) -> Floats:
    liked = visits.past + visits.popularity
    return np.asarray(liked / liked.sum(axis=1, keepdims=True))


def _most_popular_first(leaf: Ints, counts: Ints, n_topics: int) -> Ints:
    """List the items of each topic, most clicked first, padded with -1."""
    order = np.lexsort((np.arange(len(leaf)), -counts, leaf))
    sizes = np.bincount(leaf, minlength=n_topics)
    table = np.full((n_topics, sizes.max()), -1, dtype=np.int64)
    table[np.arange(sizes.max()) < sizes[:, None]] = order
    return table

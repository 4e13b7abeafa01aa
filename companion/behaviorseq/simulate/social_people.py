"""People and posts of the social world: who they are, when they come, what they write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import SECONDS_A_DAY
from .social_text import TOPICS, write_posts

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: How busy each hour of a day and each weekday from Monday is; 1 is the mean.
_HOURS = (4, 2, 1, 1, 1, 2, 5, 9, 11, 10, 10, 11, 14, 13, 11, 11, 12, 14, 16, 19, 22, 22, 17, 10)
_WEEKDAYS = (0.95, 0.95, 0.95, 0.95, 1.0, 1.1, 1.1)
#: Visits a day of the average person, and their spread on the log scale.
VISITS, SPREAD = 1.5, 0.9
#: Tail of the popularity of people: the number with more than x falls as x to this power.
TAIL = 1.1
#: How likely a community's main topic, each of its two side topics, and all others are.
_PROFILE = (0.55, 0.12, 0.21)
COUNTRIES = ("BR", "DE", "FR", "GB", "IN", "JP", "US")
#: Oldest account, in days before the period.
OLDEST = 1500


@dataclass(frozen=True, eq=False, repr=False)
class People:
    """The latent side of people, one row each."""

    community: NDArray[np.int64]
    interest: NDArray[np.float64]  # (n_users, n_topics), 0 to 1, the strongest 1
    popularity: NDArray[np.float64]  # how much they attract followers, 1 or more, heavy-tailed
    curiosity: NDArray[np.float64]  # how many they want to follow, relative
    visits: NDArray[np.float64]  # expected visits a day
    posting: NDArray[np.float64]  # how much they write, relative
    warmth: NDArray[np.float64]  # how readily they react, on the logit scale
    country: NDArray[np.int64]
    joined: NDArray[np.int64]  # seconds since the start of the period, before 0


@dataclass(frozen=True, eq=False, repr=False)
class Posts:
    """Posts, numbered in the order of their publication."""

    author: NDArray[np.int64]
    published: NDArray[np.int64]  # seconds since the start of the period
    topics: NDArray[np.float64]  # (n_items, n_topics): shares of 1 or 2 topics, which sum to 1
    appeal: NDArray[np.float64]  # on the logit scale, mean 0
    text: NDArray[Any]


def busyness(days: int) -> NDArray[np.float64]:
    """Give how busy each hour of the period is, shape (24 * days,); 1 is the mean of a week."""
    day = np.array(_HOURS) / np.mean(_HOURS)
    week = np.outer(np.array(_WEEKDAYS) / np.mean(_WEEKDAYS), day).ravel()
    return np.resize(week, 24 * days)


def draw_times(rng: np.random.Generator, size: int, days: int) -> NDArray[np.int64]:
    """Draw seconds within the period, more of them when people are awake."""
    mass = np.cumsum(busyness(days))
    hours = np.searchsorted(mass, rng.random(size) * mass[-1], side="right")
    seconds: NDArray[np.int64] = hours * 3600 + rng.integers(3600, size=size)
    return seconds


def make_people(rng: np.random.Generator, n_users: int, n_communities: int) -> People:
    """Draw people; communities are of different size, each around a topic of its own."""
    size = np.arange(1, n_communities + 1) ** -0.5
    community = rng.choice(n_communities, size=n_users, p=size / size.sum())
    popularity = (1 - rng.random(n_users)) ** (-1 / TAIL)
    popularity = np.minimum(popularity, np.sqrt(10 * n_users))
    return People(
        community=community,
        interest=_interests(rng, community, n_communities),
        popularity=popularity,
        curiosity=rng.lognormal(0, 0.6, n_users),
        visits=VISITS * rng.lognormal(-(SPREAD**2) / 2, SPREAD, n_users),
        posting=rng.lognormal(0, 1, n_users) * np.sqrt(popularity),
        warmth=rng.normal(0, 0.5, n_users),
        country=rng.integers(len(COUNTRIES), size=n_users),
        joined=-rng.integers(SECONDS_A_DAY, OLDEST * SECONDS_A_DAY, size=n_users),
    )


def _interests(
    rng: np.random.Generator, community: NDArray[np.int64], n_communities: int
) -> NDArray[np.float64]:
    """Give each person two to four topics, those of the community more often."""
    main = rng.permutation(len(TOPICS))[:n_communities]
    chance = np.full((n_communities, len(TOPICS)), _PROFILE[2] / (len(TOPICS) - 3))
    for shift in (-1, 1):
        chance[np.arange(n_communities), (main + shift) % len(TOPICS)] = _PROFILE[1]
    chance[np.arange(n_communities), main] = _PROFILE[0]
    # The largest of log chance + Gumbel are a draw without replacement.
    order = np.argsort(-np.log(chance[community]) - rng.gumbel(size=(len(community), len(TOPICS))))
    kept = rng.integers(2, 5, size=len(community))
    strength = np.cumprod(rng.uniform(0.4, 0.95, size=order.shape), axis=1)
    strength = np.where(np.arange(len(TOPICS)) < kept[:, None], strength, 0.0)
    interest = np.zeros(order.shape)
    np.put_along_axis(interest, order, strength / strength[:, :1], axis=1)
    return interest


def make_posts(rng: np.random.Generator, people: People, n_items: int, days: int) -> Posts:
    """Draw posts: an author who writes much and is followed much writes more of them."""
    author = rng.choice(len(people.posting), size=n_items, p=people.posting / people.posting.sum())
    published = np.sort(draw_times(rng, n_items, days))
    first = _draw_topic(rng, people.interest[author])
    second = _draw_topic(rng, people.interest[author])
    second = np.where(rng.random(n_items) < 0.5, second, first)
    topics = np.zeros((n_items, len(TOPICS)))
    np.add.at(topics, (np.arange(n_items), first), 2 / 3)
    np.add.at(topics, (np.arange(n_items), second), 1 / 3)
    return Posts(
        author=author,
        published=published,
        topics=topics,
        appeal=rng.normal(0, 1, n_items),
        text=write_posts(np.column_stack([first, second]), rng),
    )


def _draw_topic(rng: np.random.Generator, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draw one column of each row with chances in proportion to its weights."""
    mass = np.cumsum(weights, axis=1)
    below: NDArray[np.int64] = (mass <= rng.random((len(weights), 1)) * mass[:, -1:]).sum(axis=1)
    return below

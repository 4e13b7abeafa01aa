"""The feed of the social world, hour by hour: who comes, what they are shown, what they do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .social_graph import expand, find
from .social_people import busyness
from .social_truth import REACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .social_truth import SocialTruth

    Columns = dict[str, NDArray[np.int64]]

#: A post is shown for so many seconds after its publication, and no longer.
LIFE = 72 * 3600
#: Posts that the average visitor would read, and the most anybody does.
READS, MOST = 9, 30
#: How many popular posts there are at a time, and how many of them a visitor may be shown.
POPULAR, OFFERED = 30, 1
#: A like weighs half as much for popularity after so many hours.
HALF_LIFE = 12
#: Spread of the noise in the order of the feed, on the scale of the logarithm of age.
JITTER = 0.5
#: Seconds on a post: at least, on average beyond, at most.
LEAST, BEYOND, LONGEST = 5, 10.0, 60
#: The code of each behavior in the log: 0 is an impression.
BEHAVIORS = ("impression", *REACTIONS)


@dataclass(eq=False, repr=False)
class Feed:
    """A run of the world over the hours of its period.

    Parameters
    ----------
    truth : SocialTruth
        People, posts, graph, and how people react.
    rng : callable
        Gives the generator of an hour.
    """

    truth: SocialTruth
    rng: Callable[[int], np.random.Generator]
    _shares: Columns = field(init=False)  # user, item, time of the shares of posts still alive
    _seen: NDArray[np.int64] = field(init=False)  # sorted keys of user and post
    _heat: NDArray[np.float64] = field(init=False)  # likes of each post, old ones less
    _visits: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Begin with nothing seen, shared or liked."""
        nothing = np.empty(0, dtype=np.int64)
        self._seen, self._shares = nothing, dict.fromkeys(("user", "item", "time"), nothing)
        self._heat = np.zeros(len(self.truth.posts.author))

    def run(self) -> Columns:
        """Give the columns of the event log in order of time and user."""
        parts = []
        for hour, rush in enumerate(busyness(self.truth.days)):
            rng = self.rng(hour)
            chance = -np.expm1(-self.truth.visits / 24 * rush)
            users = np.flatnonzero(rng.random(len(chance)) < chance)
            parts.append(self._hour(hour, users, rng))
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = np.lexsort((columns["user"], columns["time"]))
        return {name: column[order] for name, column in columns.items()}

    def _hour(self, hour: int, users: NDArray[np.int64], rng: np.random.Generator) -> Columns:
        """Let users come, and give their events."""
        length = np.minimum(rng.geometric(1 / READS, size=len(users)), MOST)
        stay = np.minimum(LEAST + rng.exponential(BEYOND, (len(users), MOST)), LONGEST)
        until = np.cumsum(stay.astype(np.int64), axis=1)
        needed = np.take_along_axis(until, length[:, None] - 1, axis=1)[:, 0]
        start = hour * 3600 + (rng.random(len(users)) * (3600 - needed)).astype(np.int64)
        self._forget(hour)
        offered = self._drop(self._offers(hour, users, start, rng), users, start)
        visitor, place, position = _arrange(offered, length, rng)
        shown = {
            "user": users[visitor],
            "item": offered["item"][place],
            "time": start[visitor] + (until - stay.astype(np.int64))[visitor, position],
            "position": position,
            "source": offered["source"][place],
            "session": self._visits + visitor,
        }
        self._visits += len(users)
        events = self._react(shown, rng)
        self._remember(shown, events)
        return events

    def _offers(
        self,
        hour: int,
        users: NDArray[np.int64],
        start: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Columns:
        """Collect what visitors could be shown: from those they follow, and what is popular."""
        posts, graph = self.truth.posts, self.truth.graph
        begin = 3600 * hour
        alive = np.arange(*np.searchsorted(posts.published, (begin - LIFE, begin + 3600)))
        speaker = np.concatenate([posts.author[alive], self._shares["user"]])
        order = np.argsort(speaker, kind="stable")
        said = {
            "item": np.concatenate([alive, self._shares["item"]])[order],
            "time": np.concatenate([posts.published[alive], self._shares["time"]])[order],
            "source": np.concatenate([np.full(len(alive), -1), self._shares["user"]])[order],
        }
        offsets = np.searchsorted(speaker[order], np.arange(len(graph.offsets)))
        visitor, edge = expand(graph.offsets[users], np.diff(graph.offsets)[users])
        known = graph.since[edge] <= start[visitor]
        visitor, followed = visitor[known], graph.followed[edge[known]]
        run, place = expand(offsets[followed], np.diff(offsets)[followed])
        visitor, popular = visitor[run], self._popular(alive, len(users), rng)
        return {
            "visitor": np.concatenate([visitor, popular["visitor"]]),
            "item": np.concatenate([said["item"][place], popular["item"]]),
            "age": np.concatenate([start[visitor] - said["time"][place], popular["age"]]),
            "source": np.concatenate([said["source"][place], np.full(len(popular["item"]), -1)]),
        }

    def _popular(
        self, alive: NDArray[np.int64], n_visitors: int, rng: np.random.Generator
    ) -> Columns:
        """Draw some of the most liked posts for each visitor, as if they were a few hours old."""
        best = alive[np.argsort(-self._heat[alive], kind="stable")[:POPULAR]]
        best = best[self._heat[best] > 0]
        size = n_visitors * OFFERED if len(best) else 0
        return {
            "visitor": np.repeat(np.arange(n_visitors), OFFERED)[:size],
            "item": best[rng.integers(max(len(best), 1), size=size)],
            "age": rng.exponential(4 * 3600, size=size).astype(np.int64),
        }

    def _drop(self, offers: Columns, users: NDArray[np.int64], start: NDArray[np.int64]) -> Columns:
        """Leave out what is not yet or no more there, one's own, seen, or there twice.

        Of several ways to the same person, the freshest stays.
        """
        posts, visitor, item = self.truth.posts, offers["visitor"], offers["item"]
        keys = self._key(users[visitor], item)
        seen = find(self._seen, keys)[1]
        age = start[visitor] - posts.published[item]
        kept = (age > 0) & (age < LIFE) & (posts.author[item] != users[visitor]) & ~seen
        kept &= offers["age"] >= 0
        kept = np.flatnonzero(kept)
        kept = kept[np.lexsort((offers["age"][kept], keys[kept]))]
        first = np.append(True, keys[kept][1:] != keys[kept][:-1])[: len(kept)]
        return {name: column[kept[first]] for name, column in offers.items()}

    def _react(self, shown: Columns, rng: np.random.Generator) -> Columns:
        """Add to the impressions what people do, one second after the other."""
        chances = self.truth.reactions(shown["user"], shown["item"], shown["time"])
        looked = rng.random(len(chances)) < self.truth.examination(shown["position"])
        done = looked[:, None] & (rng.random(chances.shape) < chances)
        row, code = np.nonzero(np.column_stack([np.ones(len(done), dtype=bool), done]))
        events = {name: column[row] for name, column in shown.items()}
        return {**events, "time": events["time"] + code, "behavior": code}

    def _forget(self, hour: int) -> None:
        """Let popularity cool, and forget posts too old to be shown."""
        self._heat *= 0.5 ** (1 / HALF_LIFE)
        first = np.searchsorted(self.truth.posts.published, hour * 3600 - LIFE)
        alive = self._shares["item"] >= first
        self._shares = {name: column[alive] for name, column in self._shares.items()}
        if hour % 24 == 0:
            self._seen = self._seen[self._seen % len(self._heat) >= first]

    def _remember(self, shown: Columns, events: Columns) -> None:
        """Keep what was seen, shared and liked."""
        keys = np.concatenate([self._seen, self._key(shown["user"], shown["item"])])
        self._seen = np.sort(keys, kind="stable")
        shared = events["behavior"] == BEHAVIORS.index("share")
        self._shares = {
            name: np.concatenate([column, events[name][shared]])
            for name, column in self._shares.items()
        }
        liked = events["item"][events["behavior"] == BEHAVIORS.index("like")]
        np.add.at(self._heat, liked, 1.0)

    def _key(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give one number to each pair of user and post."""
        return users * len(self._heat) + items


def _arrange(
    offered: Columns, length: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Put the freshest on top, with noise, and cut each feed where its visitor stops.

    Returns
    -------
    visitor, place, position : NDArray[int64]
        For each post shown: to whom, which of those offered, and its position.
    """
    noise = JITTER * rng.normal(size=len(offered["age"]))
    order = np.lexsort((np.log(900 + offered["age"]) + noise, offered["visitor"]))
    visitor = offered["visitor"][order]
    position = np.arange(len(order)) - np.searchsorted(visitor, visitor)
    kept = position < length[visitor]
    return visitor[kept], order[kept], position[kept]

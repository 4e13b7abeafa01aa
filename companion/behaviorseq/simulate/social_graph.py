"""Who follows whom in the social world: communities, hubs, circles, follows in return."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .social_people import draw_times

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .social_people import People

#: People in a circle, and the shares of follows within the own circle, and among all people; the
#: rest are within the own community.
CIRCLE, NEAR, FAR = 12, 0.3, 0.2
#: Chance that somebody of little popularity follows back.
RETURN = 0.35
#: Share of follows made during the period.
NEW = 0.1


@dataclass(frozen=True, eq=False, repr=False)
class FollowGraph:
    """Follows in order of the follower, then of the followed.

    Parameters
    ----------
    user, followed : NDArray[int64]
        Who follows whom, shape (n_follows,). Nobody follows themselves, or the same person twice.
    since : NDArray[int64]
        When it began, in seconds since the start of the period, negative before it.
    offsets : NDArray[int64]
        Follows of user u stand from ``offsets[u]`` to ``offsets[u + 1]``, shape (n_users + 1,).
    """

    user: NDArray[np.int64]
    followed: NDArray[np.int64]
    since: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def follows(
        self, users: NDArray[np.int64], others: NDArray[np.int64], seconds: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Say whether users follow others at these times; arrays of one shape."""
        place, found = find(self._keys, users * (len(self.offsets) - 1) + others)
        found[found] = self.since[place[found]] <= seconds[found]
        return found

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        """One number for each follow, in rising order."""
        return self.user * (len(self.offsets) - 1) + self.followed


def expand(
    starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Write out runs of whole numbers: which run each belongs to, and the numbers.

    Examples
    --------
    >>> import numpy as np
    >>> expand(np.array([10, 40]), np.array([2, 3]))
    (array([0, 0, 1, 1, 1]), array([10, 11, 40, 41, 42]))
    """
    run = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    return run, np.arange(len(run)) + (starts - before)[run]


def find(
    keys: NDArray[np.int64], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Look numbers up in sorted ones: where each would stand, and whether it is there.

    Examples
    --------
    >>> import numpy as np
    >>> find(np.array([3, 5]), np.array([5, 4, 6]))
    (array([1, 1, 2]), array([ True, False, False]))
    """
    place = np.asarray(np.searchsorted(keys, wanted))
    found = np.asarray(place < len(keys))
    wanted = np.asarray(wanted)
    found[found] = keys[place[found]] == wanted[found]
    return place, found


def make_graph(rng: np.random.Generator, people: People, n_follows: int, days: int) -> FollowGraph:
    """Draw the follows of a world; see `Social` for the model."""
    n_users = len(people.community)
    chance = people.curiosity / people.curiosity.sum()
    user = rng.choice(n_users, size=n_users * n_follows, p=chance)
    first = _distinct(user, _draw_followed(rng, people, user), n_users)
    both = np.concatenate([first, _return_follows(rng, people, *first)], axis=1)
    user, followed = _distinct(both[0], both[1], n_users)
    offsets = np.searchsorted(user, np.arange(n_users + 1))
    known = np.maximum(people.joined[user], people.joined[followed])
    since = (rng.random(len(user)) * known).astype(np.int64)
    new = rng.random(len(user)) < NEW
    since = np.where(new, draw_times(rng, len(user), days), since)
    return FollowGraph(user, followed, since, offsets)


def _draw_followed(
    rng: np.random.Generator, people: People, user: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Draw whom users follow: anybody of their circle, or by popularity, mostly near."""
    order = np.argsort(people.community, kind="stable")
    bounds = np.searchsorted(people.community[order], np.arange(people.community.max() + 2))
    low, high = bounds[people.community[user]], bounds[people.community[user] + 1]
    kind, where = rng.random((2, len(user)))
    far = kind < FAR
    mass = np.concatenate([[0.0], np.cumsum(people.popularity[order])])
    begin, end = np.where(far, 0, mass[low]), np.where(far, mass[-1], mass[high])
    by_popularity = np.searchsorted(mass, begin + where * (end - begin), side="right") - 1
    rank = np.argsort(order)[user]
    low = low + (rank - low) // CIRCLE * CIRCLE
    in_circle = low + (where * (np.minimum(low + CIRCLE, high) - low)).astype(np.int64)
    place = np.where(kind > 1 - NEAR, in_circle, by_popularity)
    followed: NDArray[np.int64] = order[np.minimum(place, len(order) - 1)]
    return followed


def _return_follows(
    rng: np.random.Generator, people: People, user: NDArray[np.int64], followed: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Let the followed follow back, the popular ones less."""
    back = rng.random(len(user)) < RETURN / (1 + people.popularity[followed] / 10)
    return followed[back], user[back]


def _distinct(
    user: NDArray[np.int64], followed: NDArray[np.int64], n_users: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort pairs and leave out repetitions and pairs of one."""
    keys = np.unique((user * n_users + followed)[user != followed])
    return keys // n_users, keys % n_users

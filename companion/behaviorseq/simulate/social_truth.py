"""What is true of the social world: who likes what, and how likely each reaction is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .base import SECONDS_A_DAY, to_seconds
from .social_text import TOPICS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .social_graph import FollowGraph
    from .social_people import People, Posts

#: What people do with a post that they look at.
REACTIONS = ("like", "comment", "share")
# Their logits, one row a reaction: constant, interest, appeal, tie to the author, doublings of age.
_WEIGHTS = np.array(
    [
        [-3.3, 3.5, 0.6, 0.8, -0.25],
        [-5.2, 2.5, 0.4, 1.2, -0.30],
        [-6.0, 3.0, 1.1, 0.4, -0.30],
    ]
)
#: A person looks at the post at position k, from 0, with a chance of 1 + k to this power.
EXAMINE = -0.5
#: Hours until a post counts as once as old; age is counted in doublings from there.
FRESH = 6.0
#: How much a tie in both directions adds to following the author.
MUTUAL = 0.5


@dataclass(frozen=True, eq=False, repr=False)
class SocialTruth:
    """The latent tables and exact probabilities of a social world.

    Parameters
    ----------
    people, posts, graph : People, Posts, FollowGraph
        Tables of the world.
    days : int
        Length of the period.
    events : callable
        Makes the world's event log.
    """

    people: People
    posts: Posts
    graph: FollowGraph
    days: int
    events: Callable[[], pd.DataFrame]

    #: Names of the topics, the columns of `interest` and `topics`.
    topic_names = TOPICS

    @property
    def communities(self) -> NDArray[np.int64]:
        """The community of each user, shape (n_users,)."""
        return self.people.community

    @property
    def appeal(self) -> NDArray[np.float64]:
        """What each post has for everybody, on the logit scale, mean 0, shape (n_items,)."""
        return self.posts.appeal

    @property
    def topics(self) -> NDArray[np.float64]:
        """Shares of the topics in each post, which sum to 1, shape (n_items, n_topics)."""
        return self.posts.topics

    @property
    def visits(self) -> NDArray[np.float64]:
        """Expected visits of each user a day, shape (n_users,)."""
        return self.people.visits

    def interest(self, users: Any = None) -> NDArray[np.float64]:
        """Give the interest of users in each topic, which stays the same for the whole period.

        Parameters
        ----------
        users : array_like of int, optional
            User ids; all of them without it.

        Returns
        -------
        NDArray[float64]
            From 0 to 1, 1 for the strongest of each user, shape (n, n_topics).
        """
        return self.people.interest if users is None else self.people.interest[np.asarray(users)]

    def match(self, users: Any, posts: Any) -> NDArray[np.float64]:
        """Give how well posts fit the interests of users, 0 to 1; arrays of one shape."""
        users, posts = np.broadcast_arrays(users, posts)
        fit: NDArray[np.float64] = np.einsum(
            "...t,...t->...", self.people.interest[users], self.posts.topics[posts]
        )
        return fit

    def tie(self, users: Any, posts: Any, times: Any = None) -> NDArray[np.float64]:
        """Give the tie of users to the authors of posts.

        0 for a stranger, 1 where the user follows the author, 1.5 where each follows the other.
        """
        users, authors, seconds = np.broadcast_arrays(
            users, self.posts.author[np.asarray(posts)], self._seconds(times)
        )
        there = self.graph.follows(users, authors, seconds)
        back = self.graph.follows(authors, users, seconds)
        return there * (1 + MUTUAL * back)

    def examination(self, positions: Any) -> NDArray[np.float64]:
        """Give the chance that a person looks at the post at a position, the first is 0."""
        return (1.0 + np.asarray(positions)) ** EXAMINE

    def reactions(self, users: Any, posts: Any, times: Any = None) -> NDArray[np.float64]:
        """Give the chances that users who look at posts like, comment and share them.

        Parameters
        ----------
        users, posts : array_like of int
            Ids, arrays that broadcast to one shape.
        times : array_like of datetime64 or of seconds since the start, optional
            When; the end of the period without it.

        Returns
        -------
        NDArray[float64]
            With a last axis for `REACTIONS`. Nobody reacts to a post of their own, or to one that
            is not published yet: 0.
        """
        users, posts, seconds = np.broadcast_arrays(users, posts, self._seconds(times))
        age = seconds - self.posts.published[posts]
        doublings = np.log2(1 + np.maximum(age, 0) / (3600 * FRESH))
        logit = np.empty((*users.shape, len(REACTIONS)))
        logit[:] = self.people.warmth[users][..., None] + _WEIGHTS[:, 0]
        logit += self.match(users, posts)[..., None] * _WEIGHTS[:, 1]
        logit += self.posts.appeal[posts][..., None] * _WEIGHTS[:, 2]
        logit += self.tie(users, posts, seconds)[..., None] * _WEIGHTS[:, 3]
        logit += doublings[..., None] * _WEIGHTS[:, 4]
        possible = (age >= 0) & (users != self.posts.author[posts])
        chances: NDArray[np.float64] = possible[..., None] / (1 + np.exp(-logit))
        return chances

    def probability(
        self, behavior: str, users: Any, posts: Any, positions: Any = 0, times: Any = None
    ) -> NDArray[np.float64]:
        """Give the chance that users who are shown posts at positions react in one way.

        Parameters
        ----------
        behavior : {"like", "comment", "share"}
            Which reaction.
        users, posts, positions : array_like of int
            Ids, and places in what was shown, the first is 0; arrays that broadcast to one shape.
        times : array_like of datetime64 or of seconds since the start, optional
            When; the end of the period without it.

        Raises
        ------
        ValueError
            For another behavior.
        """
        if behavior not in REACTIONS:
            raise ValueError(f"behavior must be one of {', '.join(REACTIONS)}, got {behavior!r}")
        chance = self.reactions(users, posts, times)[..., REACTIONS.index(behavior)]
        return self.examination(positions) * chance

    def like_probability(
        self, users: Any, posts: Any, positions: Any = 0, times: Any = None
    ) -> NDArray[np.float64]:
        """Give the chance of a like; see `probability`."""
        return self.probability("like", users, posts, positions, times)

    def comment_probability(
        self, users: Any, posts: Any, positions: Any = 0, times: Any = None
    ) -> NDArray[np.float64]:
        """Give the chance of a comment; see `probability`."""
        return self.probability("comment", users, posts, positions, times)

    def share_probability(
        self, users: Any, posts: Any, positions: Any = 0, times: Any = None
    ) -> NDArray[np.float64]:
        """Give the chance of a share; see `probability`."""
        return self.probability("share", users, posts, positions, times)

    @cached_property
    def cascades(self) -> pd.DataFrame:
        """How posts spread: one row a share, in order of time.

        The columns are ``post``, ``user`` who shared it, ``parent`` through whom it had come to
        them (the author, or somebody who shared it before; -1 where it stood in the feed only
        because it was popular), ``time``, and ``depth``: steps from the author, -1 where the chain
        begins with the popular list.
        """
        events = self.events()
        shares = events[events["behavior"] == "share"]
        user, post = shares["user"].to_numpy(), shares["item"].to_numpy()
        author, source = self.posts.author[post], shares["source"].to_numpy()
        direct = self.graph.follows(user, author, to_seconds(shares["time"]))
        parent = np.where(source >= 0, source, np.where(direct, author, -1))
        return pd.DataFrame(
            {
                "post": post,
                "user": user,
                "parent": parent,
                "time": shares["time"].to_numpy(),
                "depth": _depths(post, user, parent, author, len(self.people.community)),
            }
        )

    def _seconds(self, times: Any) -> NDArray[np.float64]:
        """Read times as seconds since the start of the period."""
        if times is None:
            return np.array(float(self.days * SECONDS_A_DAY))
        times = np.asarray(times)
        seconds: NDArray[np.float64] = (
            to_seconds(times) if times.dtype.kind == "M" else times.astype(np.float64)
        )
        return seconds


def _depths(
    post: NDArray[np.int64],
    user: NDArray[np.int64],
    parent: NDArray[np.int64],
    author: NDArray[np.int64],
    n_users: int,
) -> NDArray[np.int64]:
    """Count the steps from the author to each share, one generation at a time."""
    keys = post * n_users + user
    order = np.argsort(keys)
    place = np.searchsorted(keys[order], post * n_users + parent)
    above = order[np.minimum(place, len(order) - 1)] if len(order) else place
    depth = np.where(parent == author, 1, -1)
    inner = (parent >= 0) & (parent != author)
    while True:
        deeper = np.where(inner & (depth[above] > 0), depth[above] + 1, depth)
        if (deeper == depth).all():
            return depth
        depth = deeper

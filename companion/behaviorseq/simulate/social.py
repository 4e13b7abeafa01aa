"""A simulated social network: a follow graph, posts, a feed, and shares that spread."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from behaviorseq.datasets.sources import Dataset

from .social_audience import SocialAudience
from .social_feed import BEHAVIORS, Feed
from .social_graph import make_graph
from .social_people import COUNTRIES, make_people, make_posts
from .social_text import TOPICS
from .social_truth import SocialTruth
from .world import World, to_datetime, whole

if TYPE_CHECKING:
    from .social_feed import Columns


class Social(World):
    r"""People who follow one another, read, like, comment and share posts.

    DOC

    Parameters
    ----------
    n_users, n_items : int
        Number of people, at least 2, and of posts.
    days : int
        Length of the period.
    seed : int
        Seed of everything.
    communities : int
        Number of communities, at most one a topic.
    follows : int
        About how many people the average person follows.
    """

    name = "social"
    title = "Simulated social network"
    behaviors = BEHAVIORS
    notes = ""

    def __init__(
        self,
        n_users: int,
        n_items: int,
        days: int,
        seed: int = 0,
        *,
        communities: int = 8,
        follows: int = 25,
    ) -> None:
        super().__init__(whole("n_users", n_users, 2), n_items, days, seed)
        self.n_communities = whole("communities", communities, 1, len(TOPICS))
        self.mean_follows = whole("follows", follows, 1)

    def log(self) -> Dataset:
        """Give the event log, the posts and the users, as an observer sees them."""
        columns = Feed(self.truth, lambda hour: self.rng("hour", hour)).run()
        events = _events(columns)
        return Dataset(events, self._items(), self._users(), self.source(len(events)))

    def follows(self) -> pd.DataFrame:
        """Give who follows whom, as an observer sees it.

        Returns
        -------
        pandas.DataFrame
            Columns ``user``, ``followed`` and ``since``, sorted by the first two. Follows since
            before the period began, and follows made during it.
        """
        graph = self.truth.graph
        return pd.DataFrame(
            {"user": graph.user, "followed": graph.followed, "since": to_datetime(graph.since)}
        )

    @cached_property
    def truth(self) -> SocialTruth:
        """The latent tables and probabilities behind the log."""
        people = make_people(self.rng("people"), self.n_users, self.n_communities)
        return SocialTruth(
            people=people,
            posts=make_posts(self.rng("posts"), people, self.n_items, self.days),
            graph=make_graph(self.rng("graph"), people, self.mean_follows, self.days),
            days=self.days,
            events=lambda: self.log().events,
        )

    def audience(self, n_seats: int) -> SocialAudience:
        """Give visitors for whom a recommender fills the feed."""
        return SocialAudience(self.truth, n_seats)

    def _items(self) -> pd.DataFrame:
        posts = self.truth.posts
        return pd.DataFrame(
            {
                "item": np.arange(self.n_items),
                "author": posts.author,
                "published": to_datetime(posts.published),
                "text": pd.Series(posts.text, dtype="str"),
            }
        )

    def _users(self) -> pd.DataFrame:
        people = self.truth.people
        return pd.DataFrame(
            {
                "user": np.arange(self.n_users),
                "country": pd.Series(np.array(COUNTRIES)[people.country], dtype="str"),
                "joined": to_datetime(people.joined),
            }
        )


def _events(columns: Columns) -> pd.DataFrame:
    """Make the event log of its columns."""
    behavior = pd.Categorical.from_codes(columns["behavior"], list(BEHAVIORS))
    return pd.DataFrame(
        {
            "user": columns["user"],
            "item": columns["item"],
            "time": to_datetime(columns["time"]),
            "behavior": pd.Series(behavior).astype("str"),
            "session": columns["session"],
            "position": columns["position"],
            "source": columns["source"],
        }
    )

"""A simulated social network: a follow graph, posts, a feed, and shares that spread."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from behaviorseq.arguments import whole
from behaviorseq.datasets.sources import Dataset

from .base import World, to_datetime
from .social_feed import BEHAVIORS, Feed
from .social_graph import make_graph
from .social_people import COUNTRIES, make_people, make_posts
from .social_text import TOPICS
from .social_truth import SocialTruth

if TYPE_CHECKING:
    from .social_audience import SocialAudience
    from .social_feed import Columns


class Social(World):
    r"""People who follow one another, read, like, comment and share posts.

    A result found here is a result about a simulation. How it is made:

    **People** belong to one of ``communities``, each around a topic. Their interests
    :math:`m_{ut} \in [0, 1]` are two to four of twelve topics, the community's own more often, and
    stay as they are. Visits a day are log-normal over people; hours of the day and days of the
    week differ.

    **Follows** are a degree-corrected stochastic block model (Karrer and Newman, Phys. Rev. E 83,
    016107, 2011) on two levels (Peixoto, Phys. Rev. X 4, 011047, 2014): who follows is drawn by a
    log-normal curiosity; the followed is anybody of a circle of 12 with probability 0.3, else
    drawn by a Pareto popularity, with probability 0.5 in the own community and 0.2 among all.
    Then some follow back, the popular ones less (reciprocity and blocks together: Safdari,
    Contisciani and De Bacco, Phys. Rev. Research 3, 023209, 2021). One follow in ten begins
    during the period; all are in `follows`, which an observer sees.

    **Posts** have an author, one or two topics :math:`q_{pt}` of the author's interests, a normal
    appeal :math:`a_p`, and a text whose words come from the topics.

    **The feed** of a visitor holds posts less than three days old by those they follow, or shared
    by them, and one from the popular list, each shown to a person once: the freshest on top, with
    noise. Each is logged as an ``impression``: the feed chose it, and it may not have been looked
    at; a ``view`` would be the person's own act. ``source`` is who shared it to the person, -1
    where it came from the author or the popular list.

    **Reactions**: a person looks at position k, from 0, with chance :math:`(1 + k)^{-1/2}`
    (the examination hypothesis, one of the models that Craswell et al. compare, An experimental
    comparison of click position-bias models, WSDM 2008; for search they found another to fit
    better), and then likes, comments and shares independently, each with chance

    .. math:: \sigma\Bigl(b_0 + w_u + b_1 \textstyle\sum_t m_{ut} q_{pt} + b_2 a_p + b_3 s_{up}
              - b_4 \log_2(1 + \mathrm{age} / 6\,\mathrm{h})\Bigr),

    where :math:`w_u` is the person's warmth and :math:`s_{up}` the tie to the author: 0 without
    a follow, 1 with, 1.5 in both directions.

    **Shares spread** along the graph from the next hour on, as in the independent cascade model
    (Kempe, Kleinberg and Tardos, Maximizing the spread of influence through a social network,
    KDD 2003), with interests, as Goel, Munagala, Sharma and Zhang (A note on modeling retweet
    cascades on Twitter, 2015) found necessary. One difference: a post is shown to a person once,
    so the freshest of several ways has the only chance.

    Posts live three days, so a model over post ids has little time to learn: authors, text and
    graph have to carry what it knows.

    Where it differs from reality: nobody joins, leaves, unfollows or changes; new follows do not
    come from what was read; rates of reaction are fitted to no network; chains of shares are
    longer than on Twitter, where structural virality is typically low (Goel, Anderson, Hofman and
    Watts, The structural virality of online diffusion, Management Science, 2015); all live in one
    time zone, and a country says nothing; the texts are a few patterns.

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
        How often the average person chooses somebody to follow. Whom they choose twice they
        follow once, and some follow back, so it is about how many they follow.

    Raises
    ------
    ValueError
        If a number is not whole or out of its range.

    Examples
    --------
    >>> from behaviorseq import simulate
    >>> world = simulate.world("social", n_users=100, n_items=200, days=7)
    >>> log = world.log()
    >>> sorted(log.events["behavior"].unique())
    ['comment', 'impression', 'like', 'share']
    >>> world.truth.like_probability(users=[0, 1], posts=[5, 5], positions=0).round(3)
    array([0.024, 0.106])
    """

    name = "social"
    title = "Simulated social network"
    behaviors = BEHAVIORS
    notes = (
        "A simulation. An impression is a post shown; its position is its place in the visit, "
        "from 0, and source is who shared it to the user, -1 where it came from the author or the "
        "popular list. Reactions come 1 to 3 seconds after the impression. Topics, communities, "
        "interests, appeal and all probabilities are in the truth only; the follows are in "
        "world.follows(). Rates of reaction are fitted to no network."
    )

    def __init__(
        self,
        n_users: int,
        n_items: int,
        days: int,
        seed: int = 0,
        *,
        communities: int = 8,
        follows: int = 35,
    ) -> None:
        self.n_communities = whole("communities", communities, 1, len(TOPICS))
        self.n_follows = whole("follows", follows, 1)
        options = {"communities": self.n_communities, "follows": self.n_follows}
        super().__init__(whole("n_users", n_users, 2), n_items, days, seed, **options)

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
            graph=make_graph(self.rng("graph"), people, self.n_follows, self.days),
            days=self.days,
            events=lambda: self.log().events,
        )

    def audience(self, n_seats: int) -> SocialAudience:
        """Give visitors for whom a recommender fills the feed; there are no options."""
        from .social_audience import SocialAudience  # gymnasium: only where it is needed

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

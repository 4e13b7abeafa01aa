"""How people of the social world react to a feed that a recommender fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .audience import Audience, Reaction
from .base import SECONDS_A_DAY
from .social_truth import REACTIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .social_truth import SocialTruth

#: Posts that a visitor remembers: one of them, shown again, gets no reaction.
MEMORY = 100
#: Chance to leave after a slate when not bored, and what boredom adds at most.
LEAVE, TIRED = 0.02, 0.4
#: Posts without a like at which boredom has half of its effect.
PATIENCE = 15
#: Seconds on each post.
DWELL = 15.0


class SocialAudience(Audience):
    """Visitors who look at, like, comment and share posts, and leave when bored.

    Boredom is the number of posts in a row that they did not like.

    Parameters
    ----------
    truth : SocialTruth
        How people react.
    n_seats : int
        Visitors at once.
    """

    def __init__(self, truth: SocialTruth, n_seats: int) -> None:
        self.truth = truth
        self.users = np.zeros(n_seats, dtype=np.int64)
        self.boredom = np.zeros(n_seats)
        self.shown = np.full((n_seats, MEMORY), -1, dtype=np.int64)
        self.clock = np.full(n_seats, float(truth.days * SECONDS_A_DAY))

    def seat(self, seats: NDArray[np.int64], users: NDArray[np.int64]) -> None:
        """Let users take seats, with an open mind."""
        self.users[seats] = users
        self.boredom[seats] = 0
        self.shown[seats] = -1
        self.clock[seats] = float(self.truth.days * SECONDS_A_DAY)

    def react(self, slates: NDArray[np.int64], rng: np.random.Generator) -> Reaction:
        """Show each seat its slate, and see what happens."""
        positions = np.arange(slates.shape[1])
        chances = self.truth.reactions(self.users[:, None], slates, self.clock[:, None])
        looked = rng.random(slates.shape) < self.truth.examination(positions)
        done = (looked & ~self.again(slates))[..., None] & (rng.random(chances.shape) < chances)
        liked = done[..., REACTIONS.index("like")]
        leaves = rng.random(len(slates)) < self._note(slates, liked)
        seconds = np.full(len(slates), DWELL * slates.shape[1])
        self.clock += seconds
        acts = {name: done[..., place] for place, name in enumerate(REACTIONS)}
        return Reaction(
            done={"impression": np.ones(slates.shape, dtype=bool), **acts},
            liked=liked,
            reward=liked.sum(axis=1).astype(np.float64),
            leaves=leaves,
            seconds=seconds,
        )

    def again(self, slates: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say which posts of the slates the visitor has just been shown, shape (n_seats, slate)."""
        before = (slates[:, :, None] == self.shown[:, None, :]).any(axis=2)
        twice = slates[:, :, None] == slates[:, None, :]
        earlier = np.tril(np.ones(slates.shape[1:] * 2, dtype=bool), -1)
        again: NDArray[np.bool_] = before | (twice & earlier).any(axis=2)
        return again

    def _note(self, slates: NDArray[np.int64], liked: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Remember what was shown, and give the chance that each visitor leaves."""
        self.shown = np.concatenate([self.shown, slates], axis=1)[:, -MEMORY:]
        since = np.argmax(liked[:, ::-1], axis=1)  # posts after the last that was liked
        any_liked = liked.any(axis=1)
        self.boredom = np.where(any_liked, since, self.boredom + slates.shape[1])
        return leave_probability(self.boredom)


def leave_probability(boredom: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the chance that visitors leave, by the number of posts in a row they did not like."""
    return LEAVE + TIRED * boredom / (boredom + PATIENCE)

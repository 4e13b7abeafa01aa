"""The model that knows the truth of a simulated world: what is possible there at best."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from behaviorseq.models.recommender import Recommender
from behaviorseq.simulate.base import START

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences


class NextClickTruth(Protocol):
    """What the oracle asks of the truth of a world."""

    def next_click_scores(
        self, users: NDArray[np.int64], times: NDArray[np.datetime64], last_items: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Give the chance of each item to be the next click, (n, all items of the world).

        ``times`` are those of the last click and ``last_items`` the items of it; -1 where a user
        has none.
        """


class Oracle(Recommender):
    """Scores items by their true chance to come next, in a simulated world.

    It breaks the rule that a model never knows whose history it reads: that is its use. It looks
    up the user's interests at the time of the last event, and which items the shop shows next to
    the last one. It does not know what chance will do, so it is no perfect predictor.

    Parameters
    ----------
    truth : NextClickTruth
        The truth of a world of which the log was made; users and items keep their ids.

    Examples
    --------
    >>> from behaviorseq import Sequences, simulate
    >>> world = simulate.world("shop", n_users=50, n_items=60, days=20)
    >>> events = world.log().events
    >>> clicks = Sequences.from_events(events[events["behavior"] == "click"])
    >>> Oracle(world.truth).fit(clicks).score(clicks).shape == (len(clicks), clicks.n_items)
    True
    """

    needs_history: ClassVar[bool] = False

    def __init__(self, truth: NextClickTruth) -> None:
        self.truth = truth

    def __repr__(self) -> str:
        """Show the name."""
        return "Oracle()"

    def _fit(self, train: Sequences) -> None:
        """Learn nothing."""

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        if histories.times is None or histories.times.dtype.kind != "M":
            raise ValueError("the oracle needs the times of the events, as dates")
        users = histories.user_ids.decode(histories.users)
        last_items = np.full(len(histories), -1, dtype=np.int64)
        times = np.full(
            len(histories), START
        )  # of a user without a click, of whom no time is known
        has = histories.lengths > 0
        ends = histories.offsets[1:][has] - 1
        last_items[has] = histories.item_ids.decode(histories.items[ends])
        times[has] = histories.times[ends]
        scores = self.truth.next_click_scores(users, times, last_items)
        return scores[:, histories.item_ids.ids].astype(np.float32)

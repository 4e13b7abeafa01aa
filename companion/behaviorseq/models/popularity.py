"""Recommenders without learning: chance, popularity, and the user's own habits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import scipy.sparse as sp

from behaviorseq.arguments import require
from behaviorseq.models.recommender import Recommender, decayed_counts, item_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences


@dataclass(eq=False)
class Random(Recommender):
    """Score every item by chance: the floor that any model has to clear.

    The score of an item is a hash of the seed, the history (its items in order) and the item,
    uniform in [0, 1). So it does not depend on how histories are cut into chunks, and equal
    histories, empty ones included, get equal scores.

    Parameters
    ----------
    seed : int
        Another seed gives other scores.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Random, Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 2, 2], "item": ["a", "b", "b", "c"],
    ...                     "time": [0, 1, 0, 1], "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> scores = Random(seed=1).fit(histories).score(histories)
    >>> scores.shape, bool((scores >= 0).all() and (scores < 1).all())
    ((2, 3), True)
    """

    seed: int = 0
    needs_history: ClassVar[bool] = False
    _n_items: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the seed."""
        rule = "a whole number of 0 or more"
        require("seed", self.seed, isinstance(self.seed, int) and self.seed >= 0, rule)

    def _fit(self, train: Sequences) -> None:
        self._n_items = train.n_items

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        seed = np.uint64(self.seed % 2**64)
        # The position enters the hash, so that the same items in another order differ.
        position = histories.position_from_end.astype(np.uint64)
        events = _mix(_mix(histories.items.astype(np.uint64)) + position)
        # Sums of unsigned integers wrap, so differences of running sums are exact.
        sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(events, dtype=np.uint64)])
        rows = _mix(sums[histories.offsets[1:]] - sums[histories.offsets[:-1]] + seed)
        items = _mix(np.arange(self._n_items, dtype=np.uint64))
        mixed = _mix(rows[:, None] ^ items)
        return (mixed >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of 64-bit integers (SplitMix64; Steele, Lea and Flood, OOPSLA 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        x ^= x >> np.uint64(shift)
        x *= np.uint64(factor)
    return x


@dataclass(eq=False)
class Popularity(Recommender):
    """Score every item by its number of events in the training log, for every history alike.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Popularity, Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 2, 2, 2], "item": ["a", "b", "b", "c", "b"],
    ...                     "time": [0, 1, 0, 1, 2], "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> Popularity().fit(histories).score(histories)
    array([[1., 3., 1.],
           [1., 3., 1.]], dtype=float32)
    """

    needs_history: ClassVar[bool] = False
    streams: ClassVar[bool] = True

    def _fit(self, train: Sequences) -> None:
        pass  # the counts are what every model keeps for empty histories

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        return np.tile(self._popularity, (len(histories), 1))


@dataclass(eq=False)
class RecentPopularity(Recommender):
    """Score every item by its number of events in the last ``days`` of the training log.

    What is popular changes; counting all time recommends what was popular long ago
    (Ji et al., A re-visit of the popularity baseline in recommender systems, SIGIR 2020,
    arXiv 2005.13829). The days end with the last event of the training log, so fit the model
    on everything known before the moment of recommendation.

    Parameters
    ----------
    days : float
        Length of the window, in days.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import RecentPopularity, Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 2, 2], "item": ["a", "a", "b", "c"],
    ...                     "time": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-02-01",
    ...                                             "2020-02-02"]), "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> RecentPopularity(days=7).fit(histories).score(histories)
    array([[0., 1., 1.],
           [0., 1., 1.]], dtype=float32)
    """

    days: float
    needs_history: ClassVar[bool] = False
    _recent: NDArray[np.float32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the window."""
        require("days", self.days, self.days > 0, "a number of days above 0")

    def _fit(self, train: Sequences) -> None:
        times = _dates(train, "RecentPopularity")
        age = (times.max() - times) / np.timedelta64(1, "D")
        self._recent = item_counts(train.keep(age < self.days))

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        return np.tile(self._recent, (len(histories), 1))


@dataclass(eq=False)
class UserFrequency(Recommender):
    r"""Score every item by how often the user took it before, old events counting less.

    Where people buy the same again, this is the baseline to beat (Hu et al., Modeling
    personalized item frequency information for next-basket recommendation, SIGIR 2020,
    arXiv 2006.00556). Over the events :math:`e` of the history with item :math:`i`,

    .. math:: s_i = \sum_{e} 2^{-\mathrm{age}_e / h} \quad\text{or}\quad
              s_i = \sum_{e} d^{\,\mathrm{position\ from\ end}_e},

    where the age is counted in days from the last event of the same history (another moment
    would only scale the row). Popularity breaks ties and nothing else: it orders items of equal
    frequency, and items that the user never took, whose scores lie in [-1, 0). So an empty
    history gets the order of popularity.

    Parameters
    ----------
    half_life_days : float, optional
        An event that is ``h`` days older counts half. Needs times.
    decay : float, optional
        Factor ``d`` in (0, 1] for each position from the end. With neither, all events count 1.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences, UserFrequency
    >>> log = pd.DataFrame({"user": [1, 1, 1, 2, 2], "item": ["a", "b", "a", "c", "c"],
    ...                     "time": [0, 1, 2, 0, 1], "behavior": "purchase"})
    >>> histories = Sequences.from_events(log)
    >>> UserFrequency(decay=0.5).fit(histories).score(histories)[0]
    array([ 1.25,  0.5 , -0.5 ], dtype=float32)
    """

    half_life_days: float | None = None
    decay: float | None = None
    needs_history: ClassVar[bool] = False
    _place: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check that at most one kind of decay is given, and its range."""
        if self.half_life_days is not None and self.decay is not None:
            raise ValueError("give half_life_days or decay, not both: they are two kinds of decay")
        half_life, decay = self.half_life_days, self.decay
        ok = half_life is None or half_life > 0
        require("half_life_days", half_life, ok, "a number of days above 0, or None")
        require("decay", decay, decay is None or 0 < decay <= 1, "in (0, 1], or None")

    def _fit(self, train: Sequences) -> None:
        self._place = np.unique(self._popularity, return_inverse=True)[1]

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        unseen = (self._place / (self._place.max() + 1) - 1).astype(np.float32)
        scores = np.tile(unseen, (len(histories), 1))
        own = self._frequency(histories).tocoo()
        scores[own.row, own.col] = _break_ties(own.row, own.data, self._place[own.col])
        return scores

    def _frequency(self, histories: Sequences) -> sp.csr_array:
        if self.half_life_days is None:
            return decayed_counts(histories, 1.0 if self.decay is None else self.decay)
        times = _dates(histories, "UserFrequency(half_life_days=...)")
        last = times[histories.offsets[1:][histories.row_of_event] - 1]
        age = (last - times) / np.timedelta64(1, "D")
        return histories.to_csr(np.exp2(-age / self.half_life_days).astype(np.float32))


def _break_ties(
    rows: NDArray[np.int32], values: NDArray[np.float32], places: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Raise equal values of a row by the least steps that order them by place.

    Values are not negative, so the next larger float32 is the next larger integer of its bits.
    """
    order = np.lexsort((places, values, rows))
    row, value, place = rows[order], values[order], places[order]
    tied = (row[1:] == row[:-1]) & (value[1:] == value[:-1])
    steps = np.concatenate([[0], np.cumsum(tied & (place[1:] > place[:-1]))])[: len(order)]
    first = np.concatenate([[0], np.where(tied, 0, np.arange(1, len(order)))])[: len(order)]
    raised = np.empty_like(values)
    above = steps - steps[np.maximum.accumulate(first)]
    raised[order] = (value.view(np.int32) + above.astype(np.int32)).view(np.float32)
    return raised


def _dates(sequences: Sequences, who: str) -> NDArray[np.datetime64]:
    """Give the times of the events, or say that the log has none."""
    times = sequences.times
    if times is None or times.dtype.kind != "M":
        kept = "no times" if times is None else "integer positions, not dates"
        raise ValueError(
            f"{who} needs the time of each event (datetime64), but these sequences keep {kept}; "
            "use Popularity, or UserFrequency with decay by position"
        )
    return times

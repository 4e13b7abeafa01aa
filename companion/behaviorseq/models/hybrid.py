"""Hybrids: several models as one (Burke, Hybrid recommender systems, UMUAI 12(4), 2002)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from behaviorseq.arguments import is_count, require
from behaviorseq.models.recommender import Recommender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences


@dataclass(eq=False)
class Blend(Recommender):
    r"""Add the scores of several models, on one scale.

    The weighted hybrid of Burke (2002, section 3). Model :math:`m` gives item :math:`i` the score
    :math:`s_{mi}`; per history, its scores are standardised over all items, so that neither
    unit nor spread of a model counts:

    .. math:: s_i = \sum_m w_m \frac{s_{mi} - \mathrm{mean}_i\, s_{mi}}{\mathrm{std}_i\, s_{mi}}

    A model that scores all items alike adds 0. A score of -inf (never recommended) stays so.
    Each model treats empty histories in its own way.

    Parameters
    ----------
    models : sequence of Recommender
        The models; ``fit`` fits each of them.
    weights : sequence of float, optional
        One number for each model; equal weights without it.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Blend, ItemKNN, Popularity, Sequences
    >>> log = pd.DataFrame({"user": [1, 1, 2, 2, 3], "item": ["a", "b", "a", "b", "c"],
    ...                     "time": [0, 1, 0, 1, 0], "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> model = Blend([ItemKNN(), Popularity()], weights=[0.8, 0.2]).fit(histories)
    >>> model.score(histories).shape
    (3, 3)
    """

    models: Sequence[Recommender]
    weights: Sequence[float] | None = None
    needs_history: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check that there are models and a weight for each."""
        if not self.models:
            raise ValueError("models must hold one model or more")
        if self.weights is not None:
            n = len(self.models)
            ok = len(self.weights) == n and bool(np.isfinite(self.weights).all())
            require("weights", self.weights, ok, f"{n} numbers, one for each model")

    def _fit(self, train: Sequences) -> None:
        for model in self.models:
            model.fit(train)

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        weights = [1.0] * len(self.models) if self.weights is None else self.weights
        total = np.zeros((len(histories), histories.n_items), dtype=np.float32)
        for model, weight in zip(self.models, weights, strict=True):
            scores = model.score(histories)
            total += np.float32(weight) * _standardized(scores)
            total[scores == -np.inf] = -np.inf
        return total


def _standardized(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row to mean 0 and deviation 1 over its finite scores; all others become 0."""
    kept = scores > -np.inf
    n = np.maximum(kept.sum(axis=1, keepdims=True), 1)
    mean = scores.sum(axis=1, keepdims=True, where=kept, dtype=np.float64) / n
    centred = np.where(kept, scores - mean.astype(np.float32), np.float32(0))
    deviation = np.sqrt(np.square(centred).sum(axis=1, keepdims=True, dtype=np.float64) / n)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    scaled: NDArray[np.float32] = centred * scale.astype(np.float32)
    return scaled


@dataclass(eq=False)
class Switch(Recommender):
    """Ask one model for short histories and another for long ones.

    The switching hybrid of Burke (2002, section 3): a simple model where little is known of a
    user, the stronger one where there is enough for it. A row's scores come from one model alone,
    so the models need no common scale.

    Parameters
    ----------
    short : Recommender
        The model for histories of fewer than ``min_events`` events, empty ones included.
    long : Recommender
        The model for the others. ``fit`` fits both.
    min_events : int
        Where the long histories begin.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import ItemKNN, Popularity, Sequences, Switch
    >>> log = pd.DataFrame({"user": [1, 1, 2, 2, 3], "item": ["a", "b", "a", "b", "c"],
    ...                     "time": [0, 1, 0, 1, 0], "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> model = Switch(short=Popularity(), long=ItemKNN(), min_events=2).fit(histories)
    >>> model.score(histories)[2]
    array([2., 2., 1.], dtype=float32)
    """

    short: Recommender
    long: Recommender
    min_events: int
    needs_history: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the length."""
        rule = "a whole number of 1 or more"
        require("min_events", self.min_events, is_count(self.min_events), rule)

    def _fit(self, train: Sequences) -> None:
        self.short.fit(train)
        self.long.fit(train)

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        is_long = histories.lengths >= self.min_events
        scores = np.empty((len(histories), histories.n_items), dtype=np.float32)
        for model, rows in ((self.long, is_long), (self.short, ~is_long)):
            scores[rows] = model.score(histories.take(rows))
        return scores

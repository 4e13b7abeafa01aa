"""Model-based recommendation: a classical learner on features of a history and an item."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from behaviorseq.arguments import check_counts, require
from behaviorseq.models.gradient import among, cells_of
from behaviorseq.models.neighbors import ItemKNN
from behaviorseq.models.popularity import Popularity, RecentPopularity
from behaviorseq.models.recommender import (
    Recommender,
    binary,
    chunks,
    decayed_counts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences


def pair_models(days: float = 7.0, decay: float = 0.8) -> dict[str, Recommender]:
    """Give the recommenders whose scores are the features of a pair unless others are named.

    Parameters
    ----------
    days : float
        What counts as recent, for ``RecentPopularity``.
    decay : float
        Recency decay of the item-kNN.

    Returns
    -------
    dict of str to Recommender
        ``popularity``, ``recent popularity``, ``item-kNN`` and ``item-kNN, order ignored``.
    """
    return {
        "popularity": Popularity(),
        "recent popularity": RecentPopularity(days),
        "item-kNN": ItemKNN(decay=decay),
        "item-kNN, order ignored": ItemKNN(decay=1.0),
    }


@dataclass(eq=False)
class FeatureModel(Recommender):
    r"""Let a classical learner tell the item that came next from items that did not.

    A pair of a history and an item is described by a few numbers: what some simple recommenders
    score the item (``pair_models``; a score enters as :math:`\pm\ln(1 + |s|)`), and three facts
    of the history: how many events it has, how popular its items are on average (logarithms), and
    how far the item's popularity is from that. Any scikit-learn classifier or regressor learns
    from them. With a collaborative model among the features it is a hybrid by feature
    augmentation (Burke, Hybrid recommender systems, UMUAI 12(4), 2002, section 3).

    The events to be learned from do not leak into the features of their own pairs. The last
    ``positives`` events of each training history are set aside; the feature models are fitted on
    the rest; a positive pair is one of the events set aside with the history before it, its
    negatives are items drawn uniformly from those the user never took. (Features of a pair still
    hold what other users did later, as all of leave-one-out does, and recent popularity is that at
    the end of the log.) Then the feature models are fitted again on all training histories, and
    those score. An empty history gets popularity.

    Parameters
    ----------
    estimator : scikit-learn estimator
        A classifier or regressor. It is cloned, features are brought to mean 0 and deviation 1
        before it; the score is its ``decision_function``, its probability of class 1, or
        its ``predict``, whichever it has first.
    models : mapping of str to Recommender, optional
        The feature models; ``pair_models()`` without it.
    positives : int
        Most events of a history to learn from: its last ones.
    negatives : int
        Items drawn for each of them.
    seed : int
        Seed of the draws.

    Attributes
    ----------
    feature_names : tuple of str
        The features, in order.
    learner : sklearn.pipeline.Pipeline
        The scaler and the fitted estimator. After ``fit``.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from behaviorseq import FeatureModel, ItemKNN, Sequences
    >>> log = pd.DataFrame({"user": np.repeat(range(6), 3), "item": list("abcbcacabxyzyzxzxy"),
    ...                     "time": list(range(3)) * 6, "behavior": "view"})
    >>> histories = Sequences.from_events(log)
    >>> model = FeatureModel(LogisticRegression(), {"item-kNN": ItemKNN()}, positives=1)
    >>> items, _ = model.fit(histories).recommend(histories.last(2), k=1)
    >>> histories.item_ids.decode(items[[0, 5], 0]).tolist()  # a goes with b, c; z with x, y
    ['a', 'z']
    """

    estimator: Any
    models: Mapping[str, Recommender] | None = None
    positives: int = 3
    negatives: int = 20
    seed: int = 0
    feature_names: tuple[str, ...] = field(init=False, repr=False)
    learner: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the numbers of pairs and name the features."""
        check_counts(self, "positives", "negatives")
        self._models = dict(pair_models() if self.models is None else self.models)
        require("models", self._models, bool(self._models), "one model or more, by name")
        of_history = ("history length", "popularity of the history", "distance in popularity")
        self.feature_names = (*self._models, *of_history)

    def _fit(self, train: Sequences) -> None:
        from sklearn.base import clone
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        features, is_positive = self.training_pairs(train)
        self.learner = make_pipeline(StandardScaler(), clone(self.estimator))
        self.learner.fit(features, is_positive)
        self._fit_models(train)

    def training_pairs(self, train: Sequences) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Make the features and labels that the estimator learns from.

        Parameters
        ----------
        train : Sequences
            Training histories.

        Returns
        -------
        features : NDArray[float32]
            Shape (n_pairs, n_features).
        is_positive : NDArray[int64]
            1 for an item that came next, 0 for a drawn one, shape (n_pairs,).

        Raises
        ------
        ValueError
            If no history has an event to learn from and one before it.
        """
        aside = train.position_from_end < self.positives
        first = np.repeat(train.offsets[:-1], train.lengths)
        events = np.flatnonzero(aside & (np.arange(train.n_events) > first))
        if not len(events) or aside.all():
            raise ValueError(
                f"no history has an event before those set aside: positives="
                f"{self.positives}; lower it, or give longer histories"
            )
        self._fit_models(train.keep(~aside))
        row, own = train.row_of_event[events], train.items[events].astype(np.int64)
        drawn = np.random.default_rng(self.seed).integers(
            0, train.n_items, (len(events), self.negatives)
        )
        items = np.column_stack([own, drawn])
        taken = cells_of(binary(train.to_csr()))
        usable = ~among(taken, (row[:, None] * train.n_items + items).ravel()).reshape(items.shape)
        usable[:, 0] = True
        features = self._of_pairs(_before(train, events), items)
        labels = np.zeros(items.shape, dtype=np.int64)
        labels[:, 0] = 1
        return features[usable], labels[usable]

    def _fit_models(self, train: Sequences) -> None:
        for model in self._models.values():
            model.fit(train)
        counts = np.bincount(train.items, minlength=train.n_items)
        self._log_counts = np.log1p(counts).astype(np.float32)

    def _of_pairs(self, histories: Sequences, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Describe some items for each history, (n_histories, n_items_each, n_features)."""
        parts = []
        for start, stop in chunks(len(histories), self._row_bytes(histories)):
            every = self._features(histories.slice(start, stop))
            parts.append(np.take_along_axis(every, items[start:stop, :, None], axis=1))
        return np.concatenate(parts)

    def _features(self, histories: Sequences) -> NDArray[np.float32]:
        """Describe every item for each history, (n_histories, n_items, n_features)."""
        n_histories, n_items = len(histories), histories.n_items
        features = np.empty((n_histories, n_items, len(self.feature_names)), dtype=np.float32)
        for place, model in enumerate(self._models.values()):
            scores = model.score(histories)
            features[:, :, place] = np.copysign(np.log1p(np.abs(scores)), scores)
        lengths = histories.lengths
        total = decayed_counts(histories, 1.0) @ self._log_counts
        mean = (total / np.maximum(lengths, 1)).astype(np.float32)[:, None]
        features[:, :, -3] = np.log1p(lengths)[:, None]
        features[:, :, -2] = mean
        features[:, :, -1] = np.abs(self._log_counts - mean)
        return features

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        scores = np.empty((len(histories), histories.n_items), dtype=np.float32)
        for start, stop in chunks(len(histories), self._row_bytes(histories)):
            features = self._features(histories.slice(start, stop))
            pairs = features.reshape(-1, features.shape[-1])
            scores[start:stop] = _decide(self.learner, pairs).reshape(features.shape[:2])
        return scores

    def _row_bytes(self, histories: Sequences) -> int:
        return 4 * histories.n_items * len(self.feature_names)


def _before(train: Sequences, events: NDArray[np.int64]) -> Sequences:
    """Give the history before each of some events, one row an event."""
    row = train.row_of_event[events]
    whole = train.take(row)
    place = np.arange(whole.n_events) - np.repeat(whole.offsets[:-1], whole.lengths)
    return whole.keep(place < np.repeat(events - train.offsets[row], whole.lengths))


def _decide(learner: Any, pairs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Ask the learner how much a pair looks like a positive one."""
    if hasattr(learner, "decision_function"):
        decided = learner.decision_function(pairs)
    elif hasattr(learner, "predict_proba"):
        decided = learner.predict_proba(pairs)[:, 1]
    else:
        decided = learner.predict(pairs)
    return np.asarray(decided, dtype=np.float32)

"""Families of features: each learns from a past, if it has to, then describes the users of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from behaviorseq.arguments import is_count, require

from .frames import from_table
from .graph import item_features, transition_graph
from .histories import history_means
from .text import text_factors, text_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences
    from behaviorseq.vocabulary import Vocabulary

    from .extract import Past


class Encoder(Protocol):
    """What ``LearnedFeatures`` needs of a model, such as GRU4Rec or MultVAE."""

    def fit(self, train: Sequences) -> Any:
        """Learn from histories, by predicting their next items or whatever the model does."""

    def encode(self, histories: Sequences) -> NDArray[np.float32]:
        """Give a vector for each history, (n_histories, width)."""


class Family(ABC):
    """A family of features."""

    def fit(self, past: Past) -> None:  # noqa: B027 - most families learn nothing
        """Learn what the family needs, such as a graph of items, from the events of a past."""

    @abstractmethod
    def of(self, past: Past) -> pd.DataFrame:
        """Describe the users of a past, users as the index in any order; some may be left out."""


@dataclass
class TableFeatures(Family):
    """Features that a function computes from a dataframe of events, on any engine.

    Parameters
    ----------
    function : callable
        Such as :func:`user_statistics`, :func:`series_features`, :func:`purchase_statistics`:
        takes events and a moment, gives one row a user.
    options : dict
        More arguments of the function.
    behavior : str, optional
        Read only events of this behavior.
    """

    function: Callable[..., Any]
    options: dict[str, Any] = field(default_factory=dict)
    behavior: str | None = None

    def of(self, past: Past) -> pd.DataFrame:
        """Call the function on the past; without an event of the behavior, describe nobody."""
        there = past.has(self.behavior)
        events = past.only(self.behavior if there else None)  # all events: the same columns
        made = self.function(events, past.moment, **self.options)
        table = from_table(made).lazy().collect().to_pandas().set_index("user")
        return table if there else table.iloc[:0]


@dataclass
class ItemFeatures(Family):
    """Features of items, learned from a past, averaged over each user's events.

    Events of items that had none when the family was fitted are left aside.

    Parameters
    ----------
    decay : float
        The event that is one place earlier weighs so many times as much; 1 weighs all alike.
    behavior : str, optional
        Read only events of this behavior.
    """

    decay: float = field(default=1.0, kw_only=True)
    behavior: str | None = field(default=None, kw_only=True)

    @abstractmethod
    def table(self, histories: Sequences) -> pd.DataFrame:
        """Describe each item code in a row."""

    def fit(self, past: Past) -> None:
        """Describe the items of the past."""
        histories = past.histories(self.behavior)
        self.item_ids, self.described = histories.item_ids, self.table(histories)

    def of(self, past: Past) -> pd.DataFrame:
        """Average the features of each user's items; not a number without an item known."""
        histories = recoded(past.histories(self.behavior), self.item_ids)
        means = history_means(histories, self.described.to_numpy(np.float64), self.decay)
        return pd.DataFrame(means, past.users, self.described.columns)


@dataclass
class GraphFeatures(ItemFeatures):
    """Degree, strength and PageRank of a user's items in the graph of transitions.

    Parameters
    ----------
    weights : sequence of float
        Weights of a transition by its distance; see :func:`transition_graph`.
    """

    weights: Sequence[float] = (1.0,)

    def table(self, histories: Sequences) -> pd.DataFrame:
        """Describe each item by its place in the graph."""
        return item_features(transition_graph(histories, self.weights))


@dataclass
class TextFeatures(ItemFeatures):
    """The texts of a user's items, shortened to some directions.

    Parameters
    ----------
    items : pandas.DataFrame
        One row an item: column ``item`` and text columns.
    columns : sequence of str
        The text columns to read.
    factors : int, optional
        Directions that are kept (see :func:`text_factors`); None keeps the vectors as they are,
        for a hashing vectorizer with few dimensions.
    vectorizer : scikit-learn vectorizer, optional
        See :func:`text_vectors`.
    seed : int
        Seed of the decomposition.
    """

    items: pd.DataFrame = field(repr=False)
    columns: Sequence[str]
    factors: int | None = 16
    vectorizer: Any = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the number of factors."""
        good = self.factors is None or is_count(self.factors)
        require("factors", self.factors, good, "a whole number of 1 or more, or None")

    def table(self, histories: Sequences) -> pd.DataFrame:
        """Make the vector of each item."""
        vectors, _ = text_vectors(self.items, histories.item_ids, self.columns, self.vectorizer)
        if self.factors is None:
            return pd.DataFrame(vectors.toarray())
        return pd.DataFrame(text_factors(vectors, self.factors, self.seed))


@dataclass
class LearnedFeatures(Family):
    """The vector that a model makes of each history, after it learned from a past.

    Nobody labels anything: a network over histories learns by predicting each next item
    (self-supervised), and what it keeps in mind of a history describes the user.

    Parameters
    ----------
    model : Encoder
        A model with ``fit`` and ``encode``, such as GRU4Rec or NextItNet. It is
        fitted in place.
    behavior : str, optional
        Read only events of this behavior.
    """

    model: Encoder
    behavior: str | None = None

    def fit(self, past: Past) -> None:
        """Fit the model on the histories of the past."""
        histories = past.histories(self.behavior)
        self.item_ids = histories.item_ids
        self.model.fit(histories)

    def of(self, past: Past) -> pd.DataFrame:
        """Encode the histories."""
        histories = recoded(past.histories(self.behavior), self.item_ids)
        return pd.DataFrame(self.model.encode(histories), past.users)


def recoded(histories: Sequences, item_ids: Vocabulary) -> Sequences:
    """Give the same rows in the codes of another vocabulary, without the items it lacks."""
    codes = item_ids.encode(histories.item_ids.ids, unknown=-1)[histories.items]
    known = histories.keep(codes >= 0)
    return replace(known, items=codes[codes >= 0], item_ids=item_ids)

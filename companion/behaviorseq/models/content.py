"""Recommendation from what items are: their texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from behaviorseq.arguments import require
from behaviorseq.features.text import check_text_columns, text_vectors, unit_rows
from behaviorseq.models.recommender import Recommender, decayed_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import scipy.sparse as sp
    from numpy.typing import NDArray

    from behaviorseq.sequences import Sequences


@dataclass(eq=False)
class TextContent(Recommender):
    r"""Score items by how like their text is to the texts of the history.

    Each text column becomes a TF-IDF vector of length 1 (scikit-learn's ``TfidfVectorizer``), or a
    bag of words: the same without the weights by rarity. The vectors of an item's columns stand
    side by side, scaled to length 1, as :math:`v_i`. The profile of a history is the mean of its
    vectors, recent ones counting more, and

    .. math:: p = \frac{\sum_e d^{\,\mathrm{position\ from\ end}_e} \, v_{j_e}}
                       {\sum_e d^{\,\mathrm{position\ from\ end}_e}}, \qquad
              s_i = \frac{p \cdot v_i}{\|p\| \|v_i\|}

    (Lops, de Gemmis and Semeraro, Content-based recommender systems: state of the art and trends,
    in Recommender Systems Handbook, 2011). Other users play no part, so an item without any event
    can be recommended. An item without text scores 0, as does everything for a history without
    text. An empty history gets popularity.

    Parameters
    ----------
    items : pandas.DataFrame
        One row an item: column ``item`` (the ids of the log) and text columns; a missing text is
        an empty one.
    columns : sequence of str
        The text columns to read.
    decay : float
        The factor :math:`d` in [0, 1]; 1 weighs all events alike.
    vectorizer : TfidfVectorizer, optional
        Settings for each column, for example ``TfidfVectorizer(analyzer="char", ngram_range=
        (1, 2))`` for Chinese. By default words of two letters or more.
    weighting : {"tf-idf", "bag of words"}
        Whether a rare word weighs more than a common one. A given ``vectorizer`` decides itself.

    Attributes
    ----------
    vectors : scipy.sparse.csr_array
        The vectors :math:`v_i`, shape (n_items, n_terms). After ``fit``.
    terms : NDArray[object]
        Column and term of each dimension, ``"title: blue"``. After ``fit``.

    Examples
    --------
    >>> import pandas as pd
    >>> from behaviorseq import Sequences, TextContent
    >>> log = pd.DataFrame({"user": [1, 2, 3], "item": [10, 20, 30], "time": [0, 0, 0],
    ...                     "behavior": "view"})
    >>> items = pd.DataFrame({"item": [10, 20, 30],
    ...                       "title": ["red shoe", "blue shoe", "yellow hat"]})
    >>> histories = Sequences.from_events(log)
    >>> TextContent(items, columns=["title"]).fit(histories).score(histories)[0].round(2)
    array([1.  , 0.37, 0.  ], dtype=float32)
    """

    items: pd.DataFrame = field(repr=False)
    columns: Sequence[str]
    decay: float = 1.0
    vectorizer: Any = None
    weighting: Literal["tf-idf", "bag of words"] = "tf-idf"
    vectors: sp.csr_array = field(init=False, repr=False)
    terms: NDArray[np.object_] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the table, its columns and the decay."""
        check_text_columns(self.items, self.columns)
        require("decay", self.decay, 0 <= self.decay <= 1, "in [0, 1]")
        known = self.weighting in ("tf-idf", "bag of words")
        require("weighting", self.weighting, known, "'tf-idf' or 'bag of words'")
        if self.vectorizer is not None and self.weighting != "tf-idf":
            raise ValueError("give a vectorizer or a weighting, not both: each decides the weights")

    def _fit(self, train: Sequences) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        default = TfidfVectorizer(dtype=np.float32, use_idf=self.weighting == "tf-idf")
        made = self.vectorizer or default
        self.vectors, self.terms = text_vectors(self.items, train.item_ids, self.columns, made)

    def _score(self, histories: Sequences) -> NDArray[np.float32]:
        # The length of the profile cancels in the cosine: sum, then scale.
        profiles = unit_rows(decayed_counts(histories, self.decay) @ self.vectors)
        scores: NDArray[np.float32] = (profiles @ self.vectors.T).astype(np.float32).toarray()
        return scores

"""Texts of items as vectors, and of histories as the means of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from behaviorseq.arguments import require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from behaviorseq.vocabulary import Vocabulary


def text_vectors(
    items: pd.DataFrame, item_ids: Vocabulary, columns: Sequence[str], vectorizer: Any = None
) -> tuple[sp.csr_array, NDArray[np.object_]]:
    """Make a vector of the texts of each item.

    Each text column becomes a block of dimensions: TF-IDF weights of its words, or what another
    vectorizer of scikit-learn makes of it, fitted on the items of the vocabulary. The blocks
    stand side by side; then each item's vector is scaled to length 1.

    Parameters
    ----------
    items : pandas.DataFrame
        One row an item: column ``item`` (the ids of the log) and text columns; a missing text is
        an empty one. Items that are not in the vocabulary are left aside.
    item_ids : Vocabulary
        The items, in the order of their codes.
    columns : sequence of str
        The text columns to read.
    vectorizer : scikit-learn vectorizer, optional
        Settings for each column; it is cloned. By default ``TfidfVectorizer()``, words of two
        letters or more. ``HashingVectorizer(n_features=64)`` needs no vocabulary of words: a
        hash of the word says which of 64 dimensions it adds to (Weinberger et al., Feature
        hashing for large scale multitask learning, ICML 2009).

    Returns
    -------
    vectors : scipy.sparse.csr_array
        Shape (n_items, n_terms), float32; a row of zeros for an item without text.
    terms : NDArray[object]
        Column and term of each dimension, ``"title: blue"``; of a hashed one its number.

    Raises
    ------
    ValueError
        If a column is not in the table, an item stands twice in it, or it lacks an item.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from behaviorseq import Vocabulary
    >>> items = pd.DataFrame({"item": [10, 20], "title": ["red shoe", "red hat"]})
    >>> vectors, terms = text_vectors(items, Vocabulary(np.array([10, 20])), ["title"])
    >>> terms.tolist()
    ['title: hat', 'title: red', 'title: shoe']
    >>> vectors.toarray().round(2)
    array([[0.  , 0.58, 0.81],
           [0.81, 0.58, 0.  ]], dtype=float32)
    """
    from sklearn.base import clone
    from sklearn.feature_extraction.text import TfidfVectorizer

    check_text_columns(items, columns)
    blocks, terms = [], []
    table = _rows_of(items, item_ids)
    for name in columns:
        made = clone(vectorizer or TfidfVectorizer(dtype=np.float32))
        texts = table[name].astype(object).where(table[name].notna(), "").astype(str)
        block = made.fit_transform(texts)
        named = hasattr(made, "get_feature_names_out")
        words = made.get_feature_names_out() if named else range(block.shape[1])
        blocks.append(block)
        terms += [f"{name}: {word}" for word in words]
    vectors = sp.csr_array(sp.hstack(blocks), dtype=np.float32)
    return unit_rows(vectors), np.array(terms, dtype=object)


def text_factors(vectors: sp.csr_array, factors: int, seed: int = 0) -> NDArray[np.float32]:
    """Shorten text vectors to their main directions (a truncated singular value decomposition).

    Latent semantic analysis: Deerwester et al., Indexing by latent semantic analysis, JASIS
    41(6), 1990. Words that occur in the same items fall together.

    Parameters
    ----------
    vectors : csr_array
        Vectors of texts, shape (n_items, n_terms).
    factors : int
        Length of the new vectors, below ``n_terms``.
    seed : int
        Seed of the randomised decomposition.

    Returns
    -------
    NDArray[float32]
        Shape (n_items, factors).

    Raises
    ------
    ValueError
        If there are not enough terms.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> vectors = sp.csr_array(np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]))
    >>> abs(text_factors(vectors, 2)).round(2)
    array([[1.41, 0.  ],
           [1.41, 0.  ],
           [0.  , 1.  ]], dtype=float32)
    """
    from sklearn.decomposition import TruncatedSVD

    terms = vectors.shape[1]
    require("factors", factors, 1 <= factors < terms, f"1 or more and below the {terms} terms")
    short = TruncatedSVD(factors, random_state=seed).fit_transform(vectors)
    return np.asarray(short, dtype=np.float32)


def check_text_columns(items: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise the error that says which text column the item table lacks."""
    if isinstance(columns, str) or not columns:
        raise ValueError(f"columns must list one text column or more, got {columns!r}")
    missing = [name for name in ("item", *columns) if name not in items.columns]
    if missing:
        raise ValueError(f"the item table has no column {missing}; its columns are {list(items)}")


def unit_rows(matrix: sp.csr_array) -> sp.csr_array:
    """Scale the rows of a sparse matrix to length 1; rows of zeros stay."""
    norms = np.sqrt(matrix.power(2).sum(axis=1))
    scale = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
    scaled: sp.csr_array = sp.diags_array(scale.astype(np.float32)).tocsr() @ matrix
    return scaled


def _rows_of(items: pd.DataFrame, vocabulary: Vocabulary) -> pd.DataFrame:
    """Put the rows of an item table in the order of the item codes."""
    repeated = items["item"].duplicated()
    if repeated.any():
        raise ValueError(
            f"the item table has {int(repeated.sum())} repeated items, the first are "
            f"{items['item'][repeated].head(5).tolist()}; keep one row an item"
        )
    place = pd.Index(items["item"]).get_indexer(pd.Index(vocabulary.ids))
    if (place < 0).any():
        raise ValueError(
            f"the item table lacks {int((place < 0).sum())} of the {len(place)} items of the log, "
            f"the first are {vocabulary.ids[place < 0][:5].tolist()}; add rows with empty text"
        )
    return items.iloc[place]

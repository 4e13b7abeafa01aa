"""Text vectors: hashing, factors and errors; TF-IDF itself is checked with TextContent."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer

from behaviorseq import Vocabulary
from behaviorseq.features import text_factors, text_vectors

ITEMS = pd.DataFrame(
    {
        "item": [3, 1, 2, 9],
        "title": ["red car", "blue sky over red sea", None, "not in the log"],
        "kind": ["toy", "toy book", "book", "other"],
    }
)
IDS = Vocabulary(np.array([1, 2, 3]))


def test_columns_stand_side_by_side_in_the_order_of_the_codes():
    vectors, terms = text_vectors(ITEMS, IDS, ["title", "kind"])
    texts = ITEMS.set_index("item").loc[IDS.ids].fillna("")
    blocks = [TfidfVectorizer().fit_transform(texts[c]).toarray() for c in ("title", "kind")]
    expected = np.hstack(blocks)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors.toarray(), expected, rtol=1e-5)
    assert vectors.dtype == np.float32
    assert "kind: toy" in terms
    assert "title: log" not in terms  # the item is not in the vocabulary


def test_hashed_words_need_no_other_item():
    hashing = HashingVectorizer(n_features=16)
    vectors, terms = text_vectors(ITEMS, IDS, ["title"], hashing)
    alone, _ = text_vectors(ITEMS, Vocabulary(np.array([1])), ["title"], hashing)
    assert vectors.shape == (3, 16)
    assert terms[-1] == "title: 15"
    np.testing.assert_array_equal(vectors[[0]].toarray(), alone.toarray())
    assert vectors[[1]].nnz == 0  # no text


def test_factors_keep_the_products_of_vectors():
    vectors, _ = text_vectors(ITEMS, IDS, ["title", "kind"])
    factors = text_factors(vectors, 3)  # three vectors span no more than three directions
    products = (vectors @ vectors.T).toarray()
    np.testing.assert_allclose(factors @ factors.T, products, atol=1e-5)
    one = text_factors(vectors, 1)
    error = np.linalg.norm(products - one @ one.T, ord=2)
    assert error == pytest.approx(np.linalg.eigvalsh(products)[-2], rel=1e-4)  # Eckart and Young


def test_arguments_are_checked():
    vectors, _ = text_vectors(ITEMS, IDS, ["kind"])
    with pytest.raises(ValueError, match="factors must be 1 or more and below the 2 terms, got 2"):
        text_factors(vectors, 2)
    with pytest.raises(ValueError, match=r"has no column \['tilte'\]"):
        text_vectors(ITEMS, IDS, ["tilte"])
    with pytest.raises(ValueError, match="columns must list one text column or more, got 'title'"):
        text_vectors(ITEMS, IDS, "title")
